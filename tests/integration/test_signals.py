"""A signal ends the indexer, during an outage too: soon, in good order, and the next run finds one copy of each entry."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.lab import until
from tests.support.real_faults.actions import lost, reset, silent, status
from tests.support.real_faults.laboratory import SMALL, FaultyLab, entries
from tests.support.real_faults.proxy import Action, carried_out

SOON = 10.0
"""Seconds within which a stop has to end the process."""


def ended(process: subprocess.Popen[str], number: signal.Signals) -> float:
    """Send a signal and wait for the end; return how many seconds that took."""
    started = time.monotonic()
    process.send_signal(number)
    process.communicate(timeout=60)
    return time.monotonic() - started


def prove_after_another_run(faulty: FaultyLab, lines: list[bytes]) -> None:
    """All faults over and the indices rolled over, the next run sends what was not delivered, once."""
    faulty.proxy.all(carried_out)
    faulty.roll_over()
    faulty.run()
    faulty.prove(lines, interrupted=True)


@contextmanager
def running(faulty: FaultyLab, lines: list[bytes], *outage: Action) -> Iterator[subprocess.Popen[str]]:
    """The real command, following a log that has grown since it was found; two requests have met the outage."""
    faulty.append(lines[:100])
    with faulty.process("run", "--batch-bytes", str(SMALL), faulty.logs) as process:
        until(lambda: faulty.held().total() == 100)
        faulty.proxy.plan(carried_out, *outage)
        faulty.append(lines[100:])
        until(lambda: faulty.proxy.done)
        yield process


@pytest.mark.parametrize(
    ("outage", "soon"),
    [(reset, SOON / 2), (status(503), SOON / 2), (silent, SOON), (lost(silently=True), SOON)],
    ids=["down", "unwell", "not a word", "not a word on what is done"],
)
def test_a_stop_during_an_outage(faulty: FaultyLab, outage: Action, soon: float) -> None:
    """However the server fails, the process ends in time, and nothing is lost or doubled."""
    lines = entries(1000)
    with running(faulty, lines, outage, outage) as process:
        faulty.proxy.all(outage)
        seconds = ended(process, signal.SIGTERM)
    assert seconds < soon
    assert process.returncode == 0
    prove_after_another_run(faulty, lines)


def test_a_stop_of_a_run_that_was_to_end(faulty: FaultyLab) -> None:
    """With --once the exit code says that not all is done."""
    lines = entries(1000)
    faulty.append(lines)
    faulty.proxy.plan(carried_out, lost(), lost())
    with faulty.process("run", "--once", "--batch-bytes", str(SMALL), faulty.logs) as process:
        until(lambda: faulty.proxy.done)
        faulty.proxy.all(reset)
        seconds = ended(process, signal.SIGTERM)
    assert seconds < SOON / 2
    assert process.returncode == 1
    prove_after_another_run(faulty, lines)


def test_a_stop_before_the_server_ever_answered(faulty: FaultyLab) -> None:
    """A server that accepts connections and never answers does not delay the end, with the default timeout."""
    lines = entries(10)
    faulty.append(lines)
    faulty.proxy.all(silent)
    with faulty.process("run", faulty.logs) as process:
        until(lambda: faulty.proxy.requests)
        seconds = ended(process, signal.SIGTERM)
    assert seconds < SOON
    assert process.returncode == 0
    prove_after_another_run(faulty, lines)


def test_a_second_interrupt_ends_it_at_once(faulty: FaultyLab) -> None:
    """It does not wait for requests in flight; the next run finds out what became of them."""
    lines = entries(1000)
    with running(faulty, lines, lost(silently=True), lost(silently=True)) as process:

        def interrupted() -> bool:
            process.send_signal(signal.SIGINT)  # again and again: two at once might arrive as one
            return process.poll() is not None

        started = time.monotonic()
        until(interrupted)
        seconds = time.monotonic() - started
    assert process.returncode == 128 + signal.SIGINT
    assert seconds < SOON / 2  # the first one alone leaves requests under way 8 s
    prove_after_another_run(faulty, lines)


def test_a_hangup_ends_it_in_good_order(faulty: FaultyLab) -> None:
    """What was read is delivered and remembered: a terminal that closes is no crash."""
    lines = entries(1000)
    with running(faulty, lines, carried_out) as process:
        seconds = ended(process, signal.SIGHUP)
    assert seconds < SOON / 2
    assert process.returncode == 0
    assert faulty.totals().read == faulty.held().total()
    prove_after_another_run(faulty, lines)
