"""`indexer verify`: log files against the index, byte for byte.

The files are read as the indexer reads them, without its checkpoint; each entry is looked for by its id in all indices
behind the alias. Present is what is there once with the same bytes; a line that is no entry, or that Elasticsearch
refused, is accounted for when it is kept as rejected, with its bytes. Memory is bounded: a few thousand entries at a
time.
"""

import base64
import threading
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum

import elasticsearch
import orjson
from elasticsearch import Elasticsearch

from indexer.cluster.client import connect, explained, shown
from indexer.cluster.hits import Held, read_hits
from indexer.errors import Stopped
from indexer.events import Events
from indexer.reading import files
from indexer.reading.entries import EXPLANATION, Reason, Rejection
from indexer.reading.log import Log, Run
from indexer.reading.tail import Tail
from indexer.settings import Connection, Delivery, State
from indexer.show import Table
from indexer.writing import bulk
from indexer.writing.batches import Batch, Body, SentBefore
from indexer.writing.bulk import Sender
from indexer.writing.rejects import LocalRejects, Rejects
from indexer.writing.replay import backing, delivered

ASKED_AT_ONCE = 4000
"""Entries looked for in one search. Fewer cost more each (measured: 1,000 at a time are a third slower)."""
MOST_HITS = 10_000
"""Of one search, by default (`index.max_result_window`)."""
TWINS = 4
"""Files that begin with the same line and are told apart by number: so many numbers are tried."""
SHOWN = 5
"""Findings of each kind that are told one by one."""


class Kind(StrEnum):
    """What may be wrong with a line."""

    MISSING = "missing"
    """It is neither in the index nor kept as rejected."""
    DIFFERENT = "different"
    """The index has other bytes under its id."""
    DOUBLED = "doubled"
    """More than one index has it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line that does not agree."""

    kind: Kind
    file: str
    offset: int
    id: str
    indices: tuple[str, ...]


@dataclass(slots=True)
class Line:
    """What is expected: an entry, or a line that is kept as rejected."""

    id: bytes
    data: bytes
    file: str
    offset: int
    entry: bool
    """It is an entry, so it belongs into the index."""
    final: bool
    """It has its line end; without, it may not have been sent yet."""


@dataclass(frozen=True, slots=True)
class Verification:
    """How files and index compare."""

    alias: str
    read: int = 0
    """Lines that are not blank."""
    present: int = 0
    missing: int = 0
    different: int = 0
    doubled: int = 0
    rejected: int = 0
    """Lines kept as rejected, with their bytes."""
    unfinished: int = 0
    """Last lines without line end that are not in the index yet."""
    repaired: int = 0
    """Of the missing ones, those that were indexed, or kept as rejected, now."""
    findings: tuple[Finding, ...] = ()
    """The first few of each kind."""
    unreadable: dict[str, str] = field(default_factory=dict)

    @property
    def agrees(self) -> bool:
        """Every line is where it should be, once and unchanged."""
        return self.missing == self.repaired and not (self.different or self.doubled or self.unreadable)

    def tables(self) -> Iterable[Table]:
        """For people to read."""
        names = ("read", "present", "missing", "different", "doubled", "rejected", "unfinished", "repaired")
        counts = tuple((name, getattr(self, name)) for name in names)
        yield Table(f"Lines of the files against {self.alias}", ("What", "Lines"), counts, "")
        if self.findings:
            rows = tuple(
                (f.kind.value, f"{f.file}:{f.offset}", f.id, ", ".join(f.indices)) for f in self.findings
            )
            yield Table(f"The first {SHOWN} of each", ("What", "File and offset", "Id", "In"), rows, "")

    def __add__(self, other: "Verification") -> "Verification":
        findings = list(self.findings)
        for finding in other.findings:
            if sum(known.kind is finding.kind for known in findings) < SHOWN:
                findings.append(finding)
        return Verification(
            self.alias,
            self.read + other.read,
            self.present + other.present,
            self.missing + other.missing,
            self.different + other.different,
            self.doubled + other.doubled,
            self.rejected + other.rejected,
            self.unfinished + other.unfinished,
            self.repaired + other.repaired,
            tuple(findings),
            self.unreadable | other.unreadable,
        )


