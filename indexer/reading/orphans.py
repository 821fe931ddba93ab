"""What is remembered of files that are gone, or hold something else now: a moved or compressed copy may go on there."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from indexer.reading import files, identity
from indexer.reading.files import FileFacts
from indexer.reading.identity import FileRecord, Key

CLAIMABLE = 60.0
"""Seconds for which a moved or compressed file may go on where a vanished one was."""


@dataclass(slots=True)
class Orphan:
    """A record whose own file is not there, or is no longer that file."""

    record: FileRecord
    unread: int
    """Bytes that no one has read."""
    since: float


class Orphans:
    """Records that may be claimed, oldest first."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._orphans: list[Orphan] = []

    @property
    def records(self) -> list[FileRecord]:
        """All of them."""
        return [orphan.record for orphan in self._orphans]

    def add(self, record: FileRecord, unread: int) -> None:
        """Keep a record; its file has `unread` bytes that no one has read."""
        self._orphans.append(Orphan(record, unread, self._clock()))

    def claim(self, record: FileRecord) -> None:
        """A file goes on where these were: its own former self, or else whichever were that log."""
        same = [orphan for orphan in self._orphans if orphan.record.generation == record.generation]
        # A copy that has outlived its original has its generation: both may be back after a restart.
        taken = [orphan for orphan in same if orphan.record.key == record.key] or same
        self._orphans = [orphan for orphan in self._orphans if orphan not in taken]

    def claim_ended(self, facts: FileFacts, head: bytes) -> FileRecord | None:
        """Take out the record of this very file, if it was read to its end and has not changed since."""
        for orphan in self._orphans:
            record = orphan.record
            unchanged = record.ended and record.key == facts.key and record.size == facts.size
            if unchanged and identity.begins_like(head, record):
                self._orphans.remove(orphan)
                return record.at(facts)
        return None

    def forget(self, in_use: Callable[[Key], bool]) -> Iterator[Orphan]:
        """Drop and yield those that nobody claimed, unless their file is where no one looks now.

        `in_use` tells which inodes are known to be other files by now.
        """
        now = self._clock()
        for orphan in list(self._orphans):
            if now - orphan.since < CLAIMABLE:
                continue
            record = orphan.record
            facts = files.look_at(record.path)
            there = facts is not None and facts.key == record.key and not in_use(record.key)
            if there or not files.directory_exists(record.path):
                orphan.since = now
            else:
                self._orphans.remove(orphan)
                yield orphan
