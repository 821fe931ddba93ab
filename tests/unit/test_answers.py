"""The answer table, row by row, and reading bulk answers."""

from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.elastic.failures import InvalidAnswer
from indexer.events import Fault
from indexer.writing.answers import (
    ITEM,
    REQUEST,
    Answer,
    Item,
    Row,
    Verdict,
    judge,
    judge_item,
    judge_request,
    read_answer,
)


@dataclass(frozen=True, slots=True)
class Case:
    """An answer, and what it has to mean."""

    status: int
    verdict: Verdict
    fault: Fault | None = None
    type: str = ""
    reason: str = ""


STATE = Fault.CLUSTER_STATE
ITEMS = {
    "created": Case(201, Verdict.DELIVERED),
    "there as it is": Case(200, Verdict.DELIVERED),
    "there before": Case(
        409, Verdict.DUPLICATE, None, "version_conflict_engine_exception", "[1]: version conflict"
    ),
    "another conflict": Case(409, Verdict.WAIT, STATE, "some_conflict_exception"),
    "too many": Case(429, Verdict.RETRY, Fault.TOO_MANY_REQUESTS, "es_rejected_execution_exception"),
    "server fault": Case(500, Verdict.RETRY, Fault.SERVER_ERROR, "node_closed_exception"),
    "no shard": Case(503, Verdict.RETRY, Fault.SERVER_ERROR, "unavailable_shards_exception"),
    "last of the 5xx": Case(599, Verdict.RETRY, Fault.SERVER_ERROR),
    "no object": Case(500, Verdict.REJECTED, None, "not_x_content_exception", "Compressor detection …"),
    "not parsed": Case(400, Verdict.REJECTED, None, "document_parsing_exception", "failed to parse"),
    "two types at once": Case(
        400,
        Verdict.AGAIN,
        None,
        "illegal_argument_exception",
        "mapper [a] cannot be changed from type [double] to [keyword]",
    ),
    "a value and an object at once": Case(
        400,
        Verdict.AGAIN,
        None,
        "illegal_argument_exception",
        "can't merge a non object mapping [a] with an object mapping",
    ),
    "too many fields": Case(
        400, Verdict.REJECTED, None, "illegal_argument_exception", "Limit of total fields"
    ),
    "no write index": Case(
        400,
        Verdict.WAIT,
        STATE,
        "illegal_argument_exception",
        "no write index is defined for alias [a]. The …",
    ),
    "closed index": Case(400, Verdict.WAIT, STATE, "index_closed_exception", "closed"),
    "no such pipeline": Case(
        400, Verdict.WAIT, STATE, "illegal_argument_exception", "pipeline with id [x] does not exist"
    ),
    "block": Case(403, Verdict.WAIT, STATE, "cluster_block_exception", "index [a] blocked by: …"),
    "no rights on the index": Case(403, Verdict.WAIT, Fault.REFUSED, "security_exception"),
    "no alias": Case(404, Verdict.WAIT, STATE, "index_not_found_exception", "no such index [a] and …"),
    "unheard of": Case(418, Verdict.WAIT, STATE),
    "beyond HTTP": Case(999, Verdict.WAIT, STATE),
    "a redirect": Case(302, Verdict.WAIT, STATE),
}
REQUESTS = {
    "too large": Case(413, Verdict.SPLIT),
    "bad request": Case(400, Verdict.SPLIT),
    "no credentials": Case(401, Verdict.WAIT, Fault.REFUSED),
    "no rights": Case(403, Verdict.WAIT, Fault.REFUSED),
    "too many": Case(429, Verdict.RETRY, Fault.TOO_MANY_REQUESTS),
    "server fault": Case(500, Verdict.RETRY, Fault.SERVER_ERROR),
    "bad gateway": Case(502, Verdict.RETRY, Fault.SERVER_ERROR),
    "last of the 5xx": Case(599, Verdict.RETRY, Fault.SERVER_ERROR),
    "no answer": Case(0, Verdict.RETRY, Fault.NO_ANSWER),
    "a page": Case(200, Verdict.RETRY, Fault.NOT_AN_ANSWER),
    "a redirect": Case(302, Verdict.RETRY, Fault.NOT_AN_ANSWER),
    "nothing there": Case(404, Verdict.RETRY, Fault.NOT_AN_ANSWER),
    "beyond HTTP": Case(999, Verdict.RETRY, Fault.NOT_AN_ANSWER),
}


@pytest.mark.parametrize("case", ITEMS.values(), ids=ITEMS)
def test_an_item_means(case: Case) -> None:
    """The answer to one entry has this verdict and this fault."""
    row = judge(ITEM, case.status, case.type, case.reason)
    assert (row.verdict, row.fault) == (case.verdict, case.fault)


