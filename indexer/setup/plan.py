"""The plan: files of mappings/ + options + features of the server → requests. Sends nothing.

Options replace single values of the files, the alias replaces the default one, and what the server would reject is
left out.
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
from indexer.elastic.alias import EXISTING, FIRST
from indexer.elastic.server import Feature, Server
from indexer.settings import FOREVER, Connection, Indices, Lifecycle

Body = dict[str, Any]

DEFAULT_ALIAS = Connection().alias
"""The alias that the files name."""
OURS = "zoomdata-indexer"
"""The `_meta.managed_by` of everything that is installed."""
CUSTOM = "@custom"
"""The suffix of an admin's own component template (Elastic's convention, Fleet guide, "Index templates")."""


class Kind(StrEnum):
    """What a request sets up; the value is printed."""

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
    """A request as it is sent; the path is quoted."""

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
        """The quoted path, for PUT and GET."""
        return PATHS[self.kind] + quote(self.name, safe="@")

    @property
    def call(self) -> Call:
        """The request as it is sent; it can be repeated."""
        return Call("PUT", self.path, self.body)

    @property
    def what(self) -> str:
        """Kind and name, for messages."""
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Optional:
    """A part of a file that some servers reject."""

    file: str
    keys: tuple[str, ...]
    """Its path in the file."""
    needs: Feature
    what: str
    without: str
    """The effect of leaving it out."""


OPTIONAL = (
    Optional(
        "mappings",
        ("template", "mappings", "subobjects"),
        Feature.SUBOBJECTS,
        "mapping parameter subobjects",
        "if a field is an object in one entry and not in another, the later entry may be rejected",
    ),
    Optional(
        "settings",
        ("template", "settings", "index.mapping.total_fields.ignore_dynamic_beyond_limit"),
        Feature.FIELDS_BEYOND_LIMIT,
        "setting index.mapping.total_fields.ignore_dynamic_beyond_limit",
        "once index.mapping.total_fields.limit is reached, an entry with a new field is rejected",
    ),
    Optional(
        "template",
        ("ignore_missing_component_templates",),
        Feature.MISSING_COMPONENTS,
        f"component template {CUSTOM} before it exists",
        "after creating it, run `indexer template install` again",
    ),
    Optional(
        "template",
        ("allow_auto_create",),
        Feature.ALLOW_AUTO_CREATE,
        "index template parameter allow_auto_create",
        f"each index has an alias of its own instead, <index>{EXISTING}, which entries are sent to",
    ),
)
NO_LIFECYCLE = (
    "this server has no index lifecycle management: `indexer run --rollover`, or `indexer template rollover` "
    "every few minutes, rolls the index over and deletes old ones"
)
OFFERED = "; a policy for the plugin index-management, which can do that instead, is printed by `indexer template install --dry-run`"
LIFECYCLE_NOT_WANTED = "--lifecycle none: " + NO_LIFECYCLE.partition(": ")[2]


def views_name(alias: str) -> str:
    """The component template with the views of the activity types."""
    return f"{alias}-views"


def plan(
    server: Server,
    connection: Connection,
    indices: Indices | None = None,
    *,
    custom: bool = False,
    met: Body | None = None,
) -> list[Request]:
    """All requests, in the order in which they have to be sent.

    custom    the component template `<alias>@custom` exists: older servers reject its name otherwise.
    met       existing views of types that are not in the files: they stay.
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
    if server.has(Feature.AUTO_CREATION):
        components += [Request(Kind.COMPONENT, alias + EXISTING, read("existing"))]
    components += [Request(Kind.COMPONENT, views_name(alias), _with_views(read("views"), met or {}))]
    parts = [part.name for part in components]
    if custom or server.has(Feature.MISSING_COMPONENTS):
        parts += [alias + CUSTOM]  # the last one wins
    return [
        *policies,
        *components,
        Request(Kind.TEMPLATE, alias, read("template") | {"composed_of": parts}),
        Request(Kind.TEMPLATE, connection.rejected, _with_copies(read("rejected"), indices, shards=False)),
        Request(Kind.TEMPLATE, connection.seals, _with_copies(read("seals"), indices, shards=False)),
        Request(Kind.INDEX, connection.rejected, {}),
        Request(Kind.INDEX, connection.seals, {}),
        Request(Kind.INDEX, alias + FIRST, {"aliases": {alias: {"is_write_index": True}}}),
    ]


def managed(server: Server, indices: Indices) -> bool:
    """Whether the server's lifecycle management is to manage the indices."""
    return server.lifecycle and indices.lifecycle is Lifecycle.AUTO


def offered(server: Server, indices: Indices) -> bool:
    """Whether a policy for the plugin that may manage the indices is offered (ism.py)."""
    return server.has(Feature.STATE_MANAGEMENT) and indices.lifecycle is Lifecycle.AUTO


def left_out(server: Server, indices: Indices | None = None) -> dict[str, str]:
    """What the plan for this server leaves out, with the effect."""
    missing = {
        it.what: f"{server.lacks(it.needs)}: {it.without}" for it in OPTIONAL if not server.has(it.needs)
    }
    indices = indices or Indices()
    if not managed(server, indices):
        why = LIFECYCLE_NOT_WANTED if server.lifecycle else NO_LIFECYCLE
        missing[f"{Kind.POLICY}"] = why + (OFFERED if offered(server, indices) else "")
    return missing


def as_curl(call: Call) -> str:
    """A request as a line of shell: $ES is the address, "$@" are further arguments of curl (credentials)."""
    line = f'curl -fsS "$@" -X {call.method} "$ES{call.path}"'
    if call.body is None:
        return line
    body = shlex.quote(orjson.dumps(call.body).decode())
    return f"{line} -H 'content-type: application/json' -d {body}"


def directory(package: Path) -> Path:
    """The directory of the files: inside an installed package, beside it in a source tree."""
    inside = package / "mappings"
    return inside if inside.is_dir() else package.parent / "mappings"


def text_of(file: str, alias: str) -> str:
    """A file of mappings/ with this alias."""
    text = (directory(Path(indexer.__file__).parent) / f"{file}.json").read_text(encoding="utf-8")
    return text.replace(DEFAULT_ALIAS, orjson.dumps(alias)[1:-1].decode())


def _read(file: str, server: Server, alias: str) -> Body:
    """A file of mappings/ with this alias, without what the server would reject."""
    body: Body = orjson.loads(text_of(file, alias))
    for it in OPTIONAL:
        if it.file == file and not server.has(it.needs):
            del reduce(dict.__getitem__, it.keys[:-1], body)[it.keys[-1]]
    return body


def _policy(body: Body, warm: Body, indices: Indices) -> Body:
    """The lifecycle policy of these options; the phases are in order."""
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
