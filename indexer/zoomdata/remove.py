"""`indexer zoomdata remove`: removes the sources and the connection that `connect` created, and nothing else.

A source is removed if its description has the marker for this alias, the connection by its name. What a dashboard uses is kept.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from indexer.show import Table
from indexer.zoomdata import connections, source_install, sources
from indexer.zoomdata.api import PAGE_SIZE, Api, error_reason

NOT_FOUND, CONFLICT = 404, 409


@dataclass(frozen=True, slots=True)
class RemovedObject:
    """A source or the connection, and what was done to it."""

    what: str
    was: str
    """removed, kept, or planned."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed, and what was kept."""

    zoomdata: str
    things: tuple[RemovedObject, ...]

    def tables(self) -> Iterator[Table]:
        """For a terminal."""
        rows = tuple((it.what, it.was, it.why) for it in self.things)
        yield Table(f"Zoomdata at {self.zoomdata}", ("What", "Was", "Why"), rows, "Nothing to remove.")


def remove(api: Api, alias: str) -> Removed:
    """Remove the sources and the connection for this alias. Raises Fatal."""
    api.discover()
    done = [
        _remove(api, f"/sources/{it['id']}", f"source {it['name']}", source_install.ACTION)
        for it in _managed_sources(api, alias)
    ]
    name = sources.connection_name(alias)
    connection_id = connections.find_connection(api, name)
    if connection_id is not None:
        what = f"connection {name}"
        if any(it.was == "kept" for it in done):
            done.append(RemovedObject(what, "kept", "sources that were kept need it"))
        else:
            done.append(_remove(api, f"/connections/{connection_id}", what, connections.ACTION))
    return Removed(api.url, tuple(done))


def _managed_sources(api: Api, alias: str) -> Iterator[dict[str, Any]]:
    """The sources with the marker. If the list has no descriptions, sources with matching names are read one by one."""
    for each in api.get_list("/sources", source_install.ACTION, maxResults=PAGE_SIZE):
        name = str(each.get("name"))
        if sources.is_managed(each, alias):
            yield each
        elif not each.get("description") and (name == alias or name.startswith(f"{alias}.")):
            source = api.get(f"/sources/{each['id']}", source_install.ACTION)
            if sources.is_managed(source, alias):
                yield source


def _remove(api: Api, path: str, what: str, action: str) -> RemovedObject:
    answer = api.change("DELETE", path, None, action, allow=(NOT_FOUND, CONFLICT))
    if answer.status == CONFLICT:
        return RemovedObject(what, "kept", error_reason(answer))
    return RemovedObject(what, "planned" if api.dry else "removed")
