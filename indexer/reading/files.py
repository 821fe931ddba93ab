"""Which log files there are, who they are, and how their bytes are reached.

A file is known by device and inode AND by its first bytes AND by the last bytes that were delivered; none alone
would do (an inode is used again, two files begin alike, a truncated file grows past the old offset). Judging is pure:
`recognise` compares what is remembered with what is found, through windows that give bytes at an offset.

Files that begin with the same first line share a generation, as a file and its compressed copy must. While one holds
nothing but what the other holds too, they are one file; once they differ, the later one is a twin, and its number goes
into its generation.
"""

import glob
import os
import select
import stat
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from indexer.errors import NoSuchLog
from indexer.events import Recognition
from indexer.settings import STANDARD_INPUT

LOGS_IN_DIRECTORY = "*activity*.log*"
HEAD = 64 * 1024
"""At most so many bytes of a file's first line make its generation."""
TAIL = 256
"""So many bytes before the delivered offset are remembered; a line with its time in milliseconds is shorter."""
COMPARED = 1024 * 1024


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file as a directory shows it. `size` is in bytes on disk."""

    path: str
    device: int
    inode: int
    size: int
    modified: float
    """Seconds since the epoch."""

    @property
    def key(self) -> tuple[int, int]:
        """Device and inode."""
        return self.device, self.inode

    @property
    def name(self) -> str:
        """The path as text that can be stored and shown, whatever bytes it has."""
        return os.fsencode(self.path).decode(errors="replace")

    @property
    def archive(self) -> bool:
        """It is compressed."""
        return self.path.endswith(".gz")

    @property
    def rotated(self) -> bool:
        """Its name is not that of a log being written: `….log.1`, `….log.2026-01-01`, `….log.1.gz`."""
        return ".log." in os.path.basename(self.path)  # noqa: PTH119 - a name, not a path to open


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

    @property
    def key(self) -> tuple[int, int]:
        """Device and inode."""
        return self.device, self.inode


class Window(Protocol):
    """Bytes of a log at an offset: fewer than asked for only at its present end."""

    def read_at(self, offset: int, size: int) -> bytes:
        """Read up to `size` bytes from `offset` on. Raises OSError."""


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
    if same is not None and reads_like(window, same):
        return Judgement(Recognition.RESUMED, same.at(facts))
    alike = [(r, w) for r, w in known if begins_like(head, r)]
    for record, own in alike:
        if record is same:
            continue
        relation = _compare(window, own) if own is not None else None
        if relation is Recognition.COPY:
            return Judgement(Recognition.COPY, record)
        if relation is None and reads_like(window, record):
            return Judgement(Recognition.MOVED, replace(record.at(facts), ended=False))
    twin = 1 + max((r.twin for r, _ in alike), default=-1)
    reason = Recognition.TWIN if twin else Recognition.NEW
    if same is not None:
        reason = (
            Recognition.REPLACED
            if len(window.read_at(0, same.offset)) == same.offset
            else Recognition.TRUNCATED
        )
    return Judgement(reason, fresh(facts, head, twin))


def begins_like(head: bytes, record: FileRecord) -> bool:
    """The first line is the record's."""
    return len(head) == record.head and zlib.crc32(head, record.twin) == record.generation


def reads_like(window: Window, record: FileRecord) -> bool:
    """The file has the record's first line and, before the record's offset, the record's last bytes."""
    if zlib.crc32(window.read_at(0, record.head), record.twin) != record.generation:
        return False
    start = max(0, record.offset - TAIL)
    tail = window.read_at(start, record.offset - start)
    return len(tail) == record.offset - start and zlib.crc32(tail) == record.tail


def _compare(window: Window, other: Window) -> Recognition:
    """Tell a copy (so far) of a file that is still there from a file that only begins like it."""
    offset = 0
    while True:
        ours = window.read_at(offset, COMPARED)
        if other.read_at(offset, len(ours)) != ours:
            return Recognition.TWIN
        if len(ours) < COMPARED:
            return Recognition.COPY
        offset += COMPARED


def find(patterns: Iterable[str]) -> list[FileFacts]:
    """All log files that the paths, globs and directories name, each inode once, in the order of their paths."""
    found: dict[tuple[int, int], FileFacts] = {}
    for pattern in patterns:
        for path in sorted(_expand(pattern)):
            facts = look_at(path)
            if facts is not None:
                found.setdefault(facts.key, facts)
    return sorted(found.values(), key=lambda facts: facts.path)


def _expand(pattern: str) -> Iterator[str]:
    if os.path.isdir(pattern):  # noqa: PTH112 - called for each look at the files
        yield from glob.iglob(os.path.join(glob.escape(pattern), LOGS_IN_DIRECTORY))  # noqa: PTH118, PTH207
    elif os.path.lexists(pattern):
        yield pattern
    else:
        yield from glob.iglob(pattern, recursive=True)  # noqa: PTH207 - a pattern may be absolute


