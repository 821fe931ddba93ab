"""Who a file is: what is remembered of files against what is found.

A file is known by device and inode AND by its first bytes AND by the last bytes that were delivered; none alone
would do (an inode is used again, two files begin alike, a truncated file grows past the old offset). Judging is pure:
`recognise` compares records with what windows show, and opens nothing.

Files that begin with the same first line share a generation, as a file and its compressed copy must. While one holds
nothing but what the other holds too, they are one file, and the longer one is read; once they differ, the later one is
a twin, and its number goes into its generation.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from indexer.events import Recognition
from indexer.reading.files import FileFacts
from indexer.reading.windows import Window

HEAD = 64 * 1024
"""At most so many bytes of a file's first line make its generation."""
TAIL = 256
"""So many bytes before the delivered offset are remembered; a line with its time in milliseconds is shorter."""
COMPARED = 1024 * 1024
"""Bytes compared at once."""
Key = tuple[int, int]
"""Device and inode."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """What is remembered of one file. Offsets are bytes of the log, decompressed."""

    path: str
    device: int
    inode: int
    head: int
    """So many of its first bytes made its generation."""
    twin: int
    generation: int
    offset: int
    """All before it is delivered; the start of a line."""
    tail: int
    """Checksum of the `TAIL` bytes before `offset`."""
    reach: int
    """Nothing from here on was ever sent."""
    since: str | None
    """What was sent beyond `offset` went into this index or a later one; None: into any."""
    size: int = 0
    """Its size on disk when it was last looked at."""
    ended: bool = False
    """Rotated, and read to that size; its last line is waiting for nothing any more."""

    def at(self, facts: FileFacts) -> "FileRecord":
        """The same log under another path or inode."""
        return replace(self, path=facts.name, device=facts.device, inode=facts.inode)

    def followed_at(self, facts: FileFacts) -> "FileRecord":
        """The same log under this path or inode, read on: it may have grown beyond where it ended."""
        return replace(self.at(facts), ended=False)

    @property
    def key(self) -> Key:
        """Device and inode."""
        return self.device, self.inode

    @property
    def unread(self) -> int:
        """Bytes on disk that are not delivered, as far as that can be known: of an archive, all until it has ended."""
        if self.ended:
            return 0
        return self.size if self.path.endswith(".gz") else max(0, self.size - self.offset)


@dataclass(frozen=True, slots=True)
class Judgement:
    """Who a file is: the record to go on from (`offset` 0 for a new one), and why."""

    recognition: Recognition
    record: FileRecord


def head_of(window: Window) -> bytes | None:
    """The bytes that make a generation: up to the end of the first line that is not blank; None if it has no end yet."""
    start = window.read_at(0, HEAD)
    blank = len(start) - len(start.lstrip(b"\r\n"))
    end = start.find(b"\n", blank)
    if end < 0:
        return start if len(start) == HEAD else None
    return start[:end]


def fresh(facts: FileFacts, head: bytes, twin: int = 0) -> FileRecord:
    """The record of a file of which nothing is delivered."""
    generation = zlib.crc32(head, twin)
    return FileRecord(facts.name, facts.device, facts.inode, len(head), twin, generation, 0, 0, 0, None)


def recognise(
    facts: FileFacts, window: Window, head: bytes, known: Sequence[tuple[FileRecord, Window | None]]
) -> Judgement:
    """Compare a file with what is known, each record with the window of its own file if that is still there.

    Raises OSError.
    """
    same = next((r for r, _ in known if r.key == facts.key), None)
    # Its first line may have been cut when it was last known; as a whole it makes another generation.
    if same is not None and begins_like(head, same) and reads_like(window, same):
        return Judgement(Recognition.RESUMED, same.followed_at(facts))
    alike = [(r, w) for r, w in known if begins_like(head, r)]
    # Of those that it may be, it is the one with which it has most in common.
    alike.sort(key=lambda pair: -pair[0].offset)
    for record, own in alike:
        relation = _compare(window, own) if own is not None else None
        if relation is Recognition.TWIN and own is not None and not reads_like(own, record):
            relation = None  # it was truncated while we compared
        if relation is Recognition.COPY:
            return Judgement(Recognition.COPY, record)
        goes_on = relation is None or relation is Recognition.MOVED
        if goes_on and reads_like(window, record):
            return Judgement(Recognition.MOVED, record.followed_at(facts))
    twin = 1 + max((r.twin for r, _ in alike), default=-1)
    reason = Recognition.TWIN if twin else Recognition.NEW
    if same is not None:
        reaches = same.offset == 0 or window.read_at(same.offset - 1, 1)
        reason = Recognition.REPLACED if reaches else Recognition.TRUNCATED
    return Judgement(reason, fresh(facts, head, twin))


def begins_like(head: bytes, record: FileRecord) -> bool:
    """The first line is the record's."""
    return len(head) == record.head and zlib.crc32(head, record.twin) == record.generation


def starts_like(window: Window, record: FileRecord) -> bool:
    """The file has the bytes that made the record's generation. Raises OSError."""
    return begins_like(window.read_at(0, record.head), record)


def reads_like(window: Window, record: FileRecord) -> bool:
    """The file has the record's first line and, before the record's offset, its last bytes. Raises OSError."""
    if not starts_like(window, record):
        return False
    start = max(0, record.offset - TAIL)
    tail = window.read_at(start, record.offset - start)
    return len(tail) == record.offset - start and zlib.crc32(tail) == record.tail


def _compare(window: Window, other: Window) -> Recognition:
    """Tell a copy (so far) of a file that is still there, or one that goes on where it ends, from one that only begins like it."""
    offset = 0
    while True:
        ours = window.read_at(offset, COMPARED)
        theirs = other.read_at(offset, len(ours))
        if ours != theirs:
            return Recognition.MOVED if ours.startswith(theirs) else Recognition.TWIN
        if len(ours) < COMPARED:
            return Recognition.COPY
        offset += COMPARED
