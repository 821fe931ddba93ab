"""NUL bytes where a line should be: space that its writer has not filled yet, or never will."""

import mmap
import os
import tracemalloc
from pathlib import Path

import pytest

from indexer.reading import reader as reader_module
from indexer.reading.holes import FILLED_WITHIN, QUIET
from tests.support.rotation import FIRST, SECOND, THIRD, copy_truncate, rename, rotated
from tests.unit.conftest import Reader, append, expected, lines

WHOLE = FIRST + SECOND
AT = [0, len(lines(0, 1)), len(lines(0, 20)), len(lines(0, 20)) + 11, len(FIRST)]
"""Where holes begin: at the first line, at lines, in the middle of one."""
SIZES = [1, len(lines(20, 1)), len(lines(20, 3)), 700]


def fill(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def holed(at: int, size: int) -> bytes:
    """The whole content, of which some bytes are NULs."""
    return WHOLE[:at] + b"\0" * size + WHOLE[at + size :]


@pytest.fixture(autouse=True, params=[300, reader_module.BLOCK], ids=["small blocks", "one block"])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block may end anywhere in a hole."""
    monkeypatch.setattr(reader_module, "BLOCK", request.param)


# ---- a hole that is filled (NFS, a writer that fills in what it has reserved)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("at", AT)
def test_a_hole_that_is_filled_is_waited_for(reader: Reader, log: Path, at: int, size: int) -> None:
    """Though there are lines behind it: all come in the end, none twice, none that is not there."""
    append(log, holed(at, size))
    reader.look()
    before = reader.delivered.copy()
    assert before <= expected(WHOLE)
    fill(log, at, WHOLE[at : at + size])
    reader.look()
    reader.wait()
    assert reader.delivered == expected(WHOLE)
    assert not reader.again


@pytest.mark.parametrize("at", AT)
def test_a_hole_is_waited_for_while_its_log_grows(reader: Reader, log: Path, at: int) -> None:
    """And while it is filled piece by piece."""
    size = 600
    append(log, holed(at, size))
    content = WHOLE
    for start in range(0, size, 200):
        reader.look()
        content += append(log, lines(5000 + start, 3))
        reader.look()
        fill(log, at + start, WHOLE[at + start : at + start + 200])
    reader.wait()
    assert reader.delivered == expected(content)
    assert not reader.again


@pytest.mark.parametrize("rotate", [rename, None])
def test_a_hole_is_waited_for_over_a_restart_and_a_rotation(
    reader: Reader, log: Path, rotate: object
) -> None:
    """What lies behind it is not taken for delivered."""
    at, size = AT[2], SIZES[2]
    append(log, holed(at, size))
    reader.look()
    reader.restart()
    if rotate:
        rename(log)
    reader.look()
    assert reader.delivered == expected(WHOLE[:at])
    fill(rotated(log) if rotate else log, at, WHOLE[at : at + size])
    reader.wait()
    assert reader.delivered == expected(WHOLE)


# ---- a hole that stays


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("at", AT)
def test_behind_a_hole_that_stays_it_goes_on(reader: Reader, log: Path, at: int, size: int) -> None:
    """Once the file has been quiet for a while: what is left of the lines comes at its place."""
    append(log, holed(at, size))
    for _ in range(3):
        reader.wait()
    assert reader.delivered == expected(holed(at, size))
    append(log, THIRD)
    reader.look()
    assert reader.delivered == expected(holed(at, size) + THIRD)
    assert not reader.again


def test_a_log_that_never_rests_goes_on_behind_a_hole(reader: Reader, log: Path) -> None:
    """After a minute."""
    content = append(log, holed(AT[2], SIZES[2]))
    for turn in range(int(FILLED_WITHIN)):
        content += append(log, lines(5000 + turn, 1))
        reader.look()
    assert reader.delivered == expected(content)


@pytest.mark.parametrize("once", [False, True])
def test_entries_behind_a_large_hole_go_in(logs: Path, log: Path, *, once: bool) -> None:
    """As `truncate -s 150M` leaves it, or a writer that goes on at its offset after a copy-truncate; in little memory."""
    size = 20 * 1024 * 1024 if reader_module.BLOCK > 300 else 30_000
    append(log, FIRST)
    os.truncate(log, size)
    append(log, THIRD)
    reader = Reader(logs, once=once, limit=10_000)
    tracemalloc.start()
    try:
        for _ in range(4):
            reader.wait()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert reader.delivered == expected(log.read_bytes())
    assert peak < 4 * 1024 * 1024
    assert not once or reader.tail.exhausted


def test_a_writer_that_goes_on_at_its_offset_leaves_a_hole(reader: Reader, log: Path) -> None:
    """Without O_APPEND, after a copy-truncate: what it writes then is read."""
    append(log, FIRST)
    reader.look()
    copy_truncate(log)
    fill(log, len(FIRST), SECOND)
    for _ in range(3):
        reader.wait()
    assert reader.delivered == expected(FIRST) + expected(b"\0" * len(FIRST) + SECOND)
    assert not reader.again


def test_an_entry_with_a_nul_in_it_holds_back_nothing(reader: Reader, log: Path) -> None:
    """It waits as a hole does, and comes as it is: the index rejects it."""
    content = append(log, FIRST + b'{"a":"\0"}\n' + SECOND)
    for _ in range(2):
        reader.wait()
    assert reader.delivered == expected(content)


# ---- space for lines to come


@pytest.mark.parametrize("grown", [1, 7, 50])
def test_a_preallocated_log_is_read_as_it_is_written(reader: Reader, log: Path, grown: int) -> None:
    """By a writer that maps it: its size never changes, and there are NULs behind the last line."""
    log.write_bytes(b"\0" * 2 * len(WHOLE))
    with log.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        end = 0
        for number in range(0, 100, grown):
            data = lines(number, grown)
            memory[end : end + len(data)] = data
            end += len(data)
            memory.flush()
            reader.look()
            assert reader.delivered == expected(memory[:end])
            assert [(each.lag, each.delivered) for each in reader.tail.progress()] == [(0, end)]
    os.truncate(log, end)
    append(log, THIRD)
    reader.wait()
    assert reader.delivered == expected(log.read_bytes())
    assert not reader.again


@pytest.mark.parametrize("size", [10, 5000, 70_000, 1_000_000])
def test_a_writer_that_died_leaves_a_hole_and_its_successor_reserves_more(
    reader: Reader, log: Path, size: int
) -> None:
    """NULs between lines, and NULs behind the last one: the former stay, the latter are filled."""
    log.write_bytes(FIRST)
    os.truncate(log, len(FIRST) + size)
    end = len(append(log, SECOND)) + len(FIRST) + size
    os.truncate(log, end + size)
    for _ in range(3):
        reader.wait()
    assert reader.delivered == expected(log.read_bytes())
    fill(log, end, THIRD)
    reader.look()
    assert reader.delivered == expected(log.read_bytes())
    assert [each.lag for each in reader.tail.progress()] == [0]
    assert not reader.again


def test_half_a_line_in_a_preallocated_log_waits(reader: Reader, log: Path) -> None:
    """However long, and it is no lag: nobody could send it."""
    log.write_bytes(FIRST + SECOND[:9] + b"\0" * 1000)
    for _ in range(3):
        reader.wait(2 * FILLED_WITHIN)
    assert reader.delivered == expected(FIRST)
    assert [each.lag for each in reader.tail.progress()] == [0]
    fill(log, len(FIRST), SECOND)
    reader.look()
    reader.wait()
    assert reader.delivered == expected(FIRST + SECOND)


@pytest.mark.parametrize("once", [False, True])
def test_a_rotated_log_may_end_in_space_that_was_never_written(logs: Path, log: Path, *, once: bool) -> None:
    """It is read to its last line, and is finished then."""
    append(rotated(log), FIRST + b"\0" * 1000)
    reader = Reader(logs, once=once)
    reader.wait()
    reader.wait(QUIET)
    assert reader.delivered == expected(FIRST)
    assert reader.told.finished == [rotated(log).name]
    assert [record.ended for record in reader.tail.records()] == [True]


@pytest.mark.parametrize("content", [b"\n", b"\r\n\n", b"\0", b"\0" * 5000, b"\n\0\0"])
def test_what_holds_no_line_has_no_lag(reader: Reader, log: Path, content: bytes) -> None:
    """As `echo > log`, or a log that was only preallocated: there is nothing that anybody could send."""
    append(log, content)
    for _ in range(2):
        reader.wait()
    assert [each.lag for each in reader.tail.progress()] == [0]
    assert not reader.delivered


def test_a_blank_line_after_the_last_one_is_no_lag(reader: Reader, log: Path) -> None:
    """It is delivered with those before it."""
    append(log, FIRST + b"\n\r\n")
    reader.wait()
    assert [each.lag for each in reader.tail.progress()] == [0]
