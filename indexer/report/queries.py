"""What is asked of Elasticsearch: panels and a period → aggregations. Asks nothing itself."""

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
"""The name of the aggregation of a panel's others and those shown together."""
METRICS = {"unique_count": "cardinality", "sum": "sum", "average": "avg", "max": "max"}
INTERVALS = {
    name: timedelta(minutes=minutes)
    for name, minutes in {
        "1m": 1, "5m": 5, "10m": 10, "30m": 30, "1h": 60, "3h": 180, "12h": 720, "1d": 1440, "7d": 10_080, "30d": 43_200,
    }.items()
}  # fmt: skip
BARS, MOST_BARS = 60, 200
"""How many bars a picture should have, and how many one may have whose interval the panel asks for."""


@dataclass(frozen=True, slots=True)
class Period:
    """From when to when, both included, with a zone."""

    start: datetime
    end: datetime

    @property
    def query(self) -> Json:
        """The query for it."""
        limits = {"gte": _milliseconds(self.start), "lte": _milliseconds(self.end)}
        return {"range": {TIME: limits | {"format": "epoch_millis"}}}

    def interval(self, asked: str) -> str:
        """How long a bar is, given what the panel asks for."""
        length = self.end - self.start
        if asked in INTERVALS and length <= MOST_BARS * INTERVALS[asked]:
            return asked
        return next((name for name, each in INTERVALS.items() if length <= BARS * each), "30d")


def where(kql: str) -> Json:
    """The query that a panel's KQL stands for.

    In the part of KQL that mappings/kibana/ uses, Lucene's syntax (Elasticsearch guide, "Query string query") is the
    same but for its operators, which are in capitals. Comparisons are of no such part: ValueError.
    """
    if not kql:
        return {"match_all": {}}
    pieces = re.split(r'("[^"]*")', kql)
    if any(set("<>") & set(piece) for piece in pieces[::2]):
        raise ValueError(f"{kql!r} compares")
    pieces[::2] = [
        re.sub(r"\b(and|or|not)\b", lambda found: found[0].upper(), piece) for piece in pieces[::2]
    ]
    return {"query_string": {"query": "".join(pieces), "analyze_wildcard": False}}


def aggregations(panels: Iterable[Panel], period: Period) -> Json:
    """One aggregation a panel, under its id."""
    return {
        panel.id: {"filter": where(panel.where), "aggs": _nested(buckets(panel), panel.show, period)}
        for panel in panels
    }


def buckets(panel: Panel) -> list[tuple[str, Bucket]]:
    """Its buckets from the outermost, time innermost: what splits a picture of time is one top ten for all times."""
    return sorted(panel.by.items(), key=lambda item: isinstance(item[1], Time))


def _nested(left: list[tuple[str, Bucket]], show: Mapping[str, Metric], period: Period) -> Json:
    if not left:
        return {label: _metric(it) for label, it in show.items()}
    (label, bucket), *inner = left
    inside = _nested(inner, show, period)
    if not isinstance(bucket, Top):
        return {label: _grouped(bucket, period) | {"aggs": inside}}
    rank = bucket.order_by or next(iter(show))
    terms = {"field": bucket.field, "size": bucket.size, "order": {rank: "desc"}}
    found = {label: {"terms": terms, "aggs": inside | {rank: _metric(show[rank])}}}
    # No aggregation of the others exists: they are what is left of all.
    return found | {ALL: {"filter": {"match_all": {}}, "aggs": inside}} if bucket.others else found


def _grouped(bucket: Time | Filters, period: Period) -> Json:
    if isinstance(bucket, Filters):
        return {"filters": {"filters": {name: where(kql) for name, kql in bucket.queries.items()}}}
    return {
        "date_histogram": {
            "field": TIME,
            "fixed_interval": period.interval(bucket.interval),
            "min_doc_count": 1,
            "format": "epoch_millis",
        }
    }


def _metric(measure: Metric) -> Json:
    if measure.operation == "count":
        return OF_ENTRIES
    if measure.percentile is not None:
        return {"percentiles": {"field": measure.field, "percents": [measure.percentile]}}
    return {METRICS[measure.operation]: {"field": measure.field}}


def _milliseconds(moment: datetime) -> int:
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)
