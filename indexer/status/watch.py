"""`indexer status --watch`: the status again and again, with what has happened in between."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from indexer.events import Totals
from indexer.polling import repeat
from indexer.settings import Connection, State
from indexer.show import Cell, Table, text
from indexer.status.status import Status, known, with_cluster

CLUSTER_EVERY = 10.0
"""Seconds between questions to the cluster; it is asked in a thread, so that a slow one holds nothing up."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The status at one moment, and what ended in each second since the one before."""

    at: datetime
    status: Status
    per_second: float | None
    """Lines; None at first."""

    def tables(self) -> Iterable[Table]:
        """For people to read."""
        rate: tuple[tuple[Cell, ...], ...] = ((self.at, self.per_second),)
        yield Table("Now", ("UTC", "Lines per second"), rate, "")
        yield from self.status.tables()

    def line(self) -> str:
        """In one line, for where nothing can be drawn anew."""
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
    """Look every `interval` seconds until `stop`."""
    before: tuple[float, Totals] | None = None
    while not stop.is_set():
        status, now = look(), clock()
        done = None if before is None else status.totals - before[1]
        rate = None if before is None or done is None else done.read / max(now - before[0], 1e-9)
        yield Moment(datetime.now(UTC), status, rate)
        before = now, status.totals
        stop.wait(interval)


@contextmanager
def looking(
    paths: Sequence[str], connection: Connection, state: State, *, follow_symlinks: bool = False
) -> Iterator[Callable[[], Status]]:
    """Give what looks at files and indexer, and has at hand what the cluster said last."""
    stop = threading.Event()
    local = partial(known, paths, connection, state, follow_symlinks=follow_symlinks)
    latest = [replace(local(), problem="The cluster is being asked.")]

    def ask() -> None:
        latest[0] = with_cluster(local(), connection, state)

    def failed(sentence: str) -> None:
        latest[0] = replace(latest[0], problem=sentence)

    def look() -> Status:
        here, told = local(), latest[0]
        return replace(
            here,
            indices=told.indices,
            rejected=told.rejected,
            problem=told.problem,
            fields=told.fields,
            ignored=told.ignored,
        )

    repeat("watch", ask, CLUSTER_EVERY, failed, stop).start()
    try:
        yield look
    finally:
        stop.set()
