"""Any history in which indexers seal ends with all delivered lines under checkpoints that hold."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from indexer.elastic.cluster import Cluster
from indexer.seals import store
from indexer.seals.sealer import Sealer
from indexer.seals.state import SealState
from tests.model.history import described, drawn, play, shortest
from tests.model.seals import Sealing
from tests.model.stage import oldest_first
from tests.model.test_model import STEPS

TOGETHER = 75
"""Histories in one test."""
Led = Callable[[Sealing], object]


@pytest.mark.parametrize("first", range(0, 225, TOGETHER))
def test_every_history_ends_with_all_lines_sealed(first: int) -> None:
    """Of one that does not, the shortest that can be had is shown, with its seed."""
    for seed in range(first, first + TOGETHER):
        history = drawn(Sealing, seed, STEPS)
        if play(Sealing, history) is not None:
            short = shortest(Sealing, history)
            pytest.fail(f"seed {seed}:\n{described(short)}\n{play(Sealing, short)}")


def given_up_unsigned(machine: Sealing) -> None:
    """A first sealing ends between its leaves and their checkpoint, and its state is gone."""
    machine.pass_time(oldest_first, 6.0)
    machine.keep_directory(0)
    machine.crash_while_sealing(0, 12, again=False)
    machine.set_directory_back(0)


def sealed_again(machine: Sealing) -> None:
    """Something is delivered, and sealed."""
    machine.append()
    machine.do_all()
    machine.wait(2.0)
    machine.seal(0)
    machine.do_all()


def restored(machine: Sealing) -> None:
    """A state is restored whose log has gone on since; that is noticed a while after new leaves were made."""
    sealed_again(machine)
    machine.keep_directory(0)
    sealed_again(machine)
    machine.set_directory_back(0)
    machine.do_all()
    machine.seal(0)
    (sealer,) = [it for it in machine.stage.actors if it.name == "sealer"]
    while sealer.at != "request":
        sealer.step()
    machine.stage.now += 1.0


def lost_while_sealing(machine: Sealing) -> None:
    """The index of the seals is lost between two requests of a sealing."""
    machine.append()
    machine.do_all()
    machine.wait(2.0)
    machine.seal(0)
    machine.stage.run(lambda: machine.seals_index in machine.server.documents, oldest_first, 50)
    machine.lose_seals()


def killed_before_sealing(machine: Sealing) -> None:
    """A first run ends after a delivery, and before any sealing."""
    machine.append()
    machine.do_all()
    machine.wait(2.0)
    machine.kill(0)
    machine.start()


def read_again_in_several_batches(machine: Sealing) -> None:
    """A second indexer finds all in the index already; what it reads at once it sends in parts."""
    machine.append(kinds=["refused", "entry", "blank", "refused", "BOM", "BOM", "BOM"])


def led(history: Led) -> None:
    """Let it happen; at its end, all has to be sealed."""
    machine = Sealing()
    try:
        machine.begin()
        history(machine)
        machine.end()
    finally:
        machine.close()


@pytest.mark.parametrize(
    "history",
    [
        given_up_unsigned,
        restored,
        lost_while_sealing,
        killed_before_sealing,
        read_again_in_several_batches,
    ],
)
def test_what_shows_seldom(history: Led) -> None:
    """Led up to step by step: what random histories meet too seldom."""
    led(history)


# ---- bugs put in on purpose


def signed_before_stored(patch: pytest.MonkeyPatch) -> None:
    """The checkpoint is signed first."""
    original = Sealer._finished

    def finished(self: Sealer, state: SealState) -> SealState:
        return original(self, self._sign(state))

    patch.setattr(Sealer, "_finished", finished)


def journal_is_skipped(patch: pytest.MonkeyPatch) -> None:
    """What is pending counts as sealed."""
    original = Sealer._extended

    def extended(self: Sealer, state: SealState) -> SealState:
        return original(self, replace(state, consumed=self.delivered))

    patch.setattr(Sealer, "_extended", extended)


def conflict_is_success(patch: pytest.MonkeyPatch) -> None:
    """A leaf that is there already, whatever it says, is taken for this one."""
    original = store.create

    def create(cluster: Cluster, documents: Sequence[tuple[str, bytes]]) -> bool:
        original(cluster, documents)
        return True

    patch.setattr(store, "create", create)


@pytest.mark.parametrize("mutation", [signed_before_stored, journal_is_skipped, conflict_is_success])
def test_a_bug_put_in_on_purpose_is_found(
    mutation: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Led up to, what restores a state ends otherwise than it should."""
    mutation(monkeypatch)
    with pytest.raises(AssertionError):
        led(restored)
