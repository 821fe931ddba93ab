"""Delivering a batch: what is counted, rejected and retried, and how long the waits are."""

from functools import partial

import elastic_transport
import pytest

from indexer.errors import Stopped
from indexer.events import Fault
from indexer.reading.entries import Rejection, entry_id
from indexer.writing.batches import Body
from indexer.writing.bulk import SETTLING
from indexer.writing.request import FIX_WAIT, RETRY_WAIT
from indexer.writing.target import LOOK_EVERY
from tests.support import faults
from tests.support.fakes import Refusal
from tests.support.sending import FILE, GENERATION, ONE, TWO, Lab, counts, pairs, stored

TOO_MANY = Refusal(429, "es_rejected_execution_exception", "queue is full")


@pytest.fixture
def lab() -> Lab:
    """A cluster that takes everything."""
    return Lab()


# ---- all is well


def test_a_batch_goes_in_with_one_request(lab: Lab) -> None:
    """One bulk request to the write index by its own name, after one look at the alias; no event but `answered`."""
    outcome, rejections = lab.deliver(pairs(5))
    assert (counts(outcome), rejections) == ((5, 0, 0), [])
    assert lab.server.entries == stored(pairs(5))
    assert [request.target for request in lab.server.requests] == [ONE]
    assert [question.ids for question in lab.server.questions] == [()]
    assert (lab.stop.waits, [name for name, _ in lab.heard.told]) == ([], ["answered"])


def test_a_batch_without_entries_sends_nothing(lab: Lab) -> None:
    """Blank and rejected lines alone need no request; the rejected ones are given back."""
    line = Rejection("0" * 28, FILE, 0, "not_an_object", "why", b"text")
    outcome, rejections = lab.deliver([], rejections=[line])
    assert (counts(outcome), rejections, lab.server.requests) == ((0, 0, 0), [line], [])


# ---- some items are not taken


def test_only_items_with_429_are_sent_again(lab: Lab) -> None:
    """Items answered with 429 are sent again without those that went in."""
    busy = {pairs(6)[n][0].decode() for n in (1, 4)}
    lab.server.refuse = lambda identity, _: TOO_MANY if identity in busy else None
    lab.stop.during = {2: busy.clear}
    outcome, rejections = lab.deliver(pairs(6))
    assert (counts(outcome), rejections) == ((6, 0, 0), [])
    assert lab.sizes == [6, 2, 2]
    assert lab.server.entries == stored(pairs(6))
    assert lab.faults == [Fault.TOO_MANY_REQUESTS] * 2
    assert lab.heard.told[-1] == ("delivery_recovered", ())


def test_rejected_items_hold_back_no_others(lab: Lab) -> None:
    """What Elasticsearch rejects is returned with file, offset, type, reason and bytes; the rest is indexed."""
    bad = entry_id(GENERATION, 4711, 1), b'{"n":1} trailing'
    outcome, rejections = lab.deliver([*pairs(3), bad])
    assert counts(outcome) == (3, 0, 1)
    (rejection,) = rejections
    assert (rejection.id, rejection.line) == (bad[0].decode(), bad[1])
    assert (rejection.file, rejection.offset) == (FILE, 4711)
    assert rejection.kind == "document_parsing_exception"
    assert rejection.reason.startswith("failed to parse: ")
    assert lab.stop.waits == []


def test_a_line_that_is_no_object_is_rejected_though_the_server_answers_500(lab: Lab) -> None:
    """The 500 that 9.x gives to a line that is no object is not tried again."""
    outcome, (rejection,) = lab.deliver([*pairs(1), (b"f" * 28, b"[1]")])
    assert (counts(outcome), rejection.kind) == ((1, 0, 1), "not_x_content_exception")
    assert lab.sizes == [2]


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal(
            400, "document_parsing_exception", "failed to parse: Duplicate field 'no write index is defined'"
        ),
        Refusal(400, "mapper_parsing_exception", "failed to parse field [pipeline with id] of type"),
    ],
    ids=["no write index", "pipeline"],
)
def test_an_entry_whose_reason_reads_like_an_outage_is_rejected(lab: Lab, refusal: Refusal) -> None:
    """A reason with the entry's own words in it, whatever they are, holds back nothing."""
    lab.server.refuse = lambda _, entry: refusal if entry == b'{"n":1}' else None
    outcome, (rejection,) = lab.deliver(pairs(3))
    assert (counts(outcome), rejection.reason) == ((2, 0, 1), refusal.reason)
    assert lab.stop.waits == []


RACE = Refusal(
    400, "illegal_argument_exception", "mapper [a] cannot be changed from type [double] to [keyword]"
)


