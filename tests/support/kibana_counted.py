"""The rows of each visualization, counted in Python from the lines of the log, independently of Kibana's objects.

A visualization is identified by the end of its id. Rows have the form of `tests.support.kibana_lens.rows`: keys, then metrics.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address, ip_address
from math import ceil, floor
from typing import Any

Entry = dict[str, Any]
Entries = Sequence[Entry]
Row = tuple[Any, ...]
Key = Callable[[Entry], Any]
Figure = Callable[[Entries], Any]
HOUR = 3_600_000  # ms


@dataclass(frozen=True, slots=True)
class About:
    """A percentile: Elasticsearch's estimate must be between neighbouring values."""

    values: tuple[float, ...]
    percent: float
    leeway: float = 4

    def __eq__(self, other: object) -> bool:
        last = len(self.values) - 1
        low = max(floor(last * (self.percent - self.leeway) / 100), 0)
        high = min(ceil(last * (self.percent + self.leeway) / 100), last)
        return isinstance(other, float) and self.values[low] <= other <= self.values[high]

    __hash__ = None  # type: ignore[assignment]


def moment(entry: Entry) -> int:
    """The time in epoch ms."""
    return round(datetime.fromisoformat(entry["eventDate"]).replace(tzinfo=UTC).timestamp() * 1000)


def every(hours: int) -> tuple[Key, None]:
    """Grouped by time."""
    return lambda entry: moment(entry) // (hours * HOUR) * hours * HOUR, None


def top(size: int, field: str) -> tuple[Key, int]:
    """Grouped by a field's values."""
    return lambda entry: entry.get(field), size


def count(entries: Entries) -> int:
    """The number of entries."""
    return len(entries)


def values(entries: Entries, field: str) -> list[float]:
    """A field's values, sorted."""
    return sorted(float(entry[field]) for entry in entries if field in entry)


def total(field: str) -> Figure:
    """The sum of a field."""
    return lambda entries: sum(values(entries, field))


def largest(field: str) -> Figure:
    """The largest value."""
    return lambda entries: values(entries, field)[-1]


def mean(field: str) -> Figure:
    """The mean value."""
    return lambda entries: sum(values(entries, field)) / len(values(entries, field))


def different(field: str) -> Figure:
    """The number of distinct values."""
    return lambda entries: len({entry[field] for entry in entries if field in entry})


def percentile(percent: float, field: str) -> Figure:
    """A percentile; None without values."""
    return lambda entries: About(tuple(values(entries, field)), percent) if values(entries, field) else None


def grouped(
    entries: Entries, keys: Iterable[tuple[Key, int | None]], *figures: Figure, rank: int = 0
) -> list[Row]:
    """Rows of nested groups: times in order, else the top `size` by the metric `rank`, then by value."""
    inner = list(keys)
    if not inner:
        return [tuple(figure(entries) for figure in figures)]
    key, size = inner.pop(0)
    groups: dict[Any, list[Entry]] = defaultdict(list)
    for entry in entries:
        if (value := key(entry)) is not None:
            groups[value].append(entry)
    order = sorted(groups, key=_order)
    if size is not None:
        order.sort(key=lambda value: -figures[rank](groups[value]))
    return [
        (value, *row) for value in order[:size] for row in grouped(groups[value], inner, *figures, rank=rank)
    ]


def _order(value: Any) -> Any:
    """The order of values of equal rank in Elasticsearch: addresses as 16 bytes."""
    try:
        address = ip_address(str(value))
    except ValueError:
        return value
    return (b"\0" * 10 + b"\xff" * 2 if isinstance(address, IPv4Address) else b"") + address.packed


def of(entries: Entries, *kinds: str, status: str | None = None) -> list[Entry]:
    """The entries of these types, and of a status if given."""
    return [it for it in entries if it["activityType"] in kinds and status in {None, it["status"]}]


def by_people(entries: Entries) -> list[Entry]:
    """Without health checks, whatever the context is."""
    return [it for it in entries if not it.get("uri", "").endswith("service/health")]


def changed(entries: Entries) -> list[Entry]:
    """Entries of objects that were created, changed or deleted."""
    return [it for it in entries if it["status"] in {"CREATED", "SAVED", "UPDATED", "DELETED"}]


def too_long(entries: Entries) -> list[Entry]:
    """Entries with a text beyond `ignore_above` of a keyword field."""
    long = {"request", "payload", "query", "queries", "readRequest", "sourceAsString"}
    return [
        it
        for it in entries
        if any(isinstance(value, str) and len(value) > 1024 for name, value in it.items() if name not in long)
    ]


def cached(entries: Entries) -> list[tuple[str, list[Entry]]]:
    """Reads from the cache and from the source."""
    return [("the cache", of(entries, "RDD_CACHE")), ("the source", of(entries, "RDD"))]


