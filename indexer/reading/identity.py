"""Who a file is: where to go on reading, so that what is delivered is not read again.

What an entry is does not depend on it (`entries.py`): a wrong guess costs a second reading, never a line. The decision, for
a file that was found or whose content has changed:

    its inode is known, and so are its first line      go on where that record ends             RESUMED
      and the bytes before the delivered offset
    its first line is that of records that are known   read it without sending, up to the       MOVED, if there
      (a renamed, copied, compressed or edited file)   furthest place where one of them agrees  is such a place
    otherwise                                          read it from the start                   NEW, or if the inode
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
"""At most so many bytes of a file's first line make its generation."""
TAIL = 256
"""So many bytes before the delivered offset are remembered; a line with its time in milliseconds is shorter."""
COMPARED = 100
"""A file is compared with what is known at so many places, at most: the furthest. More would only cost time."""
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
    generation: int
    offset: int
    """All before it is delivered; the start of a line."""
    tail: int
    """Checksum of the `TAIL` bytes before `offset`."""
    digest: int | None
    """Checksum of the ids of all lines before `offset`; None if it is not known (a record of version 0.1)."""
    size: int = 0
    """Its size on disk when it was last looked at."""
    modified: int = 0
    """When it was last written then, in nanoseconds since the epoch."""
    ended: bool = False
    """Rotated, and read to that size; its last line is waiting for nothing any more."""

    def at(self, facts: FileFacts) -> "FileRecord":
        """The same log under another path or inode."""
        return replace(self, path=facts.name, device=facts.device, inode=facts.inode)

    @property
    def key(self) -> Key:
        """Device and inode."""
        return self.device, self.inode

    @property
    def unread(self) -> int:
        """Bytes on disk that are not delivered, as far as that can be known: of an archive, all until it has ended."""
        if self.ended:
            return 0
        return self.size if self.path.lower().endswith(".gz") else max(0, self.size - self.offset)


def head_of(source: ByteSource) -> bytes | None:
    """The bytes that make a generation: up to the end of the first line that is not blank, 64 KiB at most.

    None if that line has no end yet. Raises OSError.
    """
    start = source.read_at(0, HEAD)
    end = start.find(b"\n", len(start) - len(start.lstrip(b"\r\n\0")))
    if end < 0:
        return start if len(start) == HEAD else None
    return start[:end]


def fresh(facts: FileFacts, head: bytes) -> FileRecord:
    """The record of a file of which nothing is delivered."""
    return FileRecord(facts.name, *facts.key, len(head), zlib.crc32(head), 0, 0, 0)


def begins_like(head: bytes, record: FileRecord) -> bool:
    """The first line is the record's."""
    return len(head) == record.head and zlib.crc32(head) == record.generation


def starts_like(source: ByteSource, record: FileRecord) -> bool:
    """The file has the bytes that made the record's generation, and no others in its first line. Raises OSError."""
    start = source.read_at(0, record.head + 1)
    ends = record.head == HEAD or start[record.head :] in {b"", b"\n"}
    return ends and begins_like(start[: record.head], record)


def reads_like(source: ByteSource, record: FileRecord) -> bool:
    """The file has the record's first line and, before the record's offset, its last bytes. Raises OSError."""
    if not starts_like(source, record):
        return False
    start = max(0, record.offset - TAIL)
    tail = source.read_at(start, record.offset - start)
    return len(tail) == record.offset - start and zlib.crc32(tail) == record.tail


def to_compare(records: Iterable[FileRecord]) -> dict[int, set[int]]:
    """The furthest places at which a file that begins like these records may agree with one: digests, by offset, ascending."""
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
