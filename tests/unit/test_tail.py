"""Following real files. Each test compares all that was delivered, with its ids, with all that was written."""

import gzip
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from indexer.events import Recognition
from indexer.reading import files, identity
from indexer.reading import log as log_module
from indexer.reading import register as register_module
from indexer.reading.files import FileFacts
from indexer.reading.finality import QUIET
from indexer.reading.orphans import CLAIMABLE
from indexer.reading.tail import RETRIED
from indexer.reading.windows import PlainFile, StandardInput, open_log
from tests.unit.conftest import Reader, append, expected, lines

HALF = b'{"n":"half'
REST = b' and whole"}\n'
FIRST = lines(0, 50)
SECOND = lines(1000, 50)
THIRD = lines(2000, 50)


def rotated(log: Path, number: int = 1) -> Path:
    return log.with_name(f"{log.name}.{number}")


def rename(log: Path) -> Path:
    """Rotate as logback does."""
    return log.rename(rotated(log))


def copy_truncate(log: Path) -> Path:
    """Rotate as logrotate does with copytruncate."""
    copy = Path(shutil.copy(log, rotated(log)))
    os.truncate(log, 0)
    return copy


def compress(path: Path) -> Path:
    """Do what gzip does."""
    archive = path.with_name(path.name + ".gz")
    archive.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    return archive


def recognitions(reader: Reader) -> list[tuple[str, Recognition]]:
    return [(name, recognition) for name, recognition, _ in reader.told.found]


class Opened:
    """Opens logs, remembers which, and refuses some."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.refused: set[str] = set()

    def __call__(self, facts: FileFacts) -> PlainFile:
        """Open a log, or refuse to."""
        name = Path(facts.path).name
        if name in self.refused:
            raise PermissionError(13, "Permission denied")
        self.names.append(name)
        return self._open(facts)

    _open = staticmethod(open_log)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Watches which files are opened."""
    opened = Opened()
    monkeypatch.setattr(log_module, "open_log", opened)
    monkeypatch.setattr(register_module, "open_log", opened)
    return opened


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
    assert len(content) > 2 * log_module.BLOCK
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
    for piece in (b"", b"{", b'"n":1', b"}"):
        append(log, piece)
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


