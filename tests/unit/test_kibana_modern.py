"""The saved objects in the form of 8.19 and 9.x: each has what those versions read, and shows what that of 7.17 shows."""

import re
from collections.abc import Iterator
from colorsys import rgb_to_hls
from itertools import combinations
from pathlib import Path
from typing import Any

import orjson
import pytest

from indexer.dashboards.descriptions import read
from indexer.kibana.dashboards import saved_objects
from indexer.kibana.layout import DASHBOARDS, WIDTH
from indexer.kibana.saved_objects import Naming, SavedObject, ndjson
from tests.support import kibana_lens as lens
from tests.support.kibana_stand_in import MODERN_FORM

OBJECTS = saved_objects(Naming(), (8, 19, 0))
CLASSIC = {it.id: it for it in saved_objects(Naming(), (8, 18, 9))}
BOARDS = {it.id: it for it in OBJECTS if it.type == "dashboard"}
PANELS = lens.panels(OBJECTS)
ENTRIES = [f"zoomdata-activity-{name}" for name in ("activity", "audit", "performance")]
"""The dashboards that are about entries alone."""
STATUS = read("look")["colours"]["status"]


def placed(board: SavedObject) -> list[dict[str, Any]]:
    """The panels of a dashboard."""
    found: list[dict[str, Any]] = orjson.loads(board.attributes["panelsJSON"])
    return found


def panel(board: SavedObject, kind: str) -> dict[str, Any]:
    """The one panel of a type."""
    (found,) = [it for it in placed(board) if it["type"] == kind]
    return found


def shown(name: str) -> Any:
    """The state of a panel's visualization."""
    return PANELS[name].attributes["state"]["visualization"]


def kinds(kind: str) -> list[str]:
    """The panels of a kind of visualization."""
    return [name for name, it in PANELS.items() if it.attributes["visualizationType"] == kind]


# ---- objects


def test_objects() -> None:
    """The library has data views, saved searches, dashboards and a tag, and no panels; ids and titles are unique."""
    assert {it.type for it in OBJECTS} == {"index-pattern", "search", "tag", "dashboard"}
    assert list(BOARDS) == [f"zoomdata-activity-{name}" for name in DASHBOARDS]
    assert (
        len({(it.type, it.id) for it in OBJECTS})
        == len({(it.type, it.title) for it in OBJECTS})
        == len(OBJECTS)
    )


@pytest.mark.parametrize("saved", OBJECTS, ids=lambda it: f"{it.type}-{it.id}")
def test_form(saved: SavedObject) -> None:
    """An object has the keys and stamps of 8.19, and only attributes that it and later versions accept."""
    line = orjson.loads(saved.line)
    stamps = {"typeMigrationVersion", "coreMigrationVersion"}
    assert set(line) == {"type", "id", "attributes", "references"} | stamps
    stamp, attributes = MODERN_FORM[saved.type]
    assert line["typeMigrationVersion"] == ".".join(map(str, stamp))
    assert line["coreMigrationVersion"] == "8.8.0"
    assert set(line["attributes"]) <= attributes


def test_every_reference_exists() -> None:
    """Also that from one dashboard to another, which Kibana does not require to be imported before."""
    there = {(it.type, it.id) for it in OBJECTS}
    assert {(each["type"], each["id"]) for it in OBJECTS for each in it.references} <= there
    for it in OBJECTS:
        names = [each["name"] for each in it.references]
        assert len(names) == len(set(names))


def test_what_both_forms_share() -> None:
    """Data views and saved searches are the same; searches and dashboards have the tag in addition."""
    tag = {"type": "tag", "id": "zoomdata-activity-tag", "name": "tag-ref-zoomdata-activity-tag"}
    for it in OBJECTS:
        if it.type in {"index-pattern", "search"}:
            assert it.attributes == CLASSIC[it.id].attributes
            assert it.references == [*CLASSIC[it.id].references, *([tag] if it.type == "search" else [])]
        assert (tag in it.references) == (it.type in {"search", "dashboard"})


