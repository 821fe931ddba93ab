"""What the page shows: the dashboards of mappings/kibana/ that are about entries, read as sections of panels."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

import indexer
from indexer.dashboards.panels import Metric, Panel, Top
from indexer.setup.plan import directory

Json = dict[str, Any]
DASHBOARDS = ("activity", "audit", "performance")


@dataclass(frozen=True, slots=True)
class Listing:
    """The newest entries of a kind, one a line."""

    id: str
    title: str
    where: str
    columns: tuple[str, ...]


Shown = Panel | Listing


@dataclass(frozen=True, slots=True)
class Section:
    """One dashboard."""

    id: str
    title: str
    purpose: str
    rows: tuple[tuple[Shown, ...], ...]

    @property
    def panels(self) -> Iterator[Panel]:
        """All that is counted."""
        return (it for row in self.rows for it in row if isinstance(it, Panel))

    @property
    def listings(self) -> Iterator[Listing]:
        """All that is listed."""
        return (it for row in self.rows for it in row if isinstance(it, Listing))


def sections() -> tuple[Section, ...]:
    """The sections in their order."""
    return tuple(_section(name, _read(name)) for name in DASHBOARDS)


def formats() -> dict[str, str]:
    """How the values of a field are written, where they are no plain numbers: milliseconds, bytes or code."""
    found: dict[str, str] = _read("data-views")["entries"]["formats"]
    return found


def fields(panel: Panel) -> Iterator[tuple[str, bool]]:
    """The fields a panel needs, each with whether it has to hold numbers."""
    for bucket in panel.by.values():
        if isinstance(bucket, Top):
            yield bucket.field, False
    for measure in panel.show.values():
        if measure.field:
            yield measure.field, needs_numbers(measure)


def needs_numbers(measure: Metric) -> bool:
    """Tell whether there is something to reckon with, and not only to count."""
    return measure.operation not in {"count", "unique_count"}


def _section(name: str, described: Json) -> Section:
    searches = _read("searches")
    rows = tuple(tuple(_shown(it, searches) for it in row["panels"]) for row in described["rows"])
    return Section(name, described["title"], described["purpose"].replace("**", ""), rows)


def _shown(described: Json, searches: Json) -> Shown:
    if described["as"] != "search":
        return Panel.of(described)
    search = searches[described["id"]]
    return Listing(described["id"], described["title"], search["where"], tuple(search["columns"]))


def _read(name: str) -> Json:
    path = directory(Path(indexer.__file__).parent) / "kibana" / f"{name}.json"
    read: Json = orjson.loads(path.read_bytes())
    return read
