"""What becomes of a log, and what is sent then: the table of recognitions, on real files.

The log is delivered to its end. Then something happens to it, while the indexer follows it or while it is stopped. Whatever
that is, each line that is there comes to be in the index, once; a line whose file is recognised is not even sent.
"""

import gzip
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from indexer.events import Recognition
from indexer.reading.identity import FileRecord
from indexer.reading.scanner import CLAIMABLE
from tests.support import rotation
from tests.support.rotation import FIRST, SECOND, THIRD, compress, rename, rotated
from tests.unit.conftest import Reader, append, expected, lines

LOG = FIRST + SECOND
EDITED = LOG.replace(b'"n":7,', b'"m":7,')
LONGER = LOG.replace(b'"n":7,', b'"number":7,')
RESUMED, MOVED, NEW = Recognition.RESUMED, Recognition.MOVED, Recognition.NEW
TRUNCATED, REPLACED = Recognition.TRUNCATED, Recognition.REPLACED


@dataclass(frozen=True)
class Row:
    """One thing that may happen to a log."""

    what: str
    happens: Callable[[Path], object]
    holds: bytes
    """What a file holds afterwards, besides what all hold that was there before."""
    again: bytes
    """Of the log before: what is sent although it is there."""
    followed: Recognition | None
    """What the file turns out to be for an indexer that follows it; None: it has not changed."""
    found: Recognition | None
    """The same, for one that was stopped meanwhile."""


def beside(log: Path, content: bytes) -> None:
    append(log.with_name("a-activity.log"), content)


def archive(log: Path) -> None:
    """As gzip -k does."""
    log.with_name(log.name + ".1.gz").write_bytes(gzip.compress(log.read_bytes()))


def rewrite(content: bytes) -> Callable[[Path], object]:
    """Put these bytes into the very file."""
    return lambda log: log.write_bytes(content)


def another(content: bytes) -> Callable[[Path], object]:
    """Put another file with these bytes in its place."""
    return lambda log: rotation.replace(log, content)


def shortened(count: int) -> Callable[[Path], object]:
    return lambda log: os.truncate(log, len(LOG) - count)


TABLE = [
    Row("it grows", lambda log: append(log, THIRD), LOG + THIRD, b"", None, RESUMED),
    Row("it is renamed", rename, LOG, b"", None, RESUMED),
    Row("it is renamed and grows", lambda log: append(rename(log), THIRD), LOG + THIRD, b"", None, RESUMED),
    Row("it is compressed", lambda log: compress(rename(log)), LOG, b"", MOVED, MOVED),
    Row("it is compressed and kept", archive, LOG, b"", MOVED, MOVED),
    Row("it is copied", lambda log: shutil.copy(log, rotated(log)), LOG, b"", MOVED, MOVED),
    Row("another inode has its bytes", another(LOG), LOG, b"", MOVED, MOVED),
    Row("another inode has its bytes and more", another(LOG + THIRD), LOG + THIRD, b"", MOVED, MOVED),
    Row("it is written over with its own bytes", rewrite(LOG), LOG, b"", None, RESUMED),
    Row(
        "it is written over with its own bytes and more",
        rewrite(LOG + THIRD),
        LOG + THIRD,
        b"",
        None,
        RESUMED,
    ),
    Row("sed -i changes a line", another(EDITED), EDITED, LOG, NEW, NEW),
    Row("sed -i makes a line longer", another(LONGER), LONGER, LOG, NEW, NEW),
    Row("truncate -s -1", shortened(1), LOG[:-1], LOG, TRUNCATED, TRUNCATED),
    Row("truncate -s -1000", shortened(1000), LOG[:-1000], LOG, TRUNCATED, TRUNCATED),
    Row("truncate -s 0", shortened(len(LOG)), b"", b"", None, None),
    Row("it begins anew", rewrite(THIRD[:900]), THIRD[:900], b"", TRUNCATED, TRUNCATED),
    Row("it begins anew and is longer already", rewrite(THIRD * 3), THIRD * 3, b"", REPLACED, REPLACED),
    Row(
        "it begins anew with the same line",
        rewrite(lines(0, 1) + THIRD),
        lines(0, 1) + THIRD,
        LOG,
        TRUNCATED,
        TRUNCATED,
    ),
    Row("a shorter backup is put over it", rewrite(FIRST), FIRST, LOG, TRUNCATED, TRUNCATED),
    Row("a shorter backup is put in its place", another(FIRST), FIRST, LOG, NEW, NEW),
    Row(
        "another log begins with the same line",
        lambda log: beside(log, lines(0, 1) + THIRD),
        lines(0, 1) + THIRD,
        LOG,
        NEW,
        NEW,
    ),
    Row("another log appears", lambda log: beside(log, THIRD), THIRD, b"", NEW, NEW),
]


