"""All files that are known, each in one state: open, closing, leaving, ended, or an orphan.

    open ──▶ closing ──▶ ended ──▶ orphan       read to its end; all delivered; no longer found
      └────▶ leaving ───────────▶ orphan        no longer what it was, or unreadable; all that was read delivered

What an orphan was may go on in a moved or compressed copy; it is forgotten if none turns up.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from indexer.events import Events, LogProgress
from indexer.reading import identity
from indexer.reading.files import FileFacts
from indexer.reading.identity import FileRecord, Key
from indexer.reading.log import Log
from indexer.reading.orphans import Orphans
from indexer.reading.windows import PlainFile, Window, open_log

INPUT = (0, 0)
"""The key of standard input."""
Known = tuple[FileRecord, Window | None]


class Register:
    """Which files are known, and as what."""

    def __init__(self, events: Events, clock: Callable[[], float]) -> None:
        self._events = events
        self.open: dict[Key, Log] = {}
        self.closing: dict[Key, Log] = {}
        """Read to their end, their last runs still on their way."""
        self.leaving: list[Log] = []
        """Their file is no longer theirs, their last runs are still on their way."""
        self.ended: dict[Key, FileRecord] = {}
        self.orphans = Orphans(clock)

    def records(self, since: str | None) -> list[FileRecord]:
        """What to remember now, if nothing unanswered was sent before `since` was the write index."""
        remembered = [log.remembered(since) for log in self._under_way if log.facts.key != INPUT]
        known = [record for record in remembered if record is not None]
        return known + list(self.ended.values()) + self.orphans.records

    def progress(self) -> list[LogProgress]:
        """How far each file is that is read, or of which something is on its way."""
        return [log.progress() for log in self._under_way]

    @property
    def _under_way(self) -> list[Log]:
        return [*self.open.values(), *self.closing.values(), *self.leaving]

    # ---- from state to state

    def is_open(self, log: Log) -> bool:
        """Tell whether this very log is the open one of its file."""
        return self.open.get(log.facts.key) is log

    def let_go(self, log: Log) -> None:
        """Close an open log of which nothing was read."""
        del self.open[log.facts.key]
        log.window.close()

    def end(self, log: Log, record: FileRecord) -> None:
        """Close an open log of which there is nothing to read, as it is now."""
        self.let_go(log)
        self.ended[log.facts.key] = replace(record.at(log.facts), size=log.size, ended=True)

    def close(self, log: Log) -> None:
        """An open log was read to its end."""
        self.closing[log.facts.key] = self.open.pop(log.facts.key)

    def leave(self, log: Log) -> None:
        """Close an open log whose file is no longer what was read, or cannot be read."""
        self.let_go(log)
        self.leaving.append(log)

    def supersede(self, log: Log, successor: Log) -> None:
        """The file of an open log holds something else now."""
        self.open[log.facts.key] = successor
        self.leaving.append(log)

    def settle(self) -> None:
        """Carry on those of which all is delivered."""
        for key, log in list(self.closing.items()):
            if not log.pending:
                del self.closing[key]
                record = log.done()
                if record is not None and key != INPUT:
                    self.ended[key] = replace(record, ended=True)
                self._events.file_finished(log.facts.name)
        for log in list(self.leaving):
            if not log.pending:
                self.leaving.remove(log)
                record = log.done()
                if record is not None and record.key != INPUT:
                    self.orphans.add(record, log.unread)

    def lose(self, found: Callable[[Key], bool]) -> None:
        """Those that have ended and are not found any more are orphans."""
        for key in [key for key in self.ended if not found(key)]:
            self.orphans.add(self.ended.pop(key), 0)

    # ---- what is known

    def in_use(self, key: Key) -> bool:
        """Tell whether an inode is known to be some file."""
        log = self.open.get(key)
        return key in self.ended or key in self.closing or (log is not None and log.record is not None)

    def follows(self, record: FileRecord) -> bool:
        """Tell whether a file is still there as what it was."""
        log = self.open.get(record.key) or self.closing.get(record.key)
        now = log.record if log is not None else self.ended.get(record.key)
        return now is not None and now.generation == record.generation

    def has_ended(self, facts: FileFacts) -> bool:
        """Tell a file that was read to its end and has not changed since."""
        record = self.ended.get(facts.key)
        if record is None or record.size != facts.size or not _is_still(facts, record):
            return False
        self.ended[facts.key] = record.at(facts)
        return True

    def themselves(self, found: Mapping[Key, FileFacts]) -> set[Key]:
        """The logs that go on as what is remembered of their inodes; none while no two of those begin alike.

        Of archives, which cost more to look at, nothing is told.
        """
        records = [record for record in self.orphans.records if not record.ended and record.key in found]
        if not any(record.twin for record in records):
            return set()
        plain = [(record, found[record.key]) for record in records if not found[record.key].archive]
        return {record.key for record, facts in plain if _shows(facts, record, identity.reads_like)}

    @contextmanager
    def like(self, log: Log, head: bytes) -> Iterator[tuple[list[Known], set[int]]]:
        """The records that may be this log's, with the windows of those whose own file is still there.

        Also the generations of which something is on its way. Raises OSError.
        """
        known: list[Known] = []
        busy: set[int] = set()
        with ExitStack() as stack:
            for other in self._under_way:
                record = other.remembered(None)
                if other is log or record is None or not _may_be(log, head, record):
                    continue
                intact = self.is_open(other) and other.intact()
                known.append((record, other.window if intact else None))
                if other.pending or not intact:
                    busy.add(record.generation)
            for record in self.ended.values():
                if _may_be(log, head, record):
                    window = _own_window(record) if record.key != log.facts.key else None
                    if window is not None:
                        stack.callback(window.close)
                    known.append((record, window))
            known += [(record, None) for record in self.orphans.records if _may_be(log, head, record)]
            yield known, busy


def _may_be(log: Log, head: bytes, record: FileRecord) -> bool:
    if INPUT in {log.facts.key, record.key}:  # cannot be read twice
        return False
    return record.key == log.facts.key or identity.begins_like(head, record)


def _own_window(record: FileRecord) -> PlainFile | None:
    """Open an ended file anew; None if it is not there any more. Raises OSError."""
    try:
        return open_log(FileFacts(record.path, *record.key, 0, 0))
    except FileNotFoundError:
        return None


def _is_still(facts: FileFacts, record: FileRecord) -> bool:
    """Tell a file that was renamed from another one that was given its inode; their sizes are the same."""
    return facts.name == record.path or _shows(facts, record, identity.starts_like)


def _shows(facts: FileFacts, record: FileRecord, like: Callable[[Window, FileRecord], bool]) -> bool:
    """Open a file, and hold it against a record; False if it cannot be read."""
    try:
        window = open_log(facts)
        try:
            return like(window, record)
        finally:
            window.close()
    except OSError:
        return False
