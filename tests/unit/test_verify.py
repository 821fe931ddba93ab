"""The pure parts of `indexer verify`: judging, summing up, looking again, never holding much."""

import os
import sys
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import pytest

from indexer.cli.progress_bar import ProgressBar
from indexer.errors import Stopped
from indexer.events import Events
from indexer.reading.tail import Tail
from indexer.settings import Connection
from indexer.verify import checker as checking
from indexer.verify.checker import (
    AGAIN_AFTER,
    ASKED_AT_ONCE,
    Checker,
    Repair,
    _size,
    checked,
    portions,
)
from indexer.verify.findings import (
    DEFECTS,
    SHOWN,
    Defect,
    Held,
    Kind,
    Line,
    Verification,
    classify,
    report,
)
from indexer.verify.log_files import LIVE, _lines
from indexer.verify.lookup import Lookup
from tests.support.observed import Stop

SAME, OTHER = Held(b"id", "one", same=True), Held(b"id", "two", same=False)


def line(
    number: int = 0,
    *,
    final: bool = True,
    data: bytes | None = b"{}",
    whole: bytes = b"{}",
    live: bool = False,
) -> Line:
    """A line of a file; `whole` is what its checksum is made of."""
    return Line(b"%08x%012x%08x" % (7, number, zlib.crc32(whole)), data, "a.log", number, None, final, live)


# ---- judging


@pytest.mark.parametrize(
    ("copies", "kept", "final", "kind"),
    [
        ([SAME], [], True, Kind.PRESENT),
        ([SAME], [SAME], True, Kind.PRESENT),
        ([SAME], [], False, Kind.PRESENT),
        ([SAME, SAME], [], True, Kind.DOUBLED),
        ([OTHER], [], True, Kind.DIFFERENT),
        ([SAME, OTHER], [], True, Kind.DIFFERENT),
        ([OTHER], [SAME], True, Kind.DIFFERENT),
        ([], [SAME], True, Kind.REJECTED),
        ([], [SAME, OTHER], True, Kind.REJECTED),
        ([], [OTHER], True, Kind.DIFFERENT),
        ([], [], True, Kind.MISSING),
        ([], [], False, Kind.UNFINISHED),
    ],
)
def test_a_line_is_judged_by_its_copies(
    copies: list[Held], kept: list[Held], *, final: bool, kind: Kind
) -> None:
    """First by those in the index, then by what is kept of it as rejected."""
    assert classify(line(final=final), copies, kept) is kind


@pytest.mark.parametrize(("stored", "same"), [(b'{"a":1}', True), (b'{"a":1}\r', False), (b'{"a":2}', False)])
def test_a_line_too_long_to_hold_is_compared_by_its_checksum(stored: bytes, *, same: bool) -> None:
    """That of the whole line, whose CR is no part of the entry."""
    for whole in (b'{"a":1}', b'{"a":1}\r'):
        assert line(data=None, whole=whole).is_same(stored) is (same or stored == whole)


# ---- summing up


def judged(*kinds: Kind) -> list[tuple[Kind, Line]]:
    return [(kind, line(number)) for number, kind in enumerate(kinds)]


def test_a_report_counts_each_kind_and_tells_defects() -> None:
    """With their place in the file, and where something is under their id."""
    where = {line(2).id: [SAME, Held(b"id", "two", same=True)]}
    found = report("a", judged(Kind.PRESENT, Kind.MISSING, Kind.DOUBLED, Kind.REJECTED), where, repaired=0)
    assert (found.read, found.present, found.missing, found.doubled, found.rejected) == (4, 1, 1, 1, 1)
    assert found.findings == (
        Defect(Kind.MISSING, "a.log", 1, line(1).id.decode(), ()),
        Defect(Kind.DOUBLED, "a.log", 2, line(2).id.decode(), ("one", "two")),
    )


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.EXTRA])
def test_only_defects_disagree(kind: Kind) -> None:
    """A rejected or unfinished line is where it should be."""
    assert report("a", judged(kind), {}, repaired=0).agrees is (kind not in DEFECTS)


def test_what_is_repaired_agrees_and_what_is_unreadable_does_not() -> None:
    """All that is missing has to be repaired."""
    assert report("a", judged(Kind.MISSING), {}, repaired=1).agrees
    assert not report("a", judged(Kind.MISSING, Kind.MISSING), {}, repaired=1).agrees
    assert not Verification("a", unreadable={"a.log": "why"}).agrees
    assert not Verification("a", extra=1).agrees


