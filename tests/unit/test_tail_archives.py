"""Compressed logs: recognised as what they were, waited for while they are written, told when they are cut."""

import gzip
import shutil
from pathlib import Path

import pytest

from indexer.events import Recognition
from indexer.reading.scanner import CLAIMABLE
from tests.support.rotation import FIRST, HALF, SECOND, compress, rename, rotated
from tests.unit.conftest import Reader, append, expected, lines


def recognitions(reader: Reader) -> list[tuple[str, Recognition]]:
    return [(name, recognition) for name, recognition, _ in reader.told.found]


@pytest.mark.parametrize("ended", [False, True])
def test_a_rotated_file_that_is_compressed_is_not_sent_again(
    reader: Reader, log: Path, *, ended: bool
) -> None:
    """Be it while the rotated file is still open or after it has ended."""
    append(log, FIRST)
    reader.look()
    rename(log)
    append(log, SECOND)
    if ended:
        reader.wait()
    compress(rotated(log))
    reader.wait()
    reader.wait()
    assert reader.delivered == expected(FIRST) + expected(SECOND)
    assert not reader.again
    assert (rotated(log).name + ".gz", Recognition.MOVED) in recognitions(reader)
    reader.wait(CLAIMABLE + 1)
    assert sorted(Path(record.path).name for record in reader.tail.records()) == [
        log.name,
        rotated(log).name + ".gz",
    ]


def test_an_archive_that_is_being_written_beside_its_log_is_a_copy(reader: Reader, log: Path) -> None:
    """Until the log goes; then it goes on, and finds nothing that was not sent."""
    append(log, FIRST + SECOND)
    reader.look()
    rename(log)
    reader.wait()
    packed = gzip.compress(FIRST + SECOND)
    archive = rotated(log).with_name(rotated(log).name + ".gz")
    for start in range(0, len(packed), 200):
        append(archive, packed[start : start + 200])
        reader.look()
    rotated(log).unlink()
    reader.wait()
    assert reader.delivered == expected(FIRST + SECOND)
    assert not reader.again


def test_an_archive_goes_on_where_the_log_was_when_the_indexer_stopped(reader: Reader, log: Path) -> None:
    """Rotated and compressed while nobody looked; and once more moved to another disk after that."""
    append(log, FIRST)
    reader.look()
    append(log, lines(500, 1))
    archive = compress(rename(log))
    reader.restart()
    reader.wait()
    content = FIRST + lines(500, 1)
    assert reader.delivered == expected(content)
    other = rotated(log, 7).with_suffix(".7.gz")
    shutil.copy(archive, other)
    archive.unlink()
    reader.restart()
    reader.wait()
    assert reader.delivered == expected(content)
    assert not reader.again


def test_a_tried_last_line_is_asked_for_before_an_archive_sends_it_again(reader: Reader, log: Path) -> None:
    """The offset is before it, so that it is read again; its id is the same."""
    append(log, FIRST + HALF)
    reader.look()
    rename(log)
    reader.wait()
    compress(rotated(log))
    reader.wait()
    assert reader.delivered == expected(FIRST + HALF)
    assert reader.again == expected(FIRST + HALF) - expected(FIRST)


def test_with_once_a_log_and_its_archive_side_by_side_are_sent_once(logs: Path, log: Path) -> None:
    """As gzip -k leaves them: one file is read after the other, the archive last."""
    append(rotated(log), FIRST)
    rotated(log).with_name(rotated(log).name + ".gz").write_bytes(gzip.compress(FIRST))
    reader = Reader(logs, once=True)
    reader.look()
    assert reader.delivered == expected(FIRST)
    assert not reader.again
    assert reader.tail.exhausted


@pytest.mark.parametrize("once", [False, True])
def test_an_archive_found_before_its_log_is_delivered_costs_no_more_than_itself(
    logs: Path, log: Path, *, once: bool
) -> None:
    """What is in flight is not known to be delivered; the index has each line once nevertheless."""
    append(rotated(log), FIRST)
    rotated(log).with_name(rotated(log).name + ".gz").write_bytes(gzip.compress(FIRST))
    reader = Reader(logs, once=once)
    reader.look(deliver=False)
    reader.arrive()
    reader.wait()
    assert reader.delivered == expected(FIRST)
    assert reader.again <= expected(FIRST)
    assert not once or reader.tail.exhausted


@pytest.mark.parametrize("kept", [5, 40, -3])
def test_a_cut_archive_is_told_with_once(logs: Path, log: Path, kept: int) -> None:
    """What it has is delivered, and it goes on when it is whole."""
    packed = gzip.compress(FIRST)
    archive = log.with_name(log.name + ".gz")
    append(archive, packed[:kept])
    reader = Reader(logs, once=True)
    reader.look()
    assert reader.tail.exhausted
    assert list(reader.tail.failures) == [str(archive)]
    assert "cut short" in reader.told.unreadable[0][1]
    assert reader.delivered <= expected(FIRST)
    append(archive, packed[kept:])
    reader.restart()
    reader.look()
    assert reader.delivered == expected(FIRST)
    assert reader.tail.failures == {}


def test_a_growing_archive_is_waited_for(reader: Reader, log: Path) -> None:
    """It is not told as cut while it may still be written."""
    packed = gzip.compress(FIRST)
    archive = log.with_name(log.name + ".gz")
    append(archive, packed[:-20])
    reader.wait()
    append(archive, packed[-20:])
    reader.wait()
    assert reader.delivered == expected(FIRST)
    assert reader.told.unreadable == []
    assert reader.told.finished == [archive.name]
