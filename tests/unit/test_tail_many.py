"""More log files than may be open at once: all are read, in turns."""

import gzip
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from indexer.events import Recognition
from indexer.reading import reader as reader_module
from indexer.reading.scanner import CLAIMABLE
from indexer.reading.tail import LIVELY
from tests.support.rotation import FIRST, HALF, REST, SECOND, THIRD, rename, rotated
from tests.unit.conftest import Delivered, Opened, Reader, append, expected, lines

MOST = 3
COUNT = 20


def names(logs: Path) -> list[Path]:
    return [logs / f"node{number:02}-activity.log" for number in range(COUNT)]


def grow(logs: Path, turn: int) -> None:
    """Each log gets some lines of its own."""
    for path in names(logs):
        append(path, lines(100 * turn, 1 + turn % 5, path.stem))


def all_of(logs: Path) -> Delivered:
    return sum((expected(path.read_bytes()) for path in logs.iterdir()), Counter())


@pytest.fixture
def few(logs: Path) -> Reader:
    """A reader that may hold three files open."""
    return Reader(logs, most=MOST)


def test_all_live_logs_are_read_while_they_grow(few: Reader, logs: Path) -> None:
    """However few may be open; what was read is not read again when their turn comes again."""
    for turn in range(10):
        grow(logs, turn)
        few.look()
        assert len(few.tail.registry.open) <= MOST
    for _ in range(3):
        few.wait()
    assert few.delivered == all_of(logs)
    assert not few.again
    assert {recognition for _, recognition, _ in few.told.found} == {Recognition.NEW, Recognition.RESUMED}


def test_within_one_look_all_had_their_turn(few: Reader, logs: Path) -> None:
    """No one waits for the next look at the directory."""
    grow(logs, 1)
    few.look()
    assert few.delivered == all_of(logs)
    assert few.told.finished == []


