"""Reading and sending together: what is acknowledged when, what is written down before, and that it all adds up."""

import threading
from collections.abc import Callable
from functools import partial

import pytest

from indexer import delivery, pipeline
from indexer.events import Totals
from indexer.pipeline import Pipeline
from indexer.writing import checkpoint
from indexer.writing.checkpoint import Checkpoint
from tests.support import faults
from tests.support.fakes import Refusal
from tests.support.observed import Stop
from tests.support.world import TIMEOUT, World, lines, there_is

pytestmark = pytest.mark.usefixtures("small_steps")


def acknowledged(world: World) -> list[Totals]:
    return [totals for totals, _ in world.heard.of("batch_acknowledged")]


# ---- all of it


def test_each_line_ends_once_and_is_counted(world: World) -> None:
    """Entries, lines that are none, entries that are refused, lines too long, blanks: all end, and the counts add up."""
    long = b'{"long":"%b"}' % (b"x" * 3000)
    data = [*lines("a", 60), long, *lines("b", 40)]
    path = world.write("one", data)
    world.write("two", lines("c", 50))
    world.server.refuse = lambda _, entry: Refusal(400, "kind", "no") if b'"n":9}' in entry else None
    totals = world.run()
    everything = [*data, *lines("c", 50)]
    assert world.arrived == there_is(everything)
    assert long in world.rejected.values()
    assert totals == Totals(
        read=len(everything),
        created=len(world.server.entries),
        duplicates=0,
        rejected=len(world.rejected),
        blank=everything.count(b""),
        bytes=path.stat().st_size + path.with_name("two-activity.log").stat().st_size,
    )
    assert totals.read == totals.created + totals.rejected + totals.blank
    assert sum(count for _, count in world.heard.of("rejected")) == totals.rejected


def test_running_again_does_nothing(world: World) -> None:
    """What is delivered is neither sent again nor asked about."""
    world.write("one", lines("a", 40))
    totals = world.run()
    requests, questions = len(world.sent), len(world.server.questions)
    assert world.again() == totals
    assert len(world.sent) == requests
    assert len(world.server.questions) == questions + 1, "who is behind the alias"


def test_a_lost_state_makes_duplicates_in_numbers_only(world: World) -> None:
    """With no state all is read again, found in the alias across rollovers, and counted as there already."""
    data = lines("a", 60)
    world.write("one", data)
    world.step = faults.then(faults.carried_out, world.server.rollover)
    totals = world.run()
    (world.state / checkpoint.NAME).unlink()
    again = world.again()
    assert (again.created, again.duplicates) == (0, totals.created)
    assert again.read == totals.read == again.duplicates + again.rejected + again.blank
    assert world.arrived == there_is(data)


def test_totals_go_on(world: World) -> None:
    """What is counted is counted since the state began, whatever run did it."""
    world.write("one", lines("a", 20))
    first = world.run()
    world.write("one", lines("b", 30))
    assert world.again().read == first.read + 30
    assert world.arrived == there_is(lines("a", 20) + lines("b", 30))


def asked(world: World) -> int:
    """How many entries older indices were asked for."""
    return sum(len(question.ids) for question in world.server.questions)


@pytest.mark.parametrize("once", [True, False])
def test_without_an_older_index_nothing_is_asked(world: World, *, once: bool) -> None:
    """Lines go to the write index by its name, and it is the only one that could have them."""
    world.write("one", lines("a", 20))
    world.stop = Stop(last=20)
    assert world.run(once=once).read == 20
    world.write("one", lines("b", 30))
    world.again()
    assert {request.target for request in world.sent} == {world.server.write}
    assert asked(world) == 0


def test_older_indices_are_asked_for_all_that_is_sent(world: World) -> None:
    """Of each of them: a log that grows may be one that is restored, whose lines somebody has sent long ago."""
    for number, name in enumerate((b"a", b"b", b"c")):
        world.write("one", [b'{"%b":%d}' % (name, n) for n in range(5)])
        world.again()
        assert asked(world) == (0, 5, 15)[number]
        world.server.rollover()
    assert len(world.server.entries) == 15


def test_a_write_index_that_is_remembered_is_not_waited_for(world: World) -> None:
    """Only one that is new to this state is: others may not have noticed it yet."""
    for waits in (1, 0):
        world.server.rollover() if waits else None
        world.write("one", [b'{"of":%d,"n":%d}' % (waits, n) for n in range(5)])
        world.again()
        assert sum(wait > 1 for wait in world.stop.waits) == waits


