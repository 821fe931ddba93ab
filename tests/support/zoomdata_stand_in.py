"""A stand-in for Zoomdata (Composer), as none can be had from a package registry: it is NOT Zoomdata, and proves nothing of pictures.

It enforces what the vendor's documentation and API description (v3) say of the interface, so that a client that breaks a
rule fails: the context, who may, media types, wrapped lists and pages, bodies without unknown fields, ids that it makes itself.
Where they are silent (keys of parameters, names of fields) it takes the awkward one of the possible ways.
"""

import base64
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from tests.support.http_server import answer, serving

Json = dict[str, Any]
MEDIA = "application/vnd.composer.v3+json"
TIMES = re.compile(r"\+\$(start_of_data|end_of_data(_-1_(week|month))?)")
"""Relative times that are documented."""
CONNECTION = {"name", "type", "connectionTypeId", "subStorageType", "allParameters"}
ENTITY = {"id", "name", "type", "index", "nativeFields"}
FIELD = {"origin", "name", "label", "dataType", "visible"}
PARAMETERS = [
    {"key": "ES_CONNECTION_STRING", "label": "Connection String", "required": True},
    {"key": "CLUSTER_NAME", "label": "Cluster name", "required": True},
    {"key": "USER_NAME", "label": "User Name", "required": False},
    {"key": "PASSWORD", "label": "Password", "required": False},
    {"key": "AWS_REGION", "label": "AWS region", "required": False},
]


def connector(number: str, oldest: str, newest: str, **more: Any) -> Json:
    """A connection type."""
    return {
        "id": f"type-{number}",
        "name": f"Elasticsearch {number}",
        "type": "EDC2",
        "subStorageType": f"ELASTICSEARCH_{number.replace('.', '_')}",
        "minSupportedVersion": oldest,
        "maxSupportedVersion": newest,
        "parameters": PARAMETERS,
        "enabled": True,
    } | more


TYPES = [
    {"id": "pg", "name": "PostgreSQL", "subStorageType": "POSTGRESQL", "parameters": [], "enabled": True},
    connector("7.0", "7.0", "7.17"),
    connector("8.0", "8.1", "8.17"),
]


class Refusal(Exception):  # noqa: N818 - an answer, no error of ours
    """Ends a request with an answer."""

    def __init__(self, status: int, message: str, *problems: str) -> None:
        super().__init__(message)
        told = [{"name": "body", "message": each, "level": "ERROR"} for each in problems]
        self.status, self.body = status, {"error": "…", "message": message, "details": None, "problems": told}