def test_a_sum_adds_every_count_and_keeps_the_first_findings_of_each_kind() -> None:
    """However many portions a file is compared in, the report stays small."""
    kinds = [kind for kind in Kind for _ in range(SHOWN)]
    part = report("a", judged(*kinds), {}, repaired=2) + Verification("a", extra=1)
    whole = sum([part, part, Verification("a", unreadable={"b.log": "why"})], Verification("a"))
    names = ("read", *Kind, "repaired")
    assert [getattr(whole, name) for name in names] == [2 * getattr(part, name) for name in names]
    assert whole.findings == part.findings
    assert [finding.kind for finding in whole.findings] == [kind for kind in DEFECTS for _ in range(SHOWN)]
    assert whole.unreadable == {"b.log": "why"}


# ---- portions


def test_portions_are_bounded_in_lines_and_in_bytes() -> None:
    """Only a line that is longer than the limit makes a larger one."""
    lines = [line(number) for number in range(ASKED_AT_ONCE + 1)]
    assert [len(portion) for portion in portions(lines, limit=10**9)] == [ASKED_AT_ONCE, 1]
    sizes = [[40], [30], [50], [200], [10], [10]]
    parts = portions([line(n, data=b"x" * size) for n, (size,) in enumerate(sizes)], limit=100)
    assert [[len(it.data or b"") for it in part] for part in parts] == [[40, 30, 50], [200], [10, 10]]


class Told(Events):
    """Keeps which files are finished."""

    def __init__(self) -> None:
        self.finished: list[str] = []

    def file_finished(self, path: str) -> None:
        """Keep it."""
        self.finished.append(path)


class Counting:
    """Stands in for the index: has every entry, and counts how much is asked at once."""

    alias = Connection().alias

    def __init__(self, portions: int, before_answers: int) -> None:
        """The first answer waits until so many portions were made."""
        self.most_waiting = 0
        self._portions = portions
        self._before_answers = before_answers
        self._made = self._answered = 0
        self._enough = threading.Event()

    def portions(self) -> Iterator[list[Line]]:
        """Make portions, and see how many are not answered."""
        for number in range(self._portions):
            self._made += 1
            self.most_waiting = max(self.most_waiting, self._made - self._answered)
            if self._made == self._before_answers:
                self._enough.set()
            yield [line(number)]

    def entries(self, lines: Sequence[Line]) -> list[Held]:
        """Answer."""
        assert self._enough.wait(10)
        self._answered += 1
        return [Held(it.id, "index", same=True) for it in lines]

    def rejected(self, _: Sequence[Line]) -> list[Held]:
        """Nothing is."""
        return []

    now = rejected


def test_look_ups_do_not_pile_up() -> None:
    """However slow the server is, no more portions are held than can be asked for, and one to go on with."""
    index = Counting(portions=500, before_answers=4)
    checker = Checker(cast("Lookup", index), None, threading.Event())
    found = list(checked(index.portions(), checker, 3))
    assert sum(found, Verification("")).present == 500
    assert index.most_waiting <= 5


def test_a_stop_ends_it_between_twoportions() -> None:
    """What was not compared is not reported."""
    index = Counting(portions=500, before_answers=1)
    stop = threading.Event()
    found = checked(index.portions(), Checker(cast("Lookup", index), None, stop), 1)
    next(found)
    stop.set()
    with pytest.raises(Stopped):
        list(found)


def test_files_are_let_go_once_they_are_read(tmp_path: Path) -> None:
    """Nothing is kept of them, however many there are."""
    paths = [tmp_path / f"{name}.log" for name in "abc"]
    for number, path in enumerate(paths):
        path.write_bytes(b'{"n":%d}\n{"n":%d}' % (number, number + 1))
    told = Told()
    tail = Tail([str(tmp_path / "*.log")], [], limit=10**6, once=True, events=told)
    tail.scan()
    assert [it.data for it in _lines(tail)] == [b'{"n":%d}' % n for n in (0, 1, 1, 2, 2, 3)]
    assert told.finished == [str(path) for path in paths]


# ---- looking again


