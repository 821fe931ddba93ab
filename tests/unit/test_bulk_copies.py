"""One copy of each entry, whatever is lost and wherever the alias rolls over."""

import threading
from collections.abc import Callable, Iterator
from functools import partial

import elastic_transport
import pytest

from indexer.errors import Stopped
from indexer.events import Fault
from indexer.writing.batches import Body
from indexer.writing.target import GRACE, LOOK_EVERY
from tests.support import faults
from tests.support.fakes import FakeElasticsearch, Refusal
from tests.support.sending import ONE, THREE, TWO, Lab, counts, pairs, stored

TOO_MANY = Refusal(429, "es_rejected_execution_exception", "queue is full")


@pytest.fixture
def lab() -> Lab:
    """A cluster that takes everything."""
    return Lab()


def test_a_lost_answer_leaves_duplicates(lab: Lab) -> None:
    """What was carried out although its answer was lost answers 409 the next time, and is counted as duplicate."""
    lab.server.bulk_steps.append(faults.lost)
    outcome, rejections = lab.deliver(pairs(4))
    assert (counts(outcome), rejections) == ((0, 4, 0), [])
    assert lab.server.entries == stored(pairs(4))


@pytest.mark.parametrize("rollovers", [1, 2, 3])
def test_a_lost_answer_and_rollovers_leave_one_copy(lab: Lab, rollovers: int) -> None:
    """What may be in an index is sent again to that index by its name, though it is no longer the write index."""

    def roll() -> None:
        for _ in range(rollovers):
            lab.server.rollover()
        lab.stop.elapsed += 2 * LOOK_EVERY

    lab.server.bulk_steps.append(faults.then(faults.lost, roll))
    outcome, rejections = lab.deliver(pairs(4))
    assert (counts(outcome), rejections) == ((0, 4, 0), [])
    assert lab.server.entries == stored(pairs(4))
    assert [request.target for request in lab.server.requests] == [ONE, ONE]


@pytest.mark.parametrize("failures", range(1, 5))
def test_a_rollover_at_any_moment_leaves_one_copy(lab: Lab, failures: int) -> None:
    """Answers lost again and again, a rollover before each of them, and after each question: one copy of each entry."""

    def roll() -> None:
        lab.server.rollover()
        lab.stop.elapsed += 2 * LOOK_EVERY

    lab.server.bulk_steps.extend([faults.then(faults.lost, roll)] * failures)
    questions = iter(range(8))
    lab.server.question_step = faults.then(
        faults.carried_out, lambda: lab.server.rollover() if next(questions, None) else None
    )
    outcome, _ = lab.deliver(pairs(4))
    assert lab.server.entries == stored(pairs(4))
    assert outcome.created + outcome.duplicates == 4


@pytest.mark.parametrize("rollovers", [1, 2])
def test_a_request_that_is_carried_out_late_leaves_one_copy(lab: Lab, rollovers: int) -> None:
    """The client gave it up, the alias rolled over, the next try was answered, and then it is carried out."""
    late: list[faults.CarryOut] = []

    def give_up(_request: faults.Request, carry_out: faults.CarryOut) -> object:
        late.append(carry_out)
        for _ in range(rollovers):
            lab.server.rollover()
        lab.stop.elapsed += 2 * LOOK_EVERY
        raise elastic_transport.ConnectionTimeout("Connection timed out")

    lab.server.bulk_steps.append(give_up)
    outcome, _ = lab.deliver(pairs(4))
    assert counts(outcome) == (4, 0, 0)
    for carry_out in late:
        carry_out()
    assert lab.server.entries == stored(pairs(4))


def test_a_batch_that_was_taken_in_part_is_completed(lab: Lab) -> None:
    """Some items are taken, the alias rolls over, the rest is sent to the old index: one copy of each."""
    busy = {pairs(6)[n][0].decode() for n in (1, 4)}
    lab.server.refuse = lambda identity, _: TOO_MANY if identity in busy else None

    def roll() -> None:
        lab.server.rollover()
        lab.stop.elapsed += 2 * LOOK_EVERY

    lab.stop.during = {1: roll, 2: busy.clear}
    outcome, _ = lab.deliver(pairs(6))
    assert (counts(outcome), lab.server.entries) == ((6, 0, 0), stored(pairs(6)))
    assert {request.target for request in lab.server.requests} == {ONE}


@pytest.mark.parametrize(
    "shut",
    [
        lambda server: server.blocked.add(ONE),
        lambda server: (server.behind.remove(ONE), server.documents.pop(ONE)),
    ],
    ids=["blocked", "deleted"],
)
def test_a_blocked_closed_or_deleted_index_is_replaced_by_the_new_one(
    lab: Lab, shut: Callable[[FakeElasticsearch], object]
) -> None:
    """Lost answers and a rollover, and then the old index is shut: what it lacks goes to the new one."""
    there = pairs(2)

    def lose(_request: faults.Request, _carry_out: faults.CarryOut) -> object:
        lab.server.documents[ONE] = stored(there)
        lab.server.rollover()
        shut(lab.server)
        lab.stop.elapsed += 2 * LOOK_EVERY
        raise elastic_transport.ConnectionTimeout("Connection timed out")

    lab.server.bulk_steps.append(lose)
    outcome, rejections = lab.deliver(pairs(4))
    assert (outcome.created + outcome.duplicates, rejections) == (4, [])
    assert lab.server.entries == stored(pairs(4))
    assert stored(pairs(2, 2)).items() <= lab.server.documents[TWO].items()


# ---- what an older index may hold


def rolled_over(lab: Lab, times: int = 1) -> None:
    """Let the alias roll over, and the lab notice it long ago."""
    for _ in range(times):
        lab.server.rollover()
    lab.stop.elapsed += 2 * LOOK_EVERY
    lab.target.look()
    lab.stop.elapsed += GRACE
    lab.server.questions.clear()


