"""Dashboards in the form of 8.19 and 9.x: panels by value, controls, a Links panel, tags.

Read in Kibana's source at 8.19 and 9.x (`src/platform/plugins/shared/dashboard/server`, `…/private/links`):

- `dashboard_saved_object/schema/v1` to `v4`: the attributes; `controlGroupInput` may be one.
- `api/transforms/out/transform_panels_out.ts`, `panel_bwc.ts`: a panel is `embeddableConfig` with the references of the dashboard whose
  name begins with `PANEL:`; the title beside it.
- `api/transforms/out/transform_pinned_panels_out.ts`: 9.4 reads `controlGroupInput` of earlier versions, and the data view of a control
  from the reference `controlGroup_ID:optionsListDataView` (`controls/common/data_control_references.ts`).
- `links/common/embeddable/transforms/transform_out.ts`, `get_options.ts`: the links of a panel by value are below `attributes` until
  9.1, and later versions read that; `useCurrentFilters` and `useCurrentDateRange` are read until today.
- `public/dashboard_api/unified_search_manager.ts`: a time range in the URL takes precedence over that of the dashboard. The Links panel
  puts the reader's range there, so a dashboard can have a range of its own (`timeRestore`) and links still keep that of the reader.
- `saved_objects_tagging/common`: an object refers to a tag as `tag-ref-ID`.

Not used: a drilldown to Discover by URL, which needs a Gold licence (`url_drilldown.tsx`: `minimalLicense`); "Explore in Discover" in the
menu of each panel is free, and keeps time range and filters.
"""

from dataclasses import replace

from indexer.dashboards.panels import Panel
from indexer.kibana import layout, modern_lens
from indexer.kibana.layout import INTRODUCTION_HEIGHT, WIDTH, Library, Position
from indexer.kibana.saved_objects import Json, Naming, SavedObject, json_text

VERSION = "8.19.0"
LINKS_WIDTH = 10
NO_TITLE = {"hidePanelTitles": True}


def with_tag(naming: Naming, saved: SavedObject) -> SavedObject:
    """An object of the other form in this one: stamped, and tagged if its type can be."""
    tags = [_tag_reference(naming)] if saved.type == "search" else []
    return replace(saved, references=[*saved.references, *tags], modern=True)


def dashboards(library: Library) -> list[SavedObject]:
    """The tag and all dashboards, which refer to each other."""
    look = library.look["tag"]
    attributes = look | {"name": library.naming.label(look["name"])}
    tag = SavedObject("tag", library.naming.id("tag"), attributes, [], modern=True)
    return [tag, *(_dashboard(library, name) for name in library.described)]


def _dashboard(library: Library, name: str) -> SavedObject:
    panels: list[Json] = []
    references: list[Json] = [_tag_reference(library.naming)]

    def add(index: str, position: Position, panel: Json, refers: list[Json]) -> None:
        panels.append(layout.placed(index, position, VERSION, panel))
        references.extend(it | {"name": f"{index}:{it['name']}"} for it in refers)

    width = WIDTH - LINKS_WIDTH
    add("introduction", (0, 0, width, INTRODUCTION_HEIGHT), _introduction(library, name), [])
    add("links", (width, 0, LINKS_WIDTH, INTRODUCTION_HEIGHT), *_links(library))
    for described, position in layout.grid(library.described[name]):
        if described["as"] == "search":
            index = f"search-{described['id']}"
            add(index, position, *_search(library, described, index))
        else:
            add(described["id"], position, *_lens(library, described))
    attributes = library.attributes(name) | {
        "panelsJSON": json_text(panels),
        "optionsJSON": layout.options(syncCursor=True, syncTooltips=False),
    }
    if _only_entries(library, name):
        attributes["controlGroupInput"] = _controls(library)
        references += _control_references(library)
    return SavedObject("dashboard", library.naming.id(name), attributes, references, modern=True)


