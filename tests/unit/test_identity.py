import zlib
from dataclasses import dataclass, replace

import pytest

from indexer.events import Recognition
from indexer.reading.files import FileFacts
from indexer.reading.identity import (
    COMPARED,
    HEAD,
    TAIL,
    FileRecord,
    Judgement,
    fresh,
    head_of,
    reads_like,
    recognise,
)
from indexer.reading.windows import Window
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
    return FileFacts(path, 7, inode, 0, 0.0)


def known(
    content: bytes = LOG, offset: int = DELIVERED, *, inode: int = 1, twin: int = 0, path: str = "a.log"
) -> FileRecord:
    """What is remembered of a file that is delivered up to an offset."""
    head = head_of(Bytes(content))
    assert head is not None
    record = fresh(facts(path, inode), head, twin)
    tail = zlib.crc32(content[max(0, offset - TAIL) : offset])
    return replace(record, offset=offset, tail=tail, reach=offset, since="index-000001", size=len(content))


def judged(
    content: bytes, *others: tuple[FileRecord, Window | None], path: str = "a.log", inode: int = 1
) -> Judgement:
    head = head_of(Bytes(content))
    assert head is not None
    return recognise(facts(path, inode), Bytes(content), head, others)


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
    ],
)
def test_the_first_line_that_is_not_blank_makes_a_generation(content: bytes, head: bytes | None) -> None:
    """It does once it is complete, or as long as a head may be, so that it is the same however the file grows."""
    assert head_of(Bytes(content)) == head


def test_a_twin_has_a_generation_of_its_own() -> None:
    """Files that begin alike and are not the same have different ids."""
    generations = {fresh(facts(), b"{1}", twin).generation for twin in range(5)}
    assert len(generations) == 5


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


# ---- recognise, value by value


def test_a_first_line_that_no_one_knows_is_new() -> None:
    """It is read from its start."""
    assert judged(LOG) == Judgement(Recognition.NEW, fresh(facts(), LOG.split(b"\n")[0]))


def test_the_same_inode_with_the_same_bytes_is_resumed() -> None:
    """It goes on where it was, under the path it has now; it may grow, whatever was thought of it before."""
    record = replace(known(), ended=True)
    assert judged(LOG + MORE, (record, None), path="a.log.1") == Judgement(
        Recognition.RESUMED, replace(record, path="a.log.1", ended=False)
    )


def test_another_inode_with_the_bytes_of_a_file_that_is_gone_is_moved() -> None:
    """Moved, copied or compressed: it goes on where the other was."""
    record = replace(known(), ended=True)
    assert judged(LOG, (record, None), path="a.log.1.gz", inode=2) == Judgement(
        Recognition.MOVED, replace(record, path="a.log.1.gz", inode=2, ended=False)
    )


@pytest.mark.parametrize("content", [LOG[:DELIVERED], LOG, lines(0, 1)])
def test_what_a_file_that_is_still_there_holds_too_is_a_copy(content: bytes) -> None:
    """As long as it holds nothing else."""
    record = known()
    assert judged(content, (record, Bytes(LOG)), inode=2) == Judgement(Recognition.COPY, record)


def test_a_copy_that_goes_on_otherwise_is_a_twin() -> None:
    """From its start, under ids of its own."""
    record = known()
    assert judged(ALIKE, (record, Bytes(LOG)), inode=2) == Judgement(
        Recognition.TWIN, fresh(facts(inode=2), lines(0, 1)[:-1], 1)
    )


def test_the_next_twin_has_the_next_number() -> None:
    """And a copy of a twin is a copy."""
    first, second = (known(), Bytes(LOG)), (known(ALIKE, inode=2, twin=1), Bytes(ALIKE))
    third = lines(0, 1) + lines(7000, 5)
    assert judged(third, first, second, inode=3).record.twin == 2
    assert judged(ALIKE, first, second, inode=3) == Judgement(Recognition.COPY, second[0])


