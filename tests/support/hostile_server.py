"""A hostile server: it answers each connection with the raw bytes that a test gives."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator

Say = Callable[[bytes], Iterable[bytes]]
"""The parts of the answer to a request; an empty part is a pause of 50 ms."""
HEADER = b"HTTP/1.1 200 OK\r\nX-Elastic-Product: Elasticsearch\r\nContent-Type: application/json\r\n"


@contextlib.contextmanager
def hostile(say: Say) -> Iterator[str]:
    """Serve on a free port until the end of the block; give the address."""
    over = threading.Event()

    def speak(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(20)
            while not over.is_set() and (request := _request(connection)):
                for fragment in say(request):
                    if over.is_set():
                        return
                    if fragment:
                        connection.sendall(fragment)
                    else:
                        time.sleep(0.05)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while not over.is_set():
                connection, _ = listening.accept()
                threading.Thread(target=speak, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            over.set()
            listening.shutdown(socket.SHUT_RDWR)


def whole(body: bytes, status: int = 200) -> bytes:
    """One complete answer of Elasticsearch's."""
    return HEADER.replace(b"200 OK", b"%d X" % status) + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def _request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (fragment := connection.recv(65536)):
            return b""
        data += fragment
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        ),
        0,
    )
    while len(body) < length:
        if not (fragment := connection.recv(65536)):
            return b""
        body += fragment
    return head + b"\r\n\r\n" + body
