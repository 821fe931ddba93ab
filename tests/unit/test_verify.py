"""The pure parts of `indexer verify`: judging, summing up, telling files apart, never holding much."""

import gzip
import threading
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import pytest

from indexer.cluster import generations
from indexer.cluster.findings import (
    DEFECTS,
    SHOWN,
    Finding,
    Kind,
    Line,
    Verification,
    judge,
    report,
)
from indexer.cluster.hits import Held
from indexer.cluster.lookup import Lookup
from indexer.cluster.verify import ASKED_AT_ONCE, _checked, _lines, _portions
from indexer.errors import Stopped
from indexer.events import Events
from indexer.reading.tail import Tail
from indexer.settings import Connection

SAME, OTHER = Held(b"id", "one", same=True), Held(b"id", "two", same=False)


def line(number: int = 0, *, final: bool = True, data: bytes | None = b"{}", whole: bytes = b"{}") -> Line:
    """A line of a file; `whole` is what its checksum is made of."""
    return Line(b"%08x%012x%08x" % (7, number, zlib.crc32(whole)), data, "a.log", number, None, final)


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
    assert judge(line(final=final), copies, kept) is kind


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
        Finding(Kind.MISSING, "a.log", 1, line(1).id.decode(), ()),
        Finding(Kind.DOUBLED, "a.log", 2, line(2).id.decode(), ("one", "two")),
    )


@pytest.mark.parametrize("kind", Kind)
def test_only_defects_disagree(kind: Kind) -> None:
    """A rejected or unfinished line is where it should be."""
    assert report("a", judged(kind), {}, repaired=0).agrees is (kind not in DEFECTS)


def test_what_is_repaired_agrees_and_what_is_unreadable_does_not() -> None:
    """All that is missing has to be repaired."""
    assert report("a", judged(Kind.MISSING), {}, repaired=1).agrees
    assert not report("a", judged(Kind.MISSING, Kind.MISSING), {}, repaired=1).agrees
    assert not Verification("a", unreadable={"a.log": "why"}).agrees


def test_a_sum_adds_every_count_and_keeps_the_first_findings_of_each_kind() -> None:
    """However many portions a file is compared in, the report stays small."""
    kinds = [kind for kind in Kind for _ in range(SHOWN)]
    part = report("a", judged(*kinds), {}, repaired=2)
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
    assert [len(portion) for portion in _portions(lines, limit=10**9)] == [ASKED_AT_ONCE, 1]
    sizes = [[40], [30], [50], [200], [10], [10]]
    parts = _portions([line(n, data=b"x" * size) for n, (size,) in enumerate(sizes)], limit=100)
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

    connection = Connection()

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
    found = list(_checked(index.portions(), cast("Lookup", index), None, 3, threading.Event()))
    assert sum(found, Verification("")).present == 500
    assert index.most_waiting <= 5


def test_a_stop_ends_it_between_two_portions() -> None:
    """What was not compared is not reported."""
    index = Counting(portions=500, before_answers=1)
    stop = threading.Event()
    checked = _checked(index.portions(), cast("Lookup", index), None, 1, stop)
    next(checked)
    stop.set()
    with pytest.raises(Stopped):
        list(checked)


def test_files_are_let_go_once_they_are_read(tmp_path: Path) -> None:
    """Nothing is kept of them, however many there are."""
    paths = [tmp_path / f"{name}.log" for name in "abc"]
    for number, path in enumerate(paths):
        path.write_bytes(b'{"n":%d}\n{"n":%d}' % (number, number + 1))
    told = Told()
    tail = Tail([str(tmp_path / "*.log")], [], limit=10**6, once=True, events=told)
    tail.scan()
    assert [it.data for it in _lines(tail, {})] == [b'{"n":%d}' % n for n in (0, 1, 1, 2, 2, 3)]
    assert told.finished == [str(path) for path in paths]


# ---- telling files apart


