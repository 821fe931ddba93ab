"""The indexer as it follows logs, in a process of its own, and when it acknowledges what.

    python following.py URL STATE_DIR polling|inotify|sealed MILLISECONDS LOG ...

`sealed` polls, and seals what it delivers.

Says `caught up` on standard output once all that the logs held at first is acknowledged, and again for each number of
further bytes that comes on standard input. Ends when standard input does, and then prints for each acknowledgement: the
further bytes of log acknowledged, and the moment (CLOCK_MONOTONIC, ns).
An acknowledgement counts when the pipeline makes it, later than Elasticsearch's answer by its own wait.
"""

import sys
import threading
import time
from pathlib import Path

from noticing import Inotify, Polling

from indexer.events import Events, Totals
from indexer.run import RunOptions, run
from indexer.seals.keys import create_key
from indexer.settings import Connection, Delivery, LogFiles, Seals, State


class Acknowledgements(Events):
    """Notes the moment of each, and says when what is expected is acknowledged."""

    def __init__(self, already: int) -> None:
        """`already` is how many bytes the logs hold."""
        self._lock = threading.Lock()
        self._bytes = -already
        self._expected: int | None = 0
        self._moments: list[tuple[int, int]] = []

    def batch_acknowledged(self, totals: Totals, seconds: float) -> None:
        """Note it."""
        moment = time.monotonic_ns()
        with self._lock:
            self._bytes += totals.bytes
            self._moments.append((self._bytes, moment))
            self._say_if_caught_up()

    def expect(self, size: int) -> None:
        """Wait for so many bytes beyond those that the logs held at first."""
        with self._lock:
            self._expected = size
            self._say_if_caught_up()

    def _say_if_caught_up(self) -> None:
        if self._bytes == self._expected:
            self._expected = None
            print("caught up", flush=True)

    def __str__(self) -> str:
        return "\n".join(f"{size} {moment}" for size, moment in self._moments if size > 0)


def obey(heard: Acknowledgements, stop: threading.Event) -> None:
    for size in sys.stdin:
        heard.expect(int(size))
    stop.set()


def main() -> None:
    url, state, way, milliseconds, *logs = sys.argv[1:]
    paths = [Path(log) for log in logs]
    heard = Acknowledgements(sum(path.stat().st_size for path in paths))
    stop = (Inotify if way == "inotify" else Polling)(paths, int(milliseconds) / 1000)
    threading.Thread(target=obey, args=(heard, stop), daemon=True).start()
    connection = Connection(elasticsearch_url=[url])
    delivery = Delivery(poll_interval=stop.seconds)
    seals = Seals()
    if way == "sealed":
        seals = Seals(seal_key_file=Path(f"{state}.key"), seal_every="2s")
        create_key(Path(f"{state}.key"))
    options = RunOptions(LogFiles(logs), connection, State(state_dir=Path(state)), delivery, seals=seals)
    run(options, heard, stop)
    print(heard)


if __name__ == "__main__":
    main()
