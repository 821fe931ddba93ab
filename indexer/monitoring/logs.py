"""Logs on standard error: readable on a terminal, elsewhere one JSON object a line.

Never a line per entry. A fault that repeats is said once, then counted: said again with the count once a minute while
it goes on, and with how long it lasted when it is over.
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

SAID_AGAIN = 60.0
"""Seconds after which a fault that goes on is said again."""
FILES = 100
"""Files that cannot be read of which each is said; the others are said together."""
FORGOTTEN = 300.0
"""Seconds after which a file that cannot be read is over, if nothing more is told of it."""
SECONDS = "_seconds"
"""How the names of spans of time end."""


def logger(level: str = "info") -> structlog.typing.FilteringBoundLogger:
    """Make the logger of this process, on standard error, for what is at least of this level."""
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
    """Spans of time as a person reads them: `lasted='3 min 12 s'`."""
    return {
        name.removesuffix(SECONDS): duration(timedelta(seconds=value)) if name.endswith(SECONDS) else value
        for name, value in event.items()
    }


def _printable(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Text as it can be shown on a terminal, whoever chose it."""
    return {
        name: value if isinstance(value, int | float | None) else printable(str(value))
        for name, value in event.items()
    }


@dataclass(slots=True)
class _Repeated:
    """A fault that goes on."""

    since: float
    event: str
    facts: dict[str, object]
    times: int = 0
    told: float = 0.0
    """When it was told last, of a file that cannot be read."""
    said: float = float("-inf")
    said_times: int = 0


