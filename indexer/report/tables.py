"""Rows → tables with formatted cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from indexer.dashboards.panels import Panel
from indexer.report import formatting
from indexer.report.charts import Chart
from indexer.report.results import ReportData, Row
from indexer.report.sections import SavedSearch, column_formats


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell. `raw` is the number, if it has one; `share` its part of the largest value of the column."""

    text: str
    raw: Any = None
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table."""

    columns: tuple[str, ...]
    keys: int
    """The number of leading columns without numbers."""
    rows: tuple[tuple[Cell, ...], ...]


def panel_table(data: ReportData, panel: Panel, rows: Sequence[Row]) -> Table:
    """The rows of a panel; the first metric has a bar."""
    formats, keys = column_formats(panel, data.formats), len(panel.by)
    largest = max((row[keys] or 0 for row in rows), default=0) or 1
    cells = [
        tuple(
            Cell(
                formatting.value(value, format_),
                value if at >= keys else None,
                (value or 0) / largest if at == keys else None,
            )
            for at, (value, format_) in enumerate(zip(row, formats, strict=True))
        )
        for row in rows
    ]
    return Table((*panel.by, *panel.show), keys, tuple(cells))


def chart_table(panel: Panel, chart: Chart) -> Table:
    """The values of a chart: a row for each time or name, a column for each series."""
    by_place: dict[Any, dict[str, Any]] = {}
    for point in chart.points:
        by_place.setdefault(point.at, {})[point.series] = point.value
    over_time = chart.interval > timedelta(0)
    rows = []
    for at, values in sorted(by_place.items()) if over_time else by_place.items():
        first = (
            Cell(formatting.bar_start(at, chart.interval), at) if over_time else Cell(formatting.value(at))
        )
        cells = (Cell(formatting.value(values.get(it), chart.unit), values.get(it)) for it in chart.series)
        rows.append((first, *cells))
    place = "Time (UTC)" if over_time else next(iter(panel.by))
    return Table((place, *chart.series), 1, tuple(rows))


def entry_table(search: SavedSearch, rows: Sequence[Row]) -> Table:
    """Entries of a saved search, without columns that are empty in all of them."""
    used = [at for at in range(len(search.columns)) if any(row[at + 1] is not None for row in rows)]
    cells = [
        (
            Cell(f"{row[0]:%a %d %b %H:%M:%S}" if row[0] else formatting.MISSING),
            *(Cell(formatting.value(row[at + 1])) for at in used),
        )
        for row in rows
    ]
    columns = ("Time (UTC)", *(search.columns[at] for at in used))
    return Table(columns, len(columns), tuple(cells))