@pytest.mark.parametrize("case", REQUESTS.values(), ids=REQUESTS)
def test_a_request_means(case: Case) -> None:
    """The answer to a whole request has this verdict and this fault."""
    row = judge(REQUEST, case.status)
    assert (row.verdict, row.fault) == (case.verdict, case.fault)


@pytest.mark.parametrize("words", ["no write index is defined", "pipeline with id"])
def test_a_quoted_entry_does_not_change_the_verdict(words: str) -> None:
    """A reason that quotes the entry does not turn its rejection into a fault of the cluster, however it is worded."""
    reason = f"[1:22] failed to parse: Duplicate field '{words}'"
    assert judge(ITEM, 400, "document_parsing_exception", reason).verdict is Verdict.REJECTED


@given(st.integers(0, 999), st.text(max_size=40), st.text(max_size=40))
def test_every_answer_has_a_verdict(status: int, error_type: str, reason: str) -> None:
    """There is no answer that the tables do not know, and none that loses an entry without a word from Elasticsearch."""
    assert judge(REQUEST, status).verdict in {Verdict.SPLIT, Verdict.WAIT, Verdict.RETRY}
    verdict = judge(ITEM, status, error_type, reason).verdict
    assert (verdict is Verdict.DELIVERED) == (status in {200, 201})
    assert verdict is not Verdict.REJECTED or status in {400, 500}


@pytest.mark.parametrize("row", [*ITEM, *REQUEST], ids=str)
def test_retried_verdicts_have_a_fault(row: Row) -> None:
    """Each wait has a reason to report; no other verdict has one."""
    assert (row.fault is not None) == (row.verdict in {Verdict.RETRY, Verdict.WAIT})


# ---- reading an answer

INDICES = st.sampled_from(["a-000001", "a-000002", 'odd"}}name'])
SOUND = st.builds(lambda index: {"create": {"_index": index, "status": 201}}, INDICES)
THERE = st.builds(lambda index: {"create": {"_index": index, "status": 200}}, INDICES)
FAILED = st.builds(
    lambda index, status, reason: {
        "create": {"_index": index, "status": status, "error": {"type": "t", "reason": reason}}
    },
    INDICES,
    st.sampled_from([400, 409, 429, 503]),
    st.text(max_size=5),
)


def bulk_answer(items: list[Any]) -> bytes:
    return orjson.dumps({"errors": any("error" in str(item) for item in items), "items": items})


def told(answer: Answer, count: int) -> list[tuple[int, str]]:
    """What an answer says of each entry, however it was read."""
    if answer.index is not None:
        return [(201, answer.index)] * count
    return [(item.status, item.index) for item in answer.items]


@given(st.lists(SOUND | THERE | FAILED, min_size=1, max_size=6))
def test_what_is_recognised_equals_what_is_parsed(items: list[Any]) -> None:
    """An answer says of each entry what its JSON says, recognised by its bytes or not."""
    expected = [(item["create"]["status"], item["create"]["_index"]) for item in items]
    assert told(read_answer(bulk_answer(items), len(items)), len(items)) == expected


@given(SOUND | THERE, st.integers(1, 50))
def test_the_same_for_all_is_recognised(item: Any, count: int) -> None:
    """An answer that says the same of all entries is read as that, and as the parsed one would be."""
    data = orjson.dumps({"errors": False, "items": [item] * count})
    answer = read_answer(data, count)
    spaced = read_answer(data.replace(b'"errors":false', b'"errors": false'), count)  # is parsed for sure
    assert told(answer, count) == told(spaced, count)
    if item["create"]["status"] == 201 and '"' not in str(item["create"]["_index"]):
        assert answer == Answer(str(item["create"]["_index"]))


@given(st.lists(SOUND | FAILED, max_size=6), st.integers(1, 7))
def test_another_number_of_items_is_no_answer(items: list[Any], count: int) -> None:
    """An answer to fewer or more entries than were sent tells nothing of any of them."""
    data = bulk_answer(items)
    if len(items) == count:
        assert len(told(read_answer(data, count), count)) == count
    else:
        with pytest.raises(InvalidAnswer):
            read_answer(data, count)


@given(st.lists(SOUND | FAILED, min_size=1, max_size=3), st.data())
def test_a_cut_answer_is_no_answer(items: list[Any], data: st.DataObject) -> None:
    """An answer that breaks off anywhere tells nothing."""
    whole = bulk_answer(items)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(InvalidAnswer):
        read_answer(whole[:cut], len(items))


