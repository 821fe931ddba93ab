"""tests/README.md: the files that it names exist, and no integration test is missing from it."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = (TESTS / "README.md").read_text(encoding="utf-8")
NAMED = set(
    re.findall(
        r"`((?:alerts|containers|fuzz|integration|model|soak|support|unit)/[^` ]*|conftest\.py)`", PAGE
    )
)


def test_what_the_page_names_exists() -> None:
    """A pattern stands for at least one file."""
    assert [name for name in sorted(NAMED) if not list(TESTS.glob(name))] == []


def test_each_integration_test_holds_something() -> None:
    """So does each test of the other folders that need something from outside, and each fuzz target."""
    files = {
        path.relative_to(TESTS).as_posix()
        for folder in ("alerts", "fuzz", "integration", "model")
        for path in (TESTS / folder).glob("test_*.py")
    }
    assert sorted(files - NAMED) == []
