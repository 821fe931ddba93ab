"""Dashboards in the form of 7.17, which all versions load: each panel refers to a Lens object of its own.

A dashboard sets its own time range each time it is opened. A link in a text panel has no time range, so it resets that of the reader;
without `timeRestore` a dashboard would open with Kibana's 15 minutes, in which most panels are empty.
"""

from indexer.dashboards.panels import Panel
from indexer.kibana import layout, lens
from indexer.kibana.layout import WIDTH, Library, Position
from indexer.kibana.saved_objects import CORE, Json, SavedObject, json_text, search_source


def dashboards(library: Library) -> list[SavedObject]:
    """All dashboards; each comes after the objects that it refers to."""
    return [it for name in library.described for it in _dashboard(library, name)]


def _dashboard(library: Library, name: str) -> list[SavedObject]:
    introduction = _introduction(library, name)
    objects, placed = (
        [introduction],
        [_placed(1, introduction, None, (0, 0, WIDTH, layout.INTRODUCTION_HEIGHT))],
    )
    for panel, position in layout.grid(library.described[name]):
        shown = (
            library.searches[panel["id"]]
            if panel["as"] == "search"
            else _lens(library, name, Panel.of(panel))
        )
        if shown.type == "lens":
            objects.append(shown)
        placed.append(_placed(len(placed) + 1, shown, panel["title"], position))
    attributes = library.attributes(name) | {
        "panelsJSON": json_text([panel for panel, _ in placed]),
        "optionsJSON": layout.options(),
    }
    references = [reference for _, reference in placed]
    return [*objects, SavedObject("dashboard", library.naming.id(name), attributes, references)]


def _placed(number: int, shown: SavedObject, title: str | None, position: Position) -> tuple[Json, Json]:
    """A panel on the grid, and the dashboard's reference to its object. Without a title, the panel hides that of the object."""
    name = f"panel_{number}"
    embeddable: Json = {"enhancements": {}} | ({} if title else {"hidePanelTitles": True})
    panel = {"type": shown.type, "embeddableConfig": embeddable, "panelRefName": name} | (
        {"title": title} if title else {}
    )
    reference = {"name": f"{number}:{name}", "type": shown.type, "id": shown.id}
    return layout.placed(str(number), position, CORE, panel), reference


def _lens(library: Library, dashboard: str, panel: Panel) -> SavedObject:
    view = library.views[panel.view]
    attributes = lens.attributes(panel, view["time"], view["types"])
    attributes["title"] = library.naming.title(panel.title)
    return SavedObject(
        "lens",
        library.naming.id(dashboard, panel.id),
        attributes,
        lens.references(library.naming.view_id(view)),
    )


def _introduction(library: Library, name: str) -> SavedObject:
    """A text panel, with links to the other dashboards."""
    naming = library.naming
    links = [
        f"**{described['title']}**"
        if other == name
        else f"[{described['title']}](dashboards#/view/{naming.id(other)})"
        for other, described in library.described.items()
    ]
    title = naming.title(f"{library.described[name]['title']}, introduction")
    state = layout.markdown(title, library.introduction(name, links)) | {"aggs": []}
    attributes = {
        "title": title,
        "description": "",
        "visState": json_text(state),
        "uiStateJSON": "{}",
        "kibanaSavedObjectMeta": search_source(""),
    }
    return SavedObject("visualization", naming.id(name, "introduction"), attributes, [])
