"""What the pipeline tells of itself while it runs: about once a second, whatever happens."""

from collections.abc import Callable
from pathlib import Path

import pytest

from indexer import pipeline
from indexer.events import LogProgress, Progress, Totals
from indexer.reading import reader
from tests.support import faults
from tests.support.observed import Stop
from tests.support.world import World, lines


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small blocks, and a heartbeat at each opportunity."""
    monkeypatch.setattr(reader, "BLOCK", 300)
    monkeypatch.setattr(pipeline, "HEARTBEAT_EVERY", 0.0)


@pytest.fixture
def told() -> list[Progress]:
    """What was told, in order."""
    return []


@pytest.fixture
def world(tmp_path: Path, told: list[Progress]) -> World:
    """An indexer with one sender, whose heartbeats are looked at."""
    world = World(tmp_path)
    world.heard.heartbeat = lambda look: told.append(look())  # type: ignore[method-assign]
    return world


def follow(world: World, told: list[Progress], until: Callable[[], bool]) -> None:
    """Run without an end, until it has told so of itself."""

    def hear(look: Callable[[], Progress]) -> None:
        told.append(look())
        if until():
            world.stop.set()

    world.heard.heartbeat = hear  # type: ignore[method-assign]
    world.stop = Stop(last=100_000)
    world.run(once=False)


def of(progress: Progress) -> dict[str, LogProgress]:
    return {Path(each.path).name: each for each in progress.logs}


def test_progress_goes_from_nothing_to_all(world: World, told: list[Progress]) -> None:
    """While a log is read its lag becomes less, what is delivered more, until nothing is behind or in flight."""
    size = world.write("one", lines("a", 200)).stat().st_size
    follow(world, told, lambda: told[-1].totals.read == 200)
    seen = [of(progress).get("one-activity.log") for progress in told]
    found = [each for each in seen if each is not None]
    assert found[0].lag == size
    delivered = [each.delivered for each in found]
    assert delivered == sorted(delivered)
    assert len(set(delivered)) > 5
    assert all(each.delivered + each.lag == size for each in found)
    assert (found[-1].delivered, found[-1].lag, found[-1].copy) == (size, 0, False)
    assert any(progress.batches for progress in told)
    assert (told[-1].batches, told[-1].bytes, told[-1].oldest) == (0, 0, 0.0)
    assert told[-1].totals.read == 200


def test_an_unfinished_line_is_no_lag(world: World, told: list[Progress]) -> None:
    """Nobody could send it yet; with its end it is."""
    path = world.write("one", lines("a", 5))
    whole = path.stat().st_size
    with path.open("ab") as file:
        file.write(b'{"half')
    follow(world, told, lambda: told[-1].totals.read == 5)
    last = of(told[-1])["one-activity.log"]
    assert (last.delivered, last.lag, last.size) == (whole, 0, whole + 6)


def test_a_copy_is_no_lag_once_it_is_compared(world: World, told: list[Progress]) -> None:
    """What another log holds too is sent once; while it is compared it is told as a copy."""
    path = world.write("one", lines("a", 200))
    copy = world.logs / "copy-activity.log"

    def back_up_in_the_end() -> bool:
        if told[-1].totals.read == 200 and not copy.exists():
            copy.write_bytes(path.read_bytes())
        return any(Path(found).name == copy.name for found, _, _ in world.heard.of("file_found"))

    follow(world, told, back_up_in_the_end)
    last = of(told[-1])
    assert {name: each.lag for name, each in last.items()} == {"one-activity.log": 0, "copy-activity.log": 0}
    assert told[-1].totals.read == 200
    compared = [of(progress)[copy.name] for progress in told if copy.name in of(progress)]
    assert [each.copy for each in compared] == sorted((each.copy for each in compared), reverse=True)
    assert compared[0].copy
    assert not compared[-1].copy


def test_a_cluster_that_takes_nothing_stops_no_heartbeat(world: World, told: list[Progress]) -> None:
    """While a batch is tried again and again the lag is told, what is in flight, and since when."""
    size = world.write("one", lines("a", 100)).stat().st_size
    world.step = faults.status(503)
    follow(world, told, lambda: len(world.heard.of("delivery_failed")) > 5)
    waiting = [progress for progress in told if progress.batches][-1]
    assert waiting.batches == 1
    assert 0 < waiting.bytes <= world.batch_bytes
    assert waiting.oldest > 0
    assert waiting.totals == Totals()
    assert of(waiting)["one-activity.log"].lag == size


def test_a_full_disk_stops_no_heartbeat(world: World, told: list[Progress]) -> None:
    """As long as no checkpoint can be written, that is told, and all the rest."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    world.write("one", lines("a", 10))
    world.save = full
    follow(world, told, lambda: len(world.heard.of("checkpoint_failed")) > 20)
    assert len(told) > 20


def test_a_run_that_ends_tells_too(world: World, told: list[Progress]) -> None:
    """With `--once`, as often."""
    world.write("one", lines("a", 200))
    world.run()
    assert len({progress.totals.read for progress in told}) > 5


def test_heartbeats_are_seconds_apart(
    world: World, told: list[Progress], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However fast the main loop goes round, it tells once in a while."""
    monkeypatch.setattr(pipeline, "HEARTBEAT_EVERY", 3600.0)
    world.write("one", lines("a", 200))
    world.run()
    assert len(told) == 1