def test_a_twin_that_is_gone_is_found_again_among_those_that_begin_alike() -> None:
    """By the bytes before its delivered offset."""
    record = known(ALIKE, offset=len(ALIKE), inode=2, twin=1)
    found = judged(ALIKE, (known(), Bytes(LOG)), (record, None), inode=3)
    assert found == Judgement(Recognition.MOVED, replace(record, inode=3))


def test_of_two_that_are_gone_it_is_the_one_with_which_it_has_more_in_common() -> None:
    """What is delivered of the other one is the beginning of both."""
    other, itself = known(offset=len(lines(0, 1))), known(inode=2, twin=1)
    assert judged(LOG, (other, None), (itself, None), inode=3) == Judgement(
        Recognition.MOVED, replace(itself, inode=3)
    )


def test_what_begins_like_a_file_that_is_gone_and_goes_on_otherwise_is_a_twin() -> None:
    """It is not taken for the other, as its last bytes are not there."""
    assert judged(ALIKE, (known(), None), inode=2).recognition is Recognition.TWIN


def test_the_same_inode_cut_short_is_truncated() -> None:
    """Copy-truncate: it begins anew."""
    assert judged(OTHER[:300], (known(), None)) == Judgement(
        Recognition.TRUNCATED, fresh(facts(), OTHER.split(b"\n")[0])
    )


@pytest.mark.parametrize("content", [OTHER + OTHER, OTHER[:DELIVERED]])
def test_the_same_inode_with_other_bytes_is_replaced(content: bytes) -> None:
    """Truncated and grown past the offset, or the inode was used again."""
    assert judged(content, (known(), None)) == Judgement(
        Recognition.REPLACED, fresh(facts(), OTHER.split(b"\n")[0])
    )


def test_an_inode_used_again_is_replaced_although_nothing_was_delivered_of_its_former_file() -> None:
    """The first line alone shows it."""
    assert judged(OTHER, (known(offset=0), None)).recognition is Recognition.REPLACED


@pytest.mark.parametrize(
    ("content", "reason"), [(ALIKE, Recognition.REPLACED), (lines(0, 1), Recognition.TRUNCATED)]
)
def test_a_truncated_file_that_begins_alike_gets_ids_of_its_own(content: bytes, reason: Recognition) -> None:
    """Its first line may be the same, its offsets must not be taken for those delivered."""
    assert judged(content, (known(), None)) == Judgement(reason, fresh(facts(), lines(0, 1)[:-1], 1))


def test_the_inode_comes_before_the_bytes_of_other_files() -> None:
    """Of two that begin and go on alike, each goes on as itself."""
    first, second = known(), known(twin=1, inode=2)
    assert judged(LOG, (first, None), (second, None), inode=2).record == second


def test_a_truncated_file_may_hold_what_another_one_held() -> None:
    """A log copied back over another inode goes on as what it holds."""
    former, gone = known(OTHER, offset=400), known(inode=2)
    assert judged(LOG, (former, None), (gone, None)) == Judgement(Recognition.MOVED, replace(gone, inode=1))


def test_long_files_are_compared_to_their_end_and_piece_by_piece() -> None:
    """The last byte counts, and no more is held than a piece of each."""
    content = lines(0, 1) + bytes(3 * COMPARED)
    record = known(content, offset=0)
    window = Bytes(content)
    assert judged(content, (record, window), inode=2).recognition is Recognition.COPY
    assert judged(content[:-1] + b"x", (record, window), inode=2).recognition is Recognition.TWIN
    assert judged(content + b"x", (record, window), inode=2).recognition is Recognition.MOVED
    assert window.largest <= COMPARED


def test_telling_truncated_from_replaced_does_not_read_the_file() -> None:
    """However far it was delivered."""
    window = Bytes(OTHER * 3000)
    record = known(LOG * 1000, offset=len(LOG) * 1000)
    head = head_of(window)
    assert head is not None
    assert recognise(facts(), window, head, [(record, None)]).recognition is Recognition.REPLACED
    assert window.largest <= HEAD