def test_older_indices_are_asked_before_entries_are_sent(lab: Lab) -> None:
    """Only entries that no older index holds are sent: another sender may have delivered a restored log."""
    lab.server.documents[ONE] = stored(pairs(2))
    rolled_over(lab, 2)
    lab.server.documents[TWO] = stored(pairs(1, 2))
    outcome, _ = lab.deliver(pairs(5))
    assert (counts(outcome), lab.server.entries) == ((2, 3, 0), stored(pairs(5)))
    assert [(request.target, len(request.pairs)) for request in lab.server.requests] == [(THREE, 2)]


def test_the_only_index_is_not_asked(lab: Lab) -> None:
    """One request does: a 409 tells what is there."""
    lab.server.documents[ONE] = stored(pairs(3))
    outcome, _ = lab.deliver(pairs(5))
    assert (counts(outcome), lab.server.entries) == ((2, 3, 0), stored(pairs(5)))
    assert [question.ids for question in lab.server.questions] == [()]


def test_nothing_is_sent_while_an_older_index_does_not_answer(lab: Lab) -> None:
    """While an index cannot be asked what it holds, nothing is sent that it may hold."""
    lab.server.documents[ONE] = stored(pairs(3))
    rolled_over(lab)
    closed = {"docs": [{"error": {"type": "index_closed_exception"}}] * 5}
    lab.server.question_steps.extend([faults.carried_out, lambda *_: closed])
    outcome, _ = lab.deliver(pairs(5))
    assert (counts(outcome), lab.server.entries) == ((2, 3, 0), stored(pairs(5)))
    assert lab.faults == [Fault.CLUSTER_STATE]
    assert "index_closed_exception" in lab.heard.of("delivery_failed")[0][1]


# ---- other senders


def test_nothing_goes_to_a_new_index_within_the_grace_period(lab: Lab) -> None:
    """A sender that has not noticed the rollover yet sends the same lines to the old index meanwhile: one copy."""
    lab.stop.elapsed = 2 * LOOK_EVERY
    other = Lab(server=lab.server)
    other.target.look()
    lab.server.rollover()
    lab.stop.during = {1: lambda: other.deliver(pairs(4))}
    outcome, _ = lab.deliver(pairs(6))
    assert lab.stop.waits[0] == pytest.approx(GRACE)
    assert [request.target for request in lab.server.requests] == [ONE, TWO]
    assert (counts(outcome), lab.server.entries) == ((2, 4, 0), stored(pairs(6)))


def test_a_stop_ends_the_wait_for_a_new_index(lab: Lab) -> None:
    """Nothing is sent then."""
    lab.stop.elapsed = 2 * LOOK_EVERY
    lab.server.rollover()
    lab.stop.last = 1
    with pytest.raises(Stopped):
        lab.deliver(pairs(4))
    assert lab.server.requests == []


@pytest.mark.parametrize("shift", range(5))
def test_two_senders_of_the_same_lines_leave_one_copy(lab: Lab, shift: int) -> None:
    """In turns, with answers lost and rollovers, each noticed by one of them later than by the other."""
    other = Lab(server=lab.server, stop=lab.stop)
    lose = faults.then(faults.lost, lab.server.rollover)
    steps = [faults.carried_out, lose, faults.status(503), lose, faults.no_connection]
    lab.server.bulk_steps.extend((steps[shift:] + steps[:shift]) * 2)
    lab.stop.last = 500
    for n in range(6):
        for sender in (lab, other) if n % 2 else (other, lab):
            outcome, _ = sender.deliver(pairs(8, 4 * n))
            assert outcome.created + outcome.duplicates == 8
            lab.stop.elapsed += 0.4
    assert lab.server.entries == stored(pairs(28))


# ---- one fault after the other


def test_halves_of_a_lost_request_leave_one_copy(lab: Lab) -> None:
    """Answers lost and rollovers between the halves of a request too large leave one copy of each entry."""
    lab.server.largest = len(Body.of(pairs(4)).data)
    lose = faults.then(faults.lost, lab.server.rollover)
    lab.server.bulk_steps.extend([lose, faults.carried_out, lose, lose])
    outcome, rejections = lab.deliver(pairs(16))
    assert (outcome.created + outcome.duplicates, rejections) == (16, [])
    assert lab.server.entries == stored(pairs(16))


def each_step(lab: Lab) -> Iterator[faults.Step]:
    lose = faults.then(faults.lost, lab.server.rollover)
    yield from (faults.carried_out, lose, faults.status(413), faults.status(503), faults.no_connection, lose)


@pytest.mark.parametrize("shift", range(6))
def test_any_sequence_of_faults_leaves_one_copy(shift: int) -> None:
    """Lost answers, rollovers, splits and outages in any order: all is in, once."""
    lab = Lab()
    steps = list(each_step(lab))
    lab.server.bulk_steps.extend((steps[shift:] + steps[:shift]) * 2)
    for n in range(4):
        outcome, rejections = lab.deliver(pairs(8, 8 * n))
        assert (outcome.created + outcome.duplicates, rejections) == (8, [])
    assert lab.server.entries == stored(pairs(32))


def test_several_threads_may_send_at_once(lab: Lab) -> None:
    """Batches sent by threads at the same time, with answers lost and rollovers, are each there once."""
    lose = faults.then(faults.lost, lab.server.rollover)
    lab.server.bulk_steps.extend([lose, faults.status(503), faults.carried_out] * 5)
    threads = [threading.Thread(target=partial(lab.deliver, pairs(8, 8 * n))) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lab.server.entries == stored(pairs(80))
