"""Logs on standard error: text on a terminal, elsewhere one JSON object per line.

Never a line per entry. A repeated fault is logged once, then once a minute with its count while it lasts, and with its
duration when it is over.
"""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from indexer.escaping import printable
from indexer.events import Events, Fault, Progress, Recognition, Totals
from indexer.settings import plain
from indexer.show import duration

REPEAT_EVERY = 60.0
"""Seconds after which a fault that lasts is logged again."""
MOST_FILES = 100
"""Unreadable files that are logged separately; the others are logged together."""
FORGOTTEN_AFTER = 300.0
"""Seconds without an event after which an unreadable file is forgotten."""
SECONDS = "_seconds"
"""Suffix of the fields that are durations."""


def logger(level: str = "info") -> structlog.typing.FilteringBoundLogger:
    """Create a logger that writes to standard error, with this minimum level."""
    terminal = sys.stderr.isatty()
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(pad_event_to=0, colors=not plain())
        if terminal
        else structlog.processors.JSONRenderer()
    )
    made: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S" if terminal else "iso", utc=not terminal),
            *([_humanised, _printable] if terminal else []),
            renderer,
        ],
    )
    return made


def _humanised(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Format durations for a person: `lasted='3 min 12 s'`."""
    return {
        name.removesuffix(SECONDS): duration(timedelta(seconds=value)) if name.endswith(SECONDS) else value
        for name, value in event.items()
    }


def _printable(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Escape control characters for a terminal."""
    return {
        name: value if isinstance(value, int | float | None) else printable(str(value))
        for name, value in event.items()
    }


@dataclass(slots=True)
class _Repeated:
    """A fault that lasts."""

    since: float
    event: str
    facts: dict[str, object]
    times: int = 0
    reported: float = 0.0
    """When the last event came; only of an unreadable file."""
    logged: float = float("-inf")
    logged_times: int = 0


class Logs(Events):
    """Logs what an operator wants to know. Thread-safe."""

    def __init__(
        self, log: structlog.typing.FilteringBoundLogger, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._clock = clock
        self._lock = threading.RLock()
        self._faults: dict[object, _Repeated] = {}
        self._waiting: set[str] = set()
        self._unreadable: set[str] = set()
        self._rejected: Counter[str] = Counter()
        self._holes = 0

    # ---- the run

    def serving(self, address: str) -> None:
        """Log the address."""
        self._log.info("monitoring is served", address=address)

    def waiting(self, sentence: str) -> None:
        """Log the reason, once while it lasts."""
        with self._lock:
            self._waiting.add(sentence)
            self._repeat(sentence, sentence)

    def connected(self, cluster: str | None, write_index: str) -> None:
        """Log the write index, and how long the indexer waited."""
        with self._lock:
            self._over("connected", *self._waiting, always=True, write_index=write_index, cluster=cluster)
            self._waiting.clear()

    def heartbeat(self, look: Callable[[], Progress]) -> None:
        """Log the faults that are due again."""
        with self._lock:
            old = self._clock() - FORGOTTEN_AFTER
            for path in [path for path in self._unreadable if self._faults[path].reported < old]:
                self._readable(path)
            for fault in self._faults.values():
                self._log_if_due(fault)

    def stopped(self, totals: Totals) -> None:
        """Log what is not logged yet, and the totals."""
        with self._lock:
            for fault in self._faults.values():
                if fault.times > fault.logged_times:
                    self._log_fault(fault)
        self._log.info(
            "stopped",
            read=totals.read,
            created=totals.created,
            duplicates=totals.duplicates,
            rejected=totals.rejected,
            blank=totals.blank,
        )

    # ---- logs

    def file_found(self, path: str, recognition: Recognition, offset: int) -> None:
        """Log the file, the offset, and how it was recognised."""
        with self._lock:
            self._readable(path)
        self._log.info("file found", file=path, recognised_as=recognition.value, offset=offset)

    def file_lost(self, path: str, unread: int) -> None:
        """Log the loss."""
        self._log.error("file lost with unread bytes", file=path, unread_bytes=unread)

    def hole_skipped(self, path: str, size: int) -> None:
        """Log skipped bytes once a minute, with their number since the start."""
        with self._lock:
            self._holes += size
            self._repeat("hole", "NUL bytes skipped", file=path, bytes=self._holes)

    def file_unreadable(self, path: str, reason: str) -> None:
        """Log the file, once while it lasts."""
        with self._lock:
            if path in self._unreadable or len(self._unreadable) < MOST_FILES:
                self._unreadable.add(path)
                self._repeat(path, "file cannot be read", file=path, reason=reason)
                self._faults[path].reported = self._clock()
            else:
                self._repeat("more files", "more files cannot be read", file=path, reason=reason)

    def _readable(self, path: str) -> None:
        self._unreadable.discard(path)
        self._faults.pop(path, None)

    def file_finished(self, path: str) -> None:
        """Log the file."""
        self._log.info("file finished", file=path)

    # ---- delivery

    def batch_acknowledged(self, totals: Totals, seconds: float) -> None:
        """Log the batch, at level debug."""
        self._log.debug(
            "batch delivered", lines=totals.read, bytes=totals.bytes, took_seconds=round(seconds, 3)
        )

    def rejected(self, kind: str, count: int) -> None:
        """Log rejected lines once a minute for each reason, with their number since the start."""
        with self._lock:
            self._rejected[kind] += count
            self._repeat(("rejected", kind), "lines rejected and kept", type=kind, lines=self._rejected[kind])

    def delivery_failed(self, fault: Fault, detail: str, wait: float) -> None:
        """Log the fault, once while it lasts."""
        self._repeat(fault, "delivery failed, retrying", fault=fault.value, detail=detail)

    def delivery_recovered(self) -> None:
        """Log the recovery, with the duration and the number of tries."""
        with self._lock:
            self._over("delivery recovered", *Fault)
            for sentence in self._waiting:
                self._faults.pop(sentence, None)
            self._waiting.clear()

    # ---- the state directory

    def state_open_to_others(self, directory: str) -> None:
        """Log the directory, and the fix."""
        self._log.warning(
            "others may write to the state directory", directory=directory, fix="chmod go-w, as its owner"
        )

    def checkpoint_failed(self, path: str, reason: str) -> None:
        """Log the failure, once while it lasts."""
        self._repeat("checkpoint", "checkpoint cannot be written", directory=path, reason=reason)

    def checkpoint_written(self) -> None:
        """Log the recovery."""
        self._over("checkpoint written again", "checkpoint")

    # ---- sealing

    def sealing(self, every: float) -> None:
        """Log the interval."""
        self._log.info("sealing is on", every_seconds=every)

    def sealed(self, leaves: int, lines: int, size: int, note: str) -> None:
        """Log the signed checkpoint: kept elsewhere, it is an anchor. After failures, with their number."""
        self._over("sealed", "sealing", always=True, size=size, leaves=leaves, lines=lines, note=note)

    def sealing_failed(self, reason: str, wait: float) -> None:
        """Log the failure, once while it lasts."""
        self._repeat("sealing", "sealing failed, retrying", reason=reason)

    # ---- indices

    def index_begun(self, index: str) -> None:
        """Log the new write index."""
        with self._lock:
            self._faults.pop("rollover", None)
        self._log.info("alias rolled over", index=index)

    def index_deleted(self, index: str) -> None:
        """Log the deleted index."""
        self._log.info("old index deleted", index=index)

    def rollover_failed(self, reason: str) -> None:
        """Log the failure, once while it lasts."""
        self._repeat("rollover", "rollover failed, retrying", reason=reason)

    def rollover_managed(self, policy: str) -> None:
        """Log the policy that manages the indices."""
        self._log.info("rollover left to lifecycle management", policy=policy)

    # ---- listeners

    def listener_failed(self, listener: str, reason: str) -> None:
        """Log the failure, once while it lasts."""
        self._repeat(("listener", listener), "listener failed", listener=listener, reason=reason)

    # ---- repeated faults

    def _repeat(self, key: object, event: str, **facts: object) -> None:
        with self._lock:
            fault = self._faults.get(key)
            if fault is None:
                fault = self._faults[key] = _Repeated(self._clock(), event, facts)
            fault.facts = facts
            fault.times += 1
            self._log_if_due(fault)

    def _log_if_due(self, fault: _Repeated) -> None:
        if fault.times > fault.logged_times and self._clock() - fault.logged >= REPEAT_EVERY:
            self._log_fault(fault)

    def _log_fault(self, fault: _Repeated) -> None:
        fault.logged, fault.logged_times = self._clock(), fault.times
        lasting = {"times": fault.times, "lasting_seconds": round(fault.logged - fault.since, 1)}
        self._log.warning(fault.event, **fault.facts, **(lasting if fault.times > 1 else {}))

    def _over(self, event: str, *keys: object, always: bool = False, **facts: object) -> None:
        """Log the end of faults, if there were any."""
        with self._lock:
            over = [self._faults.pop(key) for key in keys if key in self._faults]
            if over:
                lasted = round(self._clock() - min(fault.since for fault in over), 1)
                times = sum(fault.times for fault in over)
                self._log.info(event, **facts, times=times, lasted_seconds=lasted)
            elif always:
                self._log.info(event, **facts)
