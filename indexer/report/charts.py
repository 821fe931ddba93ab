"""Rows → pictures: Vega-Lite draws them as SVG without scripts, which takes its colours from the page's CSS variables.

The extra `report` brings the library (vl-convert, by the makers of Altair: Vega-Lite in a wheel, no browser, no network).
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from html import escape
from typing import Any

from indexer.report.formatting import AXES, COUNTS
from indexer.report.results import OTHERS

Json = dict[str, Any]
COLOURS = 10
MEANINGS = {
    "FAILED": "var(--bad)",
    "DELETED": "var(--gone)",
    "SUCCEEDED": "var(--good)",
    "the cache": "var(--good)",
    OTHERS: "var(--other)",
}
"""Colours of values that mean the same everywhere."""
FONT = "system-ui, sans-serif"
ROW_HEIGHT = 24
TEXT = 11
DRAWN = 1e100
"""No figure is drawn larger: the sum of some could not be written."""
GAPLESS = 0.88
"""How much of its time a bar fills."""


@dataclass(frozen=True, slots=True)
class Point:
    """A figure at its place: `at` is epoch ms or a name, `series` what it is coloured by."""

    at: Any
    series: str
    figure: float | None


@dataclass(frozen=True, slots=True)
class Picture:
    """All that a drawing needs."""

    kind: str
    """bars, lines, rows or donut"""
    title: str
    points: tuple[Point, ...]
    series: tuple[str, ...]
    unit: str | None
    """The format of its figures."""
    bar: timedelta
    """How long a bar is, where it is over time."""
    start: int
    end: int
    """The period, in epoch ms."""

    @property
    def colours(self) -> dict[str, str]:
        """The colour of each series."""
        free = iter(range(len(self.series)))
        return {name: MEANINGS.get(name) or f"var(--c{next(free) % COLOURS})" for name in self.series}


def svg(picture: Picture, width: int, height: int) -> str:
    """Draw it, so many pixels wide."""
    import vl_convert  # noqa: PLC0415 - an extra

    if picture.kind == "rows":
        height = ROW_HEIGHT * len({point.at for point in picture.points}) + 30
    drawn = vl_convert.vegalite_to_svg(_common(picture, width, height) | _KINDS[picture.kind](picture))
    label = escape(picture.title, quote=True)
    return re.sub(r'width="\d+" height="\d+"', f'role="img" aria-label="{label}"', drawn, count=1)


def _common(picture: Picture, width: int, height: int) -> Json:
    axis = {"labelColor": "var(--soft)", "gridColor": "var(--line)", "domainColor": "var(--line)"}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "data": {"values": list(_stacked(picture))},
        "width": width,
        "height": height,
        "padding": 2,
        "background": None,
        "autosize": {"type": "fit", "contains": "padding"},
        "config": {
            "aria": False,
            "font": FONT,
            "view": {"stroke": None},
            "axis": axis | {"labelFontSize": TEXT, "tickColor": "var(--line)", "title": None},
        },
    }


def _stacked(picture: Picture) -> Iterator[Json]:
    """Each figure from where the ones of other series before it end, which no line does; in the order of the series."""
    ends: dict[Any, float] = defaultdict(float)
    for point in sorted(picture.points, key=lambda point: picture.series.index(point.series)):
        if point.figure is None:
            continue
        figure = max(-DRAWN, min(point.figure, DRAWN))
        start = 0 if picture.kind == "lines" else ends[point.at]
        ends[point.at] = start + figure
        yield {
            "at": point.at,
            "end": point.at + GAPLESS * _ms(picture.bar) if picture.kind == "bars" else None,
            "series": point.series,
            "from": start,
            "to": start + figure,
        }


def _ms(length: timedelta) -> int:
    return length // timedelta(milliseconds=1)


def _colour(picture: Picture) -> Json:
    scale = {"domain": list(picture.colours), "range": list(picture.colours.values())}
    return {"field": "series", "type": "nominal", "legend": None, "scale": scale}


def _over_time(picture: Picture) -> Json:
    length = timedelta(milliseconds=picture.end - picture.start)
    long = timedelta(days=100)
    pattern = "%H:%M" if length <= timedelta(days=2) else "%-d %b" if length <= long else "%b %Y"
    axis = {"format": pattern, "grid": False, "labelOverlap": "greedy", "labelSeparation": 14}
    if timedelta(days=2) < length <= timedelta(days=10):
        axis["tickCount"] = "day"
    places = [point.at for point in picture.points]
    domain = [min([picture.start, *places]), max(picture.end, *(at + _ms(picture.bar) for at in places))]
    scale = {"type": "utc", "domain": domain, "nice": False}
    return {"field": "at", "type": "temporal", "axis": axis, "scale": scale}


def _figures(picture: Picture) -> Json:
    axis: Json = {"labelExpr": AXES.get(picture.unit or "", COUNTS), "tickCount": 4}
    if picture.unit is None:  # nothing between one and two
        axis["tickCount"] = min(4, max(round(it["to"]) for it in _stacked(picture)))
    return {
        "field": "to",
        "type": "quantitative",
        "axis": axis | {"domain": False, "ticks": False},
        "scale": {"zero": True},
    }


def _bars(picture: Picture) -> Json:
    return {
        "mark": {"type": "rect"},
        "encoding": {
            "x": _over_time(picture),
            "x2": {"field": "end"},
            "y": _figures(picture),
            "y2": {"field": "from"},
            "color": _colour(picture),
        },
    }


def _lines(picture: Picture) -> Json:
    # A lone value has no line, so each has a dot.
    return {
        "mark": {"type": "line", "strokeWidth": 1.75, "point": {"size": 14}},
        "encoding": {"x": _over_time(picture), "y": _figures(picture), "color": _colour(picture)},
    }


def _rows(picture: Picture) -> Json:
    places = list(dict.fromkeys(point.at for point in picture.points))
    axis = {"labelLimit": 130, "minExtent": 110, "domain": False, "ticks": False, "labelPadding": 6}
    scale = {"paddingInner": 0.3, "paddingOuter": 0.15}
    return {
        "mark": {"type": "bar"},
        "encoding": {
            "y": {
                "field": "at",
                "type": "nominal",
                "sort": places,
                "axis": axis | {"labelColor": "var(--ink)"},
                "scale": scale,
            },
            "x": _figures(picture),
            "x2": {"field": "from"},
            "color": _colour(picture),
        },
    }


def _donut(picture: Picture) -> Json:
    return {
        "transform": [{"calculate": "datum.to - datum.from", "as": "figure"}],
        "mark": {"type": "arc", "innerRadius": {"expr": "min(width, height) * 0.3"}, "padAngle": 0.012},
        "encoding": {
            "theta": {"field": "figure", "type": "quantitative", "stack": True},
            "color": _colour(picture),
            "order": {"field": "from", "type": "quantitative"},
        },
    }


_KINDS = {"bars": _bars, "lines": _lines, "rows": _rows, "donut": _donut}
