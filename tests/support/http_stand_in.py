"""What the stand-ins for Kibana and Zoomdata share: an HTTP server that answers requests with JSON."""

import base64
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson


@dataclass(slots=True)
class Request:
    """A request. The names of headers are in lower case."""

    method: str
    path: str
    params: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    space: str = "default"
    """Of Kibana."""

    @property
    def json(self) -> Any:
        """The parsed body."""
        return orjson.loads(self.body) if self.body else None


@dataclass(slots=True)
class Response:
    """A response; a body of None is empty."""

    status: int
    body: Any
    location: str | None = None


def basic(user: str, password: str) -> str:
    """The Authorization header."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def request_of(method: str, target: str, headers: Message, body: bytes) -> Request:
    """A request as the HTTP server receives it."""
    parts = urlsplit(target)
    lower = {name.lower(): value for name, value in headers.items()}
    return Request(method, parts.path, parse_qs(parts.query), lower, body)


@contextmanager
def serving(
    respond: Callable[[Request], Response], content_type: str, tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Answer requests on a free port; yield the URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet, else the second waits for an acknowledgement

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            response = respond(request_of(self.command, self.path, self.headers, body))
            content = b"" if response.body is None else orjson.dumps(response.body)
            self.send_response(response.status)
            self.send_header("content-type", content_type)
            if response.location:
                self.send_header("location", response.location)
            if response.status != 204:
                self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PUT = do_DELETE = do_PATCH = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http{'s' if tls else ''}://localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
