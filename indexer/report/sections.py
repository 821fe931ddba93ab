"""The sections of the report: the dashboards of mappings/kibana/ that are about entries."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from indexer.dashboards.descriptions import Json, plain, read
from indexer.dashboards.panels import Metric, Panel, Top

DASHBOARDS = ("activity", "audit", "performance")


@dataclass(frozen=True, slots=True)
class SavedSearch:
    """A table of the newest entries that match a query."""

    id: str
    title: str
    where: str
    """KQL."""
    columns: tuple[str, ...]


Item = Panel | SavedSearch


@dataclass(frozen=True, slots=True)
class Section:
    """One dashboard."""

    id: str
    title: str
    purpose: str
    rows: tuple[tuple[Item, ...], ...]

    @property
    def panels(self) -> Iterator[Panel]:
        """All panels."""
        return (it for row in self.rows for it in row if isinstance(it, Panel))

    @property
    def saved_searches(self) -> Iterator[SavedSearch]:
        """All saved searches."""
        return (it for row in self.rows for it in row if isinstance(it, SavedSearch))


def sections() -> tuple[Section, ...]:
    """All sections, in order."""
    return tuple(_section(name, read(name)) for name in DASHBOARDS)


def formats() -> dict[str, str]:
    """Field → format, for fields that are not plain numbers: milliseconds, bytes or code."""
    found: dict[str, str] = read("data-views")["entries"]["formats"]
    return found


def fields(panel: Panel) -> Iterator[tuple[str, bool]]:
    """The fields of a panel, each with whether it must be numeric."""
    for bucket in panel.by.values():
        if isinstance(bucket, Top):
            yield bucket.field, False
    for metric in panel.show.values():
        if metric.field:
            yield metric.field, _is_numeric(metric)


def column_formats(panel: Panel, formats: Mapping[str, str]) -> list[str | None]:
    """The format of each value of a row of the panel."""
    keys = [
        formats.get(bucket.field) if isinstance(bucket, Top) else None for _, bucket in panel.nested_buckets
    ]
    return [*keys, *(_metric_format(it, formats) for it in panel.show.values())]


def value_format(panel: Panel, formats: Mapping[str, str]) -> str | None:
    """The format of the values of a chart, which all have the same one."""
    return _metric_format(next(iter(panel.show.values())), formats)


def _metric_format(metric: Metric, formats: Mapping[str, str]) -> str | None:
    return formats.get(metric.field or "") if _is_numeric(metric) else None


def _is_numeric(metric: Metric) -> bool:
    return metric.operation not in {"count", "unique_count"}


def _section(name: str, described: Json) -> Section:
    searches = read("searches")
    rows = tuple(tuple(_item(it, searches) for it in row["panels"]) for row in described["rows"])
    return Section(name, described["title"], plain(described["purpose"]), rows)


def _item(described: Json, searches: Json) -> Item:
    if described["as"] != "search":
        return Panel.of(described)
    search = searches[described["id"]]
    return SavedSearch(described["id"], described["title"], search["where"], tuple(search["columns"]))
