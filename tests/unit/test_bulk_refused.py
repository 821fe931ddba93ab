"""Requests that are refused as a whole: split down to the entry that causes it, if an entry does."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from indexer.errors import Stopped
from indexer.events import Fault
from indexer.reading.entries import entry_id
from indexer.writing.batches import Body, Pair
from indexer.writing.bulk import TRIES, Outcome
from indexer.writing.request import FIX_WAIT, RETRY_WAIT
from indexer.writing.target import LOOK_EVERY
from tests.support import faults
from tests.support.fakes import Refusal
from tests.support.faults import Request
from tests.support.sending import GENERATION, Lab, counts, pairs, stored


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
    """A request with 413 is split until its parts pass; each entry is indexed once, none is rejected."""
    lab.server.largest = len(Body.of(pairs(3)).data)
    outcome, rejections = lab.deliver(pairs(16))
    assert (counts(outcome), rejections) == ((16, 0, 0), [])
    assert lab.server.entries == stored(pairs(16))
    assert max(lab.sizes) <= 3
    assert lab.stop.waits == []


@pytest.mark.parametrize("others", [0, 1, 6])
def test_an_entry_too_large_for_any_request_is_rejected(lab: Lab, others: int) -> None:
    """A single entry with 413 is rejected, alone in its batch or among others, which are indexed."""
    lab.server.largest = 1000
    huge = entry_id(GENERATION, 5, 5), b'{"a":"%b"}' % (b"x" * 1000)
    outcome, (rejection,) = lab.deliver([huge, *pairs(others)])
    assert (counts(outcome), lab.server.entries) == ((others, 0, 1), stored(pairs(others)))
    assert (rejection.id, rejection.line, rejection.kind) == (huge[0].decode(), huge[1], "request_refused")
    assert "413" in rejection.reason
    assert lab.stop.waits == []


@pytest.mark.parametrize("poison", [{0}, {7}, {3, 4}, {0, 3, 7}, set(range(8))], ids=str)
def test_poisoned_entries_are_found_by_bisection(lab: Lab, poison: set[int]) -> None:
    """Entries whose own request gets 400 are rejected; the others are indexed."""
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
    """A harmless request shows that the server works."""
    lab.server.bulk_step = poisoned(b"n")
    outcome, (rejection,) = lab.deliver(pairs(1))
    assert (counts(outcome), rejection.kind) == ((0, 0, 1), "request_refused")
    assert lab.server.entries == {}


def test_a_refusal_of_all_requests_rejects_no_entry(lab: Lab) -> None:
    """While each request is refused, whatever it holds, nothing is rejected: the sender waits, slowly."""
    lab.server.bulk_step = faults.status(400)
    lab.stop.last = 4
    with pytest.raises(Stopped):
        lab.deliver(pairs(4))
    assert lab.faults == [Fault.CLUSTER_STATE] * 4
    assert lab.stop.waits[-1] >= FIX_WAIT[0] * 8 / 2


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
    """A request that is larger than the server's limit is not retried; the others are indexed."""

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


# ---- entries at which the server fails, or somebody on the way

FAILURE = Refusal(500, "null_pointer_exception", "Cannot invoke that")
CROWDED = Refusal(
    429,
    "es_rejected_execution_exception",
    "rejected execution of primary operation [coordinating_and_primary_bytes=90, replica_bytes=0, all_bytes=90, "
    "primary_operation_bytes=900, max_primary_bytes=930]",
)


@pytest.mark.parametrize(("poison", "count"), [({0}, 2), ({3}, 4), ({1, 5, 6}, 9), ({8}, 9)], ids=str)
def test_an_entry_at_which_the_server_fails_is_rejected_in_the_end(
    lab: Lab, poison: set[int], count: int
) -> None:
    """After some tries, each reported; the others are indexed with the first."""
    bad = {pairs(count)[n][0].decode() for n in poison}
    lab.server.refuse = lambda identity, _: FAILURE if identity in bad else None
    outcome, rejections = lab.deliver(pairs(count))
    assert counts(outcome) == (count - len(bad), 0, len(bad))
    assert {rejection.id for rejection in rejections} == bad
    assert {(rejection.kind, rejection.reason) for rejection in rejections} == {
        (FAILURE.type, FAILURE.reason)
    }
    assert lab.sizes == [count] + [len(bad)] * TRIES
    assert lab.faults == [Fault.SERVER_ERROR] * TRIES
    assert "status 500" in lab.heard.of("delivery_failed")[0][1]
    assert lab.stop.waits[-1] >= RETRY_WAIT[0] * 2 ** (TRIES - 1) / 2, "the waits grow"
    assert lab.heard.of("delivery_recovered") == [()]


