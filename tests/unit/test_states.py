"""The table of a log file's states."""

import re

import pytest

from indexer.reading import states
from indexer.reading.states import DRAINING, OPEN, TRANSITIONS, FileEvent, FileState, transition

S, E = FileState, FileEvent
RESTING = (S.DONE, S.CLOSED, S.PARKED)

LIVES = {
    "a new log is read to its end": [
        (E.OPENED, S.IDENTIFYING), (E.IDENTIFIED, S.READING), (E.ENDED, S.FINISHING), (E.DELIVERED, S.DONE)
    ],
    "a copy is compared first": [
        (E.OPENED, S.IDENTIFYING), (E.BEGINS_LIKE_KNOWN, S.COMPARING), (E.IDENTIFIED, S.READING)
    ],
    "a quiet log makes room and is read on once it has grown": [
        (E.OPENED, S.IDENTIFYING), (E.IDENTIFIED, S.READING), (E.PARKED, S.PARKED), (E.DUE, S.WAITING)
    ],
    "a log whose turn is over waits for the next one": [
        (E.OPENED, S.IDENTIFYING), (E.IDENTIFIED, S.READING), (E.STOPPED, S.CLOSING), (E.DELIVERED, S.CLOSED),
        (E.DUE, S.WAITING),
    ],
    "a file that cannot be opened is tried again": [(E.STOPPED, S.CLOSED), (E.DUE, S.WAITING)],
    "an empty file that is gone is closed": [(E.OPENED, S.IDENTIFYING), (E.ENDED, S.CLOSED)],
    "a file that no path names is forgotten in time": [(E.LOST, S.MISSING), (E.EXPIRED, S.FORGOTTEN)],
}  # fmt: skip


@pytest.mark.parametrize("life", LIVES.values(), ids=LIVES)
def test_a_file_goes_from_state_to_state(life: list[tuple[FileEvent, FileState]]) -> None:
    """From when it is found."""
    state = S.WAITING
    for event, expected in life:
        state = transition(state, event)
        assert state is expected


@pytest.mark.parametrize("state", S)
def test_only_open_files_can_end_and_only_closed_ones_go_missing(state: FileState) -> None:
    """What the tables of the rest of reading/ rely on."""
    events = {event for known, event in TRANSITIONS if known is state}
    assert (E.ENDED in events) == (state in {S.IDENTIFYING, S.READING})
    assert (E.STOPPED in events) == (state in {*OPEN, S.WAITING})
    assert (E.DELIVERED in events) == (state in DRAINING)
    assert (E.LOST in events) == (state in {*RESTING, S.WAITING})
    assert (E.DUE in events) == (state in RESTING)
    assert bool(events) == (state is not S.FORGOTTEN)


def test_a_file_is_closed_only_after_all_of_it_is_delivered() -> None:
    """No way leads from a state in which lines are sent to one in which they are remembered, but through delivery."""
    for (state, event), to in TRANSITIONS.items():
        if state is S.READING and to in RESTING:
            assert event is E.PARKED, "only a log with nothing in flight is parked"
        if to is S.DONE:
            assert (state, event) == (S.FINISHING, E.DELIVERED)


def test_every_state_and_event_is_used() -> None:
    """None is left over, and each state is reached from the first one."""
    assert {event for _, event in TRANSITIONS} == set(E)
    reached = {S.WAITING}
    while more := {to for (state, _), to in TRANSITIONS.items() if state in reached} - reached:
        reached |= more
    assert reached == set(S)
    assert set(re.findall(r"\b[A-Z]{4,}\b", states.__doc__ or "")) == {state.name for state in S}


def test_what_cannot_happen_is_a_bug() -> None:
    """A file that was not opened cannot end."""
    with pytest.raises(KeyError):
        transition(S.WAITING, E.ENDED)
