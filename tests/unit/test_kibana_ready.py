"""A Kibana that is starting is waited for, for a time, with a line about it, until a signal; never "wrong user"."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from threading import Event

import pytest

from indexer.errors import Stopped
from indexer.kibana import ready
from indexer.kibana.api import Api, KibanaNotReady, KibanaUnauthenticated, NotKibana
from indexer.settings import Connection, Kibana
from tests.support.http_stand_in import Response
from tests.support.kibana_stand_in import StandIn

TEXT = Response(503, b"Kibana server is not ready yet")
"""Of all other routes, and of what stands before it."""


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """A stand-in that requires no credentials; it is asked often."""
    monkeypatch.setattr(ready, "EVERY", 0.001)
    return StandIn(open=True)


@pytest.fixture
def api(stand_in: StandIn) -> Iterator[Api]:
    """Its API."""
    with stand_in.serving() as url, Api(Connection(request_timeout=5.0), Kibana(url)) as made:
        yield made


def test_ready_at_once(api: Api) -> None:
    """Nothing is said, and no handler of signals installed."""
    told: list[str] = []
    assert ready.version_when_ready(api, told.append, lambda: pytest.fail("asked")) == (8, 19, 16)
    assert told == []


@pytest.mark.parametrize("answer", [None, TEXT, Response(503, None)], ids=["level", "text", "empty"])
def test_starting(stand_in: StandIn, api: Api, answer: Response | None) -> None:
    """It is asked again until it has started; one line says so."""
    stand_in.starting, stand_in.starting_as = 5, answer or stand_in.starting_as
    told: list[str] = []
    assert ready.version_when_ready(api, told.append, Event) == (8, 19, 16)
    assert len(stand_in.requests) == 6
    (line,) = told
    assert line.startswith(f"Kibana at {api.url} is not ready yet (it answers 503")
    assert ("unavailable" in line) == (answer is None)
    assert line.endswith("Waiting: 0 of 300 s.")


def test_progress(stand_in: StandIn, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a further line now and then."""
    monkeypatch.setattr(ready, "TOLD_EVERY", 0.0)
    stand_in.starting = 4
    told: list[str] = []
    ready.version_when_ready(api, told.append, Event)
    assert len(told) == 4


def test_bounded(stand_in: StandIn, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not waited for without an end, and the error is not about the user."""
    monkeypatch.setattr(ready, "WITHIN", 0.05)
    stand_in.starting = 10**6
    with pytest.raises(
        KibanaNotReady, match=r"is not ready yet \(it answers 503: unavailable\)\. .*Kibana log"
    ):
        ready.version_when_ready(api, lambda _: None, Event)
    assert len(stand_in.requests) > 1


def test_stopped(stand_in: StandIn, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """The event ends it at once."""
    monkeypatch.setattr(ready, "EVERY", 60.0)
    stand_in.starting = 10**6
    stop = Event()
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(Stopped):
        ready.version_when_ready(api, lambda _: None, lambda: stop)
    assert len(stand_in.requests) == 1


def test_unavailable_with_a_version(stand_in: StandIn, api: Api) -> None:
    """A Kibana that has started, with some service unavailable, is asked to import."""
    body = {"version": {"number": "9.1.5"}, "status": {"overall": {"level": "unavailable"}}}
    stand_in.starting, stand_in.starting_as = 1, Response(503, body)
    assert ready.version_when_ready(api, lambda _: None, Event) == (9, 1, 5)


def test_what_is_not_starting(stand_in: StandIn, api: Api) -> None:
    """An answer without a version that is no 503 is about the user, and a page of another product about the address."""
    for answer, error in [
        (Response(200, {"status": {"overall": {"level": "available"}}}), KibanaUnauthenticated),
        (Response(502, b"Bad Gateway"), NotKibana),
    ]:
        stand_in.starting, stand_in.starting_as = 1, answer
        with pytest.raises(error):
            ready.version_when_ready(api, lambda _: None, Event)


def test_not_ready_any_more(stand_in: StandIn, api: Api) -> None:
    """A 503 to another request is the same error."""
    stand_in.starting, stand_in.starting_as = 1, TEXT
    with pytest.raises(KibanaNotReady):
        api.send("GET", "/api/alerting/_health", privileges="")


def test_signal(stand_in: StandIn) -> None:
    """SIGTERM, which ends no process of its own that is the first in a container, ends the command while it waits, with one line."""
    stand_in.starting = 10**6
    with stand_in.serving() as url:
        command = [sys.executable, "-m", "indexer", "kibana", "install", "--kibana-url", url]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr
            assert "is not ready yet" in process.stderr.readline()
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 1
            assert process.stderr.read().startswith("indexer: Stopped before the end.")
