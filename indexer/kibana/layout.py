"""What the dashboards of both forms share: their descriptions, the grid, the text of the introduction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from indexer.dashboards.descriptions import plain, read
from indexer.kibana.saved_objects import Json, Naming, SavedObject, json_text, search_source

DASHBOARDS = ("activity", "audit", "performance", "delivery")
WIDTH = 48
"""Columns of a dashboard's grid."""
INTRODUCTION_HEIGHT = 6
RANGE = ("now-7d", "now")
"""The time range that a dashboard opens with."""
Position = tuple[int, int, int, int]
"""x, y, width, height"""


@dataclass(frozen=True, slots=True)
class Library:
    """What the dashboards are made from: descriptions, and the saved searches that they show."""

    naming: Naming
    views: Json
    look: Json
    described: dict[str, Json]
    searches: dict[str, SavedObject]

    @classmethod
    def of(cls, naming: Naming, views: Json, searches: dict[str, SavedObject]) -> "Library":
        """Read the descriptions."""
        return cls(naming, views, read("look"), {name: read(name) for name in DASHBOARDS}, searches)

    def attributes(self, name: str) -> Json:
        """The attributes of a dashboard, without its panels."""
        described = self.described[name]
        return {
            "title": self.naming.title(described["title"]),
            "description": plain(described["purpose"]),
            "timeRestore": True,
            "timeFrom": RANGE[0],
            "timeTo": RANGE[1],
            "kibanaSavedObjectMeta": search_source(""),
        }

    def introduction(self, name: str, links: Sequence[str] = ()) -> str:
        """Markdown: what the dashboard is for, what it means if it is empty, and links; then those to its saved searches.

        A link is relative to `/app/`: it stays in the space, under the base path, and passes the check of URLs in 9.x's new markdown
        panel, which refuses `#/view/…` (EUI, `validateUrl`).
        """
        described = self.described[name]
        lists = " · ".join(self._list(search) for search in self.look["lists"][name])
        lines = [
            f"{described['purpose']} {described['empty']}",
            " · ".join(links),
            f"Rows in Discover: {lists}",
        ]
        return "\n\n".join(filter(None, lines))

    def _list(self, search: str) -> str:
        """A link to a saved search in Discover; with a time range, which Discover does not take from the dashboard."""
        start, end = RANGE
        address = f"discover#/view/{self.searches[search].id}?_g=%28time:%28from:{start},to:{end}%29%29"
        return f"[{read('searches')[search]['title']}]({address})"


def grid(described: Json) -> Iterator[tuple[Json, Position]]:
    """Each panel of a dashboard with its position, below the introduction."""
    y = INTRODUCTION_HEIGHT
    for row in described["rows"]:
        x = 0
        for panel, width in zip(row["panels"], _widths(row["panels"]), strict=True):
            yield panel, (x, y, width, row["height"])
            x += width
        y += row["height"]


def placed(index: str, position: Position, version: str, panel: Json) -> Json:
    """A panel on the grid; `index` is its id in the dashboard."""
    place = dict(zip("xywh", position, strict=True)) | {"i": index}
    return {"version": version, "gridData": place, "panelIndex": index} | panel


def options(**more: bool) -> str:
    """The attribute `optionsJSON`."""
    return json_text({"useMargins": True, "syncColors": False, "hidePanelTitles": False} | more)


def markdown(title: str, text: str) -> dict[str, Any]:
    """The state of a text panel."""
    return {
        "title": title,
        "type": "markdown",
        "params": {"fontSize": 12, "openLinksInNewTab": False, "markdown": text},
    }


def _widths(panels: Sequence[Json]) -> list[int]:
    """The width of each panel: those without one share what is left."""
    free = [panel for panel in panels if "width" not in panel]
    left = WIDTH - sum(panel.get("width", 0) for panel in panels)
    return [panel.get("width", left // max(len(free), 1)) for panel in panels]
