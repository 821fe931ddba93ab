"""How fast the indexer is and what it takes, beside other ways to get the same log into the same server.

    python tests/bench/throughput.py [--elasticsearch-url URL] [--count 100000] [--rounds 3] [PART ...]

Parts: speed, memory, mapping, help, stages; all of them if none is named. `speed` has rsyslog in it if Debian's packages
`rsyslog` and `rsyslog-elasticsearch` are installed; on OpenSearch it needs `pip install opensearch-py`.

The contenders take turns on a warm server, each turn into an index made anew with the shipped template; a first round
is not counted. A contender is a process of its own, its CPU and memory are the operating system's figures. What it
takes for an empty log, its start-up, is taken off. Server and client share the machine, as do the contenders their
round: ratios are made within a round, and hold better than the figures do.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import mapping
from contenders import (
    CEILING,
    INDEXER,
    OURS,
    STREAMING,
    Bench,
    Job,
    Usage,
    contenders,
    measure,
    ours,
)
from rich.console import Console
from rich.table import Column, Table
from stages import stages
from turns import Turns, arguments, middle, prepared, ratio, turn

MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Aim:
    """What the issue asks for, and what is."""

    what: str
    wanted: str
    figure: str
    met: bool


@dataclass(frozen=True, slots=True)
class Task:
    """What each part of the benchmark works on."""

    bench: Bench
    job: Job
    nothing: Job
    """An empty log."""
    rounds: int
    console: Console


def speed(task: Task) -> list[Aim]:
    """Everyone, in turns."""
    bench, job, known = task.bench, task.job, contenders()
    starts: dict[str, list[Usage]] = {name: [] for name in known}
    turns: dict[str, list[Usage]] = {name: [] for name in known}
    for number in range(task.rounds + 1):
        for name, contender in known.items():
            starts[name].append(contender(bench, task.nothing))
            turns[name].append(turn(bench, contender, job))
            took = turns[name][-1]
            task.console.print(
                f"round {number} of {task.rounds}: {name}, {took.seconds:.1f} s", style="dim", highlight=False
            )
    results = {
        name: Turns(start := middle(starts[name][1:]), [it - start for it in turns[name][1:]], job.count)
        for name in known
    }
    task.console.print(speed_table(results))
    return speed_aims(results)


def speed_table(results: dict[str, Turns]) -> Table:
    """A row for each contender."""
    table = Table(Column(no_wrap=True), title="Into the shipped template")
    for heading in (
        "entries/s",
        "× ceiling",
        "client CPU µs/entry",
        "÷ streaming_bulk",
        "peak RSS MB",
        "start-up s",
    ):
        table.add_column(heading, justify="right")
    for name, it in results.items():
        table.add_row(
            name,
            f"{statistics.median(it.speeds):,.0f}",
            f"{ratio(it.speeds, results[CEILING].speeds):.2f}",
            f"{statistics.median(it.costs):.1f}",
            f"1/{ratio(results[STREAMING].costs, it.costs):.1f}",
            f"{it.memory:.0f}",
            f"{it.start.seconds:.2f}",
        )
    return table


def speed_aims(results: dict[str, Turns]) -> list[Aim]:
    """Those of speed and of CPU."""
    mine = results[OURS]
    part = ratio(mine.speeds, results[CEILING].speeds)
    cost = statistics.median(mine.costs)
    saving = ratio(results[STREAMING].costs, mine.costs)
    return [
        Aim("throughput, of the ceiling's", "≥ 0.9", f"{part:.2f}", part >= 0.9),
        Aim("client CPU an entry", "≤ 4 µs", f"{cost:.1f} µs", cost <= 4),
        Aim("client CPU, of streaming_bulk's", "≤ 1/15", f"1/{saving:.1f}", saving >= 15),
    ]


def memory(task: Task) -> list[Aim]:
    """The same for little and for much."""
    peaks: dict[int, Usage] = {}
    for size in (100 * MB, 1000 * MB):
        job = task.job.repeated(task.bench.directory / f"{size}.log", size)
        peaks[size] = turn(task.bench, ours, replace(job, bodies=task.nothing.bodies))
        job.log.unlink()
    table = Table("log", "seconds", "peak RSS MB", title="Memory of `indexer run --once`")
    for size, usage in peaks.items():
        table.add_row(f"{size // MB:,} MB", f"{usage.seconds:.1f}", f"{usage.memory:.1f}")
    task.console.print(table)
    little, much = (usage.memory for usage in peaks.values())
    return [
        Aim("peak RSS", "< 80 MB", f"{max(little, much):.0f} MB", max(little, much) < 80),
        Aim(
            "peak RSS for 1 GB, of that for 100 MB",
            "the same (≤ 1.05)",
            f"{much / little:.2f}",
            much / little <= 1.05,
        ),
    ]


def shipped_mapping(task: Task) -> list[Aim]:
    """The server's part: the shipped mapping beside the one that Elasticsearch makes by default."""
    lines = task.job.log.read_bytes().splitlines()
    known = mapping.variants(task.bench.client)
    runs: dict[str, list[mapping.Figures]] = {"default": [], "shipped": []}
    for _ in range(task.rounds + 1):
        for name, figures in runs.items():
            figures.append(mapping.fill(task.bench.client, known[name], lines))
    table = Table(
        "mapping", "entries/s", "server CPU µs/entry", "bytes/entry on disk", title="The server's part"
    )
    for name, figures in runs.items():
        it = mapping.medians(figures)
        table.add_row(name, f"{it.speed:,.0f}", f"{it.cpu:.1f}", f"{it.disk:.0f}")
    task.console.print(table)
    faster = ratio([it.speed for it in runs["shipped"][1:]], [it.speed for it in runs["default"][1:]])
    disk = ratio([it.disk for it in runs["shipped"][1:]], [it.disk for it in runs["default"][1:]])
    return [
        Aim("entries/s, of the default mapping's", "≥ 1.4", f"{faster:.2f}", faster >= 1.4),
        Aim("disk, of the default mapping's", "≤ 0.6", f"{disk:.2f}", disk <= 0.6),
    ]


