"""What Prometheus reads: names, types, labels and bounds; and the alerts, which speak of nothing else."""

import platform
import re
import shutil
import subprocess
from dataclasses import fields, replace
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

from indexer.events import LogProgress, Totals
from indexer.monitoring.health import Problem
from indexer.monitoring.metrics import BUILD, LATENCY, METRICS, MOST_LOGS, exposition, table
from indexer.monitoring.recorder import BOUNDS, MetricsRecorder
from indexer.monitoring.sealing import Sealing
from indexer.monitoring.snapshot import Fields, InFlight, Latency, Snapshot

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "compose" / "alerts.yaml"


def numbers(
    path: str, size: int, delivered: int, lag: int, lag_seconds: float, *, copy: bool = False
) -> LogProgress:
    return LogProgress(path, (0, 0, 0), copy, size, delivered, lag, lag_seconds)


NOW = replace(
    MetricsRecorder().snapshot(),
    connected=True,
    ever=Totals(),
    lines=Totals(10, 4, 3, 2, 1, 999),
    rejected={"not_an_object": 2},
    checkpoint_age=5.0,
    acknowledged=4.0,
    in_flight=InFlight(2, 300, 1.5),
    latency=Latency((1, 2, *[0] * (len(BOUNDS) - 2), 1), 70.0),
    logs=(numbers("a.log", 100, 60, 40, 3.0), numbers("b.log", 50, 0, 0, 0.0, copy=True)),
    fields=Fields(15, 2000),
    free_bytes=123,
    sealing=Sealing(600.0, waited=9.0, age=9.0, size=70, leaves=5, lines=5000, failures=2),
)
UNITS = (
    "_total",
    "_bytes",
    "_seconds",
    "_batches",
    "_fields",
    "_limit",
    "_info",
    "_logs",
    "_ready",
    "_problem",
)
Samples = dict[tuple[str, str], float]


def families(now: Snapshot) -> dict[str, Family]:
    text, content_type = exposition(lambda: now)("text/plain")
    assert content_type.startswith("text/plain")
    found = list(text_string_to_metric_families(text.decode()))
    assert len({family.name for family in found}) == len(found)
    return {family.name: family for family in found}


def samples(now: Snapshot) -> Samples:
    """Each sample's value, by its name and the values of its labels."""
    found = [sample for family in families(now).values() for sample in family.samples]
    values = {(sample.name, ",".join(sample.labels.values())): sample.value for sample in found}
    assert len(values) == len(found), "no series is there twice"
    return values


def test_each_number_is_a_sample() -> None:
    """Spot checks of each kind: counters, gauges, labels, timestamps, the histogram."""
    found = samples(NOW)
    results = {
        name: found["indexer_entries_total", name] for name in ("created", "duplicate", "rejected", "blank")
    }
    assert results == {"created": 4, "duplicate": 3, "rejected": 2, "blank": 1}
    assert sum(results.values()) == NOW.lines.read
    assert found["indexer_rejected_total", "not_an_object"] == 2
    assert (found["indexer_lag_bytes", ""], found["indexer_lag_seconds", ""]) == (40, 3.0)
    assert (found["indexer_log_lag_bytes", "a.log"], found["indexer_log_lag_bytes", "b.log"]) == (40, 0)
    assert (found["indexer_logs", "following"], found["indexer_logs", "copy"]) == (1, 1)
    assert (found["indexer_mapped_fields", ""], found["indexer_mapped_fields_limit", ""]) == (15, 2000)
    acknowledged = found["indexer_last_acknowledgement_timestamp_seconds", ""]
    assert acknowledged - found["indexer_last_checkpoint_timestamp_seconds", ""] == pytest.approx(1, abs=0.1)
    assert acknowledged - found["indexer_last_seal_timestamp_seconds", ""] == pytest.approx(5, abs=0.1)
    sealing = ("interval_seconds", "failures_total")
    assert [found[f"indexer_sealing_{it}", ""] for it in sealing] == [600, 2]
    assert [found[f"indexer_sealed_{it}_total", ""] for it in ("leaves", "lines")] == [5, 5000]
    assert [found[f"{LATENCY}_bucket", bound] for bound in ("0.005", "0.01", "60.0", "+Inf")] == [1, 3, 3, 4]
    assert (found[f"{LATENCY}_count", ""], found[f"{LATENCY}_sum", ""]) == (4, 70.0)
    assert found["indexer_ready", ""] == 1
    assert [found["indexer_problem", kind.value] for kind in Problem] == [0] * len(Problem)
    assert found["process_resident_memory_bytes", ""] > 0
    assert found[BUILD, f"{platform.python_version()},{NOW.version}"] == 1