class Logs(Events):
    """Says what an operator wants to know. Called by several threads."""

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
        """Say where it can be watched."""
        self._log.info("monitoring is served", address=address)

    def waiting(self, sentence: str) -> None:
        """Say what is waited for, once while it lasts."""
        with self._lock:
            self._waiting.add(sentence)
            self._repeat(sentence, sentence)

    def connected(self, cluster: str | None, write_index: str) -> None:
        """Say where entries go, and how long that had to be waited for."""
        with self._lock:
            self._over("connected", *self._waiting, always=True, write_index=write_index, cluster=cluster)
            self._waiting.clear()

    def heartbeat(self, look: Callable[[], Progress]) -> None:
        """Say what has been counted for a minute."""
        with self._lock:
            old = self._clock() - FORGOTTEN
            for path in [path for path in self._unreadable if self._faults[path].told < old]:
                self._readable(path)
            for fault in self._faults.values():
                self._say_if_due(fault)

    def stopped(self, totals: Totals) -> None:
        """Say what was done, and what is still to be said."""
        with self._lock:
            for fault in self._faults.values():
                if fault.times > fault.said_times:
                    self._say(fault)
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
        """Say which file is read, from where, and why there."""
        with self._lock:
            self._readable(path)
        self._log.info("file found", file=path, recognised_as=recognition.value, offset=offset)

    def file_lost(self, path: str, unread: int) -> None:
        """Say what can no longer be read by anyone."""
        self._log.error("file gone with unread bytes", file=path, unread_bytes=unread)

    def hole_skipped(self, path: str, size: int) -> None:
        """Say that a file has space that was never written, once a minute, with the bytes since the start."""
        with self._lock:
            self._holes += size
            self._repeat("hole", "NUL bytes passed over", file=path, bytes=self._holes)

    def file_unreadable(self, path: str, reason: str) -> None:
        """Say that a file cannot be read, once while it lasts."""
        with self._lock:
            if path in self._unreadable or len(self._unreadable) < FILES:
                self._unreadable.add(path)
                self._repeat(path, "file cannot be read", file=path, reason=reason)
                self._faults[path].told = self._clock()
            else:
                self._repeat("more files", "more files cannot be read", file=path, reason=reason)

    def _readable(self, path: str) -> None:
        self._unreadable.discard(path)
        self._faults.pop(path, None)

    def file_finished(self, path: str) -> None:
        """Say that a file is read to its end for good."""
        self._log.info("file finished", file=path)

    # ---- delivery

    def batch_acknowledged(self, totals: Totals, seconds: float) -> None:
        """Say it to those who look for something."""
        self._log.debug(
            "batch delivered", lines=totals.read, bytes=totals.bytes, took_seconds=round(seconds, 3)
        )

    def rejected(self, kind: str, count: int) -> None:
        """Say that lines were rejected, once a minute for each reason, with their number since the start."""
        with self._lock:
            self._rejected[kind] += count
            self._repeat(("rejected", kind), "lines rejected and kept", type=kind, lines=self._rejected[kind])

    def delivery_failed(self, fault: Fault, detail: str, wait: float) -> None:
        """Say that nothing goes through, once while it lasts."""
        self._repeat(fault, "not delivered, trying again", fault=fault.value, detail=detail)

    def delivery_recovered(self) -> None:
        """Say that batches go through again, for how long and how often they had not."""
        with self._lock:
            self._over("delivered again", *Fault)
            for sentence in self._waiting:
                self._faults.pop(sentence, None)
            self._waiting.clear()

    # ---- the state directory

    def state_open_to_others(self, directory: str) -> None:
        """Say which directory, and what to do."""
        self._log.warning(
            "others may write to the state directory", directory=directory, fix="chmod go-w, as its owner"
        )

    def checkpoint_failed(self, path: str, reason: str) -> None:
        """Say that the state cannot be written, once while it lasts."""
        self._repeat("checkpoint", "checkpoint cannot be written", directory=path, reason=reason)

    def checkpoint_written(self) -> None:
        """Say that the state can be written again."""
        self._over("checkpoint written again", "checkpoint")

    # ---- indices

    def index_begun(self, index: str) -> None:
        """Say which index takes entries now."""
        with self._lock:
            self._faults.pop("rollover", None)
        self._log.info("alias rolled over", index=index)

    def index_deleted(self, index: str) -> None:
        """Say which index is gone."""
        self._log.info("old index deleted", index=index)

    def rollover_failed(self, reason: str) -> None:
        """Say that the indices do not age as they should, once while it lasts."""
        self._repeat("rollover", "rollover failed, trying again", reason=reason)

    def rollover_managed(self, policy: str) -> None:
        """Say that there is nothing to do for us."""
        self._log.info("rollover left to lifecycle management", policy=policy)

    # ---- ourselves

    def listener_failed(self, listener: str, reason: str) -> None:
        """Say that a listener has a bug, or no room, once while it lasts."""
        self._repeat(("listener", listener), "listener failed", listener=listener, reason=reason)

    # ---- what repeats

    def _repeat(self, key: object, event: str, **facts: object) -> None:
        with self._lock:
            fault = self._faults.get(key)
            if fault is None:
                fault = self._faults[key] = _Repeated(self._clock(), event, facts)
            fault.facts = facts
            fault.times += 1
            self._say_if_due(fault)

    def _say_if_due(self, fault: _Repeated) -> None:
        if fault.times > fault.said_times and self._clock() - fault.said >= SAID_AGAIN:
            self._say(fault)

    def _say(self, fault: _Repeated) -> None:
        fault.said, fault.said_times = self._clock(), fault.times
        lasting = {"times": fault.times, "lasting_seconds": round(fault.said - fault.since, 1)}
        self._log.warning(fault.event, **fault.facts, **(lasting if fault.times > 1 else {}))

    def _over(self, event: str, *keys: object, always: bool = False, **facts: object) -> None:
        """Say that faults are over, if there were any."""
        with self._lock:
            over = [self._faults.pop(key) for key in keys if key in self._faults]
            if over:
                lasted = round(self._clock() - min(fault.since for fault in over), 1)
                times = sum(fault.times for fault in over)
                self._log.info(event, **facts, times=times, lasted_seconds=lasted)
            elif always:
                self._log.info(event, **facts)
