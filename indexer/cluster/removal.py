"""Taking away what `indexer template install` made, and, if that is wanted, the entries too.

What Elasticsearch still needs it refuses to delete: a policy that indices are under goes on looking after them, a
component template that another template uses stays. An admin's own `<alias>@custom` is never touched, nor is what bears
one of our names and not our mark (`cluster.marks`).
"""

from collections.abc import Iterator

import elasticsearch
from elasticsearch import Elasticsearch

from indexer.cluster import marks
from indexer.cluster.alias import is_ours
from indexer.cluster.client import Server
from indexer.cluster.plan import CUSTOM, Call, Kind, Request, plan
from indexer.cluster.requests import held, reason_of, send
from indexer.cluster.templates import Outcome, Result, Step
from indexer.settings import Connection

ORDER = (Kind.INDEX, Kind.TEMPLATE, Kind.COMPONENT, Kind.POLICY)
"""What is needed by others goes after them."""


def remove(client: Elasticsearch, connection: Connection, server: Server, *, data: bool) -> list[Outcome]:
    """Remove the templates, their components and the policy; with `data` the indices too. Raises what the client raises."""
    outcomes = [_remove(client, step) for step in _there(client, connection, server, data=data)]
    return outcomes + list(_left(client, connection, data=data))


def calls(client: Elasticsearch, connection: Connection, server: Server, *, data: bool) -> list[Call]:
    """Tell what `remove` would send now, in order. Raises what the client raises."""
    steps = _there(client, connection, server, data=data)
    return [_call(step.request) for step in steps if not step.foreign]


def _there(client: Elasticsearch, connection: Connection, server: Server, *, data: bool) -> list[Step]:
    """All that is there to be removed, in the order in which that goes."""
    planned = [it for it in plan(server, connection) if it.kind is not Kind.INDEX]
    steps = [Step(request, found) for request in planned if (found := held(client, request)) is not None]
    if data:
        ours = [name for name, deletable in _indices(client, connection).items() if deletable]
        steps += [Step(Request(Kind.INDEX, name, {}), {}) for name in ours]
    return sorted(steps, key=lambda step: ORDER.index(step.request.kind))


def _indices(client: Elasticsearch, connection: Connection) -> dict[str, bool]:
    """The indices behind the alias and the one of rejected lines, and which of them are ours: by name, and by mark."""
    alias = connection.alias
    answer = client.options(ignore_status=404).indices.get_alias(name=alias)
    holders = {} if answer.meta.status == 404 else answer.body
    behind = sorted(name for name, its in holders.items() if alias in its["aliases"])
    there = marks.found(client, dict.fromkeys([*behind, connection.rejected]))
    return {
        name: marked and (name == connection.rejected or is_ours(name, alias))
        for name, marked in there.items()
    }


def _left(client: Elasticsearch, connection: Connection, *, data: bool) -> Iterator[Outcome]:
    """What stays, and why."""
    reason = "not one of ours" if data else "data is never deleted without --delete-data"
    for index in _indices(client, connection):
        yield Outcome(f"{Kind.INDEX} {index}", Result.KEPT, reason)
    custom = Request(Kind.COMPONENT, connection.alias + CUSTOM, {})
    if held(client, custom) is not None:
        yield Outcome(custom.what, Result.KEPT, "it is your own")


def _call(request: Request) -> Call:
    return Call("DELETE", request.path)


def _remove(client: Elasticsearch, step: Step) -> Outcome:
    what = step.request.what
    if step.foreign:
        return Outcome(what, Result.KEPT, "`indexer template install` has not made it")
    try:
        send(client.options(ignore_status=404), _call(step.request))
    except elasticsearch.BadRequestError as error:
        return Outcome(what, Result.KEPT, f"it is still needed: {reason_of(error)}")
    return Outcome(what, Result.REMOVED)
