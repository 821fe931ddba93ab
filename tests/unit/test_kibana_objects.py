"""The saved objects in the form of 7.17, which Kibana 7.17 to 9.x load: each has it, and all references exist."""

import re
from itertools import combinations
from pathlib import Path
from typing import Any

import orjson
import pytest

from indexer.dashboards import panels
from indexer.dashboards.activity_types import asked_for, named, why_empty
from indexer.dashboards.descriptions import read
from indexer.dashboards.panels import Filters, Metric, Panel, Time, Top
from indexer.kibana.dashboards import saved_objects
from indexer.kibana.layout import DASHBOARDS, WIDTH
from indexer.kibana.saved_objects import Naming, SavedObject, ndjson
from tests.support import kibana_lens as lens
from tests.support.kibana_kql import query
from tests.support.kibana_stand_in import FORM

OBJECTS = saved_objects(Naming())
LINES = {(it.type, it.id): orjson.loads(it.line) for it in OBJECTS}
LENS = [it for it in OBJECTS if it.type == "lens"]
SHOWN = [it for it in OBJECTS if it.type == "dashboard"]
NOW = "2026-05-11T06:30:00Z"
NUMBERS = {
    *("duration", "requestTime", "requestSize", "responseSize", "count", "responseCode", "size"),
    *("entries", "filesize", "rejected"),
}
TIMES = {"eventDate", "@timestamp", "sealed"}


def texts(value: Any) -> list[str]:
    """The values of all keys that hold JSON as text: `…JSON`, `visState`, `fields`, `fieldFormatMap`."""
    if isinstance(value, list):
        return [text for each in value for text in texts(each)]
    if not isinstance(value, dict):
        return []
    own = [text for key, text in value.items() if re.fullmatch(r".*JSON|visState|fields|fieldFormatMap", key)]
    return own + [text for each in value.values() for text in texts(each)]


def time_of(view: str) -> str:
    """The time field of a data view."""
    name: str = LINES["index-pattern", view]["attributes"]["timeFieldName"]
    return name


def titled(saved: SavedObject) -> str:
    return saved.id


def test_objects() -> None:
    """Three data views, the searches, and four dashboards with an introduction each; ids and titles are unique."""
    kinds = [it.type for it in OBJECTS]
    assert (kinds.count("index-pattern"), kinds.count("dashboard"), kinds.count("visualization")) == (3, 4, 4)
    assert len(LINES) == len(OBJECTS)
    assert {it.id for it in SHOWN} == {f"zoomdata-activity-{name}" for name in DASHBOARDS}
    assert len({(it.type, it.title) for it in OBJECTS}) == len(OBJECTS)


def test_lines() -> None:
    """The file has one object per line."""
    lines = ndjson(OBJECTS).splitlines()
    assert [orjson.loads(line) for line in lines] == list(LINES.values())
    assert ndjson(OBJECTS).endswith(b"\n")


@pytest.mark.parametrize("line", LINES.values(), ids=lambda line: f"{line['type']}-{line['id']}")
def test_form(line: dict[str, Any]) -> None:
    """An object has the keys, the migration versions and only attributes that every server accepts; JSON as text is valid."""
    assert set(line) == {"type", "id", "attributes", "references", "migrationVersion", "coreMigrationVersion"}
    stamp, attributes = FORM[line["type"]]
    assert line["migrationVersion"] == {line["type"]: ".".join(map(str, stamp))}
    assert line["coreMigrationVersion"] == "7.17.0"
    assert set(line["attributes"]) <= attributes
    assert all(orjson.loads(text) is not None for text in texts(line["attributes"]))


def test_references() -> None:
    """An object comes after those it refers to."""
    before: set[tuple[str, str]] = set()
    for it in OBJECTS:
        assert {(each["type"], each["id"]) for each in it.references} <= before
        before.add((it.type, it.id))


