"""The indices behind the alias change while entries are on their way: one copy of each entry that is not deleted."""

from collections import Counter
from collections.abc import Callable, Iterator
from subprocess import DEVNULL
from threading import Event
from typing import Any

import pytest

from indexer.events import Fault
from indexer.writing import checkpoint
from tests.integration.conftest import Following, Lab, joined, until
from tests.real_faults.actions import late, lost, reset
from tests.real_faults.laboratory import (
    SMALL,
    FaultyLab,
    behind_proxy,
    entries,
    failures,
    first,
    until_read,
)
from tests.real_faults.proxy import carried_out


@pytest.fixture
def faulty(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyLab]:
    """A laboratory behind a proxy."""
    with behind_proxy(lab, monkeypatch) as faulty:
        yield faulty


def delete(faulty: FaultyLab, *indices: str) -> None:
    """As retention does."""
    for index in indices:
        faulty.client.indices.delete(index=index)


def point(faulty: FaultyLab, to: str, *, leaving: list[str], staying: list[str] | None = None) -> None:
    """Let the alias write to another index, leave some and stay on others for reading."""
    alias = faulty.connection.alias
    actions: list[dict[str, Any]] = [{"remove": {"index": index, "alias": alias}} for index in leaving]
    actions += [{"add": {"index": index, "alias": alias, "is_write_index": False}} for index in staying or ()]
    actions += [{"add": {"index": to, "alias": alias, "is_write_index": True}}]
    faulty.client.indices.update_aliases(actions=actions)


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


def killed_with_answers_on_their_way(faulty: FaultyLab, lines: list[bytes]) -> None:
    """Run the real command while its log grows, until two requests are carried out and not answered; then SIGKILL."""
    answering = Event()
    carried: list[int] = []

    def hold() -> None:
        carried.append(1)
        answering.wait(30)

    faulty.append(lines[:100])
    with faulty.process("run", "--batch-bytes", str(SMALL), faulty.logs, stderr=DEVNULL) as process:
        until(lambda: faulty.held().total() == 100)
        faulty.proxy.plan(carried_out, carried_out, late(hold), late(hold))
        faulty.append(lines[100:])
        until(lambda: len(carried) == 2)
        process.kill()
        process.wait()
    answering.set()


def test_a_kill_and_a_rollover_before_the_restart(faulty: FaultyLab) -> None:
    """What the killed indexer had sent without living to see the answer is found in the older index."""
    lines = entries(2000)
    killed_with_answers_on_their_way(faulty, lines)
    faulty.roll_over()
    faulty.roll_over()
    faulty.run(batch_bytes=SMALL)
    assert faulty.prove(lines, interrupted=True).duplicates > 0


def test_a_rollover_between_the_question_and_the_request(faulty: FaultyLab) -> None:
    """An entry that was sent before is sent again to the index that was asked, which is no longer written by then."""
    lines = entries(1000)
    faulty.append(lines[:10])
    with faulty.following(batch_bytes=SMALL) as following:
        until_read(following, 10)
        faulty.proxy.rule = first(1, late(faulty.roll_over), of=lambda request: "/_alias/" in request.path)
        faulty.proxy.plan(lost())
        faulty.append(lines[10:])
        until_read(following, 1000)
    assert len(faulty.behind()) == 2
    assert faulty.prove(lines).duplicates > 0


# ---- retention


def test_an_index_is_deleted_while_the_indexer_runs(faulty: FaultyLab) -> None:
    """What was in it is gone, as was asked; all else is there once, and what is sent again is not lost with it."""
    old, new = entries(500), entries(1500, start=500)
    faulty.append(old)
    with faulty.following(batch_bytes=SMALL) as following:
        until_read(following, 500)
        (oldest,) = faulty.behind()
        faulty.roll_over()

        def retire() -> None:
            delete(faulty, oldest)
            faulty.roll_over()

        faulty.proxy.plan(lost(retire), lost())
        faulty.append(new)
        until_read(following, 2000)
    assert oldest not in faulty.behind()
    assert faulty.held() == Counter(new)
    assert faulty.totals().read == 2000


