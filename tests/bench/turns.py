"""Taking turns: a contender indexes a log into a fresh index on a server at rest; what that took, and ratios of it."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import mapping
from contenders import Bench, Contender, Job, Usage

from indexer.elastic.cluster import Cluster
from indexer.setup.templates import install

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
