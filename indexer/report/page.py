"""Sections and their results → one HTML page (page.html.jinja)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from indexer import __version__
from indexer.dashboards.panels import Panel
from indexer.report import formatting
from indexer.report.charts import LegendItem, chart, legend
from indexer.report.results import ReportData
from indexer.report.sections import Item, SavedSearch, Section
from indexer.report.tables import Table, chart_table, entry_table, panel_table
from indexer.report.vega_lite import svg

WIDTHS = {1: 1096, 2: 516, 3: 324}
"""The width of a chart, in CSS pixels, by the number of cards in its row."""
NARROW = 324
"""The width on a phone."""
DONUT = 200
NOTHING = "No entries of this kind in this period."
HEIGHT, TALL = 190, 290
"""The height of a chart over time, and beside a table or horizontal bars."""


@dataclass(frozen=True, slots=True)
class Card:
    """A chart with its table, or a table; without rows, the sentence `empty` instead."""

    id: str
    title: str
    note: str
    table: Table
    empty: str = NOTHING
    legend: tuple[LegendItem, ...] = ()
    wide: str = ""
    narrow: str = ""
    round: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A single large number at the top of the page."""

    id: str
    label: str
    text: str
    exact: str
    raw: Any
    note: str
    """Why there may be none, if there is none."""


@dataclass(frozen=True, slots=True)
class Block:
    """A section of the page."""

    id: str
    title: str
    purpose: str
    rows: tuple[tuple[Card, ...], ...]


def render(data: ReportData, sections: Sequence[Section], created: datetime) -> str:
    """The page as HTML."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - an extra
    from markupsafe import Markup  # noqa: PLC0415

    environment = Environment(
        loader=PackageLoader("indexer.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["svg"] = Markup  # vl-convert escapes texts
    return environment.get_template("page.html.jinja").render(
        alias=data.alias,
        entries=data.entries,
        start=formatting.date_time(data.period.start),
        end=formatting.date_time(data.period.end),
        created=formatting.date_time(created.astimezone(UTC)),
        version=__version__,
        figures=[figure for section in sections for figure in _figures(data, section)],
        sections=[_block(data, section) for section in sections] if data.entries else [],
    )


def _figures(data: ReportData, section: Section) -> Iterator[Figure]:
    for panel in section.panels:
        if panel.kind == "number" and (rows := data.rows[section.id, panel.id]):
            raw = rows[0][0] or 0
            id_ = f"{section.id}-{panel.id}"
            note = "" if raw else panel.why_empty
            yield Figure(id_, panel.title, formatting.compact(raw), formatting.number(raw), raw, note)


def _block(data: ReportData, section: Section) -> Block:
    rows = (
        tuple(it for it in row if isinstance(it, SavedSearch) or it.kind != "number") for row in section.rows
    )
    cards = (tuple(_card(data, section, it, row) for it in row) for row in rows if row)
    return Block(section.id, section.title, section.purpose, tuple(cards))


def _card(data: ReportData, section: Section, item: Item, row: Sequence[Item]) -> Card:
    id_ = f"{section.id}-{item.id}"
    rows = data.rows[section.id, item.id]
    if isinstance(item, SavedSearch):
        total = data.hits[item.id]
        note = f"the newest {len(rows)} of {total:,}" if total > len(rows) else ""
        return Card(id_, item.title, note, entry_table(item, rows))
    if item.kind == "table" or not rows:
        empty = f"{NOTHING} {item.why_empty}".strip()
        return Card(id_, item.title, data.left_out.get(id_, ""), panel_table(data, item, rows), empty)
    drawn = chart(data, item, rows)
    if item.kind == "donut":
        return Card(
            id_,
            item.title,
            "",
            panel_table(data, item, rows),
            legend=legend(item, drawn),
            wide=svg(drawn, DONUT, DONUT),
            round=True,
        )
    width = WIDTHS[len(row)]
    return Card(
        id_,
        item.title,
        f"each bar: {formatting.interval(drawn.interval)}" if item.kind == "bars" else "",
        chart_table(item, drawn),
        legend=legend(item, drawn),
        wide=svg(drawn, width, _height(row)),
        narrow=svg(drawn, NARROW, HEIGHT) if width > NARROW else "",
    )


def _height(row: Sequence[Item]) -> int:
    tall = len(row) == 2 and any(isinstance(it, Panel) and it.kind in {"table", "rows"} for it in row)
    return TALL if tall else HEIGHT
