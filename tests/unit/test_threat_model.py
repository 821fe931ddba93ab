"""The page that says who is trusted with what: each line of it names the tests that hold it, and they exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECTION = (
    (ROOT / "compose/README.md")
    .read_text(encoding="utf-8")
    .partition("\n## Security\n")[2]
    .partition("\n## ")[0]
)
ROWS = [
    line
    for line in SECTION.splitlines()
    if line.startswith("| ") and not line.startswith(("| who |", "| --- "))
]


def test_each_line_of_the_threat_model_is_held_by_tests_that_exist() -> None:
    """A pattern stands for at least one file."""
    assert len(ROWS) >= 10
    for row in ROWS:
        named = re.findall(r"`(tests/[^`]+\.py)`", row.rpartition(" | ")[2])
        assert named, row
        assert [path for path in named if not list(ROOT.glob(path))] == []


def test_the_threat_model_is_a_page() -> None:
    """No longer than somebody reads."""
    assert len(SECTION.splitlines()) <= 40
