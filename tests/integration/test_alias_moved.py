"""The alias is moved, removed or replaced while entries are in flight: one copy of each entry."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from indexer.events import Fault
from indexer.writing.target import LOOK_EVERY
from tests.support.real_faults.actions import lost
from tests.support.real_faults.laboratory import (
    SMALL,
    FaultyLab,
    entries,
    failures,
    until_read,
)
from tests.support.real_faults.proxy import carried_out


def point(faulty: FaultyLab, to: str, *, leaving: list[str], staying: list[str] | None = None) -> None:
    """Let the alias write to another index, leave some and stay on others for reading."""
    alias = faulty.connection.alias
    actions: list[dict[str, Any]] = [{"remove": {"index": index, "alias": alias}} for index in leaving]
    actions += [{"add": {"index": index, "alias": alias, "is_write_index": False}} for index in staying or ()]
    actions += [{"add": {"index": to, "alias": alias, "is_write_index": True}}]
    faulty.client.indices.update_aliases(actions=actions)


def test_the_alias_is_moved_to_another_index(faulty: FaultyLab) -> None:
    """Entries go on into the other one; over both, each is there once, though answers are lost meanwhile."""
    lines = entries(2000)
    other = f"{faulty.connection.alias}-restored"
    faulty.client.indices.create(index=other)
    faulty.append(lines[:500])
    with faulty.following(batch_bytes=SMALL) as following:
        until_read(following, 500)
        before = faulty.behind()

        def move() -> None:
            point(faulty, other, leaving=[], staying=before)

        faulty.proxy.plan(lost(move), carried_out, lost())
        faulty.append(lines[500:])
        until_read(following, 2000)
    assert faulty.behind() == sorted([*before, other])
    faulty.prove(lines)


def test_the_alias_is_moved_to_an_index_that_numbers_anew(faulty: FaultyLab) -> None:
    """The numbers of rollovers say nothing about indices of another name."""
    lines = entries(2000)
    alias = faulty.connection.alias
    (oldest,) = faulty.behind()
    fifth = f"{alias}-000005"
    faulty.client.indices.rollover(alias=alias, new_index=fifth)
    other = f"{alias}-restored-000001"
    faulty.client.indices.create(index=other)
    faulty.append(lines[:500])
    with faulty.following(batch_bytes=SMALL, senders=1) as following:
        until_read(following, 500)
        point(faulty, other, leaving=[], staying=[oldest, fifth])
        faulty.proxy.plan(lost(faulty.roll_over))
        faulty.append(lines[500:])
        until_read(following, 2000)
    assert f"{alias}-restored-000002" in faulty.behind()
    assert faulty.prove(lines).duplicates > 0


def test_the_alias_leaves_an_index_behind(faulty: FaultyLab) -> None:
    """Entries that went where the alias no longer points stay there; the others are behind the alias once.

    The index that it points to has an older name, and is rolled over in its turn before an answer is lost.
    """
    lines = entries(1000)
    alias = faulty.connection.alias
    other = f"{alias}-000000"
    faulty.client.indices.create(index=other)
    faulty.append(lines[:500])
    with faulty.following(batch_bytes=SMALL) as following:
        until_read(following, 500)
        (left,) = faulty.behind()
        point(faulty, other, leaving=[left])
        time.sleep(LOOK_EVERY)
        faulty.proxy.plan(
            lost(lambda: faulty.client.indices.rollover(alias=alias, new_index=f"{alias}-next"))
        )
        faulty.append(lines[500:])
        until_read(following, 1000)
    assert faulty.held() == Counter(lines[500:])
    point(faulty, f"{alias}-next", leaving=[], staying=[left, other])
    assert faulty.prove(lines).duplicates > 0


def without_alias(faulty: FaultyLab, index: str) -> None:
    faulty.client.indices.delete_alias(index=index, name=faulty.connection.alias)


def test_the_alias_is_missing_for_a_while(faulty: FaultyLab) -> None:
    """No entry is rejected, no index is created by mistake, the hint is logged; with the alias all is indexed."""
    lines = entries(1000)
    faulty.append(lines[:500])
    with faulty.following(batch_bytes=SMALL) as following:
        until_read(following, 500)
        (index,) = faulty.behind()
        without_alias(faulty, index)
        time.sleep(LOOK_EVERY)
        faulty.append(lines[500:])
        following.until(lambda: following.heard.of("waiting"))
        assert not faulty.client.indices.exists(index=faulty.connection.alias)
        point(faulty, index, leaving=[])
        until_read(following, 1000)
    missing = f"There is no alias '{faulty.connection.alias}' with a write index on {faulty.proxy.url}."
    assert any(missing in sentence for (sentence,) in following.heard.of("waiting"))
    assert {fault for fault, _ in failures(following)} == {Fault.CLUSTER_STATE}
    faulty.prove(lines)


def test_a_plain_index_takes_the_aliass_name(faulty: FaultyLab) -> None:
    """Created by accident while the alias is missing, it takes no entry and is reported; once deleted, all is indexed."""
    lines = entries(1000)
    alias = faulty.connection.alias
    faulty.append(lines[:500])
    with faulty.following(batch_bytes=SMALL) as following:
        until_read(following, 500)
        (index,) = faulty.behind()
        without_alias(faulty, index)
        faulty.client.index(index=alias, document={"made": "by accident"}, refresh=True)
        time.sleep(LOOK_EVERY)
        faulty.append(lines[500:])
        following.until(lambda: following.heard.of("waiting"))
        assert faulty.client.count(index=alias)["count"] == 1
        faulty.delete(alias)
        point(faulty, index, leaving=[])
        until_read(following, 1000)
    accident = f"'{alias}' on {faulty.proxy.url} is an index, and has to be an alias."
    assert accident in following.heard.of("waiting")[0][0]
    faulty.prove(lines)


Accident = Callable[[FaultyLab, str], None]


def nothing_instead(faulty: FaultyLab, index: str) -> None:
    without_alias(faulty, index)


def an_index_instead(faulty: FaultyLab, index: str) -> None:
    without_alias(faulty, index)
    faulty.client.indices.create(index=faulty.connection.alias)


def no_write_index(faulty: FaultyLab, index: str) -> None:
    faulty.client.indices.create(index=f"{faulty.connection.alias}-second")
    alias = faulty.connection.alias
    both = [{"add": {"index": f"{alias}*", "alias": alias, "is_write_index": False}}]
    faulty.client.indices.update_aliases(actions=both)


@pytest.mark.parametrize(
    ("accident", "words"),
    [
        (nothing_instead, "There is no alias"),
        (an_index_instead, "is an index, and has to be an alias"),
        (no_write_index, "There is no alias"),
    ],
)
def test_an_alias_in_disorder_at_a_restart(faulty: FaultyLab, accident: Accident, words: str) -> None:
    """Killed with requests in flight, restarted without a write index: it waits, reports it, and leaves one copy."""
    lines = entries(1000)
    faulty.kill_with_requests_in_flight(lines)
    (index,) = faulty.behind()
    accident(faulty, index)
    with faulty.following(batch_bytes=SMALL) as following:
        following.until(lambda: following.heard.of("waiting"))
        if accident is an_index_instead:
            faulty.delete(faulty.connection.alias)
        point(faulty, index, leaving=[])
        following.until(lambda: faulty.held().total() >= 1000)
    ((sentence,), *_) = following.heard.of("waiting")
    assert words in sentence
    faulty.prove(lines, interrupted=True)
