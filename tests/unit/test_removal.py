"""What `template remove` may take away: what bears our mark, under the very name that was asked for."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from elasticsearch import Elasticsearch

from indexer.elastic.alias import backing
from indexer.elastic.cluster import Cluster
from indexer.elastic.server import Server
from indexer.settings import Connection
from indexer.setup.plan import Body, Kind, Request, plan
from indexer.setup.removal import calls, made_by_us, remove
from indexer.setup.requests import fetch
from indexer.setup.templates import Result
from tests.unit.test_templates import from_file

IT = Connection()
SERVER = Server(version=(9, 5, 0), lifecycle=True)
FIRST = f"{IT.alias}-000001"
BEHIND = {"aliases": {IT.alias: {"is_write_index": True}}}
OF_SOMEBODY: Body = {"mappings": {"properties": {"name": {"type": "text"}}}, "settings": {}}


def made_from(file: str, **settings: object) -> Body:
    """An index made by a template, as the server gives it."""
    mappings = from_file(file)["template"]["mappings"]
    return {"mappings": mappings, "settings": {"index.number_of_shards": "1"} | settings}


def unmarked(index: Body) -> Body:
    """As 0.1 made it."""
    return index | {"mappings": {key: it for key, it in index["mappings"].items() if key != "_meta"}}


ENTRIES = made_from("mappings", **{"index.sort.field": ["activityType", "eventDate"]})
REJECTED = made_from("rejected")
SEALS = made_from("seals")
OURS = {FIRST: ENTRIES | BEHIND, IT.rejected: REJECTED, IT.seals: SEALS}


class Answer(dict[str, Any]):
    """An answer of the client."""

    def __init__(self, body: Mapping[str, Any], status: int = 200) -> None:
        super().__init__(body)
        self.body = dict(body)
        self.meta = SimpleNamespace(status=status)


class Holding:
    """A server that holds indices, and answers each question for a template with all that it has."""

    def __init__(self, indices: Mapping[str, Body], templates: Mapping[str, Body] = {}) -> None:
        self.held = dict(indices)
        self.templates = dict(templates)
        self.deleted: list[str] = []
        self.indices = self.cluster = self.ilm = self

    def info(self) -> Answer:
        """The version of SERVER."""
        return Answer({"version": {"number": str(SERVER)}})

    def get_status(self) -> Answer:
        """It has lifecycle management."""
        return Answer({})

    def options(self, **_: object) -> "Holding":
        """The same."""
        return self

    def get(self, *, index: str, **_: object) -> Answer:
        """Indices of that name, or behind it."""
        found = {name: it for name, it in self.held.items() if index in {name, *it.get("aliases", {})}}
        return Answer(found, 200 if found else 404)

    def get_alias(self, *, index: str, name: str) -> Answer:
        """All that there is."""
        return Answer({index: {"aliases": it.get("aliases", {})} for index, it in self.held.items()})

    def exists(self, *, index: str) -> bool:
        """Tell whether one is there."""
        return bool(self.get(index=index))

    def get_lifecycle(self, *, name: str) -> Answer:
        """All that there is."""
        return Answer(self.templates)

    def get_component_template(self, *, name: str) -> Answer:
        """All that there is."""
        listed = [{"name": key, "component_template": it} for key, it in self.templates.items()]
        return Answer({"component_templates": listed})

    def get_index_template(self, *, name: str) -> Answer:
        """All that there is."""
        listed = [{"name": key, "index_template": it} for key, it in self.templates.items()]
        return Answer({"index_templates": listed})

    def perform_request(self, method: str, path: str, **_: object) -> None:
        """Note what is deleted."""
        assert method == "DELETE"
        self.deleted.append(path)


def cluster_of(server: Holding) -> Cluster:
    return Cluster(cast("Elasticsearch", server), IT)


@pytest.mark.parametrize("index", [ENTRIES, REJECTED, SEALS, unmarked(ENTRIES), unmarked(REJECTED)])
def test_what_our_templates_made_is_known(index: Body) -> None:
    """By the mark; what 0.1 made, by what only its templates give."""
    assert made_by_us(index)


@pytest.mark.parametrize(
    "index",
    [
        {},
        OF_SOMEBODY,
        OF_SOMEBODY | {"settings": {"index.sort.field": ["activityType", "eventDate"]}},
        {"mappings": {"_meta": {"managed_by": "me"}}},
        {"mappings": {"dynamic": "strict"}},
        unmarked(ENTRIES) | {"settings": {"index.sort.field": ["eventDate"]}},
        {"mappings": unmarked(REJECTED)["mappings"] | {"dynamic": "true"}},
        unmarked(SEALS),
    ],
)
def test_what_others_made_is_known(index: Body) -> None:
    """A single likeness makes it none of ours."""
    assert not made_by_us(index)


@pytest.mark.parametrize("name", OURS)
def test_an_index_that_somebody_else_made_under_our_name_is_named_and_kept(name: str) -> None:
    """Behind the alias or not; the others are deleted."""
    others = [f"/{other}" for other in OURS if other != name]
    server = Holding(OURS | {name: OF_SOMEBODY | BEHIND})
    assert [it.path for it in calls(cluster_of(server), data=True)] == others
    told = {it.what: it for it in remove(cluster_of(server), data=True)}
    assert server.deleted == others
    assert told[f"index {name}"].result is Result.KEPT
    assert "not created by our templates" in told[f"index {name}"].detail


def test_without_data_no_index_is_deleted() -> None:
    """Each is named as kept: entries, rejected lines and seals."""
    server = Holding(OURS)
    assert calls(cluster_of(server), data=False) == []
    told = {it.what: (it.result, it.detail) for it in remove(cluster_of(server), data=False)}
    kept = (Result.KEPT, "data is never deleted without --delete-data")
    assert told == {f"index {name}": kept for name in OURS}
    assert server.deleted == []


def test_an_alias_of_the_name_of_an_index_is_none() -> None:
    """Its index is somebody else's, even if it is made as ours are."""
    server = Holding({"secret": REJECTED | {"aliases": {IT.rejected: {}}}})
    assert calls(cluster_of(server), data=True) == []


@pytest.mark.parametrize("request_", plan(SERVER, IT), ids=lambda it: it.what)
def test_what_is_found_is_what_was_asked_for(request_: Request) -> None:
    """Of an answer with others it is taken by its name, or not at all."""
    server = Holding({}, {"secret": {"mine": 1}, "zz": {}})
    assert fetch(cluster_of(server).client, request_) is None
    if request_.kind is not Kind.INDEX:
        server.templates[request_.name] = {"ours": 1}
        assert fetch(cluster_of(server).client, request_) == {"ours": 1}


def test_only_indices_behind_the_alias_are_behind_it() -> None:
    """Of an answer with others."""
    server = Holding({"a-secret": {"aliases": {"other": {}}}, FIRST: BEHIND, "z-secret": {}})
    assert backing(cluster_of(server)).indices == (FIRST,)