AGES = {
    "up to 1 minute": 1,
    "1 to 5 minutes": 5,
    "5 to 15 minutes": 15,
    "15 minutes to 1 hour": 60,
    "1 hour to 1 day": 24 * 60,
}
SEALED_AGES = {
    "up to 1 hour": 60,
    "1 to 2 hours": 120,
    "2 hours to 1 day": 24 * 60,
    "1 day to 7 days": 7 * 24 * 60,
}
"""The highest age of each row, in minutes."""


def ages(entries: Entries, now: int, rows: Mapping[str, int] = AGES) -> list[Row]:
    """Entries by their age."""
    limits = (-1, *rows.values())
    old = [(now - moment(it)) / 60_000 for it in entries]
    return [
        (name, sum(low < age <= high for age in old))
        for name, low, high in zip(rows, limits, limits[1:], strict=False)
    ]


def of_kind(seals: Entries, *kinds: str) -> list[Entry]:
    """The seals of these kinds; their time is that of an entry."""
    return [it | {"eventDate": it["sealed"]} for it in seals if it["kind"] in kinds]


KEYS = ("SECURITY_KEY", "OAUTH_CLIENT", "OAUTH_TOKEN", "BOOKMARK")
EXPORTS = {("RAW_DATA_EXPORT_CSV", None), ("RAW_DATA_EXPORT", "FILE")}
LOG_IN = "AUTHENTICATION"
STATUS, BY = top(5, "status"), top(3, "user")
QUANTILES = (50, 95, 99)


def exports(entries: Entries) -> list[Entry]:
    """Exports to a file: as CSV, and of a text search."""
    return [it for it in entries if (it["activityType"], it.get("exportType")) in EXPORTS]


def details(entries: Entries) -> list[Entry]:
    """Text searches whose rows were shown only."""
    return [it for it in of(entries, "RAW_DATA_EXPORT") if it["exportType"] == "REST"]


def quantiles(entries: Entries, field: str, percents: Sequence[int] = QUANTILES) -> list[Row]:
    """Percentiles over time."""
    return grouped(entries, [every(3)], *(percentile(it, field) for it in percents))


def slowest(entries: Entries, field: str) -> list[Row]:
    """The slowest values by mean."""
    figures = (mean("duration"), percentile(95, "duration"), largest("duration"), count)
    return grouped(of(entries, "RDD"), [top(15, field)], *figures)


def requests(entries: Entries) -> list[Entry]:
    """Requests except health checks."""
    return by_people(of(entries, "REQUEST"))


