"""What `indexer report` decides without a server."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from indexer.cli import app
from indexer.cli.report import _period
from indexer.report import report, wording
from indexer.report.questions import Period, where
from indexer.report.report import ExtraMissing, NotWritten, write
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
def test_bars(days: float, asked: str, interval: str) -> None:
    """A bar is as long as the panel wants, unless that makes too many of them."""
    assert Period(END - timedelta(days=days), END).interval(asked) == interval


def test_questions() -> None:
    """Operators are written in capitals, but not within a text; a comparison is refused."""
    asked = where('a: b and not c: "x and y" or d: (e or f)')["query_string"]["query"]
    assert asked == 'a: b AND NOT c: "x and y" OR d: (e OR f)'
    assert where("") == {"match_all": {}}
    with pytest.raises(ValueError, match="compares"):
        where("a >= 3")


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
def test_words(value: object, kind: str | None, text: str) -> None:
    """A value is written as people read it."""
    assert wording.value(value, kind) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0.0 %"), (0.0001, "< 0.1 %"), (0.471, "47.1 %"), (1, "100.0 %")]
)
def test_shares(share: float, text: str) -> None:
    """What is there is never shown as none."""
    assert wording.percentage(share) == text


def test_days() -> None:
    """A day that ends a period is in it, and one that begins it too; no zone means UTC."""
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
    """What is no time, or ends before it begins, is wrong usage."""
    with pytest.raises(typer.BadParameter):
        _period(start, end, last)


def test_wrong_usage() -> None:
    """The command says so with exit code 2."""
    done = CliRunner().invoke(app, ["report", "--out", "x.html", "--from", "yesterday"])
    assert done.exit_code == 2
    assert "yesterday" in done.output


def test_missing_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the packages that draw, one sentence says what to install."""
    monkeypatch.setattr(report, "PACKAGES", ("no_such_package",))
    with pytest.raises(ExtraMissing, match=r"pip install 'zoomdata-indexer\[report\]'"):
        write(Connection(), Period(END - timedelta(days=7), END), tmp_path / "x.html")


def test_no_place(tmp_path: Path) -> None:
    """A directory that is not there is said before anything is asked."""
    with pytest.raises(NotWritten, match="no such directory"):
        write(
            Connection(elasticsearch_url=["http://127.0.0.1:9"]),
            Period(END - timedelta(days=7), END),
            tmp_path / "no" / "x.html",
        )
