"""Shows results: any frozen dataclass as JSON, and its tables on a terminal.

A command's result is a frozen dataclass. Its method `tables()` gives `Table`s of plain data; the type of a cell decides its
format (a `timedelta` becomes `3 min 12 s`, an `int` gets thousands separators, …). The values come from log files: markup
and control characters in them are escaped (`escaping.printable`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import PurePath
from typing import Any, Protocol

import orjson
import rich.table
from rich import box
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from indexer.escaping import printable, printable_json

BAR_WIDTH = 8
EPOCH = datetime.fromtimestamp(0, UTC)
GAP = 4


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole, shown as a bar with its percentage."""

    part: float
    whole: float


Cell = str | bool | int | float | Share | datetime | timedelta | None


@dataclass(frozen=True, slots=True)
class Table:
    """A table as data. `empty` is shown if there are no rows."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str


class Tabular(Protocol):
    """A result that can be shown as tables."""

    def tables(self) -> Iterable[Table]:
        """The tables, in their order on the screen."""


def as_json(result: object, *, in_one_line: bool = False) -> str:
    """Format any frozen dataclass as one JSON object: times in UTC (RFC 3339), a timedelta in seconds."""
    options = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
    if not in_one_line:
        options |= orjson.OPT_INDENT_2
    try:
        written = orjson.dumps(result, default=_plain, option=options)
    except TypeError:  # a lone surrogate: a path with bytes that are not UTF-8
        written = orjson.dumps(_encodable(result), default=_plain, option=options)
    return printable_json(written.decode())


def tables(result: Tabular) -> RenderableType:
    """Make what `rich` prints: neighbours with the same number of columns side by side where they fit, else below."""
    alike = groupby(result.tables(), key=lambda table: len(table.columns))
    rows = (Columns(map(_rendered, some), padding=(1, GAP, 1, 0)) for _, some in alike)
    return Group(*(Padding(row, (0, 0, 1, 0), expand=False) for row in rows))


def text(value: Cell) -> str:
    """Format one value for a person: numbers with thousands separators, times in UTC."""
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.1f}"
        case Share():
            return _bar(value)
        case datetime():
            return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "seconds")
        case timedelta():
            return duration(value)
    return printable(value)


def duration(value: timedelta) -> str:
    """Format a duration with its two largest units, or three digits of seconds."""
    if value < timedelta(0):
        return f"-{duration(-value)}"
    seconds = value.total_seconds()
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days:,} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def milliseconds(value: float | None) -> Cell:
    """A duration in ms as a timedelta, or as text if it exceeds a timedelta (about 2.7 million years)."""
    if value is None:
        return None
    try:
        return timedelta(milliseconds=value)
    except OverflowError:
        return f"{value:.3g} ms"


def moment(milliseconds: float | None) -> datetime | None:
    """Milliseconds since 1970 as a time in UTC; None if a datetime cannot hold it (before the year 1, after 9999)."""
    if milliseconds is None:
        return None
    try:
        return EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None


def _encodable(value: object) -> object:
    """The same value, with what UTF-8 cannot encode as an escape. Names with an underscore are left out, as in orjson."""
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case PurePath():
            return _encodable(str(value))
        case dict():
            return {_encodable(key): _encodable(each) for key, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_encodable(each) for each in value]
    if is_dataclass(value) and not isinstance(value, type):
        shown = (field.name for field in fields(value) if not field.name.startswith("_"))
        return {name: _encodable(getattr(value, name)) for name in shown}
    return value


def _plain(value: object) -> Any:
    match value:
        case timedelta():
            return value.total_seconds()
        case PurePath():
            return str(value)
        case set() | frozenset():
            return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _bar(share: Share) -> str:
    part = min(max(share.part / share.whole, 0.0), 1.0) if share.whole else 0.0
    whole, eighths = divmod(round(part * BAR_WIDTH * 8), 8)
    blocks = "█" * whole + (" ▏▎▍▌▋▊▉"[eighths] if eighths else "")
    percent = "< 0.1" if 0 < part < 0.0005 else f"{part * 100:.1f}"
    return f"{blocks:<{BAR_WIDTH}} {percent:>5} %"


def _rendered(table: Table) -> RenderableType:
    title = Text(text(table.title), style="bold")
    if not table.rows:
        return Group(title, Text(text(table.empty), style="dim"))
    shown = rich.table.Table(
        box=box.SIMPLE_HEAD,
        header_style="dim",
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for heading, values in zip(table.columns, zip(*table.rows, strict=True), strict=True):
        numeric = any(isinstance(value, int | float | timedelta) for value in values)
        fixed = numeric or any(isinstance(value, datetime | Share) for value in values)
        shown.add_column(
            Text(heading), justify="right" if numeric else "left", no_wrap=fixed, overflow="fold"
        )
    for row in table.rows:
        shown.add_row(*(_cell(value) for value in row))
    return Group(title, shown)


def _cell(value: Cell) -> Text:
    styles: dict[type, str] = {Share: "cyan", datetime: "green", timedelta: "yellow", type(None): "dim"}
    return Text(text(value), style=styles.get(type(value), ""))
