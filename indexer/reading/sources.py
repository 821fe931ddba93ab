"""How the bytes of a log are reached: a file, an archive, standard input. Each gives bytes at an offset.

Whether a file is compressed is told by its first bytes, whatever its name is.
"""

import errno
import os
import select
import stat
import zlib
from collections.abc import Callable
from typing import Protocol

from indexer.reading.files import STANDARD_INPUT, FileFacts
from indexer.reading.lines import end_of_nuls

CHUNK = 1024 * 1024
"""Compressed bytes read at once, and inflated bytes passed over at once."""


SLICE = 16 * 1024
"""Compressed bytes given to zlib at once: what is behind the end of a member is copied, and there may be many members."""


def no_pause() -> None:
    """Go on at once."""


class ByteSource(Protocol):
    """Bytes of a log at an offset: fewer than asked for only at its present end."""

    def read_at(self, offset: int, size: int) -> bytes:
        """Read up to `size` bytes from `offset` on. Raises OSError."""


GZIP = b"\x1f\x8b"
COMPRESSION_FORMATS = {
    GZIP: "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!\x1a\x07": "rar",
    b"LZIP": "lzip",
    b"\x89LZO": "lzop",
    b"\x1f\x9d": "compress",
}
"""What files begin with that are compressed.

Only gzip is read. The standard library could read bzip2 and xz, but each open archive takes 4 to 65 MB: thirty of 12 MB
that are read in turn took 175 and 318 MB, as gzip 55 MB (measured).
"""


def refuse_compressed(start: bytes) -> None:
    """Raise OSError for what begins like a compressed file: it must not be cut into lines."""
    name = next((name for magic, name in COMPRESSION_FORMATS.items() if start.startswith(magic)), None)
    if name is not None:
        raise OSError(0, f"compressed with {name}: unpack it")


