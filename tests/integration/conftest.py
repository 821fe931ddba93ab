"""The laboratory in which integration tests run the indexer."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

from indexer.settings import Connection, State
from indexer.verify import checker
from indexer.writing.target import GRACE, Target
from tests.support.lab import Lab
from tests.support.real_faults.laboratory import FaultyLab, behind_proxy

SHORT_GRACE = 0.5
"""Seconds until entries go to a new write index. The usual ones let other indexers notice a rollover."""


def set_grace(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(checker, "AGAIN_AFTER", seconds * 1.4)
    monkeypatch.setitem(Target.__init__.__kwdefaults__, "grace", seconds)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """An indexer of this process waits less after a rollover: most tests have no other one."""
    set_grace(monkeypatch, SHORT_GRACE)


@pytest.fixture
def real_grace(short_grace: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests with several indexers."""
    set_grace(monkeypatch, GRACE)


@pytest.fixture
def bare(connection: Connection, client: Elasticsearch, tmp_path: Path) -> Lab:
    """A laboratory whose template is not installed."""
    logs = tmp_path / "logs"
    logs.mkdir()
    return Lab(connection, client, logs, State(tmp_path / "state"))


@pytest.fixture
def lab(bare: Lab) -> Lab:
    """A laboratory that is ready."""
    bare.install()
    return bare


@pytest.fixture
def faulty(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyLab]:
    """A laboratory whose indexer reaches the server through the fault proxy."""
    with behind_proxy(lab, monkeypatch) as faulty:
        yield faulty
