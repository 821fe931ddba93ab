"""A chart → Vega-Lite specification → SVG without scripts, with colours from the page's CSS variables.

vl-convert (extra `report`) renders Vega-Lite without a browser and without network access.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from html import escape
from typing import Any

from indexer.report.charts import Chart
from indexer.report.formatting import AXES, COUNTS

Json = dict[str, Any]
FONT = "system-ui, sans-serif"
ROW_HEIGHT = 24
TEXT = 11
MAX_VALUE = 1e100
"""Larger values are cut off: sums of them would overflow."""
BAR_FILL = 0.88
"""The share of its interval that a bar fills."""


def svg(chart: Chart, width: int, height: int) -> str:
    """The chart as SVG; width and height in pixels. The height of horizontal bars follows from their number."""
    import vl_convert  # noqa: PLC0415 - an extra

    if chart.kind == "rows":
        height = ROW_HEIGHT * len({point.at for point in chart.points}) + 30
    image = vl_convert.vegalite_to_svg(_common(chart, width, height) | _ENCODINGS[chart.kind](chart))
    label = escape(chart.title, quote=True)
    return re.sub(r'width="\d+" height="\d+"', f'role="img" aria-label="{label}"', image, count=1)


def _common(chart: Chart, width: int, height: int) -> Json:
    axis = {"labelColor": "var(--soft)", "gridColor": "var(--line)", "domainColor": "var(--line)"}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "data": {"values": list(_stacked(chart))},
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


def _stacked(chart: Chart) -> Iterator[Json]:
    """The data: the values at one place are stacked in the order of the series, except for lines."""
    tops: dict[Any, float] = defaultdict(float)
    for point in sorted(chart.points, key=lambda point: chart.series.index(point.series)):
        if point.value is None:
            continue
        value = max(-MAX_VALUE, min(point.value, MAX_VALUE))
        start = 0 if chart.kind == "lines" else tops[point.at]
        tops[point.at] = start + value
        yield {
            "at": point.at,
            "end": point.at + BAR_FILL * _ms(chart.interval) if chart.kind == "bars" else None,
            "series": point.series,
            "from": start,
            "to": start + value,
        }


def _ms(length: timedelta) -> int:
    return length // timedelta(milliseconds=1)


def _series_colour(chart: Chart) -> Json:
    scale = {"domain": list(chart.colours), "range": list(chart.colours.values())}
    return {"field": "series", "type": "nominal", "legend": None, "scale": scale}


def _time_axis(chart: Chart) -> Json:
    length = timedelta(milliseconds=chart.end - chart.start)
    long = timedelta(days=100)
    pattern = "%H:%M" if length <= timedelta(days=2) else "%-d %b" if length <= long else "%b %Y"
    axis = {"format": pattern, "grid": False, "labelOverlap": "greedy", "labelSeparation": 14}
    if timedelta(days=2) < length <= timedelta(days=10):
        axis["tickCount"] = "day"
    times = [point.at for point in chart.points]
    domain = [min([chart.start, *times]), max(chart.end, *(at + _ms(chart.interval) for at in times))]
    scale = {"type": "utc", "domain": domain, "nice": False}
    return {"field": "at", "type": "temporal", "axis": axis, "scale": scale}


def _value_axis(chart: Chart) -> Json:
    axis: Json = {"labelExpr": AXES.get(chart.unit or "", COUNTS), "tickCount": 4}
    if chart.unit is None:  # whole numbers have no ticks in between
        axis["tickCount"] = min(4, max(round(it["to"]) for it in _stacked(chart)))
    return {
        "field": "to",
        "type": "quantitative",
        "axis": axis | {"domain": False, "ticks": False},
        "scale": {"zero": True},
    }


def _bars(chart: Chart) -> Json:
    return {
        "mark": {"type": "rect"},
        "encoding": {
            "x": _time_axis(chart),
            "x2": {"field": "end"},
            "y": _value_axis(chart),
            "y2": {"field": "from"},
            "color": _series_colour(chart),
        },
    }


def _lines(chart: Chart) -> Json:
    # A single value has no line, so each has a dot.
    return {
        "mark": {"type": "line", "strokeWidth": 1.75, "point": {"size": 14}},
        "encoding": {"x": _time_axis(chart), "y": _value_axis(chart), "color": _series_colour(chart)},
    }


def _horizontal_bars(chart: Chart) -> Json:
    names = list(dict.fromkeys(point.at for point in chart.points))
    axis = {"labelLimit": 130, "minExtent": 110, "domain": False, "ticks": False, "labelPadding": 6}
    scale = {"paddingInner": 0.3, "paddingOuter": 0.15}
    return {
        "mark": {"type": "bar"},
        "encoding": {
            "y": {
                "field": "at",
                "type": "nominal",
                "sort": names,
                "axis": axis | {"labelColor": "var(--ink)"},
                "scale": scale,
            },
            "x": _value_axis(chart),
            "x2": {"field": "from"},
            "color": _series_colour(chart),
        },
    }


def _donut(chart: Chart) -> Json:
    return {
        "transform": [{"calculate": "datum.to - datum.from", "as": "value"}],
        "mark": {"type": "arc", "innerRadius": {"expr": "min(width, height) * 0.3"}, "padAngle": 0.012},
        "encoding": {
            "theta": {"field": "value", "type": "quantitative", "stack": True},
            "color": _series_colour(chart),
            "order": {"field": "from", "type": "quantitative"},
        },
    }


_ENCODINGS = {"bars": _bars, "lines": _lines, "rows": _horizontal_bars, "donut": _donut}
