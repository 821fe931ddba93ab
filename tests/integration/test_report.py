"""The page of `indexer report` in a real Chromium, against the same values counted in Python.

Of a log as of Zoomdata 2.x, which fills every panel, and of one as of current versions.
"""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

from indexer.dashboards.panels import Panel, Time, Top
from indexer.demo import sample
from indexer.demo.profiles import Profile
from indexer.elastic.client import connect
from indexer.elastic.cluster import Cluster
from indexer.events import Events
from indexer.report.queries import Period
from indexer.report.report import write
from indexer.report.results import OTHERS
from indexer.report.sections import SavedSearch, sections
from indexer.run import RunOptions, run
from indexer.settings import Connection, LogFiles, State
from indexer.setup.templates import install
from tests.conftest import TestServer, delete_all
from tests.support import kibana_counted as counted
from tests.support.browser import Page, chromium, executable

pytestmark = pytest.mark.skipif(executable() is None, reason="no Chromium: apt-get install chromium")

END = datetime(2026, 5, 11, 6, 30, tzinfo=UTC)
WEEK = Period(END - timedelta(days=7), END)
ENTRIES = 4_000
EVIL = "</td><script>console.error(1)</script><img src='http://192.0.2.1/x' onerror='alert(1)'>'\\\\"
PANELS = {f"{section.id}-{it.id}": it for section in sections() for row in section.rows for it in row}
PICTURES = [
    name for name, it in PANELS.items() if isinstance(it, Panel) and it.kind not in {"table", "number"}
]
CELLS = """[...document.querySelectorAll('#%s tbody tr')].map(row => [...row.cells].map(
    cell => cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v)))"""
HEADINGS = "[...document.querySelectorAll('#%s thead th')].map(it => it.textContent)"
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@dataclass(frozen=True, slots=True)
class Report:
    """The page, its log and its index."""

    file: Path
    log: list[counted.Entry]
    connection: Connection


@contextmanager
def reported(server: TestServer, directory: Path, profile: Profile) -> Iterator[Report]:
    """The page of a week of the sample company."""
    connection = Connection(elasticsearch_url=[server.url], alias=f"{directory.name}-{id(directory):x}")
    log = directory / "zoomdata-activity.log"
    sample.write(log, ENTRIES, end=END, profile=profile)
    with connect(connection) as client:
        install(Cluster(client, connection))
        index(log, connection)
        out = directory / "week.html"
        write(connection, WEEK, out)
        yield Report(out, [orjson.loads(line) for line in log.read_bytes().splitlines()], connection)
        delete_all(client, f"{connection.alias}*")


@pytest.fixture(scope="module")
def reports(
    server: TestServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Profile], Report]]:
    """The page of a profile, made when it is first asked for."""
    with ExitStack() as opened:
        yield cache(lambda it: opened.enter_context(reported(server, tmp_path_factory.mktemp("report"), it)))


@pytest.fixture
def report(reports: Callable[[Profile], Report]) -> Report:
    """The page that has something in every panel."""
    return reports(Profile.ZOOMDATA_2)


@pytest.fixture
def current(reports: Callable[[Profile], Report]) -> Report:
    """The page of what current versions log."""
    return reports(Profile.COMPOSER)


def index(log: Path, connection: Connection) -> None:
    """Index a log, and refresh."""
    state = State(log.parent / f"state of {log.name}")
    run(RunOptions(LogFiles([str(log)]), connection, state, once=True), Events(), threading.Event())
    with connect(connection) as client:
        client.indices.refresh(index=connection.alias)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A tab of a browser."""
    with chromium(tmp_path_factory.mktemp("browser") / "profile") as page:
        yield page


@pytest.fixture
def page(browser: Page, report: Report) -> Page:
    """The page, opened anew: another test may have opened another one."""
    browser.open(report.file)
    return browser


def wanted(name: str, panel: Panel, log: list[counted.Entry]) -> list[list[Any]]:
    """The rows that a panel's table should have."""
    rows = [list(row) for row in counted.PICTURES[name](log)]
    first = next(iter(panel.by.values()))
    if any(isinstance(it, Top) and it.others for it in panel.by.values()):
        rows += others(name, panel, rows, log)
    if len(panel.by) == 1 or panel.kind == "table":
        return rows
    return pivoted([row[1:-1] + row[:1] + row[-1:] for row in rows] if isinstance(first, Time) else rows)


