"""Comparing records of the files with those of a scan: what is present, what is left for the lookups, what is extra."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.reading.batch import START, AckPosition, OversizedFragment, ReadBatch
from indexer.reading.entries import Entries, Reason, Rejection
from indexer.reading.files import FileFacts
from indexer.verify import whole_index
from indexer.verify.findings import SHOWN, Defect, Kind, Line, Verification
from indexer.verify.found import NAMED, Found
from indexer.verify.scan import Page
from indexer.verify.whole_index import FEW, SCANNED_MEANWHILE, Compared, Expected, compare, scan_is_faster

A, B = b"aaaaaaaa", b"bbbbbbbb"
"""Generations of two files."""
ONE, TWO = b"activity-000001", b"activity-000002"


def identity(number: int, generation: bytes = A) -> bytes:
    return generation + b"%012x%08x" % (number, number)


def batch(
    entries: Sequence[tuple[bytes, bytes]],
    *,
    refused: Sequence[bytes] = (),
    too_long: Sequence[bytes] = (),
    file: str = "a.log",
) -> ReadBatch:
    rejections = [Rejection(it.decode(), file, 0, Reason.NOT_AN_OBJECT, "", b"") for it in refused]
    fragments = [OversizedFragment(file, "", 0, b"", first=False, id=it.decode()) for it in too_long]
    fragments += [OversizedFragment(file, "", 0, b"", first=True, id=None)]
    lines = Entries([it for it, _ in entries], [data for _, data in entries], rejections)
    return ReadBatch(AckPosition(1, START, 0, 0, 0), file, 0, lines, fragments, final=True)


def page(*hits: tuple[bytes, bytes, bytes]) -> Page:
    return Page(*map(list, zip(*hits, strict=True))) if hits else Page([], [], [])


@pytest.fixture
def expected() -> Iterator[Expected]:
    with Expected() as it:
        yield it


@pytest.fixture
def found() -> Iterator[Found]:
    with Found() as it:
        yield it


def compared(expected: Expected, found: Found) -> Compared:
    result = compare(expected, found, Verification("activity"))
    assert result is not None
    return result


def test_what_is_there_once_with_its_bytes_is_present_and_all_else_is_left(
    expected: Expected, found: Found
) -> None:
    """Missing, different, doubled, twice in one index; a line that is not an entry, whatever is under its id."""
    ids = [identity(n) for n in range(7)]
    expected.add(batch([(it, b"{}") for it in ids[:5]], refused=[ids[5]], too_long=[ids[6]]))
    found.add(page((ONE, ids[0], b"{}"), (ONE, ids[1], b"{} "), (ONE, ids[2], b"{}"), (ONE, ids[3], b"{}")))
    found.add(page((TWO, ids[2], b"{}"), (ONE, ids[3], b"{}"), (ONE, ids[5], b""), (ONE, ids[6], b"")))
    result = compared(expected, found)
    assert result.verification == Verification("activity", read=1, present=1)
    assert result.absent == set(ids[1:])
    assert result.left == {A: 6}


def test_a_line_of_several_files_is_counted_for_each(expected: Expected, found: Found) -> None:
    """It is one entry. Of files that differ under one id, all are left."""
    for data in (b"{}", b"{}", b"{}"):
        expected.add(batch([(identity(1), data)]))
    for data in (b"{}", b'{"a":1}'):
        expected.add(batch([(identity(2), data)]))
    found.add(page((ONE, identity(1), b"{}"), (ONE, identity(2), b"{}")))
    result = compared(expected, found)
    assert (result.verification.present, result.left) == (3, {A: 2})


def test_too_many_lines_are_not_left(
    expected: Expected, found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their ids would take too much memory."""
    monkeypatch.setattr(whole_index, "MOST_LEFT", 3)
    expected.add(batch([(identity(n), b"{}") for n in range(3)]))
    assert compare(expected, found, Verification("activity")) is not None
    expected.add(batch([(identity(3), b"{}")]))
    assert compare(expected, found, Verification("activity")) is None


# ---- what is left


def line(number: int) -> Line:
    return Line(identity(number), b"{}", "a.log", number, None, final=True)


def test_the_lines_that_are_left_are_selected(expected: Expected, found: Found) -> None:
    """In the order of the files."""
    expected.add(batch([(identity(n), b"{}") for n in range(4)]))
    found.add(page((ONE, identity(1), b"{}"), (ONE, identity(3), b"{}")))
    result = compared(expected, found)
    assert [it.offset for it in result.select(map(line, range(5)))] == [0, 2]
    assert result.vanished == {}


def test_lines_that_are_gone_when_they_are_selected_are_not_passed_over(
    expected: Expected, found: Found
) -> None:
    """Their file cannot be called good; another one's lines do not make up for them."""
    expected.add(batch([(identity(n), b"{}") for n in range(4)]))
    expected.add(batch([(identity(1, B), b"{}")], file="b.log"))
    result = compared(expected, found)
    assert len(list(result.select(map(line, (0, 2))))) == 2
    assert result.vanished.keys() == {"a.log", "b.log"}
    assert "2 of its lines" in result.vanished["a.log"]


def test_where_nothing_is_left_no_file_is_read_again(expected: Expected, found: Found) -> None:
    """Not even opened."""
    expected.add(batch([(identity(0), b"{}")]))
    found.add(page((ONE, identity(0), b"{}")))

    def lines() -> Iterator[Line]:
        pytest.fail("it was read")
        yield

    assert list(compared(expected, found).select(lines())) == []


# ---- extra entries


def test_an_entry_that_no_file_and_no_seal_names_is_extra(expected: Expected, found: Found) -> None:
    """With its place and its index. Those of other files are not looked at, nor those that a seal names."""
    expected.add(batch([(identity(0), b"{}")], refused=[identity(1)]))
    asked: list[bytes] = []

    def known(ids: Sequence[bytes]) -> Collection[bytes]:
        asked.extend(ids)
        return {identity(2)}

    hits = [identity(0), identity(1), identity(2), identity(3), identity(4, B), b"somebody's own"]
    found.add(page(*((ONE, it, b"{}") for it in hits)))
    result = compare(expected, found, Verification("activity"), known)
    assert result is not None
    assert sorted(asked) == [identity(2), identity(3)]
    verification = result.verification
    assert (verification.read, verification.extra, verification.agrees) == (1, 1, False)
    place = Defect(Kind.EXTRA, "a.log", 3, identity(3).decode(), (ONE.decode(),))
    assert verification.findings == (place,)
    assert compared(expected, found).verification.extra == 0


def test_of_extra_entries_the_first_few_are_told(expected: Expected, found: Found) -> None:
    """All are counted."""
    expected.add(batch([(identity(0), b"{}")]))
    found.add(page(*((ONE, identity(n), b"{}") for n in range(1, 101))))
    result = compare(expected, found, Verification("activity"), lambda _: ())
    assert result is not None
    assert result.verification.extra == 100
    assert len(result.verification.findings) == SHOWN


# ---- what a scan finds


def test_documents_of_somebody_else_are_told_apart(found: Found) -> None:
    """By their ids; they are counted, and the first are named as they are."""
    own = [b"x", identity(0).upper(), "é".encode(), b"0" * 29]
    found.add(page((ONE, identity(0), b"{}"), *((TWO, it, b"{}") for it in own), (TWO, identity(1), b"{}")))
    assert (found.count, found.records.count, found.foreign) == (6, 2, 4)
    assert found.foreigners == [(TWO.decode(), it.decode()) for it in own]
    (value,) = [
        value
        for number in range(1024)
        for value in found.records.part(number).get(bytes.fromhex(identity(1).decode()), [])
    ]
    assert found.index_of(value) == TWO.decode()
    found.add(page(*((ONE, b"%d" % n, b"{}") for n in range(NAMED))))
    assert (found.foreign, len(found.foreigners)) == (NAMED + 4, NAMED)


# ---- which way is faster


FACTS = FileFacts("a.log", 1, 1, 0, 0)


@pytest.mark.parametrize(
    ("megabytes", "documents", "scan"),
    [
        (1, 0, False),
        (FEW / 1000 + 1, 0, True),
        (100, 100_000 * SCANNED_MEANWHILE - 1, True),
        (100, 100_000 * SCANNED_MEANWHILE, False),
    ],
)
def test_many_lines_beside_the_documents_of_the_index_are_scanned_for(
    megabytes: float, documents: int, *, scan: bool
) -> None:
    """An archive has ten times as many."""
    size = int(megabytes * 1e6)
    assert scan_is_faster([replace(FACTS, size=size)], documents) is scan
    archive = replace(FACTS, path=str(Path("a.log.1.gz")), size=size // 10)
    assert scan_is_faster([archive], documents) is scan
