"""`indexer kibana install`: the saved objects go into Kibana in one request, and what it answers is read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from indexer.errors import Fatal
from indexer.kibana import rules
from indexer.kibana.api import DEFAULT_SPACE, Api
from indexer.kibana.saved_objects import Naming, SavedObject, ndjson, saved_objects
from indexer.settings import Connection, Kibana
from indexer.show import Table

OLDEST = (7, 17)
PRIVILEGES = (
    "Saved Objects Management, Dashboard, Visualize, Discover and Data Views (Index Patterns before 8.0)"
)
SHOWN = 5
"""So many failures are told one by one."""
REASONS = {
    "conflict": "another object has its id",
    "ambiguous_conflict": "more than one object could be the one to replace",
    "unsupported_type": "this Kibana knows no objects of its type",
}


class KibanaTooOld(Fatal):
    """Its Lens has another form."""

    sentence = "Kibana at {url} is {version}; the dashboards need 7.17 or later."
    hint = "Upgrade Kibana to 7.17, which works with Elasticsearch 7.17."


class ImportFailed(Fatal):
    """Not all objects are there; Kibana answers 200 all the same."""

    sentence = "Kibana at {url} took {done} of {all} objects. Not taken: {problems}."
    hint = "Mend what it names and run the same command again: what is there already is replaced."


@dataclass(frozen=True, slots=True)
class Installed:
    """What is in Kibana now."""

    kibana: str
    version: str
    objects: int
    dashboards: dict[str, str]
    """Title → address."""
    rules: tuple[tuple[str, str], ...]
    """Name, and whether it was created or updated."""

    def tables(self) -> Iterable[Table]:
        """For people to read."""
        title = f"{self.objects} objects in Kibana {self.version}"
        yield Table(title, ("Dashboard", "Address"), tuple(self.dashboards.items()), "")
        if self.rules:
            yield Table("Rules", ("Rule", "Was"), self.rules, "")


def naming(connection: Connection, kibana: Kibana) -> Naming:
    """What the objects of these settings are called after."""
    return Naming(connection.alias, None if kibana.space == DEFAULT_SPACE else kibana.space)


def install(connection: Connection, kibana: Kibana, *, alerts: bool, export_rows: int) -> Installed:
    """Import all objects, and set up the rules if wanted; again, to bring them up to date. Raises Fatal."""
    names = naming(connection, kibana)
    objects = saved_objects(names)
    with Api(connection, kibana) as api:
        version = api.version()
        if version[:2] < OLDEST:
            raise KibanaTooOld(url=api.space_url, version=_dotted(version))
        answer = api.upload(
            "/api/saved_objects/_import?overwrite=true",
            f"{names.prefix}.ndjson",
            ndjson(objects),
            privileges=PRIVILEGES,
        )
        _require_all(answer, objects, api.space_url)
        made = rules.install(api, names, export_rows) if alerts else []
        dashboards = {
            it.title: f"{api.space_url}/app/dashboards#/view/{it.id}"
            for it in objects
            if it.type == "dashboard"
        }
        return Installed(api.space_url, _dotted(version), len(objects), dashboards, tuple(made))


def _require_all(answer: Any, objects: Sequence[SavedObject], url: str) -> None:
    """Raise ImportFailed unless each object is there, under its own id."""
    titles = {(it.type, it.id): it.title for it in objects}
    failed = {(each["type"], each["id"]): _reason(each["error"]) for each in answer.get("errors", ())}
    for each in answer.get("successResults", ()):
        other = each.get("destinationId", each["id"])
        if other != each["id"]:
            failed[each["type"], each["id"]] = f"it got another id ({other}), which no dashboard refers to"
    done = answer.get("successCount", 0)
    if answer.get("success") and not failed and done == len(objects):
        return
    told = [
        f"{kind} {titles.get((kind, name), name)!r} ({name}): {reason}"
        for (kind, name), reason in failed.items()
    ]
    more = [f"and {len(told) - SHOWN} more"] if len(told) > SHOWN else []
    problems = "; ".join([*told[:SHOWN], *more]) or "it names none"
    raise ImportFailed(url=url, done=done, all=len(objects), problems=problems)


def _reason(error: Any) -> str:
    kind = error.get("type", "unknown")
    if kind == "missing_references":
        missing = ", ".join(f"{it['type']} {it['id']}" for it in error.get("references", ()))
        return f"it refers to what is not there ({missing})"
    return REASONS.get(kind) or str(error.get("message") or kind)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
