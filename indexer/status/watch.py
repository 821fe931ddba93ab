"""`indexer status --watch`: the status at regular intervals, with the rate of lines between two of them."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from indexer.events import Totals
from indexer.polling import repeat
from indexer.settings import Connection, LogFiles, State
from indexer.show import Cell, Table, text
from indexer.status.status import Status, local_status, with_cluster

CLUSTER_EVERY = 10.0
"""Seconds between requests to the cluster. They are sent by a background thread, so that a slow cluster delays nothing."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The status at one moment, and the rate since the one before."""

    at: datetime
    status: Status
    per_second: float | None
    """Lines per second; None for the first moment."""

    def tables(self) -> Iterable[Table]:
        """The tables for a terminal."""
        rate: tuple[tuple[Cell, ...], ...] = ((self.at, self.per_second),)
        yield Table("Now", ("UTC", "Lines per second"), rate, "")
        yield from self.status.tables()

    def line(self) -> str:
        """One line, for output that is not a terminal."""
        it, done = self.status.running, self.status.totals
        state = (
            "not running" if it is None else "ready" if it.ready else f"not ready ({' '.join(it.problems)})"
        )
        lags = [log.lag for log in self.status.logs if log.lag is not None]
        parts = [
            f"{self.at:%Y-%m-%dT%H:%M:%SZ} {state}",
            f"{done.read:,} read",
            f"{done.rejected:,} rejected",
            f"{sum(lags):,} bytes behind",
        ]
        if self.per_second is not None:
            parts.append(f"{self.per_second:,.0f} lines/s")
        return text(", ".join(parts))


def moments(
    look: Callable[[], Status],
    stop: threading.Event,
    interval: float,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Moment]:
    """Yield a moment every `interval` seconds until `stop`."""
    before: tuple[float, Totals] | None = None
    while not stop.is_set():
        status, now = look(), clock()
        done = None if before is None else status.totals - before[1]
        rate = None if before is None or done is None else done.read / max(now - before[0], 1e-9)
        yield Moment(datetime.now(UTC), status, rate)
        before = now, status.totals
        stop.wait(interval)


@contextmanager
def latest_status(logs: LogFiles, connection: Connection, state: State) -> Iterator[Callable[[], Status]]:
    """Give a function that returns the status, with the cluster's part as it last answered."""
    stop = threading.Event()
    local = partial(local_status, logs, connection, state)
    latest = [replace(local(), problem="The cluster has not answered yet.")]

    def ask() -> None:
        latest[0] = with_cluster(local(), connection, state)

    def failed(sentence: str) -> None:
        latest[0] = replace(latest[0], problem=sentence)

    def look() -> Status:
        here, cluster = local(), latest[0]
        return replace(
            here,
            indices=cluster.indices,
            rejected=cluster.rejected,
            problem=cluster.problem,
            fields=cluster.fields,
            ignored=cluster.ignored,
            seals=cluster.seals,
        )

    repeat("watch", ask, CLUSTER_EVERY, failed, stop).start()
    try:
        yield look
    finally:
        stop.set()
