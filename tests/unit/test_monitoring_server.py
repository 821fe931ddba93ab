"""The pages of an indexer, and how `indexer status` finds it."""

import contextlib
import http.client
import itertools
import os
import resource
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import pytest

from indexer.errors import Unreachable
from indexer.events import Events, LogProgress, Progress, Totals
from indexer.monitoring import cluster_probe, discovery
from indexer.monitoring import http_server as server_module
from indexer.monitoring.cluster_probe import ClusterProbe
from indexer.monitoring.http_server import MAX_CONNECTIONS, CannotListen, Page, Server
from indexer.monitoring.recorder import MetricsRecorder
from indexer.monitoring.service import monitored, pages
from indexer.settings import Connection
from tests.support.hostile_server import hostile
from tests.support.observed import Heard

INSTANCE = "0123456789abcdef"
LOG = LogProgress("a.log", (1, 2, 3), copy=False, size=100, delivered=60, lag=40)
PROGRESS = Progress((LOG,), 2, 300, 0.5, Totals(9, 8, rejected=1))


@pytest.fixture
def numbers() -> MetricsRecorder:
    """Those of an indexer that waits."""
    numbers = MetricsRecorder()
    numbers.waiting("No answer from Elasticsearch.")
    return numbers


@pytest.fixture
def server(numbers: MetricsRecorder) -> Iterator[Server]:
    """Its pages, on a free port."""
    with Server("127.0.0.1:0", pages(numbers.snapshot, INSTANCE)) as server:
        yield server


def get(server: Server, path: str, method: str = "GET") -> tuple[int, str, bytes]:
    """The status, the content type and the body of a page."""
    where = urlsplit(server.url)
    connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=10)
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, str(answer.getheader("content-type")), body


def test_health_is_a_status_and_a_reason(server: Server, numbers: MetricsRecorder) -> None:
    """503 with the reasons until it is ready; alive all the time."""
    assert get(server, "/healthz")[0] == 200
    status, kind, body = get(server, "/readyz")
    assert (status, kind) == (503, "application/json")
    assert orjson.loads(body) == {
        "ready": False,
        "problems": [{"kind": "starting", "sentence": "No answer from Elasticsearch."}],
    }
    numbers.connected("uuid", "index-000001")
    numbers.heartbeat(lambda: PROGRESS)
    status, _, body = get(server, "/readyz")
    assert (status, orjson.loads(body)) == (200, {"ready": True, "problems": []})


def test_a_hung_indexer_is_not_alive() -> None:
    """The probe that restarts it gets 503."""
    now = [0.0]
    numbers = MetricsRecorder(lambda: now[0])
    now[0] = 3600.0
    with Server("127.0.0.1:0", pages(numbers.snapshot, INSTANCE)) as server:
        status, _, body = get(server, "/healthz")
    assert (status, orjson.loads(body)) == (503, {"alive": False})


def test_metrics_are_text(server: Server) -> None:
    """As Prometheus reads it, a query string or not."""
    for path in ("/metrics", "/metrics?name=up"):
        status, kind, body = get(server, path)
        assert (status, kind.partition(";")[0]) == (200, "text/plain")
        assert b"\nindexer_ready 0.0\n" in body


def test_other_paths_name_the_pages(server: Server) -> None:
    """Whoever guesses is told where to look; HEAD has no body."""
    assert get(server, "/")[::2] == (404, b"/healthz\n/metrics\n/readyz\n/status\n")
    assert get(server, "/readyz", "HEAD")[::2] == (503, b"")


def test_a_client_that_says_nothing_holds_nobody_up(server: Server) -> None:
    """Others are answered beside it."""
    where = urlsplit(server.url)
    with socket.create_connection((str(where.hostname), where.port or 0)):
        assert get(server, "/healthz")[0] == 200


