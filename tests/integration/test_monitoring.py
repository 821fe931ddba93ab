"""Metrics and health of a running indexer say what is true, in each state that it can be in."""

import json
import os
import pty
import re
import secrets
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from indexer.demo.embedded import Embedded
from indexer.elastic.client import connect
from indexer.monitoring import cluster_probe, health
from indexer.reading.tail import Tail
from indexer.settings import Connection, Monitoring, State
from indexer.writing import request
from indexer.writing.target import LOOK_EVERY
from tests.support.lab import LOG, Following, Lab, joined, numbered, read_terminal, until

ANYWHERE = Monitoring(monitoring_address="127.0.0.1:0")
SECRET = "s3cr3t-" + secrets.token_hex(8)


def page(url: str) -> tuple[int, bytes]:
    """The status and the body of a page."""
    try:
        with urlopen(url, timeout=10) as answer:
            return answer.status, answer.read()
    except HTTPError as answer:
        return answer.code, answer.read()


@dataclass(frozen=True, slots=True)
class Pages:
    """What an indexer serves."""

    url: str

    def metric(self, name: str, label: str = "") -> float:
        """A sample's value."""
        return self.metrics[name, label]

    @property
    def metrics(self) -> dict[tuple[str, str], float]:
        """All samples, by name and the values of their labels."""
        families = text_string_to_metric_families(page(f"{self.url}/metrics")[1].decode())
        samples = [sample for family in families for sample in family.samples]
        return {(sample.name, ",".join(sample.labels.values())): sample.value for sample in samples}

    @property
    def problems(self) -> dict[str, str]:
        """What keeps it from being ready, by kind; the status of the page says the same."""
        status, body = page(f"{self.url}/readyz")
        told = orjson.loads(body)
        assert (status, told["ready"]) == ((503, False) if told["problems"] else (200, True))
        return {problem["kind"]: problem["sentence"] for problem in told["problems"]}

    @property
    def alive(self) -> bool:
        """It need not be restarted."""
        return page(f"{self.url}/healthz")[0] == 200


class Watched(Following):
    """`indexer run --monitoring-address 127.0.0.1:0`, in a thread."""

    def __init__(self, lab: Lab) -> None:
        delivery = {"poll_interval": 0.01, "batch_bytes": 2000}
        super().__init__(partial(lab.follow, (), delivery, once=False, monitoring=ANYWHERE))

    @property
    def pages(self) -> Pages:
        """Where it is served."""
        self.until(lambda: self.heard.of("serving"))
        return Pages(self.heard.of("serving")[0][0])


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probes of the cluster and retries follow each other quickly."""
    monkeypatch.setattr(request, "RETRY_WAIT", (0.1, 0.5))
    monkeypatch.setattr(request, "FIX_WAIT", (0.1, 0.5))
    monkeypatch.setattr(cluster_probe, "PROBE_EVERY", 0.1)
    monkeypatch.setattr(cluster_probe, "FIELDS_EVERY", 0.1)


def test_it_is_not_ready_before_the_template_is_installed(bare: Lab) -> None:
    """Alive from the start, with the logged sentence as the problem; ready once the template is installed."""
    bare.append(numbered(10))
    with Watched(bare) as watched:
        pages = watched.pages
        watched.until(lambda: "no alias" in pages.problems.get("starting", ""))
        assert pages.alive
        assert (pages.metric("indexer_ready"), pages.metric("indexer_problem", "starting")) == (0, 1)
        bare.install()
        watched.until(lambda: not pages.problems)
        watched.until(lambda: pages.metric("indexer_entries_total", "created") == 10)


def test_metrics_agree_with_the_index(lab: Lab) -> None:
    """Entries, rejected lines by reason, blanks, bytes, no lag, checkpoint, latency, fields: all as they are."""
    lines = [*numbered(1000), b"no entry", b'{"n":"no number"}', b""]
    lab.append(lines)
    size = (lab.logs / LOG).stat().st_size
    with Watched(lab) as watched:
        watched.until(lambda: watched.heard.totals.read == len(lines))
        pages = watched.pages
        # A log has its series from the first sign of life on that comes after it was found.
        watched.until(lambda: pages.metrics.get(("indexer_log_lag_bytes", str(lab.logs / LOG))) == 0)
        watched.until(lambda: ("indexer_last_checkpoint_timestamp_seconds", "") in pages.metrics)
        watched.until(lambda: ("indexer_mapped_fields", "") in pages.metrics)
        found, stored = pages.metrics, lab.hits()
        assert not pages.problems
    results = {
        result: found["indexer_entries_total", result]
        for result in ("created", "duplicate", "rejected", "blank")
    }
    assert results["created"] == len(stored)
    assert (results["blank"], results["duplicate"]) == (1, 0)
    assert sum(results.values()) == len(lines)
    assert results["rejected"] == lab.rejected().total
    kinds = {line.type for line in lab.rejected().lines}
    assert sum(found["indexer_rejected_total", kind] for kind in kinds) == results["rejected"]
    assert found["indexer_delivered_bytes_total", ""] == found["indexer_read_bytes_total", ""] == size
    assert found["indexer_bulk_duration_seconds_count", ""] > 10
    assert 0 < found["indexer_mapped_fields", ""] < found["indexer_mapped_fields_limit", ""]
    assert found["indexer_lag_seconds", ""] == found["indexer_in_flight_batches", ""] == 0
    assert found["indexer_logs", "following"] == found["indexer_logs_found_total", "new"] == 1
    assert found["indexer_state_free_bytes", ""] > 0


def test_an_index_that_may_not_be_written_makes_it_unready_at_once(lab: Lab) -> None:
    """With the server's own words; what waits is lag; once the block is gone it is ready, and all is delivered."""
    lab.append(numbered(10))
    with Watched(lab) as watched:
        watched.until_created(10)
        pages = watched.pages
        watched.until(lambda: not pages.problems)
        lab.client.indices.put_settings(index=lab.connection.alias, settings={"index.blocks.write": True})
        lab.append(numbered(50, start=10))
        watched.until(lambda: "index write (api)" in pages.problems.get("delivery", ""))
        watched.until(lambda: pages.metric("indexer_in_flight_batches"))
        watched.until(lambda: pages.metric("indexer_lag_seconds") > 1)
        found = pages.metrics
        assert pages.alive
        assert found["indexer_retries_total", "cluster_state"] > 0
        assert found["indexer_entries_total", "created"] == 10
        assert found["indexer_lag_bytes", ""] == len(joined(numbered(50, start=10)))
        lab.client.indices.put_settings(index=lab.connection.alias, settings={"index.blocks.write": None})
        watched.until_created(60)
        watched.until(lambda: not pages.problems)
        watched.until(lambda: pages.metric("indexer_lag_bytes") == 0)
    assert lab.numbers() == list(range(60))


