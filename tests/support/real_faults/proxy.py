"""A proxy in front of a real Elasticsearch that fails the requests that a test chooses.

An action (actions.py) decides about each request: it may carry it out on the real server, change the answer, give an answer
of its own, or end the connection by raising.
"""

import http.client
import select
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

LOOPBACK = "127.0.0.1"
OF_ONE_HOP = frozenset({"connection", "content-length", "host", "keep-alive", "transfer-encoding"})
"""Headers that a proxy does not pass on."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def bulk(self) -> bool:
        """It is a bulk request, of entries or of rejected lines."""
        return urlsplit(self.path).path.endswith("/_bulk")


@dataclass(frozen=True, slots=True)
class Answer:
    """What it gets."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Reset(Exception):  # noqa: N818 - what becomes of the connection
    """The connection is reset, after the first half of an answer if there is one."""

    def __init__(self, answer: Answer | None = None) -> None:
        super().__init__()
        self.answer = answer


class Silence(Exception):  # noqa: N818 - what becomes of the connection
    """No answer ever comes; the connection stays open until the client leaves."""


CarryOut = Callable[[Request], Answer]
Action = Callable[[Request, CarryOut], Answer]
Rule = Callable[[Request], Action]


def carried_out(request: Request, carry_out: CarryOut) -> Answer:
    """The action without a fault."""
    return carry_out(request)


class Proxy:
    """On a free port of its own. A context manager: listening from entry to exit."""

    def __init__(self, url: str) -> None:
        """`url` is the real server's."""
        self.rule: Rule = lambda _: carried_out
        """The action for requests for which none is planned."""
        self.requests: list[Request] = []
        """All requests, without their bodies."""
        self._onward = urlsplit(url).netloc
        self._planned: deque[Action] = deque()
        self._lock = threading.Lock()
        self._server = _Server(self._answer)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{LOOPBACK}:{self._server.server_port}"

    def plan(self, *actions: Action) -> None:
        """Set the actions for the next bulk requests, one each."""
        with self._lock:
            self._planned.extend(actions)

    @property
    def done(self) -> bool:
        """Whether all planned actions have begun."""
        return not self._planned

    def all(self, action: Action) -> None:
        """Set the action for every request from now on."""
        self.rule = lambda _: action

    def all_bulks(self, action: Action) -> None:
        """Set the action for every bulk request from now on; other requests are carried out."""
        self.rule = lambda request: action if request.bulk else carried_out

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.over.set()
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: Request) -> Answer:
        with self._lock:
            self.requests.append(replace(request, body=b""))
            planned = self._planned.popleft() if request.bulk and self._planned else None
        return (planned or self.rule(request))(request, self._carry_out)

    def _carry_out(self, request: Request) -> Answer:
        """Send a request to the real server. Raises Reset if that does not answer."""
        headers = {name: value for name, value in request.headers.items() if name.lower() not in OF_ONE_HOP}
        try:
            with closing(http.client.HTTPConnection(self._onward)) as onward:
                onward.request(request.method, request.path, request.body, headers)
                answer = onward.getresponse()
                kept = {name: value for name, value in answer.getheaders() if name.lower() not in OF_ONE_HOP}
                return Answer(answer.status, kept, answer.read())
        except (OSError, http.client.HTTPException):
            raise Reset from None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answer: Callable[[Request], Answer]) -> None:
        self.answer = answer
        self.over = threading.Event()
        super().__init__((LOOPBACK, 0), _Handler)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection without the usual farewell, which a reset does not have."""
        self.close_request(request)

    def handle_error(self, *_: object) -> None:
        """A client that goes away in the middle is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    """Else each answer waits 40 ms for an acknowledgement."""

    def handle_one_request(self) -> None:
        """Serve one request of a connection, or see its end."""
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            self._send(self.server.answer(Request(self.command, self.path, dict(self.headers), body)))
        except Silence:
            self._wait_for_the_client_to_leave()
        except Reset as end:
            self._break_off(end.answer)

    def _send(self, answer: Answer, part: int | None = None) -> None:
        """Send an answer, or its first bytes."""
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body[:part])

    def _wait_for_the_client_to_leave(self) -> None:
        self.close_connection = True
        while not self.server.over.is_set():
            if select.select([self.connection], [], [], 0.05)[0]:
                return

    def _break_off(self, answer: Answer | None) -> None:
        if answer is not None:
            self._send(answer, len(answer.body) // 2)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Keep quiet."""
