"""A follower of many log files: how soon the first line and all lines are in, what it takes when idle, how soon it ends.

python tests/bench/many_files.py [FILES ...]
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from elasticsearch import Elasticsearch

from indexer.demo.embedded import Embedded
from indexer.elastic.client import connect
from indexer.elastic.cluster import Cluster
from indexer.settings import Connection
from indexer.setup.templates import install
from tests.conftest import in_memory

IDLE = 15.0
"""Seconds for which the idle process is watched, and for which it is left alone before."""


def main() -> None:
    """Print the table."""
    counts = [int(count) for count in sys.argv[1:]] or [1, 1000, 10_000]
    print("| files | first line, s | all, s | idle, % of a core | end after SIGTERM, s | second start, s |")
    print("| --- | --- | --- | --- | --- | --- |")
    with Embedded(parent=in_memory()) as server:
        for count in counts:
            print(
                f"| {count:,} | {' | '.join(f'{x:.2f}' for x in measured(server.url, count))} |", flush=True
            )


def measured(url: str, count: int) -> tuple[float, ...]:
    """Measure one number of files."""
    connection = Connection(elasticsearch_url=[url], alias=f"many{count}-activity")
    with connect(connection) as client, tempfile.TemporaryDirectory() as directory:
        install(Cluster(client, connection))
        logs = Path(directory, "logs")
        logs.mkdir()
        for number in range(count):
            (logs / f"{number:06}-activity.log").write_bytes(b'{"n":%d}\n' % number)
        environment = os.environ | {
            "INDEXER_ELASTICSEARCH_URL": url,
            "INDEXER_ALIAS": connection.alias,
            "INDEXER_STATE_DIR": f"{directory}/state",
        }
        command = [sys.executable, "-m", "indexer", "run", str(logs)]
        started = time.monotonic()
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        first = until(client, connection.alias, 1) - started
        every = until(client, connection.alias, count) - started
        time.sleep(IDLE)
        used, since = cpu(process.pid), time.monotonic()
        time.sleep(IDLE)
        idle = 100 * (cpu(process.pid) - used) / (time.monotonic() - since)
        end = ended(process)
        (logs / f"{count - 1:06}-activity.log").open("ab").write(b'{"n":-1}\n')
        started = time.monotonic()
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        again = until(client, connection.alias, count + 1) - started
        ended(process)
    return first, every, idle, end, again


def until(client: Elasticsearch, alias: str, count: int) -> float:
    """Wait until so many entries are there; when that was."""
    while True:
        client.indices.refresh(index=alias)
        if client.count(index=alias)["count"] >= count:
            return time.monotonic()
        time.sleep(0.02)


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def ended(process: subprocess.Popen[bytes]) -> float:
    """Ask a process to end; how many seconds it took."""
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.wait()
    return time.monotonic() - started


if __name__ == "__main__":
    main()
