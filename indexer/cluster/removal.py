"""Taking away what `indexer template install` made, and, if that is wanted, the entries too.

What Elasticsearch still needs it refuses to delete: a policy that indices are under goes on looking after them, a
component template that another template uses stays. An admin's own `<alias>@custom` is never touched.
"""

from collections.abc import Iterator

import elasticsearch
from elasticsearch import Elasticsearch

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
        steps += [Step(Request(Kind.INDEX, name, {}), {}) for name in _indices(client, connection)]
    return sorted(steps, key=lambda step: ORDER.index(step.request.kind))


def _behind(client: Elasticsearch, alias: str) -> list[str]:
    """The indices behind the alias."""
    answer = client.options(ignore_status=404).indices.get_alias(name=alias)
    return [] if answer.meta.status == 404 else sorted(answer)


def _indices(client: Elasticsearch, connection: Connection) -> Iterator[str]:
    """The indices that are ours: behind the alias and of its name, and the one of rejected lines."""
    yield from (index for index in _behind(client, connection.alias) if is_ours(index, connection.alias))
    if client.indices.exists(index=connection.rejected):
        yield connection.rejected


def _left(client: Elasticsearch, connection: Connection, *, data: bool) -> Iterator[Outcome]:
    """What stays, and why."""
    reason = "not one of ours" if data else "data is never deleted without --delete-data"
    for index in [*_behind(client, connection.alias), *([] if data else [connection.rejected])]:
        if client.indices.exists(index=index):
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
