"""An indexer that follows the logs of foreign programs, and what must hold afterwards.

Only the index is examined in the end, not how the indexer recognises files.
"""

import contextlib
import gzip
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from indexer.writing.checkpoint import in_use
from tests.support.lab import PATIENCE, Lab, held, until

SEED = 20260511
KILLS = 4


class Writer:
    """A program that writes entries as far as it is allowed to, and records them. A context manager.

    Each number on its standard input allows the entries before it; the end of the input ends it in good order.
    """

    def __init__(self, command: Sequence[Path | str], record: Path) -> None:
        self._command = command
        self._record = record

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._process.kill()
        _, said = self._process.communicate(timeout=PATIENCE)
        assert kind is not None or self._process.returncode == 0, said

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def allow(self, last: int) -> None:
        """Let it write the entries before this one."""
        assert self._process.stdin is not None
        assert self._process.poll() is None, "the writer has ended"
        self._process.stdin.write(f"{last}\n")
        self._process.stdin.flush()

    @property
    def written(self) -> list[bytes]:
        """What it has written so far."""
        return self._record.read_bytes().splitlines() if self._record.exists() else []


@dataclass(frozen=True, slots=True)
class Course:
    """What happens while the writers write."""

    count: int
    """Entries of each writer."""
    ahead: int
    """How many entries at most are not indexed yet, so that the writer deletes no file that is not read."""
    kills: int
    """How often the indexer is killed and started again."""
    meanwhile: Callable[[], None] = lambda: None
    """Called repeatedly while there is something to write."""
    may_lose: bool = False
    """Whether entries that no file holds any more may be missing."""


def follow(lab: Lab, writers: Sequence[Writer], course: Course) -> None:
    """Follow what the writers write, below the laboratory's directory of logs, to its end.

    The alias rolls over twice: an entry that is sent again is not refused for its id alone. At the end each entry is in the index once, with its bytes; a look at all that lies there adds nothing, and
    `indexer verify` finds each line.
    """
    chance = random.Random(SEED)
    rollovers = [course.count // 3, course.count * 2 // 3]

    def go_on() -> bool:
        """Let the writers write on; tell whether they have more to write."""
        course.meanwhile()
        least = indexed(lab) // len(writers)
        for writer in writers:
            writer.allow(min(course.count, least + course.ahead))
        if rollovers and least >= rollovers[0]:
            lab.client.indices.rollover(alias=lab.connection.alias)
            del rollovers[0]
        return any(len(writer.written) < course.count for writer in writers)

    def go_on_for(seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while go_on() and time.monotonic() < deadline:
            time.sleep(0.05)

    with contextlib.ExitStack() as stack:
        for writer in writers:
            stack.enter_context(writer)
        for _ in range(course.kills):
            with running(lab) as process:
                before, backoff = indexed(lab), time.monotonic() + 3
                while go_on() and indexed(lab) == before and time.monotonic() < backoff:
                    time.sleep(0.05)
                go_on_for(chance.uniform(0, 0.5))  # varies where it is killed
                process.kill()
                process.wait()
            go_on_for(chance.uniform(0, 0.5))
        with running(lab) as process:
            until(lambda: in_use(lab.state.state_dir))  # before, a signal ends Python, not the indexer
            while go_on():
                assert process.poll() is None
                time.sleep(0.05)
            stack.close()  # the writers end: what they compress is compressed
            written = Counter(line for writer in writers for line in writer.written)
            expected = written & on_disk(lab.logs) if course.may_lose else written
            backoff = time.monotonic() + PATIENCE
            while (
                process.poll() is None and time.monotonic() < backoff and not held(lab.connection) >= expected
            ):
                time.sleep(0.1)
            process.terminate()
            assert process.wait(PATIENCE) == 0
    found = held(lab.connection)
    assert not expected - found, f"missing: {some(expected - found)}"
    assert not found - written, f"doubled, or never written: {some(found - written)}"
    once = lab.command("run", "--once", *directories(lab))
    assert once.returncode == 0, once.stdout + once.stderr
    assert not held(lab.connection) - found, f"doubled by run --once: {some(held(lab.connection) - found)}"
    verified = lab.command("verify", *directories(lab))
    assert verified.returncode == 0, verified.stdout + verified.stderr


@contextlib.contextmanager
def running(lab: Lab) -> Iterator["subprocess.Popen[str]"]:
    """`indexer run` as a process; what it logs is in the test's directory."""
    with (
        (lab.logs.parent / "indexer.log").open("a") as log,
        lab.process("run", *directories(lab), "--poll-interval", "0.05", stderr=log) as process,
    ):
        yield process


def directories(lab: Lab) -> list[Path]:
    """Where the writers write, one directory each or one for all."""
    return [path for path in sorted(lab.logs.iterdir()) if path.is_dir()] or [lab.logs]


def indexed(lab: Lab) -> int:
    """How many entries the alias holds."""
    lab.client.indices.refresh(index=lab.connection.alias)
    return int(lab.client.count(index=lab.connection.alias)["count"])


def on_disk(directory: Path) -> Counter[bytes]:
    """The lines that lie in the files below a directory, once each."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    contents = [(gzip.open if path.suffix == ".gz" else open)(path, "rb") for path in files]
    lines: set[bytes] = set()
    for content in contents:
        with content:
            lines.update(line for line in content.read().split(b"\n")[:-1])
    return Counter(lines)


def some(lines: Counter[bytes]) -> str:
    """How many these are, and which."""
    return f"{lines.total()}: {sorted(lines)[:3]}"
