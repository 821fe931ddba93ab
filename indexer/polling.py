"""Doing something again and again: background work until a stop, waiting for a condition."""

import http.client
import ssl
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from indexer.errors import Fatal

POLL = 0.05
"""Seconds between looks."""


def repeat(
    name: str,
    work: Callable[[], object],
    every: float,
    failed: Callable[[str], None],
    stop: threading.Event,
) -> threading.Thread:
    """Give the thread, to be started, that calls `work` until `stop`.

    every   seconds between the end of one call and the next.
    failed  told the sentence of what a call raised; the next one comes all the same.
    """

    def until_stopped() -> None:
        while not stop.is_set():
            try:
                work()
            except Fatal as error:
                failed(str(error))
            except Exception as error:  # noqa: BLE001 - an answer that nobody foresaw ends no thread
                failed(f"Unexpected: {type(error).__name__}: {error}.")
            stop.wait(every)

    return threading.Thread(target=until_stopped, name=name, daemon=True)


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
