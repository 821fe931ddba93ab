"""A laboratory for `indexer run`: an alias of the test's own, a directory of logs, a state directory, a command line."""

import base64
import contextlib
import http.client
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.request import urlopen

import orjson
import pytest
from elasticsearch import Elasticsearch

from indexer.elastic.client import inspect_server
from indexer.events import Broadcast, Events, Totals
from indexer.run import Report, run
from indexer.settings import Connection, Delivery, State
from indexer.setup.templates import install
from indexer.writing.replay import Listing, listing

PATIENCE = 60.0
"""Seconds after which a test gives up waiting; a busy machine needs many of them."""
LOG = "zoomdata-activity.log"
Paths = Sequence[Path | str]


def until(condition: Callable[[], object]) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


def numbered(count: int, start: int = 0) -> list[bytes]:
    """So many different entries."""
    return [
        b'{"eventDate":"2026-05-11 06:30:00.000","activityType":"VIS","n":%d}' % number
        for number in range(start, start + count)
    ]


def joined(lines: Sequence[bytes]) -> bytes:
    """The content of a log of these lines."""
    return b"".join(line + b"\n" for line in lines)


class Heard(Events):
    """Remembers all that happens."""

    def __init__(self) -> None:
        self._heard: list[tuple[str, tuple[Any, ...]]] = []
        for name in vars(Events):
            if not name.startswith("_"):
                setattr(self, name, partial(self._note, name))

    def _note(self, name: str, *facts: Any) -> None:
        self._heard.append((name, facts))

    def of(self, name: str) -> list[tuple[Any, ...]]:
        """The facts that were told under a name, in order."""
        return [facts for told, facts in list(self._heard) if told == name]

    @property
    def totals(self) -> Totals:
        """What became of the lines so far."""
        return sum((totals for totals, _ in self.of("batch_acknowledged")), Totals())


class Following:
    """`indexer run` without `--once`, in a thread. A context manager: stopped on exit, and what it raised is raised."""

    def __init__(self, work: Callable[[Events, threading.Event], Report], *listeners: Events) -> None:
        self.heard = Heard()
        self.report: Report | None = None
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._listener = Broadcast(self.heard, *listeners)
        self._thread = threading.Thread(target=self._follow, args=(work,), daemon=True)

    def _follow(self, work: Callable[[Events, threading.Event], Report]) -> None:
        try:
            self.report = work(self._listener, self._stop)
        except BaseException as failure:  # noqa: BLE001 - raised again where it is waited for
            self._failure = failure

    def until(self, condition: Callable[[], object]) -> None:
        """Wait until it holds, or the run ends, which it should not."""
        until(lambda: self._failure or condition())
        if self._failure:
            raise self._failure

    def until_created(self, count: int) -> None:
        """Wait until so many entries are in the index."""
        self.until(lambda: self.heard.totals.created >= count)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "it does not stop"
        if self._failure:
            raise self._failure


