"""Chunks that are delivered and not sealed yet, in files of the state directory.

A position counts the bytes of all chunks since the journal began. A file is named after the position of its first byte and
holds leaves, a line each, after their CRC-32 and a space. It is synced before the checkpoint is written, which names the
position: what lies beyond is read, delivered and written again after a crash, and dropped when the journal is opened.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from zlib import crc32

from indexer.seals.leaves import Chunk, now, own_chunk
from indexer.writing.checkpoint import sync_directory

FILE_BYTES = 1024 * 1024
"""Size above which a new file is begun: what is sealed is removed by whole files."""
_NAME = "journal-{:016d}"


class Journal:
    """Written by the thread that delivers, read by the one that seals."""

    def __init__(self, directory: Path, delivered: int | None, sealed: int) -> None:
        """Open the journal; keep what lies before the position `delivered`, or all if None. Raises OSError.

        What comes next gets a position behind `sealed` in any case, even if the checkpoint is older.
        """
        self._directory = directory
        for start, path in _files(directory):
            if delivered is not None and start >= delivered:
                path.unlink()
            elif delivered is not None and start + path.stat().st_size > delivered:
                os.truncate(path, delivered - start)
        files = _files(directory)
        end = files[-1][0] + files[-1][1].stat().st_size if files else 0
        self.end = max(end, delivered or 0, sealed)
        """The position behind the last chunk."""
        self._start = files[-1][0] if files and end == self.end else self.end

    def append(self, chunks: Iterable[Chunk]) -> None:
        """Add chunks durably. Raises OSError, and then none is added."""
        if self.end - self._start >= FILE_BYTES:
            self._start = self.end
        time = now()
        data = b"".join(map(_line, (chunk.leaf(time) for chunk in chunks)))
        path = self._directory / _NAME.format(self._start)
        created = not path.exists()
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
            file.seek(self.end - self._start)  # over what a failed write has left
            file.truncate()
            file.write(data)
            file.flush()
            os.fdatasync(file.fileno())
        if created:
            sync_directory(self._directory)
        self.end += len(data)

    def read(self, start: int, end: int, most: int) -> Iterator[tuple[Chunk | None, int]]:
        """The chunks between two positions, each with the position behind it; `most` bytes of them, or one chunk.

        None stands for one that is damaged. Raises OSError.
        """
        return read(self._directory, start, end, most)

    def joined(self, start: int, end: int, most: int, lines: int) -> Iterator[Chunk]:
        """All chunks between two positions, read `most` bytes at a time, joined up to `lines` lines. Raises OSError."""
        while start < end:
            taken = list(self.read(start, end, most))
            yield from joined((chunk for chunk, _ in taken if chunk is not None), lines)
            start = taken[-1][1] if taken else end

    def drop(self, position: int) -> None:
        """Remove files whose chunks all lie before a position. Raises OSError."""
        for start, path in _files(self._directory):
            if start + path.stat().st_size <= position and start != self._start:
                path.unlink()


def read(directory: Path, start: int, end: int, most: int) -> Iterator[tuple[Chunk | None, int]]:
    """Read a journal that another process may be writing, as `Journal.read` does. Raises OSError."""
    left = most
    for first, path in _files(directory):
        with path.open("rb") as file:
            file.seek(max(0, start - first))
            at = max(start, first)
            for line in file:
                at += len(line)
                if at > end or left <= 0:
                    return
                yield _chunk(line), at
                left -= len(line)


def _files(directory: Path) -> list[tuple[int, Path]]:
    return sorted((int(path.name[-16:]), path) for path in directory.glob("journal-*"))


def _line(leaf: bytes) -> bytes:
    return b"%08x %b\n" % (crc32(leaf), leaf)


def _chunk(line: bytes) -> Chunk | None:
    leaf = line[9:].removesuffix(b"\n")
    return own_chunk(leaf) if line == _line(leaf) else None


def joined(chunks: Iterable[Chunk], most: int) -> Iterator[Chunk]:
    """Join chunks of one file that follow each other, up to `most` lines. Chunks of several files may be mixed."""
    waiting: dict[tuple[str, str, str], Chunk] = {}
    for chunk in chunks:
        key = chunk.file, chunk.path, chunk.index
        before = waiting.pop(key, None)
        if before is not None and before.joins(chunk):
            chunk = before + chunk  # noqa: PLW2901
        elif before is not None:
            yield before
        if chunk.lines is not None and chunk.lines.count >= most:
            yield chunk
        else:
            waiting[key] = chunk
    yield from waiting.values()
