"""Snapshots as Prometheus metrics: the table of all metrics, and the collector that exports them.

Names and units follow "Metric and label naming" of Prometheus's documentation. A moment is a timestamp; its age is
`time() - …`. The number of series is bounded: a closed file has no series.
"""

import platform
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from indexer.events import LogProgress
from indexer.monitoring.health import Problem, assess
from indexer.monitoring.recorder import BOUNDS
from indexer.monitoring.snapshot import Latency, Snapshot

MOST_LOGS = 100
"""Logs that have series of their own: those with the largest lag."""
Value = float | None
Labelled = Iterable[tuple[str, Value]]


@dataclass(frozen=True, slots=True)
class Metric:
    """A counter (its name ends with `_total`) or a gauge; None is no value."""

    name: str
    help: str
    value: Callable[[Snapshot], Value | Labelled]
    label: str | None = None

    @property
    def kind(self) -> str:
        """The type in Prometheus."""
        return "counter" if self.name.endswith("_total") else "gauge"


def _results(now: Snapshot) -> Labelled:
    lines = now.lines
    yield from {
        "created": lines.created,
        "duplicate": lines.duplicates,
        "rejected": lines.rejected,
        "blank": lines.blank,
    }.items()


def _most_lagging(now: Snapshot) -> list[LogProgress]:
    return sorted(now.logs, key=lambda log: (-log.lag, log.path))[:MOST_LOGS]


def _logs_by_state(now: Snapshot) -> Labelled:
    copies = sum(log.copy for log in now.logs)
    yield from {
        "following": len(now.logs) - copies,
        "copy": copies,
        "unreadable": len(now.unreadable),
    }.items()


def _problems(now: Snapshot) -> Labelled:
    found = {problem.kind for problem in assess(now).problems}
    return ((kind.value, kind in found) for kind in Problem)


def _moment(seconds_ago: float | None) -> float | None:
    return None if seconds_ago is None else round(time.time() - seconds_ago, 3)


METRICS: tuple[Metric, ...] = (
    Metric(
        "indexer_entries_total",
        "Lines by result; their sum is the number of lines read.",
        _results,
        "result",
    ),
    Metric(
        "indexer_read_bytes_total",
        "Bytes of log files read; of archives, compressed bytes.",
        lambda n: n.read_bytes,
    ),
    Metric(
        "indexer_delivered_bytes_total", "Bytes of delivered lines, with any result.", lambda n: n.lines.bytes
    ),
    Metric(
        "indexer_lost_bytes_total",
        "Unread bytes of files that were deleted or truncated.",
        lambda n: n.lost_bytes,
    ),
    Metric(
        "indexer_hole_bytes_total",
        "NUL bytes of log files skipped: space that was never written.",
        lambda n: n.hole_bytes,
    ),
    Metric(
        "indexer_rejected_total",
        "Rejected lines (dead letters), by reason.",
        lambda n: n.rejected.items(),
        "reason",
    ),
    Metric(
        "indexer_retries_total",
        "Retries, by cause.",
        lambda n: n.retries.items(),
        "cause",
    ),
    Metric(
        "indexer_logs_found_total",
        "Log files found, by how they were recognised.",
        lambda n: n.found.items(),
        "recognised_as",
    ),
    Metric(
        "indexer_checkpoint_failures_total",
        "Checkpoints that could not be written.",
        lambda n: n.checkpoint_failures,
    ),
    Metric(
        "indexer_listener_failures_total",
        "Errors of listeners: logs, metrics, progress bar. They do not affect the delivery.",
        lambda n: n.listener_failures,
    ),
    Metric("indexer_in_flight_batches", "Batches in flight.", lambda n: n.in_flight.batches),
    Metric("indexer_in_flight_bytes", "Bytes of the batches in flight.", lambda n: n.in_flight.bytes),
    Metric(
        "indexer_in_flight_oldest_seconds",
        "Time since the oldest batch in flight was handed to a sender.",
        lambda n: n.in_flight.oldest,
    ),
    Metric("indexer_lag_bytes", "Undelivered bytes of all logs.", lambda n: n.lag),
    Metric(
        "indexer_lag_seconds",
        "Time since the oldest undelivered byte of all logs was found.",
        lambda n: n.lag_seconds,
    ),
    Metric(
        "indexer_log_lag_bytes",
        f"Undelivered bytes of each log; of the {MOST_LOGS} logs with the largest lag.",
        lambda n: ((log.path, log.lag) for log in _most_lagging(n)),
        "log",
    ),
    Metric(
        "indexer_log_lag_seconds",
        "Time since the oldest undelivered byte of each log was found; of the same logs.",
        lambda n: ((log.path, log.lag_seconds) for log in _most_lagging(n)),
        "log",
    ),
    Metric("indexer_logs", "Open log files, by state.", _logs_by_state, "state"),
    Metric(
        "indexer_last_acknowledgement_timestamp_seconds",
        "Time of the last acknowledged batch; no value before the first.",
        lambda n: _moment(n.acknowledged),
    ),
    Metric(
        "indexer_last_checkpoint_timestamp_seconds",
        "Time of the last written checkpoint; no value before the first.",
        lambda n: _moment(n.checkpoint_age),
    ),
    Metric(
        "indexer_mapped_fields",
        "Mapped fields of the write index.",
        lambda n: n.fields.mapped if n.fields else None,
    ),
    Metric(
        "indexer_mapped_fields_limit",
        "Limit of the mapped fields (index.mapping.total_fields.limit).",
        lambda n: n.fields.limit if n.fields else None,
    ),
    Metric(
        "indexer_last_seal_timestamp_seconds",
        "Time of the newest signed checkpoint of the seals; no value before the first of this run.",
        lambda n: _moment(n.sealing.age) if n.sealing else None,
    ),
    Metric(
        "indexer_sealing_interval_seconds",
        "Time between two sealings; no value if sealing is off.",
        lambda n: n.sealing.every if n.sealing else None,
    ),
    Metric(
        "indexer_sealed_leaves_total",
        "Leaves of the seal log that signed checkpoints cover.",
        lambda n: n.sealing.leaves if n.sealing else 0,
    ),
    Metric(
        "indexer_sealed_lines_total",
        "Lines that signed checkpoints cover.",
        lambda n: n.sealing.lines if n.sealing else 0,
    ),
    Metric(
        "indexer_sealing_failures_total",
        "Sealings that failed and were tried again.",
        lambda n: n.sealing.failures if n.sealing else 0,
    ),
    Metric(
        "indexer_state_free_bytes", "Free bytes on the disk of the state directory.", lambda n: n.free_bytes
    ),
    Metric(
        "indexer_ready",
        "1 if the indexer is ready, as in /readyz.",
        lambda n: assess(n).ready,
    ),
    Metric("indexer_problem", "1 for each kind of problem in /readyz.", _problems, "kind"),
    Metric(
        "indexer_start_timestamp_seconds", "Time when the indexer was started.", lambda n: _moment(n.uptime)
    ),
)
LATENCY = "indexer_bulk_duration_seconds"
LATENCY_HELP = "Time until Elasticsearch answered a bulk request."
BUILD = "indexer_build_info"
BUILD_HELP = "1, with the versions of the indexer and of Python as labels."