def look_at(path: str) -> FileFacts | None:
    """What a path names, if it is a regular file; a symbolic link is followed."""
    try:
        facts = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    if not stat.S_ISREG(facts.st_mode):
        return None
    return FileFacts(path, facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime)


def directory_times(patterns: Iterable[str]) -> list[int]:
    """When each directory last got or lost a name, in nanoseconds; 0 for one that is not there or is a pattern."""
    times: list[int] = []
    for pattern in patterns:
        try:
            status = os.stat(pattern)  # noqa: PTH116
            if not stat.S_ISDIR(status.st_mode):
                status = os.stat(os.path.dirname(pattern) or ".")  # noqa: PTH116, PTH120
            times.append(status.st_mtime_ns)
        except OSError:
            times.append(0)
    return times


def directory_exists(path: str) -> bool:
    """Tell whether the directory is there that a path lies in."""
    return Path(path).parent.is_dir()


def require(patterns: Sequence[str]) -> None:
    """Raise NoSuchLog for the first path that names no log file now."""
    for pattern in patterns:
        if pattern != STANDARD_INPUT and not find([pattern]):
            raise NoSuchLog(path=Path(pattern))


class PlainFile:
    """An open log; its descriptor outlives a rename or a deletion."""

    sequential = False
    """It can only be read front to back at a bearable cost."""

    def __init__(self, path: str) -> None:
        """Open it. Raises OSError."""
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    @property
    def complete(self) -> bool:
        """No byte can follow those that were read."""
        return False

    def read_at(self, offset: int, size: int) -> bytes:
        """Read up to `size` bytes from `offset` on. Raises OSError."""
        return os.pread(self._descriptor, size, offset)

    def status(self) -> os.stat_result:
        """Its size and times now. Raises OSError."""
        return os.fstat(self._descriptor)

    def close(self) -> None:
        """Let it go."""
        os.close(self._descriptor)


class Archive(PlainFile):
    """An open .gz, of one or more members, read front to back; going back starts again at the front."""

    sequential = True

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._rewind()

    def _rewind(self) -> None:
        self._inflate = zlib.decompressobj(wbits=31)
        self._compressed = 0
        self._position = 0
        self._ready = b""
        self._at_member_end = False

    @property
    def consumed(self) -> int:
        """How many bytes on disk were read."""
        return self._compressed

    @property
    def complete(self) -> bool:
        """Its last member was read to its end: it is not still being written, nor cut."""
        return self._at_member_end and self._compressed >= self.status().st_size

    def read_at(self, offset: int, size: int) -> bytes:
        """Read up to `size` bytes of the log from `offset` on; fewer at its end, be it complete or cut.

        Raises OSError, also for bytes that are no gzip.
        """
        if offset < self._position:
            self._rewind()
        while self._position < offset and self._next(min(offset - self._position, COMPARED)):
            pass
        pieces: list[bytes] = []
        while size and (piece := self._next(size)):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def _next(self, size: int) -> bytes:
        """Inflate some bytes, at most `size`; none at the end of what is there."""
        while True:
            try:
                piece = self._inflate.decompress(self._ready, size)
            except zlib.error as error:
                raise OSError(0, f"not a sound gzip archive ({error})") from None
            self._ready = self._inflate.unconsumed_tail
            if self._inflate.eof:
                self._ready = self._inflate.unused_data.lstrip(b"\0")
                self._at_member_end = not self._ready
                self._inflate = zlib.decompressobj(wbits=31)
            if piece:
                self._position += len(piece)
                return piece
            if not self._ready and not self._refill():
                return b""

    def _refill(self) -> bool:
        self._ready = os.pread(self._descriptor, COMPARED, self._compressed)
        self._compressed += len(self._ready)
        self._at_member_end = self._at_member_end and not self._ready
        return bool(self._ready)


class StandardInput(PlainFile):
    """Standard input: what was read before the last offset asked for is gone."""

    sequential = True

    def __init__(self) -> None:
        self._descriptor = 0
        self._start = 0
        self._buffer = b""
        self._ended = False

    @property
    def complete(self) -> bool:
        """Its writer has closed it."""
        return self._ended

    def read_at(self, offset: int, size: int) -> bytes:
        """Return what has arrived of `size` bytes from `offset` on, after a short wait for more. Raises OSError."""
        self._buffer = self._buffer[offset - self._start :]
        self._start = offset
        if (
            len(self._buffer) < size
            and not self._ended
            and select.select([self._descriptor], [], [], 0.05)[0]
        ):
            block = os.read(self._descriptor, size - len(self._buffer))
            self._ended = not block
            self._buffer += block
        return self._buffer[:size]

    def close(self) -> None:
        """Leave it open: it is not ours."""


def open_log(facts: FileFacts) -> PlainFile:
    """Open a log, an archive or standard input. Raises OSError."""
    if facts.path == STANDARD_INPUT:
        return StandardInput()
    return Archive(facts.path) if facts.archive else PlainFile(facts.path)
