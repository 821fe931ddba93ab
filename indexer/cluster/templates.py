"""What the files of mappings/ ask of the server: lifecycle policy, templates, first indices, write alias.

`plan` decides, and asks nobody: files + what the server can do → requests. `install` acts: it compares each request
with what the server holds under that name, and sends it only if that is missing or differs. Nothing here changes an
index that exists already.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from operator import attrgetter
from pathlib import Path
from typing import Any

import elasticsearch
import orjson
from elasticsearch import Elasticsearch

import indexer
from indexer.cluster.client import Server, shown
from indexer.errors import AliasIsIndex, Fatal
from indexer.settings import Connection

Body = dict[str, Any]

DEFAULT_ALIAS = Connection().alias
"""The alias that the files are written for; another one takes its place in their text."""
FIRST = "-000001"
"""The end of the first index's name; each rollover adds one (Elasticsearch guide, "Rollover")."""


class NoWriteIndex(Fatal):
    """The alias holds several indices, and which of them takes entries is not set."""

    sentence = "The alias {alias!r} on {url} has no write index among {indices}."
    cure = "Set is_write_index on the newest of them (POST _aliases)."


class NoAlias(Fatal):
    """The first index is there and the alias is not: a restored snapshot, or an alias that was removed."""

    sentence = "The index {index!r} exists on {url}, and no alias {alias!r}."
    cure = "Add the alias to its indices, with is_write_index on the newest (POST _aliases), or delete them."


class Kind(StrEnum):
    """What a request sets up; the value is what a person reads."""

    POLICY = "lifecycle policy"
    COMPONENT = "component template"
    TEMPLATE = "index template"
    INDEX = "index"


PATHS = {
    Kind.POLICY: "/_ilm/policy/",
    Kind.COMPONENT: "/_component_template/",
    Kind.TEMPLATE: "/_index_template/",
    Kind.INDEX: "/",
}


@dataclass(frozen=True, slots=True)
class Request:
    """One `PUT path` with a body."""

    kind: Kind
    name: str
    body: Body

    @property
    def method(self) -> str:
        """All of them can be repeated."""
        return "PUT"

    @property
    def path(self) -> str:
        """Where it goes, and where `GET` shows what the server holds."""
        return PATHS[self.kind] + self.name

    @property
    def what(self) -> str:
        """It in words."""
        return f"{self.kind} {self.name}"


class Result(StrEnum):
    """What became of a request."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    LEFT_OUT = "left out"
    """The server cannot do it; the detail says what that means."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done about one thing, for a person to read."""

    what: str
    result: Result
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Feature:
    """A part of a file that older servers refuse."""

    file: str
    keys: tuple[str, ...]
    """Where it stands in the file."""
    known: Callable[[Server], bool]
    without: str
    """What it means to be without it."""

    @property
    def what(self) -> str:
        """It in words."""
        return f"{'mapping parameter' if 'mappings' in self.keys else 'setting'} {self.keys[-1]}"


FEATURES = (
    Feature(
        "mappings",
        ("template", "mappings", "subobjects"),
        attrgetter("subobjects"),
        "needs Elasticsearch 8.3: where a field is an object in one entry and none in another, the later one is rejected",
    ),
    Feature(
        "settings",
        ("template", "settings", "index.mapping.total_fields.ignore_dynamic_beyond_limit"),
        attrgetter("ignores_fields_beyond_limit"),
        "needs Elasticsearch 8.14: once index.mapping.total_fields.limit is reached, an entry with a new field is rejected",
    ),
)
NO_LIFECYCLE = (
    "this server has no index lifecycle management: the index will not roll over, nor be deleted when old"
)


def plan(server: Server, connection: Connection) -> list[Request]:
    """Everything that has to be on the server, in the order in which it has to get there."""
    alias = connection.alias

    def read(file: str) -> Body:
        return _read(file, server, alias)

    components = [
        Request(Kind.COMPONENT, f"{alias}-settings", read("settings")),
        Request(Kind.COMPONENT, f"{alias}-mappings", read("mappings")),
    ]
    policies = []
    if server.lifecycle:
        policies = [Request(Kind.POLICY, alias, read("lifecycle"))]
        components += [Request(Kind.COMPONENT, f"{alias}-lifecycle", read("lifecycle-settings"))]
    return [
        *policies,
        *components,
        Request(Kind.TEMPLATE, alias, read("template") | {"composed_of": [part.name for part in components]}),
        Request(Kind.TEMPLATE, connection.rejected, read("rejected")),
        Request(Kind.INDEX, connection.rejected, {}),
        Request(Kind.INDEX, alias + FIRST, {"aliases": {alias: {"is_write_index": True}}}),
    ]


