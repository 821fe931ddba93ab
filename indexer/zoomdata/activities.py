"""`indexer zoomdata logging`: which activity types Zoomdata writes into its log, and switching them.

Confirmed for 6.x to 26.3, deprecated by the vendor since 7.10: where it is gone, the lines for zoomdata.properties are told.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from indexer.errors import WrongUsage
from indexer.show import Table
from indexer.zoomdata.api import Api
from indexer.zoomdata.failures import NotSwitched, ZoomdataUnexpected

PATH = "/system/activity/type"
LOGGING = "look at or change what is logged"
ALL = "all"
MISSING = {404, 405, 410}


@dataclass(frozen=True, slots=True)
class Activity:
    """An activity type."""

    type: str
    logged: bool
    changed: bool


@dataclass(frozen=True, slots=True)
class Logging:
    """What Zoomdata logs now."""

    zoomdata: str
    types: tuple[Activity, ...]

    def tables(self) -> Iterator[Table]:
        """For people to read."""
        rows = tuple(
            (it.type, "on" if it.logged else "off", "changed" if it.changed else "") for it in self.types
        )
        yield Table(f"Logged by Zoomdata at {self.zoomdata}", ("Type", "Is", ""), rows, "It knows no types.")


def switches(now: Mapping[str, bool], on: Collection[str], off: Collection[str]) -> dict[str, bool]:
    """Decide which types to switch, and how; those that are so already are left out.

    A type by its name goes before `all`. Raises WrongUsage for an unknown type, or one that is to be on and off.
    """
    both = set(on) & set(off)
    if both:
        raise WrongUsage(what=f"{', '.join(sorted(both))}: both --on and --off", remedy="Give one of them")
    unknown = sorted({*on, *off} - now.keys() - {ALL})
    if unknown:
        raise WrongUsage(
            what=f"Zoomdata knows no activity type {', '.join(unknown)}",
            remedy=f"It has {', '.join(sorted(now))}",
        )
    wanted = dict.fromkeys(now, True) if ALL in on else dict.fromkeys(now, False) if ALL in off else {}
    wanted |= {it: True for it in on if it != ALL} | {it: False for it in off if it != ALL}
    return {it: value for it, value in sorted(wanted.items()) if now[it] is not value}


def properties(wanted: Mapping[str, bool]) -> str:
    """The lines for zoomdata.properties (vendor's documentation, "Activity Logging")."""
    return ", ".join(f"activity.{it}={'true' if value else 'false'}" for it, value in wanted.items())


def switch(api: Api, on: Collection[str], off: Collection[str]) -> Logging:
    """Show what is logged, after switching what is wanted otherwise; what Zoomdata says afterwards is what counts.

    Raises NotSwitched with the lines to type where that cannot be done so, and other Fatal.
    """
    api.find()
    asked = dict.fromkeys(on, True) | dict.fromkeys(off, False)
    now = _now(api, asked)
    todo = switches(now, on, off)
    for activity_type, value in todo.items():
        api.change("PUT", f"{PATH}/{activity_type}", value, LOGGING)
    after = now | todo if api.dry or not todo else _now(api, todo)
    still = {it: value for it, value in todo.items() if after.get(it) is not value}
    if still:
        reason = f"it answers that it has, and {', '.join(still)} is as before"
        raise NotSwitched(url=api.url, reason=reason, lines=properties(still))
    return Logging(api.url, tuple(Activity(it, value, it in todo) for it, value in sorted(after.items())))


def _now(api: Api, wanted: Mapping[str, bool]) -> dict[str, bool]:
    try:
        told = api.get(PATH, LOGGING)
    except ZoomdataUnexpected as error:
        if error.facts["status"] not in MISSING:
            raise
        lines = properties(wanted or {"TYPE": True})
        reason = f"it has no {PATH}, as versions before 6, or ones to come"
        raise NotSwitched(url=api.url, reason=reason, lines=lines) from None
    if not isinstance(told, dict) or not all(isinstance(value, bool) for value in told.values()):
        raise NotSwitched(
            url=api.url, reason=f"{PATH} answers in a form that is not known", lines=properties(wanted)
        )
    return told
