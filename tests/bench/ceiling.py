"""The ceiling: bulk bodies that lie ready are sent by plain HTTP connections, and nothing else is done.

    python ceiling.py HOST PORT PATH DIRECTORY

Each file of the directory is a body. Two threads with a connection each; an answer that tells of an error ends it.
"""

import http.client
import mmap
import queue
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CONNECTIONS = 2


def send_all(bodies: "queue.SimpleQueue[Path]", host: str, port: int, path: str) -> None:
    connection = http.client.HTTPConnection(host, port)
    while not bodies.empty():
        try:
            file = bodies.get_nowait()
        except queue.Empty:  # the other thread was quicker
            return
        with (
            file.open("rb") as opened,
            mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
            memoryview(mapped) as body,
        ):
            connection.request("POST", path, body, {"Content-Type": "application/x-ndjson"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200 or not text.startswith(b'{"errors":false'):
                raise RuntimeError(text[:300])


def main() -> None:
    host, port, path, directory = sys.argv[1:]
    bodies: queue.SimpleQueue[Path] = queue.SimpleQueue()
    for file in sorted(Path(directory).iterdir()):
        bodies.put(file)
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for sending in [pool.submit(send_all, bodies, host, int(port), path) for _ in range(CONNECTIONS)]:
            sending.result()


if __name__ == "__main__":
    main()
