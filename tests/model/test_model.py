"""Any history of logs, cluster and indexers ends with exactly one copy of every line."""

import pytest

from tests.model.history import described, drawn, play, shortest
from tests.model.machine import Machine

STEPS = 60
TOGETHER = 75
"""Histories in one test: enough for two processes to share the work evenly."""


@pytest.mark.parametrize("first", range(0, 600, TOGETHER))
def test_every_history_ends_with_one_copy(first: int) -> None:
    """Of one that does not, the shortest that can be had is shown, with its seed."""
    for seed in range(first, first + TOGETHER):
        history = drawn(Machine, seed, STEPS)
        if play(Machine, history) is not None:
            short = shortest(Machine, history)
            pytest.fail(f"seed {seed}:\n{described(short)}\n{play(Machine, short)}")