@pytest.mark.parametrize("saved", LENS, ids=titled)
def test_lens(saved: SavedObject) -> None:
    """The columns are in order, buckets first, each with an operation of 7.17."""
    layer = lens.layer(saved.attributes)
    assert sorted(layer["columnOrder"]) == sorted(layer["columns"])
    assert layer["incompleteColumns"] == {}
    bucketed = [column["isBucketed"] for _, column in lens.columns(saved.attributes)]
    assert bucketed == sorted(bucketed, reverse=True)
    assert not all(bucketed)
    for _, column in lens.columns(saved.attributes):
        assert_column(column, layer["columns"])
    names = [it["name"] for it in saved.references]
    assert names == ["indexpattern-datasource-current-indexpattern", "indexpattern-datasource-layer-layer1"]
    assert {it["type"] for it in saved.references} == {"index-pattern"}
    assert list(saved.attributes["state"]["datasourceStates"]["indexpattern"]["layers"]) == ["layer1"]


def assert_column(column: dict[str, Any], all_of_them: dict[str, Any]) -> None:
    """A column is complete."""
    assert column["label"]
    assert column["customLabel"] is True
    match column["operationType"]:
        case "date_histogram":
            assert (column["dataType"], column["scale"]) == ("date", "interval")
            assert column["sourceField"] in TIMES
            assert re.fullmatch(r"auto|\d+[hd]", column["params"]["interval"])
        case "terms":
            types = {"ip": "ip", "responseCode": "number"}
            assert column["dataType"] == types.get(column["sourceField"], "string")
            assert column["params"]["missingBucket"] is False
            assert column["params"]["orderBy"]["type"] == "column"
            ranked = all_of_them[column["params"]["orderBy"]["columnId"]]
            assert ranked["operationType"] in {"count", "unique_count", "sum", "average", "max"}
        case "filters":
            assert all(
                it["label"] and it["input"]["language"] == "kuery" for it in column["params"]["filters"]
            )
            assert all(query(it["input"]["query"], NOW) for it in column["params"]["filters"])
        case "count":
            assert column["sourceField"] == "Records"
        case "unique_count":
            assert column["sourceField"] == "user"
        case "sum" | "average" | "max":
            assert column["sourceField"] in NUMBERS, "before 8.2 these take numbers alone"
        case "percentile":
            assert column["sourceField"] in NUMBERS
            assert 0 < column["params"]["percentile"] < 100
        case other:
            pytest.fail(f"{other} is no operation that is used")


@pytest.mark.parametrize("saved", LENS, ids=titled)
def test_visualization(saved: SavedObject) -> None:
    """A visualization shows each column once, buckets as buckets and metrics as metrics."""
    columns = dict(lens.columns(saved.attributes))
    picture = saved.attributes["state"]["visualization"]
    layer = picture["layers"][0] if "layers" in picture else picture
    assert (layer["layerId"], layer["layerType"]) == ("layer1", "data")
    match saved.attributes["visualizationType"]:
        case "lnsMetric":
            groups, figures = [], [layer["accessor"]]
        case "lnsPie":
            groups, figures = layer["groups"], [layer["metric"]]
            assert picture["shape"] == "donut"
        case "lnsDatatable":
            shown = [it["columnId"] for it in layer["columns"]]
            groups = [it for it in shown if columns[it]["isBucketed"]]
            figures = shown[len(groups) :]
        case "lnsXY":
            groups = [layer["xAccessor"], *filter(None, [layer.get("splitAccessor")])]
            figures = layer["accessors"]
            assert picture["legend"] == {"isVisible": True, "position": "right"}
            assert layer["seriesType"] == picture["preferredSeriesType"]
    assert sorted([*groups, *figures]) == sorted(columns)
    assert all(columns[it]["isBucketed"] for it in groups)
    assert not any(columns[it]["isBucketed"] for it in figures)


@pytest.mark.parametrize("saved", [it for it in OBJECTS if it.type in {"lens", "search"}], ids=titled)
def test_queries(saved: SavedObject) -> None:
    """Each query is in the part of KQL that these tests can parse."""
    if saved.type == "lens":
        asked = saved.attributes["state"]["query"]
    else:
        source = orjson.loads(saved.attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])
        asked = source["query"]
        assert [it["name"] for it in saved.references] == [source["indexRefName"]]
        ((field, order),) = saved.attributes["sort"]
        assert (field, order) == (time_of(saved.references[0]["id"]), "desc")
    assert asked["language"] == "kuery"
    assert query(asked["query"], NOW)


