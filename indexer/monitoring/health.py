"""Is it alive, is it ready, and if not, what is wrong: judged from a Snapshot.

Alive means that the main loop goes round, whatever the cluster does: an indexer that waits for Elasticsearch is not
helped by a restart. Ready means that what is written to the logs now would be delivered now.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from indexer.events import Fault
from indexer.monitoring.snapshot import Repeated, Snapshot

ALIVE_WITHIN = 60.0
"""Seconds without a sign of life after which the process counts as hung. A first look at many archives may take as long."""
PATIENCE = 10.0
"""Seconds for which a fault may last that passes by itself: back-pressure is no trouble."""
NAMED = 20
"""Paths that cannot be read that are named."""
STUCK = 180.0
"""Seconds after which a batch is stuck that nobody complains of: three times the default request timeout."""
TO_BE_MENDED = frozenset({Fault.CLUSTER_STATE.value, Fault.REFUSED.value, Fault.DISK.value})
"""Faults that do not pass by themselves."""


class Problem(StrEnum):
    """What keeps an indexer from being ready."""

    STARTING = "starting"
    """It has not begun to read: the cluster or the template is not there."""
    HUNG = "hung"
    """Its main loop does not go round: a file system that does not answer, or a bug."""
    CLUSTER = "cluster"
    """A look at the cluster, or at the alias, fails."""
    DELIVERY = "delivery"
    """Batches are tried again and again, or one is stuck."""
    CHECKPOINT = "checkpoint"
    """The state directory takes no checkpoint."""
    LOGS = "logs"
    """A log file, or a directory of them, cannot be read."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem, with its sentence."""

    kind: Problem
    sentence: str


@dataclass(frozen=True, slots=True)
class Health:
    """What the probes answer."""

    alive: bool
    ready: bool
    problems: tuple[Finding, ...]


def assess(now: Snapshot) -> Health:
    """Say how it is."""
    problems = tuple(_problems(now))
    alive = all(finding.kind is not Problem.HUNG for finding in problems)
    return Health(alive, not problems, problems)


def _problems(now: Snapshot) -> Iterator[Finding]:
    if now.sign_of_life > ALIVE_WITHIN:
        yield Finding(Problem.HUNG, f"No sign of life for {now.sign_of_life:.0f} s.")
    if not now.connected:
        yield Finding(Problem.STARTING, now.waiting or "It is about to connect.")
    elif now.ever is None:
        yield Finding(Problem.STARTING, "It is about to look for log files.")
    if now.cluster_problem:
        yield Finding(Problem.CLUSTER, now.cluster_problem)
    for fault in now.faults:
        if fault.fault in TO_BE_MENDED or fault.lasting > PATIENCE:
            yield Finding(Problem.DELIVERY, _said(fault))
    if now.in_flight.oldest > STUCK and not now.faults:
        yield Finding(
            Problem.DELIVERY,
            f"A batch has been on its way for {now.in_flight.oldest:.0f} s without an answer.",
        )
    if now.checkpoint_problem:
        yield Finding(Problem.CHECKPOINT, now.checkpoint_problem)
    for path, reason in islice(now.unreadable.items(), NAMED):
        yield Finding(Problem.LOGS, f"{path} cannot be read: {reason}.")
    if len(now.unreadable) > NAMED:
        more = len(now.unreadable) - NAMED
        yield Finding(Problem.LOGS, f"{more:,} more files or directories cannot be read.")


def _said(fault: Repeated) -> str:
    return f"Not delivered for {fault.lasting:.0f} s, {fault.tries:,} tries ({fault.fault}): {fault.detail}"
