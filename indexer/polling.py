"""Polling: repeated work in a background thread, waiting for a condition."""

import http.client
import ssl
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from indexer.errors import Fatal

POLL = 0.05
"""Seconds between two checks of a condition."""


def repeat(
    name: str,
    work: Callable[[], object],
    every: float,
    failed: Callable[[str], None],
    stop: threading.Event,
) -> threading.Thread:
    """Create a thread, not started yet, that calls `work` until `stop`.

    every   seconds between the end of one call and the start of the next
    failed  called with the message of an exception that `work` raised; the thread goes on
    """

    def until_stopped() -> None:
        while not stop.is_set():
            try:
                work()
            except Fatal as error:
                failed(str(error))
            except Exception as error:  # noqa: BLE001 - an unexpected answer must not end the thread
                failed(f"Unexpected: {type(error).__name__}: {error}.")
            stop.wait(every)

    return threading.Thread(target=until_stopped, name=name, daemon=True)


def until(condition: Callable[[], bool], timeout: float) -> bool:
    """Wait until the condition holds; False after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return True


def status_of(url: str, path: str) -> int | None:
    """The HTTP status of a GET, or None without an answer. Ignores proxies of the environment."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.netloc, timeout=5)
    if address.scheme == "https":  # only checks that the server is up; sends no secret
        unverified = ssl._create_unverified_context()  # noqa: S323, SLF001
        connection = http.client.HTTPSConnection(address.netloc, timeout=5, context=unverified)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
