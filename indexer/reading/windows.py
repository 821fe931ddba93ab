"""How the bytes of a log are reached: a file, an archive, standard input. Each gives bytes at an offset."""

import errno
import os
import select
import zlib
from typing import Protocol

from indexer.reading.files import FileFacts
from indexer.settings import STANDARD_INPUT

CHUNK = 1024 * 1024
"""Compressed bytes read at once, and inflated bytes passed over at once."""


class Window(Protocol):
    """Bytes of a log at an offset: fewer than asked for only at its present end."""

    def read_at(self, offset: int, size: int) -> bytes:
        """Read up to `size` bytes from `offset` on. Raises OSError."""


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
        while self._position < offset and self._next(min(offset - self._position, CHUNK)):
            pass
        if self._position < offset:
            return b""
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
        block = os.pread(self._descriptor, CHUNK, self._compressed)
        self._compressed += len(block)
        self._ready = block.lstrip(b"\0") if self._at_member_end else block
        self._at_member_end = self._at_member_end and not self._ready
        return bool(block)


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
    """Open a log, an archive or standard input. Raises OSError: FileNotFoundError if the path names another file now."""
    if facts.path == STANDARD_INPUT:
        return StandardInput()
    window = Archive(facts.path) if facts.archive else PlainFile(facts.path)
    status = window.status()
    if (status.st_dev, status.st_ino) != facts.key:
        window.close()
        raise FileNotFoundError(errno.ENOENT, "It is another file now", facts.path)
    return window