@pytest.mark.parametrize("stopped", [False, True], ids=["followed", "stopped"])
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.what)
def test_what_happens_to_a_log_loses_nothing_and_doubles_nothing(
    reader: Reader, log: Path, row: Row, *, stopped: bool
) -> None:
    """Whatever happens to its file; the table says what is sent once more, and what the file is taken for."""
    append(log, LOG)
    reader.look()
    reader.told.found.clear()
    if stopped:
        reader.restart()
    row.happens(log)
    for _ in range(3):
        reader.wait()
    whole = row.holds[: row.holds.rfind(b"\n") + 1]
    assert reader.delivered == expected(LOG) | expected(whole)
    assert reader.again == expected(row.again) & expected(whole)
    wanted = row.found if stopped else row.followed
    recognitions = {recognition for _, recognition, _ in reader.told.found}
    assert recognitions - {RESUMED} == {wanted} - {RESUMED, None}
    assert wanted is not RESUMED or RESUMED in recognitions
    assert reader.told.lost == []


# ---- what takes several steps


def remade(records: Iterable[FileRecord], **changes: object) -> list[FileRecord]:
    """These records, otherwise."""
    return [replace(record, **changes) for record in records]  # type: ignore[arg-type]


@pytest.mark.parametrize("steps", [2, 5, 15])
@pytest.mark.parametrize("grows", [False, True])
def test_a_copy_is_recognised_while_it_is_made(reader: Reader, log: Path, steps: int, *, grows: bool) -> None:
    """However slowly, and whether its log grows meanwhile: nothing of it is sent, but what it has more than the log had."""
    append(log, LOG)
    reader.look()
    copy = rotated(log)
    size = len(LOG) // steps + 1
    for start in range(0, len(LOG), size):
        append(copy, LOG[start : start + size])
        if grows:
            append(log, lines(5000 + start, 1))
        reader.look()
    reader.wait()
    assert not reader.again
    assert (copy.name, MOVED, len(LOG)) in reader.told.found
    assert reader.delivered == expected(log.read_bytes())


def test_a_copy_that_stays_a_part_is_read(reader: Reader, log: Path) -> None:
    """Nobody goes on with it: it might be another log that begins alike. Nothing is sent twice into the index."""
    append(log, LOG)
    reader.look()
    append(rotated(log), FIRST)
    reader.wait()
    assert reader.delivered == expected(LOG)
    assert reader.again == expected(FIRST)


def test_a_copy_of_a_part_is_recognised_where_the_log_was_then(reader: Reader, log: Path) -> None:
    """Of several known files with the same first line, it is the furthest that it agrees with."""
    append(log, FIRST)
    reader.look()
    shutil.copy(log, rotated(log))
    reader.wait()
    append(log, SECOND)
    reader.look()
    shutil.copy(log, rotated(log, 2))
    append(rotated(log, 3), FIRST + THIRD)
    reader.wait()
    assert reader.delivered == expected(LOG) | expected(FIRST + THIRD)
    assert not reader.again
    assert reader.told.found[1:] == [
        (rotated(log).name, MOVED, len(FIRST)),
        (rotated(log, 2).name, MOVED, len(LOG)),
        (rotated(log, 3).name, MOVED, len(FIRST)),
    ]


def test_a_truncated_log_that_grows_again_to_its_own_bytes_is_resumed(reader: Reader, log: Path) -> None:
    """As `truncate -s -1; echo >> log` between two looks."""
    append(log, LOG)
    reader.look()
    os.truncate(log, len(LOG) - 1)
    append(log, b"\n" + THIRD)
    reader.wait()
    assert reader.delivered == expected(LOG + THIRD)
    assert not reader.again


@pytest.mark.parametrize("restarted", [False, True])
def test_what_is_appended_to_a_line_that_was_cut_is_another_line(
    reader: Reader, log: Path, *, restarted: bool
) -> None:
    """Its bytes are others, at the same place: both are in the index."""
    append(log, LOG)
    reader.look()
    os.truncate(log, len(LOG) - 3)
    reader.wait()
    if restarted:
        reader.restart()
    append(log, b',"more":1}\n' + THIRD)
    reader.wait()
    assert reader.delivered == expected(LOG) | expected(log.read_bytes())


