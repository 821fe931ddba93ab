"""The report is created for any names in a log, and shows them as text."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from indexer.report.page import render
from indexer.report.sections import sections
from indexer.show import as_json, text
from indexer.status.summary_model import (
    Count,
    Deletion,
    Durations,
    FailedLogIns,
    RowsByUser,
    SlowVisual,
    Summary,
)
from tests.support.hostile import END, MARKUP, SIGNS, report_of

SHOWN = sections()
NAMES = {**SIGNS, **MARKUP}
HARMLESS = {
    "html", "head", "meta", "link", "title", "style", "body", "header", "h1", "h2", "h3", "p", "time", "span", "nav", "a",
    "ul", "li", "b", "i", "em", "main", "section", "div", "article", "details", "summary", "table", "thead", "tbody", "tr",
    "th", "td", "wbr", "footer", "svg", "g", "path", "text", "rect", "line", "defs", "clippath",
}  # fmt: skip
"""What the page is made of."""


@dataclass
class Met(HTMLParser):
    """The elements, handlers, links and texts of a page."""

    tags: set[str] = field(default_factory=set)
    handlers: list[str] = field(default_factory=list)
    links: set[str] = field(default_factory=set)
    seen: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember it."""
        self.tags.add(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.links |= {
            value or "" for name, value in attrs if name in {"href", "src", "xlink:href", "action", "srcdoc"}
        }

    def handle_data(self, data: str) -> None:
        """Remember it."""
        self.seen.append(data)


def page_of(*names: str) -> tuple[str, Met]:
    """The page, and its elements."""
    page = render(report_of(names, SHOWN), SHOWN, datetime.now(UTC))
    met = Met()
    met.feed(page)
    return page, met


@pytest.mark.parametrize("names", [SIGNS, MARKUP], ids=["signs", "markup"])
def test_a_page_is_made_whatever_names_are(names: dict[str, str]) -> None:
    """In each chart, legend and table; unprintable characters are escaped."""
    page, met = page_of(*(f"a{name}b" for name in names.values()))
    assert page.encode()
    assert [sign for sign in page if not sign.isprintable() and sign != "\n"] == []
    assert met.tags <= HARMLESS
    assert met.handlers == []
    assert {link for link in met.links if not link.startswith("#")} == {"data:,"}
    for name in names.values():
        assert "".join(met.seen).count(text(f"a{name}b")) > 10


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_a_summary_is_made_whatever_a_name_is(name: str) -> None:
    """As tables and as JSON."""
    count = (Count(name, 1),)
    summary = Summary(
        alias=name, entries=1, first=END, last=END, users=1, failed=1, deleted=1, exported=1, viewed=1, by_type=count, by_status=count, by_user=count,
        failed_log_ins=(FailedLogIns(user=name, ip=name, attempts=1, last=END),),
        exports=(RowsByUser(user=name, times=1, rows=1e308, largest=None),), details_views=(RowsByUser(user=name, times=1, rows=1, largest=1),),
        durations=(Durations(activity_type=name, storage_type=name, entries=1, median_ms=1, p95_ms=1, max_ms=1),),
        slowest=(SlowVisual(when=END, name=name, user=name, cid=name, duration_ms=1),),
        deletions=(Deletion(when=END, activity_type=name, name=name, user=name),),
    )  # fmt: skip
    for table in summary.tables():
        assert all(text(cell).isprintable() for row in table.rows for cell in row)
    assert as_json(summary).replace("\n", "").isprintable()