def test_a_missing_alias_is_noticed_without_an_entry(lab: Lab) -> None:
    """Nothing is logged meanwhile: a look at the cluster tells."""
    with Watched(lab) as watched:
        pages = watched.pages
        watched.until(lambda: not pages.problems)
        index = f"{lab.connection.alias}-000001"
        lab.client.indices.delete_alias(index=index, name=lab.connection.alias)
        watched.until(lambda: "no alias" in pages.problems.get("cluster", ""))
        assert pages.alive
        lab.client.indices.put_alias(index=index, name=lab.connection.alias, is_write_index=True)
        watched.until(lambda: not pages.problems)


def test_a_main_loop_that_hangs_is_not_alive(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though its senders are lively, and wait for the alias. A fake hangs: no file system here can be made to."""
    monkeypatch.setattr(health, "ALIVE_WITHIN", 1.5)
    hang, go_on = threading.Event(), threading.Event()
    read = Tail.read

    def hanging(tail: Tail) -> Any:
        if hang.is_set():
            go_on.wait()
        return read(tail)

    monkeypatch.setattr(Tail, "read", hanging)
    lab.append(numbered(10))
    with Watched(lab) as watched:
        watched.until_created(10)
        pages = watched.pages
        index = f"{lab.connection.alias}-000001"
        lab.client.indices.delete_alias(index=index, name=lab.connection.alias)
        time.sleep(LOOK_EVERY)
        lab.append(numbered(10, start=10))
        watched.until(lambda: pages.metric("indexer_retries_total", "cluster_state") > 1)
        for _ in range(20):
            assert pages.alive
            time.sleep(0.1)
        hang.set()
        watched.until(lambda: not pages.alive)
        tries = pages.metric("indexer_retries_total", "cluster_state")
        watched.until(lambda: pages.metric("indexer_retries_total", "cluster_state") > tries)
        assert not pages.alive
        go_on.set()
        watched.until(lambda: pages.alive)
        lab.client.indices.put_alias(index=index, name=lab.connection.alias, is_write_index=True)
        watched.until_created(20)


@pytest.fixture
def own(elasticsearch_version: str, tmp_path: Path) -> Iterator[tuple[Lab, Embedded]]:
    """A laboratory on a server to ill-treat."""
    (tmp_path / "logs").mkdir()
    with Embedded(elasticsearch_version) as server:
        connection = Connection(elasticsearch_url=[server.url], request_timeout=10.0)
        with connect(connection) as client:
            lab = Lab(connection, client, tmp_path / "logs", State(tmp_path / "state"))
            lab.install()
            yield lab, server


def test_a_server_that_is_stopped_and_comes_back(own: tuple[Lab, Embedded]) -> None:
    """Its absence is a problem, with lag and retries; after it is back, ready again, and each entry once."""
    lab, server = own
    lab.append(numbered(10))
    with Watched(lab) as watched:
        watched.until_created(10)
        pages = watched.pages
        watched.until(lambda: not pages.problems)
        server.kill()
        watched.until(lambda: "No answer" in pages.problems.get("cluster", ""))
        assert pages.metric("indexer_retries_total", "no_answer") == 0
        lab.append(numbered(90, start=10))
        watched.until(lambda: pages.metric("indexer_retries_total", "no_answer") > 2)
        watched.until(lambda: pages.metric("indexer_lag_bytes") == len(joined(numbered(90, start=10))))
        assert pages.alive
        server.restart()
        watched.until_created(100)
        watched.until(lambda: not pages.problems)
        watched.until(lambda: pages.metric("indexer_lag_bytes") == 0)
    assert lab.numbers() == list(range(100))


# ---- the command


@pytest.fixture
def log(lab: Lab) -> Path:
    """A log of ten entries."""
    return lab.log(joined(numbered(10)))


def served(lab: Lab) -> Pages:
    """What the command serves, by the file in its state directory."""
    file = lab.state.state_dir / "monitoring.json"
    until(file.exists)
    return Pages(orjson.loads(file.read_bytes())["address"])


def watching(lab: Lab, **how: Any) -> Any:
    return lab.process("run", lab.logs, "--monitoring-address", "127.0.0.1:0", **how)


def test_status_asks_the_running_indexer(lab: Lab, log: Path) -> None:
    """What it says is newer than the checkpoint; after a stop, and after a kill, the checkpoint says it."""
    with watching(lab) as process:
        pages = served(lab)
        until(lambda: pages.metric("indexer_entries_total", "created") == 10)
        until(lambda: not pages.problems)
        until(lambda: orjson.loads(lab.command("status", "--json", lab.logs).stdout)["totals"]["read"] == 10)
        told = orjson.loads(lab.command("status", "--json", lab.logs).stdout)
        assert told["running"]["ready"]
        assert told["running"]["process"] == process.pid
        assert [(it["path"], it["lag"], it["lag_seconds"]) for it in told["logs"]] == [(str(log), 0, 0.0)]
        plain = lab.command("status", lab.logs)
        assert plain.returncode == 0
        assert "The running indexer" in plain.stdout
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    assert not (lab.state.state_dir / "monitoring.json").exists()
    assert lab.command("status", lab.logs).returncode == 0, "none should run"
    with watching(lab) as process:
        pages = served(lab)
        until(lambda: not pages.problems)
        process.kill()
        process.wait()
    killed = lab.command("status", "--json", lab.logs)
    told = orjson.loads(killed.stdout)
    assert (killed.returncode, told["running"], told["totals"]["read"]) == (1, None, 10)
    assert "does not answer" in told["indexer_problem"]
    assert told["problem"] is None


def test_watch_prints_a_line_each_time_without_a_terminal(lab: Lab, log: Path) -> None:
    """Text, or with --json an object; SIGTERM ends it in order."""
    lab.run(log)
    line = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ not running, 10 read, 0 rejected, 0 bytes behind")
    for json_too in ([], ["--json"]):
        with lab.process("status", "--watch", "--interval", "0.1", *json_too, lab.logs) as process:
            assert process.stdout is not None
            shown = [process.stdout.readline() for _ in range(3)]
            process.send_signal(signal.SIGTERM)
            assert process.wait(15) == 0
        if json_too:
            assert [json.loads(each)["status"]["totals"]["read"] for each in shown] == [10] * 3
        else:
            assert all(line.match(each) for each in shown)


def test_watch_draws_a_table_on_a_terminal(lab: Lab, log: Path) -> None:
    """One table, drawn anew in its place; Ctrl-C ends it in order, and leaves the last one."""
    lab.run(log)
    ours, theirs = pty.openpty()
    how: dict[str, Any] = {
        "environment": {"TERM": "xterm-256color"},
        "stdout": theirs,
        "stderr": subprocess.STDOUT,
    }
    shown = b""
    with lab.process("status", "--watch", "--interval", "0.1", lab.logs, **how) as process:
        os.close(theirs)
        while shown.count(b"Lines per second") < 3:
            shown += read_terminal(ours)
        process.send_signal(signal.SIGINT)
        while block := read_terminal(ours):
            shown += block
        assert process.wait(15) == 0
    os.close(ours)
    assert b"\x1b[1A" in shown, "the cursor goes up"
    assert b"Log files" in shown
    assert b"Traceback" not in shown


def test_a_port_that_is_taken_ends_with_a_sentence(lab: Lab, log: Path) -> None:
    """Exit code 1, and what to change; nothing was read."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        taken = f"127.0.0.1:{held.getsockname()[1]}"
        done = lab.command("run", log, environment={"INDEXER_MONITORING_ADDRESS": taken})
    assert done.returncode == 1
    assert done.stderr.startswith(f"indexer: Cannot serve monitoring at {taken}: Address already in use.")
    assert not (lab.state.state_dir / "checkpoint.json").exists()


@pytest.mark.parametrize(
    "address", ["9464", "localhost", "localhost:http", "a b:1", "::1:9464", "localhost:70000"]
)
def test_an_invalid_address_is_wrong_usage(lab: Lab, address: str) -> None:
    """Exit code 2, and an example."""
    done = lab.command("run", "--monitoring-address", address)
    assert done.returncode == 2
    assert "127.0.0.1:9464" in done.stderr


def test_no_secret_is_served_or_logged(lab: Lab, log: Path, tmp_path: Path) -> None:
    """Neither a password in the address nor one in a file, whether the server answers or not."""
    (tmp_path / "password").write_text(SECRET)
    url = lab.connection.elasticsearch_url[0]
    with_user = [
        {"INDEXER_ELASTICSEARCH_URL": url.replace("//", f"//elastic:{SECRET}@")},
        {"INDEXER_ELASTICSEARCH_URL": f"http://elastic:{SECRET}@127.0.0.1:9"},
        {"INDEXER_USERNAME": "elastic", "INDEXER_PASSWORD_FILE": str(tmp_path / "password")},
        {"INDEXER_API_KEY": SECRET},
    ]
    for environment in with_user:
        (lab.state.state_dir / "monitoring.json").unlink(missing_ok=True)
        with watching(lab, environment=environment | {"INDEXER_LOG_LEVEL": "debug"}) as process:
            pages = served(lab)
            until(lambda pages=pages: "about to connect" not in str(pages.problems))  # type: ignore[misc]
            seen = b"".join(
                page(f"{pages.url}{path}")[1] for path in ("/metrics", "/readyz", "/status", "/healthz")
            )
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=15)
        assert seen.count(b"indexer_") > 50
        assert "monitoring is served" in err
        assert SECRET not in seen.decode() + out + err


