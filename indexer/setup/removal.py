"""Removing what `indexer template install` created and, if wanted, entries, rejected lines and seals.

Elasticsearch refuses to delete what is in use: the policy of existing indices, a component template that another template
uses. An admin's own `<alias>@custom` is never removed, nor is anything under our names without our mark (`made_by_us`).
"""

from collections.abc import Iterable, Iterator

import elasticsearch
from elasticsearch import Elasticsearch

from indexer.elastic.alias import indices_of, is_ours
from indexer.elastic.cluster import Cluster
from indexer.elastic.failures import reason_of
from indexer.setup.plan import CUSTOM, OURS, Body, Call, Kind, Request, plan
from indexer.setup.requests import fetch, send
from indexer.setup.templates import Outcome, Result, Step

ORDER = (Kind.INDEX, Kind.TEMPLATE, Kind.COMPONENT, Kind.POLICY)
"""A thing is removed after those that use it."""
SORTED_BY = ["activityType", "eventDate"]
OTHER_NAME = {"type": "alias", "path": "eventDate"}
REJECTED_LINE = {"@timestamp", "file", "offset", "type", "reason", "bytes", "size", "text"}


def remove(cluster: Cluster, *, data: bool) -> list[Outcome]:
    """Remove the templates, their components and the policy; with `data` the indices too. Raises what the client raises."""
    outcomes = [_remove(cluster.client, step) for step in _steps(cluster, data=data)]
    return outcomes + list(_left(cluster, data=data))


def calls(cluster: Cluster, *, data: bool) -> list[Call]:
    """The requests that `remove` would send now, in order. Raises what the client raises."""
    return [_call(step.request) for step in _steps(cluster, data=data) if not step.foreign]


def _steps(cluster: Cluster, *, data: bool) -> list[Step]:
    """What exists and is to be removed, in order."""
    planned = [it for it in plan(cluster.server, cluster.connection) if it.kind is not Kind.INDEX]
    held = [(request, fetch(cluster.client, request)) for request in planned]
    steps = [Step(request, found) for request, found in held if found is not None]
    if data:
        ours = [name for name, deletable in _indices(cluster).items() if deletable]
        steps += [Step(Request(Kind.INDEX, name, {}), {}) for name in ours]
    return sorted(steps, key=lambda step: ORDER.index(step.request.kind))


def _indices(cluster: Cluster) -> dict[str, bool]:
    """The indices behind the alias, of rejected lines and of seals; True for those with our names and our mark."""
    beside = (cluster.connection.rejected, cluster.connection.seals)
    found = existing(cluster.client, dict.fromkeys([*sorted(indices_of(cluster)), *beside]))
    return {
        name: marked and (name in beside or is_ours(name, cluster.alias)) for name, marked in found.items()
    }


def _left(cluster: Cluster, *, data: bool) -> Iterator[Outcome]:
    """What is kept, and why."""
    reason = "not created by our templates" if data else "data is never deleted without --delete-data"
    for index in _indices(cluster):
        yield Outcome(f"{Kind.INDEX} {index}", Result.KEPT, reason)
    custom = Request(Kind.COMPONENT, cluster.alias + CUSTOM, {})
    if fetch(cluster.client, custom) is not None:
        yield Outcome(custom.what, Result.KEPT, "not installed by this program")


def _call(request: Request) -> Call:
    return Call("DELETE", request.path)


def _remove(client: Elasticsearch, step: Step) -> Outcome:
    what = step.request.what
    if step.foreign:
        return Outcome(what, Result.KEPT, "not installed by this program")
    try:
        send(client.options(ignore_status=404), _call(step.request))
    except elasticsearch.BadRequestError as error:
        return Outcome(what, Result.KEPT, f"still in use: {reason_of(error)}")
    return Outcome(what, Result.REMOVED)


def made_by_us(index: Body) -> bool:
    """Whether our templates created an index, by its flat settings and its mappings.

    Its mapping has the mark `_meta.managed_by`. Indices of version 0.1 have none and are recognised by what only its
    templates set: the sort order and the field alias of an index of entries, the exact fields of rejected lines.
    """
    mappings, settings = index.get("mappings", {}), index.get("settings", {})
    fields = mappings.get("properties", {})
    marked = mappings.get("_meta", {}).get("managed_by") == OURS
    entries = settings.get("index.sort.field") == SORTED_BY and fields.get("@timestamp") == OTHER_NAME
    rejected = mappings.get("dynamic") == "strict" and fields.keys() == REJECTED_LINE
    return bool(marked or entries or (rejected and fields["bytes"] == {"type": "binary"}))


def existing(client: Elasticsearch, names: Iterable[str]) -> dict[str, bool]:
    """Which indices (not aliases) of exactly these names exist, and whether our templates created them.

    Raises what the client raises.
    """
    found: dict[str, bool] = {}
    for name in names:
        answer = client.options(ignore_status=404).indices.get(index=name, flat_settings=True)
        if answer.meta.status != 404 and name in answer:
            found[name] = made_by_us(answer[name])
    return found