def verify(
    paths: Sequence[str],
    connection: Connection,
    delivery: Delivery,
    state: State,
    events: Events,
    stop: threading.Event,
    *,
    repair: bool,
) -> Verification:
    """Compare log files with the alias; with `repair`, index what is missing. Raises Fatal."""
    files.require(paths)
    tail = Tail(paths, [], limit=delivery.max_line_bytes, once=True, events=events)
    with connect(connection) as client, connect(connection, raw=True) as raw, explained(connection):
        behind = backing(client, connection.alias, shown(connection))
        # Without the right to refresh, what no search sees yet is asked for one by one.
        client.options(ignore_status=403).indices.refresh(index=connection.alias)
        local = LocalRejects(state.state_dir)
        index = Index(client, raw, connection, local)
        mend = None
        if repair:
            rejects = Rejects(
                client, connection.rejected, local=local, limit=delivery.batch_bytes, events=events, stop=stop
            )
            mend = Repair(Sender(client, connection.alias, behind.write, events, stop), rejects)
        total = Verification(connection.alias)
        with ThreadPoolExecutor(delivery.senders) as pool:
            under_way: deque[Future[Verification]] = deque()
            for lines in _portions(tail, index, delivery.batch_bytes):
                if stop.is_set():
                    raise Stopped
                under_way.append(pool.submit(_check, lines, index, mend))
                while len(under_way) > delivery.senders:
                    total += under_way.popleft().result()
            for future in under_way:
                total += future.result()
    return total + Verification(connection.alias, unreadable=tail.failures)


def _portions(tail: Tail, index: "Index", limit: int) -> Iterator[list[Line]]:
    """The lines of all files, some thousand at a time."""
    tail.scan()
    generations: dict[bytes, bytes] = {}
    lines: list[Line] = []
    size = 0
    while not tail.exhausted:
        for run in tail.read():
            for line in _lines(run, index, generations):
                lines.append(line)
                size += len(line.data)
                if len(lines) >= ASKED_AT_ONCE or size >= limit:
                    yield lines
                    lines, size = [], 0
    if lines:
        yield lines


def _lines(run: Run, index: "Index", generations: dict[bytes, bytes]) -> Iterator[Line]:
    log, entries = run.mark.log, run.entries
    final = run.mark.size > 0
    own = b"%08x" % (log.record.generation if log.record else 0)
    if own not in generations and entries.ids:
        generations[own] = _generation(log, entries.ids[:ASKED_AT_ONCE], index)
    generation = generations.get(own, own)
    for identity, entry in zip(entries.ids, entries.entries, strict=True):
        yield Line(
            generation + identity[8:], entry, log.facts.name, int(identity[8:20], 16), entry=True, final=final
        )
    for refused in entries.rejections:
        identity = generation + refused.id[8:].encode()
        yield Line(identity, refused.line, refused.file, refused.offset, entry=False, final=final)
    for piece in run.pieces:
        if piece.id is not None:
            identity = generation + piece.id[8:].encode()
            yield Line(identity, b"", piece.file, piece.start, entry=False, final=final)


def _generation(log: Log, ids: Sequence[bytes], index: "Index") -> bytes:
    """Tell under which generation the index knows a file: files that begin alike differ by their twin number."""
    record = log.record
    if record is None:
        return ids[0][:8]
    head = log.window.read_at(0, record.head)
    candidates = [record.generation, *(zlib.crc32(head, twin) for twin in range(TWINS))]
    best, most = ids[0][:8], -1
    for candidate in dict.fromkeys(candidates):
        generation = b"%08x" % candidate
        known = index.count([generation + identity[8:] for identity in ids])
        if known > most:
            best, most = generation, known
        if known == len(ids):
            break
    return best


