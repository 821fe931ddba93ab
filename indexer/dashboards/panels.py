"""A panel as described in mappings/kibana/: which entries, grouped by which buckets, with which metrics.

A bucket is `time` (Kibana chooses the interval) or `time 1h`; `top 10 user`, then ` by LABEL` if it is not ordered by the first
metric, then `, others` to show the rest as one; or an object of labels and their KQL. A metric is `count`, or `unique`, `sum`,
`average`, `max`, `p95` of a field.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from indexer.dashboards.activity_types import why_empty

AUTO = "auto"
OPERATIONS = {"unique": "unique_count", "sum": "sum", "average": "average", "max": "max"}
"""Words of the description → Lens' names of the operations."""


@dataclass(frozen=True, slots=True)
class Time:
    """Entries grouped by time (date histogram)."""

    interval: str = AUTO


@dataclass(frozen=True, slots=True)
class Top:
    """Entries grouped by the top values of a field (terms)."""

    size: int
    field: str
    order_by: str | None = None
    """The label of a metric; None for the first."""
    others: bool = False


@dataclass(frozen=True, slots=True)
class Filters:
    """Entries grouped by queries: label → KQL."""

    queries: dict[str, str]


Bucket = Time | Top | Filters


@dataclass(frozen=True, slots=True)
class Metric:
    """A value of each bucket; `count` has no field."""

    operation: str
    field: str | None = None
    percentile: int | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """One visualization."""

    id: str
    title: str
    kind: str
    view: str
    where: str
    """KQL; empty for all entries."""
    by: dict[str, Bucket]
    show: dict[str, Metric]

    @property
    def why_empty(self) -> str:
        """Why the panel may have nothing to show, by the versions that log its activity types; often empty."""
        return why_empty(self.where)

    @property
    def nested_buckets(self) -> list[tuple[str, Bucket]]:
        """The buckets from outermost to innermost. Time is innermost, so that the top values are those of the whole period."""
        return sorted(self.by.items(), key=lambda item: isinstance(item[1], Time))

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> "Panel":
        """Parse a description. Raises ValueError."""
        return cls(
            described["id"],
            described["title"],
            described["as"],
            described.get("of", "entries"),
            described.get("where", ""),
            {label: bucket(it) for label, it in described.get("by", {}).items()},
            {label: metric(it) for label, it in described["show"].items()},
        )


def bucket(described: str | dict[str, str]) -> Bucket:
    """Parse the description of a bucket. Raises ValueError."""
    if isinstance(described, dict):
        return Filters(described)
    if found := re.fullmatch(r"time(?: (\d+[mhd]))?", described):
        return Time(found[1] or AUTO)
    if found := re.fullmatch(r"top (\d+) (\S+?)(?: by (.+?))?(, others)?", described):
        return Top(int(found[1]), found[2], found[3], bool(found[4]))
    raise ValueError(f"{described!r} is not a bucket")


def metric(described: str) -> Metric:
    """Parse the description of a metric. Raises ValueError."""
    if described == "count":
        return Metric("count")
    word, _, field = described.partition(" ")
    if found := re.fullmatch(r"p(\d\d?)", word):
        return Metric("percentile", field, int(found[1]))
    if field and word in OPERATIONS:
        return Metric(OPERATIONS[word], field)
    raise ValueError(f"{described!r} is not a metric")
