"""Blocks of bytes in, lines with their offsets out. Opens nothing.

Only what is incomplete is held, and no more of it than `limit` bytes: a longer line comes out in fragments as it is
read. Whether a line counts as too long depends on its length alone, never on where blocks end.

NUL bytes at the start of a line are no part of it: they are space that was never written (a hole left by a
copy-truncate, a file that its writer has preallocated), and the line starts behind them.
"""

import re
from dataclasses import dataclass

LF = b"\n"
NUL = b"\0"
_NULS = re.compile(rb"\0++")


@dataclass(frozen=True, slots=True)
class Lines:
    """Neighbouring lines, each without its LF. Offsets are bytes from the start of the file."""

    start: int
    lines: list[bytes]
    end: int
    """Where the next line starts."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of one line that is longer than the limit."""

    start: int
    """Where its line starts."""
    data: bytes
    end: int
    """Where the next line starts, if this is the last piece; else where the next piece starts."""
    last: bool


class LineSplitter:
    """Splits one file at LF. A byte is searched once."""

    def __init__(self, offset: int, limit: int) -> None:
        """Start at `offset`, which has to be the start of a line; `limit` is in bytes, without the LF."""
        self._start = offset
        self._position = offset
        self._limit = limit
        self._held: list[bytes] = []
        self._fragmented = False

    @property
    def start(self) -> int:
        """Where the line starts whose end is not known yet."""
        return self._start

    @property
    def position(self) -> int:
        """How far the file has been fed."""
        return self._position

    def feed(self, block: bytes) -> list[Lines | Fragment]:
        """Take the next bytes of the file; return what they complete, in order."""
        if NUL not in block:
            return self._feed(block)
        out: list[Lines | Fragment] = []
        at = 0
        while at < len(block):
            if not self._held and not self._fragmented and (nuls := _NULS.match(block, at)):
                self._position += nuls.end() - at
                self._start = self._position
                at = nuls.end()
            end = block.find(LF + NUL, at) + 1 or len(block)
            out += self._feed(block[at:end])
            at = end
        return out

    def _feed(self, block: bytes) -> list[Lines | Fragment]:
        if not block:
            return []
        at = self._position
        self._position += len(block)
        first, found, rest = block.partition(LF) if self._held or self._fragmented else (b"", b"", block)
        out: list[Lines | Fragment] = []
        if found:
            out.append(self._complete(first, at + len(first) + 1))
        elif first:
            self._held.append(first)
            return self._overflow()
        lines = rest.split(LF)
        last = lines.pop()
        end = self._position - len(last)
        if lines:
            out += self._short(Lines(self._start, lines, end))
        self._start = end
        if last:
            self._held.append(last)
            out += self._overflow()
        return out

    def finish(self) -> Lines | Fragment | None:
        """Return the line that no LF ends, if there is one; the file is final, nothing may be fed after."""
        if not self._held and not self._fragmented:
            return None
        return self._complete(b"", self._position)

    def _complete(self, tail: bytes, end: int) -> Lines | Fragment:
        line = b"".join([*self._held, tail])
        start, fragmented = self._start, self._fragmented
        self._held, self._start, self._fragmented = [], end, False
        if fragmented or len(line) > self._limit:
            return Fragment(start, line, end, last=True)
        return Lines(start, [line], end)

    def _overflow(self) -> list[Lines | Fragment]:
        held = sum(map(len, self._held))
        if not self._fragmented and held <= self._limit:
            return []
        self._fragmented = True
        piece = b"".join(self._held)
        self._held = []
        return [Fragment(self._start, piece, self._position, last=False)]

    def _short(self, lines: Lines) -> list[Lines | Fragment]:
        """Take the lines over the limit out of a run."""
        if max(map(len, lines.lines)) <= self._limit:
            return [lines]
        out: list[Lines | Fragment] = []
        start = lines.start
        for line in lines.lines:
            end = start + len(line) + 1
            out.append(
                Lines(start, [line], end)
                if len(line) <= self._limit
                else Fragment(start, line, end, last=True)
            )
            start = end
        return out
