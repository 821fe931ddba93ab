"""Reading a search answer without parsing it."""

import json
import string
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.verify.hits import Held, read_hits

TRICKS = [
    '{"_index":"x","_id":"y","_source":{}}',
    '"}},{"_index":"x","_id":"y","_score":null,"_source":{"a":1},"sort":[0]}',
    ']}}"}{[',
    "\\",
    '\\"',
    "/* }",
    "// }",
    "*/",
    '"sort":[1]}',
]
TEXTS = st.text(max_size=20) | st.sampled_from(TRICKS)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)
BLANKS = st.text(" \t", max_size=2)


@st.composite
def sources(draw: st.DrawFn) -> bytes:
    """An entry as Elasticsearch may hold it, with blanks where there may be some."""
    written = json.dumps(
        draw(st.dictionaries(TEXTS, VALUES, max_size=5)),
        ensure_ascii=draw(st.booleans()),
        separators=draw(st.sampled_from([(",", ":"), (", ", " : ")])),
    )
    return (draw(BLANKS) + written + draw(BLANKS)).encode(errors="surrogatepass")


@dataclass(frozen=True, slots=True)
class Hit:
    """A document in an answer, and what the log has under its id."""

    id: str
    index: str
    ignored: list[str] | None
    source: bytes
    expected: bytes


@st.composite
def hits(draw: st.DrawFn) -> Hit:
    """Some are as expected, some are not."""
    source = draw(sources())
    altered = sources() | st.sampled_from([source + b" ", source[:-1], b" " + source, source + b"}", b"{"])
    return Hit(
        draw(st.text("0123456789abcdef", min_size=28, max_size=28)),
        draw(st.text(string.ascii_lowercase + "-0123456789", min_size=1, max_size=12)),
        draw(st.none() | st.lists(TEXTS, max_size=3)),
        source,
        draw(st.just(source) | altered),
    )


@dataclass(frozen=True, slots=True)
class Style:
    """What differs between versions of Elasticsearch, and between questions."""

    type: bool
    """7.17 names the mapping type of each hit."""
    score: str | None
    sort: list[Any] | None


STYLES = st.builds(
    Style,
    type=st.booleans(),
    score=st.sampled_from([None, "null", "1.0"]),
    sort=st.none() | st.lists(st.integers(0, 2**31), max_size=2),
)


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def answer(found: list[Hit], style: Style, *, total: int | None = None, relation: str = "eq") -> bytes:
    """A search answer, written as Elasticsearch writes it."""
    written = []
    for hit in found:
        fields = [b'"_index":' + compact(hit.index)]
        fields += [b'"_type":"_doc"'] if style.type else []
        fields += [b'"_id":' + compact(hit.id)]
        fields += [b'"_score":' + style.score.encode()] if style.score else []
        fields += [b'"_ignored":' + compact(hit.ignored)] if hit.ignored is not None else []
        fields += [b'"_source":' + hit.source]
        fields += [b'"sort":' + compact(style.sort)] if style.sort is not None else []
        written.append(b"{" + b",".join(fields) + b"}")
    count = len(found) if total is None else total
    head = {"took": 3, "timed_out": False, "_shards": {"total": 1, "failed": 0}}
    return b'%b,"hits":{"total":{"value":%d,"relation":"%b"},"max_score":null,"hits":[%b]}}' % (
        compact(head)[:-1],
        count,
        relation.encode(),
        b",".join(written),
    )


PLAIN = Style(type=False, score="null", sort=[0])
GOOD = Hit("a" * 28, "activity-000001", None, b'{"a":1.0}', b'{"a":1.0}')


def held(hit: Hit, style: Style = PLAIN) -> list[Held] | None:
    return read_hits(answer([hit], style), {hit.id.encode(): hit.expected})


@given(st.lists(hits(), max_size=6, unique_by=lambda hit: hit.id), STYLES)
def test_it_finds_what_a_json_parser_finds(found: list[Hit], style: Style) -> None:
    """Each hit in its order, with its index, and whether its bytes are the expected ones."""
    body = answer(found, style)
    parsed = json.loads(body)["hits"]["hits"]
    same = [hit.source == hit.expected for hit in found]
    assert read_hits(body, {hit.id.encode(): hit.expected for hit in found}) == [
        Held(hit["_id"].encode(), hit["_index"], same) for hit, same in zip(parsed, same, strict=True)
    ]