@dataclass(frozen=True, slots=True)
class Index:
    """The indices behind the alias, and what is kept as rejected."""

    client: Elasticsearch
    raw: Elasticsearch
    """Gives answers as the bytes that came."""
    connection: Connection
    local: LocalRejects

    def count(self, ids: Sequence[bytes]) -> int:
        """How many of these ids the alias has, as far as searches see."""
        query = {"ids": {"values": [identity.decode() for identity in ids]}}
        return int(self.client.count(index=self.connection.alias, query=query)["count"])

    def find(self, lines: Sequence[Line]) -> list[Held]:
        """Look entries up in all indices behind the alias. Raises what the client raises."""
        if not lines:
            return []
        expected = {line.id: line.data for line in lines}
        answer = self.raw.search(
            index=self.connection.alias,
            query={"ids": {"values": [identity.decode() for identity in expected]}},
            size=MOST_HITS,
            sort=["_doc"],
            allow_partial_search_results=False,
        ).body
        held = read_hits(answer, expected)
        if held is None:
            hits = orjson.loads(answer)["hits"]["hits"]
            held = [self._compared(hit["_id"].encode(), hit["_index"], expected) for hit in hits]
        if len(held) >= MOST_HITS:
            return self.find(lines[: len(lines) // 2]) + self.find(lines[len(lines) // 2 :])
        unseen = expected.keys() - {one.id for one in held}
        return held + self._now(list(unseen), expected)

    def _now(self, ids: Sequence[bytes], expected: dict[bytes, bytes]) -> list[Held]:
        """Look up what no search sees, or sees yet."""
        if not ids:
            return []
        behind = backing(self.client, self.connection.alias, shown(self.connection))
        return [
            self._compared(identity, index, expected)
            for index in behind.indices
            for identity in sorted(delivered(self.client, [index], ids))
        ]

    def _compared(self, identity: bytes, index: str, expected: dict[bytes, bytes]) -> Held:
        """Fetch one entry's bytes, and compare."""
        try:
            source = self.raw.get_source(index=index, id=identity.decode()).body
        except elasticsearch.NotFoundError:
            return Held(identity, index, same=False)
        return Held(identity, index, same=source == expected[identity])

    def rejected(self, lines: Sequence[Line]) -> set[bytes]:
        """Tell which of some lines are kept as rejected, with their bytes."""
        kept = {line.id for line in lines if self._kept_locally(line)}
        ids = [line.id.decode() for line in lines if line.id not in kept]
        if not ids:
            return kept
        client = self.client.options(ignore_status=404)
        docs = client.mget(index=self.connection.rejected, ids=ids, source_includes=["bytes"]).get("docs", [])
        stored = {
            doc["_id"].encode(): base64.b64decode(doc["_source"]["bytes"]) for doc in docs if doc.get("found")
        }
        return kept | {line.id for line in lines if stored.get(line.id) == line.data}

    def _kept_locally(self, line: Line) -> bool:
        checksum = self.local.checksum(line.id.decode())
        return checksum is not None and (
            checksum == zlib.crc32(line.data) or b"%08x" % checksum == line.id[20:]
        )


@dataclass(frozen=True, slots=True)
class Repair:
    """Sends what is missing, as the indexer would."""

    sender: Sender
    rejects: Rejects

    def __call__(self, lines: Sequence[Line]) -> int:
        """Index some lines, or keep them as rejected; return how many. Raises Stopped."""
        refused = [
            Rejection(line.id.decode(), line.file, line.offset, reason, EXPLANATION[reason], line.data)
            for line in lines
            if not line.entry and line.data
            for reason in [Reason.NOT_AN_OBJECT]
        ]
        pairs = [(line.id, line.data) for line in lines if line.entry]
        names = {line.id[:8]: line.file for line in lines}
        try:
            _, rejections = self.sender.deliver(Batch(Body.of(pairs), refused, [], SentBefore(None), names))
            if rejections:
                self.rejects.keep(rejections)
        except bulk.Stopped:
            raise Stopped from None
        return len(pairs) + len(refused)


def _check(lines: Sequence[Line], index: Index, repair: Repair | None) -> Verification:
    """Look some lines up, and judge."""
    held: dict[bytes, list[Held]] = {}
    for one in index.find([line for line in lines if line.entry]):
        held.setdefault(one.id, []).append(one)
    absent = [line for line in lines if line.id not in held]
    rejected = index.rejected(absent)
    missing = [line for line in absent if line.id not in rejected]
    unfinished = [line for line in missing if not line.final]
    missing = [line for line in missing if line.final]
    findings = [_finding(Kind.MISSING, line, ()) for line in missing]
    counts = dict.fromkeys(Kind, 0)
    for line in lines:
        copies = held.get(line.id, [])
        kind = _judge(copies)
        if kind is not None:
            counts[kind] += 1
            findings.append(_finding(kind, line, tuple(one.index for one in copies)))
    return Verification(
        index.connection.alias,
        read=len(lines),
        present=len(held) - counts[Kind.DIFFERENT] - counts[Kind.DOUBLED],
        missing=len(missing),
        different=counts[Kind.DIFFERENT],
        doubled=counts[Kind.DOUBLED],
        rejected=len(rejected),
        unfinished=len(unfinished),
        repaired=repair(missing) if repair and missing else 0,
        findings=_few(findings),
    )


def _judge(copies: Sequence[Held]) -> Kind | None:
    if any(not one.same for one in copies):
        return Kind.DIFFERENT
    return Kind.DOUBLED if len(copies) > 1 else None


def _finding(kind: Kind, line: Line, indices: tuple[str, ...]) -> Finding:
    return Finding(kind, line.file, line.offset, line.id.decode(), indices)


def _few(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The first of each kind."""
    return tuple(f for kind in Kind for f in [f for f in findings if f.kind is kind][:SHOWN])
