"""Taking turns: a contender indexes a log into a fresh index on a server at rest; what that took, and ratios of it."""

import argparse
import statistics
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import mapping
from contenders import Bench, Contender, Job, Usage
from rich.console import Console

from indexer.demo.embedded import Embedded, Java
from indexer.demo.profiles import Profile
from indexer.demo.sample import entries
from indexer.elastic.client import connect
from indexer.elastic.cluster import Cluster
from indexer.elastic.server import inspect_server
from indexer.settings import Connection
from indexer.setup.templates import install

END = datetime(2026, 11, 23, tzinfo=UTC)

QUIET = 0.1
"""A server that uses less than this of a core is at rest."""
PATIENCE = 15
"""Looks, a second each, for the server to come to rest."""


@dataclass(frozen=True, slots=True)
class Turns:
    """What a contender took in each round that counts, without its start-up."""

    start: Usage
    turns: list[Usage]
    count: int

    @property
    def speeds(self) -> list[float]:
        """Entries a second."""
        return [self.count / turn.seconds for turn in self.turns]

    @property
    def costs(self) -> list[float]:
        """Microseconds of CPU an entry."""
        return [turn.cpu * 1e6 / self.count for turn in self.turns]

    @property
    def memory(self) -> float:
        """MB."""
        return max(turn.memory for turn in self.turns)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios within each round."""
    return statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))


def middle(usages: Sequence[Usage]) -> Usage:
    """The median of each figure."""
    return Usage(
        *(statistics.median(getattr(it, name) for it in usages) for name in ("seconds", "cpu", "memory"))
    )


def start_afresh(bench: Bench) -> None:
    """Make the index anew with the shipped template, and wait until the server has nothing more to do."""
    bench.client.options(ignore_status=404).indices.delete(index=bench.index)
    install(Cluster(bench.client, bench.connection))
    before, then = mapping.server_cpu(bench.client), time.monotonic()
    for _ in range(PATIENCE):
        now, moment = mapping.server_cpu(bench.client), time.monotonic()
        if now - before < QUIET * (moment - then):
            return
        before, then = now, moment


def turn(bench: Bench, contender: Contender, job: Job) -> Usage:
    """Have a contender index a log, and see that every entry is there."""
    start_afresh(bench)
    usage = contender(bench, job)
    bench.client.indices.refresh(index=bench.index)
    found = bench.client.count(index=bench.index)["count"]
    assert found == job.count, f"{found:,} of {job.count:,} entries are in the index"
    return usage


def arguments(description: str | None, parts: Collection[str]) -> argparse.Namespace:
    """The command line of a benchmark that has parts."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(parts)}; all if none is named")
    parser.add_argument("--elasticsearch-url", help="an embedded server is started if none is given")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


@contextmanager
def prepared(given: argparse.Namespace, console: Console) -> Iterator[tuple[Bench, Job]]:
    """A server, and the sample log as a job."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="indexer-bench-")))
        # The options that make the embedded server start fast make it slow afterwards.
        url = given.elasticsearch_url or stack.enter_context(Embedded(java=Java(heap=1024, flags=()))).url
        connection = Connection(elasticsearch_url=[url], request_timeout=600)
        client = stack.enter_context(connect(connection))
        job = Job.of(directory / "job", entries(given.count, end=END, profile=Profile.ZOOMDATA_2))
        size = job.log.stat().st_size / job.count
        console.print(f"{inspect_server(client)}, {job.count:,} entries of {size:.0f} B")
        yield Bench(client, connection, directory), job