@dataclass(frozen=True, slots=True)
class Lab:
    """What a test of `indexer run` has to hand."""

    connection: Connection
    client: Elasticsearch
    logs: Path
    state: State

    def log(self, content: bytes, name: str = LOG) -> Path:
        """Write a log file."""
        path = self.logs / name
        path.write_bytes(content)
        return path

    def run(self, *paths: Path | str, **delivery: Any) -> Report:
        """`indexer run --once`."""
        return self._run(paths, delivery, Events(), threading.Event(), once=True)

    def following(self, *paths: Path | str, listeners: Sequence[Events] = (), **delivery: Any) -> Following:
        """`indexer run`."""
        return Following(
            partial(self._run, paths, {"poll_interval": 0.01} | delivery, once=False), *listeners
        )

    def _run(
        self, paths: Paths, delivery: dict[str, Any], events: Events, stop: threading.Event, *, once: bool
    ) -> Report:
        named = [str(path) for path in paths] or [str(self.logs)]
        return run(named, self.connection, Delivery(**delivery), self.state, events, stop, once=once)

    def install(self) -> None:
        """`indexer template install`."""
        install(self.client, self.connection, inspect_server(self.client))

    def stored(self) -> dict[str, bytes]:
        """Each entry behind the alias by its id, byte for byte as the server gives it."""
        return {hit["_id"]: self.source(hit["_index"], hit["_id"]) for hit in self.hits()}

    def entries(self) -> list[bytes]:
        """The entries behind the alias, those of one file in their order there."""
        return [entry for _, entry in sorted(self.stored().items())]

    def numbers(self) -> list[int]:
        """The field `n` of all entries behind the alias, sorted."""
        return sorted(hit["_source"]["n"] for hit in self.hits(source=True))

    def hits(self, *, source: bool = False) -> list[dict[str, Any]]:
        """Every document behind the alias, twice if it is there twice."""
        self.client.indices.refresh(index=self.connection.alias)
        answer = self.client.search(index=self.connection.alias, size=10_000, source=source)
        hits: list[dict[str, Any]] = answer["hits"]["hits"]
        assert answer["hits"]["total"] == {"value": len(hits), "relation": "eq"}
        return hits

    def source(self, index: str, identity: str) -> bytes:
        """A document as the server gives it; the client would parse it."""
        with urlopen(f"{self.connection.elasticsearch_url[0]}/{index}/_source/{identity}") as response:
            return bytes(response.read())

    def rejected(self) -> Listing:
        """`indexer rejected list`."""
        return listing(self.connection, self.state, 10_000)

    def rejected_bytes(self) -> dict[bytes, str]:
        """The bytes of each rejected line that the index keeps, with its type."""
        return {
            base64.b64decode(orjson.loads(self.source(self.connection.rejected, line.id))["bytes"]): line.type
            for line in self.rejected().lines
            if line.where == "index"
        }

    def command(self, *arguments: Path | str, **how: Any) -> subprocess.CompletedProcess[str]:
        """Run the real command to its end."""
        with self.process(*arguments, **{"stdin": subprocess.DEVNULL} | how) as process:
            stdout, stderr = process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    @contextlib.contextmanager
    def process(
        self, *arguments: Path | str, environment: dict[str, str] | None = None, **how: Any
    ) -> Iterator[subprocess.Popen[str]]:
        """The real command, with this laboratory's options; killed on exit if it still runs."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("INDEXER_")} | {
            "INDEXER_ELASTICSEARCH_URL": self.connection.elasticsearch_url[0],
            "INDEXER_ALIAS": self.connection.alias,
            "INDEXER_STATE_DIR": str(self.state.state_dir),
        }
        with subprocess.Popen(
            [sys.executable, "-m", "indexer", *map(str, arguments)],
            env=ours | (environment or {}),
            text=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | how,
        ) as process:
            try:
                yield process
            finally:
                process.kill()


@pytest.fixture
def bare(connection: Connection, client: Elasticsearch, tmp_path: Path) -> Lab:
    """A laboratory whose template is not installed."""
    logs = tmp_path / "logs"
    logs.mkdir()
    return Lab(connection, client, logs, State(tmp_path / "state"))


@pytest.fixture
def lab(bare: Lab) -> Lab:
    """A laboratory that is ready."""
    bare.install()
    return bare


Respond = Callable[[BaseHTTPRequestHandler], None]


@contextlib.contextmanager
def serving(respond: Respond, *, listening: bool = True) -> Iterator[ThreadingHTTPServer]:
    """An HTTP server of our own on a free port; unless `listening`, it is its owner's to activate."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = respond  # noqa: N815 - what http.server looks for

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
    server.server_bind()
    if listening:
        server.server_activate()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def address(server: ThreadingHTTPServer) -> str:
    """Its URL."""
    return f"http://127.0.0.1:{server.server_port}"


def answer(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    """Answer a request."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def always(status: int, body: bytes, **headers: str) -> Respond:
    """Give every request the same answer."""

    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.rfile.read(int(handler.headers.get("content-length", 0)))
        answer(handler, status, body, **headers)

    return respond


def relaying(url: str) -> Respond:
    """Pass requests on to the server at `url`, and its answers back."""

    def respond(handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("content-length", 0)))
        onward = http.client.HTTPConnection(url.removeprefix("http://"))
        onward.request(handler.command, handler.path, body, dict(handler.headers))
        given = onward.getresponse()
        of_the_way = {"content-length", "transfer-encoding", "connection"}
        headers = {name: value for name, value in given.getheaders() if name.lower() not in of_the_way}
        answer(handler, given.status, given.read(), **headers)
        onward.close()

    return respond
