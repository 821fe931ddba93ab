"""Copies of logs, and logs that are truncated: nothing is lost, and what is recognised is not sent again."""

import gzip
import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from indexer.reading.scanner import CLAIMABLE
from tests.support.rotation import FIRST, HALF, SECOND, THIRD, copy_truncate, rename, rotated
from tests.unit.conftest import Opened, Reader, append, expected, lines

# ---- copy-truncate


@pytest.mark.parametrize("seen_before", [False, True])
@pytest.mark.parametrize("grown", [b"", THIRD, THIRD * 4])
def test_unread_bytes_of_a_truncated_file_are_recovered_from_its_copy(
    reader: Reader, log: Path, *, seen_before: bool, grown: bytes
) -> None:
    """Whether the copy was seen before or after the truncation, and however far the log has grown again."""
    append(log, FIRST)
    reader.look()
    append(log, SECOND)
    shutil.copy(log, rotated(log))
    if seen_before:
        reader.tail.scan()
    os.truncate(log, 0)
    append(log, grown)
    reader.wait()
    assert reader.delivered == expected(FIRST + SECOND) + expected(grown)
    assert not reader.again
    assert reader.told.lost == []
    reader.wait(CLAIMABLE + 1)
    assert reader.told.lost == []


def test_what_a_truncation_took_before_it_was_read_is_told(log: Path) -> None:
    """With its size, once no copy of it has turned up for a while."""
    reader = Reader(log)
    content = append(log, lines(0, 9000))
    reader.tail.scan()
    [run] = reader.tail.read()
    reader.tail.acknowledge(run.position)
    os.truncate(log, 0)
    append(log, content[-len(content) // 2 :])
    reader.wait()
    assert reader.told.lost == []
    reader.wait(CLAIMABLE + 1)
    assert reader.told.lost == [(log.name, len(content) - run.position.end.offset)]


def test_a_log_truncated_before_anything_of_it_was_read_is_noticed(reader: Reader, log: Path) -> None:
    """By its first line: what it holds now gets ids of its own."""
    append(log, FIRST)
    reader.tail.scan()
    copy_truncate(log)
    append(log, SECOND)
    reader.wait()
    assert reader.delivered == expected(FIRST) + expected(SECOND)
    assert not reader.again


def test_a_backup_of_a_truncated_log_is_a_copy_of_what_it_holds_now(reader: Reader, log: Path) -> None:
    """The log knows what it is before others are held against it."""
    append(log, FIRST)
    reader.tail.scan()
    copy_truncate(log)
    append(log, SECOND)
    shutil.copy(log, f"{log}.backup")
    append(log, THIRD)
    reader.wait()
    assert reader.delivered == expected(FIRST) + expected(SECOND + THIRD)


def test_a_copy_waits_until_its_log_is_known_to_be_truncated(reader: Reader, log: Path) -> None:
    """Whichever of the two is looked at first; the unread bytes are claimed, not lost."""
    append(rotated(log), FIRST[:5])
    reader.look()
    append(log, FIRST)
    reader.look()
    append(log, SECOND)
    shutil.copy(log, rotated(log))
    os.truncate(log, 0)
    reader.read()
    reader.wait()
    reader.wait(CLAIMABLE + 1)
    assert reader.delivered == expected(FIRST + SECOND)
    assert not reader.again
    assert reader.told.lost == []


def test_a_backup_that_is_found_first_is_part_of_its_log(reader: Reader, logs: Path, log: Path) -> None:
    """Whatever its name."""
    append(logs / "a-activity.log", FIRST)
    append(log, FIRST + SECOND)
    reader.wait()
    assert reader.delivered == expected(FIRST + SECOND)


def test_a_copy_that_adds_nothing_leaves_the_rest_to_a_longer_one(reader: Reader, log: Path) -> None:
    """A backup made at the delivered offset is no successor of the log."""
    append(log, FIRST)
    reader.look()
    shutil.copy(log, f"{log}.backup")
    reader.look()
    append(log, SECOND)
    copy_truncate(log)
    reader.wait()
    assert reader.delivered == expected(FIRST + SECOND)
    assert not reader.again


def test_an_archive_of_a_truncated_log_is_judged_once_it_is_whole(reader: Reader, log: Path) -> None:
    """As logrotate makes it with copytruncate and compress."""
    append(log, FIRST)
    reader.look()
    append(log, SECOND)
    copy = copy_truncate(log)
    reader.look()
    packed = gzip.compress(copy.read_bytes())
    archive = copy.with_name(copy.name + ".gz")
    append(archive, packed[: len(packed) // 2])
    reader.look()
    append(archive, packed[len(packed) // 2 :])
    copy.unlink()
    reader.wait()
    assert reader.delivered == expected(FIRST + SECOND)
    assert not reader.again


def test_half_a_line_lost_by_a_truncation_is_told(log: Path) -> None:
    """It was read, and is no entry; nor will it ever be one."""
    reader = Reader(log)
    append(log, FIRST + HALF)
    reader.look()
    os.truncate(log, 0)
    append(log, SECOND)
    reader.wait()
    reader.wait(CLAIMABLE + 1)
    assert reader.told.lost == [(log.name, len(HALF))]


def test_truncating_again_and_again_grows_no_state(log: Path) -> None:
    """What was read whole is forgotten, be the log still there or not."""
    reader = Reader(log)
    written = [lines(1000 * number, 20) for number in range(6)]
    for content in written:
        append(log, content)
        reader.look()
        os.truncate(log, 0)
        reader.wait(CLAIMABLE)
    last = append(log, lines(9000, 3))
    reader.wait(CLAIMABLE + 1)
    assert len(reader.tail.records()) == 1
    assert reader.delivered == sum(map(expected, [*written, last]), Counter())
    assert reader.told.lost == []


def test_a_truncated_log_that_begins_with_the_same_line_is_read_anew(reader: Reader, log: Path) -> None:
    """The first line is the one that is known, under its id; the others are not taken for those delivered."""
    append(log, FIRST)
    reader.look()
    os.truncate(log, 0)
    again = append(log, lines(0, 1) + SECOND)
    reader.wait()
    assert reader.delivered == expected(FIRST) | expected(again)
    assert reader.again == expected(lines(0, 1))


@pytest.mark.parametrize("count", [5, 9])
def test_a_log_that_begins_anew_with_lines_that_end_alike_is_noticed(
    reader: Reader, log: Path, count: int
) -> None:
    """Lines may differ in their time alone, which comes first: the bytes before the offset do not tell them apart."""

    def written(since: int, count: int) -> bytes:
        pad = b"x" * 400
        return b"".join(b'{"time":%d,"pad":"%s"}\n' % (since + n, pad) for n in range(count))

    first, second = written(1000, 5), written(2000, count)
    append(log, first)
    reader.look()
    log.write_bytes(second)
    append(log, b'{"later":1}\n')
    reader.wait()
    assert reader.delivered == expected(first) + expected(second + b'{"later":1}\n')


def test_a_copy_stays_a_copy_while_it_is_compressed_and_kept(reader: Reader, log: Path) -> None:
    """A backup in the same directory is sent no second time, whatever becomes of the log."""
    append(log, FIRST)
    reader.look()
    backup = log.with_name("zoomdata-activity.log.backup.gz")
    backup.write_bytes(gzip.compress(FIRST))
    reader.wait()
    append(log, SECOND)
    reader.wait()
    rename(log)
    append(log, THIRD)
    reader.wait()
    reader.wait(CLAIMABLE + 1)
    assert reader.delivered == expected(FIRST + SECOND) + expected(THIRD)
    assert not reader.again


def test_a_copy_that_does_not_change_is_not_looked_into_again(
    reader: Reader, log: Path, opened: Opened
) -> None:
    """Idle costs next to nothing, archives included; neither does a restart."""
    append(log, FIRST)
    reader.look()
    backup = log.with_name(log.name + ".backup.gz")
    backup.write_bytes(gzip.compress(FIRST))
    reader.wait()
    before = opened.names.count(backup.name)
    reader.wait()
    reader.read()
    reader.restart()
    reader.wait()
    assert opened.names.count(backup.name) == before == 1
    assert not reader.again
