"""Search answers of whatever bytes: hits that were asked for, with the index's word on their bytes, or None; in linear time."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.verify.hits import Held, read_hits

IDS = [b"0" * 28, b"1" * 28]
PIECES = [
    *(
        b'"',
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"/*",
        b"*/",
        b"//",
        b"\n",
        b" ",
        b"\xff",
        b"\0",
        b"1" * 5000,
    ),
    *(
        b'"hits":{"total":{"value":1,"relation":"eq"},"max_score":null,"hits":[',
        b'{"_index":"i","_id":"',
        IDS[0],
    ),
    *(
        b'","_score":1.0',
        b',"_ignored":["a"]',
        b',"_source":',
        b',"sort":[1]}',
        b'{"a":1}',
        b"]}}",
        b'{"_index":"\xff',
    ),
]
SOURCES = st.sampled_from(
    [b'{"a":1}', b"{}", b'{"a":"}"}', b'{"a":{}', b"/*}", b'{"a":"\\"}', b" {} "]
) | st.binary(max_size=10)


def answer(hits: list[tuple[bytes, bytes]], total: int) -> bytes:
    each = b",".join(b'{"_index":"i","_id":"%b","_score":null,"_source":%b,"sort":[0]}' % hit for hit in hits)
    head = b'{"took":1,"hits":{"total":{"value":%d,"relation":"eq"},"max_score":null,"hits":[' % total
    return head + each + b"]}}"


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """Nearly a search answer."""
    hits = draw(st.lists(st.tuples(st.sampled_from([*IDS, b"x"]), SOURCES), max_size=3))
    data = answer(hits, draw(st.just(len(hits)) | st.integers(0, 10**20)))
    for _ in range(draw(st.integers(0, 3))):
        start, end = sorted(draw(st.tuples(*[st.integers(0, len(data))] * 2)))
        fragment = draw(st.sampled_from(PIECES))
        data = draw(
            st.sampled_from([data[:end], data[:start] + data[end:], data[:start] + fragment + data[start:]])
        )
    return data


@given(
    answers() | st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join),
    st.dictionaries(st.sampled_from(IDS), SOURCES, max_size=2),
)
def test_hits_are_those_that_were_asked_for(data: bytes, expected: dict[bytes, bytes]) -> None:
    """Or nothing is told at all; what is told to be the same stands in the answer."""
    held = read_hits(data, expected)
    for one in held or ():
        assert isinstance(one, Held)
        assert one.id in expected
        assert not one.same or expected[one.id] in data


@given(SOURCES)
def test_a_sound_answer_is_read(source: bytes) -> None:
    """A hit with the bytes that are expected is the same, whatever they are."""
    data = answer([(IDS[0], source)], 1)
    assert read_hits(data, {IDS[0]: source}) == [Held(IDS[0], "i", same=True)]


REPEATED = [
    b'"\\',
    b'\\"',
    b'"',
    b"/*",
    b"/",
    b"//",
    b"{",
    b"}",
    b'",',
    b'{"',
    b'"a"',
    b"/*/",
    b'"sort":[',
    b"[",
]


@pytest.mark.parametrize("fragment", REPEATED)
@pytest.mark.parametrize("start", [b'{"a":', b'{"a":"', b'{"a":/*', b"{}", b""])
def test_what_repeats_takes_no_longer_than_it_is_long(start: bytes, fragment: bytes) -> None:
    """A megabyte of it is read within a second or some, also where nothing of it ends."""
    data = answer([(IDS[0], start + fragment * (1_000_000 // len(fragment)))], 1)
    for cut in (data, data[:-20]):
        started = time.thread_time()  # whatever else the machine does
        read_hits(cut, {IDS[0]: b"{}"})
        assert time.thread_time() - started < 10
