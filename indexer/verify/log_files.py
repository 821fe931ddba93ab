"""`indexer verify`: log files against the index, byte for byte.

The files are read as the indexer reads them, without its checkpoint, and each entry is looked up by id in all indices
behind the alias. It is present if it is there once with the same bytes. A line that is not an entry, or that Elasticsearch
rejected, has to be among the rejected lines with its bytes.

Where it is faster, the whole alias is scanned first (`whole_index.py`), and only lines that it does not hold once with the
same bytes are looked up.
"""

import threading
import time
from collections.abc import Iterator
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
from indexer.reading.entries import Reason
from indexer.reading.tail import Tail
from indexer.settings import Connection, Delivery, LogFiles, State
from indexer.verify.checker import Checker, Repair, checked, portions
from indexer.verify.findings import Line, Verification
from indexer.verify.found import Found
from indexer.verify.lookup import Lookup
from indexer.verify.partitions import NoRoom
from indexer.verify.scan import Scan
from indexer.verify.sealed_ids import sealed_ids
from indexer.verify.whole_index import Compared, Expected, compare, scan_is_faster
from indexer.writing.bulk import Sender
from indexer.writing.dead_letters import dead_letter_store
from indexer.writing.spool import DeadLetterFiles
from indexer.writing.target import Target

LIVE = 60.0
"""Seconds since the last write during which the lines of a file may be in flight."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """`indexer verify` with its settings."""

    connection: Connection
    delivery: Delivery
    state: State
    events: Events
    stop: threading.Event

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
            groups = portions(lines, delivery.batch_bytes)
            total = sum(checked(groups, checker, delivery.senders), total)
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
            scan = Scan(lookup.cluster, lookup.raw, self.stop)
            for page in scan.pages(lookup.alias):
                found.add(page)
                self.events.entries_scanned(found.count, documents)
            with sealed_ids(lookup.cluster, scan) as known:
                return compare(expected, found, Verification(lookup.alias, unreadable=tail.failures), known)
        return None

    def _repair(self, cluster: Cluster, target: Target) -> Repair:
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
