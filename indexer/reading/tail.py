"""Following log files: which are there and what they hold, through renames, truncation and deletion.

    waiting ──▶ open ──▶ leaving ──▶ closed ──▶ missing ──▶ forgotten
                 ▲                      │
                 └──────────────────────┘ when it has changed

A log is open from the moment it is found until it is final, so that a file renamed or deleted is still read to its end;
leaving while something of it is in flight; closed once all of it is delivered; missing when no path names it any more:
then it may go on in a moved or compressed copy. Where there are more files than may be open at once they take turns.
"""

import errno
import resource
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from indexer.events import MOST_UNREADABLE, Events, LogProgress, Recognition
from indexer.reading import files, identity
from indexer.reading.files import STANDARD_INPUT, FileFacts, Scope
from indexer.reading.identity import START, FileRecord, Key, Place
from indexer.reading.log import NO_ROOM, AckPosition, Changed, Log, ReadBatch, Spool
from indexer.reading.sources import FileSource, no_pause

INPUT = (0, 0)
"""The key of standard input."""
Head = tuple[int, int]
"""The length of a first line, and the generation that it makes."""
RETRIED = 10.0
"""Seconds after which a file that could not be read is tried again."""
CLAIMABLE = 60.0
"""Seconds for which a moved or compressed file may go on where a vanished one was."""
CLAIMABLE_AT_MOST = 600.0
"""The same, while there are files that are not looked into yet."""
OPENED_AT_ONCE = 500
"""Files opened between two signs of life."""
LIVELY = 10.0
"""Seconds since it last grew for which a file is looked at again and again."""
QUIET_EVERY = 1.0
"""Seconds between looks at the others."""
ALIKE = 1000
"""So many known files with one first line are looked at when another such file is found."""
TURN = 10.0
"""Seconds for which a log is read that always has more, while others wait."""
RESERVED = 40
"""Descriptors that are left to all but log files."""
SPARED = 4
"""So many files fewer are held open than were when there was no descriptor left."""


