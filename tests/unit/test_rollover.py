"""Which indices are old, and what the next one is called: no server needed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.elastic.alias import is_ours, next_index, number
from indexer.settings import RolloverPolicy
from indexer.setup.plan import Call
from indexer.setup.rollover import RolloverPlan, conditions, expired, rollover_call

ALIAS = "zoomdata-activity"
DAY = 86_400_000


def name(index: int) -> str:
    return f"{ALIAS}-{index:06}"


def chain(*days: int) -> dict[str, int]:
    """Indices created on these days."""
    return {name(place): day * DAY for place, day in enumerate(days, 1)}


def test_an_index_is_kept_so_long_after_the_next_one_began() -> None:
    """Not after its own beginning: its last entry came when the next one began."""
    created = chain(0, 10, 20)
    assert expired(created, name(3), ALIAS, 14 * DAY, 5 * DAY) == []
    assert expired(created, name(3), ALIAS, 15 * DAY - 1, 5 * DAY) == []
    assert expired(created, name(3), ALIAS, 15 * DAY, 5 * DAY) == [name(1)]
    assert expired(created, name(3), ALIAS, 25 * DAY, 5 * DAY) == [name(1), name(2)]


def test_for_ever_deletes_nothing() -> None:
    """However old."""
    assert expired(chain(0, 1, 2), name(3), ALIAS, 10**9 * DAY, None) == []


def test_an_index_without_its_successor_is_kept_longer() -> None:
    """The next one that is left tells when it gave way at the latest."""
    created = chain(0, 10, 20)
    del created[name(2)]
    assert expired(created, name(3), ALIAS, 24 * DAY, 5 * DAY) == []
    assert expired(created, name(3), ALIAS, 25 * DAY, 5 * DAY) == [name(1)]


def test_names_are_ordered_by_number() -> None:
    """The millionth rollover comes after the one before it."""
    created = {name(999_999): 0, name(1_000_000): DAY, name(1_000_001): 2 * DAY}
    assert expired(created, name(1_000_001), ALIAS, 9 * DAY, DAY) == [name(999_999), name(1_000_000)]


@given(
    days=st.dictionaries(
        st.sampled_from(
            [*map(name, range(1, 8)), "restored-000001", f"{ALIAS}-old", f"{ALIAS}-archive-000001"]
        ),
        st.integers(0, 100),
        min_size=1,
    ),
    data=st.data(),
    now=st.integers(0, 10**6),
    retained=st.one_of(st.none(), st.integers(1, 100)),
)
def test_neither_the_write_index_nor_a_stranger_nor_the_last_is_ever_deleted(
    days: dict[str, int], data: st.DataObject, now: int, retained: int | None
) -> None:
    """Whatever is behind the alias, whichever of it is written, whatever the clocks say."""
    writing = data.draw(st.sampled_from(sorted(days)))
    deleted = expired(days, writing, ALIAS, now, retained)
    ours = [index for index in days if is_ours(index, ALIAS)]
    assert writing not in deleted
    assert set(deleted) <= set(ours)
    assert not ours or max(ours, key=number) not in deleted
    assert all(any(days[later] <= now for later in ours if later > index) for index in deleted)


@pytest.mark.parametrize(
    ("index", "after"),
    [
        ("a-000001", "a-000002"),
        ("a-b-000009", "a-b-000010"),
        ("a-999999", "a-1000000"),
        ("a-1", "a-000002"),
        ("a", None),
        ("a-b", None),
        ("000001", None),
        ("a-\u0663", None),
    ],
)
def test_the_next_index_is_called_as_elasticsearch_would_call_it(index: str, after: str | None) -> None:
    """Six digits at least; a name without a number has no next one."""
    assert next_index(index) == after


def test_a_rollover_names_the_index_that_gives_way() -> None:
    """By its successor, so that a second request of the same kind is refused instead of rolling over again."""
    assert rollover_call(ALIAS, name(1)) == Call("POST", f"/{ALIAS}/_rollover/{name(2)}")
    assert rollover_call(ALIAS, "old") == Call("POST", f"/{ALIAS}/_rollover")


def test_what_is_to_do_are_requests_in_order() -> None:
    """First the new index, then the old ones."""
    when = {"conditions": {"max_age": "7d", "max_primary_shard_size": "1gb"}}
    rollover_policy = RolloverPolicy(rollover_age="7d", rollover_size="1gb")
    assert RolloverPlan(ALIAS, None, name(3), True, (name(1), name(2)), ()).calls(rollover_policy) == [  # noqa: FBT003
        Call("POST", f"/{ALIAS}/_rollover/{name(4)}", when),
        Call("PUT", f"/{name(3)}/_block/write"),
        Call("DELETE", f"/{name(1)}"),
        Call("DELETE", f"/{name(2)}"),
    ]
    assert RolloverPlan(ALIAS, "policy", name(3), False, (), ()).calls(rollover_policy) == []  # noqa: FBT003


@pytest.mark.parametrize(
    ("size", "shards", "whole"),
    [("50gb", 3, "150gb"), ("1gb", 1, "1gb"), ("10b", 12, "120b"), ("25tb", 2, "50tb")],
)
def test_a_server_that_looks_at_all_shards_together_is_given_the_size_of_all(
    size: str, shards: int, whole: str
) -> None:
    """So that an index of several shards is rolled over when its shards are as large as those of an index of one."""
    rollover_policy = RolloverPolicy(rollover_age="7d", rollover_size=size)
    assert conditions(rollover_policy, shards) == {"max_age": "7d", "max_size": whole}
    assert conditions(rollover_policy) == {"max_age": "7d", "max_primary_shard_size": size}


def test_the_plan_of_several_shards_sends_the_size_of_all() -> None:
    """Printed and sent alike."""
    rollover_policy = RolloverPolicy(rollover_age="7d", rollover_size="1gb")
    due = RolloverPlan(ALIAS, None, name(3), due=True, expired=(), writable=(), shards=3)
    when = {"conditions": {"max_age": "7d", "max_size": "3gb"}}
    assert due.calls(rollover_policy)[0] == Call("POST", f"/{ALIAS}/_rollover/{name(4)}", when)
