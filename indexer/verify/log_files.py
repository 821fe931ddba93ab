"""`indexer verify`: log files against the index, byte for byte.

The files are read as the indexer reads them, without its checkpoint, and each entry is looked up by id in all indices
behind the alias. It is present if it is there once with the same bytes. A line that is not an entry, or that Elasticsearch
rejected, has to be among the rejected lines with its bytes. Missing lines of a file that is being written may be in flight:
they are looked up again at the end. Memory is bounded: a few portions at a time, each of some thousand lines and no more
bytes than a bulk request.

Where it is faster, the whole alias is scanned first (`whole_index.py`), and only lines that it does not hold once with the
same bytes are looked up.
"""

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from indexer.elastic.alias import backing
from indexer.elastic.client import connect
from indexer.elastic.cluster import Cluster, connected
from indexer.elastic.failures import InvalidAnswer
from indexer.errors import StateUnusable, Stopped
from indexer.events import Events
from indexer.reading import files
from indexer.reading.batch import ReadBatch
from indexer.reading.entries import EXPLANATION, Reason, Rejection
from indexer.reading.tail import Tail
from indexer.settings import Connection, Delivery, LogFiles, State
from indexer.verify.findings import Kind, Line, Verification, classify, report
from indexer.verify.found import Found
from indexer.verify.hits import Held
from indexer.verify.lookup import Lookup
from indexer.verify.partitions import NoRoom
from indexer.verify.scan import Scan
from indexer.verify.whole_index import Compared, Expected, Known, compare, scan_is_faster
from indexer.writing.batches import Batch, Body
from indexer.writing.bulk import Sender
from indexer.writing.dead_letters import DeadLetterStore, dead_letter_store
from indexer.writing.spool import DeadLetterFiles
from indexer.writing.target import GRACE, Target

