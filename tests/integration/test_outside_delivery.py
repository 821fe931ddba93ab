"""Nothing outside delivery stops delivery: whatever becomes of standard error, standard output and the terminal."""

import errno
import fcntl
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from indexer.events import Events
from tests.support.lab import Lab, numbered, until

How = Mapping[str, Any]
SOON = 10.0


@contextmanager
def on_a_full_disk() -> Iterator[How]:
    """`2>/dev/full`."""
    with Path("/dev/full").open("wb") as full:
        yield {"stderr": full}


@contextmanager
def closed() -> Iterator[How]:
    """`2>&-`."""
    yield {"stderr": subprocess.DEVNULL, "preexec_fn": lambda: os.close(2)}


@contextmanager
def all_closed() -> Iterator[How]:
    """`<&- >&- 2>&-`."""
    yield {"preexec_fn": lambda: os.closerange(0, 3)}


@contextmanager
def without_a_reader() -> Iterator[How]:
    """`2> >(true)`: the reader is dead from the start."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        yield {"stderr": writing}
    finally:
        os.close(writing)


@contextmanager
def with_a_reader_that_does_not_read(*, blocking: bool = True) -> Iterator[How]:
    """`2>&1 | less`, or a journald that is stopped: the pipe is full, and stays so."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writing, bytes(4096))
    os.set_blocking(writing, blocking)
    try:
        yield {"stderr": writing}
    finally:
        os.close(writing)
        os.close(reading)


def non_blocking() -> Any:
    """The same with O_NONBLOCK, which whoever shares the pipe may set."""
    return with_a_reader_that_does_not_read(blocking=False)


BROKEN = [
    on_a_full_disk,
    closed,
    all_closed,
    without_a_reader,
    with_a_reader_that_does_not_read,
    non_blocking,
]
broken = pytest.mark.parametrize("broken", BROKEN, ids=lambda each: each.__name__)


def stopped(process: subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(SOON)


@broken
def test_delivery_continues_without_standard_error(lab: Lab, broken: Callable[[], Any]) -> None:
    """Each batch, file and rejected line is logged in vain; the run delivers, and ends in order."""
    lab.append(numbered(10))
    with (
        broken() as how,
        lab.process("run", "--log-level", "debug", "--batch-bytes", "400", lab.logs, **how) as process,
    ):
        until(lambda: lab.numbers() == list(range(10)))
        lab.append([*numbered(40, start=10), b"no entry"])
        lab.append(numbered(10, start=50), "query-engine-activity.log")
        until(lambda: lab.numbers() == list(range(60)))
        assert stopped(process) == 0
    assert lab.rejected().total == 1


@broken
def test_a_run_that_ends_does_its_work_without_standard_error(lab: Lab, broken: Callable[[], Any]) -> None:
    """And the exit code is that of its work."""
    lab.append([*numbered(10), b"no entry"])
    with broken() as how, lab.process("run", "--once", lab.logs, **how) as process:
        assert process.wait(SOON) == 3
    assert lab.numbers() == list(range(10))


@broken
def test_failures_keep_their_exit_code_without_standard_error(lab: Lab, broken: Callable[[], Any]) -> None:
    """The sentence is lost, the exit code is not."""
    with broken() as how:
        for code, arguments in ((1, ["run", "--once", lab.logs / "none"]), (2, ["run", "--no-such-option"])):
            with lab.process(*arguments, **how) as process:
                assert process.wait(SOON) == code


def test_a_reader_of_standard_error_that_dies(lab: Lab) -> None:
    """`| tee` is killed while the indexer runs."""
    lab.append(numbered(10))
    reading, writing = os.pipe()
    with lab.process("run", "--log-level", "debug", lab.logs, stderr=writing) as process:
        os.close(writing)
        until(lambda: b"batch delivered" in os.read(reading, 65536))
        os.close(reading)
        lab.append(numbered(10, start=10))
        until(lambda: lab.numbers() == list(range(20)))
        assert stopped(process) == 0


def test_standard_error_that_comes_back_is_written_again(lab: Lab, tmp_path: Path) -> None:
    """A disk that was full for a while: whole lines from then on."""
    said = tmp_path / "said"
    os.mkfifo(said)
    both = os.open(said, os.O_RDWR)
    os.set_blocking(both, False)
    with (
        contextmanager(_filled)(both),
        lab.process("run", "--log-level", "debug", lab.logs, stderr=both) as process,
    ):
        lab.append(numbered(10))
        until(lambda: lab.numbers() == list(range(10)))
        os.read(both, 1 << 20)
        lab.append(numbered(10, start=10))
        until(lambda: lab.numbers() == list(range(20)))
        assert stopped(process) == 0
    lines = os.read(both, 1 << 20).splitlines()
    os.close(both)
    assert b"stopped" in lines[-1]
    assert all(line.startswith(b"{") and line.endswith(b"}") for line in lines)


def _filled(pipe: int) -> Iterator[None]:
    fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4096)
    os.write(pipe, bytes(4096))
    yield


