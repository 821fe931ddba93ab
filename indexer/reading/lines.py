"""Splits blocks of bytes into lines with their offsets. Opens no file.

Only what is incomplete is held, and no more of it than `limit` bytes: a longer line comes out in fragments as it is
read. Whether a line counts as too long depends on its length alone, never on where blocks end.

NUL bytes at the start of a line are no part of it: they are space that was never written (a hole left by a
copy-truncate, a file that its writer has preallocated), and the line starts behind them. So many that no entry has them
(`HOLE`) end a line, too: what is before them was never written to its end. Such NULs are counted, and never held.
"""

import re
from dataclasses import dataclass

LF = b"\n"
NUL = b"\0"
HOLE = 64 * 1024
"""So many NULs in a row end a line."""
_HOLE = HOLE * NUL
_NULS = re.compile(rb"\0*+")


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
        self._nuls = 0
        """NULs at the end of the unfinished line: whether they belong to it depends on how many they will be."""
        self.skipped = 0
        """NULs that are no part of a line."""

    @property
    def start(self) -> int:
        """Where the line starts whose end is not known yet."""
        return self._start

    @property
    def position(self) -> int:
        """How far the file has been fed."""
        return self._position

    @property
    def length(self) -> int:
        """Bytes of that line so far, without NULs at its end."""
        return self._position - self._start - self._nuls

    def feed(self, block: bytes) -> list[Lines | Fragment]:
        """Take the next bytes of the file; return what they complete, in order."""
        if NUL not in block and not self._nuls:
            return self._feed(block)
        out: list[Lines | Fragment] = []
        at, hole, last = 0, -1, len(block.rstrip(NUL))
        while at < len(block):
            nuls = end_of_nuls(block, at) - at
            if nuls:
                self.skip(nuls)
                at += nuls
                continue
            out += self._behind_nuls()
            if hole < at:
                hole = block.find(_HOLE, at) % (len(block) + 1)  # len(block) if there is none
            end = min(block.find(LF + NUL, at) % (len(block) + 1) + 1, hole, last)
            out += self._feed(block[at:end])
            at = end
        return out

    def skip(self, nuls: int) -> None:
        """Take so many NULs, without having to see them."""
        self._position += nuls
        if self._held or self._fragmented:
            self._nuls += nuls
        else:
            self._start = self._position
            self.skipped += nuls

    def _behind_nuls(self) -> list[Lines | Fragment]:
        """Decide what NULs in the unfinished line are: part of it, or a hole that ends it."""
        nuls, self._nuls = self._nuls, 0
        if nuls >= HOLE:
            self.skipped += nuls
            return [self._complete(b"", self._position)]
        if nuls:
            self._held.append(bytes(nuls))
            return self._overflow()
        return []

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
        nuls, self._nuls = self._nuls, 0
        return self._complete(bytes(nuls) if nuls < HOLE else b"", self._position)

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


def end_of_nuls(block: bytes, at: int) -> int:
    """Where NULs end that start there."""
    found = _NULS.match(block, at)
    return found.end() if found else at