ASKED_AT_ONCE = 4000
"""Entries looked up in one search (measured: 1,000 at a time are a third slower)."""
LIVE = 60.0
"""Seconds since the last write during which the lines of a file may be in flight."""
AGAIN_AFTER = GRACE + 2.0
"""Seconds after which missing lines are looked up again: a sender may have waited for a new index to settle."""
PUT_OFF = 64 * 1024 * 1024
"""Bytes of lines that are looked up again, at most."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """`indexer verify` with its settings."""

    connection: Connection
    delivery: Delivery
    state: State
    events: Events
    stop: threading.Event
    known: Known | None = None
    """Tells which entries that are in no file may be in the index; None if nothing can tell."""

    def verify(self, logs: LogFiles, *, repair: bool = False, scan: bool | None = None) -> Verification:
        """Compare log files with the alias; with `repair`, index what is missing. Raises Fatal.

        `scan`: whether to scan the whole alias first; None to choose what is faster.
        """
        connection, delivery = self.connection, self.delivery
        files.require(logs.paths, logs.scope(connection, self.state))
        expects = 2 * (delivery.batch_bytes + delivery.max_line_bytes)
        with (
            connected(connection, expects=expects) as cluster,
            connect(connection, raw=True, expects=expects) as raw,
        ):
            target = Target(cluster, backing(cluster), None)
            lookup = Lookup(cluster, raw, self.state)
            lookup.refresh()
            repairer = self._repair(cluster, target) if repair else None
            checker = Checker(lookup, repairer, self.stop)
            if scan is None:
                scan = self._scan_is_faster(logs, cluster)
            compared = self._compared(logs, lookup) if scan else None
            tail = self._tail(logs, Events() if scan else self.events)
            total, lines, vanished = Verification(connection.alias), _lines(tail), dict[str, str]()
            if compared is not None:
                total, lines, vanished = compared.verification, compared.select(lines), compared.vanished
            portions = _portions(lines, delivery.batch_bytes)
            total = sum(_checked(portions, checker, delivery.senders), total)
            total += checker.look_again()
        return total + Verification(connection.alias, unreadable=tail.failures | vanished)

    def _tail(self, logs: LogFiles, events: Events) -> Tail:
        """For reading all lines of the files, from their beginning."""
        scope, limit = logs.scope(self.connection, self.state), self.delivery.max_line_bytes
        tail = Tail(logs.paths, [], limit=limit, once=True, events=events, scope=scope)
        tail.pause = partial(_go_on, self.stop)
        tail.scan()
        return tail

    def _scan_is_faster(self, logs: LogFiles, cluster: Cluster) -> bool:
        if files.STANDARD_INPUT in logs.paths:  # cannot be read twice
            return False
        found = files.find(logs.paths, logs.scope(self.connection, self.state)).found
        return scan_is_faster(found, int(cluster.client.count(index=cluster.alias)["count"]))

    def _compared(self, logs: LogFiles, lookup: Lookup) -> Compared | None:
        """Scan the whole alias; None if all lines have to be looked up. Raises Fatal."""
        with suppress(NoRoom, InvalidAnswer), Expected() as expected, Found() as found:
            tail = self._tail(logs, self.events)
            for batch in _batches(tail):
                expected.add(batch)
            lookup.refresh()
            documents = int(lookup.cluster.client.count(index=lookup.alias)["count"])
            for page in Scan(lookup.cluster, lookup.raw, self.stop).pages(lookup.alias):
                found.add(page)
                self.events.entries_scanned(found.count, documents)
            return compare(expected, found, Verification(lookup.alias, unreadable=tail.failures), self.known)
        return None

    def _repair(self, cluster: Cluster, target: Target) -> "Repair":
        """For sending missing lines. Raises StateUnusable."""
        directory = self.state.state_dir
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StateUnusable(path=directory, reason=error.strerror) from None
        sender = Sender(cluster.client, target, self.events, self.stop)
        files, limit = DeadLetterFiles(directory), self.delivery.batch_bytes
        return Repair(sender, dead_letter_store(cluster, sender, files, limit, self.events, self.stop))


def _go_on(stop: threading.Event) -> None:
    """Raises Stopped."""
    if stop.is_set():
        raise Stopped


def _batches(tail: Tail) -> Iterator[ReadBatch]:
    """All files to their ends."""
    while not tail.exhausted:
        for batch in tail.read():
            yield batch
            tail.acknowledge(batch.position)


def _lines(tail: Tail) -> Iterator[Line]:
    """All lines of all files except blank ones."""
    for batch in _batches(tail):
        yield from _lines_of(batch)


def _lines_of(batch: ReadBatch) -> Iterator[Line]:
    file = batch.file
    live = _is_live(file)
    for identity, entry in zip(batch.entries.ids, batch.entries.entries, strict=True):
        yield Line(identity, entry, file, int(identity[8:20], 16), None, batch.final, live)
    for refused in batch.entries.rejections:
        yield Line(
            refused.id.encode(), refused.line, file, refused.offset, Reason(refused.kind), batch.final, live
        )
    for fragment in batch.fragments:
        if fragment.id is not None:
            yield Line(
                fragment.id.encode(), None, file, fragment.start, Reason.LINE_TOO_LONG, batch.final, live
            )


def _is_live(path: str) -> bool:
    """Whether a file was written lately; assumed if it cannot be found or looked at."""
    try:
        facts = files.look_at(path)
    except OSError:
        return True
    return facts is None or time.time() - facts.modified < LIVE


def _portions(lines: Iterable[Line], limit: int) -> Iterator[list[Line]]:
    """Group lines into portions for one search, of `limit` bytes at most."""
    portion: list[Line] = []
    size = 0
    for line in lines:
        portion.append(line)
        size += len(line.data or b"")
        if len(portion) >= ASKED_AT_ONCE or size >= limit:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


class Checker:
    """Looks up and classifies lines. May be used by several threads."""

    def __init__(self, lookup: Lookup, repair: "Repair | None", stop: threading.Event) -> None:
        self._lookup = lookup
        self._repair = repair
        self._stop = stop
        self._again: deque[Line] = deque()
        """Lines that may be in flight."""
        self._bytes = 0
        self._lock = threading.Lock()

    def check(self, lines: Sequence[Line]) -> Verification:
        """Look up and classify some lines, except those that are to be looked up again. Raises Fatal, Stopped."""
        if self._stop.is_set():
            raise Stopped
        return self._classify(lines, again=True)

    def look_again(self) -> Verification:
        """Look up and classify the lines that may have been in flight. Raises Fatal, Stopped."""
        total = Verification(self._lookup.alias)
        if not self._again:
            return total
        if self._stop.wait(AGAIN_AFTER):
            raise Stopped
        while lines := [self._again.popleft() for _ in range(min(ASKED_AT_ONCE, len(self._again)))]:
            total += self._classify(lines, again=False)
        return total

    def _classify(self, lines: Sequence[Line], *, again: bool) -> Verification:
        lookup = self._lookup
        copies = _by_id(lookup.entries([line for line in lines if line.refused is None]))
        absent = [line for line in lines if line.id not in copies]
        kept = _by_id(lookup.rejected(absent))
        # Rejected lines may have been delivered since, by `indexer rejected replay`.
        copies |= _by_id(lookup.now([line for line in absent if line.refused and line.id not in kept]))
        kinds = [(classify(line, copies.get(line.id, ()), kept.get(line.id, ())), line) for line in lines]
        if again:
            kinds = self._put_off(kinds)
        missing = [line for kind, line in kinds if kind is Kind.MISSING]
        repaired = self._repair(missing) if self._repair and missing else 0
        return report(lookup.alias, kinds, copies | kept, repaired)

    def _put_off(self, kinds: Sequence[tuple[Kind, Line]]) -> list[tuple[Kind, Line]]:
        """Leave out lines that may be in flight; if they are too many, the oldest count as missing."""
        left: list[tuple[Kind, Line]] = []
        with self._lock:
            for kind, line in kinds:
                if kind is Kind.MISSING and line.live:
                    self._again.append(line)
                    self._bytes += _size(line)
                else:
                    left.append((kind, line))
            while self._bytes > PUT_OFF:
                line = self._again.popleft()
                self._bytes -= _size(line)
                left.append((Kind.MISSING, line))
        return left


def _size(line: Line) -> int:
    """Its approximate size in memory, in bytes."""
    return 500 + len(line.data or b"")


def _checked(portions: Iterator[list[Line]], checker: Checker, at_once: int) -> Iterator[Verification]:
    """Check portions concurrently; yields the results in order. Raises Fatal, Stopped."""
    with ThreadPoolExecutor(at_once) as pool:
        in_flight: deque[Future[Verification]] = deque()
        for portion in portions:
            in_flight.append(pool.submit(checker.check, portion))
            if len(in_flight) > at_once:
                yield in_flight.popleft().result()
        for future in in_flight:
            yield future.result()


def _by_id(held: Iterable[Held]) -> dict[bytes, list[Held]]:
    found: dict[bytes, list[Held]] = {}
    for one in held:
        found.setdefault(one.id, []).append(one)
    return found


@dataclass(frozen=True, slots=True)
class Repair:
    """Sends missing lines as the indexer would, except lines without data, which stay missing."""

    sender: Sender
    rejects: DeadLetterStore

    def __call__(self, lines: Sequence[Line]) -> int:
        """Index some lines, or store them as rejected; return how many. Raises Stopped."""
        pairs = [(line.id, line.data) for line in lines if line.refused is None and line.data is not None]
        refused = [
            Rejection(
                line.id.decode(), line.file, line.offset, line.refused, EXPLANATION[line.refused], line.data
            )
            for line in lines
            if line.refused is not None and line.data is not None
        ]
        names = {line.id[:8]: line.file for line in lines}
        _, rejections = self.sender.deliver(Batch(Body.of(pairs), refused, files=names))
        if rejections:
            self.rejects.keep(rejections)
        return len(pairs) + len(refused)
