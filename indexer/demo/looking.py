"""Looking at a server that is coming or going."""

import http.client
import ssl
import time
from collections.abc import Callable
from urllib.parse import urlsplit

POLL = 0.05
"""Seconds between looks."""


def until(condition: Callable[[], bool], timeout: float) -> bool:
    """Look until it holds; False if that takes longer than `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return True


def status_of(url: str, path: str) -> int | None:
    """The status of the answer to a GET, None if there is none; past any proxy that the environment names."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.netloc, timeout=5)
    if address.scheme == "https":  # that it is up is all that is asked, and no secret is sent
        unverified = ssl._create_unverified_context()  # noqa: S323, SLF001
        connection = http.client.HTTPSConnection(address.netloc, timeout=5, context=unverified)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