def test_the_index_of_a_lost_answer_is_deleted(faulty: FaultyLab) -> None:
    """An entry whose only copy is deleted before its answer is known is sent again: there is one copy, not none."""
    lines = entries(1000)
    faulty.append(lines[:10])
    with faulty.following(batch_bytes=1_000_000) as following:
        until_read(following, 10)
        (oldest,) = faulty.behind()

        def retire() -> None:
            faulty.roll_over()
            delete(faulty, oldest)

        faulty.proxy.plan(lost(retire))
        faulty.append(lines[10:])
        until_read(following, 1000)
    assert faulty.held() == Counter(lines[10:])
    assert faulty.totals().created == 1000


def test_indices_are_deleted_while_the_indexer_is_down(faulty: FaultyLab) -> None:
    """Killed with answers on their way; the index it wrote to is deleted, rollovers come; the rest goes in once."""
    lines = entries(2000)
    killed_with_answers_on_their_way(faulty, lines)
    (oldest,) = faulty.behind()
    faulty.roll_over()
    faulty.roll_over()
    delete(faulty, oldest)
    remembered = checkpoint.read(faulty.state.state_dir)
    assert remembered is not None
    (log,) = remembered.files
    faulty.run(batch_bytes=SMALL)
    assert joined(sorted(faulty.held().elements(), key=lines.index)) == joined(lines)[log.offset :]


# ---- the alias


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
    """No entry is rejected, no index is made by mistake, what to do is said, and with the alias all goes in."""
    lines = entries(1000)
    faulty.append(lines[:500])
    with faulty.following(batch_bytes=SMALL) as following:
        until_read(following, 500)
        (index,) = faulty.behind()
        without_alias(faulty, index)
        faulty.append(lines[500:])
        following.until(lambda: following.heard.of("waiting"))
        assert not faulty.client.indices.exists(index=faulty.connection.alias)
        point(faulty, index, leaving=[])
        until_read(following, 1000)
    missing = f"There is no alias '{faulty.connection.alias}' with a write index on this cluster."
    assert {missing in sentence for (sentence,) in following.heard.of("waiting")} == {True}
    assert {fault for fault, _ in failures(following)} == {Fault.CLUSTER_STATE}
    faulty.prove(lines)


def test_a_plain_index_takes_the_aliass_name(faulty: FaultyLab) -> None:
    """Made by accident while the alias is missing, it takes no entry; that is said; once it is gone, all goes in."""
    lines = entries(1000)
    alias = faulty.connection.alias
    faulty.append(lines[:500])
    with faulty.following(batch_bytes=SMALL) as following:
        until_read(following, 500)
        (index,) = faulty.behind()
        without_alias(faulty, index)
        faulty.client.index(index=alias, document={"made": "by accident"}, refresh=True)
        faulty.append(lines[500:])
        following.until(lambda: following.heard.of("waiting"))
        assert faulty.client.count(index=alias)["count"] == 1
        delete(faulty, alias)
        point(faulty, index, leaving=[])
        until_read(following, 1000)
    accident = f"'{alias}' on this cluster is an index, and has to be an alias."
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
    """Killed with answers on their way, and what to write to is not in order: waited for, said, and one copy."""
    lines = entries(1000)
    killed_with_answers_on_their_way(faulty, lines)
    (index,) = faulty.behind()
    accident(faulty, index)
    with faulty.following(batch_bytes=SMALL) as following:
        following.until(lambda: following.heard.of("waiting"))
        if accident is an_index_instead:
            delete(faulty, faulty.connection.alias)
        point(faulty, index, leaving=[])
        following.until(lambda: faulty.held().total() >= 1000)
    ((sentence,), *_) = following.heard.of("waiting")
    assert words in sentence
    faulty.prove(lines, interrupted=True)
