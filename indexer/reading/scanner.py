"""Which log files there are now: new ones wait for their turn, and those that no path names are missing."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from indexer.events import MOST_UNREADABLE, Events
from indexer.reading import files
from indexer.reading.files import STANDARD_INPUT, FileFacts, Scope
from indexer.reading.identity import FileRecord, Key
from indexer.reading.registry import INPUT, FileRegistry, TrackedFile
from indexer.reading.states import DRAINING, OPEN, FileEvent, FileState

CLAIMABLE = 60.0
"""Seconds for which a moved or compressed copy may go on where a missing file ended."""
CLAIMABLE_AT_MOST = 600.0
"""The same, while there are files that were not opened yet."""


@dataclass(slots=True)
class Scanner:
    """Brings the registry up to date with what the paths name."""

    patterns: Sequence[str]
    scope: Scope
    registry: FileRegistry
    events: Events
    once: bool
    clock: Callable[[], float] = time.monotonic
    look: files.Look = field(default_factory=lambda: files.Look([], {}))
    """What the last scan found."""
    waiting: dict[Key, TrackedFile] = field(default_factory=dict)
    """The waiting files, in the order of their turns."""
    _directories: list[int] = field(default_factory=list)

    def scan(self) -> None:
        """Compare the known files with those that the paths name now."""
        now = self.clock()
        look = self.look = files.find(self.patterns, self.scope)
        found = {facts.key: facts for facts in look.found}
        if STANDARD_INPUT in self.patterns:
            found[INPUT] = FileFacts(STANDARD_INPUT, *INPUT, 0, 0)
        for path, reason in islice(look.unreadable.items(), MOST_UNREADABLE):
            self.events.file_unreadable(path, reason)
        self._note_missing(found, now)
        self._queue(found, now)
        if not self.once:
            names = {facts.name for facts in look.found}
            failed = self.registry.failed
            self.registry.failed = {name: failed[name] for name in failed if name in names}
        self.registry.index_first_lines()
        if not self.once:
            self.forget()

    def _note_missing(self, found: Mapping[Key, FileFacts], now: float) -> None:
        for key, file in list(self.registry.files.items()):
            if key not in found and self.look.hides(file.facts.name):
                continue
            if file.state in OPEN:
                file.opened_log.found_as(found.get(key), now)
            if key in found or file.state in DRAINING:
                continue
            if file.state in OPEN:
                self.registry.detach_former(file)
            else:
                self.registry.lose(file, file.record.unread if file.record else 0)

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
        self.waiting = {file.facts.key: file for file in wanted}

    def _is_due(self, file: TrackedFile, facts: FileFacts, now: float) -> bool:
        """Tell whether a file that is closed has to be opened."""
        if now < file.retry_at:
            return False
        known = file.found
        if file.unsound is not None and (known.size, known.modified_ns) == (facts.size, facts.modified_ns):
            file.found = facts
            self.registry.fail(file, file.unsound)
            return False
        record = file.record
        if record is None or (record.size, record.modified) != (facts.size, facts.modified_ns):
            return True
        # A live log is held open: it may grow and be deleted between two scans.
        rests = FileState.DONE if facts.rotated or self.once else FileState.PARKED
        if file.state is not rests:
            return True
        if record.path != facts.name:
            file.found, file.record = facts, record.at(facts)
        return False

    def directories_changed(self) -> bool:
        """Tell whether a name came or went where the paths look, since the last call; cheaper than a scan."""
        before, self._directories = self._directories, files.directory_times(self.patterns)
        return before != self._directories

    def forget(self) -> None:
        """Forget missing files that nothing claimed, unless they are where no path looks, or can look, now."""
        now = self.clock()
        claimants = self.waiting or any(it.state is FileState.COMPARING for it in self.registry.open.values())
        claimable = 0.0 if self.once else CLAIMABLE_AT_MOST if claimants else CLAIMABLE
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
                self.events.file_lost(record.path, lost.unread)
        self.registry.missing = kept

    def _is_elsewhere(self, record: FileRecord) -> bool:
        """Tell whether a missing file may be there, hidden or under a path that is not searched."""
        if self.look.hides(record.path) or not files.directory_exists(record.path):
            return True
        try:
            facts = files.look_at(record.path)
        except OSError:
            return True
        if facts is None or facts.key != record.key:
            return False
        tracked = self.registry.files.get(record.key)
        return tracked is None or (tracked.state not in OPEN and tracked.record is None)
