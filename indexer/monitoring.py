"""Listens to what happens and says it: as logs, as a progress bar.

Logs go to standard error, readable on a terminal, elsewhere one JSON object a line. Never a line per entry; a fault
that repeats is said once, then counted, and said again with the count once a minute and when it is over.
"""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable

import structlog

from indexer.events import Events, Fault, Recognition
from indexer.settings import plain

SAID_AGAIN = 60.0
"""Seconds after which a fault that goes on is said again."""


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
            renderer,
        ],
    )
    return made


class Logs(Events):
    """Says what an operator wants to know. Called by several threads."""

    def __init__(
        self, log: structlog.typing.FilteringBoundLogger, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._clock = clock
        self._lock = threading.RLock()
        self._faults: dict[object, tuple[int, float]] = {}
        self._rejected: Counter[str] = Counter()

    def file_found(self, path: str, recognition: Recognition, offset: int) -> None:
        """Say which file is read, from where, and why there."""
        with self._lock:
            self._faults.pop(path, None)
        self._log.info("file found", file=path, recognised_as=recognition.value, offset=offset)

    def file_lost(self, path: str, unread: int) -> None:
        """Say what can no longer be read by anyone."""
        self._log.error("file gone with unread bytes", file=path, unread_bytes=unread)

    def file_unreadable(self, path: str, reason: str) -> None:
        """Say that a file cannot be read, once while it lasts."""
        self._repeated(path, "file cannot be read", file=path, reason=reason)

    def file_finished(self, path: str) -> None:
        """Say that a file is read to its end for good."""
        self._log.info("file finished", file=path)

    def rejected(self, kind: str, count: int) -> None:
        """Say that lines were rejected, once a minute for each reason, with their number since the start."""
        with self._lock:
            self._rejected[kind] += count
            lines = self._rejected[kind]
            self._repeated(("rejected", kind), "lines rejected and kept", type=kind, lines=lines)

    def delivery_failed(self, fault: Fault, detail: str, wait: float) -> None:
        """Say that nothing goes through, once while it lasts."""
        self._repeated(fault, "not delivered, trying again", fault=fault.value, detail=detail)

    def delivery_recovered(self) -> None:
        """Say that batches go through again, and how often they had not."""
        with self._lock:
            failed = {fault.value: self._faults.pop(fault)[0] for fault in Fault if fault in self._faults}
        if failed:
            self._log.info("delivered again", failed_tries=failed)

    def waiting(self, sentence: str) -> None:
        """Say what is waited for, once while it lasts."""
        self._repeated(sentence, sentence)

    def checkpoint_failed(self, path: str, reason: str) -> None:
        """Say that the state cannot be written, once while it lasts."""
        self._repeated("checkpoint", "checkpoint cannot be written", directory=path, reason=reason)

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
        self._repeated("rollover", "rollover failed, trying again", reason=reason)

    def rollover_managed(self, policy: str) -> None:
        """Say that there is nothing to do for us."""
        self._log.info("rollover left to lifecycle management", policy=policy)

    def checkpoint_written(self) -> None:
        """Say that the state can be written again."""
        with self._lock:
            failed = self._faults.pop("checkpoint", None)
        if failed:
            self._log.info("checkpoint written again", failed_tries=failed[0])

    def _repeated(self, key: object, event: str, **facts: object) -> None:
        with self._lock:
            times, said = self._faults.get(key, (0, float("-inf")))
            times += 1
            if self._clock() - said >= SAID_AGAIN:
                said = self._clock()
                self._log.warning(event, **facts, **({"times": times} if times > 1 else {}))
            self._faults[key] = times, said