@pytest.mark.parametrize("saved", SHOWN, ids=titled)
def test_dashboard(saved: SavedObject) -> None:
    """Panels fill the grid without overlap, each with its reference; the introduction is first."""
    placed = orjson.loads(saved.attributes["panelsJSON"])
    named = [f"{it['panelIndex']}:{it['panelRefName']}" for it in placed]
    assert named == [it["name"] for it in saved.references]
    assert [it["type"] for it in placed] == [it["type"] for it in saved.references]
    assert all(isinstance(it["embeddableConfig"], dict) for it in placed)
    grids = [it["gridData"] for it in placed]
    assert [grid["i"] for grid in grids] == [it["panelIndex"] for it in placed]
    assert all(grid["x"] >= 0 and grid["w"] >= 8 and grid["x"] + grid["w"] <= WIDTH for grid in grids)
    assert not any(overlap(one, other) for one, other in combinations(grids, 2))
    assert sum(grid["w"] * grid["h"] for grid in grids) == WIDTH * max(
        grid["y"] + grid["h"] for grid in grids
    )
    assert placed[0]["type"] == "visualization"
    assert (saved.attributes["timeRestore"], saved.attributes["timeFrom"]) == (True, "now-7d")


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    """Two panels share a cell."""
    beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
    below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    return not (beside or below)


def test_introductions() -> None:
    """A dashboard begins with its purpose, what it means if it is empty, and links to the other three."""
    ids = {it.id for it in SHOWN}
    for it in SHOWN:
        first = LINES["visualization", it.references[0]["id"]]
        state = orjson.loads(first["attributes"]["visState"])
        assert (state["type"], state["title"]) == ("markdown", first["attributes"]["title"])
        text = state["params"]["markdown"]
        assert text.startswith("**")
        assert set(re.findall(r"\]\(dashboards#/view/([^)]+)\)", text)) == ids - {it.id}
        assert state["params"]["openLinksInNewTab"] is False


def test_every_panel_is_shown_once() -> None:
    """Each visualization is on exactly one dashboard."""
    shown = [it["id"] for saved in SHOWN for it in saved.references if it["type"] == "lens"]
    assert sorted(shown) == sorted(it.id for it in LENS)


@pytest.mark.parametrize(
    ("naming", "prefix"),
    [
        (Naming("other"), "other"),
        (Naming(space="audit"), "audit.zoomdata-activity"),
        (Naming("a", "b"), "b.a"),
    ],
)
def test_installs_beside_each_other(naming: Naming, prefix: str) -> None:
    """Another alias or space is in all ids, references and links, so that no two installs share an object."""
    objects = saved_objects(naming)
    assert len(objects) == len(OBJECTS)
    assert all(it.id.startswith(prefix) for it in objects)
    assert {it.id for it in objects}.isdisjoint(it.id for it in OBJECTS)
    assert {each["id"] for it in objects for each in it.references} <= {it.id for it in objects}
    links = re.findall(r"\((dashboards|discover)#/view/([^)?]+)[)?]", ndjson(objects).decode())
    assert [app for app, _ in links].count("dashboards") == 12
    kinds = {"dashboards": "dashboard", "discover": "search"}
    assert {(kinds[app], name) for app, name in links} <= {(it.type, it.id) for it in objects}
    titles = [it.title for it in objects if it.type == "index-pattern"]
    assert titles == [naming.alias, f"{naming.alias}-rejected", f"{naming.alias}-seals"]


def test_formats() -> None:
    """Durations are shown as durations, sizes as sizes."""
    formats = orjson.loads(LINES["index-pattern", "zoomdata-activity"]["attributes"]["fieldFormatMap"])
    assert {formats[field]["id"] for field in ("duration", "requestTime")} == {"duration"}
    assert formats["duration"]["params"]["inputFormat"] == "milliseconds"
    assert {formats[field]["id"] for field in ("responseSize", "requestSize", "filesize")} == {"bytes"}


COMPOSER = {
    *("ACCOUNT", "AUTHENTICATION", "GROUP", "SOURCE", "USER", "VIS"),
    *("RAW_DATA_EXPORT", "RAW_DATA_EXPORT_CSV", "UPLOAD"),
}
"""The types that the vendor documents for 6 to 26."""


