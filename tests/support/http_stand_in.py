"""What the stand-ins for Kibana and Zoomdata share: an HTTP server that answers requests with JSON."""

import base64
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from tests.support.http_server import answer, serving


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
    """A response; a body of None is empty, bytes are sent as they are."""

    status: int
    body: Any
    location: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def basic(user: str, password: str) -> str:
    """The Authorization header."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


@contextmanager
def responding(
    respond: Callable[[Request], Response], content_type: str, tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Answer requests on a free port; yield the URL."""

    def handle(handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        headers = {name.lower(): value for name, value in handler.headers.items()}
        sent = handler.rfile.read(int(headers.get("content-length", 0)))
        response = respond(Request(handler.command, parts.path, parse_qs(parts.query), headers, sent))
        body = response.body
        content = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        more = {"location": response.location} if response.location else {}
        answer(handler, response.status, content, content_type=content_type, **more, **response.headers)

    with serving(handle, tls=tls) as server:
        yield f"http{'s' if tls else ''}://localhost:{server.server_port}"
