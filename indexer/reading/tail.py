"""Following log files: what is remembered against what is found, through renames, truncation and deletion.

A log is open from the moment it is found until it is final, so that a file renamed or deleted is still read to its
end. It is final when it can grow no more: rotated away or deleted and quiet for a while, an archive, or a one-shot
run. Only then is a last line without line end tried as an entry; the delivered offset stays before it, so that it is
read again should it be completed after all.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from indexer.events import Events, Recognition
from indexer.reading import files, identity
from indexer.reading.files import FileFacts
from indexer.reading.identity import FileRecord, Key
from indexer.reading.log import Changed, Log, Run
from indexer.reading.orphans import Orphans
from indexer.reading.windows import PlainFile, Window, open_log
from indexer.settings import STANDARD_INPUT

QUIET = 5.0
"""Seconds without growth after which a rotated or deleted file counts as final."""
RETRIED = 10.0
"""Seconds after which a file that could not be read is tried again."""
FOR_EVER = 2**62
INPUT = (0, 0)
GOES_ON = frozenset({Recognition.RESUMED, Recognition.MOVED})
"""What a file may be to go on where another one, or its former self, was."""
Known = tuple[FileRecord, Window | None]


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
        """Read to their end, their last runs still on their way."""
        self._leaving: list[Log] = []
        """Their file is no longer theirs, their last runs are still on their way."""
        self._ended: dict[Key, FileRecord] = {}
        self._retry_at: dict[Key, float] = {}
        self._orphans = Orphans(clock)
        for record in remembered:
            self._orphans.add(record, record.unread)
        self._directories: list[int] = []
        self.idle = False
        """The last `read` found nothing new."""
        self.failures: dict[str, str] = {}
        """Paths that could not be read, with the reason."""

    def records(self, since: str | None) -> list[FileRecord]:
        """What to remember now, if nothing unanswered was sent before `since` was the write index."""
        logs = [*self._logs.values(), *self._closing.values(), *self._leaving]
        remembered = [log.remembered(since) for log in logs if log.facts.path != STANDARD_INPUT]
        known = [record for record in remembered if record is not None]
        return known + list(self._ended.values()) + self._orphans.records

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
            log.found_as(found.get(log.facts.key), self._clock())
        self.settle()
        for key in [key for key in self._ended if key not in found]:
            self._orphans.add(self._ended.pop(key), 0)
        self._retry_at = {key: at for key, at in self._retry_at.items() if key in found}
        known = {record.key for record in self._orphans.records}
        for facts in sorted(found.values(), key=lambda facts: facts.key not in known):
            if (
                facts.key not in self._logs
                and facts.key not in self._closing
                and not self._needs_nothing(facts)
            ):
                self._open(facts)
        if not self._once:
            for orphan in self._orphans.forget(self._in_use):
                if orphan.unread:
                    self._events.file_lost(orphan.record.path, orphan.unread)

    def settle(self) -> None:
        """Let go the closed logs of which all is delivered."""
        for key, log in list(self._closing.items()):
            if not log.pending:
                del self._closing[key]
                record = log.done()
                if record is not None and key != INPUT:
                    self._ended[key] = replace(record, ended=True)
                self._events.file_finished(log.facts.name)
        for log in list(self._leaving):
            if not log.pending:
                self._leaving.remove(log)
                record = log.done()
                if record is not None:
                    self._orphans.add(record, log.unread)

    @property
    def exhausted(self) -> bool:
        """With `once`: all that was found is read to its end."""
        waiting = self._logs.get(INPUT)
        return (
            self.idle
            and not any(log.record or log.postponed for log in self._logs.values())
            and (not waiting or waiting.window.complete)
        )

    def directories_changed(self) -> bool:
        """Tell whether a name came or went where the paths look, since this was last asked; cheaper than a scan."""
        before, self._directories = self._directories, files.directory_times(self._patterns)
        return before != self._directories

    def _needs_nothing(self, facts: FileFacts) -> bool:
        """Tell a file that was read to its end and has not changed since, or that has just failed."""
        record = self._ended.get(facts.key)
        if record is not None and record.size == facts.size and _is_still(facts, record):
            self._ended[facts.key] = record.at(facts)
            return True
        return self._clock() < self._retry_at.get(facts.key, 0)

    def _in_use(self, key: Key) -> bool:
        """Tell whether an inode is known to be some file."""
        log = self._logs.get(key)
        return key in self._ended or key in self._closing or (log is not None and log.record is not None)

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

    # ---- who they are

    def _attend(self, log: Log) -> None:
        """Recognise a log whose first line was not complete, or that was a copy so far."""
        try:
            left = log.copies is not None and not self._follows(log.copies)
            due = log.postponed or left or (log.copies is None and self._is_final(log))
            if log.grown(self._clock()) or due:
                self._recognise(log)
        except OSError as error:
            self._drop(log, error)
        if log.record is None and log.gone and not log.postponed and self._is_final(log):
            self._let_go(log)  # empty, or a copy

    def _follows(self, record: FileRecord) -> bool:
        """Tell whether a file is still there as what it was."""
        log = self._logs.get(record.key) or self._closing.get(record.key)
        now = log.record if log is not None else self._ended.get(record.key)
        return now is not None and now.generation == record.generation

    def _let_go(self, log: Log) -> None:
        if self._logs.get(log.facts.key) is log:
            del self._logs[log.facts.key]
            log.window.close()

    def _recognise(self, log: Log) -> None:
        head = identity.head_of(log.window)
        if head is None and self._is_final(log):
            head = log.window.read_at(0, identity.HEAD)
        if not head:
            if self._once:
                self._check_complete(log)
            return
        # A live log is held open, whatever it was before: it may grow and be deleted between two looks.
        ended = self._orphans.claim_ended(log.facts, head) if self._once or log.rotated else None
        if ended is not None:
            self._let_go(log)
            self._ended[ended.key] = ended
            return
        with self._known(log, head) as (known, busy):
            judged = identity.recognise(log.facts, log.window, head, known)
        # Another one's last runs are still on their way: to go on from there now would be to send them twice.
        log.postponed = judged.recognition in GOES_ON and judged.record.generation in busy
        if log.postponed:
            return
        if judged.recognition is Recognition.COPY:
            if log.copies is None or log.copies.generation != judged.record.generation:
                self._events.file_found(log.facts.name, Recognition.COPY, 0)
            log.copy_of(judged.record)
        elif judged.recognition not in GOES_ON and log.copies is not None and log.still_a_copy:
            self._end_copy(log, log.copies)
        else:
            self._claim(log, judged)

    def _end_copy(self, log: Log, original: FileRecord) -> None:
        """The original is gone, and was read further than this copy of it. Should it grow, all of it is asked for."""
        self._let_go(log)
        self._ended[log.facts.key] = replace(
            original.at(log.facts), offset=0, tail=0, reach=FOR_EVER, since=None, size=log.size, ended=True
        )

    @contextmanager
    def _known(self, log: Log, head: bytes) -> Iterator[tuple[list[Known], set[int]]]:
        """The records that may be this log's, with the windows of those whose own file is still there.

        Also tells the generations of which something is on its way.
        """
        known: list[Known] = []
        busy: set[int] = set()
        with ExitStack() as stack:
            for other in (*self._logs.values(), *self._closing.values(), *self._leaving):
                record = other.remembered(None)
                if other is log or record is None or not self._may_be(log, head, record):
                    continue
                intact = (
                    other.facts.key in self._logs and self._logs[other.facts.key] is other and other.intact()
                )
                known.append((record, other.window if intact else None))
                if other.pending or not intact:
                    busy.add(record.generation)
            for record in self._ended.values():
                if self._may_be(log, head, record):
                    window = _own_window(record) if record.key != log.facts.key else None
                    if window is not None:
                        stack.callback(window.close)
                    known.append((record, window))
            orphans = self._orphans.records
            known += [(record, None) for record in orphans if self._may_be(log, head, record)]
            yield known, busy

    def _may_be(self, log: Log, head: bytes, record: FileRecord) -> bool:
        if INPUT in {log.facts.key, record.key}:  # cannot be read twice
            return False
        return record.key == log.facts.key or identity.begins_like(head, record)

    def _claim(self, log: Log, judged: identity.Judgement) -> None:
        """Begin to read a log as what it was judged to be; its inode's former self becomes an orphan."""
        record = judged.record
        former = self._ended.pop(log.facts.key, None)
        if former is not None:
            self._orphans.add(former, 0)
        if judged.recognition in GOES_ON:
            self._orphans.claim(record.generation)
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
            while log.record is not None and self._logs.get(log.facts.key) is log:
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
            self._leave(log)
            self._open(log.facts)
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

    def _leave(self, log: Log) -> None:
        """The file is no longer what was read, or cannot be read: a copy of it may go on from where this one was."""
        self._logs.pop(log.facts.key, None)
        log.window.close()
        self._leaving.append(log)
        self.settle()

    def _drop(self, log: Log, error: OSError) -> None:
        """The file cannot be read on: keep what is known of it, and try again later."""
        self._leave(log)
        self._fail(log.facts, error)


def _own_window(record: FileRecord) -> PlainFile | None:
    """Open an ended file anew; None if it is not there any more. Raises OSError."""
    try:
        window = open_log(FileFacts(record.path, *record.key, 0, 0))
    except FileNotFoundError:
        return None
    status = window.status()
    if (status.st_dev, status.st_ino) == record.key:
        return window
    window.close()
    return None


def _is_still(facts: FileFacts, record: FileRecord) -> bool:
    """Tell a file that was renamed from another one that was given its inode; their sizes are the same."""
    if facts.name == record.path:
        return True
    try:
        window = open_log(facts)
        try:
            return identity.starts_like(window, record)
        finally:
            window.close()
    except OSError:
        return False
