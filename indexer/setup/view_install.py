"""`indexer template views`: a view for each activity type that is in the index, in all indices and in the template.

First the indices, all of them in one request, which Elasticsearch carries out whole or not at all; then the template. So
a name that an index has taken is refused before it is in the template, where it would stop the next rollover.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import elasticsearch
from elasticsearch import Elasticsearch

from indexer.elastic import counting
from indexer.elastic.alias import backing
from indexer.elastic.cluster import Cluster
from indexer.elastic.counting import COUNTED, OF_ENTRIES
from indexer.elastic.failures import reason_of
from indexer.errors import Fatal
from indexer.setup.plan import Body, Call, Request, plan, views_name
from indexer.setup.requests import fetch, send
from indexer.setup.templates import Foreign, NotAccepted, Step
from indexer.setup.views import assigned, type_of, views_in
from indexer.show import Table

TYPES = 200
"""So many types get a view, the most frequent ones: each view is an alias of each index, in the cluster's state."""


class NoViews(Fatal):
    """What is installed is older than the views, or not there."""

    sentence = "The templates on {url} have no views for {alias!r} yet."
    hint = "Run `indexer template install` first."


@dataclass(frozen=True, slots=True)
class View:
    """One of the views."""

    name: str
    type: str
    entries: int
    added: bool
    """It was missing in an index, or in the template."""


@dataclass(frozen=True, slots=True)
class Unviewed:
    """A type that has none."""

    type: str
    entries: int
    why: str


@dataclass(frozen=True, slots=True)
class Views:
    """All views of an alias, and the requests that bring those that are missing."""

    alias: str
    views: tuple[View, ...]
    without: tuple[Unviewed, ...]
    beyond: int
    """Entries of types that are too rare to get one."""
    calls: tuple[Call, ...]

    def tables(self) -> Iterator[Table]:
        """For people to read."""
        rows = tuple((it.name, it.type, it.entries, "added" if it.added else "there") for it in self.views)
        yield Table(f"Views of {self.alias}", ("View", "Type", "Entries", "Was"), rows, "None.")
        without = [(it.type, it.entries, it.why) for it in self.without]
        if self.beyond:
            without += [(f"(all but {TYPES})", self.beyond, "too many types")]
        if without:
            yield Table("Without a view", ("Type", "Entries", "Why"), tuple(without), "")


def look(cluster: Cluster) -> Views:
    """Find out which views there are and which are missing; needs `read` and the rights to set up.

    Raises NotInstalled, NoViews, Foreign, AliasIsIndex, NoWriteIndex and what the client raises.
    """
    backing(cluster)  # raises if there is no alias
    client, alias = cluster.client, cluster.alias
    step = _template(cluster)
    types, beyond = _types(client, alias)
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
    """Bring the views that are missing. Raises NotAccepted, and as `look` does."""
    found = look(cluster)
    for call in found.calls:
        try:
            send(cluster.client, call)
        except elasticsearch.BadRequestError as error:
            raise NotAccepted(url=cluster.url, what="views", reason=reason_of(error)) from None
    return found


def _template(cluster: Cluster) -> Step:
    """The component template with the views, as shipped and as it is."""
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
    """The request that adds to the template what it lacks, and leaves the rest of it as it is."""
    there = step.held or {}
    aliases = _aliases(there)
    if aliases | wanted == aliases:
        return []
    body = {key: value for key, value in there.items() if key in step.request.body}
    body["template"] = there.get("template", {}) | {"aliases": aliases | wanted}
    return [Request(step.request.kind, step.request.name, body).call]


def _types(client: Elasticsearch, alias: str) -> tuple[dict[str, int], int]:
    """Entries by type, of the most frequent ones, and the entries of all others."""
    asked = {
        "types": counting.terms("activityType", TYPES),
        "typed": {"filter": {"exists": {"field": "activityType"}}, "aggs": {COUNTED: OF_ENTRIES}},
    }
    answer = client.search(
        index=alias, size=0, aggs=asked, track_total_hits=False, allow_partial_search_results=False
    )
    found = answer["aggregations"]
    types = {it["key"]: counting.count(it) for it in found["types"]["buckets"]}
    return types, max(0, counting.count(found["typed"]) - sum(types.values()))


def _missing(client: Elasticsearch, alias: str, wanted: Body) -> list[Body]:
    """The actions that give each index behind the alias the views that it lacks, or that were changed."""
    return [
        {"add": {"index": index, "alias": name} | view}
        for index, there in sorted(client.indices.get_alias(index=alias).items())
        for name, view in sorted(wanted.items())
        if there["aliases"].get(name) != view
    ]
