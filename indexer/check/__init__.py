"""`indexer check`: checks settings, cluster, log files and state directory, and changes nothing.

`STEPS` is the order. A step is not tried if one that it needs failed, or if the server refuses the request: `indexer run` needs fewer
privileges than `check`. A refusal of what `run` does too is a failure; OpenSearch shows missing privileges in no other way.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from indexer.check import cluster, local
from indexer.check.cluster import CheckContext
from indexer.check.results import CheckResult, Level, Topic, failed, not_tried
from indexer.elastic.client import translate_errors
from indexer.errors import Fatal, Refused
from indexer.settings import Connection, Indices, LogFiles, State


@dataclass(frozen=True, slots=True)
class Step:
    """Checks one topic, unless one of those that it needs failed."""

    topic: Topic
    run: Callable[[CheckContext], Iterable[CheckResult]]
    needs: tuple[Topic, ...]
    of_run: bool = False
    """`indexer run` sends the same requests."""


STEPS = (
    Step(Topic.CONFIGURATION, cluster.configuration, ()),
    Step(Topic.CONNECTION, cluster.connection, (Topic.CONFIGURATION,)),
    Step(Topic.TLS, cluster.tls, (Topic.CONNECTION,)),
    Step(Topic.AUTHENTICATION, cluster.authentication, (Topic.TLS,)),
    Step(Topic.PRIVILEGES, cluster.privileges, (Topic.AUTHENTICATION,)),
    Step(Topic.VERSION, cluster.version, (Topic.AUTHENTICATION,)),
    Step(Topic.TEMPLATE, cluster.template, (Topic.VERSION,)),
    Step(Topic.ALIAS, cluster.alias, (Topic.AUTHENTICATION,), of_run=True),
    Step(Topic.INDEX, cluster.index, (Topic.VERSION, Topic.ALIAS)),
    Step(Topic.WRITE, cluster.write, (Topic.ALIAS,), of_run=True),
    Step(Topic.LIFECYCLE, cluster.lifecycle, (Topic.VERSION, Topic.ALIAS)),
    Step(Topic.FIELDS, cluster.fields, (Topic.ALIAS,)),
    Step(Topic.TYPES, cluster.types, (Topic.ALIAS,)),
    Step(Topic.SEALS, cluster.seals, (Topic.ALIAS,)),
)


def check(
    logs: LogFiles,
    connection: Connection,
    indices: Indices,
    state: State,
) -> Iterator[CheckResult]:
    """Check everything that `indexer run` needs; yields each result as soon as it is known."""
    with ExitStack() as opened:
        yield from _in_order(STEPS, CheckContext(connection, indices, opened))
    yield from local.logs(logs.paths, logs.scope(connection, state))
    yield from local.state(state.state_dir, connection.alias)


def _in_order(steps: Iterable[Step], context: CheckContext) -> Iterator[CheckResult]:
    missing: set[Topic] = set()
    for step in steps:
        needed = [topic for topic in step.needs if topic in missing]
        results = [not_tried(step.topic, f"needs: {needed[0]}")] if needed else _run(step, context)
        for result in results:
            if result.state in {Level.FAILED, Level.NOT_TRIED}:
                missing.add(step.topic)
            yield result


def _run(step: Step, context: CheckContext) -> Iterator[CheckResult]:
    try:
        with translate_errors(context.connection):
            yield from step.run(context)
    except Refused as error:
        found = failed(step.topic, error)
        yield found if step.of_run else not_tried(step.topic, found.what)
    except Fatal as error:
        yield failed(step.topic, error)