@given(st.lists(hits(), min_size=1, max_size=3, unique_by=lambda hit: hit.id), STYLES, st.data())
def test_an_answer_that_is_cut_short_is_not_taken_for_a_whole_one(
    found: list[Hit], style: Style, data: st.DataObject
) -> None:
    """Wherever it ends before its last hit does."""
    body = answer(found, style)
    cut = body[: data.draw(st.integers(0, len(body) - 4))]
    assert read_hits(cut, {hit.id.encode(): hit.expected for hit in found}) is None


@given(hits(), hits())
def test_an_entry_in_two_indices_is_held_twice(one: Hit, other: Hit) -> None:
    """Each copy is compared by itself."""
    copy = Hit(one.id, "another", other.ignored, other.source, one.expected)
    assert read_hits(answer([one, copy], PLAIN), {one.id.encode(): one.expected}) == [
        Held(one.id.encode(), one.index, one.source == one.expected),
        Held(one.id.encode(), "another", other.source == one.expected),
    ]


def test_no_hit_is_an_answer_too() -> None:
    """Nothing is held then."""
    assert read_hits(answer([], PLAIN), {}) == []


@pytest.mark.parametrize(
    "stored",
    [
        b'{"a":1}',
        b'{"a": 1.0}',
        b'{"a":1.0} ',
        b' {"a":1.0}',
        b'{"a":1.0,"b":2}',
        b'{"A":1.0}',
        b'{"a":1.0 /* } " */}',
        b'{"a":1.0 // }\n}',
        b'{"a":"\\ud800"}',
        b'{"a":[{"b":"}"}]}',
    ],
)
def test_the_least_alteration_is_seen_and_the_next_hit_still_read(stored: bytes) -> None:
    """In number form, in white space, in a comment, in half a surrogate pair that stricter parsers refuse."""
    altered = Hit(GOOD.id, GOOD.index, None, stored, GOOD.expected)
    following = Hit("b" * 28, "activity-000002", ["eventDate"], b"{}", b"{}")
    assert read_hits(answer([altered, following], PLAIN), {b"a" * 28: b'{"a":1.0}', b"b" * 28: b"{}"}) == [
        Held(b"a" * 28, "activity-000001", same=False),
        Held(b"b" * 28, "activity-000002", same=True),
    ]


def test_a_line_that_would_swallow_the_next_hit_does_not_hide_it() -> None:
    """What is read has to be as much as was found."""
    swallowed = Hit("b" * 28, "i", None, b'{"b":1}', b"")
    whole = answer([GOOD, swallowed], PLAIN)
    start = whole.index(GOOD.source)
    line = whole[start : whole.index(swallowed.source) + len(swallowed.source)]
    assert read_hits(whole, {b"a" * 28: line, b"b" * 28: swallowed.source}) is None


@pytest.mark.parametrize(("total", "relation"), [(2, "eq"), (0, "eq"), (1, "gte")])
def test_an_answer_that_holds_less_than_was_found_is_refused(total: int, relation: str) -> None:
    """Of more hits than one answer holds, some would be taken for missing."""
    body = answer([GOOD], PLAIN, total=total, relation=relation)
    assert read_hits(body, {GOOD.id.encode(): GOOD.expected}) is None


def test_a_hit_that_nobody_asked_for_is_no_answer() -> None:
    """Then it answers something else."""
    assert read_hits(answer([GOOD], PLAIN), {b"b" * 28: b"{}"}) is None


def test_a_string_of_many_megabytes_is_passed_over() -> None:
    """Of an altered entry it is looked for the end, in one go."""
    source = b'{"payload":"%b"}' % (b'\\"}{' * 2_000_000)
    assert held(Hit(GOOD.id, "i", None, source, b'{"payload":""}')) == [Held(b"a" * 28, "i", same=False)]
