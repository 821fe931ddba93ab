"""One copy of each entry, whoever sent it, when, and from which copy of its log.

The cases are those of real people (rewritten, shrunk and restored logs, a second sender and a rollover, a lost state).
"""

import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from indexer.settings import State
from indexer.writing.target import LOOK_EVERY
from tests.support.lab import PATIENCE, Lab, joined, numbered, until
from tests.support.real_faults.laboratory import behind_proxy, entries
from tests.support.real_faults.proxy import Answer, CarryOut, Request, Silence


def copies(lab: Lab) -> Counter[int]:
    """How many documents there are of each numbered entry."""
    return Counter(lab.numbers())


def once(numbers: range) -> Counter[int]:
    """Each of them once."""
    return Counter(numbers)


def shrink(log: Path) -> None:
    """`truncate -s -1`: the last line has no end any more."""
    os.truncate(log, log.stat().st_size - 1)


def edit_last_line(log: Path) -> None:
    """`sed -i '$ s/VIS/viz/'`: another inode."""
    subprocess.run(["sed", "-i", "$ s/VIS/viz/", log], check=True)


def put_a_copy_in_its_place(log: Path) -> None:
    """As an editor does."""
    shutil.copy(log, log.with_name("copy"))
    log.with_name("copy").replace(log)


def write_it_again(log: Path) -> None:
    """Its own bytes, into the same file."""
    log.write_bytes(log.read_bytes())


@pytest.mark.parametrize(
    ("change", "more"),
    [(shrink, 0), (edit_last_line, 1), (put_a_copy_in_its_place, 0), (write_it_again, 0)],
)
@pytest.mark.parametrize("rollover", [False, True])
def test_a_log_that_is_changed_while_it_is_followed(
    lab: Lab, change: Callable[[Path], None], more: int, *, rollover: bool
) -> None:
    """Bytes at the same place keep their ids: what is new is sent, and nothing twice (C1)."""
    log = lab.log(joined(numbered(100)))
    with lab.following() as follower:
        follower.until_created(100)
        if rollover:
            lab.client.indices.rollover(alias=lab.connection.alias)
        change(log)
        if change is not write_it_again:  # there is nothing to be seen of that, unless one looks in between
            follower.until(lambda: len(follower.heard.of("file_found")) > 1)
        with log.open("ab") as file:
            file.write(b"\n" * (change is shrink) + joined(numbered(50, 100)))
        follower.until_created(150 + more)
    assert copies(lab) == once(range(150)) + Counter({99: more})
    found = lab.verify()
    assert (found.agrees, found.present, found.doubled) == (True, 150, 0)


def test_lines_that_verify_sent_before_a_rollover(lab: Lab) -> None:
    """C2: `run --once`, more lines, `verify --repair`, a rollover, `run --once`."""
    lab.log(joined(numbered(100)))
    lab.run()
    lab.append(numbered(100, 100))
    assert lab.verify(repair=True).repaired == 100
    lab.client.indices.rollover(alias=lab.connection.alias)
    assert lab.run().totals.duplicates == 100
    assert copies(lab) == once(range(200))


def test_a_follower_that_was_stopped_meanwhile(lab: Lab) -> None:
    """C2b: the process stands still (SIGSTOP) while another one sends its lines and the alias rolls over."""
    lab.log(joined(numbered(100)))
    with lab.process("run", lab.logs) as follower:
        until(lambda: len(lab.hits()) == 100)
        follower.send_signal(signal.SIGSTOP)
        lab.append(numbered(100, 100))
        assert lab.verify(repair=True).repaired == 100
        lab.client.indices.rollover(alias=lab.connection.alias)
        follower.send_signal(signal.SIGCONT)
        lab.append(numbered(50, 200))
        until(lambda: len(lab.hits()) == 250)
        follower.terminate()
        assert follower.wait(PATIENCE) == 0
    assert copies(lab) == once(range(250))


def test_a_lost_state_and_logs_that_begin_with_the_same_line(lab: Lab, tmp_path: Path) -> None:
    """C2c: whatever the order in which they are found."""
    lines = numbered(60)
    lab.log(joined(lines[:30]), "a-activity.log")
    lab.log(joined([lines[0], *lines[30:]]), "b-activity.log")
    lab.run()
    lab.client.indices.rollover(alias=lab.connection.alias)
    (lab.logs / "a-activity.log").rename(lab.logs / "c-activity.log")
    anew = Lab(lab.connection, lab.client, lab.logs, State(tmp_path / "another state"))
    anew.run()
    assert copies(lab) == once(range(60))
    assert anew.verify().agrees


def test_a_request_that_is_carried_out_late(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """C2d: the client has given it up, the alias has rolled over, and only then does the server take it."""
    late, carried = Event(), Event()

    def when_it_is_late(request: Request, carry_out: CarryOut) -> Answer:
        late.wait(30)
        carry_out(request)
        carried.set()
        raise Silence

    with behind_proxy(lab, monkeypatch, request_timeout=1.0) as faulty:
        faulty.append(entries(10))
        with faulty.following() as follower:
            follower.until(lambda: follower.heard.totals.read == 10)
            faulty.proxy.plan(when_it_is_late, when_it_is_late)
            faulty.append(entries(50, start=10))
            follower.until(lambda: follower.heard.of("delivery_failed"))
            faulty.roll_over()
            time.sleep(2 * LOOK_EVERY)
            late.set()
            carried.wait(30)
            follower.until(lambda: follower.heard.totals.read == 60)
        faulty.prove(entries(60), interrupted=True)