class Arriving:
    """Stands in for the index: it has some entries, and others arrive while one waits."""

    alias = Connection().alias

    def __init__(self, *arriving: int, there: Sequence[int] = ()) -> None:
        self.held = {line(number).id for number in there}
        self._arriving = {line(number).id for number in arriving}
        self.stop = Stop(during={1: lambda: self.held.update(self._arriving)})

    def entries(self, lines: Sequence[Line]) -> list[Held]:
        """Answer."""
        return [Held(it.id, "index", same=True) for it in lines if it.id in self.held]

    def rejected(self, _: Sequence[Line]) -> list[Held]:
        """Nothing is."""
        return []

    now = rejected

    def verified(self, lines: Sequence[Line], repair: Repair | None = None) -> Verification:
        """Check some lines, and look again at the end."""
        checker = Checker(cast("Lookup", self), repair, self.stop)
        return checker.check(lines) + checker.look_again()


def test_what_is_on_its_way_is_not_missing() -> None:
    """What the index does not have of a file that is being written is looked for once more, after a while."""
    index = Arriving(2, 3, there=[1])
    found = index.verified([line(number, live=True) for number in (1, 2, 3)])
    assert (found.read, found.present, found.missing, found.agrees) == (3, 3, 0, True)
    assert index.stop.waits == [AGAIN_AFTER]


def test_what_does_not_arrive_is_missing() -> None:
    """With its place in the file; each line is counted once."""
    found = Arriving(2).verified([line(number, live=True) for number in (1, 2, 3)])
    assert (found.read, found.present, found.missing) == (3, 1, 2)
    assert [finding.offset for finding in found.findings] == [1, 3]


def test_nothing_is_waited_for_that_was_written_long_ago() -> None:
    """It is missing at once."""
    index = Arriving(1)
    assert index.verified([line(1)]).missing == 1
    assert index.stop.waits == []


def test_nothing_is_waited_for_that_is_wrong_already() -> None:
    """Other bytes under an id do not become right."""
    index = Arriving()
    index.entries = lambda lines: [Held(it.id, "index", same=False) for it in lines]  # type: ignore[method-assign]
    assert index.verified([line(1, live=True)]).different == 1
    assert index.stop.waits == []


def test_what_is_on_its_way_is_not_repaired() -> None:
    """Only what has not arrived in the end is indexed."""
    repaired: list[Line] = []

    def repair(lines: Sequence[Line]) -> int:
        repaired.extend(lines)
        return len(lines)

    found = Arriving(2).verified([line(n, live=True) for n in (1, 2)] + [line(3)], cast("Repair", repair))
    assert sorted(it.offset for it in repaired) == [1, 3]
    assert (found.missing, found.repaired, found.agrees) == (2, 2, True)


def test_no_more_waits_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest lines are missing at once then; all are counted."""
    monkeypatch.setattr(checking, "PUT_OFF", 10 * _size(line()))
    index = Arriving(*range(100))
    checker = Checker(cast("Lookup", index), None, index.stop)
    for number in range(0, 100, 5):
        early = checker.check([line(n, live=True) for n in range(number, number + 5)])
        assert early.missing == (5 if number >= 10 else 0)
    assert checker.look_again().present == 10


def test_a_stop_ends_the_wait() -> None:
    """What was not looked for again is not reported."""
    index = Arriving()
    index.stop.last = 1
    with pytest.raises(Stopped):
        index.verified([line(1, live=True)])


@pytest.mark.parametrize(("ago", "live"), [(0, True), (LIVE - 10, True), (LIVE + 10, False), (1e6, False)])
def test_a_file_that_was_written_lately_is_live(tmp_path: Path, ago: float, *, live: bool) -> None:
    """Its lines may be in flight."""
    path = tmp_path / "a.log"
    path.write_bytes(b'{"n":1}\n')
    written = time.time() - ago
    os.utime(path, (written, written))
    tail = Tail([str(path)], [], limit=10**6, once=True, events=Events())
    tail.scan()
    assert [it.live for it in _lines(tail)] == [live]


# ---- progress


def test_a_terminal_shows_how_far_a_scan_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In entries of the index: the bytes of the files are read by then."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    with ProgressBar("Verifying", 100) as bar:
        bar.block_read("a.log", 100)
        bar.entries_scanned(1200, 4000)
    assert "1,200 of 4,000 entries of the index" in capsys.readouterr().err