def test_logs_that_always_have_more_let_the_others_have_their_turn(
    few: Reader, logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log with a long backlog is read a while, and not to its end first."""
    monkeypatch.setattr(reader_module, "BLOCK", 300)
    for path in names(logs):
        append(path, lines(0, 3, path.stem))
    busy = names(logs)[:MOST]
    few.tail.scan()
    for turn in range(400):
        for path in busy:
            append(path, lines(1000 + 10 * turn, 10, path.stem))
        few.now += 0.1
        few._in_flight += few.tail.read()
        few.arrive()
        if turn % 10 == 0:
            few.tail.scan()
    idle = [expected(path.read_bytes()) for path in names(logs)[MOST:]]
    assert sum(idle, Counter()) <= few.delivered


def test_logs_whose_turn_is_longest_ago_come_first(few: Reader, logs: Path) -> None:
    """Though all grow, and the directory is looked at before all had their turn: no name is an advantage."""
    for turn in range(60):
        grow(logs, turn)
        few.tail.scan()
        few.now += 0.1
        few._in_flight += few.tail.read()
        few.arrive()
    late = [path.name for path in names(logs) if not set(expected(path.read_bytes())) & set(few.delivered)]
    assert late == []


def test_an_archive_has_its_turn_beside_logs_that_always_grow(few: Reader, logs: Path) -> None:
    """It comes after them the first time only: it may be a copy of one of them."""
    kept = lines(9000, 5, "archived")
    (logs / "zoomdata-activity.log.1.gz").write_bytes(gzip.compress(kept))
    for turn in range(60):
        grow(logs, turn)
        few.tail.scan()
        few.now += 0.1
        few._in_flight += few.tail.read()
        few.arrive()
    assert expected(kept) <= few.delivered


def test_quiet_logs_that_are_not_open_cost_nothing(few: Reader, logs: Path, opened: Opened) -> None:
    """They are not opened again before they change."""
    grow(logs, 1)
    few.look()
    for _ in range(3):
        few.wait(LIVELY)
    before = len(opened.names)
    for _ in range(5):
        few.wait(LIVELY)
    assert len(opened.names) == before
    append(names(logs)[0], THIRD)
    few.look()
    assert len(opened.names) <= before + 1
    assert few.delivered == all_of(logs)


def test_what_waits_may_be_rotated_and_truncated(few: Reader, logs: Path) -> None:
    """Under its new name as under the old one."""
    grow(logs, 1)
    few.tail.scan()
    for path in names(logs)[::2]:
        rename(path)
        append(path, SECOND + path.stem.encode() + b"\n")
    few.wait()
    grow(logs, 2)
    few.look()
    for path in names(logs)[1::4]:
        content = path.read_bytes()
        append(rotated(path), content)
        path.write_bytes(b"")
        append(path, THIRD + path.stem.encode() + b"\n")
    for _ in range(4):
        few.wait()
    assert set(few.delivered) == set(all_of(logs))
    few.wait(CLAIMABLE + 1)
    assert few.told.lost == []
    assert few.told.unreadable == []


def test_half_a_line_waits_in_a_log_that_is_not_open(few: Reader, logs: Path) -> None:
    """It comes once and whole."""
    for path in names(logs):
        append(path, FIRST[:-1].replace(b"log", path.stem.encode()) + b"\n" + HALF)
    for _ in range(3):
        few.wait()
    for path in names(logs):
        append(path, REST)
    few.look()
    few.look()
    assert few.delivered == all_of(logs)


def test_a_restart_goes_on_with_all_of_them(few: Reader, logs: Path) -> None:
    """Those that were open, and those that were not."""
    grow(logs, 1)
    few.look()
    grow(logs, 2)
    few.restart()
    few.look()
    assert few.delivered == all_of(logs)
    assert not few.again


def test_a_log_that_is_deleted_while_it_is_not_open_is_told(few: Reader, logs: Path) -> None:
    """What it had was not read; the others are."""
    grow(logs, 1)
    few.look()
    closed = [
        path for path in names(logs) if path.stat().st_ino not in {key[1] for key in few.tail.registry.open}
    ]
    lost = append(closed[0], THIRD)
    few._in_flight = []
    few.tail.scan()
    few.restart()
    few.tail._most = 1
    closed[0].unlink()
    few.wait()
    few.wait(CLAIMABLE + 1)
    assert not set(expected(lost)) & set(few.delivered)
    assert few.delivered >= all_of(logs)


@pytest.mark.parametrize("once", [False, True])
def test_many_archives_are_read(logs: Path, *, once: bool) -> None:
    """One after the other, or a few at a time."""
    content = {number: lines(1000 * number, 30) for number in range(COUNT)}
    for number, data in content.items():
        (logs / f"zoomdata-activity.log.{number}.gz").write_bytes(gzip.compress(data))
    reader = Reader(logs, once=once, most=MOST)
    for _ in range(3):
        reader.wait()
        assert len(reader.tail.registry.open) <= MOST
    assert reader.delivered == sum(map(expected, content.values()), Counter())
    assert len(reader.told.finished) == COUNT
    assert not once or reader.tail.exhausted
    reader.restart()
    reader.wait()
    assert not reader.again


def test_with_once_a_file_that_is_renamed_while_it_waits_is_read(logs: Path) -> None:
    """Nobody looks again later."""
    grow(logs, 1)
    reader = Reader(logs, once=True)
    reader.tail.scan()
    for path in names(logs)[::3]:
        rename(path)
    for path in names(logs)[1::3]:
        path.unlink()
    for _ in range(5):
        reader.read()
    assert reader.tail.exhausted
    assert reader.delivered == all_of(logs)
    assert sorted(reader.tail.failures) == [str(path) for path in names(logs)[1::3]]


# ---- a real limit, in a process of its own

LIMITED = """
import resource, sys
from pathlib import Path
from tests.unit.conftest import Reader
logs, once = Path(sys.argv[1]), sys.argv[2] == "once"
reader = Reader(logs, once=once, most=1000)
writers = [path.open("ab", buffering=0) for path in logs.iterdir()]
spare = len(list(Path("/proc/self/fd").iterdir())) + 8
resource.setrlimit(resource.RLIMIT_NOFILE, (spare, spare))
for turn in range(8):
    reader.wait()
    for writer in writers if not once and turn < 6 else []:
        writer.write(b'{"more":1}\\n')
limited = reader.tail._most < 10 and not once
print(reader.told.unreadable, sum(reader.again.values()), sum(reader.delivered.values()), limited)
"""


@pytest.mark.parametrize("mode", ["follow", "once"])
def test_files_beyond_what_the_system_allows_take_turns(logs: Path, mode: str) -> None:
    """Fewer descriptors than were counted on: none is told as unreadable, none is forgotten."""
    for path in names(logs):
        append(path, lines(0, 10, path.stem))
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(logs), mode], capture_output=True, text=True, check=False
    )
    total = COUNT * (10 if mode == "once" else 16)
    assert (done.stdout.strip(), done.returncode) == (f"[] 0 {total} {mode == 'follow'}", 0), done.stderr