def left_out(server: Server, connection: Connection) -> list[Outcome]:
    """What the plan for this server lacks, and what that means."""
    missing = [Outcome(it.what, Result.LEFT_OUT, it.without) for it in FEATURES if not it.known(server)]
    if not server.lifecycle:
        missing.append(Outcome(f"{Kind.POLICY} {connection.alias}", Result.LEFT_OUT, NO_LIFECYCLE))
    return missing


def install(client: Elasticsearch, connection: Connection, server: Server) -> list[Outcome]:
    """Bring the server to the plan; a second run changes nothing, and says so.

    Raises AliasIsIndex or NoWriteIndex before anything is sent, NoAlias after it, and what the client raises.
    """
    write_index(client, connection)
    outcomes = [_apply(client, request) for request in plan(server, connection)]
    if write_index(client, connection) is None:
        raise NoAlias(index=connection.alias + FIRST, alias=connection.alias, url=shown(connection))
    return outcomes + left_out(server, connection)


def write_index(client: Elasticsearch, connection: Connection) -> str | None:
    """The index that entries sent to the alias go into; None without an alias.

    Raises AliasIsIndex, NoWriteIndex and what the client raises.
    """
    alias = connection.alias
    answer = client.options(ignore_status=404).indices.get_alias(index=alias)
    if answer.meta.status == 404:
        return None
    holders: dict[str, Body] = {name: held["aliases"].get(alias) for name, held in answer.items()}
    if None in holders.values():  # an index of that name, or a data stream
        raise AliasIsIndex(alias=alias, url=shown(connection))
    writing = [name for name, how in holders.items() if how.get("is_write_index", len(holders) == 1)]
    if not writing:
        raise NoWriteIndex(alias=alias, url=shown(connection), indices=", ".join(sorted(holders)))
    return writing[0]


def directory(package: Path) -> Path:
    """Where the files are: inside an installed package, beside it in a source tree."""
    inside = package / "mappings"
    return inside if inside.is_dir() else package.parent / "mappings"


def comparable(body: Body) -> Body:
    """The body with its index settings as `{"index.codec": "…"}`: servers answer them nested, and all values as text."""
    template = body.get("template") or {}
    if "settings" not in template:
        return body
    return body | {"template": template | {"settings": dict(_flat(template["settings"]))}}


def _flat(settings: Body, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value if isinstance(value, list | str) else orjson.dumps(value).decode()


def _read(file: str, server: Server, alias: str) -> Body:
    """A file of mappings/, for this alias and without what the server cannot take."""
    text = (directory(Path(indexer.__file__).parent) / f"{file}.json").read_text(encoding="utf-8")
    body: Body = orjson.loads(text.replace(DEFAULT_ALIAS, orjson.dumps(alias)[1:-1].decode()))
    for it in FEATURES:
        if it.file == file and not it.known(server):
            del reduce(dict.__getitem__, it.keys[:-1], body)[it.keys[-1]]
    return body


def _apply(client: Elasticsearch, request: Request) -> Outcome:
    if request.kind is Kind.INDEX:
        return _create(client, request)
    held = _held(client, request)
    if held is None:
        _send(client, request)
        return Outcome(request.what, Result.CREATED)
    if comparable({key: held.get(key) for key in request.body}) == comparable(request.body):
        return Outcome(request.what, Result.UNCHANGED)
    _send(client, request)
    detail = "" if request.kind is Kind.POLICY else "for indices made from now on"
    return Outcome(request.what, Result.UPDATED, detail)


def _create(client: Elasticsearch, request: Request) -> Outcome:
    """Create an index, unless it is there, or the alias it is made for is there on whatever index."""
    alias = next(iter(request.body.get("aliases", ())), None)
    if client.indices.exists(index=alias or request.name):
        return Outcome(request.what, Result.UNCHANGED)
    try:
        _send(client, request)
    except elasticsearch.BadRequestError as error:
        if error.error != "resource_already_exists_exception":
            raise
        return Outcome(request.what, Result.UNCHANGED)  # somebody else was quicker
    return Outcome(request.what, Result.CREATED, f"behind the alias {alias}" if alias else "")


def _held(client: Elasticsearch, request: Request) -> Body | None:
    """What the server holds under the request's name; None if nothing."""
    client = client.options(ignore_status=404)
    match request.kind:
        case Kind.POLICY:
            answer = client.ilm.get_lifecycle(name=request.name)
            found = [answer.get(request.name)]
        case Kind.COMPONENT:
            answer = client.cluster.get_component_template(name=request.name)
            found = [held["component_template"] for held in answer.get("component_templates", [])]
        case _:
            answer = client.indices.get_index_template(name=request.name)
            found = [held["index_template"] for held in answer.get("index_templates", [])]
    return found[0] if found else None


def _send(client: Elasticsearch, request: Request) -> None:
    headers = {"accept": "application/json", "content-type": "application/json"}
    client.perform_request(request.method, request.path, headers=headers, body=request.body)