class FileSource:
    """An open log; its descriptor outlives a rename or a deletion."""

    pause: Callable[[], None] = staticmethod(no_pause)
    """Called again and again while nothing is found to give; may raise."""
    sequential = False
    """It can only be read front to back at a bearable cost."""

    def __init__(self, descriptor: int) -> None:
        """Read what is open already; it is closed by `close`."""
        self._descriptor = descriptor

    @property
    def complete(self) -> bool:
        """No byte can follow those that were read."""
        return False

    def read_at(self, offset: int, size: int) -> bytes:
        """Read up to `size` bytes from `offset` on. Raises OSError."""
        block = os.pread(self._descriptor, size, offset)
        if offset == 0:
            refuse_compressed(block)
        return block

    def require_whole(self) -> None:
        """Raise OSError if what was read to its end is not all that it should hold."""

    def status(self) -> os.stat_result:
        """Its size and times now. Raises OSError."""
        return os.fstat(self._descriptor)

    def next_data(self, offset: int) -> int | None:
        """Where bytes may follow, from `offset` on, that are not NULs; None if none do. Raises OSError."""
        try:
            return os.lseek(self._descriptor, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # the rest is a hole, or there is no rest
                return None
            raise

    def close(self) -> None:
        """Let it go."""
        os.close(self._descriptor)


class GzipSource(FileSource):
    """An open gzip archive of one or more members, read front to back; going back starts again at the front.

    What is damaged, or is no archive behind the end of one, ends it: what lies before is given first.
    """

    sequential = True

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._rewind()

    def _rewind(self) -> None:
        self._inflate = zlib.decompressobj(wbits=31)
        self._compressed = 0
        self._position = 0
        self._ready = b""
        self._at = 0
        self._at_member_end = False
        self._damage: str | None = None

    @property
    def consumed(self) -> int:
        """How many bytes on disk were read."""
        return self._compressed

    @property
    def complete(self) -> bool:
        """No byte can follow: its last member was read to its end, so it is not still being written; or it is damaged."""
        return self._damage is not None or (self._at_member_end and self._compressed >= self.status().st_size)

    def require_whole(self) -> None:
        """Raise OSError if it was read to where it is damaged or cut."""
        if self._damage is not None:
            raise OSError(0, self._damage)
        if not self.complete:
            raise OSError(0, f"the archive is cut short after {self._position} bytes of the log")

    def read_at(self, offset: int, size: int) -> bytes:
        """Read up to `size` bytes of the log from `offset` on; fewer at its end, be it complete, damaged or cut.

        Raises OSError, also for an archive of which nothing can be read.
        """
        if offset < self._position:
            self._rewind()
        while self._position < offset and self._next(min(offset - self._position, CHUNK)):
            self.pause()
        pieces: list[bytes] = []
        while size and self._position >= offset and (piece := self._next(size)):
            pieces.append(piece)
            size -= len(piece)
        if self._damage is not None and not self._position:
            raise OSError(0, self._damage)
        return b"".join(pieces)

    def _next(self, size: int) -> bytes:
        """Inflate some bytes, at most `size`; none at the end of what is there."""
        while self._damage is None:
            before = self._inflate.copy()
            given = self._ready[self._at : self._at + SLICE]
            try:
                piece = self._inflate.decompress(given, size)
            except zlib.error as error:
                self._inflate = before
                # What it had inflated is lost with the error: less of it comes before the damage.
                if size > 1:
                    size //= 2
                    continue
                self._damage = f"not a sound gzip archive after {self._position} bytes of the log ({error})"
                break
            ended = self._inflate.eof
            left = self._inflate.unused_data if ended else self._inflate.unconsumed_tail
            self._at += len(given) - len(left)
            if ended:
                self._at = end_of_nuls(self._ready, self._at)
                self._at_member_end = self._at == len(self._ready)
                self._inflate = zlib.decompressobj(wbits=31)
            if piece:
                self._position += len(piece)
                return piece
            if self._at == len(self._ready) and not self._refill():
                break
            self.pause()
        return b""

    def _refill(self) -> bool:
        block = os.pread(self._descriptor, CHUNK, self._compressed)
        self._compressed += len(block)
        self._ready = block
        self._at = end_of_nuls(block, 0) if self._at_member_end else 0
        self._at_member_end = self._at_member_end and self._at == len(block)
        return bool(block)


class StdinSource(FileSource):
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
        if offset == 0:
            refuse_compressed(self._buffer)
        return self._buffer[:size]

    def close(self) -> None:
        """Leave it open: it is not ours."""


def open_log(facts: FileFacts) -> FileSource:
    """Open a log, an archive or standard input. Raises OSError: FileNotFoundError if the path names another file now."""
    if facts.path == STANDARD_INPUT:
        return StdinSource()
    descriptor = _open(facts.real or os.path.realpath(facts.path))
    try:
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) != facts.key or not stat.S_ISREG(status.st_mode):
            raise FileNotFoundError(errno.ENOENT, "It is another file now", facts.path)
        start = os.pread(descriptor, len(GZIP), 0)
    except OSError:
        os.close(descriptor)
        raise
    # One that is being made may have no first bytes yet: only then does its name count.
    packed = start.startswith(GZIP) or (facts.archive and GZIP.startswith(start))
    return GzipSource(descriptor) if packed else FileSource(descriptor)


def _open(real: str) -> int:
    """Open a resolved path to read, without following a link in it, and without waiting for the writer of a FIFO.

    Raises OSError: FileNotFoundError if there is a link now.
    """
    inside = os.open("/", os.O_PATH | os.O_CLOEXEC)
    *directories, name = (part for part in real.split("/") if part)
    try:
        for directory in directories:
            outside, inside = inside, os.open(directory, _DIRECTORY, dir_fd=inside)
            os.close(outside)
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=inside)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR}:
            raise FileNotFoundError(errno.ENOENT, "It is another file now", real) from None
        raise
    finally:
        os.close(inside)


_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
