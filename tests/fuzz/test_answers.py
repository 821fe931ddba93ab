"""Bulk answers of whatever bytes: an answer to each entry that was sent, each with a verdict, or not an answer."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from indexer.elastic.failures import InvalidAnswer, describe
from indexer.writing.answers import Verdict, judge_item, judge_request, read_answer

WORDS = [
    *(
        "version_conflict_engine_exception",
        "not_x_content_exception",
        "security_exception",
        "a",
        "\ud83d",
        "\x1b[2J",
    ),
    *(
        "no write index is defined",
        "pipeline with id",
        "all_bytes=1, primary_operation_bytes=9, max_primary_bytes=8]",
    ),
    "coordinating_operation_bytes=99999999999999999999999999, max_coordinating_bytes=1]",
    "of size [1] bytes, which exceeds the maximum allowed limit of [1]",
    "[parent] Data too large, data for [x] is [1/1b], which is larger than the limit of [1/1b], new bytes reserved: [9/",
    "action [a] is unauthorized for user [u] on indices [i], this action is granted by the index privileges [p]",
]
TEXTS = st.sampled_from(WORDS) | st.text(max_size=10)
STATUSES = st.sampled_from([200, 201, 400, 403, 404, 409, 429, 500, 503, 599, 999]) | st.integers()
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
CAUSES = st.recursive(
    ANYTHING,
    lambda inner: st.fixed_dictionaries(
        {}, optional={"type": TEXTS | ANYTHING, "reason": TEXTS | ANYTHING, "caused_by": inner}
    ),
    max_leaves=5,
)
RESULTS = st.fixed_dictionaries(
    {}, optional={"_index": TEXTS | ANYTHING, "status": STATUSES | ANYTHING, "error": CAUSES}
)
ITEMS = st.dictionaries(st.sampled_from(["create", "index", "x"]), RESULTS | ANYTHING, max_size=2) | ANYTHING
BULK = (
    st.fixed_dictionaries({"errors": st.booleans(), "items": st.lists(ITEMS, max_size=4) | ANYTHING})
    | ANYTHING
)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """Nearly a bulk answer: with parts of another form, cut, doubled, with other bytes in it, or deep."""
    if draw(st.booleans()):
        item = draw(ITEMS)
        value: Any = {"errors": False, "items": [item] * draw(st.integers(0, 4))}
    else:
        value = draw(BULK)
    data = json.dumps(value, separators=(",", ":"), ensure_ascii=draw(st.booleans())).encode(
        errors="surrogatepass"
    )
    match draw(st.sampled_from(["as it is", "cut", "put in", "put over", "deep"])):
        case "cut":
            return data[: draw(st.integers(0, len(data)))]
        case "put in":
            at = draw(st.integers(0, len(data)))
            return data[:at] + draw(st.binary(max_size=5)) + data[at:]
        case "put over":
            at = draw(st.integers(0, len(data)))
            return data[:at] + (fragment := draw(st.binary(max_size=5))) + data[at + len(fragment) :]
        case "deep":
            opening = draw(
                st.sampled_from([b"[", b'{"items":', b'{"errors":false,"items":[', b'{"caused_by":'])
            )
            return opening * draw(st.sampled_from([900, 1030, 50_000])) + data
    return data


@given(answers() | st.binary(max_size=100), st.integers(0, 4), st.integers(0, 10**7))
def test_a_bulk_answer_is_judged_or_is_none(data: bytes, count: int, size: int) -> None:
    """There is an item for each entry, and what to do with it; what is told of it can be written anywhere."""
    try:
        answer = read_answer(data, count)
    except InvalidAnswer:
        return
    assert answer.index is not None or len(answer.items) == count
    for item in answer.items:
        row = judge_item(item, size, max(1, count))
        assert isinstance(row.verdict, Verdict)
        assert row.verdict is not Verdict.DELIVERED or item.status in {200, 201}
        (item.error_type + item.reason + describe(item.reason)).encode()


@given(STATUSES.filter(lambda status: 0 <= status < 1000), TEXTS, st.integers(0, 10**7), st.booleans())
def test_each_status_of_a_request_has_a_row(status: int, reason: str, size: int, page: bool) -> None:  # noqa: FBT001
    """Whatever HTTP has room for."""
    assert isinstance(judge_request(status, reason, size, page=page).verdict, Verdict)
