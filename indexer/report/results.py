"""What Elasticsearch answered: the aggregation of a panel → rows, each the keys of its buckets and then its figures."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from indexer.dashboards.panels import Bucket, Filters, Metric, Panel, Top
from indexer.elastic.counting import figure
from indexer.report.queries import ALL, buckets

Json = Mapping[str, Any]
Row = tuple[Any, ...]
OTHERS = "others"


def rows(panel: Panel, answer: Json) -> list[Row]:
    """The rows of a panel, in the order of its answer; those of the others last.

    A count is an int, any other figure a float, or None where there was nothing to reckon with. A time is epoch ms.
    """
    nested = buckets(panel)
    found = list(_rows(nested, panel.show, answer))
    if nested and isinstance(nested[0][1], Top) and nested[0][1].others:
        found += _others(found, list(_rows(nested[1:], panel.show, answer[ALL])))
    return found


def _others(shown: list[Row], everything: list[Row]) -> Iterator[Row]:
    """What is left of all. Only one measure, and one that adds up, can have others."""
    known: dict[Row, Any] = defaultdict(int)
    for _, *keys, number in shown:
        known[tuple(keys)] += number or 0
    for *keys, number in everything:
        if left := (number or 0) - known[tuple(keys)]:
            yield (OTHERS, *keys, left)


def _rows(left: list[tuple[str, Bucket]], show: Mapping[str, Metric], inside: Json) -> Iterator[Row]:
    if not left:
        yield tuple(_figure(label, measure, inside) for label, measure in show.items())
        return
    (label, bucket), *inner = left
    found = inside[label]["buckets"]
    if isinstance(bucket, Filters):  # shown in the panel's order, answered in the alphabet's
        pairs = [(name, found[name]) for name in bucket.queries]
    else:
        pairs = [(each["key"], each) for each in found]
    for key, each in pairs:
        for row in _rows(inner, show, each):
            yield (key, *row)


def _figure(label: str, measure: Metric, inside: Json) -> Any:
    found = inside[label]
    if measure.operation == "count":
        return int(found["value"])
    return figure(next(iter(found["values"].values())) if measure.percentile is not None else found["value"])
