"""Records events as metrics. Events come per batch and per second; snapshots are taken by other threads."""

import os
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from indexer import __version__
from indexer.events import MOST_UNREADABLE, Events, Fault, LogProgress, Progress, Recognition, Totals
from indexer.monitoring.sealing import SealingTracker
from indexer.monitoring.snapshot import Fields, InFlight, Latency, Repeated, Snapshot

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the histogram of request durations, in seconds."""
KINDS = 50
"""Reasons of rejection that are counted separately; they come from the server, so their number must be bounded."""
OTHER = "other"
UNREADABLE_FOR = 30.0
"""Seconds for which a path counts as unreadable; while it is, the event is repeated every ten seconds."""
MOST_SAMPLES = 600
"""Samples kept of one log. Above it, pairs are merged: lags become coarser, and never too small."""


@dataclass(slots=True)
class _Ongoing:
    since: float
    detail: str = ""
    tries: int = 0


class LagTracker:
    """Tracks how old the oldest undelivered byte of one log is."""

    def __init__(self) -> None:
        self._found: list[tuple[float, int]] = []
        """Samples: when the log was first seen to exceed the previous sample's offset, and the offset that it reached."""
        self._spacing = 0.0

    def update(self, now: float, delivered: int, lag: int) -> float:
        """Record that `lag` bytes after the offset `delivered` exist. Returns the age of the oldest, in seconds."""
        self._found = [(time, end) for time, end in self._found if lag and end > delivered]
        if lag:
            self._add(now, delivered + lag)
        return now - self._found[0][0] if self._found else 0.0

    def _add(self, now: float, end: int) -> None:
        found = self._found
        if not found:
            self._found, self._spacing = [(now, end)], 0.0
        elif end > found[-1][1]:
            if now - found[-1][0] < self._spacing:
                found[-1] = found[-1][0], end
            else:
                found.append((now, end))
        if len(found) > MOST_SAMPLES:
            ends = [end for _, end in found[1::2]] + [found[-1][1]]
            self._found = [(time, end) for (time, _), end in zip(found[::2], ends, strict=False)]
            self._spacing = (now - found[0][0]) / (MOST_SAMPLES // 2)


class MetricsRecorder(Events):
    """Turns events into metrics. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._began = self._alive = clock()
        self._connected = False
        self._waiting: str | None = None
        self._cluster_problem: str | None = None
        self._faults: dict[tuple[int, Fault], _Ongoing] = {}
        """By the thread that fails: a sender that recovers does not clear the fault of another."""
        self._checkpoint_problem: str | None = None
        self._checkpoint_failures = 0
        self._listener_failures = 0
        self._saved: float | None = None
        self._acknowledged: float | None = None
        self._lines = Totals()
        self._ever: Totals | None = None
        self._read = self._lost = self._holes = 0
        self._rejected: Counter[str] = Counter()
        self._retries = Counter({fault.value: 0 for fault in Fault})
        self._found = Counter({recognition.value: 0 for recognition in Recognition})
        self._in_flight = InFlight()
        self._latency = [0] * (len(BOUNDS) + 1)
        self._latency_total = 0.0
        self._trackers: dict[tuple[int, int, int], LagTracker] = {}
        self._logs: tuple[LogProgress, ...] = ()
        self._unreadable: dict[str, tuple[float, str]] = {}
        self._fields: Fields | None = None
        self._free: int | None = None
        self._sealing: SealingTracker | None = None

    # ---- the run

    def waiting(self, sentence: str) -> None:
        """Record what the indexer waits for."""
        with self._lock:
            if not self._connected:  # else a sender may be waiting while the main loop hangs
                self._alive = self._clock()
            self._waiting = sentence

    def connected(self, cluster: str | None, write_index: str) -> None:
        """Record that the indexer waits no longer."""
        with self._lock:
            self._alive = self._clock()
            self._connected, self._waiting, self._checkpoint_problem = True, None, None

    def heartbeat(self, look: Callable[[], Progress]) -> None:
        """Record the progress of all logs."""
        now = self._clock()
        with self._lock:
            self._alive = now
            self._unreadable = {
                path: told for path, told in self._unreadable.items() if now - told[0] < UNREADABLE_FOR
            }
        progress = look()
        logs = self._with_lag_seconds(now, progress.logs)
        with self._lock:
            self._logs = logs
            self._in_flight = InFlight(progress.batches, progress.bytes, progress.oldest)
            self._ever = progress.totals

    def _with_lag_seconds(self, now: float, logs: Iterable[LogProgress]) -> tuple[LogProgress, ...]:
        """Each path once: a log that was truncated may still be in flight with its former content."""
        before, self._trackers = self._trackers, {}
        found: dict[str, LogProgress] = {}
        for log in logs:
            tracker = self._trackers[log.identity] = before.get(log.identity) or LagTracker()
            seconds = tracker.update(now, log.delivered, log.lag)
            measured = replace(log, lag_seconds=seconds)
            found[log.path] = _combine(found[log.path], measured) if log.path in found else measured
        return tuple(found.values())

    # ---- logs

    def file_found(self, path: str, recognition: Recognition, offset: int) -> None:
        """Count the file; it is readable."""
        with self._lock:
            self._alive = self._clock()
            self._found[recognition.value] += 1
            self._unreadable.pop(path, None)

    def file_lost(self, path: str, unread: int) -> None:
        """Count lost bytes."""
        with self._lock:
            self._lost += unread

    def hole_skipped(self, path: str, size: int) -> None:
        """Count skipped bytes; only the main thread calls this."""
        self._holes += size

    def file_unreadable(self, path: str, reason: str) -> None:
        """Record the path as unreadable for a while."""
        with self._lock:
            if path in self._unreadable or len(self._unreadable) < MOST_UNREADABLE:
                self._unreadable[path] = self._clock(), reason

    def block_read(self, path: str, size: int) -> None:
        """Count bytes; only the main thread calls this."""
        self._read += size

    # ---- delivery

    def answered(self, seconds: float) -> None:
        """Add the request to the histogram."""
        with self._lock:
            self._latency[bisect_left(BOUNDS, seconds)] += 1
            self._latency_total += seconds

    def batch_acknowledged(self, totals: Totals, seconds: float) -> None:
        """Count the lines by result."""
        with self._lock:
            self._lines += totals
            self._acknowledged = self._clock()

    def rejected(self, kind: str, count: int) -> None:
        """Count the lines by reason."""
        with self._lock:
            known = kind in self._rejected or len(self._rejected) < KINDS
            self._rejected[kind if known else OTHER] += count

    def delivery_failed(self, fault: Fault, detail: str, wait: float) -> None:
        """Count the try, and record the fault of this thread."""
        with self._lock:
            self._retries[fault.value] += 1
            ongoing = self._faults.setdefault((threading.get_ident(), fault), _Ongoing(self._clock()))
            ongoing.detail = detail
            ongoing.tries += 1

    def delivery_recovered(self) -> None:
        """Clear the faults of this thread."""
        with self._lock:
            thread = threading.get_ident()
            self._faults = {key: it for key, it in self._faults.items() if key[0] != thread}

    def checkpoint_written(self) -> None:
        """Record the time."""
        with self._lock:
            self._saved, self._checkpoint_problem = self._clock(), None

    def checkpoint_failed(self, path: str, reason: str) -> None:
        """Count the failure, and record the problem."""
        with self._lock:
            self._checkpoint_failures += 1
            self._checkpoint_problem = f"The checkpoint cannot be written to {path}: {reason}."

    def listener_failed(self, listener: str, reason: str) -> None:
        """Count the failure."""
        with self._lock:
            self._listener_failures += 1

    # ---- sealing

    def sealing(self, every: float) -> None:
        """Record that sealing is on."""
        with self._lock:
            self._sealing = SealingTracker(every, self._clock())

    def sealed(self, leaves: int, lines: int, size: int, note: str) -> None:
        """Count what was sealed."""
        with self._lock:
            if self._sealing:
                self._sealing.sealed(self._clock(), leaves, lines, size)

    def sealing_failed(self, reason: str, wait: float) -> None:
        """Count the failure, and record its reason."""
        with self._lock:
            if self._sealing:
                self._sealing.failed(reason)

    # ---- the cluster probe

    def cluster_probed(self, problem: str | None) -> None:
        """Record the result of a probe: its problem, or None."""
        with self._lock:
            self._cluster_problem = problem

    def fields_counted(self, fields: Fields | None) -> None:
        """Record the number of mapped fields; None without the privilege to read it."""
        with self._lock:
            self._fields = fields

    def disk_probed(self, free: int | None) -> None:
        """Record the free bytes on the disk of the state directory."""
        with self._lock:
            self._free = free

    # ---- the snapshot

    def snapshot(self) -> Snapshot:
        """All metrics at this moment."""
        with self._lock:
            now = self._clock()
            return Snapshot(
                version=__version__,
                process=os.getpid(),
                uptime=now - self._began,
                sign_of_life=now - self._alive,
                connected=self._connected,
                waiting=self._waiting,
                cluster_problem=self._cluster_problem,
                faults=self._repeated(now),
                checkpoint_problem=self._checkpoint_problem,
                checkpoint_failures=self._checkpoint_failures,
                listener_failures=self._listener_failures,
                checkpoint_age=None if self._saved is None else now - self._saved,
                acknowledged=None if self._acknowledged is None else now - self._acknowledged,
                lines=self._lines,
                ever=self._ever,
                read_bytes=self._read,
                lost_bytes=self._lost,
                hole_bytes=self._holes,
                rejected=dict(self._rejected),
                retries=dict(self._retries),
                found=dict(self._found),
                in_flight=self._in_flight,
                latency=Latency(tuple(self._latency), self._latency_total),
                logs=self._logs,
                unreadable={
                    path: reason
                    for path, (told, reason) in self._unreadable.items()
                    if now - told < UNREADABLE_FOR
                },
                fields=self._fields,
                free_bytes=self._free,
                sealing=self._sealing.at(now) if self._sealing else None,
            )

    def _repeated(self, now: float) -> tuple[Repeated, ...]:
        """The faults of all threads, each fault once."""
        by_fault: dict[Fault, list[_Ongoing]] = {}
        for (_, fault), it in self._faults.items():
            by_fault.setdefault(fault, []).append(it)
        return tuple(
            Repeated(
                fault.value, some[-1].detail, now - min(it.since for it in some), sum(it.tries for it in some)
            )
            for fault, some in by_fault.items()
        )


def _combine(one: LogProgress, other: LogProgress) -> LogProgress:
    newer, older = sorted((other, one), key=lambda log: log.lag_seconds)
    return replace(newer, lag=newer.lag + older.lag, lag_seconds=older.lag_seconds)
