"""Search answers of any bytes: hits that were asked for, with bytes of the answer, or an error; in linear time."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.elastic.failures import InvalidAnswer
from indexer.verify.by_id import documents
from indexer.verify.scan import split
from tests.unit.test_scan import HITS, NAME, answer

IDS = [b"0" * 28, b"1" * 28]
PIECES = [
    *(b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"/*", b"*/", b"//", b"\n", b" ", b"\xff", b"\0", b"1" * 5000),
    *(b'"hits":{"total":{"value":1,"relation":"eq"},"max_score":null,"hits":[', b'{"_index":"i","_id":"', IDS[0]),
    *(b'","_score":1.0', b',"_ignored":["a"]', b',"_source":', b',"sort":[1]', b',"sort":[]', b"]}}", b'{"_index":"\xff'),
    b',"matched_queries":["%b"]}' % NAME,
]  # fmt: skip


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """Nearly a search answer."""
    data = answer(draw(st.lists(HITS, max_size=3)), total=draw(st.integers(0, 10**17)))
    for _ in range(draw(st.integers(0, 3))):
        start, end = sorted(draw(st.tuples(*[st.integers(0, len(data))] * 2)))
        fragment = draw(st.sampled_from(PIECES))
        data = draw(
            st.sampled_from([data[:end], data[:start] + data[end:], data[:start] + fragment + data[start:]])
        )
    return data


@given(answers() | st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join))
def test_hits_are_those_of_the_answer_or_it_is_refused(data: bytes) -> None:
    with suppress(InvalidAnswer):
        for one in documents(data, NAME, IDS):
            assert one.id in IDS
            assert one.data in data
    with suppress(InvalidAnswer):
        assert all(source in data for source in split(data, NAME).page.sources)


REPEATED = [
    b'"\\',
    b'\\"',
    b'"',
    b"/*",
    b"{",
    b'",',
    b'"a"',
    b',"sort":[',
    b"[",
    b',"matched_queries":["',
    b',"_x":"',
]


@pytest.mark.parametrize("fragment", REPEATED)
@pytest.mark.parametrize("start", [b'{"a":', b'{"a":"', b"{}", b""])
def test_what_repeats_takes_no_longer_than_it_is_long(start: bytes, fragment: bytes) -> None:
    """A megabyte of it is read within a second or some, also where nothing of it ends."""
    entry = start + fragment * (1_000_000 // len(fragment))
    whole = answer([("i", IDS[0].decode(), entry, {})], total=1)
    for data in (whole, whole[:-20], whole.replace(b'"_source":', b"", 1)):
        started = time.thread_time()  # independent of other load on the machine
        with suppress(InvalidAnswer):
            documents(data, NAME, IDS)
        with suppress(InvalidAnswer):
            split(data, NAME)
        assert time.thread_time() - started < 10