def test_what_is_not_known_has_no_sample() -> None:
    """No number is made up: before the first acknowledgement, where fields may not be counted, or nothing is sealed."""
    unknown = replace(NOW, acknowledged=None, fields=None, checkpoint_age=None, free_bytes=None, sealing=None)
    names = {name for name, _ in samples(unknown)}
    assert not names & {
        "indexer_last_acknowledgement_timestamp_seconds",
        "indexer_last_checkpoint_timestamp_seconds",
        "indexer_mapped_fields",
        "indexer_mapped_fields_limit",
        "indexer_state_free_bytes",
        "indexer_last_seal_timestamp_seconds",
        "indexer_sealing_interval_seconds",
    }
    not_yet = samples(replace(NOW, sealing=Sealing(600.0, waited=9.0)))
    assert ("indexer_last_seal_timestamp_seconds", "") not in not_yet
    assert not_yet["indexer_sealing_interval_seconds", ""] == 600


def test_an_unready_indexer_says_why() -> None:
    """The kind of problem is a label."""
    found = samples(replace(NOW, cluster_problem="No answer."))
    assert found["indexer_ready", ""] == 0
    assert {kind for kind in Problem if found["indexer_problem", kind.value]} == {Problem.CLUSTER}


def test_names_are_as_prometheus_wants_them() -> None:
    """A unit at the end, counters end with `_total`, a help text for each, no name twice."""
    found = families(NOW)
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert re.fullmatch(r"indexer_[a-z_]+[a-z]", metric.name)
        assert metric.name.endswith(UNITS), metric.name
        family = found[metric.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric.kind, metric.help)
        assert metric.help.endswith("."), metric.name


def test_the_text_for_open_metrics_is_served_too() -> None:
    """Whoever asks for it gets it, with its end mark."""
    text, content_type = exposition(lambda: NOW)("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")


def test_the_number_of_series_is_bounded() -> None:
    """Of thousands of logs those that lag most have series; the sums are over all."""
    logs = tuple(numbers(f"{n}.log", n, 0, n, float(n)) for n in range(5000))
    found = samples(replace(NOW, logs=logs))
    labelled = {label for name, label in found if name == "indexer_log_lag_bytes"}
    assert labelled == {f"{n}.log" for n in range(5000 - MOST_LOGS, 5000)}
    assert found["indexer_lag_bytes", ""] == sum(range(5000))
    assert found["indexer_lag_seconds", ""] == 4999
    assert len(found) < 400


def test_odd_paths_are_labels() -> None:
    """A path may hold what the format has to escape."""
    path = 'a"b\\c\nd é.log'
    assert samples(replace(NOW, logs=(numbers(path, 1, 0, 1, 0.0),)))["indexer_log_lag_bytes", path] == 1


def test_the_table_names_all_metrics() -> None:
    """The operator's page has the table, and the table has what is served."""
    assert table() in (ROOT / "compose" / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(indexer_\w+)", table()))
    assert named == {metric.name for metric in METRICS} | {LATENCY, BUILD}
    served = {sample.name for family in families(NOW).values() for sample in family.samples}
    assert {name for name in served if not name.startswith(("process_", LATENCY))} == named - {LATENCY}


def test_a_snapshot_has_no_secret() -> None:
    """It is served to whoever asks: none of its fields is a setting."""
    assert not {item.name for item in fields(Snapshot)} & {"connection", "settings", "password", "api_key"}


# ---- alerts


def test_alerts_speak_of_metrics_that_exist() -> None:
    """Each name in the rules is one that is served, with a label value that exists."""
    rules = ALERTS.read_text()
    expressions = re.findall(r"expr: (?:>-\n)?((?:.+|\n {10}.+)+?)\n {8}(?:for|labels):", rules)
    named = set(re.findall(r"indexer_\w+", " ".join(expressions)))
    assert len(expressions) == rules.count("alert:") > 8
    assert named <= {metric.name for metric in METRICS} | {f"{LATENCY}_bucket"}
    known = {label for _, label in samples(NOW)} | {"indexer"}
    assert set(re.findall(r'="(\w+)"', " ".join(expressions))) <= known


def test_each_alert_says_what_to_do() -> None:
    """It has a severity, a summary and a description, and is named in the tests of rules."""
    rules, tried = ALERTS.read_text(), (Path(__file__).parent / "alerts.yaml").read_text()
    alerts = re.split(r"- alert: ", rules)[1:]
    for alert in alerts:
        assert re.search(r"severity: (warning|critical)", alert)
        assert alert.count("summary:") == alert.count("description:") == 1
        assert alert.split("\n", 1)[0] in tried


PROMTOOL = shutil.which("promtool")


@pytest.mark.skipif(
    not PROMTOOL, reason="promtool is not installed: .ci/run gets it from Debian's package prometheus"
)
@pytest.mark.parametrize(
    "arguments", [("check", "rules", ALERTS), ("test", "rules", Path(__file__).parent / "alerts.yaml")]
)
def test_prometheus_accepts_the_alerts_and_fires_them_when_it_should(
    arguments: tuple[str | Path, ...],
) -> None:
    """Prometheus's own tool checks the rules, and tries each on made-up series."""
    done = subprocess.run([PROMTOOL or "", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout
