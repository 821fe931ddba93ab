"""Bulk bodies: what is in them, how large they get, and what goes with them."""

import tracemalloc
from collections import Counter
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from indexer.reading.entries import Entries, Rejection
from indexer.writing.batches import Batch, Batcher, Body, Pair, size_of

IDS = st.text("0123456789abcdef", min_size=28, max_size=28).map(str.encode)
LINES = st.binary(max_size=60).map(lambda line: b"{" + line.replace(b"\n", b"-"))
PAIRS = st.lists(st.tuples(IDS, LINES), max_size=12, unique_by=lambda pair: pair[0])
LIMIT = 300
FIRST, SECOND = "a-000001", "a-000002"


def entries(pairs: Iterable[Pair], rejected: Iterable[bytes] = ()) -> Entries:
    pairs = list(pairs)
    rejections = [Rejection(f"{n:028x}", "a.log", n, "kind", "why", line) for n, line in enumerate(rejected)]
    return Entries([identity for identity, _ in pairs], [entry for _, entry in pairs], rejections)


def pair(number: int, size: int = 20, generation: int = 1) -> Pair:
    return b"%08x%020x" % (generation, number), b"{%s}" % (b"%d" % number).rjust(size - 2, b" ")


def batched(batcher: Batcher[int], runs: Iterable[Entries]) -> list[Batch[int]]:
    """Feed runs, numbered as their tickets, and take all batches."""
    found = [batch for ticket, run in enumerate(runs) for batch in batcher.add(run, ticket, "a.log")]
    return [*found, *batcher.flush()]


RUNS = st.lists(st.tuples(PAIRS, st.lists(LINES, max_size=3)), max_size=6)


@given(PAIRS)
def test_a_body_can_be_taken_apart(pairs: list[Pair]) -> None:
    """The pairs of a body are those that it was made of; its size is the sum of theirs."""
    body = Body.of(pairs)
    assert body.pairs() == pairs
    assert body.count == len(pairs)
    assert len(body.data) == sum(map(size_of, pairs))


def test_a_body_is_a_valid_bulk_request() -> None:
    """An action line with the id and nothing else, the entry as it is, each ended by a line feed."""
    assert Body.of([(b"1", b'{"a": 1.0}')]).data == b'{"create":{"_id":"1"}}\n{"a": 1.0}\n'


@given(RUNS, st.integers(1, 400))
def test_batches_hold_all_and_no_more_than_the_limit(
    runs: list[tuple[list[Pair], list[bytes]]], limit: int
) -> None:
    """Each entry and each rejected line is in one batch, in order; one is over the limit only if it is alone there."""
    batches = batched(Batcher(limit), [entries(*run) for run in runs])
    assert [p for batch in batches for p in batch.body.pairs()] == [p for pairs, _ in runs for p in pairs]
    rejected = [rejection.line for batch in batches for rejection in batch.rejections]
    assert rejected == [line for _, lines in runs for line in lines]
    for batch in batches:
        size = len(batch.body.data) + sum(len(rejection.line) for rejection in batch.rejections)
        assert size <= limit or batch.body.count + len(batch.rejections) == 1
        assert batch.body.count == len(batch.body.pairs())


@given(RUNS)
def test_a_ticket_goes_with_the_last_of_its_lines(runs: list[tuple[list[Pair], list[bytes]]]) -> None:
    """Each ticket comes once, in order, in no batch before the last of its entries and rejected lines."""
    seen: Counter[bytes] = Counter()
    batches = batched(Batcher(LIMIT), [entries(*run) for run in runs])
    for batch in batches:
        seen.update(entry for _, entry in batch.body.pairs())
        seen.update(rejection.line for rejection in batch.rejections)
        for ticket in batch.tickets:
            pairs, lines = runs[ticket]
            assert seen >= Counter([entry for _, entry in pairs] + lines)
            seen.subtract(Counter([entry for _, entry in pairs] + lines))
    assert [ticket for batch in batches for ticket in batch.tickets] == list(range(len(runs)))