@pytest.mark.parametrize("tries", [1, TRIES - 1])
def test_an_entry_that_goes_in_after_some_failures_is_not_rejected(lab: Lab, tries: int) -> None:
    """A failure that passes rejects nothing."""
    bad = {pairs(4)[2][0].decode()}
    lab.server.refuse = lambda identity, _: FAILURE if identity in bad else None
    lab.stop.during = {tries: bad.clear}
    outcome, rejections = lab.deliver(pairs(4))
    assert (counts(outcome), rejections, lab.server.entries) == ((4, 0, 0), [], stored(pairs(4)))


@pytest.mark.parametrize("count", [1, 5])
def test_a_server_that_fails_at_all_entries_rejects_none(lab: Lab, count: int) -> None:
    """However long it lasts; when the server recovers, all are indexed."""
    lab.server.refuse = lambda *_: FAILURE
    lab.stop.during = {40: lambda: setattr(lab.server, "refuse", lambda *_: None)}
    outcome, rejections = lab.deliver(pairs(count))
    assert (counts(outcome), rejections) == ((count, 0, 0), [])
    assert lab.faults == [Fault.SERVER_ERROR] * 40
    assert lab.heard.of("delivery_recovered") == [()], "it is told once that it is well"


def test_a_server_that_fails_at_all_entries_from_now_on_rejects_none(lab: Lab) -> None:
    """Part of a request went in before it broke; now it fails at whatever it is sent."""
    last = {identity.decode() for identity, _ in pairs(2, 2)}
    lab.server.refuse = lambda identity, _: FAILURE if identity in last else None
    items = b'{"errors":true,"items":[%b]}'
    failed = b'{"create":{"_index":"i","status":500,"error":{"type":"e","reason":"r"}}}'

    def failing(request: Request, _carry_out: faults.CarryOut) -> object:
        return items % b",".join([failed] * len(request.pairs))

    def well() -> None:
        lab.server.bulk_step = faults.carried_out
        last.clear()

    lab.stop.during = {1: lambda: setattr(lab.server, "bulk_step", failing), 30: well}
    outcome, rejections = lab.deliver(pairs(4))
    assert (counts(outcome), rejections) == ((4, 0, 0), [])


def beside(lab: Lab, some: Sequence[Pair]) -> Outcome:
    """Deliver another batch with the same sender, as another of its threads does."""
    other = Lab(lab.server)
    other.sender = lab.sender
    return other.deliver(some)[0]


def test_neighbours_in_another_batch_count(lab: Lab) -> None:
    """An entry alone in its batch stays a suspect until entries of other batches are indexed."""
    bad = pairs(1)[0][0].decode()
    lab.server.refuse = lambda identity, _: FAILURE if identity == bad else None
    lab.stop.last = 100

    lab.stop.during = {TRIES + 20: lambda: beside(lab, pairs(3, 7))}
    outcome, (rejection,) = lab.deliver(pairs(1))
    assert (counts(outcome), rejection.id, len(lab.stop.waits)) == ((0, 0, 1), bad, TRIES + 20)


def test_a_busy_node_has_time_to_make_room(lab: Lab) -> None:
    """An entry that does not fit beside what may be its own request is rejected after some tries only."""
    big = entry_id(GENERATION, 5, 5), b'{"a":"%b"}' % (b"x" * 50)
    busy = replace(CROWDED, reason=CROWDED.reason.replace("=90,", "=5000,"))
    lab.server.refuse = lambda identity, _: busy if identity == big[0].decode() else None
    lab.stop.during = {3: lambda: setattr(lab.server, "refuse", lambda *_: None)}
    assert counts(lab.deliver([big, *pairs(3)])[0]) == (4, 0, 0)
    assert lab.faults == [Fault.TOO_MANY_REQUESTS] * 3


@pytest.mark.parametrize("others", [0, 1, 6])
def test_an_entry_that_never_fits_beside_its_own_request_is_rejected(lab: Lab, others: int) -> None:
    """All figures of the answer count; nothing waits."""
    big = entry_id(GENERATION, 5, 5), b'{"a":"%b"}' % (b"x" * 50)

    def step(request: Request, carry_out: faults.CarryOut) -> object:
        lab.server.refuse = lambda *_: CROWDED if big[0].decode() in dict(request.pairs) else None
        return carry_out()

    lab.server.bulk_step = step
    outcome, (rejection,) = lab.deliver([*pairs(others), big])
    assert (counts(outcome), lab.server.entries) == ((others, 0, 1), stored(pairs(others)))
    assert (rejection.line, rejection.kind) == (big[1], CROWDED.type)
    assert lab.stop.waits == []


