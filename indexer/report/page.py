"""Sections and their rows → one HTML page. Knows no server; what to say of each value is decided here, how it looks there."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from indexer import __version__
from indexer.dashboards.panels import Panel, Time, Top
from indexer.report import formatting
from indexer.report.charts import Picture, Point, svg
from indexer.report.queries import INTERVALS, Period
from indexer.report.results import Row
from indexer.report.sections import Listing, Section, Shown

WIDTHS = {1: 1096, 2: 516, 3: 324}
"""How wide a picture is that shares a row with so many, in CSS pixels."""
NARROW = 324
"""The same on a phone."""
DONUT = 200
HEIGHT, TALL = 190, 290
"""How high a picture over time is, and one beside something higher."""
ADDS_UP = {"count", "sum"}
Rows = Mapping[tuple[str, str], Sequence[Row]]
"""What was found, by the ids of section and panel."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of a table. `raw` is the figure itself, where it is one; `share` how much of its column's largest."""

    text: str
    raw: Any = None
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table."""

    columns: tuple[str, ...]
    keys: int
    """So many columns come first that are no figures."""
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a legend."""

    label: str
    colour: str
    text: str


@dataclass(frozen=True, slots=True)
class Card:
    """A picture with its table, or a table."""

    id: str
    title: str
    note: str
    sheet: Sheet
    legend: tuple[Item, ...] = ()
    wide: str = ""
    narrow: str = ""
    round: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that is read at a glance."""

    id: str
    label: str
    text: str
    exact: str
    raw: Any


@dataclass(frozen=True, slots=True)
class Block:
    """A section as it is shown."""

    id: str
    title: str
    purpose: str
    rows: tuple[tuple[Card, ...], ...]


@dataclass(frozen=True, slots=True)
class Found:
    """All that was found in a period."""

    alias: str
    period: Period
    entries: int
    rows: Rows
    listed: Mapping[str, int]
    """How many entries there are of each listing; its rows are the newest of them."""
    left_out: Mapping[str, str]
    """Why a panel, by its id with that of its section, has no rows."""
    formats: Mapping[str, str]


def render(found: Found, sections: Sequence[Section], made: datetime) -> str:
    """Write the page."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - an extra
    from markupsafe import Markup  # noqa: PLC0415

    pages = Environment(
        loader=PackageLoader("indexer.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["drawn"] = Markup  # vl-convert has escaped what it drew
    return pages.get_template("page.html.jinja").render(
        alias=found.alias,
        entries=found.entries,
        start=formatting.day(found.period.start),
        end=formatting.day(found.period.end),
        made=formatting.day(made.astimezone(UTC)),
        version=__version__,
        figures=[figure for section in sections for figure in _figures(found, section)],
        sections=[_block(found, section) for section in sections] if found.entries else [],
    )


def _figures(found: Found, section: Section) -> Iterator[Figure]:
    for panel in section.panels:
        if panel.kind == "number" and (rows := found.rows[section.id, panel.id]):
            raw = rows[0][0] or 0
            exact = formatting.number(raw)
            yield Figure(f"{section.id}-{panel.id}", panel.title, formatting.short(raw), exact, raw)


def _block(found: Found, section: Section) -> Block:
    rows = (tuple(it for it in row if isinstance(it, Listing) or it.kind != "number") for row in section.rows)
    cards = (tuple(_card(found, section, it, row) for it in row) for row in rows if row)
    return Block(section.id, section.title, section.purpose, tuple(cards))


def _card(found: Found, section: Section, shown: Shown, beside: Sequence[Shown]) -> Card:
    id_ = f"{section.id}-{shown.id}"
    rows = found.rows[section.id, shown.id]
    if isinstance(shown, Listing):
        note = (
            f"the newest {len(rows)} of {found.listed[shown.id]:,}"
            if found.listed[shown.id] > len(rows)
            else ""
        )
        return Card(id_, shown.title, note, _listing(shown, rows))
    if shown.kind == "table" or not rows:
        return Card(id_, shown.title, found.left_out.get(id_, ""), _sheet(found, shown, rows))
    picture = _picture(found, shown, rows)
    width = WIDTHS[len(beside)]
    tall = len(beside) == 2 and any(isinstance(it, Panel) and it.kind in {"table", "rows"} for it in beside)
    wide = svg(
        picture,
        *((DONUT, DONUT) if picture.kind == "donut" else (width, TALL if tall else HEIGHT)),
    )
    fits = picture.kind == "donut" or width <= NARROW
    return Card(
        id_,
        shown.title,
        f"each bar: {formatting.span(picture.bar)}" if picture.kind == "bars" else "",
        _pivoted(found, shown, picture) if picture.kind != "donut" else _sheet(found, shown, rows),
        _legend(shown, picture),
        wide,
        "" if fits else svg(picture, NARROW, HEIGHT),
        picture.kind == "donut",
    )


def _picture(found: Found, panel: Panel, rows: Sequence[Row]) -> Picture:
    points = tuple(_points(found, panel, rows))
    intervals = [it.interval for it in panel.by.values() if isinstance(it, Time)]
    start, end = (round(it.timestamp() * 1000) for it in (found.period.start, found.period.end))
    return Picture(
        panel.kind,
        panel.title,
        points,
        tuple(dict.fromkeys(point.series for point in points)),
        _measured(found, panel),
        INTERVALS[found.period.interval(intervals[0])] if intervals else timedelta(0),
        start,
        end,
    )


def _points(found: Found, panel: Panel, rows: Sequence[Row]) -> Iterator[Point]:
    """Each figure, where it is drawn: keys come from the outermost, and time is the innermost."""
    kinds = _kinds(found, panel)
    for row in rows:
        keys, figures = row[: len(panel.by)], row[len(panel.by) :]
        if panel.kind == "donut":
            yield Point("", formatting.value(keys[0], kinds[0]), figures[0])
        elif len(keys) == 1:
            for label, figure in zip(panel.show, figures, strict=True):
                yield Point(_place(keys[0]), label, figure)
        elif panel.kind == "rows":
            yield Point(_place(keys[0]), formatting.value(keys[1], kinds[1]), figures[0])
        else:
            yield Point(keys[1], formatting.value(keys[0], kinds[0]), figures[0])


def _place(key: Any) -> Any:
    """Where a figure stands: a time, a number, or a name as it can be drawn."""
    return formatting.value(key) if isinstance(key, str) else key


def _kinds(found: Found, panel: Panel) -> list[str | None]:
    """The formats of a row's values."""
    tops = [it for it in panel.by.values() if not isinstance(it, Time)]
    keys = [found.formats.get(it.field) if isinstance(it, Top) else None for it in tops]
    times: list[str | None] = [None] * (len(panel.by) - len(tops))
    return [*keys, *times, *(_format(found, label, panel) for label in panel.show)]


def _format(found: Found, label: str, panel: Panel) -> str | None:
    measure = panel.show[label]
    return (
        found.formats.get(measure.field or "") if measure.operation not in {"count", "unique_count"} else None
    )


def _measured(found: Found, panel: Panel) -> str | None:
    return _format(found, next(iter(panel.show)), panel)


def _legend(panel: Panel, picture: Picture) -> tuple[Item, ...]:
    """The series by colour; with their totals where these make sense, with shares where all is a whole."""
    if len(picture.series) < 2:
        return ()
    adds_up = len(panel.show) == 1 and next(iter(panel.show.values())).operation in ADDS_UP
    totals = {
        name: sum(it.figure or 0 for it in picture.points if it.series == name) for name in picture.series
    }
    whole = sum(totals.values()) or 1
    texts = {
        name: formatting.percentage(total / whole) if picture.kind == "donut" else formatting.short(total)
        for name, total in totals.items()
    }
    return tuple(
        Item(name, colour, texts[name] if adds_up else "") for name, colour in picture.colours.items()
    )


def _pivoted(found: Found, panel: Panel, picture: Picture) -> Sheet:
    """The figures of a picture: a row a place, a column a series."""
    kind = _measured(found, panel)
    by_place: dict[Any, dict[str, Any]] = {}
    for point in picture.points:
        by_place.setdefault(point.at, {})[point.series] = point.figure
    over_time = picture.bar > timedelta(0)
    rows = [
        (
            Cell(
                formatting.moment(at, picture.bar) if over_time else formatting.value(at),
                at if over_time else None,
            ),
            *(Cell(formatting.value(figures.get(name), kind), figures.get(name)) for name in picture.series),
        )
        for at, figures in (sorted(by_place.items()) if over_time else by_place.items())
    ]
    place = "Time (UTC)" if over_time else next(iter(panel.by))
    return Sheet((place, *picture.series), 1, tuple(rows))


def _sheet(found: Found, panel: Panel, rows: Sequence[Row]) -> Sheet:
    """The rows as they are; the figure that they are ranked by with a bar."""
    kinds, keys = _kinds(found, panel), len(panel.by)
    largest = max((row[keys] or 0 for row in rows), default=0) or 1
    cells = [
        tuple(
            Cell(
                formatting.value(value, kind),
                value if at >= keys else None,
                (value or 0) / largest if at == keys else None,
            )
            for at, (value, kind) in enumerate(zip(row, kinds, strict=True))
        )
        for row in rows
    ]
    return Sheet((*panel.by, *panel.show), keys, tuple(cells))


def _listing(listing: Listing, rows: Sequence[Row]) -> Sheet:
    """Entries; columns that none of them has are left out."""
    used = [at for at in range(len(listing.columns)) if any(row[at + 1] is not None for row in rows)]
    cells = [
        (
            Cell(f"{row[0]:%a %d %b %H:%M:%S}" if row[0] else formatting.NOTHING),
            *(Cell(formatting.value(row[at + 1])) for at in used),
        )
        for row in rows
    ]
    columns = ("Time (UTC)", *(listing.columns[at] for at in used))
    return Sheet(columns, len(columns), tuple(cells))
