"""What a panel says of itself in mappings/kibana/, read: which entries, grouped by what, counted how.

A bucket is `time` (Kibana chooses the interval) or `time 1h`; `top 10 user`, then ` by LABEL` if another measure than the
first ranks it, then `, others` if the rest is shown as one; or an object of labels and the KQL that each stands for.
A measure is `count`, or `unique`, `sum`, `average`, `max`, `p95` of a field.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

AUTO = "auto"
OPERATIONS = {"unique": "unique_count", "sum": "sum", "average": "average", "max": "max"}
"""Words for measures, and Lens' own names of them."""


@dataclass(frozen=True, slots=True)
class Time:
    """Grouped by time."""

    interval: str = AUTO


@dataclass(frozen=True, slots=True)
class Top:
    """Grouped by the values that are first in rank."""

    size: int
    field: str
    rank_by: str | None = None
    """The label of a measure; None for the first."""
    others: bool = False


@dataclass(frozen=True, slots=True)
class Filters:
    """Grouped by questions of our own: label → KQL."""

    queries: dict[str, str]


Bucket = Time | Top | Filters


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure of a group; no field for `count`."""

    operation: str
    field: str | None = None
    percentile: int | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture."""

    id: str
    title: str
    kind: str
    view: str
    where: str
    """KQL; empty for all entries."""
    by: dict[str, Bucket]
    show: dict[str, Measure]

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> "Panel":
        """Read one. Raises ValueError."""
        return cls(
            described["id"],
            described["title"],
            described["as"],
            described.get("of", "entries"),
            described.get("where", ""),
            {label: bucket(it) for label, it in described.get("by", {}).items()},
            {label: measure(it) for label, it in described["show"].items()},
        )


def bucket(described: str | dict[str, str]) -> Bucket:
    """Read a bucket. Raises ValueError."""
    if isinstance(described, dict):
        return Filters(described)
    if found := re.fullmatch(r"time(?: (\d+[mhd]))?", described):
        return Time(found[1] or AUTO)
    if found := re.fullmatch(r"top (\d+) (\S+?)(?: by (.+?))?(, others)?", described):
        return Top(int(found[1]), found[2], found[3], bool(found[4]))
    raise ValueError(f"{described!r} is no bucket")


def measure(described: str) -> Measure:
    """Read a measure. Raises ValueError."""
    if described == "count":
        return Measure("count")
    word, _, field = described.partition(" ")
    if found := re.fullmatch(r"p(\d\d?)", word):
        return Measure("percentile", field, int(found[1]))
    if field and word in OPERATIONS:
        return Measure(OPERATIONS[word], field)
    raise ValueError(f"{described!r} is no measure")
