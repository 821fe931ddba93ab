"""Following log files: what is remembered against what is found, through renames, truncation and deletion.

A log is open from the moment it is found until it is final, so that a file renamed or deleted is still read to its
end. It is final when it can grow no more: rotated away or deleted and quiet for a while, an archive, or a one-shot
run. Only then is a last line without line end tried as an entry; the delivered offset stays before it, so that it is
read again should it be completed after all.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from indexer.events import Events, LogProgress, Recognition
from indexer.reading import files, identity
from indexer.reading.files import FileFacts
from indexer.reading.identity import FileRecord, Key
from indexer.reading.log import Changed, Log, Run
from indexer.reading.register import INPUT, Register
from indexer.reading.windows import Archive
from indexer.settings import STANDARD_INPUT

QUIET = 5.0
"""Seconds without growth after which a rotated or deleted file counts as final."""
RETRIED = 10.0
"""Seconds after which a file that could not be read is tried again."""
FOR_EVER = 2**62
GOES_ON = frozenset({Recognition.RESUMED, Recognition.MOVED})
"""What a file may be to go on where another one, or its former self, was."""


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
        self._files = Register(clock)
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
        for log in self._files.settle():
            self._events.file_finished(log.facts.name)

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

    # ---- who they are

    def _attend(self, log: Log) -> None:
        """Recognise a log whose first line was not complete, or that was a copy so far."""
        try:
            left = log.copies is not None and not self._files.follows(log.copies)
            due = log.postponed or left or (log.copies is None and self._is_final(log))
            if log.grown(self._clock()) or due:
                self._recognise(log)
            nobody = log.record is None and log.gone and not log.postponed  # empty, or a copy
            if nobody and self._files.is_open(log) and self._is_final(log):
                self._files.let_go(log)
        except OSError as error:
            self._drop(log, error)

    def _recognise(self, log: Log) -> None:
        head = identity.head_of(log.window)
        if head is None and self._is_final(log):
            head = log.window.read_at(0, identity.HEAD)
        if not head:
            if self._once:
                self._check_complete(log)
            return
        # A live log is held open, whatever it was before: it may grow and be deleted between two looks.
        ended = self._files.orphans.claim_ended(log.facts, head) if self._once or log.rotated else None
        if ended is not None:
            self._files.end(log, ended)
            return
        with self._files.like(log, head) as (known, busy):
            judged = identity.recognise(log.facts, log.window, head, known)
        # Another one's last runs are still on their way: to go on from there now would be to send them twice.
        log.postponed = judged.recognition in GOES_ON and judged.record.generation in busy
        if log.postponed:
            return
        if judged.recognition is Recognition.COPY:
            self._wait_as_copy(log, judged.record)
        elif judged.recognition is Recognition.MOVED and self._adds_nothing(log, judged.record):
            # Left to a longer copy to claim, if there is one.
            self._events.file_found(log.facts.name, Recognition.MOVED, judged.record.offset)
            self._files.end(log, judged.record)
        elif judged.recognition in GOES_ON:
            self._claim(log, judged)
        elif log.copies is not None and log.still_a_copy:
            # Its original is gone, and was read further. Should it grow, all of it is asked for.
            self._files.end(log, replace(log.copies, offset=0, tail=0, reach=FOR_EVER, since=None))
        elif judged.record.twin and isinstance(log.window, Archive) and not log.window.whole():
            # What begins alike may turn out to be the same once all of it is written.
            if self._once:
                self._check_complete(log)
        else:
            self._claim(log, judged)

    def _wait_as_copy(self, log: Log, original: FileRecord) -> None:
        if log.copies is None or log.copies.generation != original.generation:
            self._events.file_found(log.facts.name, Recognition.COPY, 0)
        log.copy_of(original)

    def _adds_nothing(self, log: Log, record: FileRecord) -> bool:
        """Tell a file that holds what is delivered and no more, and is not being written. Raises OSError."""
        if not (self._once or log.rotated or log.still_a_copy) or log.window.read_at(record.offset, 1):
            return False
        if self._once:
            self._check_complete(log)
        return True

    def _claim(self, log: Log, judged: identity.Judgement) -> None:
        """Begin to read a log as what it was judged to be; its inode's former self becomes an orphan."""
        record = judged.record
        former = self._files.ended.pop(log.facts.key, None)
        if former is not None:
            self._files.orphans.add(former, 0)
        if judged.recognition in GOES_ON:
            self._take_over(log, record)
        else:
            # What it holds now may be in the index already; what is appended from now on cannot be.
            record = replace(record, reach=FOR_EVER if log.window.sequential else log.window.status().st_size)
            log.begin(record)
        self._events.file_found(log.facts.name, judged.recognition, record.offset)

    def _take_over(self, log: Log, record: FileRecord) -> None:
        """Go on where a record ends; what was read until now, if it is there still, is the shorter copy. Raises OSError."""
        log.begin(record)
        for other in list(self._files.open.values()):
            if other is not log and other.record is not None and other.record.generation == record.generation:
                self._files.supersede(other, Log(other.facts, self._limit, self._clock(), other.window))
        self.settle()
        self._files.orphans.claim(record)

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
            elif self._is_final(log):
                self._check_complete(log)
                run = log.finish()
                self._files.close(log)
        except Changed:
            self._begin_anew(log)
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
        return self._once or (log.rotated and quiet and (log.gone or not log.window.sequential))

    def _check_complete(self, log: Log) -> None:
        if log.window.sequential and not log.window.complete and log.facts.path != STANDARD_INPUT:
            raise OSError(0, f"the archive is cut short after {log.position} bytes of the log")

    def _begin_anew(self, log: Log) -> None:
        """The file holds something else now: a copy of what it was may go on from where it was."""
        successor = Log(log.facts, self._limit, self._clock(), log.window)
        self._files.supersede(log, successor)
        self.settle()
        self._attend(successor)

    def _drop(self, log: Log, error: OSError) -> None:
        """The file cannot be read on: keep what is known of it, and try again later."""
        self._files.leave(log)
        self.settle()
        self._fail(log.facts, error)
