"""A stand-in for Zoomdata (Composer), which no package registry has. It is NOT Zoomdata, and cannot test how anything looks.

It is built from the vendor's API description (OpenAPI 3.1, as a Composer of 2026 serves it at `<context>/api-docs`) and its
documentation: context, roles, media types, query parameters, required and known fields, values of enumerations, wrapped and paged
lists, statuses, warnings that are refused until `suppressWarnings` is sent. Where these are silent (keys of parameters, names of
fields, pages' sizes, unknown query parameters), it behaves in the most inconvenient of the possible ways.
"""

import re
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from typing import Any

from tests.support.http_stand_in import Request, Response, basic, responding

Json = dict[str, Any]
MEDIA = "application/vnd.composer.v3+json"
TIMES = re.compile(r"\+\$(start_of_data|end_of_data(_-1_(week|month))?)")
"""The documented relative times."""
CONNECTION = {"name", "type", "connectionTypeId", "subStorageType", "allParameters", "disabled", "folderId"}
SOURCE = {"name", "description", "storage", "tags", "folderId"}
ENTITY = {"id", "name", "type", "index", "nativeFields", "auxiliary"}
FIELD = {"origin", "name", "label", "dataType", "visible", "format", "granularity"}
DATA_TYPES = {"ATTRIBUTE", "NUMBER", "INTEGER", "TIME", "TEXT", "HIERARCHY", "NULL"}
SETTINGS = {"textSearchEnabled", "nestedFiltersEnabled", "timebar", "tileProvider", "defaultVisualFilters"}
PAGED = {"maxResults", "pageToken"}
QUERY = {
    "GET /connection/types": {"name", "enabled"},
    "GET /connections": {"name", "features", "ids"},
    "POST /connections": {"connectionTypeMatchingStrategy", "suppressWarnings"},
    "POST /connections/validate": {"suppressWarnings"},
    "PUT /connections/*": {"connectionTypeMatchingStrategy", "suppressWarnings"},
    "GET /connections/*/objects": {"suppressWarnings"},
    "GET /sources": PAGED | {"filter", "sort"},
    "POST /sources": {"suppressWarnings"},
    "PUT /sources/*": {"suppressWarnings"},
    "GET /sources/*/fields": PAGED,
    "POST /sources/*/fields": {"suppressWarnings"},
}
"""Query parameters of each operation; * stands for an id. The others have none."""
PARAMETERS = [
    {"key": "ES_CONNECTION_STRING", "label": "Connection String", "required": True},
    {"key": "CLUSTER_NAME", "label": "Cluster name", "required": True},
    {"key": "USER_NAME", "label": "User Name", "required": False},
    {"key": "PASSWORD", "label": "Password", "required": False},
    {"key": "AWS_REGION", "label": "AWS region", "required": False},
]


def connector(number: str, oldest: str, newest: str, product: str = "Elasticsearch", **more: Any) -> Json:
    """A connection type."""
    return {
        "id": f"type-{number}",
        "connectorId": f"connector-{number}",
        "name": f"{product} {number}",
        "type": f"EDC_{number}",
        "subStorageType": f"{product.upper()}_{number.replace('.', '_')}",
        "minSupportedVersion": oldest,
        "maxSupportedVersion": newest,
        "parameters": [it | {"userAttribute": False} for it in PARAMETERS],
        "enabled": True,
    } | more


TYPES = [
    {
        "id": "pg",
        "connectorId": "connector-pg",
        "name": "PostgreSQL",
        "type": "JDBC",
        "subStorageType": "POSTGRESQL",
        "parameters": [],
        "enabled": True,
    },
    connector("7.0", "7.0", "7.17"),
    connector("8.0", "8.1", "8.17"),
    connector("2.0", "2.0", "2.17", "OpenSearch"),
]


class Refusal(Exception):  # noqa: N818 - a response, not an error of a test
    """An error response."""

    def __init__(self, status: int, message: str, *problems: str, level: str = "ERROR") -> None:
        super().__init__(message)
        told = [{"name": "body", "message": each, "level": level} for each in problems]
        self.status, self.body = status, {"error": "…", "message": message, "details": None, "problems": told}


def described(*names: str) -> Callable[[str], list[Json]]:
    """The same fields for every collection."""
    return lambda _: [as_described(name) for name in names]


