"""A batch between its hand-over to a sender and its acknowledgement."""

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from indexer.events import LogProgress, Progress, Totals
from indexer.reading.batch import AckPosition
from indexer.writing.batches import Batch


@dataclass(slots=True)
class InFlightBatch:
    """A batch on its way."""

    batch: Batch[AckPosition]
    started: float
    done: threading.Event = field(default_factory=threading.Event)
    totals: Totals | None = None
    """What became of it; None if the indexer stopped before."""
    failure: BaseException | None = None


def progress(batches: Iterable[InFlightBatch], logs: Sequence[LogProgress], totals: Totals) -> Progress:
    """How far all is, with those on their way that are not delivered."""
    undelivered = [in_flight_batch for in_flight_batch in batches if not in_flight_batch.done.is_set()]
    return Progress(
        logs=logs,
        batches=len(undelivered),
        bytes=sum(len(in_flight_batch.batch.body.data) for in_flight_batch in undelivered),
        oldest=max(
            (time.monotonic() - in_flight_batch.started for in_flight_batch in undelivered), default=0.0
        ),
        totals=totals,
    )