@dataclass(slots=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    question: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Its body, parsed."""
        return orjson.loads(self.body) if self.body else None


def described(*names: str) -> Callable[[str], list[Json]]:
    """The same fields for every collection."""
    return lambda _: [as_described(name) for name in names]


def as_described(name: str, kind: str = "ATTRIBUTE") -> Json:
    """A field, by another name than in Elasticsearch."""
    own = re.sub(r"[^a-z0-9_]", "_", name.lower())
    return {"type": kind, "originalFieldName": name, "name": own, "label": name.title()}


@dataclass(slots=True)
class StandIn:
    """What it holds, and how it is set up."""

    context: str = "/composer"
    version: Any = field(default_factory=lambda: {"version": "26.3.0", "revision": "0a1b2c"})
    types: list[Json] = field(default_factory=lambda: list(TYPES))
    lists: list[str] = field(default_factory=list)
    """The aliases and indices that it sees."""
    describes: Callable[[str], list[Json]] = field(
        default_factory=lambda: described("eventDate", "activityType", "user")
    )
    """The fields of a collection or pattern."""
    password: str | None = None
    """Of the Elasticsearch user; another is not let in."""
    adds: tuple[str, ...] = ()
    """Fields that it puts into each source by itself."""
    in_use: set[str] = field(default_factory=set)
    """Names of sources that dashboards use."""
    activities: dict[str, bool] | None = field(
        default_factory=lambda: {"ACCOUNT": True, "USER": True, "VIS_DATA": False, "RAW_DATA_EXPORT": False}
    )
    """None where the interface is gone."""
    stubborn: set[str] = field(default_factory=set)
    """Activity types that stay as they are."""
    page: int = 2
    """It gives no more than so many sources at once."""
    briefly: bool = False
    """Its list of sources leaves out descriptions."""
    users: dict[str, str] = field(default_factory=dict)
    """Header Authorization → administrator, supervisor or viewer."""
    connections: dict[str, Json] = field(default_factory=dict)
    sources: dict[str, Json] = field(default_factory=dict)
    fields: dict[str, list[Json]] = field(default_factory=dict)
    settings: dict[str, Json] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    _ids: Iterator[int] = field(default_factory=lambda: count(1))

    def admit(self, user: str, password: str, role: str = "administrator") -> None:
        """Know a user."""
        self.users[f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"] = role

    def changed(self) -> list[str]:
        """The requests so far that changed something."""
        harmless = ("/connections/validate", "/sources/data-entities/describe")
        return [
            f"{it.method} {it.path}" for it in self.asked if it.method != "GET" and it.path not in harmless
        ]

    def by_name(self, name: str) -> Json:
        """A source."""
        (found,) = (it for it in self.sources.values() if it["name"] == name)
        return found

    def originals(self, name: str) -> set[str]:
        """The fields of a source, as Elasticsearch calls them."""
        held = self.fields[self.by_name(name)["id"]]
        return {it["origin"]["nativeOrigin"]["originalName"] for it in held}

    @contextmanager
    def serving(self, tls: ssl.SSLContext | None = None) -> Iterator[str]:
        """Answer requests on a free port; give the address, without the context."""

        def respond(handler: BaseHTTPRequestHandler) -> None:
            body = handler.rfile.read(int(handler.headers.get("content-length", 0)))
            status, content, location = self.answer(handler.command, handler.path, handler.headers, body)
            headers = {"content_type": MEDIA} | ({"location": location} if location else {})
            answer(handler, status, b"" if content is None else orjson.dumps(content), **headers)

        with serving(respond, tls=tls) as server:
            yield f"http{'s' if tls else ''}://localhost:{server.server_port}"

    def answer(self, method: str, target: str, headers: Message, body: bytes) -> tuple[int, Any, str | None]:
        """The answer to a request: status, body and where it redirects to."""
        parts = urlsplit(target)
        if not parts.path.startswith(f"{self.context}/api/"):
            return 302, None, f"{self.context}/login"
        lower = {name.lower(): value for name, value in headers.items()}
        path = parts.path.removeprefix(f"{self.context}/api")
        asked = Asked(method, path, parse_qs(parts.query), lower, body)
        self.asked.append(asked)
        try:
            status, answer = self._answer(asked)
        except Refusal as refusal:
            return refusal.status, refusal.body, None
        return status, answer, None

    def _answer(self, asked: Asked) -> tuple[int, Any]:
        if asked.path == "/version":
            return 200, self.version
        role = self.users.get(asked.headers.get("authorization", ""))
        if role is None:
            raise Refusal(401, "Bad credentials")
        if MEDIA not in asked.headers.get("accept", ""):
            raise Refusal(406, "Not Acceptable")
        if asked.body and asked.headers.get("content-type") != MEDIA:
            raise Refusal(415, f"Content type '{asked.headers.get('content-type')}' not supported")
        if asked.path.startswith("/system/") != (role == "supervisor") or role == "viewer":
            raise Refusal(403, "Access is denied")
        area, _, rest = asked.path[1:].partition("/")
        match area:
            case "system":
                return self._activity(asked)
            case "connection" if rest == "types":
                return 200, {"content": self._types(asked)}
            case "connections":
                return self._connections(asked, rest)
            case "sources":
                return self._sources(asked, rest)
        raise Refusal(404, "Not Found")

    # ---- connections

    def _types(self, asked: Asked) -> list[Json]:
        return [it for it in self.types if it["enabled"] or asked.question.get("enabled") != ["true"]]

    def _connections(self, asked: Asked, rest: str) -> tuple[int, Any]:
        match asked.method, rest:
            case "GET", "":
                name = asked.question.get("name", [""])[0]  # a part of a name finds it too
                return 200, {"content": [it for it in self.connections.values() if name in it["name"]]}
            case "POST", "validate":
                return 200, self._validated(asked.json)
            case "POST", "":
                return self._keep(f"{next(self._ids):024x}", asked.json)
        identity, _, part = rest.partition("/")
        if identity not in self.connections:
            raise Refusal(404, f"Connection {identity} not found")
        match asked.method, part:
            case "PUT", "":
                return self._keep(identity, asked.json)
            case "GET", "objects":
                return 200, {"content": [{"name": it, "type": "INDEX"} for it in self.lists]}
            case "DELETE", "":
                if any(_connection_of(it) == identity for it in self.sources.values()):
                    raise Refusal(409, "Connection is used by sources")
                del self.connections[identity]
                return 204, None
        raise Refusal(405, "Method Not Allowed")

    def _keep(self, identity: str, body: Json) -> tuple[int, Json]:
        self._check_connection(body)
        self.connections[identity] = body | {"id": identity}
        return 200, self.connections[identity]

    def _check_connection(self, body: Json) -> Json:
        _only(body, CONNECTION)
        (kind,) = (it for it in self.types if it["id"] == body["connectionTypeId"])
        values = {}
        for each in body["allParameters"]:
            _only(each, {"key", "value", "systemAccess"})
            values[each["key"]] = each["value"]
        known = {it["key"]: it["required"] for it in kind["parameters"]}
        if unknown := values.keys() - known.keys():
            raise Refusal(400, "Invalid connection", f"unknown parameter {min(unknown)}")
        if missing := [key for key, required in known.items() if required and key not in values]:
            raise Refusal(400, "Invalid connection", f"parameter {missing[0]} is required")
        return values

    def _validated(self, body: Json) -> Json:
        values = self._check_connection(body)
        given = next((value for key, value in values.items() if key in {"PASSWORD", "PWD"}), None)
        if given != self.password:
            return {"connected": False, "message": f"401: unable to authenticate with {given}."}
        return {"connected": True, "message": "", "warning": None}

    # ---- sources

    def _sources(self, asked: Asked, rest: str) -> tuple[int, Any]:
        match asked.method, rest:
            case "GET", "":
                return 200, self._page(asked)
            case "POST", "":
                return 200, self._make(asked.json)
            case "POST", "data-entities/describe":
                return 200, {"content": self._described(asked.json)}
        return self._source(asked, *rest.partition("/")[::2])

    def _source(self, asked: Asked, identity: str, part: str) -> tuple[int, Any]:
        if asked.method == "PUT" and not part:  # as the product does it: a trap
            self.sources[identity] = asked.json | {"id": identity}
            return 200, self.sources[identity]
        if identity not in self.sources:
            raise Refusal(404, f"Source {identity} not found")
        match asked.method, part:
            case "GET", "":
                return 200, self.sources[identity]
            case "GET", "fields":
                return 200, {"content": self.fields[identity]}
            case "POST", "fields":
                return 200, self._add(identity, asked.json)
            case "GET", "global-settings":
                return 200, self.settings[identity]
            case "PUT", "global-settings":
                return 200, self._set(identity, asked.json)
            case "DELETE", "":
                if self.sources[identity]["name"] in self.in_use:
                    raise Refusal(409, "Source is used by 1 dashboard", "Deletions")
                del self.sources[identity]
                return 204, None
        raise Refusal(405, "Method Not Allowed")

    def _page(self, asked: Asked) -> Json:
        start = int(asked.question.get("pageToken", ["0"])[0])
        size = min(int(asked.question.get("maxResults", ["50"])[0]), self.page)
        found = list(self.sources.values())[start : start + size]
        if self.briefly:
            found = [{"id": it["id"], "name": it["name"]} for it in found]
        more = start + size < len(self.sources)
        return {"content": found} | ({"nextPageToken": str(start + size)} if more else {})

    def _described(self, entity: Json) -> list[Json]:
        _only(entity, ENTITY)
        index = entity["index"]
        if entity["type"] != "INDEX" or index["connectionId"] not in self.connections:
            raise Refusal(400, "Unknown data entity type or connection")
        if "collections" in index:
            _only(index, {"connectionId", "collections"})
            (name,) = index["collections"]
            if name not in self.lists:
                raise Refusal(400, f"Collection {name} not found")
            return self.describes(name)
        _only(index, {"connectionId", "patternType", "pattern"})
        if index["patternType"] not in {"NATIVE", "TIME_BASED"}:
            raise Refusal(400, "Unknown pattern type")
        return self.describes(index["pattern"])

    def _make(self, body: Json) -> Json:
        _only(body, {"name", "description", "storage"})
        if body.get("storage") is None:
            raise Refusal(500, "Cannot invoke getDataEntities() because getStorage() is null")
        (entity,) = body["storage"]["dataEntities"]
        found = self._described(entity)
        held = entity.get("nativeFields")
        if held is None:
            held = [_native(it, entity["id"]) for it in found]
        for each in held:
            self._check_field(each, entity)
        held = [*held, *(_native(as_described(it), entity["id"]) for it in self.adds)]
        identity = f"{next(self._ids):024x}"
        self.sources[identity] = body | {"id": identity}
        self.fields[identity] = held
        self.settings[identity] = {"textSearchEnabled": False, "timebar": {"enabled": False, "player": {}}}
        return self.sources[identity]

    def _add(self, identity: str, new: Json) -> Json:
        (entity,) = self.sources[identity]["storage"]["dataEntities"]
        self._check_field(new, entity)
        if any(it["name"] == new["name"] for it in self.fields[identity]):
            raise Refusal(400, "Field already exists", new["name"])
        self.fields[identity].append(new)
        return new

    def _check_field(self, new: Json, entity: Json) -> None:
        _only(new, FIELD)
        _only(new["origin"], {"type", "nativeOrigin"})
        origin = new["origin"]["nativeOrigin"]
        _only(origin, {"originalName", "originalType", "dataEntityId"})
        known = {it["originalFieldName"]: it["type"] for it in self._described(entity)}
        if (
            origin["dataEntityId"] != entity["id"]
            or known.get(origin["originalName"]) != origin["originalType"]
        ):
            raise Refusal(400, "Invalid field", f"no such field {origin['originalName']}")

    def _set(self, identity: str, body: Json) -> Json:
        bar = body["timebar"]
        _only(bar, {"enabled", "from", "to", "timeField", "player", "sharpening"})
        if bar["timeField"] not in {it["name"] for it in self.fields[identity]}:
            raise Refusal(400, "Invalid settings", f"no such field {bar['timeField']}")
        if not (TIMES.fullmatch(bar["from"]) and TIMES.fullmatch(bar["to"])):
            raise Refusal(400, "Invalid settings", f"{bar['from']} is no time")
        self.settings[identity] = body
        return body

    # ---- what is logged

    def _activity(self, asked: Asked) -> tuple[int, Any]:
        found = re.fullmatch(r"/system/activity/type(?:/([A-Z_]+))?", asked.path)
        if self.activities is None or not found:
            raise Refusal(404, "Not Found")
        if asked.method == "GET" and not found[1]:
            return 200, self.activities
        if asked.method != "PUT" or found[1] not in self.activities:
            raise Refusal(404, f"No activity type {found[1]}")
        if asked.body not in {b"true", b"false"}:
            raise Refusal(400, "JSON parse error: Cannot deserialize value of type `boolean`")
        if found[1] not in self.stubborn:
            self.activities[found[1]] = asked.json
        return 204, None


def _only(body: Json, known: set[str]) -> None:
    """Refuse a field that is not known, as the product does."""
    if unknown := set(body) - known:
        raise Refusal(400, "Bad request", f'Unrecognized field "{min(unknown)}"')


def _native(told: Json, entity_id: str) -> Json:
    origin = {
        "originalName": told["originalFieldName"],
        "originalType": told["type"],
        "dataEntityId": entity_id,
    }
    return {
        "origin": {"type": "NATIVE", "nativeOrigin": origin},
        "name": told["name"],
        "label": told["label"],
        "dataType": told["type"],
        "visible": True,
    }


def _connection_of(source: Json) -> Any:
    return source["storage"]["dataEntities"][0]["index"]["connectionId"]
