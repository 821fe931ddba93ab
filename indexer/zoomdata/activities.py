"""`indexer zoomdata logging`: shows and switches the activity types that Zoomdata logs.

The API is documented for 6.x to 26.3, and deprecated since 7.10. Without it, the error has the lines for zoomdata.properties.
Which types there are depends on the version: a type that Zoomdata does not know is skipped with a note.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from indexer.errors import WrongUsage
from indexer.show import Table
from indexer.zoomdata.api import Api
from indexer.zoomdata.failures import NotSwitched, ZoomdataUnexpected
from indexer.zoomdata.retention import ADVICE

PATH = "/system/activity/type"
ACTION = "read or change the logged activity types"
ALL = "all"
NOT_FOUND = 404
NO_API = {NOT_FOUND, 405, 410}
KEEP = f"By default Zoomdata keeps one rotated log of 10 MB, which it may delete before it is read. {ADVICE}"


@dataclass(frozen=True, slots=True)
class Activity:
    """An activity type."""

    type: str
    logged: bool
    changed: bool


@dataclass(frozen=True, slots=True)
class Logging:
    """The activity types of Zoomdata, with what is logged now."""

    zoomdata: str
    types: tuple[Activity, ...]
    notes: tuple[str, ...]

    def tables(self) -> Iterator[Table]:
        """For a terminal."""
        rows = tuple(
            (it.type, "on" if it.logged else "off", "changed" if it.changed else "") for it in self.types
        )
        yield Table(f"Logged by Zoomdata at {self.zoomdata}", ("Type", "Is", ""), rows, "No activity types.")
        yield Table("Notes", ("",), tuple((note,) for note in self.notes), "")


def changes(now: Mapping[str, bool], on: Collection[str], off: Collection[str]) -> dict[str, bool]:
    """The types to switch, with their new value. Unknown types are left out.

    A type given by name has precedence over `all`. Raises WrongUsage for a type given as on and off.
    """
    both = set(on) & set(off)
    if both:
        raise WrongUsage(
            what=f"Both --on and --off are given for {', '.join(sorted(both))}", remedy="Give one of them"
        )
    wanted = dict.fromkeys(now, True) if ALL in on else dict.fromkeys(now, False) if ALL in off else {}
    wanted |= dict.fromkeys(on, True) | dict.fromkeys(off, False)
    return {it: value for it, value in sorted(wanted.items()) if it in now and now[it] is not value}


def properties(types: Mapping[str, bool]) -> str:
    """The lines for zoomdata.properties (vendor's documentation, "Activity Logging")."""
    return ", ".join(f"activity.{it}={'true' if value else 'false'}" for it, value in types.items())


def switch(api: Api, on: Collection[str], off: Collection[str]) -> Logging:
    """Switch activity types, and return them as Zoomdata shows them afterwards.

    Raises NotSwitched, with the lines for zoomdata.properties, if the API is missing or has no effect; and other Fatal.
    """
    api.discover()
    requested = dict.fromkeys(on, True) | dict.fromkeys(off, False)
    requested.pop(ALL, None)
    now = _read(api, requested)
    todo = changes(now, on, off)
    unknown = requested.keys() - now.keys()
    for activity_type, value in list(todo.items()):
        answer = api.change("PUT", f"{PATH}/{activity_type}", value, ACTION, allow=(NOT_FOUND,))
        if answer.status == NOT_FOUND:
            unknown.add(activity_type)
            del todo[activity_type]
    after = now | todo if api.dry or not todo else _read(api, todo)
    unchanged = {it: value for it, value in todo.items() if after.get(it) is not value}
    if unchanged:
        reason = f"it accepted the request, but {', '.join(unchanged)} is as before"
        raise NotSwitched(url=api.url, reason=reason, lines=properties(unchanged))
    skipped = [f"Zoomdata does not know the activity type {it}: it is skipped" for it in sorted(unknown)]
    types = tuple(Activity(it, value, it in todo) for it, value in sorted(after.items()))
    return Logging(api.url, types, (*skipped, KEEP))


def _read(api: Api, requested: Mapping[str, bool]) -> dict[str, bool]:
    """The types, with whether each is logged. `requested` is for the lines in the error."""
    try:
        types = api.get(PATH, ACTION)
    except ZoomdataUnexpected as error:
        if error.facts["status"] not in NO_API:
            raise
        lines = properties(requested or {"TYPE": True})
        reason = f"this version has no {PATH}"
        raise NotSwitched(url=api.url, reason=reason, lines=lines) from None
    if not isinstance(types, dict) or not all(isinstance(value, bool) for value in types.values()):
        raise NotSwitched(
            url=api.url, reason=f"the answer of {PATH} has an unknown form", lines=properties(requested)
        )
    return types
