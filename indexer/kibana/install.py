"""`indexer kibana install`: imports all saved objects in one request, and checks the result of each."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any

from indexer.errors import Fatal
from indexer.kibana import rules
from indexer.kibana.api import DEFAULT_SPACE, Api
from indexer.kibana.dashboards import saved_objects
from indexer.kibana.ready import version_when_ready
from indexer.kibana.saved_objects import OLDEST, Naming, SavedObject, Version, ndjson
from indexer.settings import Connection, Kibana
from indexer.show import Table

PRIVILEGES = (
    "Saved Objects Management, Dashboard, Visualize, Discover and Data Views (Index Patterns before 8.0)"
)
MAX_SHOWN = 5
"""Failures listed in the error."""
REASONS = {
    "conflict": "another object has its id",
    "ambiguous_conflict": "more than one object could be replaced",
    "unsupported_type": "this Kibana does not support its type",
}


class KibanaTooOld(Fatal):
    """A version with another form of Lens."""

    sentence = "Kibana at {url} is {version}; the dashboards need 7.17 or later."
    hint = "Upgrade Kibana to 7.17, which works with Elasticsearch 7.17."


class ImportFailed(Fatal):
    """Some objects were not imported; Kibana answers 200 in this case too."""

    sentence = "Kibana at {url} imported {done} of {all} objects. Not imported: {problems}."
    hint = "Fix this and run the command again; it replaces existing objects."


@dataclass(frozen=True, slots=True)
class Installed:
    """The installed dashboards and rules."""

    kibana: str
    version: str
    objects: int
    dashboards: dict[str, str]
    """Title → URL."""
    rules: tuple[tuple[str, str], ...]
    """Name, and `created` or `updated`."""

    def tables(self) -> Iterable[Table]:
        """For a terminal."""
        title = f"{self.objects} objects in Kibana {self.version}"
        yield Table(title, ("Dashboard", "Address"), tuple(self.dashboards.items()), "")
        if self.rules:
            yield Table("Rules", ("Rule", "Was"), self.rules, "")


def naming(connection: Connection, kibana: Kibana) -> Naming:
    """Ids and titles for these settings."""
    return Naming(connection.alias, None if kibana.space == DEFAULT_SPACE else kibana.space)


def install(
    connection: Connection,
    kibana: Kibana,
    *,
    alerts: bool,
    export_rows: int,
    tell: Callable[[str], None] = lambda _: None,
    stopping: Callable[[], Event] = Event,
) -> Installed:
    """Import all objects, and with `alerts` create the rules; existing ones are updated. Raises Fatal.

    A Kibana that is starting is waited for; `tell` and `stopping` are those of `version_when_ready`.
    """
    names = naming(connection, kibana)
    with Api(connection, kibana) as api:
        version = version_when_ready(api, tell, stopping)
        if version[:2] < OLDEST:
            raise KibanaTooOld(url=api.space_url, version=_dotted(version))
        objects = saved_objects(names, version)
        answer = api.upload(
            "/api/saved_objects/_import?overwrite=true",
            f"{names.prefix}.ndjson",
            ndjson(objects),
            privileges=PRIVILEGES,
        )
        _check_result(answer, objects, api.space_url)
        made = rules.install(api, names, export_rows) if alerts else []
        dashboards = {
            it.title: f"{api.space_url}/app/dashboards#/view/{it.id}"
            for it in objects
            if it.type == "dashboard"
        }
        return Installed(api.space_url, _dotted(version), len(objects), dashboards, tuple(made))


def _check_result(answer: Any, objects: Sequence[SavedObject], url: str) -> None:
    """Raise ImportFailed unless each object was imported under its own id."""
    titles = {(it.type, it.id): it.title for it in objects}
    failed = {(each["type"], each["id"]): _reason(each["error"]) for each in answer.get("errors", ())}
    for each in answer.get("successResults", ()):
        other = each.get("destinationId", each["id"])
        if other != each["id"]:
            failed[each["type"], each["id"]] = (
                f"Kibana gave it another id ({other}), to which no dashboard refers"
            )
    done = answer.get("successCount", 0)
    if answer.get("success") and not failed and done == len(objects):
        return
    failures = [
        f"{kind} {titles.get((kind, name), name)!r} ({name}): {reason}"
        for (kind, name), reason in failed.items()
    ]
    more = [f"and {len(failures) - MAX_SHOWN} more"] if len(failures) > MAX_SHOWN else []
    problems = "; ".join([*failures[:MAX_SHOWN], *more]) or "no reason given"
    raise ImportFailed(url=url, done=done, all=len(objects), problems=problems)


def _reason(error: Any) -> str:
    kind = error.get("type", "unknown")
    if kind == "missing_references":
        missing = ", ".join(f"{it['type']} {it['id']}" for it in error.get("references", ()))
        return f"it refers to missing objects ({missing})"
    return REASONS.get(kind) or str(error.get("message") or kind)


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))
