"""`indexer check`: step by step from the settings to the disk, each with what to do. Changes nothing anywhere.

`STEPS` is the order. A step that needs one that failed is not tried; what the server refuses to tell us is not tried
either, since whether we may do what `indexer run` does is a step of its own.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from indexer.check import cluster, local
from indexer.check.cluster import CheckContext
from indexer.check.findings import Finding, Topic, failed, not_tried
from indexer.check.findings import Level as How
from indexer.elastic.client import translate_errors
from indexer.errors import Fatal, Refused
from indexer.settings import Connection, Indices, LogFiles, State


@dataclass(frozen=True, slots=True)
class Step:
    """Looks at one topic, once the topics that it needs are not wrong."""

    topic: Topic
    look: Callable[[CheckContext], Iterable[Finding]]
    needs: tuple[Topic, ...]


STEPS = (
    Step(Topic.CONFIGURATION, cluster.configuration, ()),
    Step(Topic.CONNECTION, cluster.connection, (Topic.CONFIGURATION,)),
    Step(Topic.TLS, cluster.tls, (Topic.CONNECTION,)),
    Step(Topic.AUTHENTICATION, cluster.authentication, (Topic.TLS,)),
    Step(Topic.PRIVILEGES, cluster.privileges, (Topic.AUTHENTICATION,)),
    Step(Topic.VERSION, cluster.version, (Topic.AUTHENTICATION,)),
    Step(Topic.TEMPLATE, cluster.template, (Topic.VERSION,)),
    Step(Topic.ALIAS, cluster.alias, (Topic.AUTHENTICATION,)),
    Step(Topic.INDEX, cluster.index, (Topic.VERSION, Topic.ALIAS)),
    Step(Topic.WRITE, cluster.write, (Topic.ALIAS,)),
    Step(Topic.LIFECYCLE, cluster.lifecycle, (Topic.VERSION, Topic.ALIAS)),
    Step(Topic.FIELDS, cluster.fields, (Topic.ALIAS,)),
)


def check(
    logs: LogFiles,
    connection: Connection,
    indices: Indices,
    state: State,
) -> Iterator[Finding]:
    """Look at everything that `indexer run` needs; a finding as soon as it is known."""
    with ExitStack() as opened:
        yield from _in_order(STEPS, CheckContext(connection, indices, opened))
    yield from local.logs(logs.paths, logs.scope(connection, state))
    yield from local.state(state.state_dir, connection.alias)


def _in_order(steps: Iterable[Step], context: CheckContext) -> Iterator[Finding]:
    missing: set[Topic] = set()
    for step in steps:
        needed = [topic for topic in step.needs if topic in missing]
        found = [not_tried(step.topic, f"needs: {needed[0]}")] if needed else _look(step, context)
        for finding in found:
            if finding.state in {How.WRONG, How.NOT_TRIED}:
                missing.add(step.topic)
            yield finding


def _look(step: Step, context: CheckContext) -> Iterator[Finding]:
    try:
        with translate_errors(context.connection):
            yield from step.look(context)
    except Refused as error:
        yield not_tried(step.topic, failed(step.topic, error).what)
    except Fatal as error:
        yield failed(step.topic, error)
