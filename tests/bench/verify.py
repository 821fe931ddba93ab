"""How fast `indexer verify` is beside the indexing that it checks, and what it takes.

    python tests/bench/verify.py [--elasticsearch-url URL] [--count 100000] [--rounds 3] [PART ...]

Parts: speed, memory; both if none is named.

In each round a log is indexed into an index made anew with the shipped template, then verified: the speed is a ratio made
within a round. Start-up, what either takes for an empty log, is taken off. Each command is a process of its own, its CPU
and memory are the operating system's figures.
"""

import argparse
import statistics
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

from contenders import INDEXER, Bench, Job, Usage, measure, ours
from rich.console import Console
from rich.table import Table
from turns import Turns, middle, ratio, turn

from indexer.demo.embedded import Embedded, Java
from indexer.demo.sample import entries
from indexer.elastic.client import connect, inspect_server
from indexer.settings import Connection

END = datetime(2026, 11, 23, tzinfo=UTC)
MB = 1_000_000


def verify(bench: Bench, job: Job) -> Usage:
    """`indexer verify`; it has to agree."""
    where = ["--elasticsearch-url", bench.url, "--state-dir", str(bench.scratch())]
    return measure([INDEXER, "verify", *where, str(job.log)])


def speed(bench: Bench, job: Job, rounds: int) -> Table:
    """Indexing and verifying in turns; the first round is not counted."""
    nothing = Job.of(bench.directory / "nothing", [])
    starts: list[tuple[Usage, Usage]] = []
    found: list[tuple[Usage, Usage]] = []
    for _ in range(rounds + 1):
        starts.append((turn(bench, ours, nothing), verify(bench, nothing)))
        found.append((turn(bench, ours, job), verify(bench, job)))
    turns = []
    for command in (0, 1):
        start = middle([pair[command] for pair in starts[1:]])
        turns.append(Turns(start, [pair[command] - start for pair in found[1:]], job.count))
    table = Table("", title="Indexing, and verifying what was indexed")
    for heading in ("entries/s", "× indexing", "client CPU µs/entry", "peak RSS MB", "start-up s"):
        table.add_column(heading, justify="right")
    for name, it in zip(("indexer run --once", "indexer verify"), turns, strict=True):
        table.add_row(
            name,
            f"{statistics.median(it.speeds):,.0f}",
            f"{ratio(it.speeds, turns[0].speeds):.2f}",
            f"{statistics.median(it.costs):.1f}",
            f"{it.memory:.0f}",
            f"{it.start.seconds:.2f}",
        )
    return table


def memory(bench: Bench, job: Job, _: int) -> Table:
    """The same for little and for much."""
    lines = job.log.read_bytes().splitlines(keepends=True)
    table = Table("log", "seconds", "peak RSS MB", title="Memory of `indexer verify`")
    for size in (100 * MB, 400 * MB):
        log, count, left = bench.directory / f"{size}.log", 0, size
        with log.open("wb") as file:
            for line in cycle(lines):
                left -= file.write(line)
                count += 1
                if left <= 0:
                    break
        much = Job(log, job.bodies, count)
        turn(bench, ours, much)
        usage = verify(bench, much)
        table.add_row(f"{size // MB:,} MB", f"{usage.seconds:.1f}", f"{usage.memory:.1f}")
        log.unlink()
    return table


PARTS: dict[str, Callable[[Bench, Job, int], Table]] = {"speed": speed, "memory": memory}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all if none is named")
    parser.add_argument("--elasticsearch-url", help="an embedded server is started if none is given")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="indexer-bench-")))
        # The options that make the embedded server start fast make it slow afterwards.
        url = given.elasticsearch_url or stack.enter_context(Embedded(java=Java(heap=1024, flags=()))).url
        connection = Connection(elasticsearch_url=[url], request_timeout=600)
        client = stack.enter_context(connect(connection))
        job = Job.of(directory / "job", entries(given.count, end=END))
        console = Console(width=110)
        size = job.log.stat().st_size / job.count
        console.print(f"Elasticsearch {inspect_server(client)}, {job.count:,} entries of {size:.0f} B")
        for name in given.parts or PARTS:
            console.print(PARTS[name](Bench(client, connection, directory), job, given.rounds))


if __name__ == "__main__":
    main()