NO_ANSWERS = {
    "a page": b"<html><body>502 Bad Gateway</body></html>",
    "nothing": b"",
    "a list": b"[]",
    "null": b"null",
    "no items": b'{"errors":false}',
    "items of null": b'{"errors":false,"items":[null]}',
    "items of numbers": b'{"errors":false,"items":[1]}',
    "an empty item": b'{"errors":false,"items":[{}]}',
    "an item of two": b'{"errors":false,"items":[{"create":{"status":201},"index":{"status":201}}]}',
    "no status": b'{"errors":false,"items":[{"create":{"_index":"a"}}]}',
    "a status in words": b'{"errors":false,"items":[{"create":{"_index":"a","status":"201"}}]}',
    "an index of null": b'{"errors":false,"items":[{"create":{"_index":null,"status":201}}]}',
    "an error in words": b'{"errors":true,"items":[{"create":{"_index":"a","status":400,"error":"no"}}]}',
    "no UTF-8": b'{"errors":true,"items":[{"create":{"_index":"\xff","status":400}}]}',
    "parsed by the client": {"acknowledged": True},
}


@pytest.mark.parametrize("data", NO_ANSWERS.values(), ids=NO_ANSWERS)
def test_anything_else_is_no_answer(data: object) -> None:
    """What is not of the form of a bulk answer tells nothing, and raises nothing but that."""
    with pytest.raises(InvalidAnswer):
        read_answer(data, 1)


def error_of(error: object) -> Item:
    result = {"create": {"_index": "a", "status": 400, "error": error}}
    (item,) = read_answer(orjson.dumps({"errors": True, "items": [result]}), 1).items
    return item


def test_the_reason_goes_down_to_the_first_cause() -> None:
    """Each cause is there once, the most general first; one without a reason by its type."""
    error = {
        "type": "document_parsing_exception",
        "reason": "failed to parse",
        "caused_by": {"type": "io", "reason": "failed to parse", "caused_by": {"type": "deepest"}},
    }
    assert error_of(error) == Item(400, "a", "document_parsing_exception", "failed to parse: deepest")


def test_a_reason_with_half_a_surrogate_pair_is_read() -> None:
    """Elasticsearch quotes an entry's lone surrogate as it is; the answer is read all the same, the reason made sound."""
    data = (
        b'{"errors":true,"items":[{"create":{"_index":"a","status":201}},{"create":{"_index":"a","status":400,'
        b'"error":{"type":"document_parsing_exception","reason":"Duplicate field \'\\uD800\'"}}}]}'
    )
    created, refused = read_answer(data, 2).items
    assert (created.status, refused.reason) == (201, "Duplicate field '?'")


def test_what_takes_more_memory_than_the_server_ever_gives_is_sent_alone() -> None:
    """429 with figures: temporary if the server is full, permanent if the operation is larger than the limit."""
    kind = "es_rejected_execution_exception"
    reason = "rejected execution of primary operation [coordinating_and_primary_bytes=0, replica_bytes=0, "
    reason += "all_bytes=0, primary_operation_bytes=%d, max_primary_bytes=53687091]"
    assert judge_item(Item(429, "i", kind, reason % 66000056)).verdict is Verdict.ALONE
    assert judge_item(Item(429, "i", kind, reason % 53687091)).verdict is Verdict.RETRY
    assert judge_item(Item(429, "i", kind, "queue full")).verdict is Verdict.RETRY
    assert judge_item(Item(200, "i", "", "")).verdict is Verdict.DELIVERED


def test_a_request_that_is_larger_than_all_the_server_gives_is_never_waited_for() -> None:
    """429 for a whole request: halved, or rejected, only if its own size is more than the limit; else it is for now."""
    pressure = (
        "rejected execution of coordinating operation [coordinating_and_primary_bytes=0, replica_bytes=0, "
    )
    pressure += "all_bytes=0, coordinating_operation_bytes=%d, max_coordinating_bytes=53687091]"
    assert judge_request(429, pressure % 60000134, 60000100).verdict is Verdict.ALONE
    assert judge_request(429, pressure % 53687091, 53687000).verdict is Verdict.RETRY
    breaker = "[in_flight_requests] Data too large, data for [<http_request>] would be [629145600/600mb], "
    breaker += "which is larger than the limit of [536870912/512mb]"
    assert judge_request(429, breaker, 536870913).verdict is Verdict.ALONE
    assert judge_request(429, breaker, 536870912).verdict is Verdict.RETRY
    assert judge_request(503, pressure % 60000134, 60000100).verdict is Verdict.RETRY
    parent = "[parent] Data too large, data for [<http_request>] would be [281954138/268.8mb], which is larger than "
    parent += (
        "the limit of [255013683/243.1mb], real usage: [228354048/217.7mb], new bytes reserved: [%d/51.1mb]"
    )
    assert judge_request(429, parent % 53600090, 26800045).verdict is Verdict.RETRY, "it fits beside less"
    assert judge_request(429, parent % 300000000, 150000000).verdict is Verdict.ALONE