@dataclass(slots=True)
class Missing:
    """A record whose own file is not there, or is no longer that file."""

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
        most: int | None = None,
        scope: Scope = files.DEFAULT_SCOPE,
        spool: Spool | None = None,
    ) -> None:
        """`limit` is the longest line in bytes; with `once`, all files are final. At most `most` are open at once."""
        self._patterns = patterns
        self._scope = scope
        self._spool = spool
        self._limit = limit
        self._once = once
        self._events = events
        self._clock = clock
        self._most = 1 if once else most or most_open()
        self._waiting: dict[Key, FileFacts] = {}
        self._open: dict[Key, Log] = {}
        self._leaving: dict[int, Log] = {}
        self._closed = {record.key: record for record in remembered}
        self._missing: list[Missing] = []
        self._logs: dict[int, Log] = {}
        """The open and the leaving ones by number."""
        self._alike: dict[Head, list[FileRecord | Log]] = {}
        """All that is known, by first line."""
        self._turns: dict[Key, int] = {}
        """The number of the log as which each file was last open."""
        self._parked: set[Key] = set()
        """Closed to make room, not because they are final."""
        self._retry_at: dict[Key, float] = {}
        self._unsound: dict[Key, tuple[FileFacts, OSError]] = {}
        """Files whose own bytes are wrong: they are read again once they have changed."""
        self._renamed: dict[Key, tuple[FileFacts, OSError]] = {}
        self._look = files.Look([], {})
        self._directories: list[int] = []
        self._lively: list[Log] = []
        self._all_due = 0.0
        self._number = 0
        self.idle = False
        """The last `read` found nothing new."""
        self.pause: Callable[[], None] = no_pause
        """Called between blocks, whatever they hold; may raise what ends the reading."""
        self._failed: dict[str, str] = {}

    @property
    def failures(self) -> dict[str, str]:
        """Paths that could not be read, with the reason."""
        return self._failed | self._look.unreadable

    def records(self) -> list[FileRecord]:
        """What to remember now."""
        logs = [log for log in self._logs.values() if log.facts.key != INPUT]
        known = [record for log in logs if (record := log.remembered()) is not None]
        return [*known, *self._closed.values(), *(missing.record for missing in self._missing)]

    def progress(self) -> list[LogProgress]:
        """How far each file is that is read, or of which something is in flight."""
        return [log.progress() for log in self._logs.values()]

    @property
    def exhausted(self) -> bool:
        """With `once`: all that was found is read to its end."""
        return self.idle and not self._waiting and not self._open

    def acknowledge(self, mark: AckPosition) -> None:
        """All lines up to the mark are delivered."""
        log = self._logs[mark.log]
        log.acknowledge(mark)
        if log.number in self._leaving:
            self._settle(log)

    # ---- which files there are

    def scan(self) -> None:
        """Hold what is known against what the paths name now."""
        now = self._clock()
        look = self._look = files.find(self._patterns, self._scope)
        found = {facts.key: facts for facts in look.found}
        if STANDARD_INPUT in self._patterns:
            found[INPUT] = FileFacts(STANDARD_INPUT, *INPUT, 0, 0)
        for path, reason in islice(look.unreadable.items(), MOST_UNREADABLE):
            self._events.file_unreadable(path, reason)
        for key, log in self._open.items():
            if key in found or not look.hides(log.facts.name):
                log.found_as(found.get(key), now)
        for key, record in list(self._closed.items()):
            if key not in found and not look.hides(record.path):
                self._miss(self._closed.pop(key), record.unread)
        self._retry_at = {key: at for key, at in self._retry_at.items() if key in found}
        self._unsound = {key: known for key, known in self._unsound.items() if key in found}
        self._find_waiting(found, now)
        if not self._once:
            names = {facts.name for facts in look.found}
            self._failed = {name: reason for name, reason in self._failed.items() if name in names}
        self._alike = {}
        for record in (*(lost.record for lost in self._missing), *self._closed.values()):
            self._note(record)
        for log in self._logs.values():
            self._note(log)
        if not self._once:
            self._forget()
            self._open_waiting()

    def _find_waiting(self, found: Mapping[Key, FileFacts], now: float) -> None:
        busy = {log.facts.key for log in self._logs.values()}
        wanted = [
            facts
            for key, facts in found.items()
            if key not in busy
            and now >= self._retry_at.get(key, 0)
            and not self._is_closed(facts)
            and not self._is_unsound(facts)
        ]
        # Whoever had no turn comes first, then those whose last turn is longest ago, so that everybody has one. Standard
        # input, which may never end, and archives, which may be copies of the others, come after the others.
        self._turns = {key: turn for key, turn in self._turns.items() if key in found}
        wanted.sort(
            key=lambda facts: (
                self._turns.get(facts.key, 0),
                facts.key == INPUT,
                facts.archive,
                facts.path,
            )
        )
        self._waiting = {facts.key: facts for facts in wanted}

    def directories_changed(self) -> bool:
        """Tell whether a name came or went where the paths look, since this was last asked; cheaper than a scan."""
        before, self._directories = self._directories, files.directory_times(self._patterns)
        return before != self._directories

    def _is_closed(self, facts: FileFacts) -> bool:
        """Tell a file that was read to its end and has not changed since."""
        record = self._closed.get(facts.key)
        if record is None or (record.size, record.modified) != (facts.size, facts.modified_ns):
            return False
        if not (record.ended if facts.rotated or self._once else facts.key in self._parked):
            return False  # a live log is held open: it may grow and be deleted between two looks
        if record.path != facts.name:
            self._closed[facts.key] = record.at(facts)
        return True

    def _is_unsound(self, facts: FileFacts) -> bool:
        """Tell a file that has not changed since its bytes were wrong, and say so again as long as it is there."""
        known, error = self._unsound.get(facts.key, (None, None))
        if (
            known is None
            or error is None
            or (known.size, known.modified_ns) != (facts.size, facts.modified_ns)
        ):
            return False
        self._fail(facts, error)
        return True

    def _note(self, known: FileRecord | Log) -> None:
        record = known.record if isinstance(known, Log) else known
        if record is not None:
            self._alike.setdefault((record.head, record.generation), []).append(known)

    def _known(self, record: FileRecord) -> Iterator[FileRecord]:
        """Records with this one's first line; not all, if there are too many."""
        for known in islice(self._alike.get((record.head, record.generation), ()), ALIKE):
            found = known.record if isinstance(known, Log) else known
            if found is not None:
                yield found

    def _miss(self, record: FileRecord, unread: int) -> None:
        self._parked.discard(record.key)
        self._missing.append(Missing(record, unread, self._clock()))

    def _forget(self) -> None:
        """Forget what nobody claimed, unless its file is where no one looks, or can look, now."""
        now = self._clock()
        claimants = self._waiting or any(log.comparing for log in self._open.values())
        claimable = 0.0 if self._once else CLAIMABLE_AT_MOST if claimants else CLAIMABLE
        missing, self._missing = self._missing, []
        for lost in missing:
            due = now - lost.since >= claimable
            if due and self._is_elsewhere(lost.record):
                due, lost.since = False, now
            if not due:
                self._missing.append(lost)
                continue
            others = (known for known in self._known(lost.record) if known is not lost.record)
            if lost.unread and not any(known.offset >= lost.record.offset for known in others):
                self._events.file_lost(lost.record.path, lost.unread)

    def _is_elsewhere(self, record: FileRecord) -> bool:
        """Tell whether a file may be there that no path names now, or that is hidden."""
        if self._look.hides(record.path) or not files.directory_exists(record.path):
            return True
        try:
            facts = files.look_at(record.path)
        except OSError:
            return True
        return (
            facts is not None
            and facts.key == record.key
            and not (record.key in self._open or record.key in self._closed)
        )

    # ---- opening

    def _open_waiting(self) -> None:
        for facts in list(islice(self._waiting.values(), OPENED_AT_ONCE)):
            while len(self._open) >= self._most:
                if not self._make_room():
                    return
            del self._waiting[facts.key]
            self.pause()
            try:
                log = self._log(facts)
            except OSError as error:
                if error.errno in {errno.EMFILE, errno.ENFILE} and self._open:
                    # Fewer than allowed: they take turns, and leave some to others, such as the checkpoint.
                    self._most = max(1, len(self._open) - SPARED)
                    self._waiting[facts.key] = facts
                elif isinstance(error, FileNotFoundError):
                    self._renamed[facts.key] = facts, error
                else:
                    self._fail(facts, error)
                continue
            self._identify(log)
            if self._once:
                break
        if self._renamed and not self._waiting:
            self._find_renamed()

    def _find_renamed(self) -> None:
        """Files are not where they were found: with `once` nobody would look again. Else the next scan finds them."""
        renamed, self._renamed = self._renamed, {}
        if not self._once:
            return
        self.scan()
        for key, (facts, error) in renamed.items():
            if key not in self._waiting and key not in self._open and key not in self._closed:
                self._fail(facts, error)

    def _log(self, facts: FileFacts, source: FileSource | None = None) -> Log:
        """Open a log. Raises OSError."""
        self._number += 1
        log = Log(self._number, facts, self._limit, self._clock(), source, self._spool)
        log.source.pause = self._pause
        self._logs[log.number] = self._open[facts.key] = log
        self._turns[facts.key] = log.number
        self._lively.append(log)
        self.idle = False
        return log

    def _pause(self) -> None:
        self.pause()

    def _make_room(self) -> bool:
        """Close the log that has not grown for longest, of those with nothing to read now; else one that had its turn."""
        if self._once:
            return False
        logs = [log for log in self._open.values() if not (log.comparing or log.gone)]
        done = [log for log in logs if not (log.pending or log.behind)]
        parked = min(done, key=lambda log: log.changed_at, default=None)
        if parked is None:
            return self._end_turn(logs)
        self._let_go(parked)
        record = parked.remembered()
        if record is not None:
            self._closed[record.key] = record.at(parked.facts)
            self._parked.add(record.key)
        return True

    def _end_turn(self, logs: Sequence[Log]) -> bool:
        """Close a log that has more to read, if it was open for a while; an archive would have to be read anew."""
        over = self._clock() - TURN
        log = next((log for log in logs if log.opened_at <= over and not log.source.sequential), None)
        if log is None:
            return False
        log.source.close()
        self._leave(log)
        return True

    def _identify(self, log: Log, former: FileRecord | None = None) -> None:
        """Find out who a log is and where to go on (see `identity.py`), once its first line is complete."""
        try:
            now = self._clock()
            log.grown(now)
            head = identity.head_of(log.source)
            final = log.is_final(now, once=self._once)
            if head is None and final:
                log.source.require_whole()
                head = log.source.read_at(0, identity.HEAD)
            if head and log.is_decided(head, now, once=final):
                self._begin(log, head, former or self._former(log.facts.key))
            elif final and (self._once or log.gone):
                log.source.require_whole()
                self._let_go(log)
        except OSError as error:
            self._drop(log, error)

    def _former(self, key: Key) -> FileRecord | None:
        """What an inode was known as last: missing, until the file turns out to be it."""
        record = self._closed.pop(key, None)
        if record is not None:
            self._miss(record, record.unread)
        known = [lost.record for lost in self._missing if lost.record.key == key]
        return known[-1] if known else None

    def _begin(self, log: Log, head: bytes, former: FileRecord | None) -> None:
        """Read a log from where its inode's former record ends, or as another file. Raises OSError."""
        source = log.source
        if former is not None and identity.begins_like(head, former) and identity.reads_like(source, former):
            log.begin(former.at(log.facts), Place(former.offset, former.tail, former.digest))
            self._begun(log, Recognition.RESUMED)
            return
        record = identity.fresh(log.facts, head)
        recognition = Recognition.NEW
        size = 2**62
        if former is not None and log.facts.key != INPUT:
            recognition = Recognition.REPLACED
            if not source.sequential:
                size = source.status().st_size  # it will not grow again to what it was
                recognition = Recognition.REPLACED if size >= former.offset else Recognition.TRUNCATED
        places = identity.to_compare(known for known in self._known(record) if known.offset <= size)
        if places and log.facts.key != INPUT:
            log.compare(record, places, self._clock(), recognition)
        else:
            log.begin(record, START)
            self._begun(log, recognition)

    def _begun(self, log: Log, recognition: Recognition) -> None:
        record = log.record
        assert record is not None  # noqa: S101 - that is when this is called
        resumed = recognition is Recognition.RESUMED
        if record.offset and not resumed:
            recognition = Recognition.MOVED

        def goes_on(lost: FileRecord) -> bool:
            """Tell whether it is not missing, as this log goes on where it was."""
            same = lost.key == record.key if resumed else record.offset > 0
            return same and lost.generation == record.generation and lost.offset <= record.offset

        self._missing = [lost for lost in self._missing if not goes_on(lost.record)]
        self._failed.pop(log.facts.name, None)
        self._note(log)
        self._events.file_found(log.facts.name, recognition, record.offset)

    # ---- what they hold

    def read(self) -> Iterator[ReadBatch]:
        """Yield what one block of each log completes (with `once`: all blocks); sets `idle`."""
        self.idle = True
        self._open_waiting()
        due = self._due()
        for log in due:
            while self._open.get(log.facts.key) is log:
                size, run = self._read(log)
                self.pause()
                if run is not None:
                    yield run
                if not (size and self._once):
                    break
        if self._once and self.exhausted:  # all that is there was looked into: nobody will claim the rest
            self._forget()
        lately = self._clock() - LIVELY
        self._lively = [log for log in due if log.changed_at > lately or log.behind or log.comparing]

    def _due(self) -> list[Log]:
        """The logs to look at now: those that have grown lately; all of them about once a second."""
        now = self._clock()
        if now < self._all_due and not self._once:
            return self._lively
        self._all_due = now + QUIET_EVERY
        return list(self._open.values())

    def _read(self, log: Log) -> tuple[int, ReadBatch | None]:
        """Read on; return how many bytes were read, and what they complete."""
        now = self._clock()
        if log.record is None and not log.comparing:
            self._identify(log)
            begun = log.record is not None or log.comparing
            self.idle = self.idle and not begun
            return int(begun), None
        try:
            consumed, comparing = log.consumed, log.comparing
            size, run = log.read(now, once=self._once)
            if log.skipped:
                self._events.hole_skipped(log.facts.name, log.skipped)
                log.skipped = 0
            if log.needs:
                self._tell_no_room(log, now)
            if size:
                self.idle = False
                self._events.block_read(log.facts.name, log.consumed - consumed)
            elif log.comparing and log.is_complete(now, once=self._once):
                log.decide()
            elif not (log.comparing or log.behind) and log.is_final(now, once=self._once):
                log.source.require_whole()
                run = log.finish()
                self._end(log)
            if comparing and not log.comparing:
                self._begun(log, log.recognition)
                size, self.idle = 1, False
        except Changed:
            self._begin_anew(log)
            return 0, None
        except OSError as error:
            self._drop(log, error)
            return 0, None
        return size, run

    def _tell_no_room(self, log: Log, now: float) -> None:
        """Say what a log waits for, now and then as long as it does."""
        if now >= self._retry_at.get(log.facts.key, 0):
            self._fail(log.facts, OSError(errno.ENOSPC, NO_ROOM.format(size=log.needs)))

    # ---- from state to state

    def _let_go(self, log: Log) -> None:
        """Close an open log of which nothing is in flight."""
        del self._open[log.facts.key], self._logs[log.number]
        log.source.close()

    def _end(self, log: Log) -> None:
        """An open log was read to its end."""
        log.ended = True
        self._leave(log)

    def _leave(self, log: Log) -> None:
        del self._open[log.facts.key]
        self._leaving[log.number] = log
        self._settle(log)

    def _settle(self, log: Log) -> None:
        """Remember a leaving log once all of it is delivered."""
        if log.pending:
            return
        del self._leaving[log.number], self._logs[log.number]
        record, key = log.remembered(), log.facts.key
        if key != INPUT and record is not None:
            if key in self._open:
                self._miss(record, log.unread)
            else:
                self._closed[key] = replace(record, ended=log.ended)
        if log.ended:
            self._events.file_finished(log.facts.name)

    def _begin_anew(self, log: Log) -> None:
        """The file holds something else now: a copy of what it was may go on from where it was."""
        former = log.remembered()
        successor = self._log(log.facts, log.source)
        self._leaving[log.number] = log
        self._settle(log)
        self._identify(successor, former)

    def _drop(self, log: Log, error: OSError) -> None:
        """The file cannot be read on: keep what is known of it, and try again later."""
        log.source.close()
        self._leave(log)
        self._fail(log.facts, error)

    def _fail(self, facts: FileFacts, error: OSError) -> None:
        reason = error.strerror or str(error)
        self._failed[facts.name] = reason
        self._retry_at[facts.key] = self._clock() + RETRIED
        if not error.errno:
            self._unsound[facts.key] = facts, error
        self._events.file_unreadable(facts.name, reason)


def most_open() -> int:
    """How many log files may be open at once."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(4, soft - RESERVED)
