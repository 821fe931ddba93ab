"""Which known log a file is, and where to go on, so that delivered lines are not read again.

Ids do not depend on it (`entries.py`): a wrong decision costs a second reading, never a line. The decision, for a file
that was found or whose content has changed:

    inode, first line and the bytes before the         read from the delivered offset on        RESUMED
      delivered offset are those of a record
    the first line is that of records                  read without sending up to the furthest  MOVED, if there
      (a renamed, copied, compressed or edited file)   offset where one of their digests agrees is one
    otherwise                                          read from the start                      NEW, or if the inode
                                                                                                is known TRUNCATED
                                                                                                or REPLACED
"""

import heapq
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from indexer.events import Recognition
from indexer.reading.batch import START, Place
from indexer.reading.files import FileFacts
from indexer.reading.sources import ByteSource

HEAD = 64 * 1024
"""Bytes of a file's first line that make its generation, at most."""
TAIL = 256
"""Bytes before the delivered offset whose checksum is remembered; an entry is seldom longer."""
COMPARED = 100
"""Offsets at which a file is compared with known ones, at most: the furthest."""
Key = tuple[int, int]
"""Device and inode."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """What is remembered of one file. Offsets are bytes of the log, decompressed."""

    path: str
    device: int
    inode: int
    head: int
    """Number of its first bytes that made its generation."""
    generation: int
    offset: int
    """Everything before it is delivered; the start of a line."""
    tail: int
    """Checksum of the `TAIL` bytes before `offset`."""
    digest: int | None
    """Checksum of the ids of all lines before `offset`; None in a record of version 0.1."""
    size: int = 0
    """Size on disk at the last look."""
    modified: int = 0
    """Modification time then, in nanoseconds since the epoch."""
    ended: bool = False
    """The file is rotated, and was read to its end."""

    def at(self, facts: FileFacts) -> "FileRecord":
        """The same log under another path or inode."""
        return replace(self, path=facts.name, device=facts.device, inode=facts.inode)

    @property
    def key(self) -> Key:
        """Device and inode."""
        return self.device, self.inode

    @property
    def unread(self) -> int:
        """Bytes on disk that are not delivered, at most: of an archive, all until it has ended."""
        if self.ended:
            return 0
        return self.size if self.path.lower().endswith(".gz") else max(0, self.size - self.offset)


def head_of(source: ByteSource) -> bytes | None:
    """Return the bytes that make a generation: up to the end of the first line that is not blank, 64 KiB at most.

    None if that line has no end yet. Raises OSError.
    """
    start = source.read_at(0, HEAD)
    end = start.find(b"\n", len(start) - len(start.lstrip(b"\r\n\0")))
    if end < 0:
        return start if len(start) == HEAD else None
    return start[:end]


def fresh(facts: FileFacts, head: bytes) -> FileRecord:
    """A record with nothing delivered."""
    return FileRecord(facts.name, *facts.key, len(head), zlib.crc32(head), 0, 0, 0)


def begins_like(head: bytes, record: FileRecord) -> bool:
    """Tell whether the first line is the record's."""
    return len(head) == record.head and zlib.crc32(head) == record.generation


def starts_like(source: ByteSource, record: FileRecord) -> bool:
    """Tell whether the file's first line is the record's. Raises OSError."""
    start = source.read_at(0, record.head + 1)
    ends = record.head == HEAD or start[record.head :] in {b"", b"\n"}
    return ends and begins_like(start[: record.head], record)


def reads_like(source: ByteSource, record: FileRecord) -> bool:
    """Tell whether the file has the record's first line and the bytes before its offset. Raises OSError."""
    if not starts_like(source, record):
        return False
    start = max(0, record.offset - TAIL)
    tail = source.read_at(start, record.offset - start)
    return len(tail) == record.offset - start and zlib.crc32(tail) == record.tail


def to_compare(records: Iterable[FileRecord]) -> dict[int, set[int]]:
    """Return where a file that begins like these records is to be compared: digests by offset, ascending."""
    places: dict[int, set[int]] = {}
    of_use = (record for record in records if record.offset and record.digest is not None)
    for record in reversed(heapq.nlargest(COMPARED, of_use, key=lambda record: record.offset)):
        if record.digest is not None:
            places.setdefault(record.offset, set()).add(record.digest)
    return places


@dataclass(slots=True)
class Comparison:
    """A file that begins like known ones, read without sending up to the furthest place where one of them agrees."""

    record: FileRecord
    """What the file is, once the comparison ends."""
    places: dict[int, set[int]]
    since: float
    otherwise: Recognition
    """What the file is if no place agrees."""
    agreed: Place = START

    @property
    def next_offset(self) -> int:
        """Where the next check is due."""
        return min(self.places)

    def check(self, position: int, read: Place) -> None:
        """Compare what is read with the known digests, if one is due at this position."""
        digests = self.places.pop(position, None)
        if digests is not None and read.offset == position and read.digest in digests:
            self.agreed = read
