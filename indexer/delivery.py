"""What is in flight, what is delivered, and the checkpoint of it. The pipeline is the only user."""

import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace

from indexer.elastic.alias import place
from indexer.events import Events, Progress, Totals
from indexer.reading.batch import AckPosition
from indexer.reading.tail import Tail
from indexer.seals.leaves import Chunk
from indexer.seals.sealing import Sealing
from indexer.writing.batches import Batch
from indexer.writing.checkpoint import Checkpoint, StateDirectory
from indexer.writing.target import Target

CHECKPOINT_EVERY = 1.0
"""Seconds between checkpoints while something is delivered."""
AHEAD = 8
"""Batches for each sender that may be delivered before an older one is."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """What is acknowledged once a batch is delivered."""

    position: AckPosition
    chunk: Chunk | None
    """What is sealed then."""


@dataclass(slots=True, eq=False)
class InFlightBatch:
    """A batch between its hand-over to a sender and its acknowledgement."""

    batch: Batch[Ticket]
    started: float
    done: threading.Event = field(default_factory=threading.Event)
    totals: Totals | None = None
    """What became of it; None if the indexer stopped before."""
    index: str = ""
    """The oldest index that may hold one of its entries."""
    failure: BaseException | None = None


class Delivery:
    """Acknowledges batches in the order in which they were read, so that what a checkpoint says has no gap."""

    def __init__(
        self,
        tail: Tail,
        target: Target,
        state: StateDirectory,
        start: Checkpoint,
        events: Events,
        sealing: Sealing | None = None,
    ) -> None:
        """`start` is the checkpoint that this run goes on from; without `sealing`, nothing is sealed."""
        self._tail = tail
        self._target = target
        self._state = state
        self._start = start
        self._sealing = sealing
        self._index = ""
        """The oldest one that may hold lines of the next chunk: it may have begun in the batch acknowledged last, or before."""
        self._duplicates = 0
        """Those in batches since the last chunk: a chunk is added with the batch in which it ends."""
        self._events = events
        self.in_flight: deque[InFlightBatch] = deque()
        self.totals = start.totals
        """What became of all lines since the state directory began."""
        self._unsaved = False
        self._saved_at = 0.0

    @property
    def directory(self) -> str:
        """The state directory."""
        return str(self._state.directory)

    # ---- in flight

    def add(self, batch: Batch[Ticket]) -> InFlightBatch:
        """Note that a batch is handed to a sender."""
        in_flight = InFlightBatch(batch, time.monotonic())
        self.in_flight.append(in_flight)
        return in_flight

    def has_room(self, senders: int) -> bool:
        """Tell whether a sender is idle, and not too much is delivered out of order."""
        undelivered = sum(not it.done.is_set() for it in self.in_flight)
        return undelivered < senders and len(self.in_flight) < AHEAD * senders

    def progress(self) -> Progress:
        """How far the indexer is. To be called by the thread that reads."""
        undelivered = [it for it in self.in_flight if not it.done.is_set()]
        return Progress(
            logs=self._tail.progress(),
            batches=len(undelivered),
            bytes=sum(len(it.batch.body.data) for it in undelivered),
            oldest=max((time.monotonic() - it.started for it in undelivered), default=0.0),
            totals=self.totals,
        )

    # ---- delivered

    def acknowledge(self) -> None:
        """Acknowledge what is delivered, in order and without a gap. Raises what a sender raised."""
        while self.in_flight and (oldest := self.in_flight[0]).done.is_set():
            if oldest.failure is not None:
                raise oldest.failure
            if oldest.totals is None:
                return
            self.in_flight.popleft()
            for ticket in oldest.batch.tickets:
                self._tail.acknowledge(ticket.position)
            if self._sealing is not None:
                self._seal(self._sealing, oldest, oldest.totals.duplicates)
            self.totals += oldest.totals
            self._unsaved = True
            self._events.batch_acknowledged(oldest.totals, time.monotonic() - oldest.started)

    def _seal(self, sealing: Sealing, delivered: InFlightBatch, duplicates: int) -> None:
        self._index = min(self._index or delivered.index, delivered.index, key=place)
        self._duplicates += duplicates
        for chunk in [it.chunk for it in delivered.batch.tickets if it.chunk is not None]:
            sealing.add(replace(chunk, index=self._index, duplicates=self._duplicates))
            self._index, self._duplicates = delivered.index, 0

    # ---- remembered

    def save_if_due(self) -> None:
        """Write a checkpoint now and then, if there is something new."""
        if self._unsaved and time.monotonic() - self._saved_at >= CHECKPOINT_EVERY:
            self.save()

    def save(self) -> None:
        """Write the checkpoint; if that fails, the one before still holds."""
        self._saved_at = time.monotonic()
        start = self._start
        write_index = self._target.settled or start.write_index
        files = self._tail.records()
        try:
            journal = self._sealing.sync() if self._sealing else None
            saved = Checkpoint(start.cluster, start.alias, write_index, self.totals, files, journal)
            self._state.save(saved)
        except OSError as error:
            self._events.checkpoint_failed(self.directory, error.strerror or str(error))
            return
        self._unsaved = False
        if self._sealing is not None:
            self._sealing.saved(saved)
        self._events.checkpoint_written()
