"""Requests that are refused as such: halved, down to the entry that is to blame, if it is any entry's fault."""

import pytest

from indexer.events import Fault
from indexer.reading.entries import entry_id
from indexer.writing.batches import Body
from indexer.writing.bulk import SLOW, Stopped
from tests import faults
from tests.faults import Request
from tests.sending import GENERATION, Lab, counts, pairs, stored


@pytest.fixture
def lab() -> Lab:
    """A cluster that takes everything."""
    return Lab()


def poisoned(words: bytes, code: int = 400) -> faults.Step:
    """Refuse each request that holds these words, as a whole."""

    def step(request: Request, carry_out: faults.CarryOut) -> object:
        if any(words in entry for _, entry in request.pairs):
            faults.refused(code, "illegal_argument_exception", "cannot read that")
        return carry_out()

    return step


def test_a_request_too_large_is_halved(lab: Lab) -> None:
    """413 is met by halves until they pass; each entry goes in once, none is rejected."""
    lab.server.largest = len(Body.of(pairs(3)).data)
    outcome, rejections = lab.deliver(pairs(16))
    assert (counts(outcome), rejections) == ((16, 0, 0), [])
    assert lab.server.entries == stored(pairs(16))
    assert max(lab.sizes) <= 3
    assert lab.stop.waits == []


@pytest.mark.parametrize("others", [0, 1, 6])
def test_an_entry_too_large_for_any_request_is_rejected(lab: Lab, others: int) -> None:
    """A single entry that answers 413 is rejected, be it alone in its batch or among others, which go in."""
    lab.server.largest = 1000
    huge = entry_id(GENERATION, 5, 5), b'{"a":"%b"}' % (b"x" * 1000)
    outcome, (rejection,) = lab.deliver([huge, *pairs(others)])
    assert (counts(outcome), lab.server.entries) == ((others, 0, 1), stored(pairs(others)))
    assert (rejection.id, rejection.line, rejection.kind) == (huge[0].decode(), huge[1], "request_refused")
    assert "413" in rejection.reason
    assert lab.stop.waits == []


@pytest.mark.parametrize("poison", [{0}, {7}, {3, 4}, {0, 3, 7}, set(range(8))], ids=str)
def test_poisoned_entries_are_found_by_bisection(lab: Lab, poison: set[int]) -> None:
    """Entries whose request is refused with 400 are rejected; their neighbours go in."""
    some = [
        (identity, b'{"poison":1}' if n in poison else entry) for n, (identity, entry) in enumerate(pairs(8))
    ]
    lab.server.bulk_step = poisoned(b"poison")
    outcome, rejections = lab.deliver(some)
    sound = stored(pair for n, pair in enumerate(some) if n not in poison)
    assert (counts(outcome), lab.server.entries) == ((8 - len(poison), 0, len(poison)), sound)
    assert sorted(rejection.offset // 100 for rejection in rejections) == sorted(poison)
    assert lab.stop.waits == []


def test_a_poisoned_entry_alone_in_its_batch_is_rejected(lab: Lab) -> None:
    """With no neighbour to prove that requests are understood, a harmless one does."""
    lab.server.bulk_step = poisoned(b"n")
    outcome, (rejection,) = lab.deliver(pairs(1))
    assert (counts(outcome), rejection.kind) == ((0, 0, 1), "request_refused")
    assert lab.server.entries == {}


def test_a_refusal_of_everything_is_no_entrys_fault(lab: Lab) -> None:
    """While each request is refused, whatever it holds, nothing is rejected: the sender waits, slowly."""
    lab.server.bulk_step = faults.status(400)
    lab.stop.last = 4
    with pytest.raises(Stopped):
        lab.deliver(pairs(4))
    assert lab.faults == [Fault.CLUSTER_STATE] * 4
    assert lab.stop.waits[-1] >= SLOW[0] * 8 / 2


@pytest.mark.parametrize("code", [400, 413])
def test_after_a_refusal_of_everything_all_goes_in(lab: Lab, code: int) -> None:
    """A proxy that refuses all for a while, whenever it ends, rejects no entry."""
    for refusals in range(1, 12):
        lab = Lab()
        lab.server.bulk_steps.extend([faults.status(code)] * refusals)
        outcome, rejections = lab.deliver(pairs(4))
        assert (counts(outcome), rejections) == ((4, 0, 0), [])
        assert lab.server.entries == stored(pairs(4))


@pytest.mark.parametrize("others", [0, 1, 6])
def test_an_entry_that_the_server_never_has_room_for_is_rejected(lab: Lab, others: int) -> None:
    """A whole request whose size alone is beyond the server's limit is not waited for; the others go in."""

    def step(request: Request, carry_out: faults.CarryOut) -> object:
        size = sum(len(entry) for _, entry in request.pairs)
        if size > 1000:
            figures = f"coordinating_operation_bytes={size}, max_coordinating_bytes=1000]"
            faults.refused(429, "es_rejected_execution_exception", f"rejected execution [{figures}")
        return carry_out()

    lab.server.bulk_step = step
    huge = entry_id(GENERATION, 5, 5), b'{"a":"%b"}' % (b"x" * 1000)
    outcome, (rejection,) = lab.deliver([huge, *pairs(others)])
    assert (counts(outcome), lab.server.entries) == ((others, 0, 1), stored(pairs(others)))
    assert (rejection.line, rejection.kind) == (huge[1], "request_refused")
    assert lab.stop.waits == []
