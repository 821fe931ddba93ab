"""`indexer status --watch`: one status after the other, with what happened in between; and what a status is made of."""

import socket
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from indexer import cli
from indexer.errors import EXIT_FAILED
from indexer.events import LogProgress, Progress, Totals
from indexer.monitoring import discovery
from indexer.monitoring.http_server import Server
from indexer.monitoring.recorder import MetricsRecorder
from indexer.monitoring.service import pages
from indexer.reading.identity import FileRecord
from indexer.settings import Connection, LogFiles, State
from indexer.status.status import LogStatus, Status, local_status
from indexer.status.watch import Moment, latest_status, moments
from indexer.writing.checkpoint import Checkpoint, StateDirectory
from tests.support.observed import Stop

REMEMBERED = Totals(10, 10, bytes=600)
NOW = Totals(30, 28, 1, 1, 0, 900)


@pytest.fixture
def connection() -> Iterator[Connection]:
    """A cluster that is not there."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield Connection(elasticsearch_url=[f"http://127.0.0.1:{held.getsockname()[1]}"])


@pytest.fixture
def where(tmp_path: Path) -> State:
    """A state directory whose checkpoint knows 600 bytes of a log of 1000."""
    log = tmp_path / "a-activity.log"
    log.write_bytes(b"x" * 1000)
    facts = log.stat()
    record = FileRecord(
        str(log),
        facts.st_dev,
        facts.st_ino,
        head=9,
        generation=7,
        offset=600,
        tail=0,
        digest=0,
        size=800,
    )
    with StateDirectory(tmp_path / "state") as state:
        state.save(Checkpoint("uuid", "zoomdata-activity", None, REMEMBERED, [record]))
    return State(tmp_path / "state")


@pytest.fixture
def numbers(where: State) -> Iterator[MetricsRecorder]:
    """Those of an indexer that runs with this state directory, and is further on than its checkpoint."""
    numbers = MetricsRecorder()
    log = where.state_dir.parent / "a-activity.log"
    there = LogProgress(str(log), (1, 2, 3), copy=False, size=1000, delivered=900, lag=100)
    numbers.heartbeat(lambda: Progress((there,), 1, 5000, 0.1, NOW))
    with Server("127.0.0.1:0", pages(numbers.snapshot, "instance")) as server:
        discovery.announce(where.state_dir, server.url, "instance")
        yield numbers


def test_without_a_running_indexer_the_checkpoint_tells(where: State, connection: Connection) -> None:
    """Lag is what the file has beyond it; how long it has been there nobody knows."""
    log = str(where.state_dir.parent / "a-activity.log")
    status = local_status(LogFiles([log]), connection, where)
    assert status.running is None
    assert status.totals == REMEMBERED
    assert status.logs == (LogStatus(log, "following", 600, 1000, 400, None),)


def test_a_running_indexer_tells_more_than_its_checkpoint(
    where: State, connection: Connection, numbers: MetricsRecorder
) -> None:
    """Its totals and its logs are newer; logs that it does not have open are as remembered."""
    other = where.state_dir.parent / "b-activity.log"
    other.write_bytes(b"y" * 50)
    log = str(where.state_dir.parent / "a-activity.log")
    status = local_status(LogFiles([str(other)]), connection, where)
    assert status.totals == NOW
    assert status.logs == (
        LogStatus(log, "following", 900, 1000, 100, 0.0),
        LogStatus(str(other), "waiting", 0, 50, 50, None),
    )
    shown = {table.title: table.rows for table in status.tables()}
    assert [row[0] for row in shown["The running indexer"]] == [False]
    assert shown["Not ready"] == (("It is about to connect.",),)


def test_a_running_indexer_tells_whether_and_when_it_sealed(
    where: State, connection: Connection, numbers: MetricsRecorder
) -> None:
    """In a column of its own: off, not yet, or how long ago."""

    def told() -> Any:
        status = local_status(LogFiles([]), connection, where)
        (table,) = (it for it in status.tables() if it.title == "The running indexer")
        return dict(zip(table.columns, table.rows[0], strict=True))["Sealed"]

    assert told() == "off"
    numbers.sealing(600.0)
    assert told() == "not yet"
    numbers.sealed(3, 5000, 7, "note")
    assert timedelta(0) < told() < timedelta(minutes=1)


def test_an_indexer_that_was_not_stopped_should_run(where: State, connection: Connection) -> None:
    """It announced its address, and nothing answers there; one that stopped leaves no announcement."""
    status = local_status(LogFiles([]), connection, where)
    assert (status.indexer_problem, status.well) == (None, True)
    discovery.announce(where.state_dir, "http://127.0.0.1:9", "instance")
    status = local_status(LogFiles([]), connection, where)
    assert (status.running, status.well) == (None, False)
    assert status.indexer_problem is not None
    assert "http://127.0.0.1:9 does not answer" in status.indexer_problem
    assert str(where.state_dir / "monitoring.json") in status.indexer_problem
    assert any(status.indexer_problem in table.empty for table in status.tables())
    with StateDirectory(where.state_dir):  # it runs in another container
        assert local_status(LogFiles([]), connection, where).well
    discovery.withdraw(where.state_dir)
    assert local_status(LogFiles([]), connection, where).well


def test_an_indexer_that_answers_is_well(
    where: State, connection: Connection, numbers: MetricsRecorder
) -> None:
    """Whether it is ready is said, and no matter of the exit code."""
    assert local_status(LogFiles([]), connection, where).well


def test_an_indexer_that_stops_meanwhile_is_no_problem(
    where: State, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its announcement is there before it is asked, and gone afterwards."""
    discovery.announce(where.state_dir, "http://127.0.0.1:9", "instance")
    monkeypatch.setattr(discovery, "ask", discovery.withdraw)
    assert local_status(LogFiles([]), connection, where).well


