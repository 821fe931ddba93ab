"""HTTP on an address of its own: a few pages, each made when it is asked for."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6
from socketserver import TCPServer
from types import TracebackType
from typing import Self

from indexer.errors import Fatal

PATIENCE = 10.0
"""Seconds for a request to be sent and its answer to be taken."""
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - the operator's choice
"""Where this machine reaches what listens on all addresses."""


class CannotListen(Fatal):
    """The port is taken, or the address is not this machine's."""

    sentence = "Cannot serve monitoring at {address}: {reason}."
    cure = "Give a free HOST:PORT with --monitoring-address (INDEXER_MONITORING_ADDRESS), or port 0."


@dataclass(frozen=True, slots=True)
class Page:
    """An answer."""

    body: bytes
    content_type: str = "application/json"
    status: int = 200


Pages = Mapping[str, Callable[[str], Page]]
"""By its path, what makes a page for an Accept header."""


class Server:
    """Answers in threads of its own while it is open. A context manager."""

    def __init__(self, address: str, pages: Pages) -> None:
        """Listen at HOST:PORT. Raises CannotListen."""
        host, _, port = address.rpartition(":")
        self._host = host.strip("[]")
        try:
            self._server = _listening(self._host, int(port), _handler(pages))
        except OSError as error:
            raise CannotListen(address=address, reason=error.strerror or error) from None

    @property
    def url(self) -> str:
        """Where this machine reaches it."""
        host = EVERYWHERE.get(self._host, self._host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self._server.server_port}"

    def __enter__(self) -> Self:
        serve = threading.Thread(target=self._server.serve_forever, name="monitoring", daemon=True)
        serve.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def _listening(host: str, port: int, handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    class Listening(ThreadingHTTPServer):
        address_family = AF_INET6 if ":" in host else AF_INET
        daemon_threads = True
        block_on_close = False

        allow_reuse_port = False

        def server_bind(self) -> None:
            """Bind, without asking a name server for our own name."""
            TCPServer.server_bind(self)
            self.server_name, self.server_port = host, int(self.server_address[1])

        def handle_error(self, request: object, client_address: object) -> None:
            """Whoever asked has gone; that is no concern of ours."""

    return Listening((host, port), handler)


def _handler(pages: Pages) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = PATIENCE
        server_version = "zoomdata-indexer"
        sys_version = ""

        def do_GET(self) -> None:
            """Answer with a page."""
            make = pages.get(self.path.partition("?")[0])
            names = "\n".join(sorted(pages))
            page = (
                make(self.headers.get("Accept", ""))
                if make
                else Page(f"{names}\n".encode(), "text/plain", 404)
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

    return Handler