@pytest.mark.parametrize("times", [1, SETTLING])
def test_an_entry_whose_new_field_had_two_types_at_once_is_sent_again(lab: Lab, times: int) -> None:
    """Soon the field has a type; the other entries are sent once, and no failure is reported."""
    refused = iter([RACE] * times)
    lab.server.refuse = lambda _, entry: next(refused, None) if entry == b'{"n":1}' else None
    outcome, rejections = lab.deliver(pairs(3))
    assert (counts(outcome), rejections) == ((3, 0, 0), [])
    assert lab.sizes == [3] + [1] * times
    assert (len(lab.stop.waits), lab.faults) == (times, [])
    assert sum(lab.stop.waits) < 2


@pytest.mark.parametrize("count", [3, 1])
def test_an_entry_that_keeps_being_refused_for_its_types_is_rejected(lab: Lab, count: int) -> None:
    """After a few tries, alone in its batch too."""
    lab.server.refuse = lambda _, entry: RACE if entry == b'{"n":0}' else None
    outcome, (rejection,) = lab.deliver(pairs(count))
    assert counts(outcome) == (count - 1, 0, 1)
    assert (rejection.kind, rejection.reason) == (RACE.type, RACE.reason)
    assert (len(lab.stop.waits), lab.faults) == (SETTLING, [])


# ---- the cluster is in no state to take entries


def test_a_block_is_waited_for(lab: Lab) -> None:
    """A write block answers every item with 403: all are retried slowly, and indexed when it is lifted."""
    lab.server.blocked.add(ONE)
    lab.stop.during = {3: lab.server.blocked.clear}
    outcome, rejections = lab.deliver(pairs(4))
    assert (counts(outcome), rejections) == ((4, 0, 0), [])
    assert lab.faults == [Fault.CLUSTER_STATE] * 3
    assert lab.stop.waits[0] >= FIX_WAIT[0] / 2


def test_a_missing_alias_is_waited_for(lab: Lab) -> None:
    """Without the alias nothing is sent, so that no index is created, and that is reported; with it, all is indexed."""
    lab.server.behind, behind = [], lab.server.behind
    lab.stop.elapsed = 2 * LOOK_EVERY
    lab.stop.during = {2: lambda: lab.server.behind.extend(behind)}
    outcome, rejections = lab.deliver(pairs(4))
    assert (counts(outcome), rejections) == ((4, 0, 0), [])
    assert list(lab.server.documents) == [ONE]
    assert [request.target for request in lab.server.requests] == [ONE]
    assert lab.faults == [Fault.CLUSTER_STATE] * 2
    assert "no alias" in lab.heard.of("waiting")[0][0]
    assert lab.stop.waits[0] >= FIX_WAIT[0] / 2


def test_an_alias_without_a_write_index_is_waited_for(lab: Lab) -> None:
    """Nothing is sent to any of its indices, and nothing rejected."""
    lab.server.rollover()
    lab.server.write = None
    lab.stop.elapsed = 2 * LOOK_EVERY
    lab.stop.during = {2: lambda: setattr(lab.server, "write", TWO)}
    outcome, rejections = lab.deliver(pairs(4))
    assert (counts(outcome), rejections) == ((4, 0, 0), [])
    assert [request.target for request in lab.server.requests] == [TWO]
    assert lab.faults == [Fault.CLUSTER_STATE] * 2


def test_items_of_one_answer_each_have_their_own_verdict(lab: Lab) -> None:
    """Created, duplicate, rejected and not taken yet come in one answer; only the last is sent again."""
    taken, there, bad, busy, blocked = (identity.decode() for identity, _ in pairs(5))
    lab.server.documents[ONE][there] = b"{}"
    refusals = {
        bad: Refusal(400, "document_parsing_exception", "no"),
        busy: TOO_MANY,
        blocked: Refusal(403, "cluster_block_exception", "read-only"),
    }
    lab.server.refuse = lambda identity, _: refusals.get(identity)
    lab.stop.during = {1: partial(refusals.__delitem__, busy), 2: partial(refusals.__delitem__, blocked)}
    outcome, (rejection,) = lab.deliver(pairs(5))
    assert (counts(outcome), rejection.id) == ((3, 1, 1), bad)
    assert [[identity for identity, _ in request.pairs] for request in lab.server.requests] == [
        [taken, there, bad, busy, blocked],
        [busy, blocked],
        [blocked],
    ]
    assert lab.faults == [Fault.CLUSTER_STATE] * 2, "the fault that needs a fix is reported"


# ---- requests that come to nothing

OUTAGES = {
    "no connection": (faults.no_connection, Fault.NO_ANSWER, RETRY_WAIT),
    "too many": (faults.status(429), Fault.TOO_MANY_REQUESTS, RETRY_WAIT),
    "bad gateway": (faults.status(502), Fault.SERVER_ERROR, RETRY_WAIT),
    "a page": (faults.answer(b"<html>"), Fault.NOT_AN_ANSWER, RETRY_WAIT),
    "cut": (faults.answer(b'{"errors":false,"items":[{"create'), Fault.NOT_AN_ANSWER, RETRY_WAIT),
    "too few items": (
        faults.answer(b'{"errors":false,"items":[{"create":{"_index":"x","status":201}}]}'),
        Fault.NOT_AN_ANSWER,
        RETRY_WAIT,
    ),
    "not found": (faults.status(404), Fault.NOT_AN_ANSWER, RETRY_WAIT),
    "no credentials": (faults.status(401), Fault.REFUSED, FIX_WAIT),
    "no rights": (faults.status(403), Fault.REFUSED, FIX_WAIT),
}