def test_a_symbolic_link_may_point_to_the_next_log(reader: Reader, tmp_path: Path, log: Path) -> None:
    """What it pointed to is read to its end."""
    for number, content in enumerate((FIRST, SECOND)):
        target = tmp_path / f"server-{number}.log"
        append(target, content)
        log.unlink(missing_ok=True)
        log.symlink_to(target)
        reader.look()
    append(tmp_path / "server-0.log", THIRD)
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
    assert [(record.offset, record.ended) for record in reader.tail.records(None)] == [(len(FIRST), True)]


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
    reader.now += QUIET - 1
    reader.look()
    assert reader.told.finished == []
    append(rotated(log), HALF)
    reader.look()
    reader.now += QUIET - 1
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
    assert reader.tail.records(None) == []
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

    def find_and_rotate(patterns: Iterable[str]) -> list[FileFacts]:
        found = find(patterns)
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
    """Neither while following nor after a restart."""
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
    assert Counter(opened.names) == before + Counter([archive.name, rotated(log).name, log.name])
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
    run.mark.log.acknowledge(run.mark)
    os.truncate(log, 0)
    append(log, content[-len(content) // 2 :])
    reader.wait()
    assert reader.told.lost == []
    reader.wait(CLAIMABLE + 1)
    assert reader.told.lost == [(log.name, len(content) - run.mark.end)]


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
    assert len(reader.tail.records(None)) == 1
    assert reader.delivered == sum(map(expected, [*written, last]), Counter())
    assert reader.told.lost == []


def test_a_truncated_log_that_begins_with_the_same_line_has_ids_of_its_own(reader: Reader, log: Path) -> None:
    """Its later lines are not taken for those delivered."""
    append(log, FIRST)
    reader.look()
    os.truncate(log, 0)
    again = append(log, lines(0, 1) + SECOND)
    reader.wait()
    assert reader.delivered == expected(FIRST) + expected(again, twin=1)


def test_a_writer_without_append_leaves_zeros(reader: Reader, log: Path) -> None:
    """They are not part of the entry."""
    append(log, FIRST)
    reader.look()
    copy_truncate(log)
    with log.open("r+b") as file:
        file.seek(len(FIRST))
        file.write(SECOND)
    reader.wait()
    found = Counter(line for _, line in reader.delivered)
    assert found == Counter((FIRST + SECOND).split(b"\n")[:-1]) - Counter([b""])


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


def test_a_copy_that_does_not_change_is_not_compared_again(
    reader: Reader, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Idle costs next to nothing, archives included."""
    append(log, FIRST)
    reader.look()
    log.with_name(log.name + ".backup.gz").write_bytes(gzip.compress(FIRST))
    reader.wait()
    compared: list[object] = []
    monkeypatch.setattr(identity, "recognise", lambda *given: compared.append(given))
    reader.wait()
    reader.read()
    assert compared == []


# ---- archives


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
    assert sorted(Path(record.path).name for record in reader.tail.records(None)) == [
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


@pytest.mark.parametrize("once", [False, True])
def test_a_log_and_its_archive_side_by_side_are_read_once(logs: Path, log: Path, *, once: bool) -> None:
    """As gzip -k leaves them."""
    append(rotated(log), FIRST)
    rotated(log).with_name(rotated(log).name + ".gz").write_bytes(gzip.compress(FIRST))
    reader = Reader(logs, once=once)
    reader.look(deliver=False)
    reader.arrive()
    reader.wait()
    assert reader.delivered == expected(FIRST)
    assert not reader.again
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


# ---- files that begin alike


def test_live_files_that_begin_alike_are_told_apart_when_they_differ(
    reader: Reader, logs: Path, log: Path
) -> None:
    """Until then the shorter one is taken for a copy; each line of each comes once in the end."""
    other = logs / "zoomdata-activity.log.node2"
    start = lines(0, 1)
    append(log, start)
    append(other, start)
    reader.wait()
    assert reader.delivered == expected(start)
    append(other, SECOND)
    reader.look()
    append(log, THIRD)
    reader.look()
    assert reader.delivered == expected(start + SECOND) + expected(start + THIRD, twin=1)
    reader.restart()
    append(log, FIRST)
    append(other, FIRST)
    reader.wait()
    assert reader.delivered == expected(start + SECOND + FIRST) + expected(start + THIRD + FIRST, twin=1)
    assert not reader.again


def test_twins_stay_themselves_when_both_are_rotated_and_compressed(
    reader: Reader, logs: Path, log: Path
) -> None:
    """By the bytes that were delivered last."""
    other = logs / "query-engine-activity.log"
    start = lines(0, 1)
    append(log, start + FIRST)
    append(other, start + SECOND)
    reader.look()
    for path in (log, other):
        compress(rename(path))
    reader.restart()
    reader.wait()
    assert reader.delivered == expected(start + SECOND) + expected(start + FIRST, twin=1)
    assert not reader.again


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
    twin = int(content.startswith(lines(0, 1)))
    assert reader.delivered == expected(FIRST + SECOND) + expected(content, twin=twin)


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


# ---- restart


@pytest.mark.parametrize("answers_lost", [False, True])
def test_what_was_on_its_way_comes_once_after_a_crash(
    reader: Reader, log: Path, *, answers_lost: bool
) -> None:
    """Whether it had arrived or not; what had is asked for first."""
    append(log, FIRST)
    reader.look()
    append(log, SECOND)
    reader.look(deliver=False)
    if answers_lost:
        reader.lose_answers()
    reader.restart()
    reader.look()
    assert reader.delivered == expected(FIRST + SECOND)
    sent = expected(FIRST + SECOND) - expected(FIRST)
    assert reader.again == (sent if answers_lost else Counter())


@pytest.mark.parametrize("answers_lost", [False, True])
@pytest.mark.parametrize("change", [rename, copy_truncate, lambda log: compress(rename(log))])
def test_a_crash_and_a_rotation_together_lose_nothing(
    reader: Reader, log: Path, *, change: Callable[[Path], Path], answers_lost: bool
) -> None:
    """What was on its way when the indexer died is found in the rotated file."""
    append(log, FIRST)
    reader.look()
    append(log, SECOND)
    reader.look(deliver=False)
    if answers_lost:
        reader.lose_answers()
    reader.restart()
    change(log)
    append(log, THIRD)
    reader.wait()
    assert reader.delivered == expected(FIRST + SECOND) + expected(THIRD)


@pytest.mark.parametrize("change", [rename, copy_truncate, lambda log: compress(rename(log))])
def test_a_rotation_while_lines_are_on_their_way_sends_nothing_twice(
    reader: Reader, log: Path, change: Callable[[Path], Path]
) -> None:
    """Whoever goes on waits for what is on its way."""
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
    assert not reader.again


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


def test_a_stop_with_nothing_on_its_way_asks_for_nothing(reader: Reader, log: Path) -> None:
    """All that was sent is delivered, and what follows never was."""
    append(log, FIRST)
    reader.look()
    reader.tail.nothing_sent_ahead()
    reader.restart()
    append(log, SECOND)
    reader.look(deliver=False)
    assert [mark.asks for mark in reader.marks] == [False]


def test_what_a_new_file_holds_already_is_asked_for(reader: Reader, log: Path) -> None:
    """The state may have been lost; what is appended from now on cannot have been sent."""
    append(log, FIRST)
    reader.look(deliver=False)
    append(log, SECOND)
    reader.look(deliver=False)
    assert [mark.asks for mark in reader.marks] == [True, False]


# ---- trouble


def test_a_file_that_cannot_be_opened_is_told_and_tried_again(
    reader: Reader, log: Path, opened: Opened
) -> None:
    """Not at each look; the others are read meanwhile."""
    append(log, FIRST)
    append(rotated(log), SECOND)
    opened.refused = {log.name}
    reader.wait(1)
    assert reader.told.unreadable == [(log.name, "Permission denied")]
    assert reader.tail.failures == {str(log): "Permission denied"}
    assert reader.delivered == expected(SECOND)
    reader.wait(RETRIED)
    assert len(reader.told.unreadable) == 2
    opened.refused = set()
    reader.wait(RETRIED)
    assert reader.delivered == expected(FIRST) + expected(SECOND)


def test_a_file_that_cannot_be_read_on_is_told_and_gone_on_with(
    reader: Reader, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From where it was; what is on its way is waited for."""
    append(log, FIRST)
    reader.look(deliver=False)
    append(log, SECOND)

    def fail(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(PlainFile, "read_at", fail)
        reader.wait(1)
    assert reader.told.unreadable == [(log.name, "Input/output error")]
    reader.wait(RETRIED)
    assert reader.delivered == expected(FIRST + SECOND)
    assert not reader.again


def test_with_once_an_unreadable_file_is_left_out(logs: Path, log: Path, opened: Opened) -> None:
    """It holds back no other, and is told in the end."""
    append(log, FIRST)
    append(rotated(log), SECOND)
    opened.refused = {log.name}
    reader = Reader(logs, once=True)
    reader.look()
    assert reader.tail.exhausted
    assert reader.tail.failures == {str(log): "Permission denied"}
    assert reader.delivered == expected(SECOND)


def test_a_file_lost_while_nobody_looked_is_told_with_its_unread_bytes(reader: Reader, log: Path) -> None:
    """Once nothing can claim it any more."""
    append(log, FIRST)
    reader.look()
    append(log, SECOND)
    reader.tail.scan()
    reader.restart()
    log.unlink()
    append(log, THIRD)
    reader.wait()
    assert reader.told.lost == []
    reader.wait(CLAIMABLE)
    assert reader.told.lost == [(log.name, len(SECOND))]
    assert reader.delivered == expected(FIRST) + expected(THIRD)


def test_a_file_that_had_ended_is_not_told_as_lost(reader: Reader, log: Path) -> None:
    """Its last line was tried, though the offset is before it."""
    append(log, FIRST + HALF)
    reader.look()
    rename(log)
    reader.wait()
    reader.restart()
    rotated(log).unlink()
    reader.look()
    reader.wait(CLAIMABLE + 1)
    assert reader.told.lost == []
    assert reader.tail.records(None) == []


def test_a_file_whose_directory_is_away_is_not_forgotten(
    reader: Reader, logs: Path, log: Path, tmp_path: Path
) -> None:
    """A volume may be mounted again."""
    append(log, FIRST)
    reader.look()
    reader.restart()
    logs.rename(tmp_path / "away")
    reader.wait(CLAIMABLE + 1)
    reader.wait(CLAIMABLE + 1)
    (tmp_path / "away").rename(logs)
    append(log, SECOND)
    reader.look()
    assert reader.delivered == expected(FIRST + SECOND)
    assert not reader.again


@pytest.mark.parametrize("content", [b"", b"\n\n", FIRST])
def test_files_deleted_before_they_were_anyone_are_let_go(reader: Reader, log: Path, content: bytes) -> None:
    """An empty file, or a copy: no descriptor stays open."""
    append(log, FIRST)
    reader.look()
    append(rotated(log), content)
    append(rotated(log, 2).with_suffix(".2.gz"), gzip.compress(content))
    append(rotated(log, 3).with_suffix(".3.gz"), gzip.compress(FIRST + SECOND)[:30])
    reader.look()
    for number in (1, 2, 3):
        for path in log.parent.glob(f"{log.name}.{number}*"):
            path.unlink()
    reader.wait()
    reader.wait(CLAIMABLE + 1)
    assert [log.facts.name for log in reader.tail._files.open.values()] == [str(log)]
    assert reader.delivered == expected(FIRST)


def test_a_name_that_is_no_text_is_read_like_any_other(reader: Reader, logs: Path) -> None:
    """It is shown and stored with replacements."""
    path = Path(os.fsdecode(os.fsencode(logs) + b"/\xff-activity.log.1"))
    append(path, FIRST)
    reader.wait()
    path.rename(path.with_suffix(".2"))
    append(path, FIRST)
    reader.wait()
    assert reader.delivered == expected(FIRST)
    assert {record.path for record in reader.tail.records(None)} == {
        f"{logs}/\N{REPLACEMENT CHARACTER}-activity.log.{number}" for number in (1, 2)
    }


def test_a_line_beyond_the_limit_comes_in_pieces_and_holds_back_nothing(logs: Path, log: Path) -> None:
    """Its pieces make up the line, and the last one has its id."""
    long = b'{"long":"%s"}' % (b"x" * 700_000)
    content = append(log, lines(0, 1) + long + b"\n" + SECOND)
    reader = Reader(logs, limit=1000)
    reader.look(deliver=False)
    pieces = [piece for run in reader._on_their_way for piece in run.pieces]
    assert b"".join(piece.data for piece in pieces) == long
    assert [piece.first for piece in pieces] == [True] + [False] * (len(pieces) - 1)
    [identity] = [piece.id for piece in pieces if piece.id is not None]
    assert pieces[-1].id == identity
    assert sum(mark.too_long for mark in reader.marks) == 1
    reader.arrive()
    assert reader.delivered + Counter([(identity, long)]) == expected(content)
    assert [record.offset for record in reader.tail.records(None)] == [len(content)]


# ---- standard input


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Puts bytes into standard input and closes it."""

    def pipe(data: bytes) -> None:
        out, into = os.pipe()
        real = StandardInput.__init__

        def opened(self: StandardInput) -> None:
            real(self)
            self._descriptor = out

        monkeypatch.setattr(StandardInput, "__init__", opened)
        os.write(into, data)
        os.close(into)

    return pipe


@pytest.mark.parametrize("content", [FIRST, FIRST + HALF, b"", HALF])
def test_standard_input_is_read_to_its_end(piped: Callable[[bytes], None], content: bytes) -> None:
    """Its last line needs no line end, and nothing of it is remembered."""
    piped(content)
    reader = Reader(Path("-"), once=True)
    reader.look()
    assert reader.tail.exhausted
    assert reader.delivered == expected(content)
    assert reader.tail.records(None) == []


def test_standard_input_may_begin_like_a_known_file(
    piped: Callable[[bytes], None], reader: Reader, logs: Path, log: Path
) -> None:
    """It cannot be read twice, so it is compared with none; what the index has of it is asked for by its ids."""
    append(log, FIRST)
    reader.look()
    append(log, SECOND)
    piped(FIRST + SECOND + THIRD)
    reader._patterns = ["-", str(logs)]
    reader.restart(once=True)
    reader.look()
    assert reader.tail.exhausted
    assert reader.delivered == expected(FIRST + SECOND + THIRD)
