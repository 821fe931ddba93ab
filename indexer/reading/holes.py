"""NUL bytes in a log: space that its writer will fill, or a hole that stays.

A writer that preallocates leaves NULs behind its last line; a copy-truncate or a crash leaves a hole before the next one.
NULs with nothing behind them are the end of the content. NULs with content behind them count as a hole once the file has
been quiet for `QUIET` seconds, or after `FILLED_WITHIN` seconds though it grows.
"""

from indexer.reading.lines import LF, NUL
from indexer.reading.sources import FileSource

AHEAD = 256 * 1024
LOOKS_AHEAD = 8
"""Content behind NULs is searched for in so many parts of `AHEAD` bytes, of what the file system holds as data."""
QUIET = 5.0
"""Seconds without growth after which a rotated or deleted file is complete, NULs are a hole, and a copy is complete."""
FILLED_WITHIN = 60.0
"""Seconds after which NULs with content behind them are a hole, though the file goes on growing."""


class HoleDetector:
    """Tells which NULs of one open file will stay."""

    def __init__(self, source: FileSource) -> None:
        self._source = source
        self._end = 0
        """NULs before this offset will stay."""
        self._since: float | None = None
        """When waiting for the present NULs began."""
        self.content_end: int | None = None
        """Where the content ends, if preallocated NULs are behind it."""

    @property
    def waiting(self) -> bool:
        """The reader is at NULs that may yet be overwritten."""
        return self._since is not None

    def reset(self) -> None:
        """The reader is at the end of the file."""
        self._since = None

    def readable(self, block: bytes, start: int, now: float, quiet: float, *, settled: bool) -> int:
        """Return how many bytes of a block hold no part of a line whose NULs may yet be overwritten.

        `start` is the block's offset, `quiet` the seconds since the file last grew; `settled` tells that nobody writes
        to it any more. Raises OSError.
        """
        decided = self.decided(block, start, now, quiet, settled=settled)
        if decided == len(block):
            self.content_end = None
            return decided
        lines = block.rfind(LF, 0, decided) + 1
        self.content_end = None if self.waiting else start + lines
        return lines

    def decided(self, block: bytes, start: int, now: float, quiet: float, *, settled: bool) -> int:
        """Return how many bytes of a block come before NULs that may yet be overwritten. Raises OSError."""
        if NUL not in block or self._source.sequential:
            return len(block)
        while (at := block.find(NUL, max(0, self._end - start))) >= 0:
            end = start + len(block)
            if not settled:
                behind = self._content_behind(block[at:], start + at)
                if behind is None:
                    self._since = None
                if behind is None or not self._waited(now, quiet):
                    return at
                end = behind
            self._end = end
        return len(block)

    def end_of(self, position: int, *, settled: bool) -> int:
        """Return where the hole at `position` ends, as far as it will stay. Raises OSError."""
        end = self._source.next_data(position)
        end = self._source.status().st_size if end is None else end
        return end if settled else min(end, self._end)

    def _waited(self, now: float, quiet: float) -> bool:
        if self._since is None:
            self._since = now
        since = now - self._since
        return since >= FILLED_WITHIN or min(since, quiet) >= QUIET

    def _content_behind(self, hole: bytes, start: int) -> int | None:
        """Return where NULs that begin at `start` end; None if nothing is behind them. Raises OSError."""
        rest = hole.lstrip(NUL)
        end = start + len(hole)
        for _ in range(LOOKS_AHEAD):
            if rest:
                return end - len(rest)
            at = self._source.next_data(end)
            if at is None:
                return None
            ahead = self._source.read_at(at, AHEAD)
            rest = ahead.lstrip(NUL)
            end = at + len(ahead)
        if rest or self._source.read_at(self._source.status().st_size - 1, 1) != NUL:
            return end - len(rest)
        return None