def others(name: str, panel: Panel, shown: list[list[Any]], log: list[counted.Entry]) -> list[list[Any]]:
    """The rows of the others."""
    field = next(it.field for it in panel.by.values() if isinstance(it, Top))
    names = {row[0] for row in shown}
    about = {"audit-exported": counted.exports, "audit-viewed": counted.details}.get(name, list)
    rest = [it for it in about(log) if it[field] not in names]
    keys = [counted.every(3)] if len(panel.by) > 1 else []
    figure = counted.total("count") if name == "audit-exported" else counted.count
    return [[OTHERS, *row] for row in counted.grouped(rest, keys, figure) if row[-1]]


def pivoted(rows: list[list[Any]]) -> list[list[Any]]:
    """A row for each place, a column for each series, as on the page; `None` if there is no value."""
    series = list(dict.fromkeys(str(row[1]) for row in rows))
    places: dict[Any, dict[str, Any]] = {}
    for place, name, figure in rows:
        places.setdefault(place, {})[str(name)] = figure
    return [[place, *(figures.get(name) for name in series)] for place, figures in places.items()]


def assert_same(found: list[list[Any]], by_hand: list[list[Any]], *, in_order: bool) -> None:
    """Rows agree; keys are compared as text, values as numbers."""
    if not in_order:
        found, by_hand = sorted(found, key=lambda row: row[0]), sorted(by_hand, key=lambda row: row[0])
    assert len(found) == len(by_hand) > 0
    for row, right in zip(found, by_hand, strict=True):
        assert len(row) == len(right)
        for cell, expected in zip(row, right, strict=True):
            if isinstance(cell, str):
                assert cell == ("–" if expected is None else _text(expected))
            else:
                assert float(cell) == (pytest.approx(expected) if isinstance(expected, float) else expected)


def _text(key: Any) -> str:
    return f"{key:.0f}" if isinstance(key, float) else str(key)


def test_all_is_shown(page: Page) -> None:
    """Each panel of the three dashboards is on the page, with a chart unless it is a table, and a table."""
    shown = "[...document.querySelectorAll('.card, .figures li')].map(it => it.id)"
    assert sorted(page.evaluate(shown)) == sorted(PANELS)
    drawn = "[...document.querySelectorAll('.card:has(svg)')].map(it => it.id)"
    assert sorted(page.evaluate(drawn)) == sorted(PICTURES)
    tables = "document.querySelectorAll('.card:has(svg) > details tbody tr').length"
    assert page.evaluate(tables) > len(PICTURES)


FIGURES = sorted(set(counted.PICTURES) & set(PANELS))


@pytest.mark.parametrize("name", FIGURES)
def test_figures(page: Page, report: Report, name: str) -> None:
    """The values on the page are those counted from the log."""
    assert_figures(page, report, name)


def test_figures_of_current_versions(browser: Page, current: Report) -> None:
    """They are those counted from the log; a panel about what is not logged any more has its sentence instead."""
    browser.open(current.file)
    empty = set()
    for name in FIGURES:
        if any(row[-1] for row in counted.PICTURES[name](current.log)):
            assert_figures(browser, current, name)
        else:
            panel = PANELS[name]
            assert isinstance(panel, Panel)
            said = browser.evaluate(f"document.querySelector('#{name} .empty').textContent")
            assert said == f"No entries of this kind in this period. {panel.why_empty}"
            assert browser.evaluate(f"document.querySelectorAll('#{name} :is(table, svg)').length") == 0
            empty.add(name)
    assert empty == {name for name in FIGURES if "2.x)" in PANELS[name].title}
    assert browser.evaluate("document.querySelectorAll('.empty').length") == len(empty)


