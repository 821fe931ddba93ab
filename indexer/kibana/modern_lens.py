"""A panel → the attributes of a Lens panel in the form of 8.19 and 9.x.

It is the form of 7.16 after the migrations that Kibana has since (`lens/server/migrations/common_migrations.ts`, 8.1 to 8.9), with what
came in addition:

- `lnsMetric` (8.5): `metricAccessor`, and a trend line, which is a second layer with `linkToLayers`
  (`lens/public/visualizations/metric/visualization.tsx`, `to_expression.ts`).
- `colorMapping`, by value of a field. In the form before "raw" values (`rule`, `matchExactly`), which 8.19 reads, and which later versions
  convert when they read it (`lens/common/content_management/v1/transforms/raw_color_mappings`), like `splitAccessor` (`…/v2`).
"""

from collections.abc import Mapping
from typing import Any

from indexer.dashboards.panels import Panel
from indexer.kibana import lens
from indexer.kibana.lens import LAYER

Json = dict[str, Any]
TREND = "trend1"
RECORDS = "___records___"
"""Lens' source field for the count of documents, from 8.1 on."""
PALETTE = "eui_amsterdam_color_blind"
"""The colours of other values; known to 8.19 and to 9.x (`kbn-palettes`)."""
AXES = {"milliseconds": "Duration", "bytes": "Size"}
"""The format of a field → the title of an axis that several metrics share; ticks have units."""


def attributes(panel: Panel, view: Json, colours: Mapping[str, Mapping[str, str]]) -> Json:
    """The attributes of the panel; `view` is its data view, `colours` are those of values, by field."""
    old = lens.attributes(panel, view["time"], view["types"])
    layers = old["state"]["datasourceStates"]["indexpattern"]["layers"]
    layer = layers[LAYER]
    for column in layer["columns"].values():
        _migrate(column)
    if panel.kind == "number":
        (accessor,) = layer["columns"]
        layer["columns"][accessor]["label"] = panel.title  # which the number shows instead of the panel's
        layers[TREND] = _trend(layer["columns"][accessor], view["time"])
        visualization = _number(accessor, old["description"])
    else:
        mappings = {
            name: colours[column["sourceField"]]
            for name, column in layer["columns"].items()
            if column["operationType"] == "terms" and column["sourceField"] in colours
        }
        visualization = _visualization(panel, old["state"]["visualization"], view, mappings)
    state = old["state"] | {
        "datasourceStates": {"formBased": {"layers": layers}},
        "visualization": visualization,
        "internalReferences": [],
        "adHocDataViews": {},
    }
    return old | {"type": "lens", "state": state}


def references(made: Json, view: str) -> list[Json]:
    """The references of a Lens panel: the data view, for each layer."""
    return [
        {"type": "index-pattern", "id": view, "name": f"indexpattern-datasource-layer-{layer}"}
        for layer in made["state"]["datasourceStates"]["formBased"]["layers"]
    ]


def _migrate(column: Json) -> None:
    match column["operationType"]:
        case "count":
            column["sourceField"] = RECORDS
        case "terms":
            column["params"]["parentFormat"] = {"id": "terms"}
        case "date_histogram":
            column["params"]["includeEmptyRows"] = True  # a gap is shown as one


def _trend(metric: Json, time_field: str) -> Json:
    """The layer of the trend line: the metric over time."""
    time = {
        "label": "Time",
        "customLabel": True,
        "dataType": "date",
        "isBucketed": True,
        "operationType": "date_histogram",
        "scale": "interval",
        "sourceField": time_field,
        "params": {"interval": "auto", "includeEmptyRows": True},
    }
    return {
        "columnOrder": ["trend_time", "trend_metric"],
        "columns": {"trend_time": time, "trend_metric": metric},
        "incompleteColumns": {},
        "linkToLayers": [LAYER],
    }


def _number(accessor: str, subtitle: str) -> Json:
    """A number; the subtitle stands where a panel that shows its title has the icon with the description."""
    more = {"subtitle": subtitle} if subtitle else {}
    return more | {
        "layerId": LAYER,
        "layerType": "data",
        "metricAccessor": accessor,
        "showBar": False,
        "trendlineLayerId": TREND,
        "trendlineLayerType": "metricTrendline",
        "trendlineTimeAccessor": "trend_time",
        "trendlineMetricAccessor": "trend_metric",
    }


def _visualization(panel: Panel, old: Json, view: Json, mappings: Mapping[str, Mapping[str, str]]) -> Json:
    """The visualization of 7.16 in today's form; `mappings` are the colours of values, by column."""
    if panel.kind == "table":
        return old | {"columns": [_table_column(it["columnId"], mappings) for it in old["columns"]]}
    (layer,) = old["layers"]
    if panel.kind == "donut":
        groups = layer.pop("groups")
        layer |= {"primaryGroups": groups, "metrics": [layer.pop("metric")], "legendSize": "auto"}
        layer |= _coloured(mappings.get(groups[0]))
        return old
    layer |= _coloured(mappings.get(layer.get("splitAccessor", "")))
    return old | {"legend": old["legend"] | {"legendSize": "auto"}} | _axis(panel, view)


def _table_column(column: str, mappings: Mapping[str, Mapping[str, str]]) -> Json:
    mapping = _coloured(mappings.get(column))
    return {"columnId": column} | ({"colorMode": "text"} | mapping if mapping else {})


def _coloured(colours: Mapping[str, str] | None) -> Json:
    """The color mapping of values; other values get the next colour of the palette."""
    if not colours:
        return {}
    assignments = [
        {
            "rule": {"type": "matchExactly", "values": [value]},
            "color": {"type": "colorCode", "colorCode": colour},
            "touched": True,
        }
        for value, colour in colours.items()
    ]
    others = {"rule": {"type": "other"}, "color": {"type": "loop"}, "touched": False}
    return {
        "colorMapping": {
            "assignments": assignments,
            "specialAssignments": [others],
            "paletteId": PALETTE,
            "colorMode": {"type": "categorical"},
        }
    }


def _axis(panel: Panel, view: Json) -> Json:
    """The title of an axis for several metrics: Lens would take the label of the first one, such as "Median"."""
    formats = {view["formats"].get(it.field) for it in panel.show.values()}
    if len(panel.show) < 2 or len(formats) != 1:
        return {}
    title = AXES.get(formats.pop())
    return {"yTitle": title} if title else {}