def test_many_ask_at_once(server: Server, numbers: MetricsRecorder) -> None:
    """While it goes on counting; each answer is whole."""
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.extend(get(server, "/metrics")[0] for _ in range(5)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for n in range(2000):
        numbers.rejected(f"reason {n % 40}", 1)
        numbers.heartbeat(lambda: PROGRESS)
    for thread in threads:
        thread.join()
    assert answers == [200] * 40


@pytest.mark.parametrize("address", ["127.0.0.1:{port}", "localhost:{port}"])
def test_a_port_that_is_taken_is_said(server: Server, address: str) -> None:
    """In one sentence with the option to change."""
    taken = address.format(port=urlsplit(server.url).port)
    with pytest.raises(
        CannotListen,
        match=f"Cannot serve monitoring at {taken}: Address already in use.*--monitoring-address",
    ):
        Server(taken, {})


def test_an_address_of_nobody_is_said() -> None:
    """A name that does not resolve, and an address that is another machine's."""
    for address in ("no.such.host.invalid:0", "192.0.2.1:0"):
        with pytest.raises(CannotListen, match=address):
            Server(address, {})


@pytest.mark.parametrize(
    ("address", "host"), [("0.0.0.0:0", "127.0.0.1"), ("[::]:0", "::1"), ("[::1]:0", "::1")]
)
def test_where_it_is_reached(address: str, host: str) -> None:
    """What listens everywhere is reached by this machine's own address; IPv6 is in brackets."""
    with Server(address, {"/": lambda _: Page(b"here", "text/plain")}) as server:
        assert urlsplit(server.url).hostname == host
        assert get(server, "/")[::2] == (200, b"here")


# ---- finding it


def test_a_running_indexer_is_found(tmp_path: Path, server: Server, numbers: MetricsRecorder) -> None:
    """By the file in its state directory; what it says is what it counts."""
    discovery.announce(tmp_path, server.url, INSTANCE)
    assert (tmp_path / "monitoring.json").read_bytes() == (
        b'{"address":"%b","instance":"%b"}\n' % (server.url.encode(), INSTANCE.encode())
    )
    it = discovery.ask(tmp_path)
    assert it is not None
    assert (it.ready, it.problems, it.totals) == (False, ("No answer from Elasticsearch.",), None)
    numbers.connected("uuid", "index-000001")
    numbers.heartbeat(lambda: PROGRESS)
    it = discovery.ask(tmp_path)
    assert it is not None
    assert (it.ready, it.problems, it.totals) == (True, (), PROGRESS.totals)
    assert (it.address, it.batches, it.bytes) == (server.url, 2, 300)
    assert it.sealing is None
    numbers.sealing(600.0)
    numbers.sealed(3, 5000, 7, "note")
    it = discovery.ask(tmp_path)
    assert it is not None
    assert it.sealing is not None
    assert (it.sealing.every, it.sealing.size, it.sealing.overdue) == (600.0, 7, False)
    assert it.logs == {"a.log": LogProgress("a.log", (0, 0, 0), copy=False, size=100, delivered=60, lag=40)}


def test_what_is_left_of_another_indexer_is_not_believed(tmp_path: Path, server: Server) -> None:
    """No file, a damaged one, a port that is closed, or one that is another program's now: none is running."""
    assert discovery.ask(tmp_path) is None
    for content in (b"", b"[]", b"{}", b'{"address":7,"instance":"x"}', b'{"address":"","instance":"x"}'):
        (tmp_path / "monitoring.json").write_bytes(content)
        assert discovery.ask(tmp_path) is None
    discovery.announce(tmp_path, server.url, "of another run")
    assert discovery.ask(tmp_path) is None
    odd = b'{"instance":"%b","now":{"ever":null,"retries":[]},"health":[]}' % INSTANCE.encode()
    for body in (b"<html>", b"{}", b'{"instance":"%b"}' % INSTANCE.encode(), odd, b"[" * 100_000):
        with Server("127.0.0.1:0", {"/status": partial(lambda page, _: page, Page(body))}) as other:
            discovery.announce(tmp_path, other.url, INSTANCE)
            assert discovery.ask(tmp_path) is None
    assert discovery.ask(tmp_path) is None, "it is closed by now"


def test_what_answers_without_end_is_no_indexer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program may have the port by now: `indexer status` waits no longer than it says, and takes no more."""
    monkeypatch.setattr(discovery, "TIMEOUT", 0.5)
    start = b"HTTP/1.1 200 OK\r\n\r\n"
    for fragments in (itertools.repeat(b" " * 1_000_000), itertools.cycle([b" ", b""])):
        with hostile(lambda _, fragments=fragments: itertools.chain([start], fragments)) as url:  # type: ignore[misc]
            discovery.announce(tmp_path, url, INSTANCE)
            assert discovery.ask(tmp_path) is None


def test_no_proxy_is_asked(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment with a proxy for everything does not keep us from our own machine."""
    monkeypatch.setenv("http_proxy", "http://192.0.2.1:3128")
    discovery.announce(tmp_path, server.url, INSTANCE)
    assert discovery.ask(tmp_path) is not None


def test_a_run_is_served_from_beginning_to_end(tmp_path: Path) -> None:
    """Told before anything else; what is told counts, others hear it too; afterwards nothing is left."""
    heard = Heard()
    with monitored("127.0.0.1:0", Connection(), tmp_path, heard) as told:
        ((address,),) = heard.of("serving")
        it = discovery.ask(tmp_path)
        assert it is not None
        assert it.address == address
        told.waiting("No answer.")
        it = discovery.ask(tmp_path)
        assert it is not None
        assert it.problems == ("No answer.",)
        assert heard.of("waiting") == [("No answer.",)]
    assert discovery.ask(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_state_directory_without_room_keeps_no_run_from_being_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then `indexer status` does not find it, and probes and Prometheus do."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(discovery, "write_durably", full)
    with monitored("127.0.0.1:0", Connection(), tmp_path, Events()):
        assert discovery.ask(tmp_path) is None


# ---- looking out


def seen(connection: Connection, state: Path, numbers: MetricsRecorder) -> str:
    """The problem that the first look finds."""
    probe = ClusterProbe(connection, state, numbers)
    probe.connected(None, "")
    deadline = time.monotonic() + 30
    while (problem := numbers.snapshot().cluster_problem) is None:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    probe.close()
    return problem


def test_a_cluster_that_cannot_be_asked_is_a_problem(tmp_path: Path) -> None:
    """With the sentence that `run` would say, and without the password in the address; room on the disk is seen anyway."""
    numbers = MetricsRecorder()
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://elastic:s3cret@127.0.0.1:{held.getsockname()[1]}"
        problem = seen(Connection(elasticsearch_url=[url]), tmp_path, numbers)
    assert problem.startswith("No answer from the server at http://127.0.0.1:")
    assert "s3cret" not in problem
    assert (numbers.snapshot().free_bytes or 0) > 0


def test_settings_that_make_no_sense_any_more_are_a_problem(tmp_path: Path) -> None:
    """A secret that cannot be read when it is needed is said, and looked for again."""
    connection = Connection(username="elastic", password_file=tmp_path / "gone")
    assert "gone" in seen(connection, tmp_path, MetricsRecorder())


def test_a_lookout_survives_what_nobody_foresaw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that is a bug of ours, or of what answers, is a problem as well; it looks again."""
    answers = iter([ZeroDivisionError("ours"), KeyError("nodes"), Unreachable(url="u", reason="r")])

    def backing(*_: object) -> None:
        raise next(answers)

    monkeypatch.setattr(cluster_probe, "backing", backing)
    monkeypatch.setattr(cluster_probe, "PROBE_EVERY", 0.0)
    numbers = MetricsRecorder()
    told: list[str | None] = []
    monkeypatch.setattr(numbers, "cluster_probed", told.append)
    seen_by = ClusterProbe(Connection(), tmp_path, numbers)
    seen_by.connected(None, "")
    deadline = time.monotonic() + 30
    while len(told) < 3 and time.monotonic() < deadline:
        time.sleep(0.001)
    seen_by.close()
    assert told[0] == "Unexpected: ZeroDivisionError: ours."
    assert "its answer is not of the expected form: KeyError 'nodes' at " in str(told[1])
    assert str(told[2]).startswith("No answer from the server at u (r).")


# ---- many who ask, slowly


@pytest.fixture
def descriptors() -> Iterator[None]:
    """As many as this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def visitor(server: Server, *, receives: int | None = None) -> socket.socket:
    where = urlsplit(server.url)
    it = socket.socket()
    if receives is not None:
        it.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
    it.settimeout(10)
    it.connect((str(where.hostname), where.port))
    return it


def is_dropped(it: socket.socket, within: float = 20.0) -> bool:
    """Whether the server ends a connection without an answer."""
    it.settimeout(within)
    try:
        return not it.recv(1)
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def opened() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    "said", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"GET /status HTTP/1.1\r\n\r\n"]
)
def test_a_thousand_slow_connections_keep_no_probe_from_its_answer(
    server: Server, descriptors: None, said: bytes
) -> None:
    """They say nothing, or half a request, or take no answer; threads and descriptors of ours stay few all the same."""
    threads, files = threading.active_count(), opened()
    with contextlib.ExitStack() as held:
        for number in range(1000):
            one = held.enter_context(visitor(server))
            one.sendall(said)
            if number % 100 == 99:
                assert get(server, "/healthz")[0] == 200
        assert [get(server, path)[0] for path in ("/healthz", "/readyz", "/metrics")] == [200, 503, 200]
        assert threading.active_count() <= threads
        assert opened() - files - 1000 <= MAX_CONNECTIONS