@pytest.mark.parametrize("naming", [Naming("other"), Naming(space="audit"), Naming("a", "b")])
def test_installs_beside_each_other(naming: Naming) -> None:
    """Another alias or space is in all ids, references and links, so that no two installs share an object."""
    objects = saved_objects(naming, (9, 1))
    assert len(objects) == len(OBJECTS)
    ids = {it.id for it in objects}
    assert all(it.startswith(naming.prefix) for it in ids)
    assert ids.isdisjoint(it.id for it in OBJECTS)
    assert {each["id"] for it in objects for each in it.references} <= ids
    links = re.findall(rb"#/view/([^)?]+)[)?]", ndjson(objects))
    assert {link.decode() for link in links} == {it.id for it in objects if it.type == "search"}


# ---- dashboards


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_grid(board: SavedObject) -> None:
    """Panels fill the grid without overlap, each under an id of its own, with which its references begin."""
    panels = placed(board)
    grids = [it["gridData"] for it in panels]
    assert all(grid["x"] >= 0 and grid["w"] >= 8 and grid["x"] + grid["w"] <= WIDTH for grid in grids)
    assert sum(grid["w"] * grid["h"] for grid in grids) == WIDTH * max(it["y"] + it["h"] for it in grids)
    cells = [
        {(x, y) for x in range(it["x"], it["x"] + it["w"]) for y in range(it["y"], it["y"] + it["h"])}
        for it in grids
    ]
    assert not any(one & other for one, other in combinations(cells, 2))
    ids = [it["panelIndex"] for it in panels]
    assert ids == [grid["i"] for grid in grids]
    assert len(ids) == len(set(ids))
    owners = {it["name"].partition(":")[0] for it in board.references if it["type"] != "tag"}
    controls = {it for it in owners if it.startswith("controlGroup_")}
    assert owners - controls == set(ids) - {"introduction"}
    assert [it["type"] for it in panels[:2]] == ["visualization", "links"]
    assert (board.attributes["timeRestore"], board.attributes["timeFrom"]) == (True, "now-7d")


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_panels_of_both_forms(board: SavedObject) -> None:
    """A dashboard shows the same panels with the same titles, at the same places, in both forms."""
    there = [it for it in placed(CLASSIC[board.id]) if it["type"] != "visualization"]
    here = [it for it in placed(board) if it["type"] in {"lens", "search"}]
    for one, other in zip(here, there, strict=True):
        assert (one["type"], one["title"]) == (other["type"], other["title"])
        assert one["gridData"] | {"i": ""} == other["gridData"] | {"i": ""}


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_introduction(board: SavedObject) -> None:
    """It says what the dashboard is for and what it means if it is empty, and links to saved searches with a time range."""
    state = panel(board, "visualization")["embeddableConfig"]["savedVis"]
    described = read(board.id.rpartition("-")[2])
    text = state["params"]["markdown"]
    assert text.startswith(f"{described['purpose']} {described['empty']}\n\n")
    links = re.findall(r"\[([^]]+)\]\(([^)]+)\)", text)
    assert links
    for title, address in links:
        found = re.fullmatch(r"discover#/view/([^?]+)\?_g=%28time:%28from:now-7d,to:now%29%29", address)
        assert found
        (saved,) = [it for it in OBJECTS if it.id == found[1]]
        assert (saved.type, saved.title) == ("search", f"Zoomdata: {title}")
    assert (state["type"], state["params"]["openLinksInNewTab"]) == ("markdown", False)


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_links(board: SavedObject) -> None:
    """A Links panel leads to all four, and keeps the time range; filters only to where every panel has their fields."""
    links = panel(board, "links")["embeddableConfig"]["attributes"]["links"]
    refers = {it["name"]: it for it in board.references}
    for order, (link, name) in enumerate(zip(links, BOARDS, strict=True)):
        reference = refers[f"links:{link['destinationRefName']}"]
        assert (reference["type"], reference["id"]) == ("dashboard", name)
        assert (link["type"], link["order"]) == ("dashboardLink", order)
        assert BOARDS[name].title == f"Zoomdata: {link['label']}"
        assert link["options"] == {
            "openInNewTab": False,
            "useCurrentDateRange": True,
            "useCurrentFilters": name in ENTRIES,
        }


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_controls(board: SavedObject) -> None:
    """User, type, status and address can be selected, each among what the ones before leave; not where a filter would empty panels."""
    group = board.attributes.get("controlGroupInput")
    if board.id not in ENTRIES:
        assert group is None
        assert {it.references[0]["id"] for name, it in PANELS.items() if name.startswith(board.id)} > {
            "zoomdata-activity"
        }
        return
    assert group
    assert group["chainingSystem"] == "HIERARCHICAL"
    assert not any(orjson.loads(group["ignoreParentSettingsJSON"]).values())
    controls = orjson.loads(group["panelsJSON"])
    assert not set(controls) & {it["panelIndex"] for it in placed(board)}
    assert [it["explicitInput"]["fieldName"] for it in controls.values()] == [
        "user",
        "activityType",
        "status",
        "ip",
    ]
    views = {it["name"]: it for it in board.references}
    for order, (name, control) in enumerate(controls.items()):
        assert (control["type"], control["order"], control["explicitInput"]["id"]) == (
            "optionsListControl",
            order,
            name,
        )
        view = views[f"controlGroup_{name}:optionsListDataView"]
        assert (view["type"], view["id"]) == ("index-pattern", "zoomdata-activity")
    file = Path(__file__).parents[2] / "mappings/mappings.json"
    mapped = orjson.loads(file.read_bytes())["template"]["mappings"]["properties"]
    assert all(
        mapped[it["explicitInput"]["fieldName"]]["type"] in {"keyword", "ip"} for it in controls.values()
    )


