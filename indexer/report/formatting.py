"""Values as people read them, in words and on axes. `kind` is that of the field's format in mappings/kibana/."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from indexer import show

NOTHING = "–"
EXACT = 1e15
"""From here on a float has no more digits than its exponent promises."""
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
"""Vega expressions for the numbers of an axis."""
COUNTS = "datum.value ? format(datum.value, '~s') : '0'"


def value(found: Any, kind: str | None = None) -> str:
    """A key or a figure in words."""
    if found is None:
        return NOTHING
    if isinstance(found, str):
        return show.text(found)
    return FORMATS.get(kind or "", number)(float(found))


def number(found: float) -> str:
    """With thousands separators; decimals only where it is small; in short where it has more digits than are exact."""
    if not math.isfinite(found):
        return NOTHING
    if abs(found) >= EXACT:
        return f"{found:.3g}"
    return f"{found:,.0f}" if float(found).is_integer() or abs(found) >= 100 else f"{found:,.1f}"


def short(found: float) -> str:
    """In a few digits, for a figure that is read at a glance: 11.5 M."""
    if abs(found) >= EXACT:
        return number(found)
    for size, unit in ((1e9, "G"), (1e6, "M")):
        if abs(found) >= size:
            return f"{found / size:.1f} {unit}"
    return number(found)


def percentage(share: float) -> str:
    """A part of a whole; what is there is never none."""
    if math.isnan(share):  # of more than a number can be
        return NOTHING
    return "< 0.1 %" if 0 < share < 0.0005 else f"{share * 100:.1f} %"


def size(found: float) -> str:
    """Bytes, in powers of 1,000."""
    if abs(found) >= EXACT * 1000:
        return f"{found:.3g} B"
    unit = 0
    while abs(found) >= 999.95 and unit < len(UNITS) - 1:
        found, unit = found / 1000, unit + 1
    return f"{found:.1f} {UNITS[unit]}" if unit else f"{found:.0f} B"


def moment(milliseconds: float, length: timedelta = timedelta(0)) -> str:
    """The time at which a bar begins, as exact as the bar is long; UTC."""
    when = show.moment(milliseconds) or datetime.min.replace(
        tzinfo=UTC
    )  # a bar that begins before the year 1
    return f"{when:%a %d %b %Y}" if length >= timedelta(days=1) else f"{when:%a %d %b %H:%M}"


def day(when: datetime) -> str:
    """A time in full; UTC."""
    return f"{when.astimezone(UTC):%-d %B %Y, %H:%M}"


def span(length: timedelta) -> str:
    """The length of a bar."""
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
    "code": lambda found: f"{found:.0f}" if abs(found) < EXACT else number(found),
}
