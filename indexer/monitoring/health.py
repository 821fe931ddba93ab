"""Health of a running indexer: whether it is alive, whether it is ready, and its problems.

Alive means that the main loop runs, whatever the cluster does: a restart does not help an indexer that waits for
Elasticsearch. Ready means that entries that are logged now would be delivered now.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from indexer.events import Fault
from indexer.monitoring.sealing import Sealing
from indexer.monitoring.snapshot import Repeated, Snapshot

ALIVE_WITHIN = 60.0
"""Seconds without a heartbeat after which the process counts as hung. A first scan of many archives may take as long."""
GRACE = 10.0
"""Seconds that a temporary fault may last: back-pressure is not a problem."""
MOST_NAMED = 20
"""Unreadable paths that have a problem of their own; the others are counted together."""
STUCK = 180.0
"""Seconds after which a batch without an answer counts as stuck: three times the default request timeout."""
PERMANENT = frozenset({Fault.CLUSTER_STATE.value, Fault.REFUSED.value, Fault.DISK.value})
"""Faults that last until somebody fixes them."""


class Problem(StrEnum):
    """Kinds of problems: what keeps an indexer from being ready."""

    STARTING = "starting"
    """It has not started to read: the cluster or the template is missing."""
    HUNG = "hung"
    """Its main loop does not run: a file system does not answer, or a bug."""
    CLUSTER = "cluster"
    """The cluster or the alias cannot be used."""
    DELIVERY = "delivery"
    """Batches are retried, or one is stuck."""
    CHECKPOINT = "checkpoint"
    """The checkpoint cannot be written."""
    LOGS = "logs"
    """A log file or a directory cannot be read."""
    SEAL = "seal"
    """A signed checkpoint is overdue."""


@dataclass(frozen=True, slots=True)
class HealthProblem:
    """A problem with its description."""

    kind: Problem
    sentence: str


@dataclass(frozen=True, slots=True)
class Health:
    """The result of the probes."""

    alive: bool
    ready: bool
    problems: tuple[HealthProblem, ...]


def assess(now: Snapshot) -> Health:
    """Derive the health from a snapshot."""
    problems = tuple(_problems(now))
    alive = all(problem.kind is not Problem.HUNG for problem in problems)
    return Health(alive, not problems, problems)


def _problems(now: Snapshot) -> Iterator[HealthProblem]:
    if now.sign_of_life > ALIVE_WITHIN:
        yield HealthProblem(Problem.HUNG, f"No heartbeat for {now.sign_of_life:.0f} s.")
    if not now.connected:
        yield HealthProblem(Problem.STARTING, now.waiting or "It is about to connect.")
    elif now.ever is None:
        yield HealthProblem(Problem.STARTING, "It is about to scan for log files.")
    if now.cluster_problem:
        yield HealthProblem(Problem.CLUSTER, now.cluster_problem)
    for fault in now.faults:
        if fault.fault in PERMANENT or fault.lasting > GRACE:
            yield HealthProblem(Problem.DELIVERY, _describe(fault))
    if now.in_flight.oldest > STUCK and not now.faults:
        yield HealthProblem(
            Problem.DELIVERY,
            f"A batch has been in flight for {now.in_flight.oldest:.0f} s without an answer.",
        )
    if now.checkpoint_problem:
        yield HealthProblem(Problem.CHECKPOINT, now.checkpoint_problem)
    for path, reason in islice(now.unreadable.items(), MOST_NAMED):
        yield HealthProblem(Problem.LOGS, f"{path} cannot be read: {reason}.")
    if len(now.unreadable) > MOST_NAMED:
        more = len(now.unreadable) - MOST_NAMED
        yield HealthProblem(Problem.LOGS, f"{more:,} more files or directories cannot be read.")
    if now.sealing and now.sealing.overdue:
        yield HealthProblem(Problem.SEAL, _overdue(now.sealing))


def _overdue(it: Sealing) -> str:
    reason = f": {it.problem}" if it.problem else "."
    return f"Nothing was sealed for {it.waited:.0f} s, though it is due each {it.every:.0f} s{reason}"


def _describe(fault: Repeated) -> str:
    return f"Not delivered for {fault.lasting:.0f} s, {fault.tries:,} tries ({fault.fault}): {fault.detail}"