def _lens(library: Library, described: Json) -> tuple[Json, list[Json]]:
    """A visualization. A number shows its title itself."""
    panel = Panel.of(described)
    view = library.views[panel.view]
    attributes = modern_lens.attributes(panel, view, library.look["colours"])
    references = modern_lens.references(attributes, library.naming.view_id(view))
    config: Json = {"attributes": attributes | {"references": references}, "enhancements": {}}
    if panel.kind == "number":
        config |= NO_TITLE
    return {"type": "lens", "title": panel.title, "embeddableConfig": config}, references


def _search(library: Library, described: Json, index: str) -> tuple[Json, list[Json]]:
    """A saved search, by reference: Discover opens it too. 9.2 takes the id of the panel from this name of the reference."""
    name = f"panel_{index}"
    panel = {
        "type": "search",
        "title": described["title"],
        "panelRefName": name,
        "embeddableConfig": {"enhancements": {}},
    }
    return panel, [{"name": name, "type": "search", "id": library.searches[described["id"]].id}]


def _introduction(library: Library, name: str) -> Json:
    state = layout.markdown("", library.introduction(name)) | {
        "description": "",
        "uiState": {},
        "data": {"aggs": [], "searchSource": {"query": {"language": "kuery", "query": ""}, "filter": []}},
    }
    return {"type": "visualization", "embeddableConfig": NO_TITLE | {"savedVis": state, "enhancements": {}}}


def _links(library: Library) -> tuple[Json, list[Json]]:
    """Links to all dashboards; that to the present one is shown as such.

    Filters go along only where each panel has their fields: by default a filter on a field that an index lacks finds nothing there
    (advanced setting `courier:ignoreFilterIfFieldNotInIndex`), so rejected lines and seals would look as if there were none.
    """
    links = [
        {
            "id": name,
            "order": order,
            "type": "dashboardLink",
            "label": described["title"],
            "destinationRefName": f"link_{name}_dashboard",
            "options": {
                "openInNewTab": False,
                "useCurrentDateRange": True,
                "useCurrentFilters": _only_entries(library, name),
            },
        }
        for order, (name, described) in enumerate(library.described.items())
    ]
    references = [
        {"name": f"link_{name}_dashboard", "type": "dashboard", "id": library.naming.id(name)}
        for name in library.described
    ]
    config = NO_TITLE | {"attributes": {"layout": "vertical", "links": links}, "enhancements": {}}
    return {"type": "links", "embeddableConfig": config}, references


def _only_entries(library: Library, name: str) -> bool:
    """Each panel of a dashboard is about entries, and not about rejected lines or seals."""
    panels = [panel for row in library.described[name]["rows"] for panel in row["panels"]]
    entries = library.naming.view_id(library.views["entries"])
    shown = [
        library.searches[it["id"]].references[0]["id"] == entries
        if it["as"] == "search"
        else it.get("of", "entries") == "entries"
        for it in panels
    ]
    return all(shown)


def _controls(library: Library) -> Json:
    """Lists to select from, each with the values that are left by those before it."""
    panels = {
        _control_id(field): {
            "order": order,
            "width": "medium",
            "grow": True,
            "type": "optionsListControl",
            "explicitInput": {
                "id": _control_id(field),
                "fieldName": field,
                "title": title,
                "selectedOptions": [],
                "enhancements": {},
            },
        }
        for order, (field, title) in enumerate(library.look["controls"])
    }
    ignored = ("ignoreFilters", "ignoreQuery", "ignoreTimerange", "ignoreValidations")
    return {
        "chainingSystem": "HIERARCHICAL",
        "controlStyle": "oneLine",
        "ignoreParentSettingsJSON": json_text(dict.fromkeys(ignored, False)),
        "showApplySelections": False,
        "panelsJSON": json_text(panels),
    }


def _control_references(library: Library) -> list[Json]:
    view = library.naming.view_id(library.views["entries"])
    return [
        {
            "name": f"controlGroup_{_control_id(field)}:optionsListDataView",
            "type": "index-pattern",
            "id": view,
        }
        for field, _ in library.look["controls"]
    ]


def _control_id(field: str) -> str:
    """The id of a control; from 9.2 on it must not be that of a panel."""
    return f"control-{field}"


def _tag_reference(naming: Naming) -> Json:
    tag = naming.id("tag")
    return {"type": "tag", "id": tag, "name": f"tag-ref-{tag}"}
