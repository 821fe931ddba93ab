"""Panels and a period → aggregations and queries of Elasticsearch. Sends nothing."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from indexer.dashboards.panels import Bucket, Filters, Metric, Panel, Time, Top
from indexer.elastic.counting import OF_ENTRIES

Json = dict[str, Any]
TIME = "eventDate"
ALL = "all"
"""The aggregation over all values of a field, from which the others are computed."""
AGGREGATIONS = {"unique_count": "cardinality", "sum": "sum", "average": "avg", "max": "max"}
INTERVALS = {
    name: timedelta(minutes=minutes)
    for name, minutes in {
        "1m": 1, "5m": 5, "10m": 10, "30m": 30, "1h": 60, "3h": 180, "12h": 720, "1d": 1440, "7d": 10_080, "30d": 43_200,
    }.items()
}  # fmt: skip
TARGET_BARS, MAX_BARS = 60, 200
"""The largest number of bars for an interval that is chosen here, and for one that the panel sets."""


@dataclass(frozen=True, slots=True)
class Period:
    """A period; both ends are included, and have a time zone."""

    start: datetime
    end: datetime

    @property
    def query(self) -> Json:
        """The range query for the period."""
        limits = {"gte": _milliseconds(self.start), "lte": _milliseconds(self.end)}
        return {"range": {TIME: limits | {"format": "epoch_millis"}}}

    def interval(self, requested: str) -> str:
        """The length of a bar: the interval of the panel, unless that makes too many bars."""
        length = self.end - self.start
        if requested in INTERVALS and length <= MAX_BARS * INTERVALS[requested]:
            return requested
        return next((name for name, each in INTERVALS.items() if length <= TARGET_BARS * each), "30d")


def kql_query(kql: str) -> Json:
    """The query for KQL.

    For the part of KQL in mappings/kibana/, Lucene's syntax (Elasticsearch guide, "Query string query") differs only in its upper-case
    operators and in the slash, which begins a regular expression. Raises ValueError for comparisons, which differ.
    """
    if not kql:
        return {"match_all": {}}
    pieces = re.split(r'("[^"]*")', kql)
    if any(set("<>") & set(piece) for piece in pieces[::2]):
        raise ValueError(f"{kql!r} has a comparison, which is not supported")
    pieces[::2] = [
        re.sub(r"\b(and|or|not)\b", lambda found: found[0].upper(), piece).replace("/", "\\/")
        for piece in pieces[::2]
    ]
    return {"query_string": {"query": "".join(pieces), "analyze_wildcard": False}}


def aggregations(panels: Iterable[Panel], period: Period) -> Json:
    """The aggregation of each panel, named by its id."""
    return {
        panel.id: {
            "filter": kql_query(panel.where),
            "aggs": _nested(panel.nested_buckets, panel.show, period),
        }
        for panel in panels
    }


def _nested(left: list[tuple[str, Bucket]], show: Mapping[str, Metric], period: Period) -> Json:
    if not left:
        return {label: _metric(it) for label, it in show.items()}
    (label, bucket), *inner = left
    inside = _nested(inner, show, period)
    if not isinstance(bucket, Top):
        return {label: _time_or_filters(bucket, period) | {"aggs": inside}}
    order_by = bucket.order_by or next(iter(show))
    terms = {"field": bucket.field, "size": bucket.size, "order": {order_by: "desc"}}
    found = {label: {"terms": terms, "aggs": inside | {order_by: _metric(show[order_by])}}}
    # Elasticsearch has no aggregation for the others: they are computed as all minus the top values.
    return found | {ALL: {"filter": {"match_all": {}}, "aggs": inside}} if bucket.others else found


def _time_or_filters(bucket: Time | Filters, period: Period) -> Json:
    if isinstance(bucket, Filters):
        return {"filters": {"filters": {name: kql_query(kql) for name, kql in bucket.queries.items()}}}
    return {
        "date_histogram": {
            "field": TIME,
            "fixed_interval": period.interval(bucket.interval),
            "min_doc_count": 1,
            "format": "epoch_millis",
        }
    }


def _metric(metric: Metric) -> Json:
    if metric.operation == "count":
        return OF_ENTRIES
    if metric.percentile is not None:
        return {"percentiles": {"field": metric.field, "percents": [metric.percentile]}}
    return {AGGREGATIONS[metric.operation]: {"field": metric.field}}


def _milliseconds(moment: datetime) -> int:
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)
