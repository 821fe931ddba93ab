"""Showing: values as people read them, tables of any width, JSON of the same data."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from io import StringIO
from pathlib import Path

import orjson
import pytest
from rich.cells import cell_len
from rich.console import Console

from indexer.show import Cell, Share, Table, as_json, duration, milliseconds, moment, tables, text

MOMENT = datetime(2026, 5, 6, 1, 2, 3, 456_789, tzinfo=timezone(timedelta(hours=2)))


@dataclass(frozen=True, slots=True)
class Row:
    """A row."""

    name: str
    took: timedelta
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Result:
    """What a command returns."""

    rows: tuple[Row, ...]
    file: Path

    def tables(self) -> Iterator[Table]:
        """Arrange the rows."""
        cells = tuple((row.name, row.took, row.at) for row in self.rows)
        yield Table("Rows", ("name", "took", "at"), cells, "There are no rows.")


@dataclass(frozen=True, slots=True)
class Several:
    """Tables as they are."""

    shown: tuple[Table, ...]

    def tables(self) -> tuple[Table, ...]:
        """Give them all."""
        return self.shown


def printed(*shown: Table, width: int = 80, color: bool = False) -> str:
    out = StringIO()
    console = Console(
        file=out, width=width, force_terminal=color, color_system="truecolor" if color else None
    )
    console.print(tables(Several(shown)))
    return out.getvalue()


def table(
    *rows: tuple[Cell, ...], title: str = "Rows", columns: tuple[str, ...] = ("name", "entries")
) -> Table:
    return Table(title, columns, rows, "There are no rows.")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        (1_234_567, "1,234,567"),
        (-1_234, "-1,234"),
        (1_234.56, "1,234.6"),
        (MOMENT, "2026-05-05 23:02:03"),
        (timedelta(milliseconds=12), "12 ms"),
        ("売上トップ20", "売上トップ20"),
        ("a\x1b[2Jb\r\n\tc", r"a\x1b[2Jb\r\n\tc"),
        ("\u202eevil", r"\u202eevil"),
        ("\ud800", r"\ud800"),
        ("[red]not markup[/red]", "[red]not markup[/red]"),
    ],
)
def test_values(value: Cell, shown: str) -> None:
    """Each kind of value has one way to be read, and text cannot steer the terminal."""
    assert text(value) == shown


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [
        (0, "0 ms"),
        (0.4, "0 ms"),
        (999.4, "999 ms"),
        (999.6, "1.0 s"),
        (59_940, "59.9 s"),
        (59_960, "1 min 0 s"),
        (125_400, "2 min 5 s"),
        (3_599_600, "1 h 0 min"),
        (86_399_000, "23 h 59 min"),
        (90_000_000, "1 d 1 h"),
        (400 * 86_400_000, "400 d 0 h"),
    ],
)
def test_durations(milliseconds: float, shown: str) -> None:
    """A duration has the unit that suits it, on either side of each boundary."""
    assert duration(timedelta(milliseconds=milliseconds)) == shown


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (0, 0, "0.0 %"),
        (0, 9, "0.0 %"),
        (1, 10_000, "< 0.1 %"),
        (1, 2, "████      50.0 %"),
        (9, 9, "████████ 100.0 %"),
    ],
)
def test_shares(part: int, whole: int, shown: str) -> None:
    """A share is a bar of one length for all, with its percentage."""
    assert text(Share(part, whole)).strip() == shown
    assert len(text(Share(part, whole))) == 16


def test_numbers_line_up_on_the_right() -> None:
    """Numbers end where their heading ends, text begins where its heading begins."""
    lines = printed(table(("a", 5), ("bb", 12_345))).splitlines()
    assert [line.rstrip() for line in lines if line.strip()] == [
        "Rows",
        "name  entries",
        "─────────────",
        "a           5",
        "bb     12,345",
    ]


def test_no_rows() -> None:
    """A table without rows says so in its own sentence."""
    assert [line.strip() for line in printed(table()).splitlines()] == ["Rows", "There are no rows.", ""]


@pytest.mark.parametrize(("width", "beside"), [(80, True), (20, False)])
def test_side_by_side(width: int, beside: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Tables of one shape stand beside each other where the terminal is wide enough."""
    shown = printed(table(("a", 1), title="First"), table(("b", 2), title="Second"), width=width).splitlines()
    assert any("First" in line and "Second" in line for line in shown) is beside


def test_other_shapes_are_apart() -> None:
    """A table with other columns begins on a line of its own."""
    other = Table("Second", ("a",), (("b",),), "")
    shown = printed(table(("a", 1), title="First"), other, width=200).splitlines()
    assert [line.strip() for line in shown if "Second" in line] == ["Second"]


@pytest.mark.parametrize("width", [30, 80, 140])
def test_fits(width: int) -> None:
    """No line is wider than the terminal, also where a name is; nothing of the name is lost."""
    name = "ab売" * 40
    shown = printed(table((name, 1_000)), width=width)
    assert max(cell_len(line) for line in shown.splitlines()) <= width
    assert shown.count("売") == 40


def test_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR takes the colours away."""
    shown = table((None, MOMENT))
    assert "\x1b[32m" in printed(shown, color=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[32m" not in printed(shown, color=True)


def test_json() -> None:
    """JSON has the fields of the dataclass: times in UTC, durations in seconds, paths as text."""
    result = Result((Row("売\x1b", timedelta(milliseconds=1_500), MOMENT.astimezone(UTC)),), Path("a/b"))
    assert orjson.loads(as_json(result)) == {
        "rows": [{"name": "売\x1b", "took": 1.5, "at": "2026-05-05T23:02:03.456789Z"}],
        "file": "a/b",
    }


def test_json_and_table_from_one_result() -> None:
    """The same dataclass is shown to people."""
    out = StringIO()
    result = Result((Row("first", timedelta(seconds=2), None),), Path("a"))
    Console(file=out, width=80).print(tables(result))
    assert "first  2.0 s  –" in out.getvalue()


def test_json_of_unknown_types() -> None:
    """What has no JSON form is a bug that shows at once."""
    with pytest.raises(TypeError):
        as_json({"a": object()})


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (None, "–"),
        (1500.0, "1.5 s"),
        (-1500.0, "-1.5 s"),
        (1e308, "1e+308 ms"),
        (-1e300, "-1e+300 ms"),
        (8.64e16, "8.64e+16 ms"),
    ],
)
def test_spans_of_any_length(given: float | None, shown: str) -> None:
    """A number in a log may be anything."""
    assert text(milliseconds(given)) == shown


@pytest.mark.parametrize(
    ("given", "year"),
    [
        (None, None), (0, 1970), (-62_135_596_800_000, 1), (-62_135_596_800_001, None), (253_402_300_799_999, 9999),
        (253_402_300_800_000, None), (-99_999_999_999_999, None), (2**63 - 1, None), (-(2**63), None), (1e308, None),
    ],
)  # fmt: skip
def test_moments_of_any_age(given: float | None, year: int | None) -> None:
    """What no datetime can hold is none."""
    found = moment(given)
    assert (found and found.year) == year


def test_json_of_text_that_utf8_cannot_hold() -> None:
    """A path with bytes that are no UTF-8, and half a surrogate pair, at any depth."""
    result = {
        "a\udcfc": [Row("\ud83dx", timedelta(seconds=1), None)],
        "file": Path("/m\udcfcller"),
        "ok": "ü",
    }
    assert orjson.loads(as_json(result)) == {
        "a\\udcfc": [{"name": "\\ud83dx", "took": 1.0, "at": None}],
        "file": "/m\\udcfcller",
        "ok": "ü",
    }
