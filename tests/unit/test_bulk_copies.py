"""One copy of each entry, whatever is lost and wherever the alias rolls over."""

import threading
from collections.abc import Iterator
from functools import partial

import pytest

from indexer.events import Fault
from indexer.writing.batches import Body, SentBefore
from tests import faults
from tests.fakes import ALIAS, Refusal
from tests.sending import ONE, THREE, TWO, Lab, counts, pairs, stored

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
    """An entry that went into an index no longer written is not sent to the next one."""

    def roll() -> None:
        for _ in range(rollovers):
            lab.server.rollover()

    lab.server.bulk_steps.append(faults.then(faults.lost, roll))
    outcome, rejections = lab.deliver(pairs(4))
    assert (counts(outcome), rejections) == ((0, 4, 0), [])
    assert lab.server.entries == stored(pairs(4))
    assert lab.sizes == [4], "nothing was left to be sent"


@pytest.mark.parametrize("failures", range(1, 5))
def test_a_rollover_at_any_moment_leaves_one_copy(lab: Lab, failures: int) -> None:
    """Answers lost again and again, a rollover before each of them, and after each question: one copy of each entry."""
    lab.server.bulk_steps.extend([faults.then(faults.lost, lab.server.rollover)] * failures)
    lab.server.question_step = faults.then(faults.carried_out, lab.server.rollover)
    outcome, _ = lab.deliver(pairs(4))
    assert lab.server.entries == stored(pairs(4))
    assert outcome.created + outcome.duplicates == 4


def test_a_rollover_between_the_question_and_the_request_leaves_one_copy(lab: Lab) -> None:
    """What is sent after a question goes to the index that was the write index then, by its name."""
    lab.server.bulk_steps.extend([faults.lost, faults.lost])
    lab.server.question_steps.append(faults.then(faults.carried_out, lab.server.rollover))
    outcome, _ = lab.deliver(pairs(4))
    assert [request.target for request in lab.server.requests] == [ALIAS, ONE]
    assert (counts(outcome), lab.server.entries) == ((0, 4, 0), stored(pairs(4)))


def test_what_went_in_half_goes_in_whole(lab: Lab) -> None:
    """Some items are taken, a rollover comes, the rest goes into the next index: one copy of each."""
    busy = {pairs(6)[n][0].decode() for n in (1, 4)}
    lab.server.refuse = lambda identity, _: TOO_MANY if identity in busy else None
    lab.stop.during = {1: lab.server.rollover, 2: busy.clear}
    outcome, _ = lab.deliver(pairs(6))
    assert (counts(outcome), lab.server.entries) == ((6, 0, 0), stored(pairs(6)))
    assert len(lab.server.documents[TWO]) == 2


def test_what_may_have_been_sent_before_is_asked_first(lab: Lab) -> None:
    """A batch that an earlier run may have sent is looked for in the indices written since, and the rest sent."""
    lab.server.documents[ONE] = stored(pairs(3))
    lab.server.rollover()
    lab.server.rollover()
    outcome, _ = lab.deliver(pairs(5), before=SentBefore(ONE))
    assert (counts(outcome), lab.server.entries) == ((2, 3, 0), stored(pairs(5)))
    assert [(request.target, len(request.pairs)) for request in lab.server.requests] == [(THREE, 2)]


def test_the_write_index_itself_is_not_asked(lab: Lab) -> None:
    """Without a rollover since, one request does: a 409 tells what is there."""
    lab.server.documents[ONE] = stored(pairs(3))
    outcome, _ = lab.deliver(pairs(5), before=SentBefore(ONE))
    assert (counts(outcome), lab.server.entries) == ((2, 3, 0), stored(pairs(5)))
    assert [question.ids for question in lab.server.questions] == [()], "only who is behind the alias"


def test_an_index_that_does_not_tell_is_waited_for(lab: Lab) -> None:
    """While an index cannot be asked what it holds, nothing is sent that it may hold."""
    lab.server.documents[ONE] = stored(pairs(3))
    lab.server.rollover()
    closed = {"docs": [{"_id": "x", "error": {"type": "index_closed_exception"}}]}
    lab.server.question_steps.extend([faults.carried_out, lambda *_: closed])
    outcome, _ = lab.deliver(pairs(5), before=SentBefore(None))
    assert (counts(outcome), lab.server.entries) == ((2, 3, 0), stored(pairs(5)))
    assert lab.faults == [Fault.CLUSTER_STATE]
    assert "index_closed_exception" in lab.heard.of("delivery_failed")[0][1]


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
def test_one_fault_after_the_other_leaves_one_copy(shift: int) -> None:
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
