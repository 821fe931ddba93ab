"""`indexer template views`: a view for each activity type in the index, in all indices and in the template.

The indices come first, in one request that succeeds or fails as a whole; then the template. So a name that is taken by an
index is rejected before it is in the template, where it would make the next rollover fail.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import elasticsearch
from elasticsearch import Elasticsearch

from indexer.elastic.alias import backing
from indexer.elastic.cluster import Cluster
from indexer.elastic.failures import reason_of
from indexer.elastic.fields import entries_by_type
from indexer.errors import Fatal
from indexer.setup.plan import Body, Call, Request, plan, views_name
from indexer.setup.requests import fetch, send
from indexer.setup.templates import Foreign, NotAccepted, Step
from indexer.setup.views import assigned, type_of, views_in
from indexer.show import Table

TYPES = 200
"""How many types get a view, the most frequent ones: each view is an alias of each index, in the cluster state."""


class NoViews(Fatal):
    """The templates are missing, or of a version without views."""

    sentence = "The templates on {url} have no views for {alias!r} yet."
    hint = "Run `indexer template install` first."


@dataclass(frozen=True, slots=True)
class View:
    """One of the views."""

    name: str
    type: str
    entries: int
    added: bool
    """It was missing in an index or in the template."""


@dataclass(frozen=True, slots=True)
class Unviewed:
    """A type without a view."""

    type: str
    entries: int
    why: str


@dataclass(frozen=True, slots=True)
class Views:
    """All views of an alias, and the requests that add the missing ones."""

    alias: str
    views: tuple[View, ...]
    without: tuple[Unviewed, ...]
    beyond: int
    """Entries of types that are too rare to get one."""
    calls: tuple[Call, ...]

    def tables(self) -> Iterator[Table]:
        """For people to read."""
        rows = tuple((it.name, it.type, it.entries, "added" if it.added else "present") for it in self.views)
        yield Table(f"Views of {self.alias}", ("View", "Type", "Entries", "State"), rows, "None.")
        without = [(it.type, it.entries, it.why) for it in self.without]
        if self.beyond:
            without += [(f"(all but {TYPES})", self.beyond, "too many types")]
        if without:
            yield Table("Without a view", ("Type", "Entries", "Why"), tuple(without), "")


def look(cluster: Cluster) -> Views:
    """Find out which views exist and which are missing; needs `read` and the privileges of setup.

    Raises NotInstalled, NoViews, Foreign, AliasIsIndex, NoWriteIndex and what the client raises.
    """
    backing(cluster)  # raises if there is no alias
    client, alias = cluster.client, cluster.alias
    step = _template(cluster)
    types, beyond = entries_by_type(client, alias, TYPES)
    known: Body = views_in(_aliases(step.request.body) | _aliases(step.held or {}), alias)
    fresh, without = assigned(types, known, alias)
    wanted = known | fresh
    actions = _missing(client, alias, wanted)
    calls = [Call("POST", "/_aliases", {"actions": actions})] if actions else []
    calls += _change(step, wanted)
    added = fresh.keys() | {it["add"]["alias"] for it in actions}
    views = [
        View(name, found, types.get(found, 0), name in added)
        for name, view in sorted(wanted.items())
        if (found := type_of(view)) is not None
    ]
    unviewed = [Unviewed(each, types[each], why) for each, why in without.items()]
    return Views(alias, tuple(views), tuple(unviewed), beyond, tuple(calls))


def add(cluster: Cluster) -> Views:
    """Add the missing views. Raises NotAccepted, and as `look` does."""
    found = look(cluster)
    for call in found.calls:
        try:
            send(cluster.client, call)
        except elasticsearch.BadRequestError as error:
            raise NotAccepted(url=cluster.url, what="views", reason=reason_of(error)) from None
    return found


def _template(cluster: Cluster) -> Step:
    """The component template with the views, as shipped and as installed."""
    (request,) = (
        it for it in plan(cluster.server, cluster.connection) if it.name == views_name(cluster.alias)
    )
    step = Step(request, fetch(cluster.client, request))
    if step.held is None:
        raise NoViews(url=cluster.url, alias=cluster.alias)
    if step.foreign:
        raise Foreign(what=request.what, url=cluster.url)
    return step


def _aliases(component: Body) -> Body:
    aliases: Body = component.get("template", {}).get("aliases", {})
    return aliases


def _change(step: Step, wanted: Body) -> list[Call]:
    """The request that adds the missing views to the template and leaves the rest unchanged."""
    held = step.held or {}
    aliases = _aliases(held)
    if aliases | wanted == aliases:
        return []
    body = {key: value for key, value in held.items() if key in step.request.body}
    body["template"] = held.get("template", {}) | {"aliases": aliases | wanted}
    return [Request(step.request.kind, step.request.name, body).call]


def _missing(client: Elasticsearch, alias: str, wanted: Body) -> list[Body]:
    """The actions that add to each index behind the alias the views that it lacks or that were changed."""
    return [
        {"add": {"index": index, "alias": name} | view}
        for index, held in sorted(client.indices.get_alias(index=alias).items())
        for name, view in sorted(wanted.items())
        if held["aliases"].get(name) != view
    ]