def help_time(_: Task) -> list[Aim]:
    """From a shell to the last line of help."""
    seconds = statistics.median(measure([INDEXER, "--help"]).seconds for _ in range(9))
    return [Aim("`indexer --help`, median of 9", "< 0.3 s", f"{seconds:.2f} s", seconds < 0.3)]


def where_time_goes(task: Task) -> list[Aim]:
    """Each stage, and what none of them has."""
    start = ours(task.bench, task.nothing)
    whole = (
        middle([turn(task.bench, ours, task.job) - start for _ in range(task.rounds)]).cpu
        * 1e6
        / task.job.count
    )
    found = stages(task.job.log, task.job.count)
    found["the rest: marks, queues, waiting, the server's own pace"] = whole - sum(found.values())
    table = Table("stage", Column("CPU µs/entry", justify="right"), title="Where our CPU goes")
    for stage, cost in found.items():
        table.add_row(stage, f"{cost:.2f}")
    table.add_row("all", f"{whole:.2f}")
    task.console.print(table)
    return []


PARTS: dict[str, Callable[[Task], list[Aim]]] = {
    "speed": speed,
    "memory": memory,
    "mapping": shipped_mapping,
    "help": help_time,
    "stages": where_time_goes,
}


def main() -> None:
    given = arguments(__doc__, PARTS)
    console = Console(width=125)
    with prepared(given, console) as (bench, job):
        task = Task(bench, job, Job.of(bench.directory / "nothing", []), given.rounds, console)
        aims = [aim for name in given.parts or PARTS for aim in PARTS[name](task)]
    console.print(aims_table(aims))


def aims_table(aims: Sequence[Aim]) -> Table:
    """Wanted beside found."""
    table = Table("aim", "wanted", "found", "", title="The aims")
    for aim in aims:
        table.add_row(aim.what, aim.wanted, aim.figure, "met" if aim.met else "[red]not met[/red]")
    return table


if __name__ == "__main__":
    main()
