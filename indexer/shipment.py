"""A batch between its hand-over to a sender and its acknowledgement."""

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from indexer.events import LogProgress, Progress, Totals
from indexer.reading.log import Mark
from indexer.writing.batches import Batch


@dataclass(slots=True)
class Shipment:
    """A batch on its way."""

    batch: Batch[Mark]
    started: float
    done: threading.Event = field(default_factory=threading.Event)
    totals: Totals | None = None
    """What became of it; None if the indexer stopped before."""
    failure: BaseException | None = None


def progress(shipments: Iterable[Shipment], logs: Sequence[LogProgress], totals: Totals) -> Progress:
    """How far all is, with those on their way that are not delivered."""
    undelivered = [shipment for shipment in shipments if not shipment.done.is_set()]
    return Progress(
        logs=logs,
        batches=len(undelivered),
        bytes=sum(len(shipment.batch.body.data) for shipment in undelivered),
        oldest=max((time.monotonic() - shipment.started for shipment in undelivered), default=0.0),
        totals=totals,
    )
