"""Two indexers on the same logs, each with a state directory of its own."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from tests.support.lab import LOG, Lab
from tests.support.real_faults.actions import late
from tests.support.real_faults.laboratory import SMALL, FaultyLab, behind_proxy, entries, until_read

pytestmark = pytest.mark.usefixtures("real_grace")


@pytest.fixture
def one(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyLab]:
    """A laboratory behind a proxy."""
    with behind_proxy(lab, monkeypatch) as faulty:
        yield faulty


@pytest.fixture
def two(one: FaultyLab, tmp_path: Path) -> FaultyLab:
    """The other indexer's."""
    return one.with_state(tmp_path / "state of two")


def test_at_the_same_time(one: FaultyLab, two: FaultyLab) -> None:
    """While the log grows and rotates, each entry is created once, by either; both count it as delivered."""
    lines = entries(3000)
    log = one.append(lines[:500])
    with one.following(batch_bytes=SMALL) as first, two.following(batch_bytes=SMALL) as second:
        until_read(second, 100)
        one.append(lines[500:1500])
        until_read(first, 1000)
        log.rename(one.logs / f"{LOG}.1")
        one.append(lines[1500:])
        until_read(first, 3000)
        until_read(second, 3000)
    created = one.prove(lines).created + two.prove(lines).created
    assert created == 3000


def test_one_after_the_other_across_rollovers(one: FaultyLab, two: FaultyLab) -> None:
    """What a log holds when it is first seen is looked for in every index: the second one creates nothing."""
    lines = entries(1500)
    for start in (0, 500, 1000):
        one.append(lines[start : start + 500])
        one.run()
        one.roll_over()
    with two.following(batch_bytes=SMALL) as second:
        until_read(second, 1500)
    assert two.prove(lines).duplicates == 1500


def test_a_rollover_while_one_lags_behind_the_other(one: FaultyLab, two: FaultyLab) -> None:
    """What one has sent before a rollover, the other, whose requests stand still, does not send to the new index."""
    lines = entries(1000)
    one.append(lines[:100])
    ahead = Lab(two.real, two.client, two.logs, two.state)
    gate = Event()
    with one.following(batch_bytes=SMALL) as first, ahead.following() as second:
        until_read(first, 100)
        until_read(second, 100)
        one.proxy.plan(late(gate.wait), late(gate.wait))
        one.append(lines[100:])
        until_read(second, 1000)
        one.roll_over()
        gate.set()
        until_read(first, 1000)
    assert one.held() == Counter(lines)
    assert replace(one, connection=one.real).verify().agrees
