"""`indexer zoomdata remove`: away with the sources and the connection that `connect` has made, and with nothing else.

A source is ours if its description bears the mark for this alias; the connection, if it has our name. What a dashboard uses stays.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from indexer.show import Table
from indexer.zoomdata import sources
from indexer.zoomdata.api import PAGE, Api, reason_in
from indexer.zoomdata.connect import CONNECTION, SOURCES, find_connection

GONE, IN_USE = 404, 409


@dataclass(frozen=True, slots=True)
class Thing:
    """A source or the connection, and what became of it."""

    what: str
    was: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Removed:
    """What was taken away, and what was not."""

    zoomdata: str
    things: tuple[Thing, ...]

    def tables(self) -> Iterator[Table]:
        """For people to read."""
        rows = tuple((it.what, it.was, it.why) for it in self.things)
        yield Table(f"Zoomdata at {self.zoomdata}", ("What", "Was", "Why"), rows, "Nothing of ours is there.")


def remove(api: Api, alias: str) -> Removed:
    """Remove what was made for this alias. Raises Fatal."""
    api.find()
    things = [
        _remove(api, f"/sources/{it['id']}", f"source {it['name']}", SOURCES) for it in _ours(api, alias)
    ]
    connection = find_connection(api, alias)
    if connection is not None:
        what = f"connection {sources.connection_name(alias)}"
        if any(it.was == "kept" for it in things):
            things.append(Thing(what, "kept", "sources that were kept need it"))
        else:
            things.append(_remove(api, f"/connections/{connection}", what, CONNECTION))
    return Removed(api.url, tuple(things))


def _ours(api: Api, alias: str) -> Iterator[dict[str, Any]]:
    """The sources with the mark. A list may leave descriptions out: then those whose names may be ours are looked at."""
    for each in api.listed("/sources", SOURCES, maxResults=PAGE):
        name = str(each.get("name"))
        if sources.is_ours(each, alias):
            yield each
        elif not each.get("description") and (name == alias or name.startswith(f"{alias}.")):
            whole = api.get(f"/sources/{each['id']}", SOURCES)
            if sources.is_ours(whole, alias):
                yield whole


def _remove(api: Api, path: str, what: str, doing: str) -> Thing:
    answer = api.change("DELETE", path, None, doing, allow=(GONE, IN_USE))
    if answer.status == IN_USE:
        return Thing(what, "kept", reason_in(answer))
    return Thing(what, "planned" if api.dry else "removed")