def as_described(name: str, kind: str | None = None) -> Json:
    """A field whose name differs from that in Elasticsearch."""
    own = re.sub(r"[^a-z0-9_]", "_", name.lower())
    kind = kind or ("TIME" if name.endswith("Date") else "ATTRIBUTE")
    return {"type": kind, "originalFieldName": name, "name": own, "label": name.title()}


@dataclass(slots=True)
class StandIn:
    """State and configuration of the server."""

    context: str = "/composer"
    version: Any = field(default_factory=lambda: {"version": "26.3.0", "revision": "0a1b2c"})
    types: list[Json] = field(default_factory=lambda: list(TYPES))
    lists: list[str] = field(default_factory=list)
    """The aliases and indices that it lists."""
    describes: Callable[[str], list[Json]] = field(
        default_factory=lambda: described("eventDate", "activityType", "user")
    )
    """The fields of a collection or pattern."""
    password: str | None = None
    """The only valid password of the Elasticsearch user."""
    adds: tuple[str, ...] = ()
    """Fields that it adds to each source."""
    in_use: set[str] = field(default_factory=set)
    """Names of sources that dashboards use."""
    activities: dict[str, bool] | None = field(
        default_factory=lambda: {"ACCOUNT": True, "USER": True, "VIS_DATA": False, "RAW_DATA_EXPORT": False}
    )
    """None if the API is missing."""
    stubborn: set[str] = field(default_factory=set)
    """Activity types that cannot be switched."""
    ghosts: set[str] = field(default_factory=set)
    """Activity types that are listed, and unknown to it when they are to be switched."""
    page: int = 2
    """The largest number of sources or fields in one answer."""
    warns: dict[str, list[str]] = field(default_factory=dict)
    """Operation, such as `POST /sources` → warnings, for which it is refused until `suppressWarnings` is sent."""
    briefly: bool = False
    """The list of sources has no descriptions."""
    users: dict[str, str] = field(default_factory=dict)
    """Header Authorization → administrator, supervisor or viewer."""
    connections: dict[str, Json] = field(default_factory=dict)
    sources: dict[str, Json] = field(default_factory=dict)
    fields: dict[str, list[Json]] = field(default_factory=dict)
    settings: dict[str, Json] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    _ids: Iterator[int] = field(default_factory=lambda: count(1))

    def admit(self, user: str, password: str, role: str = "administrator") -> None:
        """Add a user."""
        self.users[basic(user, password)] = role

    def changed(self) -> list[str]:
        """The requests so far that changed something."""
        harmless = ("/connections/validate", "/sources/data-entities/describe")
        return [
            f"{it.method} {it.path}" for it in self.requests if it.method != "GET" and it.path not in harmless
        ]

    def by_name(self, name: str) -> Json:
        """The source of this name."""
        (found,) = (it for it in self.sources.values() if it["name"] == name)
        return found

    def originals(self, name: str) -> set[str]:
        """The names in Elasticsearch of the fields of a source."""
        held = self.fields[self.by_name(name)["id"]]
        return {it["origin"]["nativeOrigin"]["originalName"] for it in held}

    @contextmanager
    def serving(self, tls: ssl.SSLContext | None = None) -> Iterator[str]:
        """Answer requests on a free port; yield the URL without the context."""
        with responding(self.respond, MEDIA, tls) as url:
            yield url

    def respond(self, request: Request) -> Response:
        """The response to a request."""
        if not request.path.startswith(f"{self.context}/api/"):
            return Response(302, None, f"{self.context}/login")
        request.path = request.path.removeprefix(f"{self.context}/api")
        self.requests.append(request)
        try:
            return Response(*self._answer(request))
        except Refusal as refusal:
            return Response(refusal.status, refusal.body)

    def _answer(self, request: Request) -> tuple[int, Any]:
        if request.path == "/version":
            return 200, self.version
        role = self.users.get(request.headers.get("authorization", ""))
        if role is None:
            raise Refusal(401, "Bad credentials")
        if MEDIA not in request.headers.get("accept", ""):
            raise Refusal(406, "Not Acceptable")
        if request.body and request.headers.get("content-type") != MEDIA:
            raise Refusal(415, f"Content type '{request.headers.get('content-type')}' not supported")
        self._check_query(request)
        if request.path.startswith("/system/") != (role == "supervisor") or role == "viewer":
            raise Refusal(403, "Access is denied")
        area, _, rest = request.path[1:].partition("/")
        match area:
            case "system":
                return self._activity(request)
            case "connection" if rest == "types":
                return 200, {"content": self._types(request)}
            case "connections":
                return self._connections(request, rest)
            case "sources":
                return self._sources(request, rest)
        raise Refusal(404, "Not Found")

    def _check_query(self, request: Request) -> None:
        area, _, rest = request.path[1:].partition("/")
        identity, _, part = rest.partition("/")
        if area in {"connections", "sources"} and identity not in {"", "validate", "data-entities"}:
            rest = f"*/{part}".rstrip("/")
        operation = f"{request.method} /{area}/{rest}".rstrip("/")
        known = QUERY.get(operation, set())
        if unknown := request.params.keys() - known:
            raise Refusal(400, "Bad request", f"unknown parameter {min(unknown)} of {operation}")
        warnings = self.warns.get(operation) if "suppressWarnings" in known else None
        if warnings and request.params.get("suppressWarnings") != ["true"]:
            raise Refusal(400, "Validation failed", *warnings, level="WARNING")

    # ---- connections

    def _types(self, request: Request) -> list[Json]:
        return [it for it in self.types if it["enabled"] or request.params.get("enabled") != ["true"]]

    def _connections(self, request: Request, rest: str) -> tuple[int, Any]:
        match request.method, rest:
            case "GET", "":
                name = request.params.get("name", [""])[0]  # matches parts of names
                return 200, {"content": [it for it in self.connections.values() if name in it["name"]]}
            case "POST", "validate":
                return 200, self._validated(request.json)
            case "POST", "":
                return 201, self._keep(f"{next(self._ids):024x}", request.json)
        identity, _, part = rest.partition("/")
        if identity not in self.connections:
            raise Refusal(404, f"Connection {identity} not found")
        match request.method, part:
            case "PUT", "":
                return 200, self._keep(identity, request.json)
            case "GET", "objects":
                return 200, {"content": [{"name": it, "type": "COLLECTION"} for it in self.lists]}
            case "DELETE", "":
                if any(_connection_of(it) == identity for it in self.sources.values()):
                    raise Refusal(409, "Connection is used by sources")
                del self.connections[identity]
                return 204, None
        raise Refusal(405, "Method Not Allowed")

    def _keep(self, identity: str, body: Json) -> Json:
        self._check_connection(body)
        self.connections[identity] = body | {"id": identity}
        return self.connections[identity]

    def _check_connection(self, body: Json) -> Json:
        _only(body, CONNECTION, required={"name", "type", "subStorageType"})
        kind = next((it for it in self.types if it["id"] == body.get("connectionTypeId")), None)
        if kind is None:
            raise Refusal(400, "Invalid connection", f"no connection type {body.get('connectionTypeId')}")
        for name in ("type", "subStorageType"):
            if body[name] != kind[name]:
                raise Refusal(400, "Invalid connection", f"{name} {body[name]} is not {kind[name]}")
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

    def _sources(self, request: Request, rest: str) -> tuple[int, Any]:
        match request.method, rest:
            case "GET", "":
                return 200, self._page(request, [self._listed(it) for it in self.sources.values()])
            case "POST", "":
                return 201, self._make(request.json)
            case "POST", "data-entities/describe":
                return 200, {"content": self._described(request.json)}
        return self._source(request, *rest.partition("/")[::2])

    def _source(self, request: Request, identity: str, part: str) -> tuple[int, Any]:
        if request.method == "PUT" and not part:  # the product replaces or creates it
            self.sources[identity] = request.json | {"id": identity}
            return 200, self.sources[identity]
        if identity not in self.sources:
            raise Refusal(404, f"Source {identity} not found")
        match request.method, part:
            case "GET", "":
                return 200, self.sources[identity]
            case "GET", "fields":
                return 200, self._page(request, self.fields[identity])
            case "POST", "fields":
                return 201, self._add(identity, request.json)
            case "GET", "global-settings":
                return 200, self.settings[identity]
            case "PUT", "global-settings":
                return 200, self._set(identity, request.json)
            case "DELETE", "":
                if self.sources[identity]["name"] in self.in_use:
                    raise Refusal(409, "Source is used by 1 dashboard", "Deletions")
                del self.sources[identity]
                return 204, None
        raise Refusal(405, "Method Not Allowed")

    def _page(self, request: Request, items: list[Json]) -> Json:
        token = request.params.get("pageToken", [_token(0)])[0]
        starts = [it for it in range(len(items) + 1) if _token(it) == token]
        if not starts:
            raise Refusal(400, "Invalid page token", token)
        (start,) = starts
        size = min(int(request.params.get("maxResults", ["0"])[0]) or self.page, self.page)
        end = start + size
        info = {
            "nextPageToken": _token(end) if end < len(items) else None,
            "previousPageToken": _token(max(0, start - size)) if start else None,
        }
        return {"content": items[start:end], "pageInfo": info}

    def _listed(self, source: Json) -> Json:
        """A source in the list, which has no fields."""
        if self.briefly:
            return {"id": source["id"], "name": source["name"]}
        entities = [_without(it, "nativeFields") for it in source.get("storage", {}).get("dataEntities", ())]
        return source | {"storage": {"dataEntities": entities}}

    def _described(self, entity: Json) -> list[Json]:
        _only(entity, ENTITY, required={"type"})
        index = entity.get("index") or {}
        if entity["type"] != "INDEX" or index.get("connectionId") not in self.connections:
            raise Refusal(404, "Connection or upload was not found")
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
        _only(body, SOURCE, required={"name"})
        if body.get("storage") is None:
            raise Refusal(500, "Cannot invoke getDataEntities() because getStorage() is null")
        if any(it["name"] == body["name"] for it in self.sources.values()):
            raise Refusal(400, "Invalid source", f"the name {body['name']} is not unique")
        if len(body["name"]) > 255 or len(body.get("description", "")) > 1500:
            raise Refusal(400, "Invalid source", "name or description is too long")
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
        _only(new, FIELD, required={"origin"})
        _only(new["origin"], {"type", "nativeOrigin"}, required={"type", "nativeOrigin"})
        origin = new["origin"]["nativeOrigin"]
        _only(origin, {"originalName", "originalType", "dataEntityId"}, required={"originalName"})
        if new["origin"]["type"] != "NATIVE" or new["dataType"] not in DATA_TYPES:
            raise Refusal(400, "Invalid field", f"{new['origin']['type']} {new['dataType']}")
        known = {it["originalFieldName"]: it["type"] for it in self._described(entity)}
        if (
            origin["dataEntityId"] != entity["id"]
            or known.get(origin["originalName"]) != origin["originalType"]
        ):
            raise Refusal(400, "Invalid field", f"no such field {origin['originalName']}")

    def _set(self, identity: str, body: Json) -> Json:
        _only(body, SETTINGS)
        bar = body["timebar"]
        _only(bar, {"enabled", "from", "to", "calendarId", "timeField", "player", "sharpening"})
        if bar["timeField"] not in {it["name"] for it in self.fields[identity] if it["dataType"] == "TIME"}:
            raise Refusal(400, "Invalid settings", f"no such time field {bar['timeField']}")
        if not (TIMES.fullmatch(bar["from"]) and TIMES.fullmatch(bar["to"])):
            raise Refusal(400, "Invalid settings", f"{bar['from']} is no time")
        self.settings[identity] = body
        return body

    # ---- what is logged

    def _activity(self, request: Request) -> tuple[int, Any]:
        found = re.fullmatch(r"/system/activity/type(?:/([A-Z_]+))?", request.path)
        if self.activities is None or not found:
            raise Refusal(404, "Not Found")
        if request.method == "GET" and not found[1]:
            return 200, self.activities | dict.fromkeys(self.ghosts, False)
        if request.method != "PUT" or found[1] not in self.activities:
            raise Refusal(404, f"No activity type {found[1]}")
        if request.body not in {b"true", b"false"}:
            raise Refusal(400, "JSON parse error: Cannot deserialize value of type `boolean`")
        if found[1] not in self.stubborn:
            self.activities[found[1]] = request.json
        return 204, None


def _only(body: Json, known: set[str], required: Iterable[str] = ()) -> None:
    """Reject an unknown field, as the product does, and a missing one."""
    if unknown := set(body) - known:
        raise Refusal(400, "Bad request", f'Unrecognized field "{min(unknown)}"')
    if missing := sorted(it for it in required if not body.get(it)):
        raise Refusal(400, "Bad request", f"{missing[0]} is required")


def _token(position: int) -> str:
    """The token of the page that begins at this item."""
    return sha256(str(position).encode()).hexdigest()[:16]


def _without(body: Json, name: str) -> Json:
    return {key: value for key, value in body.items() if key != name}


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
