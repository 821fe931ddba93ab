"""Who a file is, decided from its bytes and what is remembered; what comes of it is in test_recognition.py."""

import zlib
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.reading.files import FileFacts
from indexer.reading.identity import (
    HEAD,
    TAIL,
    FileRecord,
    fresh,
    head_of,
    reads_like,
    starts_like,
    to_compare,
)
from tests.unit.conftest import lines

LOG = lines(0, 40)
MORE = lines(40, 20)
DELIVERED = len(lines(0, 30))
OTHER = lines(1000, 60, "another")
ALIKE = lines(0, 1) + OTHER
"""The first line of LOG, and then something else."""


@dataclass
class Bytes:
    """A window that shows some bytes and remembers the most that was asked for at once."""

    data: bytes
    largest: int = 0

    def read_at(self, offset: int, size: int) -> bytes:
        """As a window does."""
        self.largest = max(self.largest, size)
        return self.data[offset : offset + size]


def facts(path: str = "a.log", inode: int = 1) -> FileFacts:
    return FileFacts(path, 7, inode, 0, 0)


def known(content: bytes = LOG, offset: int = DELIVERED, *, digest: int | None = 5) -> FileRecord:
    """What is remembered of a file that is delivered up to an offset."""
    head = head_of(Bytes(content))
    assert head is not None
    tail = zlib.crc32(content[max(0, offset - TAIL) : offset])
    return replace(fresh(facts(), head), offset=offset, tail=tail, digest=digest, size=len(content))


# ---- the bytes that make a generation


@pytest.mark.parametrize(
    ("content", "head"),
    [
        (b"", None),
        (b"\n", None),
        (b"\r\n\n", None),
        (b"{1}", None),
        (b"{1}\n", b"{1}"),
        (b"{1}\r\n{2}\n", b"{1}\r"),
        (b"\r\n\n{1}\n{2}\n", b"\r\n\n{1}"),
        (b"x" * HEAD, b"x" * HEAD),
        (b"x" * HEAD + b"y\n", b"x" * HEAD),
        (b"x" * (HEAD - 1) + b"\n", b"x" * (HEAD - 1)),
        (b"\n" * HEAD + b"{1}\n", b"\n" * HEAD),
        (b"\0\0", None),
        (b"\0\0{1}\n{2}\n", b"\0\0{1}"),
        (b"\0\n\0{1}\n", b"\0\n\0{1}"),
        (b"\0" * HEAD + b"{1}\n", b"\0" * HEAD),
    ],
)
def test_the_first_line_that_is_not_blank_makes_a_generation(content: bytes, head: bytes | None) -> None:
    """It does once it is complete, or as long as a head may be, so that it is the same however the file grows."""
    assert head_of(Bytes(content)) == head


@given(
    st.lists(st.sampled_from([b"{1}", b"{22}", b"\n", b"\r\n", b"\0", b"\0" * 9]), max_size=12),
    st.integers(0, 60),
)
def test_a_generation_is_the_same_however_far_the_file_has_grown(fragments: list[bytes], cut: int) -> None:
    """Once there is one, appending does not change it."""
    content = b"".join(fragments)
    early = head_of(Bytes(content[:cut]))
    assert early is None or early == head_of(Bytes(content))


def test_a_generation_depends_on_the_first_line_alone() -> None:
    """Neither on where the file lies, nor on what follows: a copy, wherever it is, has the same ids."""
    first = fresh(facts(), b"{1}")
    assert fresh(facts("b.log", 2), b"{1}").generation == first.generation == zlib.crc32(b"{1}")
    assert fresh(facts(), b"{2}").generation != first.generation


# ---- reads_like


@pytest.mark.parametrize("offset", [0, len(lines(0, 1)), len(lines(0, 2)), DELIVERED, len(LOG)])
def test_a_file_that_grew_reads_like_its_record(offset: int) -> None:
    """Whatever is behind the delivered offset."""
    assert reads_like(Bytes(LOG + MORE), known(offset=offset))
    assert reads_like(Bytes(LOG), known(offset=offset))


@pytest.mark.parametrize(
    "content",
    [
        OTHER * 2,
        ALIKE,
        LOG[: DELIVERED - 1],
        LOG[: DELIVERED - 2] + b"?" + LOG[DELIVERED - 1 :],
        LOG[: DELIVERED - TAIL] + b"?" + LOG[DELIVERED - TAIL + 1 :],
        b"?" + LOG[1:],
    ],
    ids=["other", "alike", "one byte short", "last byte", "first byte of the tail", "first byte"],
)
def test_a_file_that_differs_does_not_read_like_a_record(content: bytes) -> None:
    """In its first line, or in the bytes before the delivered offset."""
    assert not reads_like(Bytes(content), known())


def test_files_that_begin_with_the_same_line_start_alike() -> None:
    """A longer first line that begins like it is another."""
    assert starts_like(Bytes(ALIKE), known())
    assert not starts_like(Bytes(OTHER), known())
    assert not starts_like(Bytes(lines(0, 1)[:-2]), known())


def test_comparing_with_a_record_reads_a_few_bytes() -> None:
    """However far it was delivered."""
    content = LOG * 3000
    source = Bytes(content)
    assert reads_like(source, known(content, len(content)))
    assert source.largest <= HEAD


# ---- where a file may agree with what is known


def test_a_file_is_compared_where_records_end() -> None:
    """In the order of a file that is read front to back; where several end, with each of them."""
    records = [known(offset=300, digest=3), known(offset=100, digest=1), known(offset=300, digest=4)]
    assert list(to_compare(records).items()) == [(100, {1}), (300, {3, 4})]


def test_a_file_is_not_compared_with_what_says_nothing() -> None:
    """Nothing delivered, or a record of version 0.1, which has no digest."""
    assert to_compare([known(offset=0, digest=0), known(digest=None)]) == {}