def test_current_versions_are_shown_first() -> None:
    """All types of current versions are asked for; panels of other types only come last, each marked and explained."""
    assert asked_for() > COMPOSER
    for name in ("activity", "audit", "performance"):
        described = [
            Panel.of(it) for row in read(name)["rows"] for it in row["panels"] if it["as"] != "search"
        ]
        old = [bool(named(it.where)) and not named(it.where) & COMPOSER for it in described]
        assert old == sorted(old)
        assert not all(old)
        assert ["2.x)" in it.title for it in described] == old
        assert ["Zoomdata 2.x only" in it.why_empty for it in described] == old


@pytest.mark.parametrize(
    ("kql", "why"),
    [
        ("", ""),
        ("status: DELETED", ""),
        ("activityType: (VIS or CHART) and user: a", ""),
        (
            "activityType: UPLOAD or (activityType: RAW_DATA_EXPORT and exportType: FILE)",
            "Logged only if switched on in Zoomdata (RAW_DATA_EXPORT, UPLOAD): indexer zoomdata logging.",
        ),
        (
            "activityType: (RDD or RDD_CACHE)",
            "Fills on Zoomdata 2.x only, if switched on there (RDD, RDD_CACHE): later versions do not log it.",
        ),
    ],
)
def test_why_a_panel_may_be_empty(kql: str, why: str) -> None:
    """Nothing about types that are logged by default; else whether they are switched off or of old versions."""
    assert why_empty(kql) == why


@pytest.mark.parametrize(
    ("text", "types"),
    [
        ("activityType: USER and not uri: x", {"USER"}),
        ("activityType: (VIS or VIS_DEF)", {"VIS", "VIS_DEF"}),
        ('{"term":{"activityType":"A"}},{"terms": {"activityType": ["B", "C"]}}', {"A", "B", "C"}),
        ("- term: {activityType: SOURCE}\n  - terms: {activityType: [X, Y]}", {"SOURCE", "X", "Y"}),
        ('"by": { "Type": "top 10 activityType, others" }, "columns": ["activityType", "status"]', set()),
    ],
)
def test_activity_types_that_a_text_asks_for(text: str, types: set[str]) -> None:
    """In KQL, in Kibana's rules and in those of ElastAlert; a grouping by all types asks for none."""
    assert named(text) == types


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("time", Time()),
        ("time 1d", Time("1d")),
        ("top 5 user", Top(5, "user")),
        ("top 5 user, others", Top(5, "user", others=True)),
        ("top 5 reason.keyword by Rows out", Top(5, "reason.keyword", "Rows out")),
        ("top 5 user by Rows, others", Top(5, "user", "Rows", others=True)),
        ({"a": "b: c"}, Filters({"a": "b: c"})),
    ],
)
def test_buckets(text: Any, wanted: panels.Bucket) -> None:
    """Descriptions of buckets are parsed."""
    assert panels.bucket(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("count", Metric("count")),
        ("unique user", Metric("unique_count", "user")),
        ("p95 duration", Metric("percentile", "duration", 95)),
        ("max size", Metric("max", "size")),
    ],
)
def test_metrics(text: str, wanted: Metric) -> None:
    """Descriptions of metrics are parsed."""
    assert panels.metric(text) == wanted


@pytest.mark.parametrize("text", ["", "max", "median duration", "p200 duration", "top user", "time 1y"])
def test_misspelt_descriptions(text: str) -> None:
    """A misspelt description is an error."""
    with pytest.raises(ValueError, match="is not a"):
        panels.metric(text)
    with pytest.raises(ValueError, match="is not a"):
        panels.bucket(text)


@pytest.mark.parametrize("panel", LENS, ids=titled)
def test_a_panel_over_fields_that_no_entry_has_yet_is_empty_and_no_error(panel: SavedObject) -> None:
    """Each field of a panel is in the mapping."""
    read = {
        name: orjson.loads(Path(__file__).parents[2].joinpath("mappings", f"{name}.json").read_bytes())
        for name in ("mappings", "rejected", "seals")
    }
    mapped = set().union(*(body["template"]["mappings"]["properties"] for body in read.values()))
    layers = LINES[panel.type, panel.id]["attributes"]["state"]["datasourceStates"]["indexpattern"]["layers"]
    columns = [column for layer in layers.values() for column in layer["columns"].values()]
    asked = {column["sourceField"].removesuffix(".keyword") for column in columns if "sourceField" in column}
    assert asked - {"Records"} <= mapped
