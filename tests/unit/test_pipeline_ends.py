"""A state that cannot be written, a stop, an outage, a bug: what is held back, what is lost (nothing), how it ends."""

import errno
import os
import threading
from collections.abc import Callable

import pytest

from indexer import pipeline
from indexer.events import Fault, Totals
from indexer.reading.batch import OversizedFragment
from indexer.writing.checkpoint import Checkpoint
from indexer.writing.spool import DeadLetterFiles
from tests.support import faults
from tests.support.observed import Stop
from tests.support.world import TIMEOUT, World, lines, there_is

pytestmark = pytest.mark.usefixtures("small_steps")

# ---- when the state cannot be written


def no_space(
    times: int, done: Callable[[], None] = lambda: None
) -> Callable[[Checkpoint, Callable[[Checkpoint], None]], None]:
    """Let so many checkpoints find the disk full."""
    left = iter(range(times))

    def save(checkpoint: Checkpoint, save: Callable[[Checkpoint], None]) -> None:
        if next(left, None) is not None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done()
        save(checkpoint)

    return save


@pytest.mark.parametrize("once", [True, False])
def test_a_state_that_takes_no_checkpoint_holds_back_nothing(world: World, *, once: bool) -> None:
    """All is delivered, and it is said each time; the next run reads again what no checkpoint speaks of."""
    world.write("one", lines("a", 50))
    world.save = no_space(1000)
    world.stop = Stop(last=40)
    world.run(once=once)
    assert set(world.heard.of("checkpoint_failed")) == {(str(world.state), "No space left on device")}
    assert world.heard.of("checkpoint_written") == []
    assert world.arrived == there_is(lines("a", 50))
    world.save = no_space(0)
    world.server.rollover()
    again = world.again()
    assert (again.read, again.created) == (50, 0)
    assert world.arrived == there_is(lines("a", 50))


def test_a_checkpoint_is_tried_again(world: World) -> None:
    """As soon as there is space, what is delivered is written down."""
    path = world.write("one", lines("a", 50))
    world.save = no_space(4)
    world.stop = Stop(last=40)
    world.run(once=False)
    assert len(world.heard.of("checkpoint_failed")) == 4
    assert [record.offset for record in world.records.values()] == [path.stat().st_size]


def test_a_checkpoint_that_fails_later_loses_nothing(world: World) -> None:
    """A disk that is full for a while, after the first checkpoint."""
    world.write("one", lines("a", 200))
    calls = iter(range(1000))

    def save(checkpoint: Checkpoint, save: Callable[[Checkpoint], None]) -> None:
        if 0 < next(calls) < 10:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(checkpoint)

    world.save = save
    world.run()
    assert len(world.heard.of("checkpoint_failed")) == 9
    assert world.arrived == there_is(lines("a", 200))
    assert world.again().read == 200


def test_a_long_line_that_cannot_be_kept_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk in the middle of a line too long to hold: the reader waits, and the line is whole in the end."""
    long = b"{" + b"0123456789" * 300
    world.write("one", [*lines("a", 5), long, *lines("b", 5)])
    real = DeadLetterFiles.spool
    calls = iter(range(1000))

    def spool(self: DeadLetterFiles, fragment: OversizedFragment) -> object:
        if next(calls) in {0, 3, 4, 9}:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(self, fragment)

    monkeypatch.setattr(DeadLetterFiles, "spool", spool)
    world.stop = Stop(last=40)
    totals = world.run(once=False)
    assert world.arrived == there_is([*lines("a", 5), long, *lines("b", 5)])
    assert totals.rejected == 1
    told = world.heard.of("delivery_failed")
    assert [fault for fault, _, _ in told] == [Fault.DISK] * 4
    assert f"cannot store a long line in {world.state}: No space left on device" in told[0]
    assert world.heard.of("checkpoint_failed") == []


# ---- the end


def test_a_stop_lets_what_is_under_way_arrive(world: World) -> None:
    """Stopped in the middle, batches under way are still answered, acknowledged and remembered; nothing new is sent."""
    world.senders = 2
    world.write("one", lines("a", 500))
    both = threading.Barrier(2)

    def step(request: faults.Request, carry_out: faults.CarryOut) -> object:
        if any(request is one for one in world.sent[4:6]):
            both.wait(TIMEOUT)
            world.stop.set()
        return carry_out()

    world.step = step
    totals = world.run()
    assert 5 <= len(world.sent) <= 7
    assert totals.created == len(world.server.entries)
    assert totals.bytes == sum(record.offset for record in world.records.values()) > 0
    world.step = faults.carried_out
    world.again()
    assert world.arrived == there_is(lines("a", 500))


@pytest.mark.parametrize("batch_bytes", [100, 400, 2000])
def test_a_rollover_after_a_stop_leaves_one_copy(world: World, batch_bytes: int) -> None:
    """What was read in one piece and sent in several, of which a stop let only some arrive, is asked about."""
    world.batch_bytes = batch_bytes
    world.write("one", lines("a", 5))
    world.run()
    world.write("one", lines("b", 60))
    world.steps.extend([faults.carried_out] * 5)
    world.step = faults.then(faults.carried_out, world.stop.set)
    world.stop.clear()
    world.run()
    world.server.rollover()
    world.step = faults.carried_out
    world.again()
    assert world.arrived == there_is(lines("a", 5) + lines("b", 60))


def test_a_stop_does_not_wait_for_ever(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that is not answered in time is left: what it holds is not remembered as delivered."""
    monkeypatch.setattr(pipeline, "DRAIN", 0.1)
    world.write("one", lines("a", 50))
    late = threading.Event()

    def step(_request: faults.Request, carry_out: faults.CarryOut) -> object:
        world.stop.set()
        assert late.wait(TIMEOUT)
        return carry_out()

    def save(checkpoint: Checkpoint, save: Callable[[Checkpoint], None]) -> None:
        save(checkpoint)
        if world.stop.is_set():  # the last one
            late.set()

    world.step, world.save = step, save
    assert world.run() == Totals()
    assert [record.offset for record in world.records.values()] == [0]
    world.step = faults.carried_out
    world.again()
    assert world.arrived == there_is(lines("a", 50))


def test_a_stop_during_an_outage_loses_nothing(world: World) -> None:
    """Stopped while nothing goes through, the indexer ends, and the next run delivers all."""
    world.write("one", lines("a", 50))
    world.step = faults.no_connection
    world.stop = Stop(last=5)
    assert world.run(once=False) == Totals()
    world.step = faults.carried_out
    assert world.again().read == 50
    assert world.arrived == there_is(lines("a", 50))


def test_an_outage_is_outlasted(world: World) -> None:
    """Answers lost, outages and rollovers while several batches are under way: all arrives, once."""
    world.senders = 2
    lose = faults.then(faults.lost, world.server.rollover)
    world.steps.extend(
        [faults.no_connection, lose, faults.status(503), faults.carried_out, lose, faults.status(413)] * 6
    )
    world.write("one", lines("a", 200))
    totals = world.run()
    assert world.arrived == there_is(lines("a", 200))
    assert totals.read == 200 == totals.created + totals.duplicates + totals.rejected + totals.blank


def test_what_goes_wrong_in_a_sender_is_raised(world: World) -> None:
    """A bug in a sender ends the run with its own error; no thread is left behind."""
    world.write("one", lines("a", 50))

    def step(_request: faults.Request, _carry_out: faults.CarryOut) -> object:
        raise ZeroDivisionError

    world.step = step
    with pytest.raises(ZeroDivisionError):
        world.run()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("sender-")]