@pytest.fixture
def taken() -> Iterator[str]:
    """An address in use."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def test_once_does_not_listen_where_the_environment_says(lab: Lab, log: Path, taken: str) -> None:
    """In a container, that is where the indexer listens that follows; one beside it does its work all the same."""
    done = lab.command("run", "--once", log, environment={"INDEXER_MONITORING_ADDRESS": taken})
    assert done.returncode == 0, done.stderr
    assert "created" in done.stdout
    assert "monitoring is served" not in done.stderr


def test_once_listens_where_its_option_says(lab: Lab, log: Path, taken: str) -> None:
    """An address in use is an error, a free one is served."""
    refused = lab.command("run", "--once", log, "--monitoring-address", taken)
    assert refused.returncode == 1
    assert f"Cannot serve monitoring at {taken}: Address already in use." in refused.stderr
    served_once = lab.command(
        "run",
        "--once",
        log,
        "--monitoring-address",
        "127.0.0.1:0",
        environment={"INDEXER_MONITORING_ADDRESS": taken},
    )
    assert served_once.returncode == 0, served_once.stderr
    assert "monitoring is served" in served_once.stderr


def test_following_listens_where_the_environment_says(lab: Lab, log: Path, taken: str) -> None:
    """As in the container; an address in use is an error."""
    done = lab.command("run", log, environment={"INDEXER_MONITORING_ADDRESS": taken})
    assert done.returncode == 1
    assert f"Cannot serve monitoring at {taken}" in done.stderr


def test_the_log_level_decides_what_is_logged(lab: Lab, log: Path) -> None:
    """Warnings alone, or each batch; one JSON object a line either way."""
    for level, expected in (("warning", False), ("debug", True)):
        lab_of_its_own = replace(lab, state=State(lab.state.state_dir.with_name(level)))
        with lab_of_its_own.process("run", log, "--log-level", level) as process:
            until((lab_of_its_own.state.state_dir / "checkpoint.json").exists)
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=15)
        events = [json.loads(line)["event"] for line in err.splitlines()]
        assert ("batch delivered" in events) is expected
        assert ("connected" in events) is expected
