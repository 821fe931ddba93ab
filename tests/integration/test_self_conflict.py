"""Entries whose new field has values of several types: whatever a server refuses of them, it refuses for good."""

import itertools

import orjson
import pytest

from indexer.writing.request import Backoff
from tests.support.lab import Lab

VALUES: tuple[object, ...] = (
    1, 2.5, "x", "2026-01-01", True, None, {}, {"b": 1}, {"b": "x"}, {"b": {"c": 1}}, [], [1, "x"], [{"b": 1}, "x"],
)  # fmt: skip


def _entries() -> list[bytes]:
    """Each two of the values in one new field: in an array, and under a name with a dot beside an object."""
    pairs = list(itertools.product(VALUES, repeat=2))
    arrays = [{f"a{number}": pair} for number, pair in enumerate(pairs)]
    dotted = [{f"d{number}": {"e": one}, f"d{number}.e": other} for number, (one, other) in enumerate(pairs)]
    return [orjson.dumps(entry) for entry in (*arrays, *dotted)]


def test_an_entry_that_conflicts_with_itself_is_rejected_at_once(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not hold up its batch, as one does that lost a race for the type of a new field."""
    pauses: list[float] = []
    monkeypatch.setattr(Backoff, "pause", lambda _, seconds: pauses.append(seconds))
    entries = _entries()
    lab.append(entries)
    totals = lab.run().totals
    assert pauses == []
    assert (totals.read, totals.created + totals.rejected) == (len(entries), len(entries))
    assert lab.verify().agrees