class Remembered:
    """The ids that an index has, and the questions put to it."""

    def __init__(self, ids: set[bytes]) -> None:
        self.ids = ids
        self.asked: list[int] = []

    def __call__(self, ids: Sequence[bytes]) -> set[bytes]:
        """Which of these it has."""
        self.asked.append(len(ids))
        return self.ids & set(ids)


def ids_of(data: bytes, twin: int) -> set[bytes]:
    """The ids under which a file was indexed."""
    generation, start, found = zlib.crc32(data.partition(b"\n")[0], twin), 0, set()
    for it in data.splitlines():
        found.add(b"%08x%012x%08x" % (generation, start, zlib.crc32(it)))
        start += len(it) + 1
    return found


def assigned(paths: Sequence[Path], known: Remembered) -> dict[str, int | None]:
    """The twin number that each file has for the index, by its name."""
    tail = Tail([str(path) for path in paths], [], limit=10**6, once=True, events=Events())
    tail.scan()
    records = tail.records(None)
    given = generations.assign(records, known)
    found = {}
    for record in records:
        data = Path(record.path).read_bytes()
        head = (gzip.decompress(data) if record.path.endswith(".gz") else data).partition(b"\n")[0]
        twins = {zlib.crc32(head, twin): twin for twin in range(generations.TWINS)}
        found[Path(record.path).name] = twins.get(given[record.generation])
    return found


def content(*numbers: int, first: bytes = b"same") -> bytes:
    return b"".join(b'{"a":"%b"}\n' % it for it in [first, *(b"%d" % number for number in numbers)])


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def test_a_file_that_the_index_knows_is_asked_for_once(tmp_path: Path) -> None:
    """With a few of its lines."""
    data = content(*range(100))
    known = Remembered(ids_of(data, 0))
    assert assigned([write(tmp_path / "a.log", data)], known) == {"a.log": 0}
    assert len(known.asked) == 1
    assert known.asked[0] <= generations.PROBES


@pytest.mark.parametrize("name", ["a.log", "a.log.1.gz"])
def test_a_file_is_found_under_the_number_it_had(tmp_path: Path, name: str) -> None:
    """Though those that it was told apart from are not at hand."""
    data = content(1, 2)
    known = Remembered(ids_of(content(3, 4), 0) | ids_of(data, 200))
    assert assigned([write(tmp_path / name, data)], known) == {name: 200}


def test_files_share_no_number(tmp_path: Path) -> None:
    """The one that is not in the index at all gets a free one, though its first line seems known."""
    one, other = content(1), content(2)
    paths = [write(tmp_path / "a.log", one), write(tmp_path / "b.log", other)]
    assert assigned(paths, Remembered(ids_of(other, 0))) == {"a.log": 1, "b.log": 0}
    assert assigned(paths, Remembered(ids_of(other, 5))) == {"a.log": 0, "b.log": 5}
    assert assigned(paths, Remembered(set())) == {"a.log": 0, "b.log": 1}


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_files_that_differ_only_far_on_are_told_apart(tmp_path: Path, suffix: str) -> None:
    """Lines from many places are looked up, in an archive too."""
    common = range(100_000)
    one, other = content(*common, *range(200_000, 230_000)), content(*common, *range(300_000, 330_000))
    paths = [write(tmp_path / f"{name}.log{suffix}", data) for name, data in (("a", one), ("b", other))]
    known = Remembered(ids_of(one, 1) | ids_of(other, 0))
    assert assigned(paths, known) == {f"a.log{suffix}": 1, f"b.log{suffix}": 0}


def test_files_that_begin_otherwise_are_no_concern_of_each_other(tmp_path: Path) -> None:
    """Each keeps its number, known or not."""
    paths = [
        write(tmp_path / "a.log", content(1, first=b"one")),
        write(tmp_path / "b.log", content(2, first=b"two")),
    ]
    assert assigned(paths, Remembered(ids_of(content(2, first=b"two"), 0))) == {"a.log": 0, "b.log": 0}


def test_a_file_without_a_complete_line_keeps_its_number(tmp_path: Path) -> None:
    """There is nothing to look up."""
    assert assigned([write(tmp_path / "a.log", b'{"a":')], Remembered(set())) == {"a.log": 0}
