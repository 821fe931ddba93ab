"""How long after a line is written the indexer acknowledges it, and what following costs, for each way to notice growth.

    python tests/bench/latency.py [--elasticsearch-url URL] [--rate 1000] [--seconds 8] [--idle 6] [WAY ...]

A way is `polling`, `inotify` or `sealed` with milliseconds: between looks, or for which to gather what follows a report;
`sealed` polls, and seals every two seconds. A
process appends lines one by one to a log; beside it lie nine logs that nobody writes to. Another process follows all ten
as `indexer run` does. Latency runs from right before the line is written until the pipeline acknowledges the batch
that it is in. CPU is the following process's own, in percent of a core: while one log grows, and while none does.
"""

import argparse
import subprocess
import sys
import time
from bisect import bisect_left
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory

from elasticsearch import Elasticsearch
from rich.console import Console
from rich.table import Column, Table

from indexer.demo import sample
from indexer.demo.embedded import Embedded, Java
from indexer.demo.profiles import Profile
from indexer.elastic.client import connect
from indexer.elastic.cluster import Cluster
from indexer.settings import Connection, Delivery
from indexer.setup.templates import install

HERE = Path(__file__).parent
SHIPPED = f"polling {Delivery().poll_interval * 1000:.0f}"
WARM_UP = "polling 20"
WAYS = (
    "polling 10",
    "polling 25",
    "polling 50",
    "polling 100",
    "inotify 0",
    "inotify 10",
    "inotify 25",
    "sealed 50",
)
IDLE_LOGS = 9
SETTLED = 1.5
"""Seconds after the last acknowledgement in which there is still a checkpoint to write."""
BOUNDS = (10, 25, 50, 75, 100, 150, 250, 500, 1000)
"""Milliseconds: upper ends of the classes of the distribution."""
END = datetime(2026, 11, 23, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Load:
    """What is written, and for how long it is not."""

    rate: float
    """Lines a second."""
    seconds: float
    idle: float
    """Seconds."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a way came to."""

    latencies: list[float]
    """Milliseconds, ascending."""
    batches: int
    busy: float
    """Percent of a core while a log grew."""
    idle: float
    """Percent of a core while none did."""

    def percentile(self, part: float) -> float:
        """So many milliseconds at most, for this part of the lines."""
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * part))]


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process has used (clock_getcpuclockid(3): how Linux numbers that clock)."""
    return time.clock_gettime(~pid << 3 | 2)


def latencies(written: list[tuple[int, int]], acknowledged: list[tuple[int, int]]) -> list[float]:
    """Match lines with the first acknowledgement that reaches their end; both are (offset, nanoseconds)."""
    reached = [
        (acknowledged[bisect_left(acknowledged, end, key=itemgetter(0))][1], moment)
        for end, moment in written
    ]
    return sorted((then - moment) / 1e6 for then, moment in reached)


def pairs(text: str) -> list[tuple[int, int]]:
    return [(int(first), int(second)) for first, second in map(str.split, text.splitlines())]


def try_out(way: str, url: str, directory: Path, load: Load) -> Result:
    """Follow one log that grows and nine that do not."""
    directory.mkdir()
    logs = [directory / f"{number}-activity.log" for number in range(IDLE_LOGS)]
    for number, log in enumerate(logs):
        sample.write(log, 100, end=END, seed=number + 2, profile=Profile.ZOOMDATA_2)
    live, source = directory / "live-activity.log", directory / "sample"
    live.touch()
    sample.write(source, 5_000, end=END, profile=Profile.ZOOMDATA_2)
    follow = [
        sys.executable,
        str(HERE / "following.py"),
        url,
        str(directory / "state"),
        *way.split(),
        str(live),
    ]
    append = [
        sys.executable,
        "-I",
        str(HERE / "appending.py"),
        str(live),
        str(source),
        str(load.rate),
        str(load.seconds),
    ]
    with subprocess.Popen(
        [*follow, *map(str, logs)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as following:
        assert following.stdin is not None
        assert following.stdout is not None
        assert following.stdout.readline() == "caught up\n"
        start = cpu_of(following.pid)
        written = pairs(subprocess.run(append, stdout=subprocess.PIPE, text=True, check=True).stdout)
        busy = (cpu_of(following.pid) - start) / load.seconds
        print(written[-1][0], file=following.stdin, flush=True)
        assert following.stdout.readline() == "caught up\n"
        time.sleep(SETTLED)
        start = cpu_of(following.pid)
        time.sleep(load.idle)
        idle = (cpu_of(following.pid) - start) / load.idle
        said, _ = following.communicate()
    acknowledged = pairs(said)
    return Result(latencies(written, acknowledged), len(acknowledged), busy * 100, idle * 100)


def fresh_index(client: Elasticsearch, connection: Connection) -> None:
    client.options(ignore_status=404).indices.delete(index=f"{connection.alias}-000001")
    install(Cluster(client, connection))


def figures(results: dict[str, Result]) -> Table:
    """A row for each way."""
    table = Table("noticed by, ms", title="From a line's writing to its acknowledgement, ms")
    for heading in ("p50", "p90", "p99", "max", "batches", "CPU growing, %", "CPU idle, %"):
        table.add_column(heading, justify="right")
    for way, it in results.items():
        table.add_row(
            way,
            *(f"{it.percentile(part):.0f}" for part in (0.5, 0.9, 0.99, 1)),
            f"{it.batches:,}",
            f"{it.busy:.1f}",
            f"{it.idle:.2f}",
        )
    return table


def distribution(way: str, result: Result) -> Table:
    """How many lines took how long."""
    table = Table(
        Column("up to ms", justify="right"),
        Column("lines", justify="right"),
        "",
        title=f"Distribution: {way}",
    )
    below, total = 0, len(result.latencies)
    for bound in (*BOUNDS, float("inf")):
        reached = bisect_left(result.latencies, bound)
        share = (reached - below) / total
        table.add_row(f"{bound:g}", f"{share:.1%}", "█" * round(share * 50))
        below = reached
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument(
        "ways", nargs="*", metavar="WAY", help=f"such as 'polling 50'; default: {', '.join(WAYS)}"
    )
    parser.add_argument("--elasticsearch-url", help="an embedded server is started if none is given")
    parser.add_argument("--rate", type=float, default=1000, help="lines a second")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--idle", type=float, default=6, help="seconds without growth")
    given = parser.parse_args()
    load, console = Load(given.rate, given.seconds, given.idle), Console(width=100)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="indexer-bench-")))
        url = given.elasticsearch_url or stack.enter_context(Embedded(java=Java(heap=1024, flags=()))).url
        connection = Connection(elasticsearch_url=[url])
        client = stack.enter_context(connect(connection))
        results: dict[str, Result] = {}
        for way in (WARM_UP, *(given.ways or WAYS)):
            fresh_index(client, connection)
            results[way] = try_out(way, url, directory / way.replace(" ", "-"), load)
    del results[WARM_UP]
    console.print(f"{load.rate:g} lines a second, for {load.seconds:g} s; ten logs, one of which grows")
    console.print(figures(results))
    shown = SHIPPED if SHIPPED in results else next(iter(results))
    console.print(distribution(shown, results[shown]))
    p99 = results[shown].percentile(0.99)
    console.print(f"99 % within 250 ms ({shown}): {p99:.0f} ms, {'met' if p99 <= 250 else 'not met'}")


if __name__ == "__main__":
    main()