def assert_figures(page: Page, report: Report, name: str) -> None:
    """The values of a panel."""
    panel = PANELS[name]
    assert isinstance(panel, Panel)
    if panel.kind == "number":
        assert (
            page.evaluate(f"Number(document.querySelector('#{name} b').dataset.v)")
            == (counted.PICTURES[name](report.log)[0][0])
        )
        return
    found = page.evaluate(CELLS % name)
    split = [it for it in panel.by.values() if not isinstance(it, Time)]
    if len(split) < len(panel.by):
        rows = counted.PICTURES[name](report.log)
        by_hand = over_time(name, panel, rows, report.log, page.evaluate(HEADINGS % name)[1:])
        assert_same(found, by_hand, in_order=True)
    else:
        assert_same(found, wanted(name, panel, report.log), in_order=True)


def over_time(
    name: str, panel: Panel, rows: list[counted.Row], log: list[counted.Entry], headings: list[str]
) -> list[list[Any]]:
    """A row for each time, a column for each series, in the order of the page."""
    whole = [list(row) for row in rows]
    if any(isinstance(it, Top) and it.others for it in panel.by.values()):
        whole += others(name, panel, whole, log)
    if len(panel.by) == 1:
        return sorted(whole)
    places: dict[Any, dict[str, Any]] = {}
    for series, place, figure in whole:
        places.setdefault(place, {})[_text(series)] = figure
    assert {_text(row[0]) for row in whole} == set(headings)
    return [[place, *(places[place].get(name) for name in headings)] for place in sorted(places)]


def test_listings(page: Page, report: Report) -> None:
    """All deletions, newest first."""
    name, listing = next((name, it) for name, it in PANELS.items() if isinstance(it, SavedSearch))
    gone = sorted(counted.SEARCHES[listing.id](report.log), key=counted.moment, reverse=True)
    headings = page.evaluate(HEADINGS % name)[1:]
    assert set(headings) <= set(listing.columns)
    found = [row[1:] for row in page.evaluate(CELLS % name)]
    assert found == [[str(entry.get(it, "–")) for it in headings] for entry in gone]


@pytest.mark.parametrize("name", PICTURES)
def test_charts_are_visible(page: Page, name: str) -> None:
    """A chart has visible marks in colours that the page defines."""
    marks = f"[...document.querySelectorAll('#{name} .picture > :not(.narrow) svg [class*=\"mark-\"] path')]"
    visible = (
        f"{marks}.filter(it => it.getBoundingClientRect().width > 0 && it.getBoundingClientRect().height > 0)"
    )
    colours = f"{visible}.map(it => [it.getAttribute('fill'), it.getAttribute('stroke')]).flat()"
    used = {it for it in page.evaluate(colours) if it and it.startswith("var(--")}
    assert used - {"var(--line)", "var(--soft)", "var(--ink)"}
    style = "getComputedStyle(document.documentElement)"
    for colour in used:
        variable = colour.removeprefix("var(").removesuffix(")")
        assert page.evaluate(f"{style}.getPropertyValue('{variable}')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_fits(browser: Page, report: Report, width: int, scheme: str) -> None:
    """Nothing overflows, even with all tables open, and each colour scheme has its own colours."""
    dark = scheme == "dark"
    browser.open(report.file, width=width, dark=dark, phone=width < 500)
    browser.evaluate("document.querySelectorAll('details').forEach(it => { it.open = true })")
    assert browser.evaluate("innerWidth") == width
    assert browser.evaluate(OVERFLOW) <= 0
    sticking_out = (
        "[...document.querySelectorAll('.card')].filter(it => it.scrollWidth > it.clientWidth + 1).length"
    )
    assert browser.evaluate(sticking_out) == 0
    ground = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) < 200) == dark
    assert browser.evaluate("getComputedStyle(document.querySelector('h1')).color") != ground


def test_no_console_messages_and_no_requests(browser: Page, report: Report) -> None:
    """The console is empty, and the page makes no requests."""
    browser.requested.clear()
    browser.open(report.file)
    assert browser.said == []
    assert {it for it in browser.requested if not it.startswith("data:")} == {report.file.resolve().as_uri()}


