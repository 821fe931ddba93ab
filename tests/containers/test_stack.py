"""The whole system in containers: a server, a log that is written and rotated, the indexer as operators run it."""

import time
from collections import Counter

import orjson
import pytest

from indexer.demo import sample
from tests.containers.stack import Stack, docker, until

ROTATED = 5
BROKEN = b"broken"
NO_ENTRIES = {*sample.broken(), BROKEN}
ELSEWHERE = b'"elsewhere"'
"""In entries that other tests write to other logs."""


@pytest.fixture
def running(stack: Stack) -> Stack:
    """The stack with all its services running, whatever the test before did to them, and ready."""
    stack.compose("start", "elasticsearch", "indexer", "writer")
    until(stack.ready)
    return stack


def prove(stack: Stack) -> None:
    """Every line of every log is in the index, byte for byte and once; and `indexer verify` finds it so."""
    stack.settle()
    found = Counter(source for source in stack.sources() if ELSEWHERE not in source)
    written = Counter(line for line in stack.lines() if line not in NO_ENTRIES)
    assert (written - found, found - written) == ({}, {})  # what is missing, and what is there too often
    verified = stack.operator("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def totals(stack: Stack) -> dict[str, int]:
    """What the state directory says was done."""
    found: dict[str, int] = orjson.loads(stack.operator("status", "--json").stdout)["totals"]
    return found


def test_it_comes_up_from_nothing(stack: Stack) -> None:
    """Started all at once, each part waits for what it needs; the indexer becomes healthy and was never restarted."""
    until(stack.ready)
    until(lambda: stack.inspect("indexer")["State"]["Health"]["Status"] == "healthy")
    assert stack.inspect("indexer")["RestartCount"] == 0
    assert stack.inspect("template")["State"]["ExitCode"] == 0
    assert "created    index template zoomdata-activity" in stack.compose("logs", "template").stdout


def test_entries_arrive_unchanged_and_once_while_the_log_rotates(running: Stack) -> None:
    """What another container writes to the shared volume, over many rotations, is all in the index."""
    before = running.metric('indexer_entries_total{result="created"}')
    until(lambda: running.metric('indexer_entries_total{result="created"}') >= before + 100)
    assert running.metric('indexer_logs_found_total{recognised_as="new"}') >= ROTATED
    prove(running)


def test_a_killed_indexer_goes_on_where_it_was(running: Stack) -> None:
    """SIGKILL in the midst of work loses nothing and doubles nothing."""
    for _ in range(3):
        sent = running.metric('indexer_entries_total{result="created"}')
        until(lambda sent=sent: running.metric('indexer_entries_total{result="created"}') > sent)  # type: ignore[misc]
        docker("kill", "--signal", "KILL", running.container("indexer"))
        assert running.inspect("indexer")["State"]["ExitCode"] == 137
        assert running.ask("/healthz")[0] == 0
        running.compose("start", "indexer")
        until(running.ready)
    prove(running)


def test_a_server_that_is_gone_for_a_while(running: Stack) -> None:
    """Meanwhile the indexer is alive, not ready, says why, and falls behind; afterwards it catches up, unrestarted."""
    started = running.inspect("indexer")["State"]["StartedAt"]
    running.compose("stop", "--timeout", "5", "elasticsearch")
    until(lambda: running.ask("/readyz")[0] == 503)
    until(lambda: running.metric("indexer_lag_bytes") > 0)
    until(lambda: b"No answer from the server at https://elasticsearch:9200" in running.ask("/readyz")[1])
    assert running.ask("/healthz")[0] == 200
    assert running.metric("indexer_ready") == 0
    container = running.inspect("indexer")
    docker("exec", container["Id"], *container["Config"]["Healthcheck"]["Test"][1:])  # succeeds
    running.compose("start", "elasticsearch")
    until(running.ready)
    assert running.metric("indexer_ready") == 1
    assert running.metric('indexer_retries_total{cause="no_answer"}') > 0
    prove(running)
    assert running.inspect("indexer")["State"]["StartedAt"] == started


def test_a_stop_drains(running: Stack) -> None:
    """`docker stop` ends it within its grace, with exit code 0, and what was sent is remembered: nothing is sent again."""
    sent = running.metric('indexer_entries_total{result="created"}')
    until(lambda: running.metric('indexer_entries_total{result="created"}') > sent)
    began = time.monotonic()
    running.compose("stop", "indexer")
    assert time.monotonic() - began < 12
    assert running.inspect("indexer")["State"]["ExitCode"] == 0
    at_rest = totals(running)
    assert at_rest["created"] > sent
    running.compose("start", "indexer")
    prove(running)
    until(lambda: totals(running)["created"] > at_rest["created"])
    assert totals(running)["duplicates"] == at_rest["duplicates"]


def test_a_rejected_line_is_counted(running: Stack) -> None:
    """A line that is no entry is in the metrics, with its kind, and the indexer stays ready."""
    running.settle()
    before = running.metric('indexer_entries_total{result="rejected"}')
    log = "/logs/zoomdata-activity.log"
    broken = f"open({log!r}, 'ab').write({BROKEN!r} + b'\\n')"
    running.compose("run", "--rm", "--no-deps", "-T", "--entrypoint", "python", "writer", "-c", broken)
    until(lambda: running.metric('indexer_entries_total{result="rejected"}') == before + 1)
    assert running.ready()
    verified = orjson.loads(running.operator("verify", "--json").stdout)
    rejected = sum(line in NO_ENTRIES for line in running.lines())
    assert (verified["missing"], verified["rejected"]) == (0, rejected)


def test_it_runs_without_rights(running: Stack) -> None:
    """The process has no capability and can gain none, writes only to its state, and runs as an unprivileged user."""
    container = running.container("indexer")
    process = docker("exec", container, "cat", "/proc/1/status").stdout
    facts = dict(line.split(":\t", 1) for line in process.splitlines() if ":\t" in line)
    assert (facts["CapEff"], facts["CapBnd"], facts["NoNewPrivs"]) == ("0" * 16, "0" * 16, "1")
    assert facts["Uid"].split()[0] == facts["Gid"].split()[0] == "10001"
    for place in ("/", "/opt/indexer", "/logs", "/tmp", "/etc"):
        assert docker("exec", container, "touch", f"{place}/x", check=False).returncode == 1
    docker("exec", container, "test", "-w", "/state")


def test_secrets_are_in_files_only(running: Stack) -> None:
    """The password is where /run/secrets has it: not in the environment, the arguments, or the logs."""
    password = running.secrets.password("writer")
    container = running.container("indexer")
    assert docker("exec", container, "cat", "/run/secrets/writer").stdout == password
    assert password not in docker("inspect", container).stdout
    logs = docker("logs", container)
    assert password not in logs.stdout + logs.stderr


def test_logs_are_json(running: Stack) -> None:
    """Each line of the container's log is one JSON object that says when, how serious, and what."""
    lines = docker("logs", running.container("indexer")).stderr.splitlines()
    assert lines
    assert all({"timestamp", "level", "event"} <= orjson.loads(line).keys() for line in lines)
