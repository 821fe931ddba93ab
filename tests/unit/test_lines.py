from collections.abc import Iterable, Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from indexer.reading.lines import Fragment, Lines, LineSplitter

GENEROUS = 1_000_000
Placed = tuple[int, bytes, int]
"""Where a line starts, the line, where the next one starts."""


class Collected:
    """What came out of a splitter: whole lines, and long ones put together from their fragments."""

    def __init__(self, parts: Iterable[Lines | Fragment]) -> None:
        self.short: list[Placed] = []
        self.long: list[Placed] = []
        self.unfinished = b""
        for part in parts:
            if isinstance(part, Lines):
                self._lines(part)
            else:
                self._fragment(part)

    def _lines(self, part: Lines) -> None:
        start = part.start
        for line in part.lines:
            self.short.append((start, line, start + len(line) + 1))
            start += len(line) + 1
        assert part.end in {start, start - 1}, "only the very last line may lack its LF"

    def _fragment(self, part: Fragment) -> None:
        self.unfinished += part.data
        if part.last:
            self.long.append((part.start, self.unfinished, part.end))
            self.unfinished = b""
        else:
            assert part.end == part.start + len(self.unfinished), "the next piece starts where this one ends"


def naive(data: bytes, offset: int = 0) -> list[Placed]:
    """The complete lines, each from its first byte that is no NUL on."""
    found = []
    for raw in data.split(b"\n")[:-1]:
        line = raw.lstrip(b"\0")
        end = offset + len(raw) + 1
        found.append((end - 1 - len(line), line, end))
        offset = end
    return found


def unfinished(data: bytes) -> bytes:
    """What no LF ends yet."""
    return data.split(b"\n")[-1].lstrip(b"\0")


def cut(data: bytes, sizes: Iterable[int]) -> Iterator[bytes]:
    """Blocks of these sizes, then the rest."""
    for size in sizes:
        yield data[:size]
        data = data[size:]
    yield data


def fed(splitter: LineSplitter, blocks: Iterable[bytes]) -> Collected:
    return Collected([part for block in blocks for part in splitter.feed(block)])


texts = st.lists(
    st.sampled_from([b"\n", b"\r\n", b"a", b"bc", b"{}", b"\0", b"\0\0\0", b"\n\0", b"\xff\xfe"])
    | st.binary()
).map(b"".join)
sizes = st.lists(st.integers(min_value=0, max_value=9))


@given(texts, sizes, st.integers(min_value=0, max_value=2**47))
def test_lines_and_offsets_are_those_of_a_naive_splitter(data: bytes, blocks: list[int], offset: int) -> None:
    """Whatever the bytes, wherever blocks end, wherever reading begins."""
    splitter = LineSplitter(offset, GENEROUS)
    collected = fed(splitter, cut(data, blocks))
    assert (collected.short, collected.long) == (naive(data, offset), [])
    assert splitter.position == offset + len(data)
    assert splitter.start == offset + len(data) - len(unfinished(data))


@given(texts, sizes, st.integers(min_value=0, max_value=12))
@example(b"abcd\n", [4], 4)
@example(b"abcde\n", [4, 1], 4)
@example(b"abcde\nabcde\n\n", [5, 1, 5], 4)
def test_whether_a_line_is_too_long_depends_on_its_length_alone(
    data: bytes, blocks: list[int], limit: int
) -> None:
    """Lines beyond the limit come out as fragments that make up the line, all others whole, at their offsets."""
    collected = fed(LineSplitter(0, limit), cut(data, blocks))
    assert collected.short == [placed for placed in naive(data) if len(placed[1]) <= limit]
    assert collected.long == [placed for placed in naive(data) if len(placed[1]) > limit]


@given(texts, sizes, st.integers(min_value=0, max_value=12))
def test_the_line_without_an_end_is_given_when_the_file_is_final(
    data: bytes, blocks: list[int], limit: int
) -> None:
    """Finishing gives what no LF ends, whole or as the last fragment, and nothing if there is nothing."""
    splitter = LineSplitter(0, limit)
    parts = [part for block in cut(data, blocks) for part in splitter.feed(block)]
    rest = splitter.finish()
    collected = Collected([*parts, rest] if rest is not None else parts)
    last = unfinished(data)
    assert (rest is None) == (not last)
    ended = {placed[1] for placed in collected.long} if len(last) > limit else {p[1] for p in collected.short}
    assert not last or last in ended
    assert len(collected.short) + len(collected.long) == len(naive(data)) + bool(last)


def test_the_same_comes_out_all_at_once_byte_by_byte_and_with_bytes_that_stay() -> None:
    """A line is given when its LF has come, and what follows it waits."""
    data = b"one\r\n\n{two}\n"
    for blocks in ([data], [data[i : i + 1] for i in range(len(data))], [data + b"trail"]):
        splitter = LineSplitter(7, GENEROUS)
        assert fed(splitter, blocks).short == [(7, b"one\r", 12), (12, b"", 13), (13, b"{two}", 19)]
        assert splitter.start == 19
    rest = splitter.finish()
    assert rest == Lines(19, [b"trail"], 24)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_nuls_before_a_line_are_no_part_of_it_and_those_in_it_are(size: int) -> None:
    """A hole, before the first line or a later one, wherever blocks end; the line has the offset of its first byte."""
    data = b"\0" * 5 + b"{1}\n\0\0{2}\0\n{3\0}\n\0"
    splitter = LineSplitter(100, GENEROUS)
    collected = fed(splitter, (data[at : at + size] for at in range(0, len(data), size)))
    assert collected.short == [(105, b"{1}", 109), (111, b"{2}\0", 116), (116, b"{3\0}", 121)]
    assert splitter.start == splitter.position == 122
    assert splitter.finish() is None


def test_a_hole_is_not_held() -> None:
    """However large it is, no byte of it waits for a line's end, and none counts against the limit."""
    splitter = LineSplitter(0, 100)
    for _ in range(1000):
        assert splitter.feed(b"\0" * 1000) == []
    assert splitter._held == []
    assert splitter.feed(b"\0{1}\n") == [Lines(1_000_001, [b"{1}"], 1_000_005)]


def test_neighbouring_lines_of_a_block_come_as_one_run() -> None:
    """A block is not taken apart further than it must be."""
    assert LineSplitter(0, GENEROUS).feed(b"a\nb\nc\nd") == [Lines(0, [b"a", b"b", b"c"], 6)]


def test_a_line_that_never_ends_is_never_held_beyond_the_limit() -> None:
    """Only what is incomplete is held, and no more than the limit and a block of it."""
    splitter = LineSplitter(0, 100)
    given_out = 0
    for fed_so_far in range(7, 7001, 7):
        given_out += sum(len(part.data) for part in splitter.feed(b"x" * 7) if isinstance(part, Fragment))
        assert fed_so_far - given_out <= 100
        assert sum(map(len, splitter._held)) == fed_so_far - given_out
    assert splitter.start == 0
    assert splitter.feed(b"y\nz") == [Fragment(0, b"y", 7002, last=True)]
    assert splitter.finish() == Lines(7002, [b"z"], 7003)
