"""Wires reading to writing: one reader, a few senders, back-pressure, and an orderly end.

The caller's thread reads, batches and remembers; sender threads do nothing but deliver one batch after the other.
Batches are acknowledged in the order in which they were read, so what is remembered as delivered has no gap. When all
senders are busy and as many batches wait, reading pauses: the log file is the only buffer.
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from indexer.errors import StateUnusable
from indexer.events import Events, Fault, Progress, Totals
from indexer.reading.log import AckPosition, OversizedFragment, ReadBatch
from indexer.reading.tail import Tail
from indexer.shipment import InFlightBatch, progress
from indexer.writing.batches import Batch, Batcher
from indexer.writing.bulk import Sender
from indexer.writing.checkpoint import Checkpoint, StateDirectory
from indexer.writing.dead_letters import DeadLetterStore
from indexer.writing.request import DeliveryStopped
from indexer.writing.target import Target

AHEAD = 8
"""Batches for each sender that may be delivered before an older one is."""
CHECKPOINT_EVERY = 1.0
"""Seconds between checkpoints while something is delivered."""
HEARTBEAT_EVERY = 1.0
"""Seconds between signs of life."""
SCAN_EVERY = 1.0
SCAN_WITHIN = 10.0
"""Seconds between looks at directories in which nothing changed, at least and at most."""
SCAN_SHARE = 0.01
"""The part of the time that such looks may take: where there are thousands of files, there are fewer of them."""
LOOK_UP = 1.0
"""Seconds for which the main loop may wait for a sender without looking around."""
DRAIN = 7.0
"""Seconds that a stop leaves to requests under way."""


class Interrupted(Exception):  # noqa: N818 - asked for, not an error
    """A stop, in the middle of the reading."""


class Pipeline:
    """Reads what `tail` finds and delivers it, once."""

    def __init__(
        self,
        *,
        tail: Tail,
        sender: Sender,
        target: Target,
        rejects: DeadLetterStore,
        state: StateDirectory,
        start: Checkpoint,
        events: Events,
        batch_bytes: int,
        senders: int,
    ) -> None:
        """`start` is the checkpoint that this run goes on from."""
        self._tail = tail
        self._sender = sender
        self._target = target
        self._rejects = rejects
        self._state = state
        self._checkpoint = start
        self._events = events
        self._batcher: Batcher[AckPosition] = Batcher(batch_bytes)
        self._queue: queue.SimpleQueue[InFlightBatch | None] = queue.SimpleQueue()
        self._in_flight: deque[InFlightBatch] = deque()
        self._at_once = senders
        self._progress = threading.Condition()
        self._totals = start.totals
        self._saved_at = 0.0
        self._scan_at = float("-inf")
        self._told_at = float("-inf")
        self._unsaved = False
        self._once = False
        self._stop = threading.Event()

    def run(self, stop: threading.Event, poll: float, *, once: bool) -> Totals:
        """Read and deliver until all is (`once`) or `stop` is set; look for more every `poll` seconds.

        Returns what was done since the state began. Raises StateUnusable (with `once`), and what goes wrong in a sender.
        """
        self._stop, self._once = stop, once
        self._tail.pause = self._pause
        for number in range(self._at_once):
            threading.Thread(target=self._deliver_all, name=f"sender-{number}", daemon=True).start()
        try:
            with suppress(Interrupted):
                self._read_all(poll)
            self._drain()
            self._save()
        finally:
            for _ in range(self._at_once):
                self._queue.put(None)
        return self._totals

    # ---- reading

    def _read_all(self, poll: float) -> None:
        self._scan()
        while not self._stop.is_set():
            self._look_around()
            for run in self._tail.read():
                self._take(run)
                if self._stop.is_set():
                    break
            self._settle()
            if self._tail.idle:
                self._flush()
                if self._once and self._all_delivered():
                    break
                self._save_if_due()
                self._stop.wait(poll)

    def _pause(self) -> None:
        """Between blocks: a sign of life. Raises Interrupted at a stop."""
        self._tell()
        if self._stop.is_set():
            raise Interrupted

    def _look_around(self) -> None:
        self._tell()
        if self._once:
            return
        if time.monotonic() >= self._scan_at or self._tail.directories_changed():
            self._scan()

    def _scan(self) -> None:
        started = time.monotonic()
        self._tail.scan()
        now = time.monotonic()
        self._scan_at = now + min(max((now - started) / SCAN_SHARE, SCAN_EVERY), SCAN_WITHIN)

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._told_at >= HEARTBEAT_EVERY:
            self._told_at = now
            self._events.heartbeat(self._look)

    def _look(self) -> Progress:
        """How far it is. To be called by the thread that reads."""
        return progress(self._in_flight, self._tail.progress(), self._totals)

    def _take(self, run: ReadBatch) -> None:
        self._tell()
        for fragment in run.fragments:
            self._insist(partial(self._spool, fragment))
        for batch in self._batcher.add(run.entries, run.mark, run.file):
            self._dispatch(batch)

    def _spool(self, fragment: OversizedFragment) -> None:
        rejection = self._rejects.local.spool(fragment)
        if rejection is not None:
            self._events.rejected(rejection.kind, 1)

    def _flush(self) -> None:
        for batch in self._batcher.flush():
            self._dispatch(batch)

    # ---- writing

    def _dispatch(self, batch: Batch[AckPosition]) -> None:
        """Hand a batch over when there is room."""
        self._settle()
        self._save_if_due()
        while not self._room() and not self._stop.is_set():
            with self._progress:
                self._progress.wait_for(self._room, timeout=LOOK_UP)
            self._settle()
            self._save_if_due()
            self._look_around()
        if not self._stop.is_set():
            in_flight_batch = InFlightBatch(batch, time.monotonic())
            self._in_flight.append(in_flight_batch)
            self._queue.put(in_flight_batch)

    def _room(self) -> bool:
        """Some sender is idle, and not too much is delivered out of order."""
        waiting = sum(not in_flight_batch.done.is_set() for in_flight_batch in self._in_flight)
        return waiting < self._at_once and len(self._in_flight) < AHEAD * self._at_once

    def _await_oldest(self, seconds: float) -> None:
        oldest = self._in_flight[0]
        with self._progress:
            self._progress.wait_for(oldest.done.is_set, timeout=seconds)
        self._tell()
        self._settle()

    def _deliver_all(self) -> None:
        """What a sender thread does all its life."""
        while (in_flight_batch := self._queue.get()) is not None:
            try:
                in_flight_batch.totals = self._deliver(in_flight_batch.batch)
            except DeliveryStopped:
                pass
            except BaseException as failure:  # noqa: BLE001 - raised again by the thread that waits for it
                in_flight_batch.failure = failure
            in_flight_batch.done.set()
            with self._progress:
                self._progress.notify_all()

    def _deliver(self, batch: Batch[AckPosition]) -> Totals:
        outcome, rejections = self._sender.deliver(batch)
        if rejections:
            self._rejects.keep(rejections)
        batch.rejections = []
        blank = sum(mark.blank for mark in batch.tickets)
        rejected = len(rejections) + sum(mark.too_long for mark in batch.tickets)
        return Totals(
            read=outcome.created + outcome.duplicates + rejected + blank,
            created=outcome.created,
            duplicates=outcome.duplicates,
            rejected=rejected,
            blank=blank,
            bytes=sum(mark.size for mark in batch.tickets),
        )

    def _settle(self) -> None:
        """Acknowledge what is delivered, in order and without a gap. Raises what a sender raised."""
        for in_flight_batch in self._in_flight:
            if in_flight_batch.totals is not None:  # it may have to wait for an older one, without its bytes
                self._batcher.reuse(in_flight_batch.batch)
        while self._in_flight and self._in_flight[0].done.is_set():
            in_flight_batch = self._in_flight[0]
            if in_flight_batch.failure is not None:
                raise in_flight_batch.failure
            if in_flight_batch.totals is None:
                return
            self._in_flight.popleft()
            for mark in in_flight_batch.batch.tickets:
                self._tail.acknowledge(mark)
            self._totals += in_flight_batch.totals
            self._unsaved = True
            self._events.batch_acknowledged(
                in_flight_batch.totals, time.monotonic() - in_flight_batch.started
            )

    # ---- remembering

    def _save_if_due(self) -> None:
        if self._unsaved and time.monotonic() - self._saved_at >= CHECKPOINT_EVERY:
            self._save()

    def _save(self) -> None:
        """Write the checkpoint; should that fail, the one before still holds."""
        self._saved_at = time.monotonic()
        try:
            self._write_checkpoint()
        except OSError as error:
            self._events.checkpoint_failed(str(self._state.directory), error.strerror or str(error))

    def _write_checkpoint(self) -> None:
        start, records = self._checkpoint, self._tail.records()
        self._state.save(
            Checkpoint(
                start.cluster, start.alias, self._target.settled or start.write_index, self._totals, records
            )
        )
        self._unsaved = False
        self._events.checkpoint_written()

    def _insist(self, write: Callable[[], None]) -> None:
        """Do what has to be on disk before anything more is sent, however long that takes."""
        failed = False
        while not self._stop.is_set():
            try:
                write()
            except OSError as error:
                reason = error.strerror or str(error)
                if self._once:
                    raise StateUnusable(path=self._state.directory, reason=reason) from None
                detail = f"cannot keep a long line in {self._state.directory}: {reason}"
                self._events.delivery_failed(Fault.DISK, detail, CHECKPOINT_EVERY)
                failed = True
                self._tell()
                self._stop.wait(CHECKPOINT_EVERY)
            else:
                if failed:
                    self._events.delivery_recovered()
                return

    # ---- ending

    def _all_delivered(self) -> bool:
        """Wait for what is under way, then tell whether there is nothing more to read."""
        while self._in_flight and not self._stop.is_set():
            self._await_oldest(LOOK_UP)
            self._save_if_due()
        return self._tail.exhausted

    def _drain(self) -> None:
        """Leave requests under way a while to be answered."""
        deadline = time.monotonic() + DRAIN
        while self._in_flight and (left := deadline - time.monotonic()) > 0:
            oldest = self._in_flight[0]
            self._await_oldest(left)
            if self._in_flight and self._in_flight[0] is oldest:
                return
