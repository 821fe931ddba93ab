"""One open log file on its way: blocks become runs of entries, acknowledged marks become what is remembered."""

import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from indexer.events import LogProgress, Recognition
from indexer.reading import identity
from indexer.reading.entries import Entries, entries_of, entry_id, offset_of
from indexer.reading.files import STANDARD_INPUT, FileFacts
from indexer.reading.identity import START, FileRecord, Place
from indexer.reading.lines import LF, NUL, Fragment, Lines, LineSplitter
from indexer.reading.sources import FileSource, GzipSource, open_log

BLOCK = 256 * 1024
"""Bytes read at once. 1 MiB is no faster (measured), and takes more memory."""
AHEAD = 256 * 1024
LOOKS_AHEAD = 8
"""Behind NULs, something else is looked for in so many pieces, of so many bytes, of what the file system takes for data."""
QUIET = 5.0
"""Seconds without growth after which a rotated or deleted file is final, a hole is one, and a copy is complete."""
FILLED_WITHIN = 60.0
"""Seconds after which NUL bytes with others behind them are a hole, though the file goes on growing."""


@dataclass(frozen=True, slots=True)
class OversizedFragment:
    """A part of a line too long to hold, on its way to where rejected lines are kept."""

    file: str
    name: str
    """The same for all pieces of a line, and for no other log's, though it may have the same line."""
    start: int
    data: bytes
    first: bool
    id: str | None
    """The line's id, known with its last piece."""


@dataclass(frozen=True, slots=True)
class AckPosition:
    """The end of a run, to be given back to the reader once the run is delivered."""

    log: int
    """The number of its log."""
    end: Place
    """What is delivered then."""
    size: int
    """Bytes of the log that the run's lines are."""
    blank: int
    """Lines that were blank."""
    too_long: int
    """Lines that came in pieces."""


@dataclass(frozen=True, slots=True)
class ReadBatch:
    """Neighbouring lines of one file: what reading hands to writing."""

    mark: AckPosition
    file: str
    entries: Entries
    fragments: Sequence[OversizedFragment]
    final: bool
    """They are complete lines, or the last of a file that grows no more."""


class Spool(Protocol):
    """Where lines too long to hold go."""

    def room(self) -> int:
        """Bytes that it takes now."""

    def discard(self, name: str) -> None:
        """Forget the pieces of a line that is not complete. Raises OSError."""


NO_ROOM = (
    "a line of at least {size:,} bytes, longer than --max-line-bytes, finds no room in the state directory: "
    "raise --max-spool-bytes, or make room there (`indexer rejected`)"
)


class Changed(Exception):  # noqa: N818 - an observation, not an error
    """The file no longer holds what was read from it."""


