"""HTTP on an address of its own: a few pages, each made when it is asked for."""

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

PATIENCE = 10.0
"""Seconds for a request to be sent and its answer to be taken, altogether."""
MOST = 32
"""Connections that are open at once; the others are log files' descriptors."""
WAITING = 128
"""Connections that wait to be taken, in the system's hands."""
LONGEST = 16 * 1024
"""Bytes of a request."""
LOOK_EVERY = 0.5
"""Seconds after which it is seen at the latest that a time has passed, or that it is over."""
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - the operator's choice
"""Where this machine reaches what listens on all addresses."""


class CannotListen(Fatal):
    """The port is taken, or the address is not this machine's."""

    sentence = "Cannot serve monitoring at {address}: {reason}."
    hint = "Give a free HOST:PORT with --monitoring-address (INDEXER_MONITORING_ADDRESS), or port 0."


@dataclass(frozen=True, slots=True)
class Page:
    """An answer."""

    body: bytes
    content_type: str = "application/json"
    status: int = 200


Pages = Mapping[str, Callable[[str], Page]]
"""By its path, what makes a page for an Accept header."""


_END = b"\r\n\r\n"


class Server:
    """Answers in a thread of its own while it is open. A context manager.

    One thread for all connections, and few of them: whoever connects when there are `MOST` takes the place of the oldest.
    So a probe, which sends its request at once, is answered however many others are silent or slow.
    """

    def __init__(self, address: str, pages: Pages) -> None:
        """Listen at HOST:PORT. Raises CannotListen."""
        host, _, port = address.rpartition(":")
        self._host = host.strip("[]")
        self._pages = pages
        self._over = threading.Event()
        self._connections: dict[socket.socket, _Connection] = {}
        """In the order in which they came."""
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
        """Where this machine reaches it."""
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
        """Take those who wait, and no more at once than leaves each time to be heard before it is the oldest."""
        for _ in range(MOST // 2):
            if not self._queue.poll(0):  # without descriptors, `accept` fails even if nobody waits
                return
            try:
                sock, _ = self._listening.accept()
            except BlockingIOError:
                return
            except OSError:  # whoever it was has gone, or there is no descriptor left
                if not self._connections:
                    self._over.wait(LOOK_EVERY)
                    return
                self._drop(next(iter(self._connections)))
                continue
            if len(self._connections) >= MOST:
                self._drop(next(iter(self._connections)))
            sock.settimeout(0)
            self._connections[sock] = _Connection(time.monotonic() + PATIENCE)
            self._selector.register(sock, selectors.EVENT_READ)

    def _go_on(self, sock: socket.socket) -> None:
        """Read what has come of a request, or send what there is room for of its answer; then of both no more."""
        it = self._connections[sock]
        try:
            if it.answer is None:
                came = sock.recv(LONGEST)
                it.request += came
                if came and _END not in it.request and len(it.request) < LONGEST:
                    return
                it.answer = memoryview(_answer(it.request, self._pages))
                self._selector.modify(sock, selectors.EVENT_WRITE)
            it.answer = it.answer[sock.send(it.answer) :]
        except BlockingIOError:
            return
        except Exception:  # noqa: BLE001 - whoever asked has gone, or his page cannot be made: nobody else waits for it
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
    """When it is dropped, whatever it has sent or taken by then."""
    request: bytes = b""
    answer: memoryview | None = None
    """What is left of it to be sent; None while the request is incomplete."""


def _listening(host: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(WAITING)
    except OSError:
        listening.close()
        raise
    listening.settimeout(0)
    return listening


def _answer(request: bytes, pages: Pages) -> bytes:
    """The answer to a whole request, or to one that is too long; none to one that was broken off."""
    if _END not in request:
        too_long = b"HTTP/1.0 431 Request Header Fields Too Large\r\n\r\n"
        return too_long if len(request) >= LONGEST else b""
    return _Handler(request, pages).wfile.getvalue()


class _Handler(BaseHTTPRequestHandler):
    """Answers a request that is there as a whole."""

    server_version = "zoomdata-indexer"
    sys_version = ""
    wfile: BytesIO

    def __init__(self, request: bytes, pages: Pages) -> None:
        self._pages = pages
        self.rfile, self.wfile = BytesIO(request), BytesIO()
        self.handle_one_request()

    def do_GET(self) -> None:
        """Answer with a page."""
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
        """Probes come every few seconds."""
