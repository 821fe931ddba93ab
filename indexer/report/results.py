"""Results of a report: the aggregation of a panel → rows, each with the keys of its buckets and then its metrics."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from indexer.dashboards.panels import Bucket, Filters, Metric, Panel, Top
from indexer.elastic.counting import figure
from indexer.report.queries import ALL, Period

Json = Mapping[str, Any]
Row = tuple[Any, ...]
OTHERS = "others"


@dataclass(frozen=True, slots=True)
class ReportData:
    """All results for a period."""

    alias: str
    period: Period
    entries: int
    rows: Mapping[tuple[str, str], Sequence[Row]]
    """By the ids of section and panel or saved search."""
    hits: Mapping[str, int]
    """The number of entries of each saved search, whose rows are the newest of them."""
    left_out: Mapping[str, str]
    """Section and panel, joined by a hyphen → the reason why the panel has no rows."""
    formats: Mapping[str, str]
    """Field → format of its values."""


def rows(panel: Panel, answer: Json) -> list[Row]:
    """The rows of a panel in the order of the answer; those for the others come last. None if all counts of labels are 0.

    A count is an int, any other metric a float, or None if there was no value. A time is epoch ms.
    """
    nested = panel.nested_buckets
    found = list(_rows(nested, panel.show, answer))
    if nested and isinstance(nested[0][1], Top) and nested[0][1].others:
        found += _others(found, list(_rows(nested[1:], panel.show, answer[ALL])))
    if nested and isinstance(nested[0][1], Filters) and not any(row[-1] for row in found):
        return []
    return found


def _others(shown: list[Row], total: list[Row]) -> Iterator[Row]:
    """All minus the shown ones. Requires a single metric that can be summed."""
    known: dict[Row, Any] = defaultdict(int)
    for _, *keys, number in shown:
        known[tuple(keys)] += number or 0
    for *keys, number in total:
        if left := (number or 0) - known[tuple(keys)]:
            yield (OTHERS, *keys, left)


def _rows(left: list[tuple[str, Bucket]], show: Mapping[str, Metric], inside: Json) -> Iterator[Row]:
    if not left:
        yield tuple(_value(label, metric, inside) for label, metric in show.items())
        return
    (label, bucket), *inner = left
    found = inside[label]["buckets"]
    if isinstance(bucket, Filters):  # the answer is in alphabetical order
        pairs = [(name, found[name]) for name in bucket.queries]
    else:
        pairs = [(each["key"], each) for each in found]
    for key, each in pairs:
        for row in _rows(inner, show, each):
            yield (key, *row)


def _value(label: str, metric: Metric, inside: Json) -> Any:
    found = inside[label]
    if metric.operation == "count":
        return int(found["value"])
    return figure(next(iter(found["values"].values())) if metric.percentile is not None else found["value"])
