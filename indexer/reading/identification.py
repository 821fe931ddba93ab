"""Finding out which log an open file is: the decision of `identity.py`, carried out."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from indexer.events import Events, Recognition
from indexer.reading import identity
from indexer.reading.batch import START, Place
from indexer.reading.identity import FileRecord
from indexer.reading.registry import INPUT, FileRegistry, TrackedFile
from indexer.reading.states import FileEvent


@dataclass(slots=True)
class Identification:
    """Identifies open files by what is remembered."""

    registry: FileRegistry
    events: Events
    once: bool
    clock: Callable[[], float] = time.monotonic

    def identify(self, file: TrackedFile, former: FileRecord | None = None) -> None:
        """Find out which log a file is and where to go on (see `identity.py`), once its first line is complete. Raises OSError."""
        log = file.opened_log
        now = self.clock()
        log.reader.has_changed(now)
        head = identity.head_of(log.source)
        final = log.is_final(now, once=self.once)
        if head is None and final:
            log.source.require_whole()
            head = log.source.read_at(0, identity.HEAD)
        if head and log.reader.is_decided(head, now, once=final):
            self._begin(file, head, former or self._former(file))
        elif final and (self.once or log.gone):
            log.source.require_whole()
            log.source.close()
            self.registry.move(file, FileEvent.ENDED)
            self.registry.closed(file)

    def _former(self, file: TrackedFile) -> FileRecord | None:
        """What a file's inode was known as last: missing, until the file turns out to be it."""
        self.registry.detach_former(file)
        key = file.facts.key
        known = [it.record for it in self.registry.missing if it.record is not None and it.record.key == key]
        return known[-1] if known else None

    def _begin(self, file: TrackedFile, head: bytes, former: FileRecord | None) -> None:
        """Read a file from where its inode's former record ends, or as another file. Raises OSError."""
        log = file.opened_log
        source = log.source
        if former is not None and identity.begins_like(head, former) and identity.reads_like(source, former):
            log.begin(former.at(log.facts), Place(former.offset, former.tail, former.digest))
            self.identified(file, Recognition.RESUMED)
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
            log.compare(record, places, self.clock(), recognition)
            self.registry.move(file, FileEvent.BEGINS_LIKE_KNOWN)
        else:
            log.begin(record, START)
            self.identified(file, recognition)

    def identified(self, file: TrackedFile, recognition: Recognition) -> None:
        """A file was identified: read it from where it goes on, and forget the missing ones that it continues."""
        self.registry.move(file, FileEvent.IDENTIFIED)
        log = file.opened_log
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
        self.registry.failed.pop(log.facts.name, None)
        self.registry.note(file)
        self.events.file_found(log.facts.name, recognition, record.offset)
