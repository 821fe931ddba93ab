"""Following log files: which are there and what they hold, through renames, truncation and deletion.

A log is open from the moment it is found until it is final (`finality.py`), so that a file renamed or deleted is still
read to its end. It is read once it is known who it is (`recognising.py`).
"""

import time
from collections.abc import Callable, Iterator, Sequence

from indexer.events import Events, LogProgress
from indexer.reading import files
from indexer.reading.files import FileFacts
from indexer.reading.finality import is_final, require_whole
from indexer.reading.identity import FileRecord, Key
from indexer.reading.log import Changed, Log, Run
from indexer.reading.recognising import Recogniser
from indexer.reading.register import INPUT, Register
from indexer.settings import STANDARD_INPUT

RETRIED = 10.0
"""Seconds after which a file that could not be read is tried again."""


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
        self._files = Register(events, clock)
        self._recogniser = Recogniser(self._files, once=once, events=events, clock=clock)
        for record in remembered:
            self._files.orphans.add(record, record.unread)
        self._retry_at: dict[Key, float] = {}
        self._directories: list[int] = []
        self.idle = False
        """The last `read` found nothing new."""
        self.failures: dict[str, str] = {}
        """Paths that could not be read, with the reason."""

    def records(self, since: str | None) -> list[FileRecord]:
        """What to remember now, if nothing unanswered was sent before `since` was the write index."""
        return self._files.records(since)

    def progress(self) -> list[LogProgress]:
        """How far each file is of which something may be sent."""
        return self._files.progress()

    def nothing_sent_ahead(self) -> None:
        """All that was sent is delivered: the next run need not ask about any of it."""
        for log in self._files.open.values():
            log.reserved = 0

    # ---- which files there are

    def scan(self) -> None:
        """Hold the open logs against what the paths name now; open what is new, let go what is done."""
        found = {facts.key: facts for facts in files.find(self._patterns)}
        if STANDARD_INPUT in self._patterns:
            found[INPUT] = FileFacts(STANDARD_INPUT, *INPUT, 0, time.time())
        for log in self._files.open.values():
            log.found_as(found.get(log.facts.key), self._clock())
        self.settle()
        self._files.lose(lambda key: key in found)
        self._retry_at = {key: at for key, at in self._retry_at.items() if key in found}
        for log in list(self._files.open.values()):
            self._look_at(log)
        known = {record.key for record in self._files.orphans.records}
        itself = self._files.themselves(found)
        # Those first that are what they were: one that is not might be taken for one of them. Longer ones first: a part
        # of one is a copy then, and not the other way round.
        for facts in sorted(
            found.values(), key=lambda f: (f.key not in itself, f.key not in known, f.archive, -f.size)
        ):
            if (
                facts.key not in self._files.open
                and facts.key not in self._files.closing
                and self._is_due(facts)
            ):
                self._open(facts)
        if not self._once:
            for orphan in self._files.orphans.forget(self._files.in_use):
                if orphan.unread:
                    self._events.file_lost(orphan.record.path, orphan.unread)

    def _attend(self, log: Log) -> None:
        try:
            self._recogniser.attend(log)
        except OSError as error:
            self._drop(log, error)

    def _look_at(self, log: Log) -> None:
        """Know what an open log is now, before others are held against it."""
        if log.record is None:
            self._attend(log)
            return
        try:
            log.verify()
        except Changed:
            self._begin_anew(log)
        except OSError as error:
            self._drop(log, error)

    def settle(self) -> None:
        """Let go the closed logs of which all is delivered."""
        self._files.settle()

    @property
    def exhausted(self) -> bool:
        """With `once`: all that was found is read to its end."""
        waiting = self._files.open.get(INPUT)
        return (
            self.idle
            and not any(log.record or log.postponed for log in self._files.open.values())
            and (not waiting or waiting.window.complete)
        )

    def directories_changed(self) -> bool:
        """Tell whether a name came or went where the paths look, since this was last asked; cheaper than a scan."""
        before, self._directories = self._directories, files.directory_times(self._patterns)
        return before != self._directories

    def _is_due(self, facts: FileFacts) -> bool:
        """Tell a file that may have something to read, and has not just failed."""
        return not self._files.has_ended(facts) and self._clock() >= self._retry_at.get(facts.key, 0)

    def _open(self, facts: FileFacts) -> None:
        try:
            log = Log(facts, self._limit, self._clock())
        except OSError as error:
            # One that was renamed since is found by the next look.
            if self._once or not isinstance(error, FileNotFoundError):
                self._fail(facts, error)
            return
        self._files.open[facts.key] = log
        self._attend(log)

    def _fail(self, facts: FileFacts, error: OSError) -> None:
        reason = error.strerror or str(error)
        self.failures[facts.name] = reason
        self._retry_at[facts.key] = self._clock() + RETRIED
        self._events.file_unreadable(facts.name, reason)

    # ---- what they hold

    def read(self) -> Iterator[Run]:
        """Yield what one block of each log completes (with `once`: all blocks); sets `idle`."""
        self.idle = True
        for log in list(self._files.open.values()):
            if log.record is None and self._files.is_open(log):
                self._attend(log)
            while log.record is not None and self._files.is_open(log):
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
            elif is_final(log, self._clock(), once=self._once):
                require_whole(log)
                run = log.finish()
                self._files.close(log)
        except Changed:
            self._begin_anew(log)
            return 0, None
        except OSError as error:
            self._drop(log, error)
            return 0, None
        return size, run

    def _begin_anew(self, log: Log) -> None:
        """The file holds something else now: a copy of what it was may go on from where it was."""
        successor = log.anew(self._clock())
        self._files.supersede(log, successor)
        self.settle()
        self._attend(successor)

    def _drop(self, log: Log, error: OSError) -> None:
        """The file cannot be read on: keep what is known of it, and try again later."""
        self._files.leave(log)
        self.settle()
        self._fail(log.facts, error)