def test_a_request_has_a_time_as_a_whole(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then does not make it begin again."""
    monkeypatch.setattr(server_module, "TIMEOUT", 0.3)
    with visitor(server) as slow, contextlib.suppress(ConnectionError):
        deadline = time.monotonic() + 30
        for sign in itertools.cycle(b"GET /healthz HTTP/1.1\r\nX: "):
            slow.sendall(bytes([sign]))
            slow.settimeout(0.05)
            with contextlib.suppress(TimeoutError):
                if not slow.recv(1):
                    break
            assert time.monotonic() < deadline


def test_who_takes_no_answer_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that nobody reads goes after the same time; others are answered meanwhile."""
    monkeypatch.setattr(server_module, "TIMEOUT", 0.3)
    page = Page(b"x" * 20_000_000, "text/plain")
    with (
        Server("127.0.0.1:0", {"/": lambda _: page, "/small": lambda _: Page(b"")}) as server,
        visitor(server, receives=4096) as slow,
    ):
        slow.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert get(server, "/small")[0] == 200
        time.sleep(1.5)
        read = 0
        with contextlib.suppress(ConnectionError):
            while fragment := slow.recv(1_000_000):
                read += len(fragment)
        assert read < len(page.body)
        assert get(server, "/")[2] == page.body, "who reads gets all of it"


@pytest.mark.parametrize(
    "said", [b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000, b"\r" * 100_000, b"GET " + b"/" * 100_000]
)
def test_a_request_without_end_is_refused(server: Server, said: bytes) -> None:
    """At once: nothing of it is kept."""
    with visitor(server) as endless:
        with contextlib.suppress(ConnectionError):
            endless.sendall(said)
        with contextlib.suppress(ConnectionError):
            assert endless.recv(100).startswith(b"HTTP/1.0 431 ")


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"POST / HTTP/1.1\r\n\r\n", 501),
        (b"\0\xff\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 505),
        (b"GET /healthz HTTP/1.1\r\nContent-Length: 7\r\n\r\n", 200),
        (b"GET http://[/healthz HTTP/1.1\r\n\r\n", 404),
    ],
)
def test_odd_requests_are_answered(server: Server, said: bytes, status: int) -> None:
    """Each with its status, and nothing else of theirs is waited for."""
    with visitor(server) as odd:
        odd.sendall(said)
        assert b" %d " % status in odd.recv(1000)


def test_a_page_that_fails_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asked for it gets none, and the others theirs."""

    def broken(_: str) -> Page:
        raise ZeroDivisionError

    with Server("127.0.0.1:0", {"/": broken, "/small": lambda _: Page(b"")}) as server:
        with visitor(server) as it:
            it.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert is_dropped(it)
        assert get(server, "/small")[0] == 200


def test_without_descriptors_the_oldest_connection_goes(server: Server) -> None:
    """The one that asks now is answered; a limit that leaves nothing at all is outlasted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with visitor(server) as silent, visitor(server), socket.socket() as late, socket.socket() as later:
        assert get(server, "/healthz")[0] == 200
        where = urlsplit(server.url)
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (max(int(file.name) for file in Path("/proc/self/fd").iterdir()), hard)
        )
        free = []
        try:
            with contextlib.suppress(OSError):
                while True:
                    free.append(os.dup(silent.fileno()))
            for it in (late, later):
                it.settimeout(20)
                it.connect((str(where.hostname), where.port))
                it.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
                assert b" 200 " in it.recv(1000)
        finally:
            for number in free:
                os.close(number)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert is_dropped(silent)
