"""Archives become bytes of a log: the same however they are read, all of them or with the reason why not."""

import gzip
import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import given
from hypothesis import strategies as st

from indexer.reading.sources import GzipSource
from tests.fuzz.foreign import foreign

ARCHIVES = foreign(
    "archives",
    st.one_of(st.binary(max_size=20), st.binary(max_size=100).map(gzip.compress), st.just(b"\0" * 9)),
)
SIZES = st.lists(st.integers(1, 5_000), min_size=1, max_size=5)
MOST = 3_000_000
"""Bytes of a log that are read of one."""


@contextmanager
def opened(data: bytes) -> Iterator[GzipSource]:
    """An archive with these bytes on disk."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        yield GzipSource(os.dup(file.fileno()))


def read(data: bytes, sizes: list[int]) -> tuple[bytes, bool]:
    """The log in it, front to back, and whether it is whole."""
    found = b""
    with opened(data) as archive:
        try:
            while len(found) < MOST and (
                block := archive.read_at(len(found), sizes[len(found) % len(sizes)])
            ):
                assert len(block) <= max(sizes)
                found += block
            archive.require_whole()
        except OSError:
            return found, False
        finally:
            archive.close()
    return found, True


def inflated(data: bytes) -> tuple[bytes, bool]:
    """The same by zlib alone, at once: the members up to the first that is damaged or cut."""
    found = b""
    while data:
        member = zlib.decompressobj(wbits=31)
        try:
            found += member.decompress(data)
        except zlib.error:
            return found, False
        if not member.eof:
            return found, False
        data = member.unused_data.lstrip(b"\0")
    return found, True


@given(ARCHIVES, SIZES)
def test_an_archive_gives_its_log_or_says_why_not(data: bytes, sizes: list[int]) -> None:
    """What is sound before the damage is given, and nothing else; only OSError is raised."""
    found, whole = read(data, sizes)
    by_hand, sound = inflated(data)
    assert whole is (sound and bool(data))
    if whole:
        assert found == by_hand
    else:
        assert found.startswith(by_hand)
    assert (found, whole) == read(data, [4096])


@given(st.lists(st.binary(max_size=2000), max_size=5), SIZES, st.integers(0, 30))
def test_what_was_packed_comes_out(members: list[bytes], sizes: list[int], padding: int) -> None:
    """Members one behind the other, with NULs between them as on a tape."""
    packed = b"".join(gzip.compress(member) + b"\0" * padding for member in members)
    if packed:
        assert read(packed, sizes) == (b"".join(members), True)