@pytest.mark.parametrize("json", [[], ["--json"]])
def test_status_ends_with_1_if_not_all_is_well(where: State, connection: Connection, json: list[str]) -> None:
    """The status is printed first, as tables or as one complete object."""
    (url,) = connection.elasticsearch_url
    words = ["status", *json, "--state-dir", str(where.state_dir), "--elasticsearch-url", url]
    done = CliRunner().invoke(cli.app, words)
    assert done.exit_code == EXIT_FAILED
    assert "No answer from the server" in done.stdout
    if json:
        told = orjson.loads(done.stdout)
        assert told.keys() == {item.name for item in fields(Status)}
        assert told["totals"]["read"] == REMEMBERED.read


# ---- again and again


def status_of(done: Totals) -> Status:
    return Status("alias", "/state", done, (), (), None, None)


def test_a_moment_has_what_ended_since_the_one_before() -> None:
    """Lines in a second of the time that passed, whatever the interval was to be; nothing at first."""
    seen = iter([Totals(100), Totals(100), Totals(600)])
    times = iter([10.0, 11.0, 13.0])
    stop = Stop(last=3)
    found = list(moments(lambda: status_of(next(seen)), stop, 1.0, lambda: next(times)))
    assert [moment.per_second for moment in found] == [None, 0.0, 250.0]
    assert stop.waits == [1.0, 1.0, 1.0]


def test_a_moment_is_a_line() -> None:
    """State nothing can be drawn anew: time, state, counts, lag, rate."""
    log = LogStatus("a.log", "following", 0, 2000, 2000, 1.0)
    archive = LogStatus("b.log.gz", "waiting", 0, 2000, None)
    status = Status("alias", "/state", Totals(1234, rejected=5), (log, archive), (), None, None)
    at = datetime(2026, 11, 23, 22, 1, 28, tzinfo=UTC)
    assert Moment(at, status, 12.4).line() == (
        "2026-11-23T22:01:28Z not running, 1,234 read, 5 rejected, 2,000 bytes behind, 12 lines/s"
    )


def test_a_cluster_that_does_not_answer_holds_no_look_up(
    where: State, connection: Connection, numbers: MetricsRecorder
) -> None:
    """Until it has, that is said; what is known here is there all the same."""
    with latest_status(LogFiles([]), connection, where) as look:
        for moment in moments(look, Stop(last=5), 0.0):
            assert moment.status.totals == NOW
            assert moment.status.problem is not None