# As 8.19.16 and 9.5.0 say it, with 256 MB of heap; 7.17.28 has max_coordinating_and_primary_bytes at the end.
PRIMARY = (
    "rejected execution of primary operation [coordinating_and_primary_bytes={0}, replica_bytes=0, all_bytes={0}, "
    "primary_operation_bytes={1}, max_primary_bytes=26843545]"
)
TOO_MUCH = "es_rejected_execution_exception"


@pytest.mark.parametrize(
    ("size", "count", "under_way", "operation", "verdict"),
    [
        pytest.param(6_000_044, 1, 6_000_222, 24_000_056, Verdict.ALONE, id="with its own request, never"),
        pytest.param(6_000_044, 1, 6_000_044 + 5_000_000, 24_000_056, Verdict.DOUBT, id="busy, too"),
        pytest.param(6_000_121, 3, 6_000_652, 24_000_056, Verdict.ALONE, id="among others"),
        pytest.param(6_000_121, 3, 9_000_652, 24_000_056, Verdict.ALONE, id="among others, busy"),
        pytest.param(5_300_044, 1, 8_000_000, 21_200_056, Verdict.RETRY, id="fits an idle node"),
        pytest.param(6_000_044, 1, 1_000_000, 24_000_056, Verdict.RETRY, id="on another node, fits"),
        pytest.param(6_000_044, 1, 0, 27_000_056, Verdict.ALONE, id="on another node, never"),
        pytest.param(5_000_000, 900, 26_000_000, 40_000, Verdict.RETRY, id="small ones, busy"),
    ],
)
def test_all_figures_of_an_answer_count(
    size: int, count: int, under_way: int, operation: int, verdict: Verdict
) -> None:
    """From 9.1 on an entry counts with its request and four times more: each fits, the sum may never."""
    for limit in ("max_primary_bytes", "max_coordinating_and_primary_bytes"):
        reason = PRIMARY.format(under_way, operation).replace("max_primary_bytes", limit)
        row = judge_item(Item(429, "i", TOO_MUCH, reason), size, count)
        assert (row.verdict, row.fault) == (verdict, Fault.TOO_MANY_REQUESTS)


def test_what_others_have_under_way_is_not_held_against_a_request() -> None:
    """A refused request is not counted: the operations in flight belong to others."""
    reason = (
        "rejected execution of coordinating operation [coordinating_and_primary_bytes=0, replica_bytes=0, "
    )
    reason += "all_bytes=9000000, coordinating_operation_bytes=20000302, max_coordinating_bytes=26843545]"
    assert judge_request(429, reason, 20_000_045).verdict is Verdict.RETRY


def test_an_operation_above_the_largest_allowed_never_fits() -> None:
    """As 9.1.5 and 9.5.0 say it where `indexing_pressure.memory.max_operation_size` is set."""
    reason = "Request contains an operation of size [2000240] bytes, "
    reason += "which exceeds the maximum allowed limit of [1048576] bytes"
    for count in (1, 2):
        assert judge_item(Item(429, "i", TOO_MUCH, reason), 2_000_060, count).verdict is Verdict.ALONE


def test_a_failure_of_the_server_may_be_due_to_the_entry() -> None:
    """A 500 makes an entry a suspect; a 503, which is about the server's state, does not."""
    assert judge_item(Item(500, "i", "null_pointer_exception", "")).verdict is Verdict.DOUBT
    assert judge_item(Item(500, "i", "not_x_content_exception", "")).verdict is Verdict.REJECTED
    assert judge_item(Item(503, "i", "unavailable_shards_exception", "")).verdict is Verdict.RETRY


@pytest.mark.parametrize(
    ("status", "verdict", "fault"),
    [
        (400, Verdict.DOUBT, Fault.NOT_AN_ANSWER),
        (413, Verdict.SPLIT, None),
        (401, Verdict.WAIT, Fault.REFUSED),
        (403, Verdict.WAIT, Fault.REFUSED),
        (429, Verdict.RETRY, Fault.TOO_MANY_REQUESTS),
        (502, Verdict.RETRY, Fault.SERVER_ERROR),
        (404, Verdict.RETRY, Fault.NOT_AN_ANSWER),
    ],
)
def test_the_status_of_a_page_counts(status: int, verdict: Verdict, fault: Fault | None) -> None:
    """A proxy's page means what its status means, but for 400: the judgement on an entry is Elasticsearch's."""
    row = judge_request(status, f"status {status}", 1000, page=True)
    assert (row.verdict, row.fault) == (verdict, fault)
