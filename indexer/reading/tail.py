"""Following log files: which are there and what they hold, through renames, truncation and deletion.

A log is open from when its turn comes until it is complete, so that a file renamed or deleted is still read to its end.
Where there are more files than may be open at once, they take turns. `states.py` has the states of a file.
"""

import errno
import resource
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

from indexer.events import Events, LogProgress, Recognition
from indexer.reading import files, identity
from indexer.reading.batch import START, AckPosition, Place, ReadBatch, Spool
from indexer.reading.files import STANDARD_INPUT, FileFacts, Scope
from indexer.reading.identity import FileRecord, Key
from indexer.reading.log import Log
from indexer.reading.reader import NO_ROOM, Changed
from indexer.reading.registry import INPUT, FileRegistry, TrackedFile
from indexer.reading.sources import FileSource, no_pause
from indexer.reading.states import DRAINING, OPEN, FileEvent, FileState

RETRIED = 10.0
"""Seconds after which a file that could not be read is tried again."""
CLAIMABLE = 60.0
"""Seconds for which a moved or compressed copy may go on where a missing file ended."""
CLAIMABLE_AT_MOST = 600.0
"""The same, while there are files that were not opened yet."""
OPENED_AT_ONCE = 500
"""Files opened between two heartbeats."""
LIVELY = 10.0
"""Seconds after it last grew for which a file is checked in each round."""
QUIET_EVERY = 1.0
"""Seconds between checks of the others."""
TOLD = 1000
"""Unreadable paths reported after a scan, at most."""
TURN = 10.0
"""Seconds for which a log is read that always has more, while others wait."""
RESERVED = 40
"""Descriptors left to everything but log files."""
SPARED = 4
"""When no descriptor is left, so many files fewer are held open than were."""


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
        most: int | None = None,
        scope: Scope = files.DEFAULT_SCOPE,
        spool: Spool | None = None,
    ) -> None:
        """`limit` is the longest line in bytes; with `once`, no file grows. At most `most` files are open at once."""
        self._patterns = patterns
        self._scope = scope
        self._spool = spool
        self._limit = limit
        self._once = once
        self._events = events
        self._clock = clock
        self._most = 1 if once else most or most_open()
        self.registry = FileRegistry(remembered)
        self._waiting: dict[Key, TrackedFile] = {}
        """The waiting files, in the order of their turns."""
        self._renamed: dict[Key, tuple[FileFacts, OSError]] = {}
        self._look = files.Look([], {})
        self._directories: list[int] = []
        self._lively: list[TrackedFile] = []
        self._all_due = 0.0
        self._number = 0
        self._failed: dict[str, str] = {}
        self.idle = False
        """The last `read` found nothing new."""
        self.pause: Callable[[], None] = no_pause
        """Called between blocks, whatever they hold; may raise what ends the reading."""

    @property
    def failures(self) -> dict[str, str]:
        """Paths that could not be read, with the reason."""
        return self._failed | self._look.unreadable

    def records(self) -> list[FileRecord]:
        """What to remember now."""
        return self.registry.records()

    def progress(self) -> list[LogProgress]:
        """How far each file is that is open or of which something is in flight."""
        return [it.log.progress() for it in self.registry.logs.values() if it.log is not None]

    @property
    def exhausted(self) -> bool:
        """With `once`: all files that were found are read to their end."""
        return self.idle and not self._waiting and not self.registry.open

    def acknowledge(self, position: AckPosition) -> None:
        """All lines up to the position are delivered."""
        file = self.registry.logs[position.log]
        _log(file).acknowledge(position)
        self._close_if_delivered(file)

    def close(self) -> None:
        """Close all files."""
        for file in list(self.registry.open.values()):
            _log(file).source.close()
        self.registry.open.clear()

    # ---- which files there are

    def scan(self) -> None:
        """Compare the known files with those that the paths name now."""
        now = self._clock()
        look = self._look = files.find(self._patterns, self._scope)
        found = {facts.key: facts for facts in look.found}
        if STANDARD_INPUT in self._patterns:
            found[INPUT] = FileFacts(STANDARD_INPUT, *INPUT, 0, 0)
        for path, reason in islice(look.unreadable.items(), TOLD):
            self._events.file_unreadable(path, reason)
        self._note_missing(found, now)
        self._queue(found, now)
        if not self._once:
            names = {facts.name for facts in look.found}
            self._failed = {name: reason for name, reason in self._failed.items() if name in names}
        self.registry.index_first_lines()
        if not self._once:
            self._forget()
            self._open_waiting()

    def _note_missing(self, found: Mapping[Key, FileFacts], now: float) -> None:
        for key, file in list(self.registry.files.items()):
            log, name = file.log, file.facts.name if file.record is None else file.record.path
            if (
                file.state in OPEN
                and log is not None
                and (key in found or not self._look.hides(log.facts.name))
            ):
                log.found_as(found.get(key), now)
            if key in found or file.state in DRAINING or self._look.hides(name):
                continue
            if file.state in OPEN:
                self.registry.detach_former(file, now)
            else:
                self.registry.lose(file, file.record.unread if file.record else 0, now)

    def _queue(self, found: Mapping[Key, FileFacts], now: float) -> None:
        """Put all files that are to be opened into the order of their turns."""
        wanted = []
        busy = {file.facts.key for file in self.registry.logs.values()}
        for key, facts in found.items():
            if key in busy:
                continue
            file = self.registry.files.get(key)
            if file is None:
                file = self.registry.files[key] = TrackedFile(facts)
            if file.state is FileState.WAITING or self._is_due(file, facts, now):
                if file.state is not FileState.WAITING:
                    self.registry.move(file, FileEvent.DUE)
                file.found = facts
                wanted.append(file)
        # Files without a turn come first, then those whose last turn is longest ago. Standard input, which may never end,
        # and archives, which may be copies of others, come after files of the same turn.
        wanted.sort(key=lambda it: (it.turn, it.facts.key == INPUT, it.facts.archive, it.facts.path))
        self._waiting = {file.facts.key: file for file in wanted}

    def _is_due(self, file: TrackedFile, facts: FileFacts, now: float) -> bool:
        """Tell whether a file that is closed has to be opened."""
        if now < file.retry_at:
            return False
        known = file.found
        if file.unsound is not None and (known.size, known.modified_ns) == (facts.size, facts.modified_ns):
            file.found = facts
            self._fail(file, file.unsound)
            return False
        record = file.record
        if record is None or (record.size, record.modified) != (facts.size, facts.modified_ns):
            return True
        # A live log is held open: it may grow and be deleted between two scans.
        rests = FileState.DONE if facts.rotated or self._once else FileState.PARKED
        if file.state is not rests:
            return True
        if record.path != facts.name:
            file.record = record.at(facts)
        return False

    def directories_changed(self) -> bool:
        """Tell whether a name came or went where the paths look, since the last call; cheaper than a scan."""
        before, self._directories = self._directories, files.directory_times(self._patterns)
        return before != self._directories

    def _forget(self) -> None:
        """Forget missing files that nothing claimed, unless they are where no path looks, or can look, now."""
        now = self._clock()
        claimants = self._waiting or any(
            it.state is FileState.COMPARING for it in self.registry.open.values()
        )
        claimable = 0.0 if self._once else CLAIMABLE_AT_MOST if claimants else CLAIMABLE
        kept: list[TrackedFile] = []
        for lost in self.registry.missing:
            record = lost.record
            assert record is not None  # noqa: S101 - a missing file is one of which something is remembered
            due = now - lost.since >= claimable
            if due and self._is_elsewhere(record):
                due, lost.since = False, now
            if not due:
                kept.append(lost)
                continue
            self.registry.move(lost, FileEvent.EXPIRED)
            others = (known for known in self.registry.alike(record) if known is not record)
            if lost.unread and not any(known.offset >= record.offset for known in others):
                self._events.file_lost(record.path, lost.unread)
        self.registry.missing = kept

    def _is_elsewhere(self, record: FileRecord) -> bool:
        """Tell whether a missing file may be there, hidden or under a path that is not searched."""
        if self._look.hides(record.path) or not files.directory_exists(record.path):
            return True
        try:
            facts = files.look_at(record.path)
        except OSError:
            return True
        if facts is None or facts.key != record.key:
            return False
        tracked = self.registry.files.get(record.key)
        return tracked is None or (tracked.state not in OPEN and tracked.record is None)

    # ---- opening

    def _open_waiting(self) -> None:
        for file in list(islice(self._waiting.values(), OPENED_AT_ONCE)):
            while len(self.registry.open) >= self._most:
                if not self._make_room():
                    return
            del self._waiting[file.facts.key]
            self.pause()
            try:
                self._open(file)
            except OSError as error:
                if error.errno in {errno.EMFILE, errno.ENFILE} and self.registry.open:
                    # Fewer than allowed: the files take turns, and leave some descriptors, such as for the checkpoint.
                    self._most = max(1, len(self.registry.open) - SPARED)
                    self._waiting[file.facts.key] = file
                elif isinstance(error, FileNotFoundError):
                    self._renamed[file.facts.key] = file.facts, error
                    self.registry.move(file, FileEvent.STOPPED)
                else:
                    self.registry.move(file, FileEvent.STOPPED)
                    self._fail(file, error)
                continue
            self._identify(file)
            if self._once:
                break
        if self._renamed and not self._waiting:
            self._find_renamed()

    def _find_renamed(self) -> None:
        """Files are not where they were found. With `once`, scan again; else the next scan finds them."""
        renamed, self._renamed = self._renamed, {}
        if not self._once:
            return
        self.scan()
        for key, (facts, error) in renamed.items():
            file = self.registry.files.get(key)
            if file is None or (file.state is FileState.CLOSED and file.record is None):
                self._fail(TrackedFile(facts), error)

    def _open(self, file: TrackedFile, source: FileSource | None = None) -> Log:
        """Open a file. Raises OSError."""
        self._number += 1
        log = Log(self._number, file.facts, self._limit, self._clock(), source, self._spool)
        log.source.pause = self._pause
        file.unsound = None
        self.registry.opened(file, log)
        self._lively.append(file)
        self.idle = False
        return log

    def _pause(self) -> None:
        self.pause()

    def _make_room(self) -> bool:
        """Close the log with nothing to read that has not grown for longest; else one whose turn is over."""
        if self._once:
            return False
        candidates = [
            (_log(it), it)
            for it in self.registry.open.values()
            if not (it.state is FileState.COMPARING or _log(it).gone)
        ]
        quiet = [(log, it) for log, it in candidates if not (log.pending or log.reader.behind)]
        if quiet:
            log, file = min(quiet, key=lambda each: each[0].changed_at)
            log.source.close()
            self.registry.move(file, FileEvent.PARKED)
            self.registry.closed(file, self._clock())
            return True
        over = self._clock() - TURN
        for log, file in candidates:
            if log.opened_at <= over and not log.source.sequential:  # an archive would be read anew
                log.source.close()
                self._leave(file, FileEvent.STOPPED)
                return True
        return False

    # ---- identification

    def _identify(self, file: TrackedFile, former: FileRecord | None = None) -> None:
        """Find out which log a file is and where to go on (see `identity.py`), once its first line is complete."""
        log = _log(file)
        try:
            now = self._clock()
            log.reader.has_changed(now)
            head = identity.head_of(log.source)
            final = log.is_final(now, once=self._once)
            if head is None and final:
                log.source.require_whole()
                head = log.source.read_at(0, identity.HEAD)
            if head and log.reader.is_decided(head, now, once=final):
                self._begin(file, head, former or self._former(file))
            elif final and (self._once or log.gone):
                log.source.require_whole()
                log.source.close()
                self.registry.move(file, FileEvent.ENDED)
                self.registry.closed(file, now)
        except OSError as error:
            self._drop(file, error)

    def _former(self, file: TrackedFile) -> FileRecord | None:
        """What a file's inode was known as last: missing, until the file turns out to be it."""
        self.registry.detach_former(file, self._clock())
        key = file.facts.key
        known = [it.record for it in self.registry.missing if it.record is not None and it.record.key == key]
        return known[-1] if known else None

    def _begin(self, file: TrackedFile, head: bytes, former: FileRecord | None) -> None:
        """Read a file from where its inode's former record ends, or as another file. Raises OSError."""
        log = _log(file)
        source = log.source
        if former is not None and identity.begins_like(head, former) and identity.reads_like(source, former):
            log.begin(former.at(log.facts), Place(former.offset, former.tail, former.digest))
            self._identified(file, Recognition.RESUMED)
            return
        record = identity.fresh(log.facts, head)
        recognition = Recognition.NEW
        size = 2**62
        if former is not None and log.facts.key != INPUT:
            recognition = Recognition.REPLACED
            if not source.sequential:
                size = source.status().st_size  # it will not grow again to what it was
                recognition = Recognition.REPLACED if size >= former.offset else Recognition.TRUNCATED
        places = identity.to_compare(known for known in self.registry.alike(record) if known.offset <= size)
        if places and log.facts.key != INPUT:
            log.compare(record, places, self._clock(), recognition)
            self.registry.move(file, FileEvent.BEGINS_LIKE_KNOWN)
        else:
            log.begin(record, START)
            self._identified(file, recognition)

    def _identified(self, file: TrackedFile, recognition: Recognition) -> None:
        self.registry.move(file, FileEvent.IDENTIFIED)
        log = _log(file)
        record = log.record
        assert record is not None  # noqa: S101 - it is identified
        resumed = recognition is Recognition.RESUMED
        if record.offset and not resumed:
            recognition = Recognition.MOVED

        def goes_on(lost: FileRecord | None) -> bool:
            """Tell whether this log goes on where a missing one ended."""
            if lost is None or not (lost.key == record.key if resumed else record.offset > 0):
                return False
            return lost.generation == record.generation and lost.offset <= record.offset

        for lost in [lost for lost in self.registry.missing if goes_on(lost.record)]:
            self.registry.missing.remove(lost)
            self.registry.move(lost, FileEvent.EXPIRED)
        self._failed.pop(log.facts.name, None)
        self.registry.note(file)
        self._events.file_found(log.facts.name, recognition, record.offset)

    # ---- what they hold

    def read(self) -> Iterator[ReadBatch]:
        """Yield what one block of each log completes (with `once`: all blocks); sets `idle`."""
        self.idle = True
        self._open_waiting()
        due = self._due()
        for file in due:
            while file.state in OPEN:
                size, batch = self._read(file)
                self.pause()
                if batch is not None:
                    yield batch
                if not (size and self._once):
                    break
        if self._once and self.exhausted:  # all that is there was read: nothing will claim the rest
            self._forget()
        lately = self._clock() - LIVELY
        lively = (
            file
            for file in due
            if (log := file.log) is not None
            and (log.changed_at > lately or log.reader.behind or file.state is FileState.COMPARING)
        )
        self._lively = list(dict.fromkeys(lively))

    def _due(self) -> list[TrackedFile]:
        """The files to check now: those that have grown lately; all of them about once a second."""
        now = self._clock()
        if now < self._all_due and not self._once:
            return self._lively
        self._all_due = now + QUIET_EVERY
        return list(self.registry.open.values())

    def _read(self, file: TrackedFile) -> tuple[int, ReadBatch | None]:
        """Read on; return how many bytes were read, and what they complete."""
        if file.state is FileState.IDENTIFYING:
            self._identify(file)
            begun = file.state in {FileState.COMPARING, FileState.READING}
            self.idle = self.idle and not begun
            return int(begun), None
        try:
            size, batch = self._read_block(file)
        except Changed:
            self._replace(file)
            return 0, None
        except OSError as error:
            self._drop(file, error)
            return 0, None
        return size, batch

    def _read_block(self, file: TrackedFile) -> tuple[int, ReadBatch | None]:
        """Read a block, or end what can be ended. Raises OSError, Changed."""
        now, log, reader = self._clock(), _log(file), _log(file).reader
        consumed, comparison = log.consumed, log.comparison
        size, batch = log.read(now, once=self._once)
        if reader.skipped:
            self._events.hole_skipped(log.facts.name, reader.skipped)
            reader.skipped = 0
        if reader.needs and now >= file.retry_at:
            self._fail(file, OSError(errno.ENOSPC, NO_ROOM.format(size=reader.needs)))
        if size:
            self.idle = False
            self._events.block_read(log.facts.name, log.consumed - consumed)
        elif log.comparison is not None and log.is_compared(now, once=self._once):
            log.decide()
        elif not (log.comparison or reader.behind) and log.is_final(now, once=self._once):
            log.source.require_whole()
            batch = log.finish()
            self._leave(file, FileEvent.ENDED)
        if comparison is not None and log.comparison is None:
            self._identified(file, comparison.otherwise)
            size, self.idle = 1, False
        return size, batch

    # ---- closing

    def _leave(self, file: TrackedFile, event: FileEvent) -> None:
        self.registry.move(file, event)
        self._close_if_delivered(file)

    def _close_if_delivered(self, file: TrackedFile) -> None:
        log = file.log
        if log is None or log.pending or file.state not in DRAINING:
            return
        finished = file.state is FileState.FINISHING
        self.registry.closed(file, self._clock())
        if finished:
            self._events.file_finished(log.facts.name)

    def _replace(self, file: TrackedFile) -> None:
        """The file holds something else now: a copy of its former content may go on where that ended."""
        log = _log(file)
        former = log.remembered()
        self.registry.move(file, FileEvent.STOPPED)
        successor = self.registry.files[log.facts.key] = TrackedFile(log.facts)
        self._open(successor, log.source)
        self._close_if_delivered(file)
        self._identify(successor, former)

    def _drop(self, file: TrackedFile, error: OSError) -> None:
        """The file cannot be read on: keep what is known of it, and try again later."""
        _log(file).source.close()
        self._leave(file, FileEvent.STOPPED)
        self._fail(file, error)

    def _fail(self, file: TrackedFile, error: OSError) -> None:
        name, reason = file.facts.name, error.strerror or str(error)
        self._failed[name] = reason
        file.retry_at = self._clock() + RETRIED
        if not error.errno:
            file.unsound = error
        self._events.file_unreadable(name, reason)


def _log(file: TrackedFile) -> Log:
    assert file.log is not None  # noqa: S101 - an open file has one
    return file.log


def most_open() -> int:
    """How many log files may be open at once."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(4, soft - RESERVED)