def test_what_is_appended_is_followed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `once`, lines and files that come later are delivered too, until the stop."""
    world.write("one", lines("a", 10))
    world.stop = Stop(
        during={
            5: partial(world.write, "one", lines("b", 10)),
            20: partial(world.write, "two", lines("c", 10)),
        },
        last=60,
    )
    monkeypatch.setattr(pipeline, "SCAN_EVERY", 0.0)
    totals = world.run(once=False)
    assert totals.read == 30
    assert world.arrived == there_is(lines("a", 10) + lines("b", 10) + lines("c", 10))


# ---- in which order


def test_batches_are_acknowledged_in_order(world: World) -> None:
    """While the first batch is not answered none is acknowledged, though five after it are; then all are, in order."""
    world.senders = 2
    path = world.write("one", lines("a", 200))
    meanwhile: list[object] = []
    sixth = threading.Event()

    def step(request: faults.Request, carry_out: faults.CarryOut) -> object:
        number = len(world.sent)
        if request is world.sent[0]:
            assert sixth.wait(TIMEOUT)
        elif number == 6:
            meanwhile.extend([acknowledged(world), [record.offset for record in world.records.values()]])
            sixth.set()
        return carry_out()

    world.step = step
    totals = world.run()
    assert meanwhile == [[], []]
    assert world.arrived == there_is(lines("a", 200))
    assert sum(one.bytes for one in acknowledged(world)) == totals.bytes == path.stat().st_size


def test_no_checkpoint_says_more_than_is_delivered(world: World) -> None:
    """For each of several files, whose runs are cut by the ends of batches; `World` looks at each checkpoint."""
    world.batch_bytes = 150
    for name in ("a", "b", "c"):
        world.write(name, lines(name, 30))
    world.run()
    assert world.arrived == there_is(lines("a", 30) + lines("b", 30) + lines("c", 30))


def test_the_checkpoint_is_not_written_for_each_batch(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a second, nothing is written."""
    monkeypatch.setattr(delivery, "CHECKPOINT_EVERY", 3600.0)
    world.write("one", lines("a", 300))
    world.run()
    assert len(acknowledged(world)) > 20
    assert len(world.heard.of("checkpoint_written")) <= 2  # at the first answer, and at the end


def test_the_checkpoint_is_written_while_there_is_more_to_read(world: World) -> None:
    """A long backlog is remembered as it goes: a status, or a restart, need not wait for its end."""
    offsets: set[int] = set()

    def step(_request: faults.Request, carry_out: faults.CarryOut) -> object:
        offsets.update(record.offset for record in world.records.values())
        return carry_out()

    world.step = step
    world.write("one", lines("a", 300))
    world.run()
    assert len(offsets) > 10


def test_what_is_answered_is_acknowledged_though_there_is_room(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With senders to spare no one has to wait for an answer; answers that came are acknowledged and remembered."""

    def room(self: Pipeline) -> bool:
        return all(it.done.wait(TIMEOUT) for it in self._delivery.in_flight)

    monkeypatch.setattr(Pipeline, "_has_room", room)
    offsets: set[int] = set()

    def save(checkpoint: Checkpoint, save: Callable[[Checkpoint], None]) -> None:
        offsets.update(record.offset for record in checkpoint.files)
        save(checkpoint)

    world.save = save
    world.write("one", lines("a", 300))
    world.run()
    assert len(offsets) > 10


# ---- not too much at once


@pytest.mark.parametrize("senders", [1, 2, 3])
def test_reading_waits_for_sending(world: World, monkeypatch: pytest.MonkeyPatch, senders: int) -> None:
    """While the oldest batch is not answered, only so many others are sent and so much is read, however much there is."""
    monkeypatch.setattr(pipeline, "SCAN_EVERY", 0.01)
    monkeypatch.setattr(pipeline, "LOOK_UP", 0.05)
    world.senders = senders
    most = delivery.AHEAD * senders if senders > 1 else 1
    world.write("one", lines("a", 1000))
    answered = threading.Event()
    looks: list[tuple[int, int]] = []

    def step(request: faults.Request, carry_out: faults.CarryOut) -> object:
        if request is world.sent[0]:
            assert answered.wait(TIMEOUT)
        return carry_out()

    def scanned() -> None:
        """The reader has time to look around: it waits."""
        if not answered.is_set() and len(world.sent) >= most:
            looks.append((len(world.sent), sum(size for _, size in world.heard.of("block_read"))))
            if len(looks) == 5:
                answered.set()

    world.step, world.scanned = step, scanned
    world.stop = Stop(last=30)
    world.run(once=False)
    assert world.arrived == there_is(lines("a", 1000))
    requests, read = looks[-1]
    assert requests == most
    assert read <= (most + 1) * world.batch_bytes + 2 * 300


def test_so_many_requests_are_under_way_at_once(world: World) -> None:
    """As many senders as were asked for are busy at the same time, no more."""
    world.senders = 3
    all_busy = threading.Barrier(3)
    busy: list[int] = []
    peak: list[int] = []

    def step(request: faults.Request, carry_out: faults.CarryOut) -> object:
        busy.append(1)
        peak.append(len(busy))
        if any(request is one for one in world.sent[:3]):
            all_busy.wait(TIMEOUT)
        answer = carry_out()
        busy.pop()
        return answer

    world.step = step
    world.write("one", lines("a", 400))
    world.run()
    assert max(peak) == 3
    assert world.arrived == there_is(lines("a", 400))
