"""kill -9 at random points, dozens of times: exactly one copy of each line, and each is sealed."""

import random
import time

from tests.integration.test_follow import writing
from tests.support.lab import LOG, Lab, numbered, until

KILLS = 24


def test_killed_again_and_again_it_indexes_each_line_once(lab: Lab) -> None:
    """A writer appends and rotates, the index rolls over, and the indexer, which seals, never ends in good order."""
    lab = lab.sealing("1s")
    chance = random.Random(20260511)
    lines = numbered(9000)
    with writing(lab.logs / LOG, lines, rotate_at=60_000) as writer:
        for kill in range(KILLS):
            with lab.process("run", lab.logs, "--batch-bytes", "20000", "--poll-interval", "0.01") as process:
                seen = lab.client.count(index=lab.connection.alias)["count"]
                wait_for_progress(lab, seen, give_up=time.monotonic() + 3)
                time.sleep(chance.uniform(0, 0.2))  # where it is killed is what this test varies
                process.kill()
                process.wait()
            if kill % 6 == 5:
                lab.client.indices.rollover(alias=lab.connection.alias)
        writer.join()
    with lab.following() as following:
        following.until(lambda: len(lab.hits()) >= len(lines))
        following.until(lambda: lab.numbers() == list(range(len(lines))))
    # What a killed run delivered without a checkpoint is indexed, and sealed once it is read again.
    lab = lab.sealing("1h")  # so that a checkpoint is not overdue by the time it is verified
    lab.run(lab.logs)
    found = lab.verify()
    assert found.agrees
    assert found.present == len(lines)
    sealed = lab.verify_seals(lab.state.state_dir)
    assert (sealed.problems, sealed.read, sealed.present) == ((), len(lines), len(lines))
    assert sealed.agrees


def wait_for_progress(lab: Lab, seen: int, give_up: float) -> None:
    """Let it deliver something, if there is something left to deliver."""

    def moved() -> bool:
        lab.client.indices.refresh(index=lab.connection.alias)
        return time.monotonic() > give_up or lab.client.count(index=lab.connection.alias)["count"] > seen

    until(moved)
