"""The indices behind the alias change while entries are in flight: one copy of each entry that is not deleted."""

import time
from collections import Counter

import pytest

from indexer.writing import checkpoint
from indexer.writing.target import LOOK_EVERY
from tests.support.lab import Following, joined
from tests.support.real_faults.actions import late, lost, reset
from tests.support.real_faults.laboratory import (
    SMALL,
    FaultyLab,
    entries,
    failures,
    first,
    reported,
    until_read,
)
from tests.support.real_faults.proxy import carried_out


def outlast(following: Following, tries: int) -> None:
    """Wait until so many more tries have failed."""
    before = len(failures(following))
    following.until(lambda: len(failures(following)) >= before + tries)


# ---- rollovers


@pytest.mark.parametrize("rollovers", [1, 3])
def test_a_rollover_between_a_request_and_its_lost_answer(faulty: FaultyLab, rollovers: int) -> None:
    """What went into an index that is no longer written is not sent to the next one."""
    lines = entries(2000)

    def roll_over() -> None:
        for _ in range(rollovers):
            faulty.roll_over()

    faulty.append(lines[:10])
    with faulty.following(batch_bytes=SMALL) as following:
        until_read(following, 10)
        faulty.proxy.plan(lost(roll_over), carried_out, lost(roll_over))
        faulty.append(lines[10:])
        until_read(following, 2000)
    assert len(faulty.behind()) == 1 + 2 * rollovers
    assert faulty.prove(lines).duplicates > 0


def test_rollovers_during_an_outage(faulty: FaultyLab) -> None:
    """The last requests before the outage were carried out, and the cluster has rolled over several times since."""
    lines = entries(2000)
    faulty.append(lines[:10])
    with faulty.following(batch_bytes=SMALL) as following:
        until_read(following, 10)
        faulty.proxy.plan(lost(), lost())
        faulty.proxy.all(reset)
        faulty.append(lines[10:])
        for _ in range(3):
            outlast(following, 5)
            faulty.roll_over()
        faulty.proxy.all(carried_out)
        until_read(following, 2000)
    assert faulty.prove(lines).duplicates > 0


@pytest.mark.parametrize("rollovers", [1, 2])
def test_a_rollover_after_each_request(faulty: FaultyLab, rollovers: int) -> None:
    """However the two senders' requests lie between rollovers and lost answers."""
    lines = entries(1500)
    faulty.append(lines[:10])
    with faulty.following(batch_bytes=SMALL) as following:
        until_read(following, 10)
        for _ in range(rollovers):
            faulty.proxy.plan(lost(faulty.roll_over), late(faulty.roll_over), lost(), late(faulty.roll_over))
        faulty.append(lines[10:])
        until_read(following, 1500)
    assert faulty.proxy.done
    faulty.prove(lines)


def test_a_kill_and_a_rollover_before_the_restart(faulty: FaultyLab) -> None:
    """What the killed indexer had in flight is found in the older index."""
    lines = entries(2000)
    faulty.kill_with_requests_in_flight(lines)
    faulty.roll_over()
    faulty.roll_over()
    faulty.run(batch_bytes=SMALL)
    assert faulty.prove(lines, interrupted=True).duplicates > 0


def test_a_rollover_between_the_question_and_the_request(faulty: FaultyLab) -> None:
    """After a look at the alias it rolls over: what is sent goes into the index that was seen, as does what is sent again."""
    lines = entries(1000)
    faulty.append(lines[:10])
    with faulty.following(batch_bytes=SMALL) as following:
        until_read(following, 10)
        time.sleep(LOOK_EVERY)
        faulty.proxy.rule = first(1, late(faulty.roll_over), of=lambda request: "/_alias/" in request.path)
        faulty.proxy.plan(lost())
        faulty.append(lines[10:])
        until_read(following, 1000)
    assert len(faulty.behind()) == 2
    assert faulty.prove(lines).duplicates > 0


# ---- retention


def test_an_index_is_deleted_while_the_indexer_runs(faulty: FaultyLab) -> None:
    """What was in it is gone, as was asked; all else is there once, and what is sent again is not lost with it.

    One sender: another's request might be answered, and so delivered, by the old index just before it is deleted.
    """
    old, new = entries(500), entries(1500, start=500)
    faulty.append(old)
    with faulty.following(batch_bytes=SMALL, senders=1) as following:
        until_read(following, 500)
        (oldest,) = faulty.behind()
        faulty.roll_over()

        def retire() -> None:
            faulty.delete(oldest)
            faulty.roll_over()

        faulty.proxy.plan(lost(retire), lost())
        faulty.append(new)
        until_read(following, 2000)
    assert oldest not in faulty.behind()
    assert faulty.held() == Counter(new)
    assert faulty.totals().read == 2000


def test_the_deleted_write_index_is_not_created_anew(faulty: FaultyLab) -> None:
    """Entries sent to it after the last look at the alias are refused: in an index outside the alias nobody finds them."""
    old, new = entries(100), entries(500, start=100)
    faulty.roll_over()
    kept, written = faulty.behind()
    faulty.append(old)
    with faulty.following(batch_bytes=SMALL) as following:
        until_read(following, 100)
        time.sleep(LOOK_EVERY)
        faulty.proxy.requests.clear()
        faulty.proxy.rule = first(
            1, late(lambda: faulty.delete(written)), of=lambda request: "/_alias/" in request.path
        )
        faulty.append(new)
        following.until(reported(following, "no write index"))
        assert any(request.bulk and f"/{written}" in request.path for request in faulty.proxy.requests)
        assert list(faulty.client.indices.get(index=f"{faulty.connection.alias}-0*")) == [kept]
        marked = {"index": kept, "alias": faulty.connection.alias, "is_write_index": True}
        faulty.client.indices.update_aliases(actions=[{"add": marked}])
        until_read(following, 600)
    assert faulty.held() == Counter(new)


def test_the_index_of_a_lost_answer_is_deleted(faulty: FaultyLab) -> None:
    """An entry whose only copy is deleted before its answer is known is sent again: there is one copy, not none.

    One sender: another one's request might be answered by the old index just before it is deleted.
    """
    lines = entries(1000)
    faulty.append(lines[:10])
    with faulty.following(batch_bytes=1_000_000, senders=1) as following:
        until_read(following, 10)
        (oldest,) = faulty.behind()

        def retire() -> None:
            faulty.roll_over()
            faulty.delete(oldest)

        faulty.proxy.plan(lost(retire))
        faulty.append(lines[10:])
        until_read(following, 1000)
    assert faulty.held() == Counter(lines[10:])
    assert faulty.totals().created == 1000


def test_indices_are_deleted_while_the_indexer_is_down(faulty: FaultyLab) -> None:
    """Killed with requests in flight; its index is deleted after rollovers; the rest is indexed once."""
    lines = entries(2000)
    faulty.kill_with_requests_in_flight(lines)
    (oldest,) = faulty.behind()
    faulty.roll_over()
    faulty.roll_over()
    faulty.delete(oldest)
    remembered = checkpoint.read(faulty.state.state_dir)
    assert remembered is not None
    (log,) = remembered.files
    faulty.run(batch_bytes=SMALL)
    assert joined(sorted(faulty.held().elements(), key=lines.index)) == joined(lines)[log.offset :]