def test_printed(page: Page) -> None:
    """It prints as PDF, on some pages."""
    assert page.pdf().count(b"/Type /Page\n") > 3


def test_names_are_text(browser: Page, connection: Connection, tmp_path: Path) -> None:
    """Markup in a log is shown as text."""
    entry = {"eventDate": "2026-05-10 10:00:00.000", "user": EVIL, "activityType": EVIL, "status": "DELETED"}
    more = entry | {"activityType": "AUTHENTICATION", "status": EVIL, "ip": "10.0.0.1"}
    log = tmp_path / "zoomdata-activity.log"
    log.write_bytes(orjson.dumps(entry) + b"\n" + orjson.dumps(more) + b"\n")
    with connect(connection) as client:
        install(Cluster(client, connection))
    index(log, connection)
    before = len(browser.said)
    write(connection, WEEK, out := tmp_path / "evil.html")
    browser.open(out)
    assert browser.said[before:] == []
    assert browser.evaluate("document.querySelectorAll('script, img').length") == 0
    assert [EVIL, 2] in browser.evaluate(CELLS % "activity-busiest")
    assert EVIL[:16] in browser.evaluate("document.querySelector('#activity-busiest svg').textContent")


def test_no_entry(browser: Page, report: Report, tmp_path: Path) -> None:
    """A period without entries has a message and no charts."""
    write(
        report.connection,
        Period(END - timedelta(days=700), END - timedelta(days=693)),
        out := tmp_path / "no.html",
    )
    browser.open(out, width=390, phone=True)
    assert "no entry in this period" in browser.evaluate("document.body.textContent")
    assert browser.evaluate("document.querySelectorAll('svg, .card').length") == 0


def test_any_period(browser: Page, report: Report, tmp_path: Path) -> None:
    """Three hours and ten years have charts too."""
    for length in (timedelta(hours=3), timedelta(days=3650)):
        write(report.connection, Period(END - length, END), out := tmp_path / "other.html")
        browser.open(out)
        bars = browser.evaluate("document.querySelectorAll('#activity-types tbody tr').length")
        assert 0 < bars <= 61
        assert browser.evaluate("document.querySelectorAll('#activity-types svg').length") == 2


def test_field_that_is_not_numeric(browser: Page, connection: Connection, tmp_path: Path) -> None:
    """A field that is not numeric in an index has a message, and the other panels are shown."""
    odd = b'{"eventDate":"2026-05-10 10:00:00.000","user":"a","activityType":"REQUEST","uri":"/","requestTime":"n/a"}'
    log = tmp_path / "zoomdata-activity.log"
    log.write_bytes(odd + b"\n")
    with connect(connection) as client:
        install(Cluster(client, connection))
        mapping = {"requestTime": {"type": "keyword"}}
        client.indices.create(index=f"{connection.alias}-odd", mappings={"properties": mapping})
        client.indices.put_alias(index=f"{connection.alias}-odd", name=connection.alias)
    index(log, connection)
    write(connection, WEEK, out := tmp_path / "odd.html")
    browser.open(out)
    assert "requestTime" in browser.evaluate("document.querySelector('#performance-requests').textContent")
    assert browser.evaluate(CELLS % "activity-busiest") == [["a", 1]]


def test_command(report: Report, tmp_path: Path) -> None:
    """The command writes the page for a period, and prints the number of entries."""
    out = tmp_path / "day.html"
    where = [
        "--elasticsearch-url",
        report.connection.elasticsearch_url[0],
        "--alias",
        report.connection.alias,
    ]
    period = ["--from", "2026-05-06", "--to", "2026-05-06"]
    done = subprocess.run(
        [sys.executable, "-m", "indexer", "report", "--out", out, *where, *period],
        capture_output=True,
        text=True,
        check=True,
    )
    of_day = sum(it["eventDate"].startswith("2026-05-06") for it in report.log)
    assert of_day > 0
    assert f"{of_day:,} entries" in done.stdout
    assert "6 May 2026, 00:00" in out.read_text()
