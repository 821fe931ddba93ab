"""A stand-in for Kibana, which no package registry has. It is NOT Kibana, and cannot test how anything looks.

It enforces what Kibana's documentation ("Import saved objects API", "Create rule API", "Update rule API", "Create connector API") and
its source at 7.17 and 9.x (migration versions, attributes) require: headers, multipart form, file name, privileges, spaces, migration
versions, attributes, references.
"""

import re
import ssl
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import Any

import orjson

from tests.support.http_stand_in import Request, Response, basic, responding

Json = dict[str, Any]
Answer = tuple[int, Any]
FORM: dict[str, tuple[tuple[int, int, int], set[str]]] = {
    "index-pattern": (
        (7, 11, 0),
        {"title", "timeFieldName", "fields", "fieldFormatMap", "runtimeFieldMap", "fieldAttrs", "name"},
    ),
    "search": (
        (7, 9, 3),
        {"title", "description", "columns", "sort", "kibanaSavedObjectMeta", "hits", "version"},
    ),
    "lens": ((7, 16, 0), {"title", "description", "visualizationType", "state"}),
    "visualization": (
        (7, 13, 1),
        {"title", "description", "visState", "uiStateJSON", "kibanaSavedObjectMeta", "version"},
    ),
    "dashboard": (
        (7, 14, 0),
        {
            *("title", "description", "panelsJSON", "optionsJSON", "kibanaSavedObjectMeta"),
            *("timeRestore", "timeFrom", "timeTo", "refreshInterval", "hits", "version"),
        },
    ),
}
"""For each type, the last migration version of 7.17, and the attributes that newer servers accept."""
MODERN = (8, 19)
MODERN_FORM: dict[str, tuple[tuple[int, int, int], set[str]]] = {
    "index-pattern": ((8, 0, 0), FORM["index-pattern"][1]),
    "search": ((8, 0, 0), FORM["search"][1]),
    "tag": ((8, 0, 0), {"name", "description", "color"}),
    "dashboard": ((10, 2, 0), FORM["dashboard"][1] | {"controlGroupInput"}),
}
"""The same for objects that are stamped as 8.19 does it. Before 8.8 servers do not know `typeMigrationVersion`; those up to 8.18 do,
but are not given it.
"""
CHECKED = {"index-pattern", "search"}
"""If a reference to one of these is missing, nothing is created."""
RULE = {"name", "tags", "schedule", "throttle", "notify_when", "params", "actions"}
NEW_RULE = RULE | {"rule_type_id", "consumer", "enabled"}
PARAMS = {
    *("index", "timeField", "esQuery", "size", "threshold", "thresholdComparator"),
    *("timeWindowSize", "timeWindowUnit"),
}


def opensearch_dashboards() -> dict[str, Response]:
    """Answers of OpenSearch Dashboards, as its source and its issues have them (`indexer/kibana/api.py`)."""
    service = {"id": "core:opensearch@2.0.0", "message": "OpenSearch is available", "state": "green"}
    status = {"overall": {"state": "green"}, "statuses": [service]}
    body = {"name": "osd", "version": {"number": "2.0.0"}, "status": status}
    headers = {"osd-name": "osd"}
    return {
        "without the header": Response(200, body),
        "with it": Response(200, body, headers=headers),
        "refusal": Response(401, {"statusCode": 401, "message": "Authentication required"}, headers=headers),
        "login": Response(302, None, "/app/login", headers),
    }


