"""Byte sources: a file, a gzip archive, standard input. Each returns bytes at an offset.

A file's first bytes decide whether it is compressed, whatever its name is.
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
"""Compressed bytes read at once, and inflated bytes skipped at once."""


SLICE = 16 * 1024
"""Compressed bytes passed to zlib at once: it copies what follows the end of a member, and there may be many members."""


def no_pause() -> None:
    """Do nothing."""


class ByteSource(Protocol):
    """Returns bytes at an offset; fewer than requested only at the present end."""

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
"""The first bytes of compressed files.

Only gzip is read. The standard library could read bzip2 and xz, but thirty open archives of 12 MB took 175 and 318 MB of
memory, as gzip 55 MB (measured).
"""


def refuse_compressed(start: bytes) -> None:
    """Raise OSError for the start of a file in another compression format: it must not be cut into lines."""
    name = next((name for magic, name in COMPRESSION_FORMATS.items() if start.startswith(magic)), None)
    if name is not None:
        raise OSError(0, f"compressed with {name}: unpack it")


class FileSource:
    """An open file. The descriptor stays valid after a rename or a deletion."""

    pause: Callable[[], None] = staticmethod(no_pause)
    """Called repeatedly while a read takes long; may raise."""
    sequential = False
    """Reading backwards is expensive or impossible."""

    def __init__(self, descriptor: int) -> None:
        """Read an open descriptor; `close` closes it."""
        self._descriptor = descriptor

    @property
    def complete(self) -> bool:
        """No bytes can follow those that were read."""
        return False

    def read_at(self, offset: int, size: int) -> bytes:
        """Read up to `size` bytes from `offset` on. Raises OSError."""
        block = os.pread(self._descriptor, size, offset)
        if offset == 0:
            refuse_compressed(block)
        return block

    def require_whole(self) -> None:
        """Raise OSError if the file was read to its end and is damaged or incomplete."""

    def status(self) -> os.stat_result:
        """The file's status now. Raises OSError."""
        return os.fstat(self._descriptor)

    def next_data(self, offset: int) -> int | None:
        """Return the next offset that may hold data and is no hole; None if there is none. Raises OSError."""
        try:
            return os.lseek(self._descriptor, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # the rest is a hole, or there is no rest
                return None
            raise

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._descriptor)


class GzipSource(FileSource):
    """An open gzip archive of one or more members, read front to back; going back starts again at the front.

    Damage ends it, as do bytes after a member that are no member; everything before is returned first.
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
        """The last member was read to its end, or the archive is damaged."""
        return self._damage is not None or (self._at_member_end and self._compressed >= self.status().st_size)

    def require_whole(self) -> None:
        """Raise OSError if the archive is damaged or cut short."""
        if self._damage is not None:
            raise OSError(0, self._damage)
        if not self.complete:
            raise OSError(0, f"the archive is cut short after {self._position} bytes of the log")

    def read_at(self, offset: int, size: int) -> bytes:
        """Read up to `size` bytes of the log from `offset` on; fewer at its end, or where it is damaged or cut.

        Raises OSError, also if nothing of the archive can be read.
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
        """Inflate at most `size` bytes; none at the end of the file."""
        while self._damage is None:
            before = self._inflate.copy()
            given = self._ready[self._at : self._at + SLICE]
            try:
                piece = self._inflate.decompress(given, size)
            except zlib.error as error:
                self._inflate = before
                # zlib discards what it inflated before the error: try with less output.
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
    """Standard input: bytes before the last requested offset are discarded."""

    sequential = True

    def __init__(self) -> None:
        self._descriptor = 0
        self._start = 0
        self._buffer = b""
        self._ended = False

    @property
    def complete(self) -> bool:
        """The writer has closed it."""
        return self._ended

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from `offset` on, as far as they arrive within a short wait. Raises OSError."""
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
        """Leave standard input open."""


def open_log(facts: FileFacts) -> FileSource:
    """Open a file, an archive or standard input. Raises OSError: FileNotFoundError if the path names another file now."""
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
    # An archive that is being written may have no first bytes yet: only then does its name decide.
    packed = start.startswith(GZIP) or (facts.archive and GZIP.startswith(start))
    return GzipSource(descriptor) if packed else FileSource(descriptor)


def _open(real: str) -> int:
    """Open a resolved path for reading without following a link in it or waiting for the writer of a FIFO.

    Raises OSError: FileNotFoundError if the path contains a link now.
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
