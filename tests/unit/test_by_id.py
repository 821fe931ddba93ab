"""Reading the answer to a search for some ids, unparsed; how hits are split: test_scan.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.elastic.failures import InvalidAnswer
from indexer.verify.by_id import Document, documents
from tests.unit.test_scan import HOSTILE, NAME, ONE, SOURCES, Hit, answer

ID = b"0" * 28


@given(st.lists(SOURCES, max_size=4), st.booleans())
def test_each_document_is_found_with_its_bytes(sources: list[bytes], seven: bool) -> None:  # noqa: FBT001 - drawn
    """An entry in two indices is there twice."""
    hits: list[Hit] = [(f"activity-{n:06}", ID.decode(), source, {}) for n, source in enumerate(sources)]
    assert documents(answer(hits, total=len(hits), seven=seven), NAME, [ID]) == [
        Document(ID, f"activity-{n:06}", source) for n, source in enumerate(sources)
    ]


@pytest.mark.parametrize("source", HOSTILE)
def test_an_entry_does_not_hide_the_next_one(source: bytes) -> None:
    hits: list[Hit] = [("i", ID.decode(), source, {}), ("i", "1" * 28, b"{}", {})]
    assert [it.data for it in documents(answer(hits, total=2), NAME, [ID, b"1" * 28])] == [source, b"{}"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"value":1', b'"value":2'),
        (b'"value":1', b'"value":0'),
        (b'"relation":"eq"', b'"relation":"gte"'),
        (b'"_id":"0', b'"_id":"1'),
        (b"]}}", b""),
        (NAME, b"f" * 32),
    ],
    ids=["more hits", "fewer", "not counted to the end", "not asked for", "cut", "another query"],
)
def test_what_is_no_whole_answer_is_refused(old: bytes, new: bytes) -> None:
    """Else some entries would be taken for missing."""
    with pytest.raises(InvalidAnswer):
        documents(answer(ONE, total=1).replace(old, new), NAME, [ID])
