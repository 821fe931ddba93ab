"""A small HTTP server: a few pages, each generated on request."""

import select
import selectors
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from types import TracebackType
from typing import Self

from indexer.errors import Fatal

TIMEOUT = 10.0
"""Seconds for a whole connection: request and response."""
MAX_CONNECTIONS = 32
"""Open connections. More would take file descriptors that log files need."""
BACKLOG = 128
"""Connections that the system queues before they are accepted."""
MAX_REQUEST = 16 * 1024
"""Maximum size of a request, in bytes."""
LOOK_EVERY = 0.5
"""Seconds between checks for timeouts and for the end."""
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - the operator's choice
"""The address at which this machine reaches a server that listens on all addresses."""


class CannotListen(Fatal):
    """The port is in use, or the address does not belong to this machine."""

    sentence = "Cannot serve monitoring at {address}: {reason}."
    hint = "Give a free HOST:PORT with --monitoring-address (INDEXER_MONITORING_ADDRESS), or port 0."


@dataclass(frozen=True, slots=True)
class Page:
    """A response."""

    body: bytes
    content_type: str = "application/json"
    status: int = 200


Pages = Mapping[str, Callable[[str], Page]]
"""By path: a function that generates the page for an Accept header."""
_END = b"\r\n\r\n"


class Server:
    """Serves pages in a background thread. A context manager.

    One thread serves all connections. If `MAX_CONNECTIONS` are open, a new one replaces the oldest: so a probe, which sends
    its request at once, is answered however many silent or slow connections there are.
    """

    def __init__(self, address: str, pages: Pages) -> None:
        """Listen at HOST:PORT. Raises CannotListen."""
        host, _, port = address.rpartition(":")
        self._host = host.strip("[]")
        self._pages = pages
        self._over = threading.Event()
        self._connections: dict[socket.socket, _Connection] = {}
        """Oldest first."""
        self._thread = threading.Thread(target=self._serve, name="monitoring", daemon=True)
        try:
            self._listening = _listening(self._host, int(port))
        except OSError as error:
            raise CannotListen(address=address, reason=error.strerror or error) from None
        self._queue = select.poll()
        self._queue.register(self._listening, select.POLLIN)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listening, selectors.EVENT_READ)

    @property
    def url(self) -> str:
        """The URL at which this machine reaches the server."""
        host = EVERYWHERE.get(self._host, self._host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        for sock in [*self._connections, self._listening]:
            sock.close()
        self._selector.close()

    def _serve(self) -> None:
        while not self._over.is_set():
            ready = {key.fileobj for key, _ in self._selector.select(LOOK_EVERY)}
            for sock in list(self._connections):
                if time.monotonic() >= self._connections[sock].until:
                    self._drop(sock)
                elif sock in ready:
                    self._go_on(sock)
            if self._listening in ready:
                self._accept()

    def _accept(self) -> None:
        """Accept waiting connections: at most half of the maximum at once, so that each is read before it is replaced."""
        for _ in range(MAX_CONNECTIONS // 2):
            if not self._queue.poll(
                0
            ):  # without free descriptors, `accept` fails even if no connection waits
                return
            try:
                sock, _ = self._listening.accept()
            except BlockingIOError:
                return
            except OSError:  # the client closed it, or no descriptor is left
                if not self._connections:
                    self._over.wait(LOOK_EVERY)
                    return
                self._drop(next(iter(self._connections)))
                continue
            if len(self._connections) >= MAX_CONNECTIONS:
                self._drop(next(iter(self._connections)))
            sock.settimeout(0)
            self._connections[sock] = _Connection(time.monotonic() + TIMEOUT)
            self._selector.register(sock, selectors.EVENT_READ)

    def _go_on(self, sock: socket.socket) -> None:
        """Read the next part of the request, or send the next part of the response, without blocking."""
        it = self._connections[sock]
        try:
            if it.answer is None:
                came = sock.recv(MAX_REQUEST)
                it.request += came
                if came and _END not in it.request and len(it.request) < MAX_REQUEST:
                    return
                it.answer = memoryview(_answer(it.request, self._pages))
                self._selector.modify(sock, selectors.EVENT_WRITE)
            it.answer = it.answer[sock.send(it.answer) :]
        except BlockingIOError:
            return
        except Exception:  # noqa: BLE001 - the client has gone, or its page cannot be generated: drop only this connection
            self._drop(sock)
            return
        if not it.answer:
            self._drop(sock)

    def _drop(self, sock: socket.socket) -> None:
        del self._connections[sock]
        self._selector.unregister(sock)
        sock.close()


@dataclass(slots=True)
class _Connection:
    until: float
    """When it times out."""
    request: bytes = b""
    answer: memoryview | None = None
    """The unsent rest of the response; None while the request is incomplete."""


def _listening(host: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    listening.settimeout(0)
    return listening


def _answer(request: bytes, pages: Pages) -> bytes:
    """The response to a complete or too long request; empty for an incomplete one."""
    if _END not in request:
        too_long = b"HTTP/1.0 431 Request Header Fields Too Large\r\n\r\n"
        return too_long if len(request) >= MAX_REQUEST else b""
    return _Handler(request, pages).wfile.getvalue()


class _Handler(BaseHTTPRequestHandler):
    """Handles a complete request."""

    server_version = "zoomdata-indexer"
    sys_version = ""
    wfile: BytesIO

    def __init__(self, request: bytes, pages: Pages) -> None:
        self._pages = pages
        self.rfile, self.wfile = BytesIO(request), BytesIO()
        self.handle_one_request()

    def do_GET(self) -> None:
        """Respond with a page."""
        make = self._pages.get(self.path.partition("?")[0])
        names = "\n".join(sorted(self._pages))
        page = (
            make(self.headers.get("Accept", "")) if make else Page(f"{names}\n".encode(), "text/plain", 404)
        )
        self.send_response(page.status)
        self.send_header("Content-Type", page.content_type)
        self.send_header("Content-Length", str(len(page.body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(page.body)

    do_HEAD = do_GET  # noqa: N815 - what http.server looks for

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Log nothing: probes come every few seconds."""
