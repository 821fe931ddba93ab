"""Reading one open file: blocks of bytes become batches of entries, and the bytes before each block are verified."""

import time
import zlib
from collections.abc import Sequence

from indexer.reading import identity
from indexer.reading.batch import START, AckPosition, OversizedFragment, Place, ReadBatch, Spool
from indexer.reading.entries import Entries, entries_of, entry_id, offset_of
from indexer.reading.files import STANDARD_INPUT, FileFacts
from indexer.reading.holes import QUIET, HoleDetector
from indexer.reading.identity import FileRecord
from indexer.reading.lines import LF, NUL, Fragment, Lines, LineSplitter
from indexer.reading.sources import FileSource

BLOCK = 256 * 1024
"""Bytes read at once. 1 MiB is no faster (measured), and takes more memory."""
NO_ROOM = (
    "a line of at least {size:,} bytes, longer than --max-line-bytes, finds no room in the state directory: "
    "raise --max-spool-bytes, or make room there (`indexer rejected`)"
)


class Changed(Exception):  # noqa: N818 - an observation, not an error
    """The file no longer holds what was read from it."""


class LogReader:
    """Reads one open file from a place on."""

    def __init__(
        self, number: int, facts: FileFacts, source: FileSource, limit: int, spool: Spool | None, now: float
    ) -> None:
        """`limit` is the longest line in bytes; longer ones go to the spool as fragments."""
        self.number = number
        self.facts = facts
        self.source = source
        self.rotated = facts.rotated
        self.changed_at = now - max(0.0, time.time() - facts.modified) if facts.rotated else now
        self.read_to = START
        """How far the file is read, in whole lines."""
        self.needs = 0
        """Bytes of an oversized line for which the spool has no room."""
        self.skipped = 0
        """NULs that were passed over."""
        self.holes = HoleDetector(source)
        self.seen: tuple[int, int] | None = None
        """Size and modification time at the last look; of a file that has changed, those of its former content."""
        self._intact: tuple[int, int] | None = None
        self._record: FileRecord | None = None
        self._limit = limit
        self._spool = spool
        self._splitter = LineSplitter(0, limit)
        self._caught_up = True
        self._dry = False
        self._recent = b""
        """The last bytes before the position."""
        self._long_line: int | None = None
        """Checksum of the fragments of the present oversized line."""

    def start(self, record: FileRecord, place: Place) -> None:
        """Read on from a place of the file that `record` describes. Raises OSError."""
        self._record = record
        self._splitter = LineSplitter(place.offset, self._limit)
        self.read_to = place
        self._long_line = None
        self._caught_up = False
        start = max(0, place.offset - identity.TAIL)
        self._recent = self.source.read_at(start, place.offset - start)

    @property
    def position(self) -> int:
        """Offset up to which the file is read."""
        return self._splitter.position

    @property
    def line_start(self) -> int:
        """Offset of the line whose end is not read yet."""
        return self._splitter.start

    @property
    def behind(self) -> bool:
        """The last read did not reach the end of the file."""
        return not self._caught_up and self.holes.content_end is None

    def is_settled(self, now: float, *, once: bool) -> bool:
        """Tell whether nobody writes to the file any more."""
        return once or (self.rotated and now - self.changed_at >= QUIET)

    def has_changed(self, now: float) -> bool:
        """Tell whether the file may have changed since the last call. Raises OSError."""
        if self.facts.path == STANDARD_INPUT:
            return not self._dry
        status = self.source.status()
        seen = (status.st_size, status.st_mtime_ns)
        if seen == self.seen:
            return False
        if self.seen is not None:
            self.changed_at = now
        self.seen = seen
        return True

    def read(self, now: float, *, once: bool, until: int | None = None) -> tuple[int, ReadBatch | None]:
        """Read a block; return its size and what it completes. Raises OSError, Changed.

        With `until`, at most up to that offset, in a file whose lines are compared and not sent.
        """
        changed = self.has_changed(now)
        if (self._caught_up and not changed) or self._lacks_room(changed=changed):
            return 0, None
        most = BLOCK if until is None else min(until - self.position, BLOCK)
        found = self._next_block(most)
        block = found if until is not None else found[: self._readable(found, now, once=once)]
        self._caught_up = len(block) == len(found) < most
        if self._caught_up:
            self.holes.reset()
        self._dry = not found and self.source.complete
        if until is None and not (block := self._fitting(block, once=once)):
            return 0, None
        if not block:
            return 0, None
        start, before = self.read_to.offset, self._recent
        skipped = self._splitter.skipped
        parts = self._splitter.feed(block)
        if until is None and not (self.source.sequential or block.strip(NUL) or len(block) < identity.TAIL):
            end = self.holes.end_of(self.position, settled=self.is_settled(now, once=once))
            self._splitter.skip(max(0, end - self.position))
        self.skipped += self._splitter.skipped - skipped
        self._recent = (
            block[-identity.TAIL :] if len(block) >= identity.TAIL else (before + block)[-identity.TAIL :]
        )
        completed = self._splitter.start > start or parts
        return len(block), self._batch(parts, block, before) if completed else None

    def finish(self) -> ReadBatch | None:
        """Close the file; return a last line without line end as an entry.

        The delivered offset stays before that line, so that it is read again should it be completed after all.
        """
        part = self._splitter.finish()
        self.source.close()
        if part is None:
            return None
        entries, fragments = self._lines([part])
        return self._made(entries, fragments, self.read_to, 0)

    def is_decided(self, head: bytes, now: float, *, once: bool) -> bool:
        """Tell whether NULs in the file's first bytes will stay. Raises OSError."""
        settled = self.is_settled(now, once=once)
        return self.holes.decided(head, 0, now, now - self.changed_at, settled=settled) == len(head)

    # ---- blocks

    def _next_block(self, size: int) -> bytes:
        if self.source.sequential:
            return self.source.read_at(self.position, size)
        # The bytes before the block and the first line, read after it, prove that it belongs to the same file. The bytes
        # before would not do alone: lines that differ only in their time end alike.
        known = len(self._recent)
        block = self.source.read_at(self.position - known, known + size)
        if not block.startswith(self._recent) or not identity.starts_like(self.source, self._known()):
            self.seen = self._intact
            raise Changed
        self._intact = self.seen
        return block[known:]

    def _readable(self, block: bytes, now: float, *, once: bool) -> int:
        settled = self.is_settled(now, once=once)
        return self.holes.readable(block, self.position, now, now - self.changed_at, settled=settled)

    def _known(self) -> FileRecord:
        assert self._record is not None  # noqa: S101 - only an identified file is read
        return self._record

    # ---- oversized lines

    def _lacks_room(self, *, changed: bool) -> bool:
        """Tell whether the spool still has no room for an oversized line. Raises OSError, Changed."""
        if not self.needs or self._spool is None:
            return False
        shorter = False
        if changed and not self.source.sequential:
            self._next_block(0)  # verifies the file
            shorter = self.source.status().st_size < self.position + self.needs
        if shorter or self._spool.room() >= self.needs:
            self.needs = 0
        return self.needs > 0

    def _fitting(self, block: bytes, *, once: bool) -> bytes:
        """Return what of a block the spool has room for: all, or the lines before the first oversized one.

        If that is the first line, the file waits before it; its spooled fragments are removed. Raises OSError with `once`.
        """
        length = self._splitter.length
        if self._spool is None or length + len(block) <= self._limit:
            return block
        room, at = self._spool.room() + (0 if self._long_line is None else length), 0
        for part in block.split(LF):
            size = len(part.strip(NUL)) + (0 if at else length)
            room -= size if size > self._limit else 0
            if room < 0:
                break
            at += len(part) + 1
        else:
            return block
        self._caught_up = False
        if at:
            return block[:at]
        if self._long_line is not None:
            self._spool.discard(self._line_name(self._splitter.start))
        if once:
            raise OSError(0, NO_ROOM.format(size=size))
        self.needs = size
        self.start(self._known(), self.read_to)
        return b""

    def _line_name(self, start: int) -> str:
        return f"{self._known().generation:08x}{start:012x}-{self.number}"

    # ---- batches

    def _batch(self, parts: Sequence[Lines | Fragment], block: bytes, before: bytes) -> ReadBatch:
        """Make a batch of what a block completes; `before` are the bytes before the block."""
        start, end = self.read_to.offset, self._splitter.start
        entries, fragments = self._lines(parts)
        complete = len(block) - (self._splitter.position - end)
        tail = self.read_to.tail
        if complete > 0:
            last = block[max(0, complete - identity.TAIL) : complete]
            tail = zlib.crc32(last if len(last) == identity.TAIL else (before + last)[-identity.TAIL :])
        self.read_to = Place(end, tail, _digest(entries, fragments, self.read_to.digest))
        return self._made(entries, fragments, self.read_to, end - start)

    def _lines(self, parts: Sequence[Lines | Fragment]) -> tuple[Entries, list[OversizedFragment]]:
        generation = self._known().generation
        fragments: list[OversizedFragment] = []
        found = Entries()
        for part in parts:
            if isinstance(part, Lines):
                more = entries_of(part, generation, self.facts.name)
                found = found + more if found.lines else more
            else:
                checksum = zlib.crc32(part.data, self._long_line or 0)
                line_id = entry_id(generation, part.start, checksum).decode() if part.last else None
                name = self._line_name(part.start)
                first = self._long_line is None
                fragments.append(
                    OversizedFragment(self.facts.name, name, part.start, part.data, first, line_id)
                )
                self._long_line = None if part.last else checksum
        return found, fragments

    def _made(
        self, entries: Entries, fragments: Sequence[OversizedFragment], end: Place, size: int
    ) -> ReadBatch:
        too_long = sum(fragment.id is not None for fragment in fragments)
        position = AckPosition(self.number, end, size, entries.blank, too_long)
        return ReadBatch(
            position, self.facts.name, self._known().generation, entries, fragments, size > 0 or self.rotated
        )


def _digest(entries: Entries, fragments: Sequence[OversizedFragment], before: int | None) -> int | None:
    """Continue the checksum of all lines' ids, in the order of the lines."""
    if before is None:
        return None
    refused = [rejection.id for rejection in entries.rejections] + [it.id for it in fragments if it.id]
    if not refused:
        return zlib.crc32(b"".join(entries.ids), before)
    ids = sorted([identity.decode() for identity in entries.ids] + refused, key=offset_of)
    return zlib.crc32("".join(ids).encode(), before)
