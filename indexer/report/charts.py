"""A panel and its rows → a chart: points, series with their colours, and a legend."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from indexer.dashboards.panels import Panel, Time
from indexer.report import formatting
from indexer.report.queries import INTERVALS
from indexer.report.results import OTHERS, ReportData, Row
from indexer.report.sections import column_formats, value_format

COLOURS = 10
"""CSS variables --c0 to --c9."""
FIXED_COLOURS = {
    "FAILED": "var(--bad)",
    "DELETED": "var(--gone)",
    "SUCCEEDED": "var(--good)",
    "the cache": "var(--good)",
    OTHERS: "var(--other)",
}
"""Colours of series that have the same meaning in all charts."""
ADDITIVE = {"count", "sum"}
"""Operations whose values can be summed over a series."""


@dataclass(frozen=True, slots=True)
class Point:
    """A value. `at` is epoch ms or a name, `series` determines the colour."""

    at: Any
    series: str
    value: float | None


@dataclass(frozen=True, slots=True)
class Chart:
    """The data of a chart."""

    kind: str
    """bars, lines, rows (horizontal bars) or donut."""
    title: str
    points: tuple[Point, ...]
    series: tuple[str, ...]
    unit: str | None
    """The format of the values."""
    interval: timedelta
    """The length of a bar; 0 if the chart is not over time."""
    start: int
    end: int
    """The period, in epoch ms."""

    @property
    def colours(self) -> dict[str, str]:
        """The colour of each series."""
        free = iter(range(len(self.series)))
        return {name: FIXED_COLOURS.get(name) or f"var(--c{next(free) % COLOURS})" for name in self.series}


@dataclass(frozen=True, slots=True)
class LegendItem:
    """One series of a legend."""

    label: str
    colour: str
    text: str
    """The total or the share of the series; empty if the values cannot be summed."""


def chart(data: ReportData, panel: Panel, rows: Sequence[Row]) -> Chart:
    """The chart of a panel."""
    points = tuple(_points(data, panel, rows))
    intervals = [it.interval for it in panel.by.values() if isinstance(it, Time)]
    start, end = (round(it.timestamp() * 1000) for it in (data.period.start, data.period.end))
    return Chart(
        panel.kind,
        panel.title,
        points,
        tuple(dict.fromkeys(point.series for point in points)),
        value_format(panel, data.formats),
        INTERVALS[data.period.interval(intervals[0])] if intervals else timedelta(0),
        start,
        end,
    )


def legend(panel: Panel, drawn: Chart) -> tuple[LegendItem, ...]:
    """The series, with their totals, or for a donut their shares; empty for a single series."""
    if len(drawn.series) < 2:
        return ()
    additive = len(panel.show) == 1 and next(iter(panel.show.values())).operation in ADDITIVE
    totals = {name: sum(it.value or 0 for it in drawn.points if it.series == name) for name in drawn.series}
    whole = sum(totals.values()) or 1
    texts = {
        name: formatting.percentage(total / whole) if drawn.kind == "donut" else formatting.compact(total)
        for name, total in totals.items()
    }
    return tuple(
        LegendItem(name, colour, texts[name] if additive else "") for name, colour in drawn.colours.items()
    )


def _points(data: ReportData, panel: Panel, rows: Sequence[Row]) -> Iterator[Point]:
    """The values of rows, whose keys are ordered from outermost to innermost; time is the innermost."""
    formats = column_formats(panel, data.formats)
    for row in rows:
        keys, values = row[: len(panel.by)], row[len(panel.by) :]
        if panel.kind == "donut":
            yield Point("", formatting.value(keys[0], formats[0]), values[0])
        elif len(keys) == 1:
            for label, value in zip(panel.show, values, strict=True):
                yield Point(_place(keys[0]), label, value)
        elif panel.kind == "rows":
            yield Point(_place(keys[0]), formatting.value(keys[1], formats[1]), values[0])
        else:
            yield Point(keys[1], formatting.value(keys[0], formats[0]), values[0])


def _place(key: Any) -> Any:
    """A time or number as it is, a name as printable text."""
    return formatting.value(key) if isinstance(key, str) else key
