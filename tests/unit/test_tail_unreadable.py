"""What cannot be read: told, tried again, and no hindrance to the rest."""

import gzip
import os
from collections import Counter
from pathlib import Path

import pytest

from indexer.reading.registry import RETRIED
from indexer.reading.scanner import CLAIMABLE
from indexer.reading.sources import FileSource
from tests.support.rotation import FIRST, HALF, SECOND, THIRD, rename, rotated
from tests.unit.conftest import Opened, Reader, append, expected, lines


def test_a_file_that_cannot_be_opened_is_told_and_tried_again(
    reader: Reader, log: Path, opened: Opened
) -> None:
    """Not at each look; the others are read meanwhile."""
    append(log, FIRST)
    append(rotated(log), SECOND)
    opened.refused = {log.name: PermissionError(13, "Permission denied")}
    reader.wait(1)
    assert reader.told.unreadable == [(log.name, "Permission denied")]
    assert reader.tail.failures == {str(log): "Permission denied"}
    assert reader.delivered == expected(SECOND)
    reader.wait(RETRIED)
    assert len(reader.told.unreadable) == 2
    opened.refused = {}
    reader.wait(RETRIED)
    assert reader.delivered == expected(FIRST) + expected(SECOND)


def test_a_file_that_cannot_be_read_on_is_told_and_gone_on_with(
    reader: Reader, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From where it was; what is in flight is waited for."""
    append(log, FIRST)
    reader.look(deliver=False)
    append(log, SECOND)

    def fail(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(FileSource, "read_at", fail)
        reader.wait(1)
    assert reader.told.unreadable == [(log.name, "Input/output error")]
    reader.wait(RETRIED)
    assert reader.delivered == expected(FIRST + SECOND)
    assert not reader.again


def test_with_once_an_unreadable_file_is_left_out(logs: Path, log: Path, opened: Opened) -> None:
    """It holds back no other, and is told in the end."""
    append(log, FIRST)
    append(rotated(log), SECOND)
    opened.refused = {log.name: PermissionError(13, "Permission denied")}
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
    reader.look(deliver=False)
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
    assert reader.tail.records() == []


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
    assert [it.facts.name for it in reader.tail.registry.open.values()] == [str(log)]
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
    assert {record.path for record in reader.tail.records()} == {
        f"{logs}/\N{REPLACEMENT CHARACTER}-activity.log.{number}" for number in (1, 2)
    }


def test_a_line_beyond_the_limit_comes_in_pieces_and_holds_back_nothing(logs: Path, log: Path) -> None:
    """Its pieces make up the line, and the last one has its id."""
    long = b'{"long":"%s"}' % (b"x" * 700_000)
    content = append(log, lines(0, 1) + long + b"\n" + SECOND)
    reader = Reader(logs, limit=1000)
    reader.look(deliver=False)
    fragments = [fragment for run in reader._in_flight for fragment in run.fragments]
    assert b"".join(fragment.data for fragment in fragments) == long
    assert [fragment.first for fragment in fragments] == [True] + [False] * (len(fragments) - 1)
    [identity] = [fragment.id for fragment in fragments if fragment.id is not None]
    assert fragments[-1].id == identity
    assert sum(mark.too_long for mark in reader.marks) == 1
    reader.arrive()
    assert reader.delivered + Counter([(identity, long)]) == expected(content)
    assert [record.offset for record in reader.tail.records()] == [len(content)]