@pytest.mark.parametrize("arguments", [["verify"], ["verify", "--json"], ["run", "--once"], ["status"]])
def test_a_full_standard_output_is_one_sentence(lab: Lab, arguments: list[str]) -> None:
    """Whoever asked for an answer has none: exit code 1, not a success, not a traceback, not Python's 120."""
    lab.append(numbered(10))
    lab.run()
    with Path("/dev/full").open("wb") as full:
        done = lab.command(*arguments, lab.logs, stdout=full)
    said = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert (done.returncode, said) == (
        1,
        [
            "indexer: Cannot write to standard output: No space left on device. Send its output somewhere else."
        ],
    )


def test_a_full_standard_output_and_a_full_standard_error(lab: Lab) -> None:
    """The exit code still tells."""
    lab.append(numbered(10))
    with Path("/dev/full").open("wb") as full:
        assert lab.command("verify", lab.logs, stdout=full, stderr=full).returncode == 1
        assert lab.command("run", "--once", lab.logs, stdout=full, stderr=full).returncode == 1
    assert lab.numbers() == list(range(10))


class Broken(Events):
    """A listener that fails at everything."""

    def __init__(self) -> None:
        for name in vars(Events):
            if not name.startswith("_"):
                setattr(self, name, self._fail)

    def _fail(self, *_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_listener_that_fails_stops_nothing(lab: Lab) -> None:
    """Not the reader, not the senders, not the rejected lines, not the end."""
    lab.append([*numbered(100), b"no entry"])
    with lab.following(lab.logs, listeners=[Broken()], batch_bytes=1000) as following:
        following.until_created(100)
    assert following.report is not None
    assert (following.report.totals.read, following.report.totals.rejected) == (101, 1)
    assert lab.numbers() == list(range(100))
    assert following.heard.of("checkpoint_failed") == following.heard.of("delivery_failed") == []
    reason = "OSError: [Errno 28] No space left on device"
    assert set(following.heard.of("listener_failed")) == {("Broken", reason)}


@pytest.mark.parametrize("handled", [signal.SIG_IGN, signal.SIG_DFL])
def test_a_hangup_is_ignored_if_it_was_before(lab: Lab, handled: signal.Handlers) -> None:
    """As `nohup` asks; without it the terminal that closes ends the indexer, in order."""
    lab.append(numbered(10))
    hangup = lambda: signal.signal(signal.SIGHUP, handled)  # noqa: E731 - as a parent leaves it
    with lab.process("run", lab.logs, preexec_fn=hangup) as process:
        until(lambda: lab.numbers() == list(range(10)))
        process.send_signal(signal.SIGHUP)
        if handled is signal.SIG_DFL:
            assert process.wait(SOON) == 0
            return
        lab.append(numbered(10, start=10))
        until(lambda: lab.numbers() == list(range(20)))
        assert stopped(process) == 0
