"""How fast `indexer verify` is beside the indexing that it checks, in each of its ways, and what it takes.

    python tests/bench/verify.py [--elasticsearch-url URL] [--count 100000] [--rounds 3] [PART ...]

Parts: speed, crossing, memory; all if none is named.

In each round a log is indexed into an index made anew with the shipped template, then verified by looking each line up and
by a scan of the whole index: the speed is a ratio made within a round. Start-up, what either takes for an empty log, is
taken off. Each command is a process of its own, its CPU and memory are the operating system's figures.

crossing: the beginning of the log against the whole index. Where both ways take as long, entries for each line are scanned
in the time in which it is looked up: SCANNED_MEANWHILE in verify/whole_index.py.
"""

import statistics
import sys
from collections.abc import Callable

from contenders import HERE, Bench, Job, Usage, measure, ours
from rich.console import Console
from rich.table import Table
from turns import Turns, arguments, middle, prepared, ratio, turn

MB = 1_000_000
WAYS = ("look-up", "scan")
FRACTIONS = (2, 4, 8, 16, 32)


def verify(bench: Bench, job: Job, way: str) -> Usage:
    """`indexer verify`; it has to agree."""
    script = str(HERE / "verifying.py")
    return measure([sys.executable, script, way, bench.url, str(bench.scratch()), str(job.log)])


def each_way(bench: Bench, job: Job) -> list[Usage]:
    """In turns."""
    return [verify(bench, job, way) for way in WAYS]


def speed(bench: Bench, job: Job, rounds: int) -> Table:
    """Indexing and verifying in turns; the first round is not counted."""
    nothing = Job.of(bench.directory / "nothing", [])
    starts: list[list[Usage]] = []
    found: list[list[Usage]] = []
    for _ in range(rounds + 1):
        starts.append([turn(bench, ours, nothing), *each_way(bench, nothing)])
        found.append([turn(bench, ours, job), *each_way(bench, job)])
    turns = []
    for command in range(1 + len(WAYS)):
        start = middle([usages[command] for usages in starts[1:]])
        turns.append(Turns(start, [usages[command] - start for usages in found[1:]], job.count))
    table = Table("", title="Indexing, and verifying what was indexed")
    for heading in ("entries/s", "× indexing", "client CPU µs/entry", "peak RSS MB", "start-up s"):
        table.add_column(heading, justify="right")
    names = ("indexer run --once", *(f"indexer verify, {way}" for way in WAYS))
    for name, it in zip(names, turns, strict=True):
        table.add_row(
            name,
            f"{statistics.median(it.speeds):,.0f}",
            f"{ratio(it.speeds, turns[0].speeds):.2f}",
            f"{statistics.median(it.costs):.1f}",
            f"{it.memory:.0f}",
            f"{it.start.seconds:.2f}",
        )
    return table


def crossing(bench: Bench, job: Job, rounds: int) -> Table:
    """Fewer and fewer lines of an index of all."""
    turn(bench, ours, job)
    nothing = Job.of(bench.directory / "no lines", [])
    start = middle([verify(bench, nothing, "look-up") for _ in range(rounds)]).seconds
    lines = job.log.read_bytes().splitlines(keepends=True)
    table = Table("entries for each line", *(f"{way} s" for way in WAYS), title="Few lines, a large index")
    for fraction in FRACTIONS:
        log = bench.directory / f"{fraction}.log"
        log.write_bytes(b"".join(lines[: len(lines) // fraction]))
        part = Job(log, job.bodies, len(lines) // fraction)
        usages = [each_way(bench, part) for _ in range(rounds)]
        seconds = [middle(list(each)).seconds - start for each in zip(*usages, strict=True)]
        table.add_row(f"{fraction}", *(f"{it:.2f}" for it in seconds))
    return table


def memory(bench: Bench, job: Job, _: int) -> Table:
    """The same for little and for much."""
    table = Table("log", "way", "seconds", "peak RSS MB", title="Memory of `indexer verify`")
    for size in (100 * MB, 400 * MB):
        much = job.repeated(bench.directory / f"{size}.log", size)
        turn(bench, ours, much)
        for way, usage in zip(WAYS, each_way(bench, much), strict=True):
            table.add_row(f"{size // MB:,} MB", way, f"{usage.seconds:.1f}", f"{usage.memory:.1f}")
        much.log.unlink()
    return table


PARTS: dict[str, Callable[[Bench, Job, int], Table]] = {
    "speed": speed,
    "crossing": crossing,
    "memory": memory,
}


def main() -> None:
    given = arguments(__doc__, PARTS)
    console = Console(width=110)
    with prepared(given, console) as (bench, job):
        for name in given.parts or PARTS:
            console.print(PARTS[name](bench, job, given.rounds))


if __name__ == "__main__":
    main()
