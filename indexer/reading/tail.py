"""Following log files: which are there and what they hold, through renames, truncation and deletion.

A log is open from when its turn comes until it is complete, so that a file renamed or deleted is still read to its end.
Where there are more files than may be open at once, they take turns. `states.py` has the states of a file.
"""

import errno
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from indexer.events import Events, LogProgress
from indexer.reading import files
from indexer.reading.batch import AckPosition, ReadBatch, Spool
from indexer.reading.files import FileFacts, Scope
from indexer.reading.identification import Identification
from indexer.reading.identity import FileRecord, Key
from indexer.reading.log import Log
from indexer.reading.reader import NO_ROOM, Changed
from indexer.reading.registry import FileRegistry, TrackedFile
from indexer.reading.scanner import Scanner
from indexer.reading.sources import FileSource, no_pause
from indexer.reading.states import DRAINING, OPEN, FileEvent, FileState

OPENED_AT_ONCE = 500
"""Files opened between two heartbeats."""
LIVELY = 10.0
"""Seconds after it last grew for which a file is checked in each round."""
QUIET_EVERY = 1.0
"""Seconds between checks of the others."""
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
        self._spool = spool
        self._limit = limit
        self._once = once
        self._events = events
        self._clock = clock
        self._most = 1 if once else most or most_open()
        self.registry = FileRegistry(remembered, events, clock)
        self._scanner = Scanner(patterns, scope, self.registry, events, once, clock)
        self._identification = Identification(self.registry, events, once, clock)
        self._renamed: dict[Key, tuple[FileFacts, OSError]] = {}
        self._lively: list[TrackedFile] = []
        self._all_due = 0.0
        self._number = 0
        self.idle = False
        """The last `read` found nothing new."""
        self.pause: Callable[[], None] = no_pause
        """Called between blocks, whatever they hold; may raise what ends the reading."""

    @property
    def failures(self) -> dict[str, str]:
        """Paths that could not be read, with the reason."""
        return self.registry.failed | self._scanner.look.unreadable

    def records(self) -> list[FileRecord]:
        """What to remember now."""
        return self.registry.records()

    def progress(self) -> list[LogProgress]:
        """How far each file is that is open or of which something is in flight."""
        return [it.log.progress() for it in self.registry.logs.values() if it.log is not None]

    @property
    def exhausted(self) -> bool:
        """With `once`: all files that were found are read to their end."""
        return self.idle and not self._scanner.waiting and not self.registry.open

    def acknowledge(self, position: AckPosition) -> None:
        """All lines up to the position are delivered."""
        file = self.registry.logs[position.log]
        file.opened_log.acknowledge(position)
        self._close_if_delivered(file)

    # ---- which files there are

    def scan(self) -> None:
        """Compare the known files with those that the paths name now; without `once`, open those that have their turn."""
        self._scanner.scan()
        if not self._once:
            self._open_waiting()

    def directories_changed(self) -> bool:
        """Tell whether a name came or went where the paths look, since the last call; cheaper than a scan."""
        return self._scanner.directories_changed()

    def _open_waiting(self) -> None:
        for file in list(islice(self._scanner.waiting.values(), OPENED_AT_ONCE)):
            while len(self.registry.open) >= self._most:
                if not self._make_room():
                    return
            del self._scanner.waiting[file.facts.key]
            self.pause()
            try:
                self._open(file)
            except OSError as error:
                if error.errno in {errno.EMFILE, errno.ENFILE} and self.registry.open:
                    # Fewer than allowed: the files take turns, and leave some descriptors, such as for the checkpoint.
                    self._most = max(1, len(self.registry.open) - SPARED)
                    self._scanner.waiting[file.facts.key] = file
                    continue
                self.registry.move(file, FileEvent.STOPPED)
                if not isinstance(error, FileNotFoundError):
                    self.registry.fail(file, error)
                elif self._once:  # else the next scan finds it
                    self._renamed[file.facts.key] = file.facts, error
                continue
            self._identify(file)
            if self._once:
                break
        if self._renamed and not self._scanner.waiting:
            self._find_renamed()

    def _find_renamed(self) -> None:
        """Scan again for files that are no longer where they were found."""
        renamed, self._renamed = self._renamed, {}
        self.scan()
        for key, (facts, error) in renamed.items():
            file = self.registry.files.get(key)
            if file is None or (file.state is FileState.CLOSED and file.record is None):
                self.registry.fail(TrackedFile(facts), error)

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
            (it.opened_log, it)
            for it in self.registry.open.values()
            if not (it.state is FileState.COMPARING or it.opened_log.gone)
        ]
        quiet = [(log, it) for log, it in candidates if not (log.pending or log.reader.behind)]
        if quiet:
            log, file = min(quiet, key=lambda each: each[0].changed_at)
            log.source.close()
            self.registry.move(file, FileEvent.PARKED)
            self.registry.closed(file)
            return True
        over = self._clock() - TURN
        for log, file in candidates:
            if log.opened_at <= over and not log.source.sequential:  # an archive would be read anew
                log.source.close()
                self._leave(file, FileEvent.STOPPED)
                return True
        return False

    def _identify(self, file: TrackedFile, former: FileRecord | None = None) -> None:
        try:
            self._identification.identify(file, former)
        except OSError as error:
            self._drop(file, error)

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
            self._scanner.forget()
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
        now, log, reader = self._clock(), file.opened_log, file.opened_log.reader
        consumed, comparison = log.consumed, log.comparison
        size, batch = log.read(now, once=self._once)
        if reader.skipped:
            self._events.hole_skipped(log.facts.name, reader.skipped)
            reader.skipped = 0
        if reader.needs and now >= file.retry_at:
            self.registry.fail(file, OSError(errno.ENOSPC, NO_ROOM.format(size=reader.needs)))
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
            self._identification.identified(file, comparison.otherwise)
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
        self.registry.closed(file)
        if finished:
            self._events.file_finished(log.facts.name)

    def _replace(self, file: TrackedFile) -> None:
        """The file holds something else now: a copy of its former content may go on where that ended."""
        log = file.opened_log
        former = log.remembered()
        self.registry.move(file, FileEvent.STOPPED)
        successor = self.registry.files[log.facts.key] = TrackedFile(log.facts)
        self._open(successor, log.source)
        self._close_if_delivered(file)
        self._identify(successor, former)

    def _drop(self, file: TrackedFile, error: OSError) -> None:
        """The file cannot be read on: keep what is known of it, and try again later."""
        file.opened_log.source.close()
        self._leave(file, FileEvent.STOPPED)
        self.registry.fail(file, error)


def most_open() -> int:
    """How many log files may be open at once."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(4, soft - RESERVED)
