"""Whether the seal logs of an alias, as the index holds them, are what their owner has signed.

All documents of the seals index are read once, in any order. Of a leaf, its hash, its place and what it says are kept, but
not its lines: those are handed on. Then each log's tree is built, and compared with every checkpoint that anybody has of it:
those in the index, those that later logs name, and the anchors.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import orjson

from indexer.errors import Fatal
from indexer.seals.heads import TreeHead
from indexer.seals.leaves import Chunk, Head, Start, read_leaf
from indexer.seals.lines import Lines
from indexer.seals.notes import InvalidNote, VerifierKey, open_note
from indexer.seals.tree import Frontier, leaf_hash
from indexer.verify.scan import Page

_ID = re.compile(rb"(?P<log>[0-9a-f]{16})-(?P<number>\d{12})(?P<checkpoint>-checkpoint)?")
_NOTE = re.compile(r"^[^\n]+\n\d{1,18}\n[A-Za-z0-9+/]{43}=\n\n(?:— [^\n]+\n)+", re.MULTILINE)
INTERVALS = 2
"""So many intervals old may the newest checkpoint be."""


class AnchorUnreadable(Fatal):
    """A file or directory with checkpoints cannot be read, or has none."""

    sentence = "Cannot use the anchor {path}: {reason}."
    hint = "Give a file or directory of checkpoints, as `indexer run --seal-anchor` writes them."


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf of lines, or of bytes that were lost, without its lines."""

    log: str
    number: int
    file: int
    """The generation."""
    path: str
    start: int
    end: int
    index: str
    duplicates: int
    lost: bool
    sealed: datetime


@dataclass(slots=True)
class SealLog:
    """A seal log. `problems` are sentences; it is sound if there is none."""

    id: str
    hashes: dict[int, bytes] = field(default_factory=dict)
    times: dict[int, datetime] = field(default_factory=dict)
    heads: dict[int, Head] = field(default_factory=dict)
    start: Start | None = None
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    signed: int = 0
    """Leaves under the newest valid checkpoint. What comes after them is not sealed."""
    checkpoints: int = 0
    """Valid ones."""

    @property
    def newest(self) -> tuple[Head, datetime] | None:
        """What the newest checkpoint says, and when it was signed."""
        head = self.heads.get(self.signed - 1)
        return (head, self.times[self.signed - 1]) if head else None


LineSink = Callable[[int, bytes, bytes], None]
"""Takes the number of a part, the ids of its lines (14 bytes each) and their digests (16 bytes each)."""


class SealReader:
    """Collects the documents of the seals index."""

    def __init__(self, sink: LineSink) -> None:
        self._sink = sink
        self.logs: dict[str, SealLog] = {}
        self.parts: list[Part] = []
        self.foreign: list[str] = []
        """Ids of documents that are no seals."""
        self._seen: set[bytes] = set()

    def read(self, page: Page) -> int:
        """Take some documents; return how many are new."""
        new = 0
        for identity, source in zip(page.ids, page.sources, strict=True):
            if identity in self._seen:
                continue
            self._seen.add(identity)
            new += 1
            found = _ID.fullmatch(identity)
            if found is None:
                self.foreign.append(identity.decode(errors="replace"))
                continue
            log = self.logs.setdefault(found["log"].decode(), SealLog(found["log"].decode()))
            if found["checkpoint"]:
                self._read_checkpoint(log, source)
            else:
                self._read_leaf(log, int(found["number"]), source)
        return new

    def _read_checkpoint(self, log: SealLog, source: bytes) -> None:
        try:
            log.notes.append(str(orjson.loads(source)["note"]))
        except (ValueError, KeyError, TypeError):
            log.problems.append("one of its checkpoints cannot be read")

    def _read_leaf(self, log: SealLog, number: int, source: bytes) -> None:
        log.hashes[number] = leaf_hash(source)
        try:
            leaf, sealed = read_leaf(source)
        except ValueError as reason:
            log.problems.append(f"leaf {number} cannot be read: {reason}")
            return
        log.times[number] = datetime.fromisoformat(sealed)
        match leaf:
            case Start():
                log.start = leaf if number == 0 else log.start
            case Head():
                log.heads[number] = leaf
            case Chunk():
                self._read_lines(log, number, leaf)

    def _read_lines(self, log: SealLog, number: int, chunk: Chunk) -> None:
        generation, lines = int(chunk.file, 16), chunk.lines or Lines()
        part = Part(
            log.id,
            number,
            generation,
            chunk.path,
            chunk.start,
            chunk.end,
            chunk.index,
            chunk.duplicates,
            chunk.lines is None,
            log.times[number],
        )
        self._sink(len(self.parts), lines.ids(generation), lines.digests)
        self.parts.append(part)


def anchors_in(paths: Iterable[Path]) -> list[str]:
    """The notes in these files, or in the *.checkpoints of these directories. Raises AnchorUnreadable."""
    notes: list[str] = []
    for path in paths:
        try:
            files = sorted(path.rglob("*.checkpoints")) if path.is_dir() else [path]
            found = [note for file in files for note in _NOTE.findall(file.read_text(encoding="utf-8"))]
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise AnchorUnreadable(path=path, reason=reason) from None
        if not found:
            raise AnchorUnreadable(path=path, reason="it has no checkpoint")
        notes += found
    return notes


