"""Looking lines up portion by portion, and what becomes of each: present, missing, in flight, repaired.

Missing lines of a file that is being written may be in flight: they are looked up again at the end. Memory is bounded: a few
portions at a time, each of some thousand lines and no more bytes than a bulk request.
"""

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from indexer.errors import Stopped
from indexer.reading.entries import EXPLANATION, Rejection
from indexer.verify.findings import Held, Kind, Line, Verification, classify, report
from indexer.verify.lookup import Lookup
from indexer.writing.batches import Batch, Body
from indexer.writing.bulk import Sender
from indexer.writing.dead_letters import DeadLetterStore
from indexer.writing.target import GRACE

ASKED_AT_ONCE = 4000
"""Entries looked up in one search (measured: 1,000 at a time are a third slower)."""
AGAIN_AFTER = GRACE + 2.0
"""Seconds after which missing lines are looked up again: a sender may have waited for a new index to settle."""
PUT_OFF = 64 * 1024 * 1024
"""Bytes of lines that are looked up again, at most."""


def portions(lines: Iterable[Line], limit: int) -> Iterator[list[Line]]:
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


def checked(portions: Iterator[list[Line]], checker: Checker, at_once: int) -> Iterator[Verification]:
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
