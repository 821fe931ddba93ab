"""What has to be on the server, decided without asking it: the files of mappings/ + options + what a server can do → requests.

The files are the readable truth. An option replaces single values in them, another alias takes the place of the
name they are written for, and what an older server would refuse is left out.
"""

import shlex
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

import indexer
from indexer.elastic.alias import FIRST
from indexer.elastic.server import Feature, Server
from indexer.settings import FOREVER, Connection, Indices, Lifecycle

Body = dict[str, Any]

DEFAULT_ALIAS = Connection().alias
"""The alias that the files are written for."""
OURS = "zoomdata-indexer"
"""The `_meta.managed_by` of everything that is installed."""
CUSTOM = "@custom"
"""The end of the name of an admin's own component template (Elastic's convention, Fleet guide, "Index templates")."""


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
class Call:
    """A request as it goes over the wire; the path is quoted."""

    method: str
    path: str
    body: Body | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One `PUT path` with a body."""

    kind: Kind
    name: str
    body: Body

    @property
    def path(self) -> str:
        """Where it goes, and where `GET` shows what the server holds."""
        return PATHS[self.kind] + quote(self.name, safe="@")

    @property
    def call(self) -> Call:
        """It as it is sent; it can be repeated."""
        return Call("PUT", self.path, self.body)

    @property
    def what(self) -> str:
        """It in words."""
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Optional:
    """A part of a file that older servers refuse."""

    file: str
    keys: tuple[str, ...]
    """Where it stands in the file."""
    needs: Feature
    what: str
    without: str
    """What it means to be without it."""


OPTIONAL = (
    Optional(
        "mappings",
        ("template", "mappings", "subobjects"),
        Feature.SUBOBJECTS,
        "mapping parameter subobjects",
        "needs Elasticsearch 8.3: where a field is an object in one entry and none in another, the later one is rejected",
    ),
    Optional(
        "settings",
        ("template", "settings", "index.mapping.total_fields.ignore_dynamic_beyond_limit"),
        Feature.FIELDS_BEYOND_LIMIT,
        "setting index.mapping.total_fields.ignore_dynamic_beyond_limit",
        "needs Elasticsearch 8.14: once index.mapping.total_fields.limit is reached, an entry with a new field is rejected",
    ),
    Optional(
        "template",
        ("ignore_missing_component_templates",),
        Feature.MISSING_COMPONENTS,
        f"component template {CUSTOM} before it exists",
        "needs Elasticsearch 8.7: once you have made one, it takes part after another `indexer template install`",
    ),
)
NO_LIFECYCLE = (
    "this server has no index lifecycle management: `indexer run --rollover`, or `indexer template rollover` "
    "every few minutes, rolls the index over and deletes old ones"
)
LIFECYCLE_NOT_WANTED = "--lifecycle none: " + NO_LIFECYCLE.partition(": ")[2]


def views_name(alias: str) -> str:
    """The name of the component template with the views of the activity types."""
    return f"{alias}-views"


def plan(
    server: Server,
    connection: Connection,
    indices: Indices | None = None,
    *,
    custom: bool = False,
    met: Body | None = None,
) -> list[Request]:
    """Everything that has to be on the server, in the order in which it has to get there.

    custom    the component template `<alias>@custom` is there: older servers may be told of it only then.
    met       views that are there already, of types that the files do not know: they stay.
    """
    indices = indices or Indices()
    alias = connection.alias

    def read(file: str) -> Body:
        return _read(file, server, alias)

    components = [
        Request(Kind.COMPONENT, f"{alias}-settings", _with_copies(read("settings"), indices, shards=True)),
        Request(Kind.COMPONENT, f"{alias}-mappings", read("mappings")),
    ]
    policies = []
    if managed(server, indices):
        policies = [Request(Kind.POLICY, alias, _policy(read("lifecycle"), read("warm"), indices))]
        components += [Request(Kind.COMPONENT, f"{alias}-lifecycle", read("lifecycle-settings"))]
    components += [Request(Kind.COMPONENT, views_name(alias), _with_views(read("views"), met or {}))]
    parts = [part.name for part in components]
    if custom or server.has(Feature.MISSING_COMPONENTS):
        parts += [alias + CUSTOM]  # the last one wins
    return [
        *policies,
        *components,
        Request(Kind.TEMPLATE, alias, read("template") | {"composed_of": parts}),
        Request(Kind.TEMPLATE, connection.rejected, _with_copies(read("rejected"), indices, shards=False)),
        Request(Kind.INDEX, connection.rejected, {}),
        Request(Kind.INDEX, alias + FIRST, {"aliases": {alias: {"is_write_index": True}}}),
    ]


def managed(server: Server, indices: Indices) -> bool:
    """Tell whether the server is to look after the indices."""
    return server.lifecycle and indices.lifecycle is Lifecycle.AUTO


def left_out(server: Server, indices: Indices | None = None) -> dict[str, str]:
    """What the plan for this server lacks, and what that means."""
    missing = {it.what: it.without for it in OPTIONAL if not server.has(it.needs)}
    if not managed(server, indices or Indices()):
        missing[f"{Kind.POLICY}"] = LIFECYCLE_NOT_WANTED if server.lifecycle else NO_LIFECYCLE
    return missing


def as_curl(call: Call) -> str:
    """A request as a line of shell; ES is the address, and the shell's arguments (credentials) go to curl."""
    line = f'curl -fsS "$@" -X {call.method} "$ES{call.path}"'
    if call.body is None:
        return line
    body = shlex.quote(orjson.dumps(call.body).decode())
    return f"{line} -H 'content-type: application/json' -d {body}"


def directory(package: Path) -> Path:
    """Where the files are: inside an installed package, beside it in a source tree."""
    inside = package / "mappings"
    return inside if inside.is_dir() else package.parent / "mappings"


def text_of(file: str, alias: str) -> str:
    """A file of mappings/, for this alias."""
    text = (directory(Path(indexer.__file__).parent) / f"{file}.json").read_text(encoding="utf-8")
    return text.replace(DEFAULT_ALIAS, orjson.dumps(alias)[1:-1].decode())


def _read(file: str, server: Server, alias: str) -> Body:
    """A file of mappings/, for this alias and without what the server cannot take."""
    body: Body = orjson.loads(text_of(file, alias))
    for it in OPTIONAL:
        if it.file == file and not server.has(it.needs):
            del reduce(dict.__getitem__, it.keys[:-1], body)[it.keys[-1]]
    return body


def _policy(body: Body, warm: Body, indices: Indices) -> Body:
    """The lifecycle policy as the options want it; phases in the order in which an index goes through them."""
    phases = body["policy"]["phases"]
    phases["hot"]["actions"]["rollover"] = {
        "max_age": indices.rollover_age,
        "max_primary_shard_size": indices.rollover_size,
    }
    delete = phases.pop("delete")
    if indices.warm_after is not None:
        phases["warm"] = warm | {"min_age": indices.warm_after}
    if indices.retain != FOREVER:
        phases["delete"] = delete | {"min_age": indices.retain}
    return body


def _with_views(body: Body, met: Body) -> Body:
    body["template"]["aliases"] = met | body["template"]["aliases"]
    return body


def _with_copies(body: Body, indices: Indices, *, shards: bool) -> Body:
    settings = body["template"]["settings"]
    if shards:
        settings["index.number_of_shards"] = indices.shards
    if indices.replicas is not None:
        settings |= {"index.auto_expand_replicas": False, "index.number_of_replicas": indices.replicas}
    return body
