"""Lines too long for memory and endless holes: what they take of the state directory is bounded, and other logs go on."""

import gzip
import os
import stat
import time
import tracemalloc
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.monitoring.health import Problem, assess
from indexer.monitoring.recorder import MetricsRecorder
from indexer.reading import lines as lines_module
from indexer.reading import reader as reader_module
from indexer.reading.batch import OversizedFragment
from indexer.reading.lines import HOLE, Fragment, Lines, LineSplitter
from indexer.writing import dead_letters, spool
from indexer.writing.checkpoint import StateDirectory
from indexer.writing.spool import DeadLetterFiles
from tests.support.fakes import Refusal
from tests.support.observed import Stop
from tests.support.rotation import FIRST, SECOND
from tests.support.world import REJECTED, World, lines, there_is
from tests.unit.conftest import Reader, append, expected

MOST = 5000
LONG = b"x" * 4000
TOO_LONG = b"y" * (MOST + 1)
MEBIBYTE = 1024 * 1024


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "BLOCK", 300)
    monkeypatch.setattr(spool, "COUNTED_EVERY", 0.0)


@pytest.fixture
def world(tmp_path: Path, small_blocks: None) -> World:
    """An indexer whose spool takes little."""
    return World(tmp_path, most_spooled=MOST)


def spooled(world: World) -> int:
    directory = world.state / "rejected"
    return sum(path.stat().st_size for path in directory.iterdir()) if directory.exists() else 0


# ---- a line that finds no room


def test_a_line_without_room_holds_back_only_its_log(world: World) -> None:
    """The lines before it and all other logs are delivered; nothing is lost, and it is reported."""
    path = world.write("bad", [*lines("a", 20), TOO_LONG, *lines("b", 20)])
    world.write("good", [*lines("c", 20), LONG, *lines("d", 20)])
    world.stop = Stop(during={30: partial(world.write, "good", lines("e", 20))}, last=150)
    world.run(once=False)
    assert world.arrived == there_is(
        [*lines("a", 20), *lines("c", 20), LONG, *lines("d", 20), *lines("e", 20)]
    )
    assert spooled(world) < MOST
    assert not list((world.state / "rejected").glob("*.part"))
    told = {reason for name, reason in world.heard.of("file_unreadable") if name == str(path)}
    assert all("--max-spool-bytes" in reason for reason in told)
    assert told
    assert world.heard.of("checkpoint_failed") == world.heard.of("delivery_failed") == []
    world.most_spooled = None
    world.again()
    assert world.arrived == there_is(
        [*lines("a", 20), TOO_LONG, *lines("b", 20), *lines("c", 20), LONG, *lines("d", 20), *lines("e", 20)]
    )


@pytest.mark.parametrize("compressed", [False, True])
def test_the_log_continues_once_there_is_room(
    world: World, monkeypatch: pytest.MonkeyPatch, *, compressed: bool
) -> None:
    """When rejected lines were replayed or removed: without a restart."""
    monkeypatch.setattr(World, "check_record", lambda *_: None)  # it knows no line that was removed
    data = [*lines("a", 5), LONG, *lines("b", 5), LONG[1:], *lines("c", 5)]
    content = b"".join(line + b"\n" for line in data)
    path = world.logs / ("activity.log.1.gz" if compressed else "activity.log")
    path.write_bytes(gzip.compress(content) if compressed else content)
    kept: list[bytes] = []

    def make_room() -> None:
        local = DeadLetterFiles(world.state)
        for line in list(local.list()):
            kept.append(local.line(line.id))
            local.remove(line.id)

    world.stop = Stop(during={80: make_room}, last=300)
    world.run(once=False)
    assert kept == [LONG]
    assert world.arrived + there_is(kept) == there_is(data)


@pytest.mark.parametrize("kept", [0, 1, 30, 100])
def test_a_log_truncated_while_it_waits_continues(world: World, kept: int) -> None:
    """By an operator, or by a copy-truncate: with what it holds then."""
    before = lines("a", 5)
    path = world.write("bad", [*before, TOO_LONG])
    start = path.stat().st_size - len(TOO_LONG) - 1
    after = lines("b", 20)

    def cut() -> None:
        os.truncate(path, start + kept if kept else 0)
        with path.open("ab") as file:
            file.write(b"".join(b"\n" + line for line in after) + b"\n")

    world.stop = Stop(during={60: cut}, last=200)
    world.run(once=False)
    assert world.arrived == there_is([*before, *after, *([TOO_LONG[:kept]] if kept else [])])


