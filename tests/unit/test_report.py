"""`indexer report` without a server."""

import math
import re
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from xml.etree import ElementTree

import pytest
import typer
from typer.testing import CliRunner

from indexer.cli import app
from indexer.cli.report import _period
from indexer.report import formatting, report
from indexer.report.charts import Chart, Point
from indexer.report.queries import Period, kql_query
from indexer.report.report import ExtraMissing, NotWritten, write
from indexer.report.vega_lite import svg
from indexer.settings import Connection

END = datetime(2026, 5, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("days", "asked", "interval"),
    [
        (7, "auto", "3h"),
        (7, "1h", "1h"),
        (30, "1h", "12h"),
        (365, "1d", "7d"),
        (0.01, "auto", "1m"),
        (9000, "auto", "30d"),
    ],
)
def test_intervals(days: float, asked: str, interval: str) -> None:
    """A bar has the interval of the panel, unless that makes too many bars."""
    assert Period(END - timedelta(days=days), END).interval(asked) == interval


def test_kql() -> None:
    """Operators become upper case, except in quoted text; a slash begins no expression; comparisons are rejected."""
    asked = kql_query('a: b and not c: "x and y" or d: (e or f)')["query_string"]["query"]
    assert asked == 'a: b AND NOT c: "x and y" OR d: (e OR f)'
    assert kql_query("not a: *b/c")["query_string"]["query"] == r"NOT a: *b\/c"
    assert kql_query("") == {"match_all": {}}
    with pytest.raises(ValueError, match="comparison"):
        kql_query("a >= 3")


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (1234567.0, None, "1,234,567"),
        (2.5, None, "2.5"),
        (0, None, "0"),
        (None, "bytes", "–"),
        (999.0, "bytes", "999 B"),
        (999_960.0, "bytes", "1.0 MB"),
        (1500.0, "milliseconds", "1.5 s"),
        (404.0, "code", "404"),
        ("Ève", None, "Ève"),
    ],
)
def test_values(value: object, kind: str | None, text: str) -> None:
    """Values are formatted."""
    assert formatting.value(value, kind) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0.0 %"), (0.0001, "< 0.1 %"), (0.471, "47.1 %"), (1, "100.0 %")]
)
def test_shares(share: float, text: str) -> None:
    """A small share is not shown as 0."""
    assert formatting.percentage(share) == text


def test_days() -> None:
    """Dates at both ends are included; without a time zone they are UTC."""
    found = _period("2026-05-06", "2026-05-06", "7d")
    assert found.start == datetime(2026, 5, 6, tzinfo=UTC)
    assert found.end == datetime(2026, 5, 6, 23, 59, 59, 999_000, tzinfo=UTC)
    assert _period(None, "2026-05-11T02:00+02:00", "12h") == Period(END - timedelta(hours=12), END)


@pytest.mark.parametrize(
    ("start", "end", "last"),
    [
        ("2026-05-07", "2026-05-06", "7d"),
        ("yesterday", None, "7d"),
        (None, None, "week"),
        (None, None, "999999999d"),
    ],
)
def test_no_period(start: str | None, end: str | None, last: str) -> None:
    """An invalid time, or a period that ends before it starts, is wrong usage."""
    with pytest.raises(typer.BadParameter):
        _period(start, end, last)


def test_wrong_usage() -> None:
    """Exit code 2."""
    done = CliRunner().invoke(app, ["report", "--out", "x.html", "--from", "yesterday"])
    assert done.exit_code == 2
    assert "yesterday" in done.output


def test_missing_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error for a missing extra says what to install."""
    monkeypatch.setattr(report, "PACKAGES", ("no_such_package",))
    with pytest.raises(ExtraMissing, match=r"pip install 'zoomdata-indexer\[report\]'"):
        write(Connection(), Period(END - timedelta(days=7), END), tmp_path / "x.html")


def test_missing_directory(tmp_path: Path) -> None:
    """A missing directory is an error before any request."""
    with pytest.raises(NotWritten, match="directory does not exist"):
        write(
            Connection(elasticsearch_url=["http://127.0.0.1:9"]),
            Period(END - timedelta(days=7), END),
            tmp_path / "no" / "x.html",
        )


ODD = (
    "\x01",
    "\0",
    "\x1b[31m",
    "\ufffe",
    "\u202e",
    "",
    " ",
    "<b>&",
    "😀",
    "山" * 1000,
    "e" + "\u0301" * 300,
    '"',
    "\\",
    "{}",
    "null",
)
"""Names that somebody's log has had."""
FIGURES = (0.0, -0.0, -5.0, 5e-324, 1e308, -1e308, 1.7976931348623157e308, None, 1)


@pytest.mark.parametrize("kind", ["bars", "lines", "rows", "donut"])
@pytest.mark.parametrize("unit", [None, "milliseconds", "bytes"])
def test_any_name_and_any_number_has_a_chart(kind: str, unit: str | None) -> None:
    """vl-convert aborts the process for some characters and numbers."""
    day = 86_400_000
    named = [formatting.value(name) for name in ODD]
    points = [
        Point(name if kind == "rows" else at * day if kind != "donut" else "", series, figure)
        for at, (name, figure) in enumerate(product(named, FIGURES))
        for series in named[:3]
    ]
    chart = Chart(kind, "Title", tuple(points), tuple(named[:3]), unit, timedelta(days=1), 0, 1000 * day)
    assert ElementTree.fromstring(svg(chart, 500, 200)).tag.endswith("svg")


@pytest.mark.parametrize("value", ODD)
def test_names_are_shown_without_control_characters(value: str) -> None:
    """No control characters and no lone surrogates."""
    assert all(sign.isprintable() for sign in formatting.value(value))


@pytest.mark.parametrize("kind", [None, "milliseconds", "bytes", "code"])
@pytest.mark.parametrize("value", [*FIGURES, 1e15, 123456789012345678, float("inf"), float("-inf")])
def test_any_figure_fits_a_table(kind: str | None, value: float | None) -> None:
    """Very large numbers have an exponent."""
    if value is None or math.isfinite(value) or kind != "milliseconds":
        assert 0 < len(formatting.value(value, kind)) < 25
    assert 0 < len(formatting.compact(value or 0)) < 25


@pytest.mark.parametrize("milliseconds", [-(2**63), -62_135_596_800_001, 0, 253_402_300_799_999])
def test_a_bar_may_begin_before_the_year_1(milliseconds: int) -> None:
    """The first bar begins before the period."""
    assert re.search(r"\d{2}:\d{2}$|\d{1,4}$", formatting.bar_start(milliseconds, timedelta(days=30)))


@pytest.mark.parametrize(
    ("given", "ends"), [("0001-01-01T00:00+02:00", "2026-01-01"), ("2026-01-01", "9999-12-31T23:00-02:00")]
)
def test_a_time_out_of_range_is_wrong_usage(given: str, ends: str) -> None:
    """Python cannot represent it in UTC."""
    with pytest.raises(typer.BadParameter, match="out of range in UTC"):
        _period(given, ends, "7d")
    assert _period("0001-01-01", "9999-12-31", "7d").interval("auto") == "30d"
