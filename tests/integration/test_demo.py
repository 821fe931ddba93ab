"""`indexer demo`."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from indexer.demo.installation import NEWEST
from indexer.demo.sample import broken
from indexer.elastic.server import Product
from indexer.report.report import available

ENTRIES = 300


@dataclass(frozen=True, slots=True)
class Demonstration:
    """The output, and the directory for temporary files."""

    said: str
    directory: Path


@contextmanager
def demonstrated(*options: str) -> Iterator[Demonstration]:
    """A completed run."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)  # as /tmp: the server of a test run by root is another user's
        done = subprocess.run(
            [sys.executable, "-m", "indexer", "demo", "--entries", str(ENTRIES), *options],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"TMPDIR": directory, "NO_COLOR": "1"},
        )
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
        yield Demonstration(done.stdout, Path(directory))


@pytest.fixture(scope="module")
def demo() -> Iterator[Demonstration]:
    """A completed run, on Elasticsearch."""
    with demonstrated() as done:
        yield done


def test_it_indexes_and_verifies(demo: Demonstration) -> None:
    """Each line is indexed and verified, or rejected and listed with the reason."""
    lines = ENTRIES + len(broken())
    assert f"{ENTRIES} of {lines} lines indexed" in demo.said
    assert (
        f"{ENTRIES} of {lines} lines are indexed once and unchanged; {len(broken())} are rejected lines."
        in demo.said
    )
    assert f"Rejected lines: {len(broken())}" in demo.said


def test_it_finds_an_altered_entry_without_the_log(demo: Demonstration) -> None:
    """The index agrees with its seals, then one entry does not, and is put back."""
    agreed, *found = demo.said[demo.said.index("The log is taken away") :].splitlines()[:4]
    assert f"{ENTRIES} of {ENTRIES + len(broken())} lines are indexed once and unchanged" in agreed
    assert found[0].startswith("An entry is altered")
    assert re.fullmatch(
        r"  different: \S+/zoomdata-activity\.log, offset [\d,]+, id [0-9a-f]{28}", found[1]
    ), found
    assert found[2] == "It is put back, and so is the log: index and seals agree again."


def test_it_shows_what_users_did(demo: Demonstration) -> None:
    """The tables of `indexer summary` follow."""
    for title in ("By type", "Failed log-ins", "Durations", "Deleted"):
        assert f"\n{title}" in demo.said


def test_it_leaves_the_report_and_nothing_else(demo: Demonstration) -> None:
    """The report is kept; server, log and index are removed."""
    assert available()
    (page,) = (Path(word) for word in demo.said.split() if word.endswith("report.html"))
    assert page.read_bytes().startswith(b"<!doctype html>")
    assert list(demo.directory.iterdir()) == [page.parent]


def test_it_shows_the_same_on_opensearch() -> None:
    """Lines are indexed, verified and rejected; an altered entry is found; the product is named, and no other."""
    with demonstrated("--server", "opensearch") as done:
        lines = ENTRIES + len(broken())
        assert f"OpenSearch {NEWEST[Product.OPENSEARCH]} is ready at " in done.said
        assert "Elasticsearch" not in done.said
        assert f"{ENTRIES} of {lines} lines are indexed once and unchanged" in done.said
        assert f"Rejected lines: {len(broken())}" in done.said
        assert re.search("\n  different: .*zoomdata-activity.log, offset ", done.said)
        assert "\nFailed log-ins" in done.said
