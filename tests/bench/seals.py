"""What sealing takes: CPU and memory of the indexer, and disk of the server; with and without, side by side.

    python tests/bench/seals.py [--elasticsearch-url URL] [--count 100000] [--rounds 3] [PART ...]

Parts: cost, disk; both if none is named. What it adds to the latency: `latency.py 'polling 50' 'sealed 50'`. What
verifying takes: `verify.py`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_urlsafe

from contenders import INDEXER, Bench, Job, Usage, bulk_bodies, measure, ours
from elasticsearch import Elasticsearch
from rich.console import Console
from rich.table import Table
from throughput import Aim, Task, aims_table
from turns import Turns, arguments, middle, prepared, ratio, start_afresh, turn

from indexer.elastic.cluster import Cluster
from indexer.reading.reader import BLOCK
from indexer.seals import store
from indexer.seals.keys import create_key
from indexer.seals.leaves import Chunk, Head, checkpoint_document, now
from indexer.seals.lines import Lines
from indexer.seals.sealer import MOST_LINES

SLOW = 3600
"""Lines of an hour at one entry a second: a leaf."""
ROUNDS = 5
"""Rounds that count for the cost: it is small beside the noise."""


def sealing(bench: Bench, job: Job) -> Usage:
    """`indexer run --once --seal-key-file`."""
    directory = bench.scratch()
    create_key(directory / "key")
    where = ["--elasticsearch-url", bench.url, "--state-dir", str(directory / "state")]
    return measure(
        [INDEXER, "run", "--once", "--seal-key-file", str(directory / "key"), *where, str(job.log)]
    )


def cost(task: Task) -> list[Aim]:
    """In turns, without and with."""
    ways = {"without seals": ours, "with seals": sealing}
    starts: dict[str, list[Usage]] = {name: [] for name in ways}
    turns: dict[str, list[Usage]] = {name: [] for name in ways}
    start_afresh(task.bench)
    for _ in range(max(task.rounds, ROUNDS) + 1):
        for name, way in ways.items():
            starts[name].append(way(task.bench, task.nothing))
            turns[name].append(turn(task.bench, way, task.job))
    results = {
        name: Turns(start := middle(starts[name][1:]), [it - start for it in turns[name][1:]], task.job.count)
        for name in ways
    }
    plain, sealed = results.values()
    more = sorted(mine - other for mine, other in zip(sealed.costs, plain.costs, strict=True))
    cpu, memory = more[len(more) // 2], sealed.memory - plain.memory
    table = Table("", "entries/s", "CPU µs/entry", "peak RSS MB", title="`indexer run --once`")
    for name, it in results.items():
        speeds, costs = sorted(it.speeds), sorted(it.costs)
        middle_one = len(speeds) // 2
        table.add_row(name, f"{speeds[middle_one]:,.0f}", f"{costs[middle_one]:.2f}", f"{it.memory:.0f}")
    task.console.print(table)
    speed = ratio(sealed.speeds, plain.speeds)
    return [
        Aim("CPU of sealing an entry", "≤ 1.2 µs", f"{cpu:.2f} µs", cpu <= 1.2),
        Aim("memory of sealing", "≤ 5 MB", f"{memory:.1f} MB", memory <= 5),
        Aim("throughput with seals", "the same (≥ 0.95)", f"{speed:.2f}", speed >= 0.95),
    ]


def disk(task: Task) -> list[Aim]:
    """At full rate, and at one entry a second with a seal an hour."""
    bench = task.bench
    turn(bench, ours, task.job)
    entries = size_of(bench.client, bench.index)
    table = Table("", "bytes/entry on disk", "of the entries", title="Disk of the server")
    table.add_row("entries", f"{entries / task.job.count:.1f}", "")
    aims = []
    rates = (("full rate", MOST_LINES, BLOCK // 950, 0.08), ("one entry a second", SLOW, 1, 0.25))
    for name, lines, together, limit in rates:
        seals = size_of_seals(bench, task.job.log, lines, together)
        table.add_row(f"seals, {name}", f"{seals / task.job.count:.1f}", f"{seals / entries:.1%}")
        aims.append(
            Aim(f"disk, {name}", f"≤ {limit:.0%}", f"{seals / entries:.1%}", seals <= limit * entries)
        )
    task.console.print(table)
    return aims


def size_of_seals(bench: Bench, log: Path, lines: int, together: int) -> int:
    """The size of the seals of a log: so many lines to a leaf and read together, a head and a checkpoint after each."""
    cluster = Cluster(bench.client, bench.connection)
    bench.client.options(ignore_status=404).indices.delete(index=bench.connection.seals)
    start_afresh(bench)
    for group in store.bodies(documents(log, lines, together)):
        assert store.create(cluster, group)
    return size_of(bench.client, bench.connection.seals)


def documents(log: Path, lines: int, together: int) -> Iterator[tuple[str, bytes]]:
    """Leaves of a log as the indexer makes them, each with what follows it."""
    offset = number = 0
    for batch in bulk_bodies(log):
        pairs = batch.body.pairs()
        for at in range(0, len(pairs), lines):
            some = pairs[at : at + lines]
            end = offset + sum(len(entry) + 1 for _, entry in some)
            packed = Lines()
            for first in range(0, len(some), together):
                ids, entries = zip(*some[first : first + together], strict=True)
                packed += Lines.of(ids, entries)
            chunk = Chunk(
                "3f0a9c2e", str(log), offset, end, len(some), 0, 0, packed, 0, "zoomdata-activity-000001"
            )
            yield store.leaf_id("0" * 16, number), chunk.leaf(now())
            yield store.leaf_id("0" * 16, number + 1), Head(3600, "400d", {"3f0a9c2e": end}).leaf(now())
            yield store.checkpoint_id("0" * 16, number + 2), checkpoint(number + 2)
            offset, number = end, number + 2


def checkpoint(size: int) -> bytes:
    """As large as one, and as random."""
    note = f"zoomdata-indexer/01234567/{'0' * 16}\n{size}\n{token_urlsafe(32)}\n\n— zoomdata-indexer/01234567 {token_urlsafe(68)}\n"
    return checkpoint_document("0" * 16, size, 3600, note, now())


def size_of(client: Elasticsearch, index: str) -> int:
    """Bytes of an index on disk."""
    client.indices.forcemerge(index=index, max_num_segments=1)
    client.indices.flush(index=index, force=True)
    client.indices.refresh(index=index)
    return int(
        client.indices.stats(index=index, metric="store")["_all"]["primaries"]["store"]["size_in_bytes"]
    )


PARTS: dict[str, Callable[[Task], list[Aim]]] = {"cost": cost, "disk": disk}


def main() -> None:
    given = arguments(__doc__, PARTS)
    console = Console(width=125)
    with prepared(given, console) as (bench, job):
        task = Task(bench, job, Job.of(bench.directory / "nothing", []), given.rounds, console)
        aims = [aim for name in given.parts or PARTS for aim in PARTS[name](task)]
    console.print(aims_table(aims))


if __name__ == "__main__":
    main()