class Log:
    """One open log file: what it is, how far it is read, how far it is delivered."""

    def __init__(
        self,
        number: int,
        facts: FileFacts,
        limit: int,
        now: float,
        source: FileSource | None = None,
        spool: Spool | None = None,
    ) -> None:
        """Open it, unless its window is open already; `limit` is the longest line in bytes. Raises OSError."""
        self.number = number
        self.facts = facts
        self.source = source or open_log(facts)
        self.record: FileRecord | None = None
        """Who it is; None until its first line is complete, or while it is compared."""
        self.recognition = Recognition.NEW
        self.ended = False
        """It was read to its end."""
        self.rotated = facts.rotated
        self.gone = False
        self.pending = 0
        """Runs on their way."""
        self.opened_at = now
        self.changed_at = now - max(0.0, time.time() - facts.modified) if facts.rotated else now
        self._limit = limit
        self._spool = spool
        self.needs = 0
        """Bytes of a line too long to hold, of which it waits that there is room for them."""
        self.skipped = 0
        """NULs that were passed over."""
        self._splitter = LineSplitter(0, limit)
        self._read = START
        """How far it is read, in whole lines."""
        self._seen: tuple[int, int] | None = None
        """Its size and when it was written, as last looked at; of a file that has changed, when it was last itself."""
        self._intact: tuple[int, int] | None = None
        self._written: int | None = None
        """Where its content ends: behind are NULs that its writer has preallocated."""
        self._hole_end = 0
        """NULs before it will stay."""
        self._hole_since: float | None = None
        """Since when it has waited for NULs to be written over."""
        self._caught_up = True
        self._dry = False
        self._recent = b""
        self._long_line: int | None = None
        self._compared_since = now
        self._compared: FileRecord | None = None
        """Who it will be, once it is known up to where it agrees with what is known."""
        self._places: dict[int, set[int]] = {}
        self._agreed = START

    # ---- who it is

    def begin(self, record: FileRecord, place: Place) -> None:
        """Be this log, and go on from a place: what is before it is not read again. Raises OSError."""
        self.record = replace(record, offset=place.offset, tail=place.tail, digest=place.digest, ended=False)
        self._start_at(place)

    def compare(
        self, record: FileRecord, places: Mapping[int, set[int]], now: float, otherwise: Recognition
    ) -> None:
        """Be this log, and go on from the furthest of some places up to which it holds the very lines.

        `otherwise` is what it is if there is no such place.
        """
        self.recognition = otherwise
        self._compared, self._compared_since = record, now
        self._places = dict(places)
        self._start_at(START)

    @property
    def comparing(self) -> bool:
        """It is read without being sent."""
        return self._compared is not None

    def _start_at(self, place: Place) -> None:
        self._splitter = LineSplitter(place.offset, self._limit)
        self._read = place
        self._long_line = None
        self._caught_up = False
        start = max(0, place.offset - identity.TAIL)
        self._recent = self.source.read_at(start, place.offset - start)

    def is_complete(self, now: float, *, once: bool) -> bool:
        """Tell whether a copy that ends before the next place is not being made any more. Raises OSError."""
        waited = now - self._compared_since
        return (
            self.is_final(now, once=once)
            or min(waited, now - self.changed_at) >= QUIET
            or waited >= FILLED_WITHIN
        )

    def decide(self) -> None:
        """End comparing: what follows is sent. Raises OSError."""
        if self._compared is not None:
            self.begin(self._compared, self._agreed)
        self._compared = None

    def _hold_against(self) -> None:
        """Tell, at one of the places, whether it agrees."""
        digests = self._places.pop(self.position)
        if self._read.offset == self.position and self._read.digest in digests:
            self._agreed = self._read
        if not self._places:
            self.decide()

    # ---- reading

    @property
    def position(self) -> int:
        """How far it is read, in bytes of the log."""
        return self._splitter.position

    @property
    def behind(self) -> bool:
        """There was more to read than was read last."""
        return not self._caught_up and self._written is None

    @property
    def waits(self) -> bool:
        """It is at a hole that may yet be filled."""
        return self._hole_since is not None

    def grown(self, now: float) -> bool:
        """Tell whether it may have changed since this was last asked. Raises OSError."""
        if self.facts.path == STANDARD_INPUT:
            return not self._dry
        status = self.source.status()
        seen = (status.st_size, status.st_mtime_ns)
        if seen == self._seen:
            return False
        if self._seen is not None:
            self.changed_at = now
        self._seen = seen
        return True

    def read(self, now: float, *, once: bool) -> tuple[int, ReadBatch | None]:
        """Read a block; return how many bytes it had and what it completes. Raises OSError, Changed."""
        grown = self.grown(now)
        if (self._caught_up and not grown) or self._lacks_room(grown=grown):
            return 0, None
        most = min(min(self._places) - self.position, BLOCK) if self.comparing else BLOCK
        read = self._next_block(most)
        block = read if self.comparing else read[: self._whole(read, now, once=once)]
        self._caught_up = len(block) == len(read) < most
        if self._caught_up:
            self._hole_since = None
        self._dry = not read and self.source.complete
        if not (block := self._fitting(block, once=once)):
            return 0, None
        start, before, skipped = self._read.offset, self._recent, self._splitter.skipped
        parts = self._splitter.feed(block)
        if not (self.comparing or self.source.sequential or block.strip(NUL) or len(block) < identity.TAIL):
            self._skip_hole(now, once=once)
        self.skipped += self._splitter.skipped - skipped
        self._recent = (
            block[-identity.TAIL :] if len(block) >= identity.TAIL else (before + block)[-identity.TAIL :]
        )
        run = self._run(parts, block, before) if self._splitter.start > start or parts else None
        if self.comparing:
            if self.position in self._places:
                self._hold_against()
            return len(block), None
        if run is not None:
            self.pending += 1
        return len(block), run

    def finish(self) -> ReadBatch | None:
        """The file is final: try a last line without line end as an entry, and let the file go.

        What is delivered stays before it, so that it is read again should it be completed after all.
        """
        part = self._splitter.finish()
        self.source.close()
        if part is None:
            return None
        self.pending += 1
        entries, fragments = self._lines([part])
        return self._made(entries, fragments, self._read, 0)

    def _lacks_room(self, *, grown: bool) -> bool:
        """Tell whether it still waits for room for a line too long to hold. Raises OSError, Changed."""
        if not self.needs or self._spool is None:
            return False
        shorter = False
        if grown and not self.source.sequential:
            self._next_block(0)  # is it what it was?
            shorter = self.source.status().st_size < self.position + self.needs
        if shorter or self._spool.room() >= self.needs:
            self.needs = 0
        return self.needs > 0

    def _fitting(self, block: bytes, *, once: bool) -> bytes:
        """What of a block there is room for: all, or the lines before the first one that is too long to hold.

        If that is the first, the log waits before it; what it has spooled of it is taken back, so that it is in nobody's
        way. Raises OSError with `once`.
        """
        length = self._splitter.length
        if self._spool is None or self.comparing or length + len(block) <= self._limit:
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
        self._start_at(self._read)
        return b""

    def _skip_hole(self, now: float, *, once: bool) -> None:
        """Pass over the rest of a hole that stays, without reading it. Raises OSError."""
        end = self.source.next_data(self.position)
        end = self.source.status().st_size if end is None else end
        if not once and not (self.rotated and now - self.changed_at >= QUIET):
            end = min(end, self._hole_end)
        self._splitter.skip(max(0, end - self.position))

    def _line_name(self, start: int) -> str:
        known_as = self.record or self._compared
        assert known_as is not None  # noqa: S101 - only a recognised log is read
        return f"{known_as.generation:08x}{start:012x}-{self.number}"

    def _next_block(self, size: int) -> bytes:
        if self.source.sequential:
            return self.source.read_at(self.position, size)
        # The bytes before and the first line, looked at afterwards, are the proof that the rest belongs to the same
        # file. Lines that differ in their time alone end alike: the bytes before would not do.
        known = len(self._recent)
        block = self.source.read_at(self.position - known, known + size)
        record = self.record or self._compared
        if not block.startswith(self._recent) or (record and not identity.starts_like(self.source, record)):
            self._seen = self._intact
            raise Changed
        self._intact = self._seen
        return block[known:]

    def _whole(self, block: bytes, now: float, *, once: bool) -> int:
        """So many bytes of the next block are no part of a line of which NULs may yet be written over. Raises OSError."""
        decided = self._decided(block, self.position, now, once=once)
        if decided == len(block):
            self._written = None
            return decided
        lines = block.rfind(LF, 0, decided) + 1
        self._written = None if self.waits else self.position + lines
        return lines

    def is_decided(self, head: bytes, now: float, *, once: bool) -> bool:
        """Tell whether NULs in its first bytes will stay; with `once`, nobody writes any more. Raises OSError."""
        return self._decided(head, 0, now, once=once) == len(head)

    def _decided(self, block: bytes, start: int, now: float, *, once: bool) -> int:
        """So many bytes of a block that starts there have no NULs that may yet be written over. Raises OSError."""
        if NUL not in block or self.source.sequential:
            return len(block)
        while (at := block.find(NUL, max(0, self._hole_end - start))) >= 0:
            end = start + len(block)
            if not once and not (self.rotated and now - self.changed_at >= QUIET):
                behind = self._after_hole(block[at:], start + at)
                if behind is None:
                    self._hole_since = None
                if behind is None or not self._waited(now):
                    return at
                end = behind
            self._hole_end = end
        return len(block)

    def _waited(self, now: float) -> bool:
        """Tell whether it has waited long enough for NULs to be written over."""
        if self._hole_since is None:
            self._hole_since = now
        since = now - self._hole_since
        return since >= FILLED_WITHIN or min(since, now - self.changed_at) >= QUIET

    def _after_hole(self, hole: bytes, start: int) -> int | None:
        """Where NULs end that start there; None if nothing is behind them: they are where lines will be. Raises OSError."""
        rest = hole.lstrip(NUL)
        end = start + len(hole)
        for _ in range(LOOKS_AHEAD):
            if rest:
                return end - len(rest)
            at = self.source.next_data(end)
            if at is None:
                return None
            ahead = self.source.read_at(at, AHEAD)
            rest = ahead.lstrip(NUL)
            end = at + len(ahead)
        if rest or self.source.read_at(self.source.status().st_size - 1, 1) != NUL:
            return end - len(rest)
        return None

    def _run(self, parts: Sequence[Lines | Fragment], block: bytes, before: bytes) -> ReadBatch:
        """Make a run of what a block completes. `before` are the bytes before the block."""
        start, end = self._read.offset, self._splitter.start
        entries, fragments = self._lines(parts)
        complete = len(block) - (self._splitter.position - end)
        tail = self._read.tail
        if complete > 0:
            last = block[max(0, complete - identity.TAIL) : complete]
            tail = zlib.crc32(last if len(last) == identity.TAIL else (before + last)[-identity.TAIL :])
        self._read = Place(end, tail, _digest(entries, fragments, self._read.digest))
        return self._made(entries, fragments, self._read, end - start)

    def _lines(self, parts: Sequence[Lines | Fragment]) -> tuple[Entries, list[OversizedFragment]]:
        known_as = self.record or self._compared
        assert known_as is not None  # noqa: S101 - only a recognised log is read
        generation = known_as.generation
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
        mark = AckPosition(self.number, end, size, entries.blank, too_long)
        return ReadBatch(mark, self.facts.name, entries, fragments, size > 0 or self.rotated)

    # ---- delivered

    def acknowledge(self, mark: AckPosition) -> None:
        """All lines up to the mark are delivered."""
        assert self.record is not None  # noqa: S101 - only a recognised log is delivered
        self.pending -= 1
        end = mark.end
        self.record = replace(self.record, offset=end.offset, tail=end.tail, digest=end.digest)

    def remembered(self) -> FileRecord | None:
        """The record to keep now."""
        if self.record is None:
            return None
        size, modified = self._seen or (self.facts.size, 0)
        return replace(self.record, path=self.facts.name, size=size, modified=modified)

    # ---- the file

    def found_as(self, facts: FileFacts | None, now: float) -> None:
        """Note under which path the file is found now, if at all; another path means that it was rotated."""
        self.gone = facts is None
        if not self.rotated and (facts is None or facts.path != self.facts.path):
            self.rotated = True
            self.changed_at = now  # its writer may not know yet
        self.facts = facts or self.facts

    def is_final(self, now: float, *, once: bool) -> bool:
        """Tell whether the file can grow no more; with `once`, none does that has an end. Raises OSError."""
        if self.source.complete:
            return True
        if self.facts.path == STANDARD_INPUT or self.waits or self.needs:
            return False
        quiet = now - self.changed_at >= QUIET
        return once or (self.rotated and quiet and (self.gone or not self.source.sequential))

    @property
    def consumed(self) -> int:
        """Bytes on disk that were read: compressed ones, for an archive."""
        return self.source.consumed if isinstance(self.source, GzipSource) else self.position

    @property
    def size(self) -> int:
        """The size of its content on disk when it was last looked at."""
        if self._written is not None:
            return self._written
        return self._seen[0] if self._seen else self.facts.size

    @property
    def unread(self) -> int:
        """Bytes on disk that have not become lines."""
        read = self.consumed if self.source.sequential else self._splitter.start
        return max(0, self.size - read)

    def progress(self) -> LogProgress:
        """How far it is."""
        device, inode = self.facts.key
        record = self.record
        delivered = record.offset if record else 0
        unread = max(0, self.size - self.consumed)
        taken = self.position if unread else self._splitter.start
        lag = unread + max(0, taken - delivered) if record else unread if self.comparing else 0
        lag = max(lag, self.needs)
        generation = record.generation if record else 0
        return LogProgress(
            self.facts.name, (device, inode, generation), self.comparing, self.size, delivered, lag
        )


def _digest(entries: Entries, fragments: Sequence[OversizedFragment], before: int | None) -> int | None:
    """Go on with the checksum of all lines' ids, in the order of the lines."""
    if before is None:
        return None
    refused = [rejection.id for rejection in entries.rejections] + [
        fragment.id for fragment in fragments if fragment.id
    ]
    if not refused:
        return zlib.crc32(b"".join(entries.ids), before)
    ids = sorted([identity.decode() for identity in entries.ids] + refused, key=offset_of)
    return zlib.crc32("".join(ids).encode(), before)
