"""A panel → the attributes of a Lens saved object in the form of Kibana 7.16, which 7.17 to 9.x load.

Form and names are those of Kibana's source at 7.17 (`x-pack/plugins/lens/public/indexpattern_datasource`). Features that 7.17 lacks
are not used: its `max` and `last_value` do not accept dates (Kibana issues #95489 and #104787).
"""

from collections.abc import Mapping
from typing import Any

from indexer.dashboards.panels import Bucket, Filters, Metric, Panel, Time, Top

Json = dict[str, Any]
LAYER = "layer1"
SERIES = {"bars": "bar_stacked", "rows": "bar_horizontal_stacked", "lines": "line"}
"""The kind of a panel → Lens' series type."""
RECORDS = "Records"
"""Lens' source field for the count of documents."""


def attributes(panel: Panel, time_field: str, types: Mapping[str, str]) -> Json:
    """The attributes of the Lens object; `types` has the data types of fields that are not strings (`ip`, `number`)."""
    ids = {label: f"column{number}" for number, label in enumerate([*panel.by, *panel.show], 1)}
    buckets = {
        ids[label]: _bucket(label, it, panel, ids, time_field, types) for label, it in panel.by.items()
    }
    metrics = {ids[label]: _metric(label, it) for label, it in panel.show.items()}
    layer = {
        "columnOrder": [*(ids[label] for label, _ in panel.nested_buckets), *metrics],
        "columns": buckets | metrics,
        "incompleteColumns": {},
    }
    kind, visualization = _visualization(panel, list(buckets), list(metrics))
    return {
        "title": panel.title,
        "description": panel.why_empty,
        "visualizationType": kind,
        "state": {
            "datasourceStates": {"indexpattern": {"layers": {LAYER: layer}}},
            "visualization": visualization,
            "query": {"language": "kuery", "query": panel.where},
            "filters": [],
        },
    }


def references(view: str) -> list[Json]:
    """The references of a Lens object: the data view, twice."""
    names = ("current-indexpattern", f"layer-{LAYER}")
    return [
        {"type": "index-pattern", "id": view, "name": f"indexpattern-datasource-{name}"} for name in names
    ]


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
        case Top(size, field, order_by, others):
            return column | {
                "dataType": types.get(field, "string"),
                "operationType": "terms",
                "scale": "ordinal",
                "sourceField": field,
                "params": {
                    "size": size,
                    "orderBy": {"type": "column", "columnId": ids[order_by or next(iter(panel.show))]},
                    "orderDirection": "desc",
                    "otherBucket": others,
                    "missingBucket": False,
                },
            }


def _metric(label: str, metric: Metric) -> Json:
    column: Json = {
        "label": label,
        "customLabel": True,
        "dataType": "number",
        "operationType": metric.operation,
        "isBucketed": False,
        "scale": "ratio",
        "sourceField": metric.field or RECORDS,
    }
    return column if metric.percentile is None else column | {"params": {"percentile": metric.percentile}}


def _visualization(panel: Panel, buckets: list[str], metrics: list[str]) -> tuple[str, Json]:
    layer: Json = {"layerId": LAYER, "layerType": "data"}
    match panel.kind:
        case "number":
            return "lnsMetric", layer | {"accessor": metrics[0]}
        case "table":
            return "lnsDatatable", layer | {"columns": [{"columnId": it} for it in [*buckets, *metrics]]}
        case "donut":
            shares = {
                "groups": buckets,
                "metric": metrics[0],
                "numberDisplay": "percent",
                "categoryDisplay": "default",
                "legendDisplay": "default",
                "nestedLegend": False,
            }
            return "lnsPie", {"shape": "donut", "layers": [layer | shares]}
    series = SERIES[panel.kind]
    axes: Json = {"seriesType": series, "xAccessor": buckets[0], "accessors": metrics}
    if len(buckets) > 1:
        axes["splitAccessor"] = buckets[1]
    return "lnsXY", {
        "legend": {"isVisible": True, "position": "right"},
        "valueLabels": "hide",
        "fittingFunction": "Linear" if series == "line" else "None",
        "preferredSeriesType": series,
        "layers": [layer | axes],
    }
