"""Files by the hundred that mean harm: what they cost grows with their number, a stop ends it, and nothing is kept for ever."""

import gzip
import time
from functools import partial
from pathlib import Path

import pytest

from indexer.errors import Stopped
from indexer.events import MOST_UNREADABLE
from indexer.monitoring.health import MOST_NAMED, assess
from indexer.monitoring.logs import FORGOTTEN_AFTER, MOST_FILES, Logs
from indexer.monitoring.recorder import UNREADABLE_FOR, MetricsRecorder
from indexer.pipeline import Interrupted
from indexer.reading import sources
from indexer.reading.files import look_at
from indexer.reading.registry import RETRIED
from indexer.reading.sources import FileSource, GzipSource, open_log
from indexer.verify.log_files import _go_on, _lines
from tests.support.observed import Stop
from tests.support.world import World, there_is
from tests.unit.conftest import Reader, append, expected, lines

HEAD = b'{"the":"same"}\n'
EMPTY = gzip.compress(b"", mtime=0)


# ---- equal files


def reads_of_twins(logs: Path, count: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """How often something is read to find out who so many files are that begin alike."""
    reads = 0
    real = FileSource.read_at

    def read_at(self: FileSource, offset: int, size: int) -> bytes:
        nonlocal reads
        reads += 1
        return real(self, offset, size)

    with monkeypatch.context() as patch:
        patch.setattr(FileSource, "read_at", read_at)
        reader = Reader(logs, most=10 * count)
        for half in range(2):
            for number in range(half * count // 2, (half + 1) * count // 2):
                append(logs / f"activity.log.{number}", HEAD + b'{"n":%d}\n' % number * (number + 1))
            for _ in range(3):
                reader.wait()
    assert len(reader.delivered) + sum(reader.again.values()) >= count
    for path in logs.iterdir():
        path.unlink()
    return reads


def test_files_that_begin_alike_cost_what_their_number_says(
    logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four times as many cost four times as much, not sixteen times."""
    few, many = (reads_of_twins(logs, count, monkeypatch) for count in (150, 600))
    assert many < 8 * few


def test_equal_files_are_delivered_once(logs: Path) -> None:
    """However many: what is not compared is sent, and the index knows what it has."""
    contents = [HEAD + b'{"n":%d}\n' % number * (number + 1) for number in range(300)]
    for number, content in enumerate(contents):
        append(logs / f"activity.log.{number}", content)
    reader = Reader(logs, most=1000)
    for _ in range(3):
        reader.wait()
    assert set(reader.delivered) == {pair for content in contents for pair in expected(content)}


# ---- archives without end


def archive(path: Path, data: bytes) -> GzipSource:
    path.write_bytes(data)
    facts = look_at(str(path))
    assert facts is not None
    source = open_log(facts)
    assert isinstance(source, GzipSource)
    return source


def test_empty_members_cost_what_their_number_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the ten thousand, with something behind them; four times as many cost four times as much, with a margin."""
    monkeypatch.setattr(sources, "CHUNK", 16 * 1024 * 1024)
    spent = []
    for count in (20_000, 80_000):
        source = archive(tmp_path / "a.gz", EMPTY * count + gzip.compress(b"end\n"))
        started = time.process_time()
        assert source.read_at(0, 100) == b"end\n"
        spent.append(time.process_time() - started)
        assert source.complete
        source.close()
    assert spent[1] < 10 * spent[0]


@pytest.mark.parametrize("padding", [b"", b"\0" * 7, b"\0" * 100_000])
@pytest.mark.parametrize("fragment", [1, 10, 1000])
def test_members_and_padding_in_any_slices_give_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, padding: bytes, fragment: int
) -> None:
    """Wherever slices and chunks end."""
    monkeypatch.setattr(sources, "SLICE", fragment)
    monkeypatch.setattr(sources, "CHUNK", 3 * fragment + 1 if fragment > 1 else 64)
    content = lines(0, 200)
    members = (gzip.compress(content[start : start + 999]) for start in range(0, len(content), 999))
    source = archive(tmp_path / "a.gz", EMPTY + padding.join([*members, EMPTY]) + padding)
    assert source.read_at(0, len(content) + 1) == content
    assert source.complete
    source.require_whole()
    source.close()


def read_all(reader: Reader) -> None:
    while not reader.tail.exhausted:
        list(reader.tail.read())


@pytest.mark.parametrize("content", [EMPTY * 1000, gzip.compress(bytes(1000))], ids=["members", "NULs"])
def test_a_stop_ends_the_reading_of_what_gives_nothing(logs: Path, content: bytes) -> None:
    """It is looked at between blocks, though there is no line."""
    for number in range(50):
        (logs / f"activity.log.{number}.gz").write_bytes(content)
    reader = Reader(logs, once=True)
    left = iter(range(20))

    def pause() -> None:
        if next(left, None) is None:
            raise Interrupted

    reader.tail.pause = pause
    reader.tail.scan()
    with pytest.raises(Interrupted):
        read_all(reader)


def test_a_stop_while_there_is_much_to_read_keeps_what_is_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of an archive of millions of blank lines; the next run goes on."""
    monkeypatch.setattr(World, "check_record", lambda *_: None)  # it reads no archives
    world = World(tmp_path)
    entries = [b'{"n":%d}' % n for n in range(50)]
    world.write("one", entries)
    (world.logs / "zz-activity.log.1.gz").write_bytes(gzip.compress(b"\n" * 3_000_000))

    def stop(path: str, _size: int) -> None:
        if path.endswith(".gz"):
            world.stop.set()

    with monkeypatch.context() as patch:
        patch.setattr(world.heard, "block_read", stop)
        totals = world.run()
    assert 0 < totals.read < 1000
    assert world.again().read >= 3_000_050
    assert world.arrived == there_is(entries)


def test_verify_stops_between_blocks(tmp_path: Path) -> None:
    """Its reader is interrupted as `run` is."""
    (tmp_path / "activity.log.1.gz").write_bytes(gzip.compress(bytes(5_000_000)))
    reader = Reader(tmp_path, once=True)
    stop = Stop()
    stop.set()
    reader.tail.scan()
    reader.tail.pause = partial(_go_on, stop)
    with pytest.raises(Stopped):
        list(_lines(reader.tail))


# ---- what cannot be read


def test_what_is_gone_is_not_unreadable_any_more(reader: Reader, logs: Path) -> None:
    """Files that cannot be read, each under a new name: what is kept of them is what is there."""
    for number in range(30):
        bad = logs / f"activity.log.{number}"
        bad.write_bytes(b"BZh91AY")
        reader.wait(RETRIED)
        bad.unlink()
    reader.wait()
    assert len(reader.told.unreadable) >= 30
    tail = reader.tail
    assert tail.failures == {}
    assert (tail.registry.failed, tail.registry.files, tail.registry.missing) == ({}, {}, [])


def test_numbers_of_what_cannot_be_read_are_bounded() -> None:
    """Each path is new: some are named, all are counted, none is kept longer than it is told."""
    now = [0.0]
    numbers = MetricsRecorder(lambda: now[0])
    for number in range(5 * MOST_UNREADABLE):
        numbers.file_unreadable(f"/logs/{number}", "no")
    snapshot = numbers.snapshot()
    assert len(snapshot.unreadable) == MOST_UNREADABLE
    assert sum("cannot be read" in found.sentence for found in assess(snapshot).problems) == MOST_NAMED + 1
    now[0] += UNREADABLE_FOR
    with pytest.raises(ValueError, match="looked"):
        numbers.heartbeat(lambda: (_ for _ in ()).throw(ValueError("looked")))
    assert not numbers._unreadable


class Lines:
    """A logger that counts."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def warning(self, event: str, **facts: object) -> None:
        """Keep it."""
        self.said.append(event)

    info = warning


def test_logs_of_what_cannot_be_read_are_bounded() -> None:
    """A hundred files are said each, the others together; what is told no more is forgotten."""
    now, said = [0.0], Lines()
    logs = Logs(said, lambda: now[0])  # type: ignore[arg-type]
    for number in range(10 * MOST_FILES):
        logs.file_unreadable(f"/logs/{number}", "no")
    assert len(said.said) == MOST_FILES + 1
    now[0] += FORGOTTEN_AFTER + 1
    logs.heartbeat(lambda: (_ for _ in ()).throw(AssertionError))
    assert len(logs._faults) == 1
    logs.file_unreadable("/logs/new", "no")
    assert len(logs._faults) == 2
