"""The indexer stops, or dies, at any moment of a rotation."""

import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from indexer.reading.holes import QUIET
from tests.support.rotation import FIRST, HALF, REST, SECOND, THIRD, compress, copy_truncate, rename, rotated
from tests.unit.conftest import Reader, append, expected, lines


def die(reader: Reader, log: Path, *, answers_lost: bool) -> None:
    """Deliver a part, and die with the rest in flight, which has arrived or not."""
    append(log, FIRST)
    reader.look()
    append(log, SECOND)
    reader.look(deliver=False)
    if answers_lost:
        reader.lose_answers()
    reader.restart()


@pytest.mark.parametrize("answers_lost", [False, True])
def test_what_was_on_its_way_comes_once_after_a_crash(
    reader: Reader, log: Path, *, answers_lost: bool
) -> None:
    """Whether it had arrived or not; what had is sent once more."""
    die(reader, log, answers_lost=answers_lost)
    reader.look()
    assert reader.delivered == expected(FIRST + SECOND)
    sent = expected(FIRST + SECOND) - expected(FIRST)
    assert reader.again == (sent if answers_lost else Counter())


@pytest.mark.parametrize("answers_lost", [False, True])
@pytest.mark.parametrize("change", [rename, copy_truncate, lambda log: compress(rename(log))])
def test_a_crash_and_a_rotation_together_lose_nothing(
    reader: Reader, log: Path, *, change: Callable[[Path], Path], answers_lost: bool
) -> None:
    """What was in flight when the indexer died is found in the rotated file."""
    die(reader, log, answers_lost=answers_lost)
    change(log)
    append(log, THIRD)
    reader.wait()
    assert reader.delivered == expected(FIRST + SECOND) + expected(THIRD)


@pytest.mark.parametrize("change", [rename, copy_truncate, lambda log: compress(rename(log))])
def test_a_rotation_while_lines_are_in_flight_loses_nothing(
    reader: Reader, log: Path, change: Callable[[Path], Path]
) -> None:
    """What is in flight may be sent once more from the copy; what is appended is sent once."""
    append(log, FIRST)
    reader.look(deliver=False)
    append(log, SECOND)
    change(log)
    append(log, THIRD)
    for _ in range(3):
        reader.now += QUIET + 1
        reader.look(deliver=False)
    reader.arrive()
    reader.wait()
    assert reader.delivered == expected(FIRST + SECOND) + expected(THIRD)
    assert reader.again <= (Counter() if change is rename else expected(FIRST + SECOND))


def test_a_stop_in_the_midst_of_a_rotation_is_gone_on_from(reader: Reader, log: Path) -> None:
    """With one file that has ended, one that is rotated and open, one truncated, and a copy of it not yet seen."""
    append(log, FIRST)
    reader.look()
    rename(log).rename(rotated(log, 2))
    reader.wait()
    append(log, SECOND + HALF)
    reader.look()
    rename(log)
    append(log, THIRD)
    reader.look()
    append(log, lines(3000, 5))
    shutil.copy(log, rotated(log, 3))
    os.truncate(log, 0)
    append(log, lines(4000, 5))
    reader.tail.scan()
    reader.restart()
    append(log, lines(5000, 5))
    append(rotated(log), REST)
    reader.wait()
    assert reader.delivered == (
        expected(FIRST)
        + expected(SECOND + HALF + REST)
        + expected(THIRD + lines(3000, 5))
        + expected(lines(4000, 5) + lines(5000, 5))
    )
    assert reader.told.lost == []


def test_run_after_run_remembers_no_file_that_is_gone(reader: Reader, logs: Path, log: Path) -> None:
    """With `once`: all that is there was looked into, so nobody goes on where it was; what nobody has read is told."""
    append(log, FIRST)
    (logs / "old-activity.log.1").write_bytes(SECOND)
    reader.restart(once=True)
    reader.look()
    reader.restart()
    append(log, THIRD)
    (logs / "old-activity.log.1").unlink()
    reader.look()
    assert [record.path for record in reader.tail.records()] == [str(log)]
    append(log, SECOND)
    reader.look(deliver=False)
    reader.restart()
    log.unlink()
    reader.look()
    assert reader.tail.records() == []


def test_a_file_that_other_paths_name_is_not_forgotten(tmp_path: Path) -> None:
    """One state serves one command after the other, each for a directory of its own."""
    one, two = tmp_path / "one", tmp_path / "two"
    for directory, content in ((one, FIRST), (two, SECOND)):
        directory.mkdir()
        append(directory / "zoomdata-activity.log", content)
    reader = Reader(one, once=True)
    reader.look()
    reader.save()
    other = Reader(two, once=True)
    other.start(reader.tail.records(), once=True)
    other.look()
    assert {Path(record.path).parent for record in other.tail.records()} == {one, two}