def test_a_batch_is_closed_before_the_limit_is_passed() -> None:
    """Three entries that fill the limit to the byte are one batch; the fourth is the next one's."""
    size = size_of(pair(0))
    batches = batched(Batcher(3 * size), [entries([pair(n)]) for n in range(4)])
    assert [len(batch.body.data) for batch in batches] == [3 * size, size]
    batches = batched(Batcher(3 * size - 1), [entries([pair(n)]) for n in range(4)])
    assert [len(batch.body.data) for batch in batches] == [2 * size, 2 * size]


def test_blank_lines_alone_make_a_batch() -> None:
    """A run without entries still has a ticket to be acknowledged."""
    (batch,) = batched(Batcher(LIMIT), [entries([])])
    assert (batch.tickets, batch.body.count) == ([0], 0)


def test_nothing_makes_no_batch() -> None:
    """Without a run, flushing gives nothing; nor does it twice."""
    batcher: Batcher[int] = Batcher(LIMIT)
    assert list(batcher.flush()) == []
    assert len(batched(batcher, [entries([pair(1)])])) == 1
    assert list(batcher.flush()) == []


@given(st.lists(st.tuples(PAIRS, st.integers(0, 3)), max_size=12))
def test_buffers_are_used_again_and_never_mixed(steps: list[tuple[list[Pair], int]]) -> None:
    """A batch in flight keeps its bytes while others are delivered and filled again."""
    batcher: Batcher[int] = Batcher(LIMIT)
    under_way: list[tuple[Batch[int], list[Pair]]] = []
    for pairs, which in steps:
        under_way += [(batch, batch.body.pairs()) for batch in batched(batcher, [entries(pairs)])]
        while len(under_way) > 3:
            delivered, _ = under_way.pop(which)
            batcher.reuse(delivered)
            batcher.reuse(delivered)  # is harmless
        assert [batch.body.pairs() for batch, _ in under_way] == [held for _, held in under_way]


def test_a_reused_buffer_brings_nothing_of_what_it_held() -> None:
    """A short batch in the buffer of a longer one has only its own bytes."""
    batcher: Batcher[int] = Batcher(LIMIT)
    (first,) = batched(batcher, [entries([pair(1, 200)])])
    buffer = first.body.data
    batcher.reuse(first)
    (second,) = batched(batcher, [entries([pair(2, 10)])])
    assert isinstance(buffer, memoryview)
    assert isinstance(second.body.data, memoryview)
    assert second.body.data.obj is buffer.obj
    assert second.body.pairs() == [pair(2, 10)]


def test_the_buffer_of_an_oversized_entry_is_released() -> None:
    """One huge entry does not raise the memory of all batches after it."""
    batcher: Batcher[int] = Batcher(LIMIT)
    (huge,) = batched(batcher, [entries([pair(1, 10 * LIMIT)])])
    batcher.reuse(huge)
    (after,) = batched(batcher, [entries([pair(2)])])
    assert isinstance(after.body.data, memoryview)
    assert isinstance(after.body.data.obj, bytearray)
    assert len(after.body.data.obj) == LIMIT


def test_a_huge_entry_among_others_is_copied_no_more_often_than_by_itself() -> None:
    """Three copies at once, however many neighbours it is split from."""
    huge = pair(0, 4_000_000)
    run = entries([huge, *(pair(n) for n in range(1, 256))])
    batcher: Batcher[int] = Batcher(100_000)
    tracemalloc.start()
    try:
        bodies = [bytes(batch.body.data[-100:]) for batch in batched(batcher, [run])]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(bodies) == 2
    assert peak < 4 * len(huge[1])


def test_a_batch_has_the_file_of_each_entry() -> None:
    """The file of an entry is found by the generation that its id begins with."""
    batcher: Batcher[int] = Batcher(LIMIT)
    assert list(batcher.add(entries([pair(1, generation=1)]), 0, "one.log")) == []
    assert list(batcher.add(entries([pair(1, generation=2)]), 1, "two.log")) == []
    (batch,) = batcher.flush()
    assert batch.files == {b"00000001": "one.log", b"00000002": "two.log"}
