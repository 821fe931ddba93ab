"""Values as text, in tables and on axes. A format is one of mappings/kibana/data-views.json."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from indexer import show

MISSING = "–"
MAX_EXACT = 1e15
"""Above this, not all digits of a float are exact."""
UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
AXES = {
    "milliseconds": "datum.value >= 3.6e6 ? floor(datum.value / 3.6e6) + ' h'"
    " + (datum.value % 3.6e6 ? ' ' + format(datum.value % 3.6e6 / 6e4, '~r') + ' min' : '')"
    " : datum.value >= 6e4 ? floor(datum.value / 6e4) + ' min'"
    " + (datum.value % 6e4 ? ' ' + format(datum.value % 6e4 / 1000, '~r') + ' s' : '')"
    " : datum.value >= 1000 ? format(datum.value / 1000, '~r') + ' s'"
    " : datum.value ? format(datum.value, '~r') + ' ms' : '0'",
    "bytes": "datum.value ? replace(format(datum.value, '~s'), regexp('([a-zA-Z]?)$'), ' $1B') : '0'",
}
"""Format → Vega expression for the labels of an axis."""
COUNTS = "datum.value ? format(datum.value, '~s') : '0'"


def value(found: Any, format_: str | None = None) -> str:
    """A key or a number."""
    if found is None:
        return MISSING
    if isinstance(found, str):
        return show.text(found)
    return FORMATS.get(format_ or "", number)(float(found))


def number(found: float) -> str:
    """A number with thousands separators; with a decimal if it is below 100, with an exponent if it is not exact."""
    if not math.isfinite(found):
        return MISSING
    if abs(found) >= MAX_EXACT:
        return f"{found:.3g}"
    return f"{found:,.0f}" if float(found).is_integer() or abs(found) >= 100 else f"{found:,.1f}"


def compact(found: float) -> str:
    """A number in few digits: 11.5 M."""
    if abs(found) >= MAX_EXACT:
        return number(found)
    for size, unit in ((1e9, "G"), (1e6, "M")):
        if abs(found) >= size:
            return f"{found / size:.1f} {unit}"
    return number(found)


def percentage(share: float) -> str:
    """A share as a percentage; a small one is never shown as 0."""
    if math.isnan(share):  # of an infinite total
        return MISSING
    return "< 0.1 %" if 0 < share < 0.0005 else f"{share * 100:.1f} %"


def size(found: float) -> str:
    """Bytes, in powers of 1,000."""
    if abs(found) >= MAX_EXACT * 1000:
        return f"{found:.3g} B"
    unit = 0
    while abs(found) >= 999.95 and unit < len(UNITS) - 1:
        found, unit = found / 1000, unit + 1
    return f"{found:.1f} {UNITS[unit]}" if unit else f"{found:.0f} B"


def bar_start(milliseconds: float, length: timedelta = timedelta(0)) -> str:
    """The start of a bar (epoch ms) in UTC: a date if the bar is a day or longer, else with the time."""
    # A bar may begin before the year 1.
    when = show.moment(milliseconds) or datetime.min.replace(tzinfo=UTC)
    return f"{when:%a %d %b %Y}" if length >= timedelta(days=1) else f"{when:%a %d %b %H:%M}"


def date_time(when: datetime) -> str:
    """Date and time in UTC."""
    return f"{when.astimezone(UTC):%-d %B %Y, %H:%M}"


def interval(length: timedelta) -> str:
    """The length of a bar: hour, 3 hours."""
    for each, unit in (
        (timedelta(days=1), "day"),
        (timedelta(hours=1), "hour"),
        (timedelta(minutes=1), "minute"),
    ):
        if count := length // each:
            return unit if count == 1 else f"{count} {unit}s"
    return "moment"


FORMATS: dict[str, Callable[[float], str]] = {
    "milliseconds": lambda found: show.text(show.milliseconds(found)),
    "bytes": size,
    "code": lambda found: f"{found:.0f}" if abs(found) < MAX_EXACT else number(found),
}
