"""Joins reading and writing: one reader, a few senders, back-pressure, and a drain at the end.

The caller's thread reads, batches and writes checkpoints; each sender thread delivers one batch after the other. When all
senders are busy, reading pauses: the log file is the only buffer.
"""

import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from indexer.delivery import Delivery, InFlightBatch, Ticket
from indexer.errors import StateUnusable, Stopped
from indexer.events import Events, Fault, Totals
from indexer.reading.batch import OversizedFragment, ReadBatch
from indexer.reading.tail import Tail
from indexer.seals.sealing import Sealing
from indexer.writing.batches import Batch, Batcher
from indexer.writing.bulk import Sender
from indexer.writing.dead_letters import DeadLetterStore

HEARTBEAT_EVERY = 1.0
"""Seconds between heartbeats."""
SCAN_EVERY = 1.0
SCAN_WITHIN = 10.0
"""Seconds between scans of directories in which nothing changed, at least and at most."""
SCAN_SHARE = 0.01
"""The share of the time that such scans may take: where there are thousands of files, they are fewer."""
LOOK_UP = 1.0
"""Seconds for which the reader waits for a sender between two heartbeats."""
DRAIN = 7.0
"""Seconds that a stop leaves to batches in flight."""
RETRY_SPOOL = 1.0
"""Seconds between tries to store a part of an oversized line."""


class Interrupted(Exception):  # noqa: N818 - asked for, not an error
    """A stop during a read."""


