"""Dashboards from mappings/kibana/, with the data views, saved searches and Lens panels that they show."""

from collections.abc import Iterator, Sequence

from indexer.dashboards.descriptions import plain, read
from indexer.dashboards.panels import Panel
from indexer.kibana import lens
from indexer.kibana.discover import data_view, saved_search
from indexer.kibana.saved_objects import CORE, Json, Naming, SavedObject, json_text, search_source

DASHBOARDS = ("activity", "audit", "performance", "delivery")
WIDTH = 48
"""Columns of a dashboard's grid."""
INTRODUCTION_HEIGHT = 5


def saved_objects(naming: Naming) -> list[SavedObject]:
    """All saved objects; each comes after those that it refers to."""
    views = read("data-views")
    objects = [data_view(naming, view) for view in views.values()]
    searches = {
        name: saved_search(naming, name, search, views[search.get("of", "entries")])
        for name, search in read("searches").items()
    }
    objects += searches.values()
    described = {name: read(name) for name in DASHBOARDS}
    titles = {name: dashboard["title"] for name, dashboard in described.items()}
    for name, dashboard in described.items():
        introduction = _introduction(naming, name, dashboard, titles)
        rows = [
            [
                searches[it["id"]] if it["as"] == "search" else _lens(naming, name, Panel.of(it), views)
                for it in row["panels"]
            ]
            for row in dashboard["rows"]
        ]
        lens_panels = [it for row in rows for it in row if it.type == "lens"]
        objects += [introduction, *lens_panels, _dashboard(naming, name, dashboard, introduction, rows)]
    return objects


def _dashboard(
    naming: Naming,
    name: str,
    described: Json,
    introduction: SavedObject,
    rows: Sequence[Sequence[SavedObject]],
) -> SavedObject:
    """A dashboard of rows of panels, below its introduction."""
    placed = [_placed(1, introduction, None, (0, 0, WIDTH, INTRODUCTION_HEIGHT))]
    for panel, shown, position in _grid(described["rows"], rows):
        placed.append(_placed(len(placed) + 1, shown, panel["title"], position))
    attributes = {
        "title": naming.title(described["title"]),
        "description": plain(described["purpose"]),
        "panelsJSON": json_text([panel for panel, _ in placed]),
        "optionsJSON": json_text({"useMargins": True, "syncColors": False, "hidePanelTitles": False}),
        "timeRestore": True,
        "timeFrom": "now-7d",
        "timeTo": "now",
        "kibanaSavedObjectMeta": search_source(""),
    }
    return SavedObject("dashboard", naming.id(name), attributes, [reference for _, reference in placed])


def _grid(
    described: Sequence[Json], rows: Sequence[Sequence[SavedObject]]
) -> Iterator[tuple[Json, SavedObject, tuple[int, int, int, int]]]:
    """Each panel with its object and its position: x, y, width, height."""
    y = INTRODUCTION_HEIGHT
    for row, objects in zip(described, rows, strict=True):
        x = 0
        for panel, shown, width in zip(row["panels"], objects, _widths(row["panels"]), strict=True):
            yield panel, shown, (x, y, width, row["height"])
            x += width
        y += row["height"]


def _widths(panels: Sequence[Json]) -> list[int]:
    """The width of each panel: those without one share what is left."""
    free = [panel for panel in panels if "width" not in panel]
    left = WIDTH - sum(panel.get("width", 0) for panel in panels)
    return [panel.get("width", left // max(len(free), 1)) for panel in panels]


def _placed(
    number: int, shown: SavedObject, title: str | None, position: tuple[int, int, int, int]
) -> tuple[Json, Json]:
    """A panel on the grid, and the dashboard's reference to its object. Without a title, the panel hides that of the object."""
    index, name = str(number), f"panel_{number}"
    embeddable: Json = {"enhancements": {}} | ({} if title else {"hidePanelTitles": True})
    panel = {
        "version": CORE,
        "type": shown.type,
        "gridData": dict(zip("xywh", position, strict=True)) | {"i": index},
        "panelIndex": index,
        "embeddableConfig": embeddable,
        "panelRefName": name,
    } | ({"title": title} if title else {})
    return panel, {"name": f"{index}:{name}", "type": shown.type, "id": shown.id}


def _lens(naming: Naming, dashboard: str, panel: Panel, views: Json) -> SavedObject:
    view = views[panel.view]
    attributes = lens.attributes(panel, view["time"], view["types"])
    attributes["title"] = naming.title(panel.title)
    return SavedObject(
        "lens", naming.id(dashboard, panel.id), attributes, lens.references(naming.view_id(view))
    )


def _introduction(naming: Naming, name: str, described: Json, titles: dict[str, str]) -> SavedObject:
    """A text panel: what the dashboard is for, what it means if it is empty, and links to the others.

    A link that begins with `#` stays in the dashboards app and in the space, whatever Kibana's base path; Elastic's Kubernetes
    dashboards do the same.
    """
    links = [
        f"**{title}**" if other == name else f"[{title}](#/view/{naming.id(other)})"
        for other, title in titles.items()
    ]
    text = f"{described['purpose']} {described['empty']}\n\n{' · '.join(links)}"
    title = naming.title(f"{described['title']}, introduction")
    state = {
        "title": title,
        "type": "markdown",
        "aggs": [],
        "params": {"fontSize": 12, "openLinksInNewTab": False, "markdown": text},
    }
    attributes = {
        "title": title,
        "description": "",
        "visState": json_text(state),
        "uiStateJSON": "{}",
        "kibanaSavedObjectMeta": search_source(""),
    }
    return SavedObject("visualization", naming.id(name, "introduction"), attributes, [])
