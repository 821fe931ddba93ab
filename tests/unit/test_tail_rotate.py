"""Rotation by renaming: each file is read to its end, and under one name as under the other."""

import gzip
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from indexer.events import Recognition
from indexer.reading import files
from indexer.reading.scanner import CLAIMABLE
from tests.support.rotation import FIRST, HALF, SECOND, THIRD, rename, rotated
from tests.unit.conftest import Opened, Reader, append, expected, lines


def recognitions(reader: Reader) -> list[tuple[str, Recognition]]:
    return [(name, recognition) for name, recognition, _ in reader.told.found]


# ---- rotation by renaming


def test_a_renamed_file_is_read_on(reader: Reader, log: Path) -> None:
    """Under its new name as under the old one."""
    append(log, FIRST)
    reader.look()
    append(log, SECOND)
    rename(log)
    append(log, THIRD)
    append(rotated(log), FIRST)
    reader.wait()
    assert reader.delivered == expected(FIRST + SECOND + FIRST) + expected(THIRD)
    assert recognitions(reader) == [(log.name, Recognition.NEW)] * 2
    assert not reader.again


def test_a_deleted_file_is_read_to_its_end(reader: Reader, log: Path) -> None:
    """Through the descriptor that is open, and then let go and forgotten."""
    append(log, FIRST)
    reader.look()
    append(log, SECOND + HALF)
    log.unlink()
    reader.wait()
    assert reader.delivered == expected(FIRST + SECOND + HALF)
    assert reader.told.finished == [log.name]
    reader.wait(CLAIMABLE + 1)
    assert reader.tail.records() == []
    assert reader.told.lost == []


def test_what_grew_after_its_end_while_nobody_looked_is_read_on(reader: Reader, log: Path) -> None:
    """Ended is what has its size still."""
    append(log, FIRST)
    rename(log)
    reader.wait()
    reader.restart()
    append(rotated(log), SECOND)
    reader.wait()
    assert reader.delivered == expected(FIRST + SECOND)
    assert not reader.again


def test_a_file_renamed_since_it_was_found_is_read_as_itself(
    reader: Reader, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its path names another file by then; the next look finds both."""
    append(log, FIRST)
    find = files.find

    def find_and_rotate(patterns: Iterable[str], scope: files.Scope) -> files.Look:
        found = find(patterns, scope)
        rename(log)
        append(log, SECOND)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(files, "find", find_and_rotate)
        reader.tail.scan()
    reader.wait()
    assert reader.delivered == expected(FIRST) + expected(SECOND)
    assert reader.told.unreadable == []


def test_a_truncated_log_that_is_renamed_at_once_is_read_as_itself(reader: Reader, log: Path) -> None:
    """It is read on through its descriptor, as its path names another file by then."""
    append(log, FIRST)
    reader.look()
    os.truncate(log, 0)
    append(log, SECOND)
    rename(log)
    append(log, THIRD)
    reader.read()
    rotated(log).unlink()
    reader.wait()
    assert reader.delivered == expected(FIRST) + expected(SECOND) + expected(THIRD)


def test_several_rotations_between_two_looks_lose_nothing(reader: Reader, log: Path) -> None:
    """Whatever still has a name, or was open before."""
    contents = [lines(1000 * number, 30) for number in range(5)]
    append(log, contents[0])
    reader.look()
    for content in contents[1:]:
        for number in (3, 2, 1):
            if rotated(log, number).exists():
                rotated(log, number).rename(rotated(log, number + 1))
        rename(log)
        append(log, content)
    rotated(log, 4).unlink()
    reader.wait()
    assert reader.delivered == sum(map(expected, contents), Counter())
    assert not reader.again


def test_a_rotated_file_out_of_sight_is_read_to_its_end(logs: Path, log: Path) -> None:
    """The paths need not name it any more."""
    reader = Reader(log)
    append(log, FIRST)
    reader.look()
    rename(log)
    append(rotated(log), SECOND)
    append(log, THIRD)
    reader.wait()
    assert reader.delivered == expected(FIRST + SECOND) + expected(THIRD)


def test_files_that_have_ended_are_not_opened_again(reader: Reader, log: Path, opened: Opened) -> None:
    """Neither while following nor after a restart, which opens the live log alone."""
    append(log, FIRST)
    rename(log)
    append(log, SECOND)
    archive = rotated(log, 2).with_suffix(".2.gz")
    archive.write_bytes(gzip.compress(THIRD))
    reader.wait()
    before = Counter(opened.names)
    assert before[archive.name] == before[rotated(log).name] == 1
    reader.wait()
    assert Counter(opened.names) == before
    reader.restart()
    reader.wait()
    reader.wait()
    assert Counter(opened.names) == before + Counter([log.name])
    assert reader.delivered == expected(FIRST) + expected(SECOND) + expected(THIRD)
    assert not reader.again


def test_a_live_log_that_was_read_once_is_held_open(logs: Path, log: Path) -> None:
    """It may be rotated and deleted between two looks."""
    append(log, FIRST)
    reader = Reader(logs, once=True)
    reader.look()
    reader.restart(once=False)
    reader.look()
    append(log, SECOND)
    log.unlink()
    reader.wait()
    assert reader.delivered == expected(FIRST + SECOND)


def test_what_grew_after_it_had_ended_is_not_taken_for_ended_after_a_restart(
    reader: Reader, log: Path
) -> None:
    """What was read and not delivered is read again."""
    append(log, FIRST)
    reader.look()
    rename(log)
    reader.wait()
    append(rotated(log), SECOND)
    reader.look(deliver=False)
    reader.look(deliver=False)
    reader.restart()
    reader.wait()
    assert reader.delivered == expected(FIRST + SECOND)


# ---- inodes used again


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("content", [THIRD, THIRD * 3, lines(0, 1) + THIRD])
def test_an_inode_used_again_is_another_file(
    reader: Reader, log: Path, *, content: bytes, restarted: bool
) -> None:
    """Whether it is shorter or longer than the offset, and whether it begins alike."""
    append(log, FIRST + SECOND)
    reader.look()
    inode = log.stat().st_ino
    rename(log)
    reader.wait()
    if restarted:
        reader.restart()
    rotated(log).write_bytes(content)
    rotated(log).rename(log)
    assert log.stat().st_ino == inode
    reader.wait()
    assert reader.delivered == expected(FIRST + SECOND) | expected(content)
    assert reader.again == expected(FIRST + SECOND) & expected(content), "a line that both begin with"


def test_an_inode_used_again_by_a_file_of_the_same_size_is_another_file(reader: Reader, log: Path) -> None:
    """Its first line tells."""
    append(log, lines(0, 1))
    reader.look()
    rename(log)
    reader.wait()
    rotated(log).write_bytes(lines(0, 1).replace(b"0", b"1"))
    rotated(log).rename(log)
    reader.wait()
    assert reader.delivered == expected(lines(0, 1)) + expected(log.read_bytes())
