"""urllib3's connections with answers bounded in size and time, whatever a server or proxy sends.

    size  a fixed limit, plus a multiple of the request's size, plus what the caller expects
    time  the timeout is for the whole answer, from the status line to the last byte, and not for each read

Answers are not decompressed: compression is never requested, and a small compressed answer can be large.
"""

import http.client
import io
import socket
import time
from functools import partial
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

MEBIBYTE = 1024 * 1024
LARGEST = 16 * MEBIBYTE
"""Bytes allowed for any answer: a mapping of 2,000 fields has 0.2 MB, an alias with 10,000 indices 1 MB."""
TIMES = 8
"""Bytes allowed for each byte of the request: each cause of a rejection quotes the entry."""
RECORD = 16 * 1024
"""Bytes of the largest TLS record."""


class TooLarge(http.client.HTTPException):
    """The answer exceeds its limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"its answer has more than {limit:,} bytes")


class _Incoming(io.RawIOBase):
    """The incoming bytes of one answer. Stands for the socket, of which http.client uses only `makefile`."""

    def __init__(self, sock: socket.socket, limit: int) -> None:
        self._sock = sock
        self._file = sock.makefile("rb", buffering=0)
        self.limit = self._left = limit
        seconds = sock.gettimeout()
        self._until = None if seconds is None else time.monotonic() + seconds

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read once. Raises TimeoutError, TooLarge, and what a socket raises."""
        if self._until is not None:
            self._sock.settimeout(_left(self._until))
        count = self._file.readinto(buffer)
        self._left -= count or 0
        if self._left < 0:
            raise TooLarge(self.limit)
        return int(count) if count is not None else None

    def close(self) -> None:
        self._file.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, limit: int, **how: Any) -> None:
        self._limit = limit
        super().__init__(_Incoming(sock, limit), *args, **how)  # type: ignore[arg-type] # it has the file

    def begin(self) -> None:
        """Read the headers, and drop the one that causes decompression."""
        super().begin()
        del self.headers["content-encoding"]

    def _safe_read(self, amt: int) -> bytes:
        """Read a body or chunk of the length that the server announces: http.client allocates it at once."""
        if not 0 <= amt <= self._limit:
            raise TooLarge(self._limit)
        return bytes(super()._safe_read(amt))  # type: ignore[misc]


class _Bounded:
    """A mixin for connections of http.client and urllib3."""

    expects = 0
    """Bytes allowed for an answer in addition."""
    response_class: Any
    sock: Any
    timeout: Any

    def request(self, method: str, url: str, body: Any = None, *args: Any, **how: Any) -> None:
        """Send a request, and set the limit of its answer."""
        limit = LARGEST + TIMES * len(body or b"") + self.expects
        self.response_class = partial(_Answer, limit=limit)
        super().request(method, url, body, *args, **how)  # type: ignore[misc]


def _left(until: float) -> float:
    """The remaining seconds. Raises TimeoutError."""
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


class Plain(_Bounded, HTTPConnection):
    """A connection without TLS."""


class Secure(_Bounded, HTTPSConnection):
    """A connection with TLS."""

    def send(self, data: Any) -> None:
        """Send within the timeout as a whole: `sendall` would apply it to each record."""
        seconds = self.timeout if isinstance(self.timeout, (int, float)) else None
        until = None if seconds is None else time.monotonic() + seconds
        view = memoryview(data)
        for start in range(0, len(view), RECORD):
            if until is not None and start:
                self.sock.settimeout(_left(until))
            super().send(view[start : start + RECORD])


class Bare(_Bounded, http.client.HTTPConnection):
    """A connection of the standard library."""


class PlainPool(HTTPConnectionPool):
    """Connections to one server."""

    ConnectionCls = Plain


class SecurePool(HTTPSConnectionPool):
    """The same with TLS."""

    ConnectionCls = Secure
