"""Bytes become lines: every byte has its place, wherever the blocks end."""

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from indexer.reading.lines import Fragment, Lines, LineSplitter
from tests.fuzz.foreign import foreign

LOGS = foreign(
    "lines",
    st.sampled_from([b"\n", b"\0", b"\r\n", b"\0\n", b"\n\0", b"\0" * 40, b"{}", b'"', b"\\", b"\xff"]),
)
LIMITS = st.one_of(st.integers(1, 200), st.just(100_000))
Found = tuple[int, bytes, bool]
"""A line: where it starts, its bytes, whether it is too long."""


def split(data: bytes, cuts: Iterable[int], offset: int, limit: int) -> list[Found]:
    """The lines of a file that is read in these blocks, fragments put together; each says where the next line starts."""
    splitter = LineSplitter(offset, limit)
    fragments: list[Lines | Fragment] = []
    places = [0, *sorted(cuts), len(data)]
    for start, end in pairwise(places):
        fragments += splitter.feed(data[start:end])
        assert splitter.position == offset + end
    last = splitter.finish()
    found: list[Found] = []
    held = b""
    for fragment in [*fragments, *([last] if last else [])]:
        if isinstance(fragment, Lines):
            assert not held
            start = fragment.start
            for line in fragment.lines:
                assert len(line) <= limit
                found.append((start, line, False))
                start += len(line) + 1
            assert fragment.end in {start, start - 1}
        else:
            held += fragment.data
            if fragment.last:
                assert len(held) > limit
                found.append((fragment.start, held, True))
                held = b""
    assert not held
    return found


@given(LOGS, st.lists(st.integers(0, 20_000), max_size=12), LIMITS, st.integers(0, 2**40))
def test_lines_joined_give_the_bytes_back(data: bytes, cuts: list[int], limit: int, offset: int) -> None:
    """What is in no line is a line feed, or a NUL before a line; and the lines are the same however they are read."""
    cuts = [cut for cut in cuts if cut <= len(data)]
    found = split(data, cuts, offset, limit)
    rebuilt = bytearray(data.translate(bytes(10 if byte == 10 else 0 for byte in range(256))))
    before = 0
    for start, line, _ in found:
        at = start - offset
        assert at >= before
        assert b"\n" not in line
        assert not line.startswith(b"\0")
        rebuilt[at : at + len(line)] = line
        before = at + len(line) + 1
    assert bytes(rebuilt) == data
    assert found == split(data, [], offset, limit)


@given(LOGS, st.lists(st.integers(0, 300), max_size=12), LIMITS)
def test_reading_goes_on_at_any_start_of_a_line(data: bytes, cuts: list[int], limit: int) -> None:
    """What is read from there on is what would have followed."""
    whole = split(data, [], 0, limit)
    for start, _, _ in whole[:5]:
        rest = data[start:]
        assert split(rest, [cut for cut in cuts if cut <= len(rest)], start, limit) == [
            it for it in whole if it[0] >= start
        ]