def check_logs(
    logs: Mapping[str, SealLog],
    keys: Sequence[VerifierKey],
    alias: str,
    anchors: Iterable[str],
    now: datetime | None = None,
) -> list[str]:
    """Verify each log, and fill in what is signed; return problems that belong to no log that is there."""
    now = now or datetime.now(UTC)
    named = [note for log in logs.values() if log.start for note in log.start.previous]
    heads: dict[str, list[TreeHead]] = {}
    problems = _witnessed(anchors, "An anchor", keys, heads) + _witnessed(
        named, "A checkpoint that a later seal log names", keys, heads
    )
    gone = [log for log in heads if log not in logs]
    problems += [
        f"Seal log {log}, of which there is a signed checkpoint, is not in the index." for log in gone
    ]
    superseded = {log.rpartition("/")[2] for log in _origins(named)}
    for log in logs.values():
        _check_log(log, keys, alias, heads.get(log.id, ()))
        if log.id not in superseded:
            _check_age(log, now)
    if logs and not any(log.signed for log in logs.values()):
        problems.append("None of the seal logs in the index has a checkpoint.")
    return problems


def _origins(notes: Iterable[str]) -> list[str]:
    return [note.partition("\n")[0] for note in notes]


def _witnessed(
    notes: Iterable[str], what: str, keys: Sequence[VerifierKey], heads: dict[str, list[TreeHead]]
) -> list[str]:
    """Open notes that are kept outside the logs, into `heads` by log; return what is wrong with them."""
    problems = []
    for note in dict.fromkeys(notes):
        try:
            head, _ = _opened(note, keys)
        except ValueError as reason:
            origin = note.partition("\n")[0]
            problems.append(f"{what} ({origin}) is not valid: {reason}.")
        else:
            heads.setdefault(head.origin.rpartition("/")[2], []).append(head)
    return problems


def _opened(note: str, keys: Sequence[VerifierKey]) -> tuple[TreeHead, VerifierKey]:
    """Raises ValueError."""
    text, key = open_note(note, keys)
    head = TreeHead.parse(text)
    if not head.origin.startswith(f"{key.name}/"):
        raise InvalidNote(f"the key {key.name} does not sign for {head.origin}")
    return head, key


def _check_log(log: SealLog, keys: Sequence[VerifierKey], alias: str, witnessed: Sequence[TreeHead]) -> None:
    own: list[TreeHead] = []
    for note in log.notes:
        try:
            head, _ = _opened(note, keys)
        except ValueError as reason:
            log.problems.append(f"one of its checkpoints is not valid: {reason}")
            continue
        if head.origin.rpartition("/")[2] != log.id:
            log.problems.append(f"it holds a checkpoint of {head.origin}")
            continue
        own.append(head)
    roots = _roots(log, {head.size for head in (*own, *witnessed)})
    for head in own:
        if roots.get(head.size) == head.root:
            log.checkpoints += 1
            log.signed = max(log.signed, head.size)
        else:
            log.problems.append(f"its leaves are not those under the checkpoint of size {head.size}")
    if not log.signed:
        log.signed = max((head.size for head in own), default=0)  # what they are held against, all the same
    for head in witnessed:
        if head.size > log.signed:
            log.problems.append(
                f"it is cut: a signed checkpoint of {head.size} leaves is known, and {log.signed} are left"
            )
        elif roots.get(head.size) != head.root:
            log.problems.append(f"its leaves are not those under a known checkpoint of size {head.size}")
    _check_leaves(log, alias)


def _roots(log: SealLog, sizes: Iterable[int]) -> dict[int, bytes]:
    """The root of the first `size` leaves, for each size that is there."""
    roots: dict[int, bytes] = {}
    tree = Frontier()
    for size in sorted(sizes):
        more = [log.hashes.get(number) for number in range(tree.size, size)]
        if not all(more):
            break
        tree = tree.append(leaf for leaf in more if leaf)
        roots[size] = tree.root
    return roots


def _check_leaves(log: SealLog, alias: str) -> None:
    if not log.signed:  # its first sealing goes on, or was given up: it says nothing yet
        return
    missing = [number for number in range(log.signed) if number not in log.hashes]
    if missing:
        log.problems.append(
            f"{len(missing)} of its {log.signed} leaves are missing, the first is leaf {missing[0]}"
        )
    if log.start is None or log.start.log != log.id or log.start.alias != alias:
        log.problems.append(f"it does not begin with a leaf of this log and of the alias {alias}")
    times = [log.times[number] for number in range(log.signed) if number in log.times]
    if any(later < earlier for earlier, later in pairwise(times)):
        log.problems.append("its leaves are not in the order of their times")
    if log.newest is None:
        log.problems.append("its newest checkpoint does not end with a head")


def _check_age(log: SealLog, now: datetime) -> None:
    if log.newest is None:
        return
    head, sealed = log.newest
    if now - sealed > timedelta(seconds=INTERVALS * head.every):
        log.problems.append(
            f"its newest checkpoint is of {sealed.isoformat(timespec='seconds')}, older than {INTERVALS} intervals "
            f"of {head.every} s"
        )
