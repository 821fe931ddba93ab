"""One open log file: which log it is, how far it is read, and how far it is delivered."""

from collections.abc import Mapping
from dataclasses import replace

from indexer.events import LogProgress, Recognition
from indexer.reading.batch import START, AckPosition, Place, ReadBatch, Spool
from indexer.reading.files import STANDARD_INPUT, FileFacts
from indexer.reading.holes import FILLED_WITHIN, QUIET
from indexer.reading.identity import Comparison, FileRecord
from indexer.reading.reader import LogReader
from indexer.reading.sources import FileSource, GzipSource, open_log


class Log:
    """One open log file."""

    def __init__(
        self,
        number: int,
        facts: FileFacts,
        limit: int,
        now: float,
        source: FileSource | None = None,
        spool: Spool | None = None,
    ) -> None:
        """Open the file, unless `source` is given; `limit` is the longest line in bytes. Raises OSError."""
        self.number = number
        self.source = source or open_log(facts)
        self.reader = LogReader(number, facts, self.source, limit, spool, now)
        self.opened_at = now
        self.gone = False
        """No path names the file."""
        self.record: FileRecord | None = None
        """Which log it is, and how far it is delivered; None until it is identified."""
        self.comparison: Comparison | None = None
        self.pending = 0
        """Batches in flight."""

    @property
    def facts(self) -> FileFacts:
        """The file as it was found last."""
        return self.reader.facts

    @property
    def changed_at(self) -> float:
        """When the file last grew, as far as is known."""
        return self.reader.changed_at

    # ---- identification

    def begin(self, record: FileRecord, place: Place) -> None:
        """Read on from a place, as the log that `record` describes. Raises OSError."""
        self.record = replace(record, offset=place.offset, tail=place.tail, digest=place.digest, ended=False)
        self.comparison = None
        self.reader.start(self.record, place)

    def compare(
        self, record: FileRecord, places: Mapping[int, set[int]], now: float, otherwise: Recognition
    ) -> None:
        """Read without sending up to the furthest place that agrees; `otherwise` is what the file is if none does.

        Raises OSError.
        """
        self.comparison = Comparison(record, dict(places), now, otherwise)
        self.reader.start(record, START)

    def decide(self) -> None:
        """End the comparison: what follows is sent. Raises OSError."""
        if self.comparison is not None:
            self.begin(self.comparison.record, self.comparison.agreed)

    def is_compared(self, now: float, *, once: bool) -> bool:
        """Tell whether a compared file that ends before the next place is complete. Raises OSError."""
        if self.comparison is None:
            return True
        waited = now - self.comparison.since
        return (
            self.is_final(now, once=once)
            or min(waited, now - self.changed_at) >= QUIET
            or waited >= FILLED_WITHIN
        )

    # ---- reading

    def read(self, now: float, *, once: bool) -> tuple[int, ReadBatch | None]:
        """Read a block; return its size and what it completes. Raises OSError, Changed."""
        comparison = self.comparison
        if comparison is None:
            size, batch = self.reader.read(now, once=once)
            self.pending += batch is not None
            return size, batch
        size, _ = self.reader.read(now, once=once, until=comparison.next_offset)
        comparison.check(self.reader.position, self.reader.read_to)
        if not comparison.places:
            self.decide()
        return size, None

    def finish(self) -> ReadBatch | None:
        """Close a complete file; return its last line if that has no line end."""
        batch = self.reader.finish()
        self.pending += batch is not None
        return batch

    def is_final(self, now: float, *, once: bool) -> bool:
        """Tell whether the file can grow no more; with `once`, none does that has an end. Raises OSError."""
        if self.source.complete:
            return True
        if self.facts.path == STANDARD_INPUT or self.reader.holes.waiting or self.reader.needs:
            return False
        if once:
            return True
        return self.reader.is_settled(now, once=False) and (self.gone or not self.source.sequential)

    def found_as(self, facts: FileFacts | None, now: float) -> None:
        """Note under which path the file is found now, if at all; another path means that it was rotated."""
        reader = self.reader
        self.gone = facts is None
        if not reader.rotated and (facts is None or facts.path != reader.facts.path):
            reader.rotated = True
            reader.changed_at = now  # its writer may not know yet
        reader.facts = facts or reader.facts

    # ---- delivery

    def acknowledge(self, position: AckPosition) -> None:
        """All lines up to the position are delivered."""
        assert self.record is not None  # noqa: S101 - only an identified log is delivered
        self.pending -= 1
        end = position.end
        self.record = replace(self.record, offset=end.offset, tail=end.tail, digest=end.digest)

    def remembered(self) -> FileRecord | None:
        """The record to keep now."""
        if self.record is None:
            return None
        size, modified = self.reader.seen or (self.facts.size, 0)
        return replace(self.record, path=self.facts.name, size=size, modified=modified)

    # ---- progress

    @property
    def consumed(self) -> int:
        """Bytes on disk that were read: compressed ones, for an archive."""
        return self.source.consumed if isinstance(self.source, GzipSource) else self.reader.position

    @property
    def size(self) -> int:
        """Size of the file's content on disk at the last look."""
        if self.reader.holes.content_end is not None:
            return self.reader.holes.content_end
        return self.reader.seen[0] if self.reader.seen else self.facts.size

    @property
    def unread(self) -> int:
        """Bytes on disk that have not become lines."""
        read = self.consumed if self.source.sequential else self.reader.line_start
        return max(0, self.size - read)

    def progress(self) -> LogProgress:
        """How far the file is read and delivered."""
        device, inode = self.facts.key
        record = self.record
        delivered = record.offset if record else 0
        unread = max(0, self.size - self.consumed)
        taken = self.reader.position if unread else self.reader.line_start
        lag = unread + max(0, taken - delivered) if record else unread if self.comparison else 0
        lag = max(lag, self.reader.needs)
        generation = record.generation if record else 0
        return LogProgress(
            self.facts.name,
            (device, inode, generation),
            self.comparison is not None,
            self.size,
            delivered,
            lag,
        )
