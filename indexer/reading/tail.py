"""Following log files: what is remembered against what is found, through renames, truncation and deletion.

A log is open from the moment it is found until it is final, so that a file renamed or deleted is still read to its
end. It is final when it can grow no more: rotated away or deleted and quiet for a while, an archive, or a one-shot
run. Only then is a last line without line end tried as an entry; the delivered offset stays before it, so that it is
read again should it be completed after all.
"""

import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from indexer.events import Events, Recognition
from indexer.reading import files
from indexer.reading.entries import Entries, entries_of, entry_id
from indexer.reading.files import Archive, FileFacts, FileRecord, PlainFile
from indexer.reading.lines import Fragment, Lines, LineSplitter
from indexer.settings import STANDARD_INPUT

BLOCK = 256 * 1024
"""Bytes read at once. 256 KiB to 1 MiB make no measurable difference in time; a larger block is more memory."""
QUIET = 5.0
"""Seconds without growth after which a rotated or deleted file counts as final."""
CLAIMABLE = 60.0
"""Seconds for which a moved or compressed file may go on where a vanished one was."""
RETRIED = 10.0
"""Seconds after which a file that could not be read is tried again."""
FOR_EVER = 2**62
INPUT = (0, 0)
Key = tuple[int, int]


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

    def __init__(self, facts: FileFacts, limit: int, now: float) -> None:
        """Open it; `limit` is the longest line in bytes. Raises OSError."""
        self.facts = facts
        self.window: PlainFile = files.open_log(facts)
        self.record: FileRecord | None = None
        """Who it is; None until its first line is complete, or while it is a copy."""
        self.copies: tuple[int, int] | None = None
        """The file that holds all that this one holds."""
        self.rotated = facts.rotated
        self.gone = False
        self.pending = 0
        """Runs on their way."""
        self.reserved = 0
        """The checkpoint says that nothing from here on was sent."""
        self.sent_before = 0
        self.changed_at = now - max(0.0, time.time() - facts.modified) if facts.rotated else now
        self._limit = limit
        self._seen: tuple[int, int] | None = None
        self._caught_up = True
        self._dry = False
        self._recent = b""
        self._tail = 0
        self._long_line: int | None = None

    def begin(self, record: FileRecord) -> None:
        """Go on from a record: what is delivered there is not read again. Raises OSError."""
        self.record = record
        self.copies = None
        self.sent_before = record.reach
        self._splitter = LineSplitter(record.offset, self._limit)
        self._tail = record.tail
        self._seen = None
        if not self.window.sequential:
            start = max(0, record.offset - files.TAIL)
            self._recent = self.window.read_at(start, record.offset - start)

    @property
    def position(self) -> int:
        """How far it is read, in bytes of the log."""
        return self._splitter.position

    def grown(self, now: float) -> bool:
        """Tell whether it may have changed since this was last asked. Raises OSError."""
        if self.window.sequential:
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
        self._recent = block[-files.TAIL :] if len(block) >= files.TAIL else (before + block)[-files.TAIL :]
        if not parts:
            return len(block), None
        end = self._splitter.start
        complete = len(block) - (self._splitter.position - end)
        if complete > 0:
            tail = block[max(0, complete - files.TAIL) : complete]
            self._tail = zlib.crc32(tail if len(tail) == files.TAIL else (before + tail)[-files.TAIL :])
        return len(block), self._run(parts, end, end - start)

    def finish(self) -> Run | None:
        """The file is final: try a last line without line end as an entry, and let the file go."""
        start = self._splitter.start
        part = self._splitter.finish()
        self.window.close()
        return self._run([part], start, 0) if part is not None else None

    def _next_block(self) -> bytes:
        if self.window.sequential:
            return self.window.read_at(self.position, BLOCK)
        # One call reads the bytes before, too: they are the proof that the rest belongs to the same file.
        known = len(self._recent)
        block = self.window.read_at(self.position - known, known + BLOCK)
        if not block.startswith(self._recent):
            raise Changed
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
                identity = entry_id(generation, part.start, checksum).decode() if part.last else None
                name = f"{generation:08x}{part.start:012x}"
                first = self._long_line is None
                pieces.append(Piece(self.facts.name, name, part.start, part.data, first, identity))
                self._long_line = None if part.last else checksum
        self.pending += 1
        too_long = sum(piece.id is not None for piece in pieces)
        return Run(Mark(self, end, self._tail, size, found.blank, too_long), found, pieces)

    def acknowledge(self, mark: Mark) -> None:
        """All lines up to the mark are delivered."""
        assert self.record is not None  # noqa: S101 - only a recognised log is delivered
        self.pending -= 1
        self.record = replace(self.record, offset=mark.end, tail=mark.tail)

    def found_as(self, facts: FileFacts | None) -> None:
        """Note under which path the file is found now, if at all; another path means that it was rotated."""
        self.gone = facts is None
        self.rotated = self.rotated or facts is None or facts.path != self.facts.path
        self.facts = facts or self.facts

    @property
    def consumed(self) -> int:
        """Bytes on disk that were read: compressed ones, for an archive."""
        return self.window.consumed if isinstance(self.window, Archive) else self.position

    def remembered(self, since: str | None) -> FileRecord | None:
        """The record to keep now, if nothing unanswered was sent before `since` was the write index."""
        if self.record is None:
            return None
        asked = self.record.offset < self.sent_before
        return replace(
            self.record,
            path=self.facts.name,
            size=max(self.facts.size, self._seen[0] if self._seen else 0),
            reach=max(self.sent_before, self.reserved),
            since=self.record.since if asked else since,
        )


