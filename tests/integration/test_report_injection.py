"""The report in a real browser with names that are markup: they are shown as text and have no effect. Needs no server."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from indexer.report.page import render
from indexer.report.sections import sections
from indexer.show import text
from tests.support.browser import Page, chromium, executable
from tests.support.hostile import MARKUP, SIGNS, report_of

pytestmark = pytest.mark.skipif(executable() is None, reason="no Chromium: apt-get install chromium")

NAMES = [f"a{name}b" for name in (*MARKUP.values(), *SIGNS.values())]
ACTIVE = (
    "script, img, iframe, object, embed, base, form, input, textarea, plaintext, noscript, foreignObject, use, animate, image,"
    " a:not([href^='#']), link:not([href='data:,']), meta[http-equiv]:not([http-equiv='Content-Security-Policy'])"
)
"""Elements that do something, none of which the page has."""
HANDLERS = (
    "[...document.querySelectorAll('*')].flatMap(it => it.getAttributeNames()).filter(it => /^on/i.test(it))"
)
STYLES = "[...document.querySelectorAll('[style]')].map(it => it.getAttribute('style'))"
HIDDEN = (
    "[...document.querySelectorAll('main, section, article, h1')].filter(it => !it.checkVisibility()).length"
)
CELLS = "[...document.querySelectorAll('td')].map(it => it.textContent)"
LABELS = "[...document.querySelectorAll('.legend li, svg text')].map(it => it.textContent)"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a log with these names as values."""
    shown = sections()
    made = tmp_path_factory.mktemp("injected") / "report.html"
    made.write_text(render(report_of(NAMES, shown, alias=NAMES[0]), shown, datetime.now(UTC)))
    return made


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A browser for this page only."""
    with chromium(tmp_path_factory.mktemp("browser") / "profile") as page:
        yield page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_names_have_no_effect(browser: Page, file: Path, scheme: str) -> None:
    """No script, handler, style or link of a log has an effect; there are no requests."""
    browser.requested.clear()
    browser.open(file, dark=scheme == "dark")
    browser.evaluate("document.querySelectorAll('details').forEach(it => { it.open = true })")
    browser.evaluate(
        "document.querySelectorAll('td, text, li, summary').forEach(it => it.dispatchEvent(new MouseEvent('mouseover', {bubbles: true})))"
    )
    browser.evaluate("new Promise(done => setTimeout(done, 300))")  # for what begins later, such as a refresh
    assert browser.said == []
    assert {url for url in browser.requested if not url.startswith("data:")} == {file.resolve().as_uri()}
    assert browser.evaluate("location.href") == file.resolve().as_uri()
    assert browser.evaluate(f"document.querySelectorAll({ACTIVE!r}).length".replace('"', "`")) == 0
    assert browser.evaluate(HANDLERS) == []
    assert browser.evaluate("document.styleSheets.length") == 1
    assert browser.evaluate("document.baseURI") == file.resolve().as_uri()


def test_each_name_is_shown_as_text(browser: Page, file: Path) -> None:
    """In tables, and in charts as far as space permits; the page is not hidden or restyled."""
    browser.open(file)
    cells, labels = browser.evaluate(CELLS), browser.evaluate(LABELS)
    for name in NAMES:
        assert text(name) in cells
        assert any(label.startswith(text(name)[:8]) for label in labels)
    assert browser.evaluate(HIDDEN) == 0
    known = ("--n:", "--part:", "--colour:")
    assert [style for style in browser.evaluate(STYLES) if not style.startswith(known) or ";" in style] == []
    assert NAMES[0] in browser.evaluate("document.querySelector('footer').textContent")