def test_with_once_a_line_without_room_ends_its_log(world: World) -> None:
    """The run reports it at the end; the next run with more room continues."""
    world.write("bad", [*lines("a", 20), TOO_LONG, *lines("b", 20)])
    world.write("good", lines("c", 20))
    world.run()
    assert world.arrived == there_is([*lines("a", 20), *lines("c", 20)])
    ((_, reason),) = world.heard.of("file_unreadable")
    assert "--max-spool-bytes" in reason
    assert spooled(world) == 0
    world.most_spooled = None
    world.again()
    assert world.arrived == there_is([*lines("a", 20), TOO_LONG, *lines("b", 20), *lines("c", 20)])


@pytest.mark.parametrize("compressed", [False, True])
def test_a_log_that_waits_for_room_is_lag_and_is_named(
    logs: Path, tmp_path: Path, *, compressed: bool
) -> None:
    """By /readyz, as what it is: not as the checkpoint's fault."""
    content = FIRST + b"z" * (3 * reader_module.BLOCK) + b"\n" + SECOND
    path = logs / ("zoomdata-activity.log.1.gz" if compressed else "zoomdata-activity.log")
    path.write_bytes(gzip.compress(content) if compressed else content)
    reader = Reader(logs, limit=reader_module.BLOCK)
    local = DeadLetterFiles(tmp_path, 2 * reader_module.BLOCK)
    reader.tail._spool = local
    reader.tail.scan()
    for _ in range(9):
        reader.now += 1
        for run in reader.tail.read():
            for fragment in run.fragments:
                local.spool(fragment)
            reader._in_flight.append(run)
            reader.arrive()
    assert reader.delivered == expected(FIRST)
    assert reader.told.finished == []
    (progress,) = reader.tail.progress()
    assert progress.lag >= 2 * reader_module.BLOCK
    (told,) = reader.told.unreadable
    numbers = MetricsRecorder()
    numbers.file_unreadable(*told)
    assert [it.sentence for it in assess(numbers.snapshot()).problems if it.kind is Problem.LOGS] == [
        f"{told[0]} cannot be read: {told[1]}."
    ]


