"""The test of the test: the model finds each kind of bug that it is there for, put into the indexer on purpose.

Most are found by any few histories. What random ones meet too seldom is led up to step by step, and found all the same
by what the model wants of every history.
"""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model import mutations
from tests.model.machine import Machine
from tests.model.mutations import Mutation
from tests.model.stage import Actor, reader_alone
from tests.model.zoomdata import LOG

EXAMPLES = 200
"""Random histories within which a bug has to be found; with seven seeds, none took more than 75 (measured)."""
RANDOM: tuple[Mutation, ...] = (
    mutations.checkpoint_before_acknowledgement,
    mutations.sending_is_not_written_down,
    mutations.nothing_is_asked_before_sending_again,
    mutations.only_the_write_index_is_asked,
    mutations.lost_answer_is_good_news,
    mutations.busy_items_are_dropped,
    mutations.duplicate_counts_as_created,
    mutations.rejected_lines_are_not_kept,
    mutations.truncation_is_not_noticed,
    mutations.inode_is_identity,
    mutations.copy_is_a_file_of_its_own,
    mutations.ids_without_offset,
    mutations.ids_with_inode,
)
History = Callable[[Machine], object]


def named(name: str) -> Callable[[list[Actor]], list[Actor]]:
    """Only this one gets on."""
    return lambda able: [actor for actor in able if actor.name == name]


def follow(machine: Machine) -> None:
    """A log is followed, and remembered so: what is appended from now on was never sent before."""
    machine.start()
    machine.append(LOG, ["entry"])
    machine.catch_up()
    machine.wait(1.5)
    machine.catch_up()


def later_batches_are_answered_first(machine: Machine) -> None:
    """A checkpoint is due while the request with an older one is under way."""
    follow(machine)
    machine.append(LOG, ["longer"] * 4)
    machine.go_on(reader_alone, 20)
    machine.go_on(named("sender-1"), 1)
    for _ in range(3):
        machine.wait(1.5)
        machine.go_on(named("sender-0"), 5)
        machine.go_on(reader_alone, 20)


def stopped_before_the_answer(machine: Machine) -> None:
    """It is asked to end while an answer is under way, and the alias rolls over."""
    follow(machine)
    machine.end_at("answer", killed=False, rollovers=1, again=True)


def killed_before_the_answer(machine: Machine) -> None:
    """The alias rolls over twice before it is started again."""
    follow(machine)
    machine.end_at("answer", killed=True, rollovers=2, again=True)


def rolled_over_after_the_question(machine: Machine) -> None:
    """An answer is lost, and what to send again is asked of the index that is written to until then."""
    follow(machine)
    machine.fail(["lost"])
    machine.append(LOG, ["entry"])
    machine.roll_over_at("told")


def completed_after_its_end(machine: Machine) -> None:
    """The last line of a log that was rotated, and quiet for so long that it counts as final."""
    follow(machine)
    machine.append_half(5, "entry")
    machine.rename(1, "no")
    for _ in range(2):
        machine.catch_up()
        machine.wait(6.0)
    machine.catch_up()
    machine.write_rest(machine.rotated[0])


def two_begin_alike(machine: Machine) -> None:
    """A log is rotated, and the next one has its first line."""
    follow(machine)
    machine.append(LOG, ["entry"])
    machine.rename(1, "alike")


def same_first_line(machine: Machine) -> None:
    """While nobody looks, a log is replaced by one that begins alike."""
    follow(machine)
    machine.write_anew(first=True, died=True)


def same_last_bytes(machine: Machine) -> None:
    """Between two looks, a log is replaced by one that has the same bytes where it was read to."""
    machine.start()
    machine.write_anew(first=False, died=False)


def out_of_sight_for_a_while(machine: Machine) -> None:
    """A rotated log, while another one that begins alike is still there."""
    follow(machine)
    machine.append(LOG, ["entry"])
    machine.rename(1, "alike")
    machine.catch_up()
    machine.take_away_and_back(machine.in_sight[0])


HISTORIES: tuple[tuple[Mutation, History], ...] = (
    (mutations.unterminated_line_is_done_with, completed_after_its_end),
    (mutations.twins_share_their_ids, two_begin_alike),
    (mutations.last_bytes_are_not_compared, same_first_line),
    (mutations.first_line_is_not_compared, same_last_bytes),
    (mutations.acknowledgement_out_of_order, later_batches_are_answered_first),
    (mutations.stop_forgets_what_is_on_its_way, stopped_before_the_answer),
    (mutations.asking_starts_too_late, killed_before_the_answer),
    (mutations.rollover_between_question_and_sending, rolled_over_after_the_question),
    (mutations.vanished_file_is_forgotten_at_once, out_of_sight_for_a_while),
)


def play(history: History) -> None:
    """Let it happen; at its end, all has to be delivered."""
    machine = Machine()
    try:
        history(machine)
    finally:
        machine.teardown()


@pytest.mark.parametrize("mutation", RANDOM, ids=lambda mutation: mutation.__name__)
def test_a_bug_put_in_on_purpose_is_found(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a bounded number of histories there is one that ends otherwise than it should."""
    mutation(monkeypatch)
    histories = settings(
        max_examples=EXAMPLES,
        stateful_step_count=40,
        phases=[Phase.generate],
        derandomize=True,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Machine, settings=histories)


@pytest.mark.parametrize(("mutation", "history"), HISTORIES, ids=lambda part: part.__name__)
def test_a_bug_that_shows_seldom_is_found_where_it_shows(
    mutation: Mutation, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The history ends as it should, and otherwise with the bug."""
    play(history)
    mutation(monkeypatch)
    with pytest.raises(AssertionError):
        play(history)