def page(code: int, words: bytes = b"") -> faults.Step:
    """A proxy's page for each request that holds these words."""

    def step(request: Request, carry_out: faults.CarryOut) -> object:
        if any(words in entry for _, entry in request.pairs) and "update" not in request.operations:
            raise faults.page(code)
        return carry_out()

    return step


@pytest.mark.parametrize("code", [400, 413, 500, 502, 503, 404])
@pytest.mark.parametrize("poison", [{0}, {3}, {2, 6}], ids=str)
def test_an_entry_whose_request_is_answered_by_a_page_is_found(lab: Lab, code: int, poison: set[int]) -> None:
    """A proxy refuses requests with one entry: the others are indexed, it is rejected in the end."""
    some = [
        (identity, b'{"poison":1}' if n in poison else entry) for n, (identity, entry) in enumerate(pairs(8))
    ]
    lab.server.bulk_step = page(code, b"poison")
    lab.stop.last = 200
    outcome, rejections = lab.deliver(some)
    sound = stored(pair for n, pair in enumerate(some) if n not in poison)
    assert (counts(outcome), lab.server.entries) == ((8 - len(poison), 0, len(poison)), sound)
    assert {(one.offset // 100, one.line, one.kind) for one in rejections} == {
        (n, b'{"poison":1}', "request_refused") for n in poison
    }
    assert all(f"status {code}" in one.reason for one in rejections)


@pytest.mark.parametrize("code", [400, 500, 502, 401, 403, 429, 404])
@pytest.mark.parametrize("probed", [True, False], ids=["probes too", "probes go through"])
def test_pages_for_all_requests_reject_nothing(lab: Lab, code: int, *, probed: bool) -> None:
    """However long it lasts, and though a harmless request may pass; when it ends, all are indexed."""
    lab.server.bulk_step = faults.raised(faults.page(code)) if probed else page(code)
    lab.stop.last = 200
    lab.stop.during = {60: lambda: setattr(lab.server, "bulk_step", faults.carried_out)}
    outcome, rejections = lab.deliver(pairs(4))
    assert (counts(outcome), rejections, lab.server.entries) == ((4, 0, 0), [], stored(pairs(4)))


def test_failed_lookups_reject_no_entry(lab: Lab) -> None:
    """While an index cannot be asked, the batch stays whole, however long, though other requests pass."""

    def unanswered(request: Request, carry_out: faults.CarryOut) -> object:
        return faults.status(503)(request, carry_out) if request.ids else carry_out()

    lab.server.rollover()
    lab.stop.elapsed += LOOK_EVERY
    lab.server.question_step = unanswered
    lab.stop.during = {40: lambda: setattr(lab.server, "question_step", faults.carried_out)}
    outcome, rejections = lab.deliver(pairs(4))
    assert (counts(outcome), rejections, lab.sizes) == ((4, 0, 0), [], [4])
    assert len(lab.stop.waits) == 40


@pytest.mark.parametrize("code", [500, 502, 503, 404])
def test_a_batch_is_not_split_during_an_outage(lab: Lab, code: int) -> None:
    """While no request passes, a batch stays whole, however long."""
    lab.server.bulk_step = faults.status(code)
    lab.stop.during = {30: lambda: setattr(lab.server, "bulk_step", faults.carried_out)}
    outcome, rejections = lab.deliver(pairs(8))
    assert (counts(outcome), rejections) == ((8, 0, 0), [])
    assert set(lab.sizes) == {8}


def test_a_rejected_entry_does_not_end_the_tries_of_a_suspect(lab: Lab) -> None:
    """An entry whose request Elasticsearch refuses is rejected; one at which it fails for a while has its tries."""
    some = pairs(6)
    bad = {some[1][0].decode()}
    lab.server.bulk_step = poisoned(b'"n":4')
    lab.server.refuse = lambda identity, _: FAILURE if identity in bad else None
    lab.stop.during = {4: bad.clear}
    outcome, (rejection,) = lab.deliver(some)
    assert (counts(outcome), rejection.id) == ((5, 0, 1), some[4][0].decode())