class Refusal(Exception):  # noqa: N818 - a response, not an error of a test
    """An error response."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.answer: Answer = (status, {"statusCode": status, "error": "…", "message": message})


@dataclass(slots=True)
class StandIn:
    """State and configuration of the server."""

    version: str = "8.19.16"
    base_path: str = ""
    open: bool = False
    """No credentials are required."""
    tells_version: bool = True
    """Newer servers hide it from unknown users."""
    encryption_key: bool = True
    secure: bool = True
    starting: int = 0
    """How many requests find it starting: its server has not begun (`status_preboot.ts`)."""
    starting_as: Response = field(
        default_factory=lambda: Response(503, {"status": {"overall": {"level": "unavailable"}}})
    )
    """Its answer until then."""
    spaces: set[str] = field(default_factory=lambda: {"default"})
    may: dict[str, bool] = field(default_factory=dict)
    """Header Authorization → whether it has the privileges."""
    objects: dict[tuple[str, str, str], Json] = field(default_factory=dict)
    """Space, type, id → object."""
    rules: dict[str, Json] = field(default_factory=dict)
    connectors: list[Json] = field(default_factory=list)
    refuses: dict[str, Json] = field(default_factory=dict)
    """Id → the error of its import."""
    renames: dict[str, str] = field(default_factory=dict)
    """Id → the id that it gets instead, as if it were used in another space."""
    requests: list[Request] = field(default_factory=list)

    def admit(self, user: str, password: str, *, may: bool = True) -> None:
        """Add a user."""
        self.may[basic(user, password)] = may

    @contextmanager
    def serving(self, tls: ssl.SSLContext | None = None) -> Iterator[str]:
        """Answer requests on a free port; yield the URL with the base path."""
        with responding(self.respond, "application/json; charset=utf-8", tls) as url:
            yield url + self.base_path

    def respond(self, request: Request) -> Response:
        """The response to a request."""
        request.path = request.path.removeprefix(self.base_path)
        if found := re.match(r"/s/([a-z0-9_-]+)(/.*)", request.path):
            request.space, request.path = found[1], found[2]
        self.requests.append(request)
        if self.starting > 0:
            self.starting -= 1
            return self.starting_as
        try:
            return Response(*self._answer(request))
        except Refusal as refusal:
            return Response(*refusal.answer)

    def _answer(self, request: Request) -> Answer:
        who = request.headers.get("authorization")
        known = self.open or who in self.may
        if request.path == "/api/status" and not known and not self.tells_version:
            return 200, {"status": {"overall": {"level": "available"}}}
        if not known:
            raise Refusal(401, "[security_exception: unable to authenticate user]")
        if request.path == "/api/status":
            return 200, {"version": {"number": self.version}, "status": {"overall": {"level": "available"}}}
        if request.method != "GET" and "kbn-xsrf" not in request.headers:
            raise Refusal(400, "Request must contain a kbn-xsrf header.")
        if request.space not in self.spaces:
            raise Refusal(404, "Not Found")
        if not self.open and not self.may[str(who)]:
            raise Refusal(403, "Unable to bulk_create dashboard,index-pattern,lens,search,visualization")
        match request.method, request.path:
            case "POST", "/api/saved_objects/_import":
                return self._import(request)
            case "GET", "/api/alerting/_health":
                return 200, {
                    "has_permanent_encryption_key": self.encryption_key,
                    "is_sufficiently_secure": self.secure,
                }
            case "GET", "/api/actions/connectors":
                return 200, self.connectors
            case "POST", "/api/actions/connector":
                return self._connector(request)
        if found := re.fullmatch(r"/api/alerting/rule/([^/]+)", request.path):
            return self._rule(request, found[1])
        raise Refusal(404, "Not Found")

    # ---- saved objects

    def _import(self, request: Request) -> Answer:
        objects = [orjson.loads(line) for line in _uploaded(request).splitlines() if line]
        for each in objects:
            self._require_stamps(each)
        overwrite = request.params.get("overwrite") == ["true"]
        errors = [
            error for each in objects if (error := self._error(each, objects, request.space, overwrite))
        ]
        missing = any(each["error"]["type"] == "missing_references" for each in errors)
        failed = {(each["type"], each["id"]) for each in errors}
        taken = [] if missing else [each for each in objects if (each["type"], each["id"]) not in failed]
        results = []
        for each in taken:
            name = self.renames.get(each["id"], each["id"])
            self.objects[request.space, each["type"], name] = each
            renamed = {"destinationId": name} if name != each["id"] else {}
            results.append({"type": each["type"], "id": each["id"], "overwrite": overwrite} | renamed)
        answer = {"success": not errors, "successCount": len(taken), "successResults": results}
        return 200, answer | ({"errors": errors} if errors else {})

    def _require_stamps(self, each: Json) -> None:
        number = _numbers(self.version)
        stamps = [*each.get("migrationVersion", {}).values(), each.get("coreMigrationVersion", "0.0.0")]
        model, known = _numbers(each.get("typeMigrationVersion", "0.0.0")), MODERN_FORM.get(each["type"])
        too_new = number >= MODERN and known is not None and model > known[0]
        if too_new or any(_numbers(stamp) > number for stamp in stamps):
            raise Refusal(
                422, f"Document {each['id']!r} belongs to a more recent version of Kibana [{max(stamps)}]."
            )

    def _error(self, each: Json, objects: list[Json], space: str, overwrite: bool) -> Json | None:  # noqa: FBT001
        error = self.refuses.get(each["id"]) or self._fault(each, objects, space, overwrite)
        about = {"type": each["type"], "id": each["id"], "title": each["attributes"].get("title")}
        return about | {"error": error} if error else None

    def _fault(self, each: Json, objects: list[Json], space: str, overwrite: bool) -> Json | None:  # noqa: FBT001
        modern = _numbers(self.version) >= MODERN and "typeMigrationVersion" in each
        form = MODERN_FORM if modern else FORM
        if each["type"] not in form:
            return {"type": "unsupported_type"}
        stamp, attributes = form[each["type"]]
        stamps = {each["type"]: each["typeMigrationVersion"]} if modern else each.get("migrationVersion")
        if stamps != {each["type"]: ".".join(map(str, stamp))}:
            return {"type": "unknown", "message": "every migration since 6.x would run over it"}
        if unknown := set(each["attributes"]) - attributes:
            return {
                "type": "unknown",
                "message": f"[attributes.{min(unknown)}]: definition for this key is missing",
            }
        there = {(it["type"], it["id"]) for it in objects} | {
            (k, i) for s, k, i in self.objects if s == space
        }
        wanted = [(it["type"], it["id"]) for it in each["references"] if it["type"] in CHECKED]
        if missing := [{"type": kind, "id": name} for kind, name in wanted if (kind, name) not in there]:
            return {"type": "missing_references", "references": missing}
        if (space, each["type"], each["id"]) in self.objects and not overwrite:
            return {"type": "conflict"}
        return None

    # ---- rules

    def _connector(self, request: Request) -> Answer:
        wanted = request.json
        if set(wanted) - {"name", "connector_type_id", "config", "secrets"}:
            raise Refusal(400, "[request body]: definition for this key is missing")
        made = {
            "id": str(uuid.uuid4()),
            "name": wanted["name"],
            "connector_type_id": wanted["connector_type_id"],
        }
        self.connectors.append(made)
        return 200, made

    def _rule(self, request: Request, name: str) -> Answer:
        wanted, update = request.json, request.method == "PUT"
        try:
            uuid.UUID(name)
        except ValueError:
            raise Refusal(400, "Predefined IDs are not allowed, unless the ID is a UUID.") from None
        if unknown := set(wanted) - (RULE if update else NEW_RULE):
            raise Refusal(400, f"[request body.{min(unknown)}]: definition for this key is missing")
        if unknown := set(wanted["params"]) ^ PARAMS:
            raise Refusal(400, f"params invalid: [{min(unknown)}]")
        orjson.loads(wanted["params"]["esQuery"])
        connectors = {each["id"] for each in self.connectors}
        if any(action["id"] not in connectors for action in wanted["actions"]):
            raise Refusal(400, "Saved object [action/…] not found")
        if not update and name in self.rules:
            raise Refusal(409, f"Saved object [alert/{name}] conflict")
        if update and name not in self.rules:
            raise Refusal(404, f"Saved object [alert/{name}] not found")
        self.rules[name] = self.rules.get(name, {}) | wanted
        return 200, self.rules[name] | {"id": name}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _uploaded(request: Request) -> bytes:
    """The content of the file in a multipart form."""
    kind = request.headers.get("content-type", "")
    if not kind.startswith("multipart/form-data"):
        raise Refusal(415, "Unsupported Media Type")
    form = message_from_bytes(f"content-type: {kind}\r\n\r\n".encode() + request.body)
    for part in form.walk():
        if part.get_param("name", header="content-disposition") == "file":
            if not str(part.get_filename()).endswith(".ndjson"):
                raise Refusal(400, "Invalid file extension")
            return bytes(part.get_payload(decode=True))
    raise Refusal(400, "[request body.file]: expected value of type [Stream] but got [undefined]")
