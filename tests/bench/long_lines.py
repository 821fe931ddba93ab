"""Peak memory of `indexer run --once` by the length of the longest line of its log.

python tests/bench/long_lines.py [MEGABYTES ...]
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from indexer.demo.embedded import Embedded
from indexer.elastic.client import connect
from indexer.elastic.cluster import Cluster
from indexer.settings import Connection
from indexer.setup.templates import install
from tests.conftest import in_memory

MEGABYTE = 1_000_000
LENGTHS = (1, 4, 8, 12, 16, 20, 40, 100, 400)
SHORT = b'{"n":%d}\n'


def main() -> None:
    """Print the table."""
    lengths = [int(length) for length in sys.argv[1:]] or LENGTHS
    print("| line, MB | peak, MB | created | rejected |")
    print("| --- | --- | --- | --- |")
    with Embedded(parent=in_memory()) as server:
        for length in lengths:
            print(f"| {length} | {' | '.join(map(str, measured(server.url, length)))} |", flush=True)


def measured(url: str, length: int) -> tuple[int, int, int]:
    """Peak memory in MB, entries created, lines rejected."""
    connection = Connection(elasticsearch_url=[url], alias=f"long{length}-activity")
    with connect(connection) as client, tempfile.TemporaryDirectory() as directory:
        install(Cluster(client, connection))
        log = Path(directory, "activity.log")
        with log.open("wb") as file:  # in parts: a process begins with the peak of the one that started it
            file.write(SHORT % 1 + b'{"n":2,"payload":"')
            for _ in range(length):
                file.write(b"x" * MEGABYTE)
            file.write(b'"}\n' + SHORT % 3)
        options = {
            "INDEXER_ELASTICSEARCH_URL": url,
            "INDEXER_ALIAS": connection.alias,
            "INDEXER_STATE_DIR": f"{directory}/state",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "indexer", "run", "--once", str(log)],
            env=os.environ | options,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        _, _, used = os.wait4(process.pid, 0)
        client.indices.refresh(index=connection.alias)
        created = client.count(index=connection.alias)["count"]
    return used.ru_maxrss // 1000, created, 3 - created


if __name__ == "__main__":
    main()
