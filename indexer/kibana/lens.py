"""A panel → the attributes of a Lens object, in the form of Kibana 7.16 that 7.17 to 9.x load.

Form and names are those of Kibana's own source at 7.17 (`x-pack/plugins/lens/public/indexpattern_datasource`). What 7.17
refuses is left alone: its `max` and `last_value` take no dates (Kibana issues #95489 and #104787).
"""

from collections.abc import Mapping
from typing import Any

from indexer.dashboards.panels import Bucket, Filters, Measure, Panel, Time, Top

Json = dict[str, Any]
LAYER = "layer1"
SERIES = {"bars": "bar_stacked", "rows": "bar_horizontal_stacked", "lines": "line"}
"""What a panel is shown as, and Lens' name for that series."""
RECORDS = "Records"
"""The field that stands for whole entries."""


def attributes(panel: Panel, time_field: str, types: Mapping[str, str]) -> Json:
    """The attributes of the Lens object; `types` are the fields that are no strings (`ip`, `number`)."""
    ids = {label: f"column{number}" for number, label in enumerate([*panel.by, *panel.show], 1)}
    buckets = {
        ids[label]: _bucket(label, it, panel, ids, time_field, types) for label, it in panel.by.items()
    }
    measures = {ids[label]: _measure(label, it) for label, it in panel.show.items()}
    layer = {
        "columnOrder": [*_nested(panel, ids), *measures],
        "columns": buckets | measures,
        "incompleteColumns": {},
    }
    kind, picture = _visualization(panel, list(buckets), list(measures))
    return {
        "title": panel.title,
        "description": "",
        "visualizationType": kind,
        "state": {
            "datasourceStates": {"indexpattern": {"layers": {LAYER: layer}}},
            "visualization": picture,
            "query": {"language": "kuery", "query": panel.where},
            "filters": [],
        },
    }


def references(view: str) -> list[Json]:
    """What a Lens object refers to: the data view, twice."""
    names = ("current-indexpattern", f"layer-{LAYER}")
    return [
        {"type": "index-pattern", "id": view, "name": f"indexpattern-datasource-{name}"} for name in names
    ]


def _nested(panel: Panel, ids: Mapping[str, str]) -> list[str]:
    """The buckets from the outermost: what splits a picture of time is outside, so that it is one top ten for all times."""
    return [ids[label] for label in sorted(panel.by, key=lambda label: isinstance(panel.by[label], Time))]


def _bucket(
    label: str,
    bucket: Bucket,
    panel: Panel,
    ids: Mapping[str, str],
    time_field: str,
    types: Mapping[str, str],
) -> Json:
    column: Json = {"label": label, "customLabel": True, "isBucketed": True}
    match bucket:
        case Time(interval):
            return column | {
                "dataType": "date",
                "operationType": "date_histogram",
                "scale": "interval",
                "sourceField": time_field,
                "params": {"interval": interval},
            }
        case Filters(queries):
            filters = [
                {"label": name, "input": {"language": "kuery", "query": query}}
                for name, query in queries.items()
            ]
            return column | {
                "dataType": "string",
                "operationType": "filters",
                "scale": "ordinal",
                "params": {"filters": filters},
            }
        case Top(size, field, rank_by, others):
            return column | {
                "dataType": types.get(field, "string"),
                "operationType": "terms",
                "scale": "ordinal",
                "sourceField": field,
                "params": {
                    "size": size,
                    "orderBy": {"type": "column", "columnId": ids[rank_by or next(iter(panel.show))]},
                    "orderDirection": "desc",
                    "otherBucket": others,
                    "missingBucket": False,
                },
            }


def _measure(label: str, measure: Measure) -> Json:
    column: Json = {
        "label": label,
        "customLabel": True,
        "dataType": "number",
        "operationType": measure.operation,
        "isBucketed": False,
        "scale": "ratio",
        "sourceField": measure.field or RECORDS,
    }
    return column if measure.percentile is None else column | {"params": {"percentile": measure.percentile}}


def _visualization(panel: Panel, buckets: list[str], measures: list[str]) -> tuple[str, Json]:
    layer: Json = {"layerId": LAYER, "layerType": "data"}
    match panel.kind:
        case "number":
            return "lnsMetric", layer | {"accessor": measures[0]}
        case "table":
            return "lnsDatatable", layer | {"columns": [{"columnId": it} for it in [*buckets, *measures]]}
        case "donut":
            shares = {
                "groups": buckets,
                "metric": measures[0],
                "numberDisplay": "percent",
                "categoryDisplay": "default",
                "legendDisplay": "default",
                "nestedLegend": False,
            }
            return "lnsPie", {"shape": "donut", "layers": [layer | shares]}
    series = SERIES[panel.kind]
    axes: Json = {"seriesType": series, "xAccessor": buckets[0], "accessors": measures}
    if len(buckets) > 1:
        axes["splitAccessor"] = buckets[1]
    return "lnsXY", {
        "legend": {"isVisible": True, "position": "right"},
        "valueLabels": "hide",
        "fittingFunction": "Linear" if series == "line" else "None",
        "preferredSeriesType": series,
        "layers": [layer | axes],
    }
