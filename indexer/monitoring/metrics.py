"""A Snapshot as Prometheus reads it: the one table of all metrics, and the collector that walks it.

Names and units follow "Metric and label naming" of Prometheus's documentation; what is a moment there is a timestamp,
so that its age is `time() - …`. The number of series is bounded: files that are gone are gone here, too.
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
"""Logs that have series of their own: those that lag most."""
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
        """What Prometheus calls it."""
        return "counter" if self.name.endswith("_total") else "gauge"


def _results(now: Snapshot) -> Labelled:
    lines = now.lines
    yield from {
        "created": lines.created,
        "duplicate": lines.duplicates,
        "rejected": lines.rejected,
        "blank": lines.blank,
    }.items()


def _laggards(now: Snapshot) -> list[LogProgress]:
    return sorted(now.logs, key=lambda log: (-log.lag, log.path))[:MOST_LOGS]


def _kept(now: Snapshot) -> Labelled:
    copies = sum(log.copy for log in now.logs)
    yield from {
        "following": len(now.logs) - copies,
        "copy": copies,
        "unreadable": len(now.unreadable),
    }.items()


def _problems(now: Snapshot) -> Labelled:
    found = {finding.kind for finding in assess(now).problems}
    return ((kind.value, kind in found) for kind in Problem)


def _moment(seconds_ago: float | None) -> float | None:
    return None if seconds_ago is None else round(time.time() - seconds_ago, 3)


METRICS: tuple[Metric, ...] = (
    Metric(
        "indexer_entries_total",
        "Lines that have ended, by how; their sum is what was read.",
        _results,
        "result",
    ),
    Metric(
        "indexer_read_bytes_total",
        "Bytes of log files read, compressed ones of archives.",
        lambda n: n.read_bytes,
    ),
    Metric("indexer_delivered_bytes_total", "Bytes of the lines that have ended.", lambda n: n.lines.bytes),
    Metric(
        "indexer_lost_bytes_total",
        "Bytes of files that went before anyone could read them.",
        lambda n: n.lost_bytes,
    ),
    Metric(
        "indexer_hole_bytes_total",
        "NUL bytes of log files passed over: space that was never written.",
        lambda n: n.hole_bytes,
    ),
    Metric(
        "indexer_rejected_total",
        "Lines rejected and kept, by reason.",
        lambda n: n.rejected.items(),
        "reason",
    ),
    Metric(
        "indexer_retries_total",
        "Requests that have to be tried again, by cause.",
        lambda n: n.retries.items(),
        "cause",
    ),
    Metric(
        "indexer_logs_found_total",
        "Log files found, by what they were recognised as.",
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
        "Errors of what listens to the delivery: logs, metrics, a progress bar. The delivery goes on.",
        lambda n: n.listener_failures,
    ),
    Metric(
        "indexer_in_flight_batches", "Batches handed over and not delivered.", lambda n: n.in_flight.batches
    ),
    Metric("indexer_in_flight_bytes", "Bytes of their bodies.", lambda n: n.in_flight.bytes),
    Metric(
        "indexer_in_flight_oldest_seconds",
        "Time since the oldest of them was handed over.",
        lambda n: n.in_flight.oldest,
    ),
    Metric("indexer_lag_bytes", "Bytes found and not delivered, of all logs.", lambda n: n.lag),
    Metric(
        "indexer_lag_seconds",
        "Time since the oldest undelivered byte was found, of all logs.",
        lambda n: n.lag_seconds,
    ),
    Metric(
        "indexer_log_lag_bytes",
        f"The same of each log (of the {MOST_LOGS} that lag most).",
        lambda n: ((log.path, log.lag) for log in _laggards(n)),
        "log",
    ),
    Metric(
        "indexer_log_lag_seconds",
        f"The same of each log (of the {MOST_LOGS} that lag most).",
        lambda n: ((log.path, log.lag_seconds) for log in _laggards(n)),
        "log",
    ),
    Metric("indexer_logs", "Log files that are open, by state.", _kept, "state"),
    Metric(
        "indexer_last_acknowledgement_timestamp_seconds",
        "When a batch was last acknowledged; none before the first.",
        lambda n: _moment(n.acknowledged),
    ),
    Metric(
        "indexer_last_checkpoint_timestamp_seconds",
        "When the checkpoint was last written; none before the first.",
        lambda n: _moment(n.checkpoint_age),
    ),
    Metric(
        "indexer_mapped_fields",
        "Fields of the write index that count against its limit.",
        lambda n: n.fields.mapped if n.fields else None,
    ),
    Metric(
        "indexer_mapped_fields_limit",
        "How many there may be.",
        lambda n: n.fields.limit if n.fields else None,
    ),
    Metric("indexer_state_free_bytes", "Room on the disk of the state directory.", lambda n: n.free_bytes),
    Metric(
        "indexer_ready",
        "1 if what is logged now is delivered now, as /readyz says.",
        lambda n: assess(n).ready,
    ),
    Metric("indexer_problem", "1 for each kind of problem that /readyz tells.", _problems, "kind"),
    Metric("indexer_start_timestamp_seconds", "When this indexer was started.", lambda n: _moment(n.uptime)),
)
LATENCY = "indexer_bulk_duration_seconds"
LATENCY_HELP = "How long Elasticsearch took to answer bulk requests of entries."
BUILD = "indexer_build_info"
BUILD_HELP = "1, with the version of the indexer and of Python."


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
    """Give what turns an Accept header into the text for Prometheus and its content type."""
    registry = CollectorRegistry()
    registry.register(_Collector(ask))
    ProcessCollector(registry=registry)

    def expose(accept: str) -> tuple[bytes, str]:
        encode, content_type = choose_encoder(accept)
        return encode(registry), content_type

    return expose


def table() -> str:
    """All metrics as a table in Markdown, for the README."""
    rows = [(m.name + (f"{{{m.label}}}" if m.label else ""), m.kind, m.help) for m in METRICS]
    rows += [(LATENCY, "histogram", LATENCY_HELP), (BUILD + "{version,python}", "gauge", BUILD_HELP)]
    rows += [("process_…", "", "CPU, memory, open files and start of the process, by prometheus-client.")]
    lines = [f"| `{name}` | {kind} | {meaning} |" for name, kind, meaning in rows]
    return "\n".join(["| metric | kind | meaning |", "| --- | --- | --- |", *lines])