def test_room_is_bounded_by_the_option_and_by_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that is kept counts, whoever kept it; some of the disk is left to checkpoints."""
    monkeypatch.setattr(spool, "COUNTED_EVERY", 0.0)
    local = DeadLetterFiles(tmp_path, 1000)
    assert local.room() == 1000
    local.spool(OversizedFragment("f", "n", 0, b"x" * 300, first=True, id=None))
    assert local.room() == DeadLetterFiles(tmp_path, 1000).room() == 700
    local.discard("n")
    assert local.room() == 1000
    disk = os.statvfs(tmp_path)
    assert 0 < DeadLetterFiles(tmp_path).room() < disk.f_bavail * disk.f_frsize


def test_fragments_are_private_and_follow_no_link(tmp_path: Path) -> None:
    """Whatever the umask is."""
    before = os.umask(0)
    try:
        local = DeadLetterFiles(tmp_path)
        local.spool(OversizedFragment("f", "n", 0, b"x", first=True, id=None))
        (part,) = (tmp_path / "rejected").iterdir()
        assert stat.S_IMODE(part.stat().st_mode) == 0o600
        part.unlink()
        (tmp_path / "target").write_bytes(b"kept")
        part.symlink_to(tmp_path / "target")
        local.spool(OversizedFragment("f", "n", 0, b"x", first=True, id=None))
        assert (part.is_symlink(), part.read_bytes()) == (False, b"x")
        assert (tmp_path / "target").read_bytes() == b"kept"
        with StateDirectory(tmp_path) as held:
            local.sweep(held)
    finally:
        os.umask(before)


@pytest.mark.parametrize("refused", [False, True])
def test_long_rejected_lines_beyond_the_limit_go_to_the_index(
    world: World, monkeypatch: pytest.MonkeyPatch, *, refused: bool
) -> None:
    """Be they refused by the reader or by Elasticsearch: no file of log fills the disk, and no log waits."""
    monkeypatch.setattr(dead_letters, "LARGEST", 100)
    data = [b"%s%d%s" % (b"{" if refused else b"", n, b"x" * 400) for n in range(40)]
    if refused:
        world.server.refuse = lambda _, entry: Refusal(400, "kind", "no") if entry.endswith(b"x}") else None
        data = [line + b"}" for line in data]
    world.write("one", [*data, *lines("a", 20)])
    world.run()
    assert set(data) <= set(world.rejected.values())
    assert spooled(world) < 3 * MOST  # with what describes them
    assert len(world.server.documents[REJECTED]) > 20


# ---- holes


def fed(data: bytes, sizes: list[int], limit: int) -> tuple[list[tuple[int, bytes, int]], int]:
    """What a splitter makes of blocks of these sizes: where each line starts, its bytes, where the next one starts."""
    splitter = LineSplitter(0, limit)
    found: list[tuple[int, bytes, int]] = []
    long = b""
    blocks: list[bytes] = []
    while data:
        size = sizes[len(blocks) % len(sizes)]
        blocks.append(data[:size])
        data = data[size:]
    parts = [part for block in blocks for part in splitter.feed(block)]
    last = splitter.finish()
    for part in [*parts, *([last] if last else [])]:
        if isinstance(part, Fragment):
            long += part.data
            if part.last:
                found.append((part.start, long, part.end))
                long = b""
            continue
        at = part.start
        for number, line in enumerate(part.lines, 1):
            end = part.end if number == len(part.lines) else at + len(line) + 1
            found.append((at, line, end))
            at = end
    return found, splitter.skipped


@given(
    st.lists(st.sampled_from([b"a", b"b{", b"\n", b"\0", b"\0" * 3, b"\0" * 4, b"\0" * 9]), max_size=30).map(
        b"".join
    ),
    st.lists(st.integers(1, 12), min_size=1, max_size=5),
)
def test_what_a_hole_is_depends_on_its_bytes_alone(data: bytes, sizes: list[int]) -> None:
    """Never on where blocks end; its bytes and those of the lines are all there is."""
    before = lines_module.HOLE, lines_module._HOLE
    lines_module.HOLE, lines_module._HOLE = 4, b"\0" * 4
    try:
        for limit in (3, 1000):
            whole, skipped = fed(data, [len(data) + 1], limit)
            assert fed(data, sizes, limit) == (whole, skipped)
            for start, line, _ in whole:
                assert data[start:].startswith(line)
                assert b"\0" * 4 not in line
            ends = data.count(b"\n")
            assert sum(len(line) for _, line, _ in whole) + ends + skipped + _unfinished_nuls(data) == len(
                data
            )
    finally:
        lines_module.HOLE, lines_module._HOLE = before


def _unfinished_nuls(data: bytes) -> int:
    """NULs of a hole at the end of an unfinished line: nothing is behind them, so they are not passed over."""
    rest = data.split(b"\n")[-1].lstrip(b"\0")
    nuls = len(rest) - len(rest.rstrip(b"\0"))
    return nuls if rest.rstrip(b"\0") and nuls >= 4 else 0


BEGINNINGS = {"at a line": b"", "in a line": b'{"user":"abc'}


@pytest.mark.parametrize("once", [False, True])
@pytest.mark.parametrize("begun", BEGINNINGS.values(), ids=BEGINNINGS.keys())
def test_a_hole_of_a_terabyte_is_passed_over(logs: Path, log: Path, begun: bytes, *, once: bool) -> None:
    """As `truncate -s 1T` leaves it, and a writer that goes on behind: it takes no time, no room, and is counted."""
    size = 1024**4
    append(log, FIRST + begun)
    os.truncate(log, size)
    append(log, SECOND)
    reader = Reader(logs, once=once, limit=10_000)
    reader.tail._spool = DeadLetterFiles(logs.parent, MOST)
    started = time.monotonic()
    for _ in range(4):
        reader.wait()
    assert time.monotonic() - started < 60
    sent = {line for _, line in reader.delivered}
    assert sent == {line for line in (FIRST + begun + b"\n" + SECOND).split(b"\n") if line}
    assert sum(reader.told.holes) == size - len(FIRST + begun)
    assert not once or reader.tail.exhausted
    assert not (logs.parent / "rejected").exists()


@pytest.mark.parametrize("begun", BEGINNINGS.values(), ids=BEGINNINGS.keys())
def test_an_archive_of_nothing_takes_no_room(logs: Path, begun: bytes) -> None:
    """Hundreds of megabytes of NULs in some hundred kilobytes, with lines before and behind."""
    hole = 256 * MEBIBYTE
    packed = [
        gzip.compress(FIRST + begun),
        *[gzip.compress(bytes(16 * MEBIBYTE), 1)] * 16,
        gzip.compress(SECOND),
    ]
    (logs / "zoomdata-activity.log.1.gz").write_bytes(b"".join(packed))
    reader = Reader(logs, once=True, limit=10 * MEBIBYTE)
    reader.tail._spool = DeadLetterFiles(logs.parent, MOST)
    tracemalloc.start()
    try:
        reader.look()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert {line for _, line in reader.delivered} == {
        line for line in (FIRST + begun + b"\n" + SECOND).split(b"\n") if line
    }
    assert sum(reader.told.holes) == hole
    assert peak < 8 * MEBIBYTE
    assert not (logs.parent / "rejected").exists()
    assert reader.tail.exhausted


@pytest.mark.parametrize("block", [b"\n\0", b"a\0", b"\0\n\0a", b"\0" * (HOLE - 1) + b"a"])
def test_nuls_cost_no_more_than_other_bytes(block: bytes) -> None:
    """However they are strewn."""
    splitter = LineSplitter(0, 10 * MEBIBYTE)
    data = block * (MEBIBYTE // len(block))
    started = time.process_time()
    splitter.feed(data)
    assert time.process_time() - started < 10
    assert isinstance(splitter.feed(b"\n")[-1], Lines)