def test_saved_searches_of_a_dashboard_are_panels_by_reference() -> None:
    """Their name has the id of the panel behind `panel_`, where 9.2 looks for it."""
    found = [(board, it) for board in BOARDS.values() for it in placed(board) if it["type"] == "search"]
    assert found
    for board, it in found:
        name = f"panel_{it['panelIndex']}"
        assert it["panelRefName"] == name
        assert {
            "name": f"{it['panelIndex']}:{name}",
            "type": "search",
            "id": f"zoomdata-activity-{it['panelIndex']}",
        } in (board.references)


# ---- panels


def migrated(column: dict[str, Any]) -> dict[str, Any]:
    """A column of 7.16 after Kibana's migrations 8.1 (records), 8.2 (format of terms) and 8.3 (empty rows)."""
    changed = orjson.loads(orjson.dumps(column))
    match column["operationType"]:
        case "count":
            changed["sourceField"] = "___records___"
        case "terms":
            changed["params"]["parentFormat"] = {"id": "terms"}
        case "date_histogram":
            changed["params"]["includeEmptyRows"] = True
    return changed  # type: ignore[no-any-return]


def test_each_picture_is_in_both_forms() -> None:
    """No picture is in one form alone."""
    assert set(PANELS) == {name for name, it in CLASSIC.items() if it.type == "lens"}


@pytest.mark.parametrize("name", PANELS)
def test_columns(name: str) -> None:
    """A panel has the columns and the query of its Lens object, as Kibana's migrations leave them."""
    here, there = PANELS[name].attributes, CLASSIC[name].attributes
    wanted = [(column, migrated(it)) for column, it in lens.columns(there)]
    if here["visualizationType"] == "lnsMetric":
        wanted[0][1]["label"] = here["title"]
    assert lens.columns(here) == wanted
    assert here["state"]["query"] == there["state"]["query"]
    assert list(here["state"]["datasourceStates"]) == ["formBased"]
    assert here["description"] == there["description"]
    names = [f"indexpattern-datasource-layer-{it}" for it in lens.layers(here)]
    view = {"type": "index-pattern", "id": CLASSIC[name].references[0]["id"]}
    assert PANELS[name].references == [view | {"name": it} for it in names]
    board, _, index = name.removeprefix("zoomdata-activity-").partition("-")
    references = BOARDS[f"zoomdata-activity-{board}"].references
    assert all(view | {"name": f"{index}:{it}"} in references for it in names)