class _Collector(Collector):
    def __init__(self, ask: Callable[[], Snapshot]) -> None:
        self._ask = ask

    def collect(self) -> Iterator[Family]:
        now = self._ask()
        for metric in METRICS:
            yield _family(metric, now)
        yield _histogram(now.latency)
        build = GaugeMetricFamily(BUILD, BUILD_HELP, labels=["version", "python"])
        build.add_metric([now.version, platform.python_version()], 1)
        yield build


def _family(metric: Metric, now: Snapshot) -> Family:
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(metric.name, metric.help, labels=[metric.label] if metric.label else [])
    value = metric.value(now)
    values = [("", value)] if value is None or isinstance(value, (int, float)) else value
    for label, number in values:
        if number is not None:
            family.add_metric([label] if metric.label else [], number)
    return family


def _histogram(latency: Latency) -> Family:
    bounds = [*map(str, BOUNDS), "+Inf"]
    buckets = list(zip(bounds, accumulate(latency.counts), strict=True))
    family = HistogramMetricFamily(LATENCY, LATENCY_HELP)
    family.add_metric([], buckets, latency.total)
    return family


def exposition(ask: Callable[[], Snapshot]) -> Callable[[str], tuple[bytes, str]]:
    """Give a function that returns the metrics for an Accept header, with their content type."""
    registry = CollectorRegistry()
    registry.register(_Collector(ask))
    ProcessCollector(registry=registry)

    def expose(accept: str) -> tuple[bytes, str]:
        encode, content_type = choose_encoder(accept)
        return encode(registry), content_type

    return expose


def table() -> str:
    """All metrics as a Markdown table, for the documentation."""
    rows = [(m.name + (f"{{{m.label}}}" if m.label else ""), m.kind, m.help) for m in METRICS]
    rows += [(LATENCY, "histogram", LATENCY_HELP), (BUILD + "{version,python}", "gauge", BUILD_HELP)]
    rows += [("process_…", "", "CPU, memory, open files and start of the process, by prometheus-client.")]
    lines = [f"| `{name}` | {kind} | {meaning} |" for name, kind, meaning in rows]
    return "\n".join(["| metric | kind | meaning |", "| --- | --- | --- |", *lines])
