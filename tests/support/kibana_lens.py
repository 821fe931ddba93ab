"""A Lens object, a Lens panel or a saved search → the search that Kibana sends for it, and the rows of the answer."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from indexer.kibana.saved_objects import SavedObject
from tests.support.kibana_kql import query

Json = dict[str, Any]
Row = tuple[Any, ...]
AUTO = "3h"
"""What Kibana makes of the interval `auto` for a week, as it wants about 50 bars."""
MAIN = "layer1"
METRICS = {"unique_count": "cardinality", "sum": "sum", "average": "avg", "max": "max"}


@dataclass(frozen=True, slots=True)
class Range:
    """The time range of a dashboard; its end is now."""

    start: str
    end: str


def layers(attributes: Json) -> Json:
    """The layers of a Lens object, or of a panel in the form of 8.19."""
    (source,) = attributes["state"]["datasourceStates"].values()
    found: Json = source["layers"]
    return found


def layer(attributes: Json, name: str = MAIN) -> Json:
    """A layer; by default the one that is drawn, or whose number is shown."""
    found: Json = layers(attributes)[name]
    return found


def columns(attributes: Json, name: str = MAIN) -> list[tuple[str, Json]]:
    """The columns in order: buckets from the outermost, then metrics."""
    found = layer(attributes, name)
    return [(name, found["columns"][name]) for name in found["columnOrder"]]


def panels(objects: Iterable[SavedObject]) -> dict[str, SavedObject]:
    """The Lens panels that dashboards have by value, as if they were objects: by the id of the dashboard and that of the panel."""
    made = {}
    for board in objects:
        if board.type == "dashboard":
            for panel in orjson.loads(board.attributes["panelsJSON"]):
                if panel["type"] == "lens":
                    name = f"{board.id}-{panel['panelIndex']}"
                    attributes = panel["embeddableConfig"]["attributes"]
                    made[name] = SavedObject("lens", name, attributes, attributes["references"], modern=True)
    return made


def search(attributes: Json, time_field: str, within: Range, of: str = MAIN) -> Json:
    """The search of a layer of a Lens object."""
    buckets = [(name, column) for name, column in columns(attributes, of) if column["isBucketed"]]
    metrics = {name: column for name, column in columns(attributes, of) if not column["isBucketed"]}
    aggregations = _metrics(metrics)
    for name, column in reversed(buckets):
        inside = aggregations | _ranking(column, metrics)
        aggregations = {name: _bucket(column, metrics, within) | ({"aggs": inside} if inside else {})}
    where = query(attributes["state"]["query"]["query"], within.end)
    return {
        "size": 0,
        "track_total_hits": True,
        "query": _during(where, time_field, within),
        "aggs": aggregations,
    }


def hits(attributes: Json, time_field: str, within: Range) -> Json:
    """The search of a saved search."""
    source = orjson.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])
    return {
        "size": 500,
        "track_total_hits": True,
        "query": _during(query(source["query"]["query"], within.end), time_field, within),
        "sort": [{field: order} for field, order in attributes["sort"]],
        "fields": [*attributes["columns"], time_field],
    }


def rows(attributes: Json, answer: Any, name: str = MAIN) -> list[Row]:
    """The rows of the visualization: keys of buckets, then metrics. Without the empty rows that today's charts draw as gaps."""
    whole = answer.get("aggregations", {}) | {"doc_count": answer["hits"]["total"]["value"]}
    return list(_rows(columns(attributes, name), whole))


def others(attributes: Json, answer: Mapping[str, Any]) -> int:
    """The number of entries outside the outermost top values."""
    name, _ = columns(attributes)[0]
    left_out: int = answer["aggregations"][name]["sum_other_doc_count"]
    return left_out


def _during(where: Json, time_field: str, within: Range) -> Json:
    between = {"gte": within.start, "lte": within.end, "format": "strict_date_optional_time"}
    return {"bool": {"filter": [where, {"range": {time_field: between}}]}}


def _bucket(column: Json, metrics: Mapping[str, Json], within: Range) -> Json:
    params = column["params"]
    match column["operationType"]:
        case "date_histogram":
            interval = AUTO if params["interval"] == "auto" else params["interval"]
            kind = "calendar_interval" if interval.startswith("1") else "fixed_interval"
            least = 0 if params.get("includeEmptyRows") else 1
            return {
                "date_histogram": {"field": column["sourceField"], kind: interval, "min_doc_count": least}
            }
        case "filters":
            asked = {it["label"]: query(it["input"]["query"], within.end) for it in params["filters"]}
            return {"filters": {"filters": asked}}
        case "terms":
            rank = params["orderBy"]["columnId"]
            by = "_count" if metrics[rank]["operationType"] == "count" else rank
            order = {by: params["orderDirection"]}
            return {"terms": {"field": column["sourceField"], "size": params["size"], "order": order}}
    raise ValueError(column["operationType"])


def _ranking(column: Json, metrics: Mapping[str, Json]) -> Json:
    """The metric by which terms are ordered is required beside them."""
    if column["operationType"] != "terms":
        return {}
    rank = column["params"]["orderBy"]["columnId"]
    return _metrics({rank: metrics[rank]})


def _metrics(metrics: Mapping[str, Json]) -> Json:
    return {name: _metric(column) for name, column in metrics.items() if column["operationType"] != "count"}


def _metric(column: Json) -> Json:
    if column["operationType"] == "percentile":
        return {"percentiles": {"field": column["sourceField"], "percents": [column["params"]["percentile"]]}}
    return {METRICS[column["operationType"]]: {"field": column["sourceField"]}}


def _rows(left: list[tuple[str, Json]], inside: Mapping[str, Any]) -> Iterator[Row]:
    if not left or not left[0][1]["isBucketed"]:
        yield tuple(_figure(name, column, inside) for name, column in left)
        return
    name, column = left[0]
    found = inside[name]["buckets"]
    if column["operationType"] == "filters":  # shown in the object's order, answered in that of the alphabet
        pairs = [(it["label"], found[it["label"]]) for it in column["params"]["filters"]]
    else:
        pairs = [(bucket["key"], bucket) for bucket in found if bucket["doc_count"]]
    for key, bucket in pairs:
        for row in _rows(left[1:], bucket):
            yield (key, *row)


def _figure(name: str, column: Json, inside: Mapping[str, Any]) -> Any:
    match column["operationType"]:
        case "count":
            return inside["doc_count"]
        case "percentile":
            return next(iter(inside[name]["values"].values()))
    return inside[name]["value"]
