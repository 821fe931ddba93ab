"""The indexer as it follows logs, in a process of its own, and when it acknowledges what.

    python following.py URL STATE_DIR polling|inotify MILLISECONDS LOG ...

Says `caught up` on standard output once all that the logs hold is acknowledged. Ends when standard input does, and then
prints for each acknowledgement: the bytes of log acknowledged since it caught up, and the moment (CLOCK_MONOTONIC, ns).
An acknowledgement counts when the pipeline makes it, later than Elasticsearch's answer by its own wait.
"""

import sys
import threading
import time
from pathlib import Path

from noticing import Inotify, Polling

from indexer.events import Events, Totals
from indexer.run import run
from indexer.settings import Connection, Delivery, State


class Acknowledgements(Events):
    """Notes the moment of each."""

    def __init__(self, already: int) -> None:
        """`already` is how many bytes the logs hold."""
        self._bytes = -already
        self._moments: list[tuple[int, int]] = []

    def batch_acknowledged(self, totals: Totals, seconds: float) -> None:
        """Note it, and say so when it is the one that catches up."""
        behind = self._bytes < 0
        self._bytes += totals.bytes
        if self._bytes > 0:
            self._moments.append((self._bytes, time.monotonic_ns()))
        elif behind and self._bytes == 0:
            print("caught up", flush=True)

    def __str__(self) -> str:
        return "\n".join(f"{size} {moment}" for size, moment in self._moments)


def stop_at_end_of_input(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


def main() -> None:
    url, state, way, milliseconds, *logs = sys.argv[1:]
    paths = [Path(log) for log in logs]
    heard = Acknowledgements(sum(path.stat().st_size for path in paths))
    stop = (Inotify if way == "inotify" else Polling)(paths, int(milliseconds) / 1000)
    threading.Thread(target=stop_at_end_of_input, args=(stop,), daemon=True).start()
    run(
        logs,
        Connection(elasticsearch_url=[url]),
        Delivery(poll_interval=stop.seconds),
        State(state_dir=Path(state)),
        heard,
        stop,
        once=False,
    )
    print(heard)


if __name__ == "__main__":
    main()
