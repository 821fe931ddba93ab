"""When the alias is looked at, and who waits for that: a fake cluster, since a rollover has to come at one exact moment."""

import threading
from typing import Any

from indexer.elastic.alias import backing
from indexer.writing.target import GRACE, Target
from tests.support.fakes import FakeElasticsearch
from tests.support.faults import CarryOut, Request
from tests.support.sending import ONE, TWO


def test_a_look_from_before_the_start_is_not_believed() -> None:
    """Between the caller's look and the first entry may be seconds: others go by the grace period meanwhile."""
    server = FakeElasticsearch()
    behind = backing(server.cluster)
    server.rollover()
    target = Target(server.cluster, behind, None, clock=lambda: 100.0)
    assert target.look().write == TWO
    assert (target.unsettled(), target.settled) == (GRACE, None)


def test_nobody_waits_for_a_look_to_learn_what_is_settled() -> None:
    """The reader asks each time around; a cluster that does not answer must not hold it up."""
    server = FakeElasticsearch()
    target = Target(server.cluster, backing(server.cluster), None)
    learnt: list[object] = []

    def asked_meanwhile(_request: Request, carry_out: CarryOut) -> Any:
        reader = threading.Thread(
            target=lambda: learnt.extend([target.settled, target.unsettled()]), daemon=True
        )
        reader.start()
        reader.join(10)
        return carry_out()

    server.question_step = asked_meanwhile
    target.look()
    assert learnt == [ONE, 0.0]
