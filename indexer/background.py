"""Work that is done again and again beside the delivery, and survives whatever it meets."""

import threading
from collections.abc import Callable

from indexer.errors import Fatal


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
