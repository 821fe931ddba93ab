"""A small server that checks credentials: it answers as Elasticsearch would, over http or https, and records requests."""

import contextlib
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import trustme

ANSWER = b'{"version":{"number":"9.1.5"}}'
REFUSAL = b'{"error":{"type":"security_exception","reason":"unable to authenticate"}}'


class Guarded(ThreadingHTTPServer):
    """One server on a free port of this machine, with TLS if it has a context. A context manager."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.tls = tls
        self.admits: str | None = None
        """The only header Authorization that is not answered with 401; None for any."""
        self.seen: list[tuple[str, str | None]] = []
        """Path and header Authorization of each request."""
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)

    def url(self, host: str = "127.0.0.1") -> str:
        """Its address."""
        return f"{'https' if self.tls else 'http'}://{host}:{self.server_port}"

    def authorizations(self) -> list[str | None]:
        """The header Authorization of each request."""
        return [header for _, header in self.seen]

    def process_request_thread(self, request: object, client_address: object) -> None:
        """In a thread of its own: a handshake may fail, which is the client's to tell."""
        with contextlib.suppress(OSError):
            if self.tls is not None:
                request = self.tls.wrap_socket(request, server_side=True)  # type: ignore[arg-type]
            super().process_request_thread(request, client_address)  # type: ignore[arg-type]

    def handle_error(self, *_: object) -> None:
        """Keep quiet."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Guarded

    def do_GET(self) -> None:
        header = self.headers["authorization"]
        self.server.seen.append((self.path, header))
        known = self.server.admits is None or header == self.server.admits
        body = ANSWER if known else REFUSAL
        self.send_response(200 if known else 401)
        self.send_header("x-elastic-product", "Elasticsearch")
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def server_context(leaf: trustme.LeafCert, *, ca: trustme.CA | None = None) -> ssl.SSLContext:
    """For a server with this certificate, which shows its CA's as well if that is given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    if ca is not None:
        chain = b"".join(part.bytes() for part in (*leaf.cert_chain_pems, ca.cert_pem))
        with trustme.Blob(leaf.private_key_pem.bytes() + chain).tempfile() as path:
            context.load_cert_chain(path)
    return context