@pytest.mark.parametrize("name", kinds("lnsMetric"))
def test_number(name: str) -> None:
    """A number is of the current kind, with a trend line: the same metric over time, in a layer that is linked to the first."""
    attributes, state = PANELS[name].attributes, shown(name)
    (accessor, metric), *more = lens.columns(attributes)
    assert more == []
    assert (state["layerId"], state["layerType"], state["metricAccessor"]) == ("layer1", "data", accessor)
    assert state["trendlineLayerType"] == "metricTrendline"
    trend = state["trendlineLayerId"]
    assert set(lens.layers(attributes)) == {"layer1", trend}
    assert lens.layer(attributes, trend)["linkToLayers"] == ["layer1"]
    (time, over), (value, same) = lens.columns(attributes, trend)
    assert (time, value) == (state["trendlineTimeAccessor"], state["trendlineMetricAccessor"])
    assert same == metric
    assert (over["operationType"], over["isBucketed"], over["params"]["interval"]) == (
        "date_histogram",
        True,
        "auto",
    )
    view = next(it for it in OBJECTS if it.id == PANELS[name].references[0]["id"])
    assert over["sourceField"] == view.attributes["timeFieldName"]
    board, _, index = name.removeprefix("zoomdata-activity-").partition("-")
    (tile,) = [it for it in placed(BOARDS[f"zoomdata-activity-{board}"]) if it["panelIndex"] == index]
    assert tile["embeddableConfig"]["hidePanelTitles"] is True
    assert state.get("subtitle", "") == attributes["description"]


@pytest.mark.parametrize("name", kinds("lnsPie"))
def test_donut(name: str) -> None:
    """A donut has lists of groups and metrics, as from 8.6 on."""
    (layer,) = shown(name)["layers"]
    columns = dict(lens.columns(PANELS[name].attributes))
    assert sorted([*layer["primaryGroups"], *layer["metrics"]]) == sorted(columns)
    assert not {"groups", "metric"} & set(layer)


@pytest.mark.parametrize("name", [*kinds("lnsXY"), *kinds("lnsDatatable")])
def test_chart(name: str) -> None:
    """A chart or a table shows the columns that its Lens object shows."""
    here, there = shown(name), CLASSIC[name].attributes["state"]["visualization"]
    if "columns" in here:
        assert [it["columnId"] for it in here["columns"]] == [it["columnId"] for it in there["columns"]]
        return
    (layer,), (old,) = here["layers"], there["layers"]
    assert {key: value for key, value in layer.items() if key != "colorMapping"} == old
    assert here["legend"] == there["legend"] | {"legendSize": "auto"}


def mappings_of(name: str) -> Iterator[tuple[Any, Any]]:
    """The color mappings of a panel, each with the column that it is for."""
    state = shown(name)
    for it in [*state.get("layers", ()), *state.get("columns", ())]:
        if "colorMapping" in it:
            column = it.get("columnId") or it.get("splitAccessor") or it["primaryGroups"][0]
            yield it["colorMapping"], dict(lens.columns(PANELS[name].attributes))[column]


def test_colours() -> None:
    """Wherever a status has a colour, failures and deletions are red and successes green; in each chart that is split by status."""
    coloured = {name: list(mappings_of(name)) for name in PANELS}
    for mappings in coloured.values():
        for mapping, column in mappings:
            assert column["sourceField"] == "status"
            given = {
                it["rule"]["values"][0]: it["color"]["colorCode"]
                for it in mapping["assignments"]
                if it["rule"]["type"] == "matchExactly"
            }
            assert given == STATUS
            assert mapping["specialAssignments"][0]["rule"] == {"type": "other"}
    for value, (low, high) in {"FAILED": (0, 30), "DELETED": (0, 30), "SUCCEEDED": (90, 170)}.items():
        assert low <= hue(STATUS[value]) <= high
    grouped = {
        name
        for name, it in PANELS.items()
        if any(column.get("sourceField") == "status" for _, column in lens.columns(it.attributes))
    }
    assert {name for name, mappings in coloured.items() if mappings} == grouped


def hue(colour: str) -> float:
    """The hue of a colour, in degrees: red is 0, green 120."""
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return rgb_to_hls(red, green, blue)[0] * 360


def test_units() -> None:
    """Charts of several percentiles name their axis for what is measured, and its field has a format with units."""
    views = {
        it.id: orjson.loads(it.attributes["fieldFormatMap"]) for it in OBJECTS if it.type == "index-pattern"
    }
    found = set()
    for name in kinds("lnsXY"):
        fields = [
            it for _, it in lens.columns(PANELS[name].attributes) if it["operationType"] == "percentile"
        ]
        if len(fields) > 1:
            view = views[PANELS[name].references[0]["id"]]
            wanted = {"duration": "Duration", "bytes": "Size"}[view[fields[0]["sourceField"]]["id"]]
            assert shown(name)["yTitle"] == wanted
            found.add(wanted)
    assert found == {"Duration", "Size"}
