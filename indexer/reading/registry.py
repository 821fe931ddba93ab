"""The log files that are known, each in one state, and what is remembered of them."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from indexer.events import Events
from indexer.reading.files import FileFacts
from indexer.reading.identity import FileRecord, Key
from indexer.reading.log import Log
from indexer.reading.states import DRAINING, OPEN, FileEvent, FileState, transition

INPUT = (0, 0)
"""The key of standard input, of which nothing is remembered."""
RETRIED = 10.0
"""Seconds after which a file that could not be read is tried again."""
ALIKE = 1000
"""Of known files with one first line, so many are considered when another one is found."""


@dataclass(slots=True, eq=False)
class TrackedFile:
    """A log file, from when it is found until it is forgotten."""

    found: FileFacts
    """The file as it was found when it was last to be opened."""
    state: FileState = FileState.WAITING
    record: FileRecord | None = None
    """What is remembered of it, until it is opened and identified again."""
    log: Log | None = None
    turn: int = 0
    """The number of its last log: files whose turn is longest ago come first."""
    retry_at: float = 0.0
    unsound: OSError | None = None
    """Its bytes are wrong; it is read again once it has changed."""
    since: float = 0.0
    """When it went missing."""
    unread: int = 0
    """Bytes that nobody has read of a missing file."""

    @property
    def facts(self) -> FileFacts:
        """The file as it was found last."""
        return self.found if self.log is None else self.log.facts

    @property
    def opened_log(self) -> Log:
        """The log of a file that is open or draining."""
        assert self.log is not None  # noqa: S101 - the states say so
        return self.log

    @property
    def known_as(self) -> FileRecord | None:
        """Which log it is and how far it is delivered, as far as is known."""
        return self.record if self.log is None or self.log.record is None else self.log.record


class FileRegistry:
    """All known files: one for each inode that is there, those replaced under their inode, and those missing."""

    def __init__(
        self, remembered: Iterable[FileRecord], events: Events, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._events = events
        self._clock = clock
        self.files: dict[Key, TrackedFile] = {}
        self.open: dict[Key, TrackedFile] = {}
        self.logs: dict[int, TrackedFile] = {}
        """The open and the draining files, by the number of their log."""
        self.missing: list[TrackedFile] = []
        self.failed: dict[str, str] = {}
        """Paths of files that could not be read, with the reason."""
        self._alike: dict[tuple[int, int], list[TrackedFile]] = {}
        """All identified files, by the length and checksum of their first line."""
        for record in remembered:
            facts = FileFacts(record.path, *record.key, record.size, record.modified)
            state = FileState.DONE if record.ended else FileState.CLOSED
            self.files[record.key] = TrackedFile(facts, state, record)

    def move(self, file: TrackedFile, event: FileEvent) -> None:
        """Change a file's state."""
        file.state = transition(file.state, event)
        key = file.facts.key
        if file.state in OPEN:
            self.open[key] = file
        elif self.open.get(key) is file:
            del self.open[key]

    def opened(self, file: TrackedFile, log: Log) -> None:
        """A waiting file was opened as a new log."""
        file.log, file.turn = log, log.number
        self.logs[log.number] = file
        self.move(file, FileEvent.OPENED)

    def closed(self, file: TrackedFile) -> None:
        """A file is not open, and nothing of it is in flight: remember how far it is delivered."""
        log = file.opened_log
        if file.state in DRAINING:
            self.move(file, FileEvent.DELIVERED)
        del self.logs[log.number]
        file.found, file.log = log.facts, None
        record = log.remembered()
        if record is not None and file.facts.key != INPUT:
            file.record = replace(record.at(file.facts), ended=file.state is FileState.DONE)
        if self.files.get(file.facts.key) is not file:  # its inode is another file now
            self.lose(file, log.unread)

    def lose(self, file: TrackedFile, unread: int) -> None:
        """No path names a file, or its inode is another file now: a copy may go on where it ended."""
        if self.files.get(file.facts.key) is file:
            del self.files[file.facts.key]
        if file.record is not None:
            self.move(file, FileEvent.LOST)
            file.since, file.unread = self._clock(), unread
            self.missing.append(file)

    def detach_former(self, file: TrackedFile) -> None:
        """Treat what is remembered of an open file's inode as missing, until the file turns out to be it."""
        record, file.record = file.record, None
        if record is not None:
            state = FileState.DONE if record.ended else FileState.CLOSED
            self.lose(TrackedFile(file.facts, state, record), record.unread)

    def fail(self, file: TrackedFile, error: OSError) -> None:
        """A file cannot be read now: report it, and try it again in `RETRIED` seconds."""
        name, reason = file.facts.name, error.strerror or str(error)
        self.failed[name] = reason
        file.retry_at = self._clock() + RETRIED
        if not error.errno:
            file.unsound = error
        self._events.file_unreadable(name, reason)

    def records(self) -> list[FileRecord]:
        """What to remember now."""
        logs = [it.log for it in self.logs.values() if it.log is not None and it.log.facts.key != INPUT]
        known = [record for log in logs if (record := log.remembered()) is not None]
        return [*known, *(it.record for it in (*self.files.values(), *self.missing) if it.record is not None)]

    # ---- which begin alike

    def index_first_lines(self) -> None:
        """Bring the index of first lines up to date."""
        self._alike = {}
        resting = (it for it in self.files.values() if it.log is None)
        for file in (*self.missing, *resting, *self.logs.values()):
            self.note(file)

    def note(self, file: TrackedFile) -> None:
        """Add a file that was identified since."""
        record = file.known_as
        if record is not None:
            self._alike.setdefault((record.head, record.generation), []).append(file)

    def alike(self, record: FileRecord) -> Iterator[FileRecord]:
        """Yield records with this one's first line; not all, if there are too many."""
        for file in islice(self._alike.get((record.head, record.generation), ()), ALIKE):
            found = file.known_as
            if found is not None:
                yield found