@pytest.mark.parametrize(("step", "fault", "pace"), OUTAGES.values(), ids=OUTAGES)
def test_a_batch_is_retried_until_an_outage_ends(
    lab: Lab, step: faults.Step, fault: Fault, pace: tuple[float, float]
) -> None:
    """The whole batch is retried until it is indexed; nothing is rejected; each wait and the end are reported."""
    lab.server.bulk_steps.extend([step] * 3)
    outcome, rejections = lab.deliver(pairs(4))
    assert (counts(outcome), rejections) == ((4, 0, 0), [])
    assert lab.sizes == [4] * 4
    assert lab.faults == [fault] * 3
    for n, wait in enumerate(lab.stop.waits):
        assert pace[0] * 2**n / 2 <= wait <= pace[0] * 2**n
    assert lab.heard.told[-1] == ("delivery_recovered", ())


@pytest.mark.parametrize("step", [faults.no_connection, faults.status(401)], ids=["fast", "slow"])
def test_the_wait_between_tries_is_bounded(lab: Lab, step: faults.Step) -> None:
    """After two thousand tries the waits are those after ten, and the batch is still indexed."""
    lab.stop.last = 3000
    lab.server.bulk_steps.extend([step] * 2000)
    outcome, _ = lab.deliver(pairs(1))
    assert (counts(outcome), len(lab.stop.waits)) == ((1, 0, 0), 2000)
    longest = RETRY_WAIT[1] if step is faults.no_connection else FIX_WAIT[1]
    assert longest / 2 <= min(lab.stop.waits[10:]) <= max(lab.stop.waits) <= longest


def test_a_new_outage_begins_with_short_waits(lab: Lab) -> None:
    """After a part went through, the next failure has the first wait, and is reported as a new one."""
    lab.server.largest = len(Body.of(pairs(4)).data)
    lab.server.bulk_steps.extend([*[faults.no_connection] * 6, faults.carried_out, faults.no_connection])
    outcome, _ = lab.deliver(pairs(8))
    assert counts(outcome) == (8, 0, 0)
    assert lab.stop.waits[5] >= RETRY_WAIT[0] * 2**5 / 2
    assert lab.stop.waits[6] <= RETRY_WAIT[0]
    assert lab.heard.of("delivery_recovered") == [(), ()]


def test_lookups_are_retried_as_requests_are(lab: Lab) -> None:
    """Before the request the alias is asked, and then the older index; that this fails rejects nothing."""
    lab.server.rollover()
    lab.stop.elapsed = 2 * LOOK_EVERY
    alias = faults.carried_out
    lab.server.question_steps.extend(
        [
            faults.no_connection,
            faults.status(403),
            faults.status(413),
            alias,  # then it has to settle
            alias,
            faults.no_connection,
            faults.status(400),
        ]
    )
    outcome, rejections = lab.deliver(pairs(4))
    assert (counts(outcome), rejections) == ((4, 0, 0), [])
    assert lab.sizes == [4]
    assert lab.faults == [
        Fault.NO_ANSWER,
        Fault.REFUSED,
        Fault.CLUSTER_STATE,
        Fault.NO_ANSWER,
        Fault.CLUSTER_STATE,
    ]


def test_a_stop_ends_the_wait(lab: Lab) -> None:
    """Stopped while nothing goes through, the sender gives up at once and claims nothing."""
    lab.server.bulk_step = faults.no_connection
    lab.stop.last = 3
    with pytest.raises(Stopped):
        lab.deliver(pairs(4))
    assert len(lab.stop.waits) == 3
    assert lab.server.entries == {}


def test_an_unexpected_exception_is_raised(lab: Lab) -> None:
    """An error that is not the client's is not waited for."""

    def broken(_request: faults.Request, _carry_out: faults.CarryOut) -> object:
        raise ZeroDivisionError

    lab.server.bulk_step = broken
    with pytest.raises(ZeroDivisionError):
        lab.deliver(pairs(1))


def test_an_answer_that_is_not_json_is_retried(lab: Lab) -> None:
    """What claims to be JSON and is none is tried again, as a page is."""

    def unreadable(_request: faults.Request, _carry_out: faults.CarryOut) -> object:
        raise elastic_transport.SerializationError("Unable to deserialize as JSON")

    lab.server.bulk_steps.append(unreadable)
    assert counts(lab.deliver(pairs(1))[0]) == (1, 0, 0)
    assert lab.faults == [Fault.NOT_AN_ANSWER]