@dataclass(slots=True)
class Orphan:
    """A record whose own file is not there, or is no longer that file: a moved or compressed one may claim it."""

    record: FileRecord
    unread: int
    """Bytes that no one has read."""
    since: float


class Tail:
    """All log files that some paths name."""

    def __init__(
        self,
        patterns: Sequence[str],
        remembered: Sequence[FileRecord],
        *,
        limit: int,
        once: bool,
        events: Events,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`limit` is the longest line in bytes; with `once`, all files are final."""
        self._patterns = patterns
        self._limit = limit
        self._once = once
        self._events = events
        self._clock = clock
        self._logs: dict[Key, Log] = {}
        self._closing: dict[Key, Log] = {}
        self._ended: dict[Key, FileRecord] = {}
        self._retry_at: dict[Key, float] = {}
        self._orphans = [Orphan(r, max(0, r.size - r.offset), clock()) for r in remembered]
        self._directories: list[int] = []
        self.idle = False
        """The last `read` found nothing new."""
        self.failures: dict[str, str] = {}
        """Paths that could not be read, with the reason."""

    def records(self, since: str | None) -> list[FileRecord]:
        """What to remember now, if nothing unanswered was sent before `since` was the write index."""
        open_logs = [*self._logs.values(), *self._closing.values()]
        remembered = [log.remembered(since) for log in open_logs if log.facts.path != STANDARD_INPUT]
        orphans = [orphan.record for orphan in self._orphans]
        return [record for record in remembered if record is not None] + list(self._ended.values()) + orphans

    def nothing_sent_ahead(self) -> None:
        """All that was sent is delivered: the next run need not ask about any of it."""
        for log in self._logs.values():
            log.reserved = 0

    # ---- which files there are

    def scan(self) -> None:
        """Hold the open logs against what the paths name now; open what is new, let go what is done."""
        found = {facts.key: facts for facts in files.find(self._patterns)}
        if STANDARD_INPUT in self._patterns:
            found[INPUT] = FileFacts(STANDARD_INPUT, *INPUT, 0, time.time())
        for log in self._logs.values():
            log.found_as(found.get(log.facts.key))
        self.settle()
        for key in [key for key in self._ended if key not in found]:
            self._orphans.append(Orphan(self._ended.pop(key), 0, self._clock()))
        known = {orphan.record.key for orphan in self._orphans}
        for facts in sorted(found.values(), key=lambda facts: facts.key not in known):
            if (
                facts.key not in self._logs
                and facts.key not in self._closing
                and not self._needs_nothing(facts)
            ):
                self._open(facts)
        self._forget()

    def settle(self) -> None:
        """Let go the closed logs of which all is delivered."""
        for key, log in list(self._closing.items()):
            if log.pending:
                continue
            del self._closing[key]
            record = log.remembered(None)
            if record is not None and key != INPUT:
                self._ended[key] = replace(record, reach=log.position, ended=True)
            self._events.file_finished(log.facts.name)

    @property
    def exhausted(self) -> bool:
        """With `once`: all that was found is read to its end."""
        waiting = self._logs.get(INPUT)
        return (
            self.idle
            and not any(log.record for log in self._logs.values())
            and (not waiting or waiting.window.complete)
        )

    def directories_changed(self) -> bool:
        """Tell whether a name came or went where the paths look, since this was last asked; cheaper than a scan."""
        before, self._directories = self._directories, files.directory_times(self._patterns)
        return before != self._directories

    def _needs_nothing(self, facts: FileFacts) -> bool:
        """Tell a file that was read to its end and has not changed since, or that has just failed."""
        record = self._ended.get(facts.key)
        if record is not None and record.size == facts.size:
            self._ended[facts.key] = record if record.path == facts.path else record.at(facts)
            return True
        return self._clock() < self._retry_at.get(facts.key, 0)

    def _open(self, facts: FileFacts) -> None:
        try:
            log = Log(facts, self._limit, self._clock())
        except OSError as error:
            self._fail(facts, error)
            return
        self._logs[facts.key] = log
        self._attend(log)

    def _fail(self, facts: FileFacts, error: OSError) -> None:
        reason = error.strerror or str(error)
        self.failures[facts.name] = reason
        self._retry_at[facts.key] = self._clock() + RETRIED
        self._events.file_unreadable(facts.name, reason)

    def _forget(self) -> None:
        """Drop orphans that nobody claimed, unless their file is where these paths do not look."""
        now = self._clock()
        for orphan in list(self._orphans):
            record = orphan.record
            if self._once or now - orphan.since < CLAIMABLE:
                continue
            facts = files.look_at(record.path)
            if (facts is not None and facts.key == record.key) or not files.directory_exists(record.path):
                orphan.since = now
                continue
            self._orphans.remove(orphan)
            if orphan.unread:
                self._events.file_lost(record.path, orphan.unread)

    # ---- who they are

    def _attend(self, log: Log) -> None:
        """Recognise a log whose first line was not complete, or that was a copy so far."""
        try:
            original_left = (
                log.copies is not None and log.copies not in self._logs and log.copies not in self._ended
            )
            if log.grown(self._clock()) or original_left or (log.copies is None and self._is_final(log)):
                self._recognise(log)
        except OSError as error:
            self._drop(log, error)

    def _recognise(self, log: Log) -> None:
        head = files.head_of(log.window)
        if head is None and self._is_final(log):
            head = log.window.read_at(0, files.HEAD)
        if not head:
            if self._once:
                self._check_complete(log)
            return
        if self._still_ended(log, head):
            return
        with self._known(log, head) as known:
            judged = files.recognise(log.facts, log.window, head, known)
        if judged.recognition is not Recognition.COPY:
            self._claim(log, judged)
        elif log.copies != judged.record.key:
            log.copies = judged.record.key
            self._events.file_found(log.facts.name, Recognition.COPY, 0)

    def _still_ended(self, log: Log, head: bytes) -> bool:
        """Tell, by its first line, a file that an earlier run has read to its end: an archive is not inflated again."""
        facts = log.facts
        for orphan in self._orphans:
            record = orphan.record
            if record.ended and record.key == facts.key and record.size == facts.size:
                if not files.begins_like(head, record):
                    return False
                self._orphans.remove(orphan)
                self._ended[facts.key] = record.at(facts)
                self._logs.pop(facts.key).window.close()
                return True
        return False

    @contextmanager
    def _known(self, log: Log, head: bytes) -> Iterator[list[tuple[FileRecord, files.Window | None]]]:
        """The records that may be this log's, with the windows of those whose own file is still there."""
        with ExitStack() as stack:
            others: list[tuple[FileRecord, files.Window | None]] = [
                (other.record, other.window)
                for other in self._logs.values()
                if other is not log and other.record is not None and files.begins_like(head, other.record)
            ]
            for record in self._ended.values():
                if record.key == log.facts.key:
                    others.append((record, None))
                elif files.begins_like(head, record):
                    window = files.open_log(FileFacts(record.path, *record.key, 0, 0))
                    stack.callback(window.close)
                    others.append((record, window))
            orphans = [orphan.record for orphan in self._orphans]
            others += [(r, None) for r in orphans if r.key == log.facts.key or files.begins_like(head, r)]
            yield others

    def _claim(self, log: Log, judged: files.Judgement) -> None:
        """Begin to read a log as what it was judged to be; its inode's former self becomes an orphan."""
        record = judged.record
        former = self._ended.pop(log.facts.key, None)
        if former is not None:
            self._orphans.append(Orphan(former, 0, self._clock()))
        if judged.recognition in {Recognition.RESUMED, Recognition.MOVED}:
            self._orphans = [o for o in self._orphans if o.record.generation != record.generation]
        else:
            # What it holds now may be in the index already; what is appended from now on cannot be.
            record = replace(record, reach=FOR_EVER if log.window.sequential else log.window.status().st_size)
        log.begin(record)
        self._events.file_found(log.facts.name, judged.recognition, record.offset)

    # ---- what they hold

    def read(self) -> Iterator[Run]:
        """Yield what one block of each log completes (with `once`: all blocks); sets `idle`."""
        self.idle = True
        for log in list(self._logs.values()):
            if log.record is None:
                self._attend(log)
            while log.record is not None and log.facts.key in self._logs:
                size, run = self._read(log)
                if run is not None:
                    yield run
                if not (size and self._once):
                    break

    def _read(self, log: Log) -> tuple[int, Run | None]:
        try:
            consumed = log.consumed
            size, run = log.read(self._clock())
            if size:
                self.idle = False
                self._events.block_read(log.facts.name, log.consumed - consumed)
            elif self._is_final(log):
                self._check_complete(log)
                run = log.finish()
                self._closing[log.facts.key] = self._logs.pop(log.facts.key)
        except Changed:
            self._orphan(log)
            return 0, None
        except OSError as error:
            self._drop(log, error)
            return 0, None
        return size, run

    def _is_final(self, log: Log) -> bool:
        """Tell whether the file can grow no more."""
        if log.window.complete:
            return True
        if log.facts.path == STANDARD_INPUT:
            return False
        quiet = self._clock() - log.changed_at >= QUIET
        return self._once or (log.rotated and quiet and not log.window.sequential)

    def _check_complete(self, log: Log) -> None:
        if log.window.sequential and not log.window.complete and log.facts.path != STANDARD_INPUT:
            raise OSError(0, f"the archive is cut short after {log.position} bytes of the log")

    def _orphan(self, log: Log) -> None:
        """The file was truncated, or written anew: what it was is left to a copy of it to go on from."""
        del self._logs[log.facts.key]
        log.window.close()
        record = log.remembered(None)
        if record is not None:
            self._orphans.append(
                Orphan(replace(record, since=None), max(0, record.size - log.position), self._clock())
            )
        self._open(log.facts)

    def _drop(self, log: Log, error: OSError) -> None:
        """The file cannot be read on: keep what is known of it, and try again later."""
        self._logs.pop(log.facts.key, None)
        log.window.close()
        record = log.remembered(None)
        if record is not None:
            self._orphans.append(
                Orphan(replace(record, since=None), max(0, record.size - log.position), self._clock())
            )
        self._fail(log.facts, error)
