"""HTTP servers of our own, that answer what a test says."""

import contextlib
import http.client
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Respond = Callable[[BaseHTTPRequestHandler], None]


@contextlib.contextmanager
def serving(
    respond: Respond, *, listening: bool = True, tls: ssl.SSLContext | None = None
) -> Iterator[ThreadingHTTPServer]:
    """An HTTP server on a free port; unless `listening`, the test activates it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet, else the second waits for an acknowledgement

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = respond  # noqa: N815 - what http.server looks for

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
    server.server_bind()
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    if listening:
        server.server_activate()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def address(server: ThreadingHTTPServer) -> str:
    """Its URL."""
    return f"http://127.0.0.1:{server.server_port}"


def answer(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    """Answer a request."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    if status != 204:
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
