"""`indexer verify`: log files against the index, byte for byte.

The files are read as the indexer reads them, without its checkpoint; each entry is looked for by its id in all indices
behind the alias. Present is what is there once with the same bytes; a line that is no entry, or that Elasticsearch
refused, is accounted for when it is kept as rejected, with its bytes. Memory is bounded: a few portions at a time, each
of some thousand lines and no more bytes than a bulk request.
"""

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from elasticsearch import Elasticsearch

from indexer.cluster import generations
from indexer.cluster.client import connect, explained, shown
from indexer.cluster.findings import Kind, Line, Verification, judge, report
from indexer.cluster.hits import Held
from indexer.cluster.lookup import Lookup
from indexer.errors import StateUnusable, Stopped
from indexer.events import Events
from indexer.reading import files
from indexer.reading.entries import EXPLANATION, Reason, Rejection
from indexer.reading.log import Run
from indexer.reading.tail import Tail
from indexer.settings import Connection, Delivery, State
from indexer.writing import bulk
from indexer.writing.batches import Batch, Body, SentBefore
from indexer.writing.bulk import Sender
from indexer.writing.rejects import PROMPT, LocalRejects, Rejects
from indexer.writing.replay import backing

ASKED_AT_ONCE = 4000
"""Entries looked for in one search. Fewer cost more each (measured: 1,000 at a time are a third slower)."""


def verify(
    paths: Sequence[str],
    connection: Connection,
    delivery: Delivery,
    state: State,
    events: Events,
    stop: threading.Event,
    *,
    repair: bool,
) -> Verification:
    """Compare log files with the alias; with `repair`, index what is missing. Raises Fatal."""
    files.require(paths)
    with connect(connection) as client, connect(connection, raw=True) as raw, explained(connection):
        behind = backing(client, connection.alias, shown(connection))
        lookup = Lookup(client, raw, connection, state)
        lookup.refresh()
        mend = None
        if repair:
            sender = Sender(client, connection.alias, behind.write, events, stop)
            mend = Repair(sender, _rejects(client, connection, delivery, state, events, stop, sender))
        tail = Tail(paths, [], limit=delivery.max_line_bytes, once=True, events=events)
        tail.scan()
        known_as = generations.assign(tail.records(None), lookup.known)
        portions = _portions(_lines(tail, known_as), delivery.batch_bytes)
        total = sum(_checked(portions, lookup, mend, delivery.senders, stop), Verification(connection.alias))
    return total + Verification(connection.alias, unreadable=tail.failures)


def _rejects(
    client: Elasticsearch,
    connection: Connection,
    delivery: Delivery,
    state: State,
    events: Events,
    stop: threading.Event,
    sender: Sender,
) -> Rejects:
    try:
        state.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StateUnusable(path=state.state_dir, reason=error.strerror) from None
    prompt = client.options(request_timeout=min(connection.request_timeout, PROMPT))
    local = LocalRejects(state.state_dir)
    return Rejects(
        prompt, connection.rejected, local, delivery.batch_bytes, events, stop, takes=sender.understands
    )


def _lines(tail: Tail, known_as: Mapping[int, int]) -> Iterator[Line]:
    """All lines of all files but blank ones."""
    while not tail.exhausted:
        for run in tail.read():
            record = run.mark.log.record
            own = record.generation if record is not None else 0
            yield from _lines_of(run, b"%08x" % known_as.get(own, own))
            run.mark.log.acknowledge(run.mark)  # for the reader, that is all there is to do with it
        tail.settle()


def _lines_of(run: Run, generation: bytes) -> Iterator[Line]:
    file = run.mark.log.facts.name
    final = run.mark.size > 0 or run.mark.log.rotated
    for identity, entry in zip(run.entries.ids, run.entries.entries, strict=True):
        yield Line(generation + identity[8:], entry, file, int(identity[8:20], 16), None, final)
    for refused in run.entries.rejections:
        identity = generation + refused.id[8:].encode()
        yield Line(identity, refused.line, file, refused.offset, Reason(refused.kind), final)
    for piece in run.pieces:
        if piece.id is not None:
            identity = generation + piece.id[8:].encode()
            yield Line(identity, None, file, piece.start, Reason.LINE_TOO_LONG, final)


def _portions(lines: Iterable[Line], limit: int) -> Iterator[list[Line]]:
    """Group lines until they are enough for one search, or have `limit` bytes."""
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


def _checked(
    portions: Iterator[list[Line]],
    lookup: Lookup,
    repair: "Repair | None",
    at_once: int,
    stop: threading.Event,
) -> Iterator[Verification]:
    """Look portions up, some at once; the results come in the order of the files. Raises Stopped."""
    with ThreadPoolExecutor(at_once) as pool:
        under_way: deque[Future[Verification]] = deque()
        for portion in portions:
            if stop.is_set():
                raise Stopped
            under_way.append(pool.submit(check, portion, lookup, repair))
            if len(under_way) > at_once:
                yield under_way.popleft().result()
        for future in under_way:
            yield future.result()


def check(lines: Sequence[Line], lookup: Lookup, repair: "Repair | None") -> Verification:
    """Look some lines up, and judge. Raises Fatal, or what the client raises."""
    copies = _by_id(lookup.entries([line for line in lines if line.refused is None]))
    absent = [line for line in lines if line.id not in copies]
    kept = _by_id(lookup.rejected(absent))
    # What was once refused may have been delivered since, by `indexer rejected replay`.
    copies |= _by_id(lookup.now([line for line in absent if line.refused and line.id not in kept]))
    judged = [(judge(line, copies.get(line.id, ()), kept.get(line.id, ())), line) for line in lines]
    missing = [line for kind, line in judged if kind is Kind.MISSING]
    repaired = repair(missing) if repair and missing else 0
    return report(lookup.connection.alias, judged, copies | kept, repaired)


def _by_id(held: Iterable[Held]) -> dict[bytes, list[Held]]:
    found: dict[bytes, list[Held]] = {}
    for one in held:
        found.setdefault(one.id, []).append(one)
    return found


@dataclass(frozen=True, slots=True)
class Repair:
    """Sends what is missing, as the indexer would; but a line too long to hold stays missing."""

    sender: Sender
    rejects: Rejects

    def __call__(self, lines: Sequence[Line]) -> int:
        """Index some lines, or keep them as rejected; return how many. Raises Stopped."""
        pairs = [(line.id, line.data) for line in lines if line.refused is None and line.data is not None]
        refused = [
            Rejection(
                line.id.decode(), line.file, line.offset, line.refused, EXPLANATION[line.refused], line.data
            )
            for line in lines
            if line.refused is not None and line.data is not None
        ]
        names = {line.id[:8]: line.file for line in lines}
        try:
            _, rejections = self.sender.deliver(Batch(Body.of(pairs), refused, [], SentBefore(None), names))
            if rejections:
                self.rejects.keep(rejections)
        except bulk.Stopped:
            raise Stopped from None
        return len(pairs) + len(refused)