PICTURES: dict[str, Callable[[Entries], list[Row]]] = {
    "activity-entries": lambda log: [(len(log),)],
    "activity-users": lambda log: [(len({it["user"] for it in log}),)],
    "activity-sessions": lambda log: [(len(of(log, LOG_IN, status="SUCCEEDED")),)],
    "activity-changed": lambda log: [(len(of(log, "VIS")),)],
    "activity-types": lambda log: grouped(log, [top(10, "activityType"), every(3)], count),
    "activity-busiest": lambda log: grouped(by_people(log), [top(15, "user")], count),
    "activity-outcomes": lambda log: grouped(log, [top(8, "status")], count),
    "activity-days": lambda log: grouped(by_people(log), [every(24)], different("user")),
    "activity-hours": lambda log: grouped(by_people(log), [every(1)], count),
    "activity-methods": lambda log: grouped(
        of(log, LOG_IN, status="SUCCEEDED"), [top(8, "authenticationType")], count
    ),
    "activity-edited": lambda log: grouped(
        of(log, "VIS", "VIS_DEF", "CHART"), [top(10, "visualizationName"), BY], count
    ),
    "activity-all": lambda log: grouped(
        log, [top(30, "activityType"), top(6, "status")], count, different("user")
    ),
    "audit-deleted": lambda log: [(sum(it["status"] == "DELETED" for it in log),)],
    "audit-failed": lambda log: [(len(of(log, LOG_IN, status="FAILED")),)],
    "audit-rows": lambda log: [(sum(it["count"] for it in exports(log)),)],
    "audit-details": lambda log: [(len(details(log)),)],
    "audit-log-ins": lambda log: grouped(of(log, LOG_IN), [STATUS, every(3)], count),
    "audit-log-ins-by-user": lambda log: grouped(of(log, LOG_IN), [top(12, "user"), STATUS], count),
    "audit-refused": lambda log: grouped(
        of(log, LOG_IN, status="FAILED"), [top(15, "user"), top(5, "ip")], count
    ),
    "audit-addresses": lambda log: grouped(
        of(log, LOG_IN), [top(15, "ip"), STATUS], count, different("user")
    ),
    "audit-changes": lambda log: grouped(changed(log), [STATUS, every(3)], count),
    "audit-changes-by-user": lambda log: grouped(
        changed(log), [top(15, "activityType"), STATUS, top(5, "user")], count
    ),
    "audit-users": lambda log: grouped(of(log, "USER"), [top(15, "userName"), STATUS, BY], count),
    "audit-groups": lambda log: grouped(of(log, "GROUP"), [top(15, "label"), STATUS, BY], count),
    "audit-accounts": lambda log: grouped(of(log, "ACCOUNT"), [top(15, "name"), STATUS, BY], count),
    "audit-sources": lambda log: grouped(of(log, "SOURCE"), [top(15, "sourceName"), STATUS, BY], count),
    "audit-tokens": lambda log: grouped(
        of(log, *KEYS), [top(5, "activityType"), STATUS, top(5, "user")], count
    ),
    "audit-uploads": lambda log: grouped(
        of(log, "UPLOAD"), [top(15, "user"), top(5, "fileName")], total("filesize"), count
    ),
    "audit-exported": lambda log: grouped(exports(log), [top(5, "user"), every(3)], total("count")),
    "audit-exporters": lambda log: grouped(
        exports(log), [top(15, "user")], total("count"), largest("count"), count
    ),
    "audit-viewed": lambda log: grouped(details(log), [top(5, "user"), every(3)], count),
    "audit-viewers": lambda log: grouped(
        details(log), [top(15, "user")], total("count"), largest("count"), count
    ),
    "performance-exports": lambda log: quantiles(exports(log), "duration"),
    "performance-details": lambda log: quantiles(details(log), "duration"),
    "performance-exporters": lambda log: grouped(
        exports(log), [top(15, "user")], largest("duration"), mean("duration"), count
    ),
    "performance-visualisations": lambda log: quantiles(of(log, "VIS_COMMAND"), "duration"),
    "performance-reads": lambda log: quantiles(of(log, "RDD"), "duration"),
    "performance-requests": lambda log: quantiles(requests(log), "requestTime"),
    "performance-storages": lambda log: slowest(log, "storageType"),
    "performance-slowest": lambda log: slowest(log, "visualizationName"),
    "performance-by-storage": lambda log: grouped(
        of(log, "RDD"), [top(5, "storageType"), every(3)], mean("duration")
    ),
    "performance-single": lambda log: grouped(
        [it for it in of(log, "VIS_COMMAND") if "duration" in it],
        [top(15, "cid"), top(1, "user")],
        largest("duration"),
    ),
    "performance-cached": lambda log: [
        (name, *row) for name, reads in cached(log) for row in grouped(reads, [every(3)], count)
    ],
    "performance-sources": lambda log: grouped(of(log, "RDD"), [top(10, "storageType")], count),
    "performance-cache-share": lambda log: [(name, len(reads)) for name, reads in cached(log)],
    "performance-sizes": lambda log: quantiles(of(log, "RDD"), "responseSize", QUANTILES[:2]),
    "performance-request-sizes": lambda log: quantiles(requests(log), "requestSize", QUANTILES[:2]),
    "performance-data": lambda log: quantiles(of(log, "VIS_DATA"), "duration"),
    "performance-engine": lambda log: quantiles(of(log, "TOPOLOGY", "TOPOLOGY_PERFORMANCE"), "duration"),
    "performance-codes": lambda log: grouped(requests(log), [top(8, "responseCode"), every(3)], count),
    "delivery-arriving": lambda log: grouped(log, [every(3)], count),
    "delivery-ignored": lambda log: [(len(too_long(log)),)],
    "delivery-ignored-over-time": lambda log: grouped(
        too_long(log), [top(8, "activityType"), every(3)], count
    ),
}
OF_SEALS: dict[str, Callable[[Entries], list[Row]]] = {
    "delivery-sealed": lambda seals: [(total("entries")(of_kind(seals, "lines")),)],
    "delivery-unsealable": lambda seals: [(len(of_kind(seals, "lost")),)],
    "delivery-sealed-over-time": lambda seals: grouped(
        of_kind(seals, "lines"), [top(8, "path"), every(3)], total("entries")
    ),
    "delivery-sealed-files": lambda seals: grouped(
        of_kind(seals, "lines", "lost"),
        [top(15, "path"), top(2, "kind")],
        *(total("entries"), total("rejected"), count),
    ),
}
SEARCHES: dict[str, Callable[[Entries], list[Entry]]] = {
    "everything": list,
    "deletions": lambda log: [it for it in log if it["status"] == "DELETED"],
    "failed-log-ins": lambda log: of(log, LOG_IN, status="FAILED"),
    "exports": exports,
    "details": details,
    "ignored": too_long,
    "checkpoints": lambda seals: of_kind(seals, "checkpoint"),
}
