"""One open log file on its way: blocks become runs of entries, acknowledged marks become what is remembered."""

import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from indexer.events import LogProgress
from indexer.reading import identity
from indexer.reading.entries import Entries, entries_of, entry_id
from indexer.reading.files import FileFacts
from indexer.reading.identity import FileRecord
from indexer.reading.lines import Fragment, Lines, LineSplitter
from indexer.reading.windows import Archive, PlainFile, open_log
from indexer.settings import STANDARD_INPUT

BLOCK = 256 * 1024
"""Bytes read at once. 1 MiB is no faster (measured), and takes more memory."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a line too long to hold, on its way to where rejected lines are kept."""

    file: str
    name: str
    """The same for all pieces of a line."""
    start: int
    data: bytes
    first: bool
    id: str | None
    """The line's id, known with its last piece."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a log: what remains of a run while it is on its way."""

    log: "Log"
    end: int
    """The offset that is delivered once the run is."""
    tail: int
    """Checksum of the bytes before `end`."""
    size: int
    """Bytes of the log that the run's lines are."""
    blank: int
    """Lines that were blank."""
    too_long: int
    """Lines that came in pieces."""

    @property
    def asks(self) -> bool:
        """These may have been sent before, by an indexer that did not live to see the answer."""
        return self.end - self.size < self.log.sent_before


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring lines of one file: what reading hands to writing."""

    mark: Mark
    entries: Entries
    pieces: list[Piece]


class Changed(Exception):  # noqa: N818 - an observation, not an error
    """The file no longer holds what was read from it."""


class Log:
    """One open log file: what it is, how far it is read, how far it is delivered."""

    def __init__(self, facts: FileFacts, limit: int, now: float, window: PlainFile | None = None) -> None:
        """Open it, unless its window is open already; `limit` is the longest line in bytes. Raises OSError."""
        self.facts = facts
        self.window = window or open_log(facts)
        self.record: FileRecord | None = None
        """Who it is; None until its first line is complete, or while it is a copy."""
        self.copies: FileRecord | None = None
        """The file that holds all that this one holds."""
        self.postponed = False
        """It goes on where another one was, once nothing of that one is on its way."""
        self.rotated = facts.rotated
        self.gone = False
        self.pending = 0
        """Runs on their way."""
        self.reserved = 0
        """The checkpoint says that nothing from here on was sent."""
        self.sent_before = 0
        self.changed_at = now - max(0.0, time.time() - facts.modified) if facts.rotated else now
        self._limit = limit
        self._splitter = LineSplitter(0, limit)
        self._seen: tuple[int, int] | None = None
        self._seen_as_copy: tuple[int, int] | None = None
        self._intact_size = 0
        self._changed = False
        self._caught_up = True
        self._dry = False
        self._recent = b""
        self._tail = 0
        self._long_line: int | None = None

    def anew(self, now: float) -> "Log":
        """The same open file, of which nothing is known."""
        return Log(self.facts, self._limit, now, self.window)

    def begin(self, record: FileRecord) -> None:
        """Go on from a record: what is delivered there is not read again. Raises OSError."""
        self.record = record
        self.copies = None
        self.sent_before = record.reach
        self._splitter = LineSplitter(record.offset, self._limit)
        self._tail = record.tail
        self._seen = None
        start = max(0, record.offset - identity.TAIL)
        self._recent = self.window.read_at(start, record.offset - start)

    def copy_of(self, record: FileRecord) -> None:
        """It holds, as it is now, nothing but what this other file holds too."""
        self.copies = record
        self._seen_as_copy = self._seen

    @property
    def still_a_copy(self) -> bool:
        """It has not changed since it was a copy."""
        return self.copies is not None and self._seen == self._seen_as_copy

    @property
    def position(self) -> int:
        """How far it is read, in bytes of the log."""
        return self._splitter.position

    def grown(self, now: float) -> bool:
        """Tell whether it may have changed since this was last asked. Raises OSError."""
        if self.facts.path == STANDARD_INPUT:
            return not self._dry
        status = self.window.status()
        seen = (status.st_size, status.st_mtime_ns)
        if seen == self._seen:
            return False
        if self._seen is not None:
            self.changed_at = now
        self._seen = seen
        return True

    def read(self, now: float) -> tuple[int, Run | None]:
        """Read a block; return how many bytes it had and what it completes. Raises OSError, Changed."""
        if self._caught_up and not self.grown(now):
            return 0, None
        block = self._next_block()
        self._caught_up = len(block) < BLOCK
        self._dry = not block and self.window.complete
        if not block:
            return 0, None
        start, before = self._splitter.start, self._recent
        parts = self._splitter.feed(block)
        self._recent = (
            block[-identity.TAIL :] if len(block) >= identity.TAIL else (before + block)[-identity.TAIL :]
        )
        if not parts:
            return len(block), None
        end = self._splitter.start
        complete = len(block) - (self._splitter.position - end)
        if complete > 0:
            tail = block[max(0, complete - identity.TAIL) : complete]
            self._tail = zlib.crc32(tail if len(tail) == identity.TAIL else (before + tail)[-identity.TAIL :])
        return len(block), self._run(parts, end, end - start)

    def finish(self) -> Run | None:
        """The file is final: try a last line without line end as an entry, and let the file go."""
        start = self._splitter.start
        part = self._splitter.finish()
        self.window.close()
        return self._run([part], start, 0) if part is not None else None

    def verify(self) -> None:
        """Hold the file against what was read from it. Raises Changed, OSError."""
        if not self.window.sequential:
            self._read_on(0)

    def _next_block(self) -> bytes:
        return self.window.read_at(self.position, BLOCK) if self.window.sequential else self._read_on(BLOCK)

    def _read_on(self, size: int) -> bytes:
        # The bytes before and the first line, looked at afterwards, are the proof that the rest belongs to the same
        # file. Lines that differ in their time alone end alike: the bytes before would not do.
        known = len(self._recent)
        block = self.window.read_at(self.position - known, known + size)
        record = self.record
        if not block.startswith(self._recent) or (record and not identity.starts_like(self.window, record)):
            self._changed = True
            raise Changed
        self._intact_size = self.size
        return block[known:]

    def _run(self, parts: Sequence[Lines | Fragment], end: int, size: int) -> Run:
        assert self.record is not None  # noqa: S101 - only a recognised log is read
        generation = self.record.generation
        pieces: list[Piece] = []
        found = Entries()
        for part in parts:
            if isinstance(part, Lines):
                more = entries_of(part, generation, self.facts.name)
                found = found + more if found.lines else more
            else:
                checksum = zlib.crc32(part.data, self._long_line or 0)
                line_id = entry_id(generation, part.start, checksum).decode() if part.last else None
                name = f"{generation:08x}{part.start:012x}"
                first = self._long_line is None
                pieces.append(Piece(self.facts.name, name, part.start, part.data, first, line_id))
                self._long_line = None if part.last else checksum
        self.pending += 1
        too_long = sum(piece.id is not None for piece in pieces)
        return Run(Mark(self, end, self._tail, size, found.blank, too_long), found, pieces)

    def acknowledge(self, mark: Mark) -> None:
        """All lines up to the mark are delivered."""
        assert self.record is not None  # noqa: S101 - only a recognised log is delivered
        self.pending -= 1
        self.record = replace(self.record, offset=mark.end, tail=mark.tail)

    def intact(self) -> bool:
        """Tell whether the file still holds what is delivered of it. Raises OSError."""
        return self.record is not None and (
            self.window.sequential or identity.reads_like(self.window, self.record)
        )

    def done(self) -> FileRecord | None:
        """The record to keep when nothing is on its way any more, and nothing more will be read."""
        self.reserved = 0
        record = self.remembered(None)
        return replace(record, reach=max(record.reach, self.position)) if record is not None else None

    def found_as(self, facts: FileFacts | None, now: float) -> None:
        """Note under which path the file is found now, if at all; another path means that it was rotated."""
        self.gone = facts is None
        if not self.rotated and (facts is None or facts.path != self.facts.path):
            self.rotated = True
            self.changed_at = now  # its writer may not know yet
        self.facts = facts or self.facts

    @property
    def consumed(self) -> int:
        """Bytes on disk that were read: compressed ones, for an archive."""
        return self.window.consumed if isinstance(self.window, Archive) else self.position

    @property
    def size(self) -> int:
        """Its size on disk when it was last looked at; of a file that has changed, when it was last itself."""
        if self._changed:
            return self._intact_size
        return max(self.facts.size, self._seen[0] if self._seen else 0)

    @property
    def unread(self) -> int:
        """Bytes on disk that have not become lines."""
        read = self.consumed if self.window.sequential else self._splitter.start
        return max(0, self.size - read)

    def progress(self) -> LogProgress:
        """How far it is."""
        record = self.record
        device, inode = self.facts.key
        delivered = record.offset if record else 0
        unread = max(0, self.size - self.consumed)
        taken = self.position if unread else self._splitter.start
        return LogProgress(
            path=self.facts.name,
            identity=(device, inode, record.generation if record else 0),
            copy=self.copies is not None,
            size=self.size,
            delivered=delivered,
            lag=0 if self.copies else unread + max(0, taken - delivered),
        )

    def remembered(self, since: str | None) -> FileRecord | None:
        """The record to keep now, if nothing unanswered was sent before `since` was the write index."""
        if self.record is None:
            return None
        asked = self.record.offset < self.sent_before
        return replace(
            self.record,
            path=self.facts.name,
            size=self.size,
            reach=max(self.sent_before, self.reserved),
            since=self.record.since if asked else since,
        )