class Pipeline:
    """Reads what `tail` finds and delivers it, once."""

    def __init__(
        self,
        *,
        tail: Tail,
        sender: Sender,
        dead_letters: DeadLetterStore,
        delivery: Delivery,
        events: Events,
        batch_bytes: int,
        senders: int,
        sealing: Sealing | None = None,
    ) -> None:
        self._tail = tail
        self._sender = sender
        self._dead_letters = dead_letters
        self._delivery = delivery
        self._sealing = sealing
        self._events = events
        self._senders = senders
        self._batcher: Batcher[Ticket] = Batcher(batch_bytes)
        self._queue: queue.SimpleQueue[InFlightBatch | None] = queue.SimpleQueue()
        self._progress = threading.Condition()
        self._scan_at = float("-inf")
        self._heartbeat_at = float("-inf")
        self._once = False
        self._stop = threading.Event()

    def run(self, stop: threading.Event, poll: float, *, once: bool) -> Totals:
        """Read and deliver until all is (`once`) or `stop` is set; look for more every `poll` seconds.

        Returns what was done since the state began. Raises StateUnusable (with `once`), and what a sender raises.
        """
        self._stop, self._once = stop, once
        self._tail.pause = self._pause
        for number in range(self._senders):
            threading.Thread(target=self._deliver_all, name=f"sender-{number}", daemon=True).start()
        try:
            with suppress(Interrupted):
                self._read_all(poll)
            self._events.stopping()
            self._drain()
            self._delivery.save()
        finally:
            for _ in range(self._senders):
                self._queue.put(None)
        return self._delivery.totals

    # ---- reading

    def _read_all(self, poll: float) -> None:
        self._scan()
        while not self._stop.is_set():
            self._look_around()
            for read in self._tail.read():
                self._take(read)
                if self._stop.is_set():
                    break
            self._settle()
            if self._tail.idle:
                self._flush()
                if self._once and self._all_delivered():
                    break
                self._delivery.save_if_due()
                self._stop.wait(poll)

    def _pause(self) -> None:
        """Between blocks: a heartbeat. Raises Interrupted at a stop."""
        self._heartbeat()
        if self._stop.is_set():
            raise Interrupted

    def _look_around(self) -> None:
        self._heartbeat()
        if self._once:
            return
        if time.monotonic() >= self._scan_at or self._tail.directories_changed():
            self._scan()

    def _scan(self) -> None:
        started = time.monotonic()
        self._tail.scan()
        now = time.monotonic()
        self._scan_at = now + min(max((now - started) / SCAN_SHARE, SCAN_EVERY), SCAN_WITHIN)

    def _heartbeat(self) -> None:
        now = time.monotonic()
        if now - self._heartbeat_at >= HEARTBEAT_EVERY:
            self._heartbeat_at = now
            self._events.heartbeat(self._delivery.progress)

    def _take(self, read: ReadBatch) -> None:
        self._heartbeat()
        for fragment in read.fragments:
            self._insist(partial(self._spool, fragment))
        ticket = Ticket(read.position, self._sealing.chunk(read) if self._sealing else None)
        for batch in self._batcher.add(read.entries, ticket, read.file):
            self._dispatch(batch)

    def _spool(self, fragment: OversizedFragment) -> None:
        rejection = self._dead_letters.local.spool(fragment)
        if rejection is not None:
            self._events.rejected(rejection.kind, 1)

    def _insist(self, write: Callable[[], None]) -> None:
        """Store what has to be on disk before anything more is sent; retry until stopped."""
        failed = False
        while not self._stop.is_set():
            try:
                write()
            except OSError as error:
                reason = error.strerror or str(error)
                if self._once:
                    raise StateUnusable(path=self._delivery.directory, reason=reason) from None
                detail = f"cannot store a long line in {self._delivery.directory}: {reason}"
                self._events.delivery_failed(Fault.DISK, detail, RETRY_SPOOL)
                failed = True
                self._heartbeat()
                self._stop.wait(RETRY_SPOOL)
            else:
                if failed:
                    self._events.delivery_recovered()
                return

    def _flush(self) -> None:
        for batch in self._batcher.flush():
            self._dispatch(batch)

    # ---- writing

    def _dispatch(self, batch: Batch[Ticket]) -> None:
        """Hand a batch to a sender when there is room."""
        self._settle()
        self._delivery.save_if_due()
        while not self._has_room() and not self._stop.is_set():
            with self._progress:
                self._progress.wait_for(self._has_room, timeout=LOOK_UP)
            self._settle()
            self._delivery.save_if_due()
            self._look_around()
        if not self._stop.is_set():
            self._queue.put(self._delivery.add(batch))

    def _has_room(self) -> bool:
        return self._delivery.has_room(self._senders)

    def _deliver_all(self) -> None:
        """The loop of a sender thread."""
        while (in_flight := self._queue.get()) is not None:
            try:
                self._deliver(in_flight)
            except Stopped:
                pass
            except BaseException as failure:  # noqa: BLE001 - raised again by the thread that waits for it
                in_flight.failure = failure
            in_flight.done.set()
            with self._progress:
                self._progress.notify_all()

    def _deliver(self, in_flight: InFlightBatch) -> None:
        batch = in_flight.batch
        outcome, rejections = self._sender.deliver(batch)
        if rejections:
            self._dead_letters.keep(rejections)
        batch.rejections = []
        positions = [ticket.position for ticket in batch.tickets]
        blank = sum(position.blank for position in positions)
        rejected = len(rejections) + sum(position.too_long for position in positions)
        in_flight.index = outcome.index
        in_flight.totals = Totals(
            read=outcome.created + outcome.duplicates + rejected + blank,
            created=outcome.created,
            duplicates=outcome.duplicates,
            rejected=rejected,
            blank=blank,
            bytes=sum(position.size for position in positions),
        )

    def _settle(self) -> None:
        """Acknowledge what is delivered. Raises what a sender raised."""
        for in_flight in self._delivery.in_flight:
            if in_flight.totals is not None:  # it may have to wait for an older one, without its bytes
                self._batcher.reuse(in_flight.batch)
        self._delivery.acknowledge()

    # ---- ending

    def _await_oldest(self, seconds: float) -> None:
        oldest = self._delivery.in_flight[0]
        with self._progress:
            self._progress.wait_for(oldest.done.is_set, timeout=seconds)
        self._heartbeat()
        self._settle()

    def _all_delivered(self) -> bool:
        """Wait for what is in flight, then tell whether there is nothing more to read."""
        while self._delivery.in_flight and not self._stop.is_set():
            self._await_oldest(LOOK_UP)
            self._delivery.save_if_due()
        return self._tail.exhausted

    def _drain(self) -> None:
        """Wait a while for the answers to requests in flight."""
        deadline = time.monotonic() + DRAIN
        in_flight = self._delivery.in_flight
        while in_flight and (left := deadline - time.monotonic()) > 0:
            oldest = in_flight[0]
            self._await_oldest(left)
            if in_flight and in_flight[0] is oldest:
                return
