"""A log as it appears and grows. Each test compares all that was delivered, with its ids, with all that was written."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from indexer.events import Recognition
from indexer.reading import reader as reader_module
from indexer.reading.holes import QUIET
from tests.support.rotation import FIRST, HALF, REST, SECOND, THIRD, rename, rotated
from tests.unit.conftest import Reader, append, expected, lines

# ---- appearing and growing


def test_lines_come_once_as_they_are_appended(reader: Reader, log: Path) -> None:
    """However the file grows between two reads."""
    reader.look()
    for step in range(20):
        append(log, lines(step * 100, step % 4))
        reader.look()
    assert reader.delivered == expected(log.read_bytes())
    assert reader.told.found == [(log.name, Recognition.NEW, 0)]


def test_growth_is_seen_without_a_look_at_the_directory(reader: Reader, log: Path) -> None:
    """An open file is read as it grows."""
    append(log, FIRST)
    reader.look()
    append(log, SECOND)
    reader.read()
    assert reader.delivered == expected(FIRST + SECOND)


def test_files_of_many_blocks_are_read_whole(reader: Reader, log: Path) -> None:
    """A block ends anywhere in a line."""
    content = append(log, lines(0, 9000))
    reader.look()
    assert len(content) > 2 * reader_module.BLOCK
    assert reader.delivered == expected(content)


def test_a_directory_may_appear_later(tmp_path: Path) -> None:
    """It is waited for, as is the file in it."""
    directory = tmp_path / "not" / "yet"
    reader = Reader(directory)
    reader.look()
    directory.mkdir(parents=True)
    reader.look()
    content = append(directory / "query-engine-activity.log", FIRST)
    reader.look()
    assert reader.delivered == expected(content)


def test_a_name_that_comes_or_goes_is_noticed(reader: Reader, log: Path) -> None:
    """Cheaper than a scan; growth alone is no such change."""
    assert reader.tail.directories_changed()
    assert not reader.tail.directories_changed()
    append(log, FIRST)
    assert reader.tail.directories_changed()
    append(log, SECOND)
    assert not reader.tail.directories_changed()
    log.unlink()
    assert reader.tail.directories_changed()


def test_a_first_line_is_awaited(reader: Reader, log: Path) -> None:
    """Who a file is shows once its first line is complete."""
    for fragment in (b"", b"{", b'"n":1', b"}"):
        append(log, fragment)
        reader.wait()
        assert not reader.delivered
    append(log, b"\n" + FIRST)
    reader.read()
    assert reader.delivered == expected(log.read_bytes())


def test_other_files_of_the_directory_are_left_alone(reader: Reader, logs: Path, log: Path) -> None:
    """A directory means its activity logs."""
    append(log, FIRST)
    append(logs / "zoomdata.log", SECOND)
    (logs / "old-activity.log").mkdir()
    reader.look()
    assert reader.delivered == expected(FIRST)


def test_globs_and_paths_name_a_file_once(logs: Path, log: Path) -> None:
    """Whatever they have in common."""
    reader = Reader(log, logs / "*.log", logs, log)
    append(log, FIRST)
    reader.look()
    assert reader.delivered == expected(FIRST)


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
def test_two_paths_to_one_inode_are_one_file(
    link: Callable[[Path, Path], None], reader: Reader, logs: Path, log: Path
) -> None:
    """Be it a symbolic link or a hard one, and whichever of the two goes."""
    append(log, FIRST)
    other = logs / "a-activity.log"
    link(other, log)
    reader.look()
    other.unlink()
    append(log, SECOND)
    reader.wait()
    append(log, THIRD)
    reader.look()
    assert reader.delivered == expected(FIRST + SECOND + THIRD)
    assert not reader.again


def test_a_symbolic_link_may_point_to_the_next_log(reader: Reader, logs: Path, log: Path) -> None:
    """What it pointed to is read to its end."""
    for number, content in enumerate((FIRST, SECOND)):
        target = logs / f"server-{number}.log"
        append(target, content)
        log.unlink(missing_ok=True)
        log.symlink_to(target)
        reader.look()
    append(logs / "server-0.log", THIRD)
    reader.look()
    assert reader.delivered == expected(FIRST + THIRD) + expected(SECOND)


# ---- the last line


def test_a_partial_last_line_waits_while_its_file_is_live(reader: Reader, log: Path) -> None:
    """However long that takes, it comes once and whole."""
    append(log, FIRST + HALF)
    reader.wait(10 * QUIET)
    assert reader.delivered == expected(FIRST)
    append(log, REST)
    reader.look()
    assert reader.delivered == expected(FIRST + HALF + REST)


def test_a_partial_last_line_is_tried_once_its_file_is_final(reader: Reader, log: Path) -> None:
    """Rotated and quiet; the offset stays before it."""
    append(log, FIRST + HALF)
    reader.look()
    rename(log)
    reader.wait()
    assert reader.delivered == expected(FIRST + HALF)
    assert [(record.offset, record.ended) for record in reader.tail.records()] == [(len(FIRST), True)]


def test_a_tried_line_that_is_completed_after_all_comes_whole(reader: Reader, log: Path) -> None:
    """It is another line then, under another id."""
    append(log, FIRST + HALF)
    reader.look()
    rename(log)
    reader.wait()
    append(rotated(log), REST + SECOND)
    reader.wait()
    tried = expected(FIRST + HALF) - expected(FIRST)
    assert reader.delivered == tried + expected(FIRST + HALF + REST + SECOND)


def test_a_rotated_file_is_final_only_after_a_quiet_while(reader: Reader, log: Path) -> None:
    """A writer may hold it open for a while after the rename, however idle it was before."""
    append(log, FIRST)
    reader.wait(100 * QUIET)
    rename(log)
    reader.look()
    reader.now += QUIET - 4
    reader.look()
    assert reader.told.finished == []
    append(rotated(log), HALF)
    reader.look()
    reader.now += QUIET - 4
    reader.look()
    assert reader.told.finished == []
    append(rotated(log), REST)
    reader.wait()
    assert reader.told.finished == [rotated(log).name]
    assert reader.delivered == expected(FIRST + HALF + REST)


def test_with_once_the_last_line_needs_no_line_end(logs: Path, log: Path) -> None:
    """All that is there is final; a following run goes on before that line."""
    append(log, FIRST + HALF)
    reader = Reader(logs, once=True)
    reader.look()
    assert reader.tail.exhausted
    tried = expected(FIRST + HALF)
    assert reader.delivered == tried
    append(log, REST + SECOND)
    reader.restart(once=False)
    reader.look()
    assert reader.delivered == (tried - expected(FIRST)) + expected(FIRST + HALF + REST + SECOND)


def test_a_file_of_one_partial_line_is_read_once_it_is_final(logs: Path, log: Path) -> None:
    """Its generation is made of what there is."""
    append(log, HALF)
    reader = Reader(logs, once=True)
    reader.look()
    assert reader.delivered == expected(HALF)
    append(log, REST)
    reader.restart(once=False)
    reader.look()
    assert Counter(line for _, line in reader.delivered) == Counter([HALF, HALF + REST[:-1]])
