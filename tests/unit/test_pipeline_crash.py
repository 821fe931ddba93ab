"""A process that dies at any moment: the next one goes on, and each entry is there once."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from indexer import delivery
from indexer.reading import reader
from indexer.writing.checkpoint import Checkpoint
from tests.support import faults
from tests.support.fakes import Refusal
from tests.support.observed import Stop
from tests.support.world import Crash, World, lines, there_is

DATA = {"one": lines("a", 32), "two": lines("b", 18)}
Dying = Callable[[World, int], None]


@pytest.fixture(autouse=True, params=[100, 2000], ids=["many runs a batch", "many batches a run"])
def small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks smaller or larger than batches, a checkpoint at each opportunity; it is no machine that dies here."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
    monkeypatch.setattr(reader, "BLOCK", request.param)
    monkeypatch.setattr(delivery, "CHECKPOINT_EVERY", 0.0)


def is_number(number: int, world: World, request: faults.Request) -> bool:
    """Tell whether this is the n-th of all requests."""
    return len(world.server.requests) >= number and world.server.requests[number - 1] is request


def before_a_request(world: World, number: int) -> None:
    """The n-th request is not sent any more."""
    last = len(world.server.requests) + number

    def step(request: faults.Request, carry_out: faults.CarryOut) -> object:
        if is_number(last, world, request):
            raise Crash
        return carry_out()

    world.step = step


def after_a_request(world: World, number: int) -> None:
    """The n-th request is carried out, and no one learns of it."""
    last = len(world.server.requests) + number

    def step(request: faults.Request, carry_out: faults.CarryOut) -> object:
        answer = carry_out()
        if is_number(last, world, request):
            raise Crash
        return answer

    world.step = step


def before_a_checkpoint(world: World, number: int) -> None:
    """The n-th checkpoint is not written any more."""
    calls = iter(range(1, 1000))

    def save(checkpoint: Checkpoint, save: Callable[[Checkpoint], None]) -> None:
        if next(calls) == number:
            raise Crash
        save(checkpoint)

    world.save = save


def after_a_checkpoint(world: World, number: int) -> None:
    """The n-th checkpoint is the last thing that was done."""
    calls = iter(range(1, 1000))

    def save(checkpoint: Checkpoint, save: Callable[[Checkpoint], None]) -> None:
        save(checkpoint)
        if next(calls) == number:
            raise Crash

    world.save = save


def no_rollover(_world: World) -> None:
    """The alias is written to one index."""


def rollover_before_each_request(world: World) -> None:
    """Each request goes into an index of its own."""
    step = world.step

    def rolled_over(request: faults.Request, carry_out: faults.CarryOut) -> object:
        world.server.rollover()
        return step(request, carry_out)

    world.step = rolled_over


def rollover_after_each_request(world: World) -> None:
    """What was the write index when a request was answered is no longer it when the next one is made."""
    world.step = faults.then(world.step, world.server.rollover)


def rollover_within_each_batch(world: World) -> None:
    """Of each batch every second entry goes into a later index than the others."""
    seen: set[str] = set()

    def refuse(identity: str, _entry: bytes) -> Refusal | None:
        first = identity not in seen
        seen.add(identity)
        return Refusal(429, "busy", "queue is full") if first and len(seen) % 2 else None

    world.server.refuse = refuse
    rollover_after_each_request(world)


def begun(directory: Path) -> World:
    """An indexer that has delivered the beginning of its logs, and has more to read now."""
    directory.mkdir()
    world = World(directory)
    for name, data in DATA.items():
        world.write(name, data[:5])
    world.run()
    for name, data in DATA.items():
        world.write(name, data[5:])
    world.stop = Stop()
    return world


ROLLOVERS = [
    no_rollover,
    rollover_before_each_request,
    rollover_after_each_request,
    rollover_within_each_batch,
]


@pytest.mark.parametrize("rollover", ROLLOVERS)
@pytest.mark.parametrize(
    "dying", [before_a_request, after_a_request, before_a_checkpoint, after_a_checkpoint]
)
def test_a_crash_at_any_moment_leaves_one_copy(
    tmp_path: Path, dying: Dying, rollover: Callable[[World], None]
) -> None:
    """Killed at each request and each checkpoint in turn, then run to the end: each line is there once, and counted."""
    for number in range(1, 1000):
        world = begun(tmp_path / str(number))
        dying(world, number)
        rollover(world)
        try:
            world.run()
        except Crash:
            pass
        else:
            break
        world.step, world.save = faults.carried_out, lambda checkpoint, save: save(checkpoint)
        rollover(world)
        totals = world.again()
        assert world.server.twice == []
        assert world.arrived == there_is([*DATA["one"], *DATA["two"]])
        assert totals.read == totals.created + totals.duplicates + totals.rejected + totals.blank
    assert number > 5, "there are moments to die at"


@pytest.mark.parametrize("senders", [1, 3])
@pytest.mark.parametrize("rollover", ROLLOVERS)
def test_crash_after_crash_leaves_one_copy(
    tmp_path: Path, rollover: Callable[[World], None], senders: int
) -> None:
    """Killed over and over, after more requests each time, the log is delivered nevertheless, once."""
    world = begun(tmp_path / "world")
    world.senders = senders
    for life in range(1, 1000):
        after_a_request(world, life)
        rollover(world)
        try:
            world.again()
        except Crash:
            continue
        break
    assert 2 < life < 100
    assert world.arrived == there_is([*DATA["one"], *DATA["two"]])


def test_a_log_that_goes_on_after_a_crash_is_followed(tmp_path: Path) -> None:
    """Lines that were appended while no one read are delivered with those that were under way."""
    world = begun(tmp_path / "world")
    after_a_request(world, 3)
    with pytest.raises(Crash):
        world.run()
    world.server.rollover()
    world.write("one", lines("later", 10))
    world.step = faults.carried_out
    world.again()
    assert world.arrived == there_is([*DATA["one"], *DATA["two"], *lines("later", 10)])
