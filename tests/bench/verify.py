"""How fast `indexer verify` is beside the indexing that it checks, and what it takes.

    python tests/bench/verify.py [--elasticsearch-url URL] [--count 100000] [--rounds 3] [PART ...]

Parts: speed, memory; both if none is named.

In each round a log is indexed into an index made anew with the shipped template, then verified: the speed is a ratio made
within a round. Start-up, what either takes for an empty log, is taken off. Each command is a process of its own, its CPU
and memory are the operating system's figures.
"""

import statistics
from collections.abc import Callable

from contenders import INDEXER, Bench, Job, Usage, measure, ours
from rich.console import Console
from rich.table import Table
from turns import Turns, arguments, middle, prepared, ratio, turn

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
    table = Table("log", "seconds", "peak RSS MB", title="Memory of `indexer verify`")
    for size in (100 * MB, 400 * MB):
        much = job.repeated(bench.directory / f"{size}.log", size)
        turn(bench, ours, much)
        usage = verify(bench, much)
        table.add_row(f"{size // MB:,} MB", f"{usage.seconds:.1f}", f"{usage.memory:.1f}")
        much.log.unlink()
    return table


PARTS: dict[str, Callable[[Bench, Job, int], Table]] = {"speed": speed, "memory": memory}


def main() -> None:
    given = arguments(__doc__, PARTS)
    console = Console(width=110)
    with prepared(given, console) as (bench, job):
        for name in given.parts or PARTS:
            console.print(PARTS[name](bench, job, given.rounds))


if __name__ == "__main__":
    main()
