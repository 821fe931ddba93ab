"""Who the open logs are: each is held against all that is known, then read from somewhere, kept waiting, or let go."""

from collections.abc import Callable
from dataclasses import replace

from indexer.events import Events, Recognition
from indexer.reading import identity
from indexer.reading.finality import is_final, require_whole
from indexer.reading.identity import FileRecord
from indexer.reading.log import Log
from indexer.reading.register import Register
from indexer.reading.windows import Archive

FOR_EVER = 2**62
GOES_ON = frozenset({Recognition.RESUMED, Recognition.MOVED})
"""What a file may be to go on where another one, or its former self, was."""


class Recogniser:
    """Gives each open log of a register its record."""

    def __init__(self, known: Register, *, once: bool, events: Events, clock: Callable[[], float]) -> None:
        """With `once`, all files are final."""
        self._files = known
        self._once = once
        self._events = events
        self._clock = clock

    def attend(self, log: Log) -> None:
        """Recognise a log that is new, whose first line was not complete, or that was a copy so far. Raises OSError."""
        left = log.copies is not None and not self._files.follows(log.copies)
        due = log.postponed or left or (log.copies is None and self._is_final(log))
        if log.grown(self._clock()) or due:
            self._recognise(log)
        nobody = log.record is None and log.gone and not log.postponed  # empty, or a copy
        if nobody and self._files.is_open(log) and self._is_final(log):
            self._files.let_go(log)

    def _recognise(self, log: Log) -> None:
        head = identity.head_of(log.window)
        if head is None and self._is_final(log):
            head = log.window.read_at(0, identity.HEAD)
        if not head:
            if self._once:
                require_whole(log)
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
        if not log.postponed:
            self._follow(log, judged)

    def _follow(self, log: Log, judged: identity.Judgement) -> None:
        """Do what is right for what it was judged to be. Raises OSError."""
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
                require_whole(log)
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
            require_whole(log)
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
                self._files.supersede(other, other.anew(self._clock()))
        self._files.settle()
        self._files.orphans.claim(record)

    def _is_final(self, log: Log) -> bool:
        return is_final(log, self._clock(), once=self._once)