def test_two_logs_with_the_same_first_line_are_each_followed(reader: Reader, logs: Path, log: Path) -> None:
    """Live, rotated, compressed and restarted: what both begin with is one entry, all else is each one's own."""
    other = logs / "query-engine-activity.log"
    for path in (log, other):
        append(path, lines(0, 1))
    reader.wait()
    for content in (lines(100, 20), lines(300, 30)):
        append(log, content)
        append(other, content[: len(content) // 2] + b"\n" + SECOND)
        reader.wait()
    held = expected(log.read_bytes()) | expected(other.read_bytes())
    assert reader.delivered == held
    again = reader.again.copy()
    for path in (log, other):
        compress(rename(path))
    reader.restart()
    reader.wait()
    assert reader.delivered == held
    assert reader.again == again, "each archive is recognised as its own log"


@pytest.mark.parametrize("content", [lines(2000, 10), THIRD * 3, lines(0, 1) + THIRD])
def test_an_inode_that_is_used_again_is_another_log(reader: Reader, log: Path, content: bytes) -> None:
    """Nothing of it is passed over, and nothing of the former is lost."""
    append(log, LOG)
    reader.look()
    rename(log)
    reader.wait()
    reader.restart()
    inode = rotated(log).stat().st_ino
    rotated(log).write_bytes(content)
    rotated(log).rename(log)
    assert log.stat().st_ino == inode
    reader.wait()
    assert reader.delivered == expected(LOG) | expected(content)


# ---- states


def test_a_state_of_version_0_1_is_gone_on_from(reader: Reader, log: Path) -> None:
    """It has no digest and no times: what was not moved goes on, renamed or not; rotated files are looked into once."""
    append(rotated(log, 2), THIRD)
    append(log, FIRST)
    reader.wait()
    records = remade(reader.tail.records(), digest=None, modified=0)
    reader.close()
    reader.start(records, once=False)
    rename(log)
    append(log, SECOND)
    append(rotated(log), THIRD)
    reader.wait()
    assert reader.delivered == expected(THIRD) + expected(FIRST + THIRD) + expected(SECOND)
    assert not reader.again
    known = {Path(record.path).name: record.digest for record in reader.tail.records()}
    assert known[log.name] is not None


def test_a_copy_of_a_file_known_from_0_1_is_read_once_more(reader: Reader, log: Path) -> None:
    """It cannot be compared; the index has each line once nevertheless."""
    append(log, LOG)
    reader.look()
    records = remade(reader.tail.records(), digest=None, modified=0)
    reader.close()
    reader.start(records, once=False)
    compress(rename(log))
    reader.wait()
    assert reader.delivered == reader.again == expected(LOG)


@pytest.mark.parametrize("once", [False, True])
def test_a_lost_state_costs_a_second_reading(reader: Reader, log: Path, *, once: bool) -> None:
    """Of all that is there; nothing is in the index twice."""
    append(log, LOG)
    compress(rename(log))
    append(log, THIRD)
    reader.wait()
    reader.close()
    reader.start([], once=once)
    reader.wait()
    assert reader.delivered == reader.again == expected(LOG) + expected(THIRD)


@pytest.mark.parametrize(
    "happens",
    [lambda _: None, rename, lambda log: compress(rename(log)), lambda log: another(log.read_bytes())(log)],
)
def test_an_old_state_costs_what_was_delivered_since(
    reader: Reader, log: Path, happens: Callable[[Path], object]
) -> None:
    """Whatever became of the log meanwhile."""
    append(log, FIRST)
    reader.look()
    old = reader.tail.records()
    append(log, SECOND)
    reader.look()
    reader.close()
    reader.start(old, once=False)
    happens(log)
    reader.wait()
    assert reader.delivered == expected(LOG)
    assert reader.again == expected(LOG, start=len(FIRST))


def test_an_old_state_of_a_log_that_began_anew_is_not_believed(reader: Reader, log: Path) -> None:
    """The first line, and the bytes before the offset, are others by now."""
    append(log, FIRST)
    reader.look()
    old = reader.tail.records()
    log.write_bytes(THIRD * 2)
    reader.wait()
    reader.close()
    reader.start(old, once=False)
    append(log, SECOND)
    reader.wait()
    reader.wait(CLAIMABLE + 1)
    assert reader.delivered == expected(FIRST) | expected(THIRD * 2 + SECOND)
