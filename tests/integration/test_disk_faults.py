"""The disk under the state directory fails, or the clock does: one copy of each entry all the same."""

import errno
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from indexer.writing import checkpoint
from indexer.writing.checkpoint import DAMAGED, NAME
from tests.support.lab import LOG, until
from tests.support.real_faults.disk import SmallDisk, small_disk
from tests.support.real_faults.laboratory import SMALL, FaultyLab, entries, until_read


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk that is soon full."""
    with small_disk(tmp_path / "disk") as disk:
        yield disk


# ---- a disk that fails


def test_a_disk_that_is_full_for_a_while(faulty: FaultyLab, disk: SmallDisk) -> None:
    """Entries are delivered, the reason is reported, and the checkpoint is written once there is room."""
    on_disk = faulty.with_state(disk.root / "state")
    on_disk.append(entries(100))
    with on_disk.following(batch_bytes=SMALL) as following:
        until_read(following, 100)
        disk.fill()
        on_disk.append(entries(900, start=100))
        until_read(following, 1000)
        following.until(lambda: following.heard.of("checkpoint_failed"))
        disk.make_room()
        written = len(following.heard.of("checkpoint_written"))
        on_disk.append(entries(1, start=1000))
        following.until(lambda: len(following.heard.of("checkpoint_written")) > written)
    full = (str(on_disk.state.state_dir), "No space left on device")
    assert set(following.heard.of("checkpoint_failed")) == {full}
    assert on_disk.prove(entries(1001)).duplicates == 0
    assert on_disk.run().totals.read == 0


def test_a_kill_while_the_disk_is_full(faulty: FaultyLab, disk: SmallDisk) -> None:
    """The checkpoint from before still holds: what was delivered since is found, across a rollover too."""
    lines = entries(1000)
    on_disk = faulty.with_state(disk.root / "state")
    on_disk.append(lines[:100])
    with on_disk.process("run", on_disk.logs, stderr=subprocess.DEVNULL) as process:
        until(lambda: on_disk.held().total() == 100 and checkpoint.read(on_disk.state.state_dir))
        disk.fill()
        on_disk.append(lines[100:])
        until(lambda: on_disk.held().total() == 1000)
        process.kill()
        process.wait()
    disk.make_room()
    on_disk.roll_over()
    remembered = on_disk.totals().read
    with on_disk.following(batch_bytes=SMALL) as following:
        until_read(following, 1000 - remembered)
    assert following.heard.totals.duplicates == 1000 - remembered >= 900
    on_disk.prove(lines)


def breakable(
    monkeypatch: pytest.MonkeyPatch, directory: Path, owner: Any, step: str, code: int
) -> threading.Event:
    """Let a step of writing to a directory fail while the event is set that is returned."""
    broken = threading.Event()
    real = getattr(owner, step)

    def fragile(file: Any, *rest: Any, **named: Any) -> Any:
        elsewhere = isinstance(file, str | os.PathLike) and str(directory) not in str(file)
        if broken.is_set() and not elsewhere:
            raise OSError(code, os.strerror(code))
        return real(file, *rest, **named)

    monkeypatch.setattr(owner, step, fragile)
    return broken


@pytest.mark.parametrize(
    ("owner", "step", "code"),
    [
        (os, "open", errno.EROFS),
        (os, "fsync", errno.EIO),
        (os, "fsync", errno.ENOSPC),
        (Path, "replace", errno.EIO),
        (checkpoint, "sync_directory", errno.EIO),
    ],
    ids=["open", "fsync EIO", "fsync ENOSPC", "rename", "fsync of the directory"],
)
def test_whichever_step_of_a_checkpoint_fails(
    faulty: FaultyLab, monkeypatch: pytest.MonkeyPatch, owner: Any, step: str, code: int
) -> None:
    """Stopped before it can be written again, the next run finds an older or a newer one, and one copy of each."""
    lines = entries(500)
    faulty.append(lines[:100])
    broken = breakable(monkeypatch, faulty.state.state_dir, owner, step, code)
    with faulty.following(batch_bytes=SMALL) as following:
        until_read(following, 100)
        following.until(lambda: checkpoint.read(faulty.state.state_dir))
        following.until(lambda: faulty.totals().read == 100)
        broken.set()
        faulty.append(lines[100:])
        until_read(following, 500)
    assert following.heard.of("checkpoint_failed")[-1] == (str(faulty.state.state_dir), os.strerror(code))
    broken.clear()
    faulty.roll_over()
    faulty.run()
    faulty.prove(lines, interrupted=True)


# ---- a checkpoint that is not what was written


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b"",
        lambda data: data[:1],
        lambda data: data[: len(data) // 2],
        lambda data: bytes(len(data)),
    ],
    ids=["empty", "one byte", "half", "zeros"],
)
def test_a_torn_checkpoint(faulty: FaultyLab, spoil: Callable[[bytes], bytes]) -> None:
    """It is renamed and logged; all logs are read again, and all entries are duplicates, in whichever index."""
    lines = entries(1000)
    faulty.append(lines[:600])
    faulty.run()
    faulty.roll_over()
    faulty.append(lines[600:])
    faulty.run()
    path = faulty.state.state_dir / NAME
    torn = spoil(path.read_bytes())
    path.write_bytes(torn)
    done = faulty.command("run", "--once", "--batch-bytes", str(SMALL), faulty.logs)
    assert done.returncode == 0, done.stderr
    assert "all logs are read again" in done.stderr
    assert (faulty.state.state_dir / DAMAGED).read_bytes() == torn
    assert faulty.prove(lines).duplicates == 1000


def test_a_checkpoint_left_half_written_beside_the_old_one(faulty: FaultyLab) -> None:
    """A crash between writing and renaming it leaves the old one in force."""
    lines = entries(100)
    faulty.append(lines)
    faulty.run()
    path = faulty.state.state_dir / NAME
    path.with_name(path.name + ".new").write_bytes(path.read_bytes()[:40])
    assert faulty.run().totals.read == 0
    faulty.prove(lines)


@pytest.mark.parametrize("version", [0, 3, 99, "1"])
def test_a_checkpoint_of_another_version(faulty: FaultyLab, version: object) -> None:
    """The run fails with a sentence, leaves the file as it is, and sends nothing."""
    faulty.append(entries(100))
    faulty.run()
    path = faulty.state.state_dir / NAME
    other = orjson.dumps(orjson.loads(path.read_bytes()) | {"version": version})
    path.write_bytes(other)
    faulty.append(entries(100, start=100))
    done = faulty.command("run", "--once", faulty.logs)
    assert done.returncode == 1
    assert (
        f"its checkpoint.json is of version {version}, and this indexer knows versions 1 and 2" in done.stderr
    )
    assert path.read_bytes() == other
    assert faulty.held().total() == 100


# ---- a clock that is set


@pytest.mark.parametrize("hours", [-1, 1], ids=["back", "forward"])
def test_the_clock_is_set(faulty: FaultyLab, monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
    """While the indexer runs and logs rotate, and again while it is down: one copy of each entry."""
    lines = entries(1500)
    real = time.time
    log = faulty.append(lines[:500])
    with faulty.following(batch_bytes=SMALL) as following:
        until_read(following, 500)
        monkeypatch.setattr(time, "time", lambda: real() + 3600 * hours)
        faulty.append(lines[500:600])
        log.rename(faulty.logs / f"{LOG}.1")
        faulty.append(lines[600:700])
        until_read(following, 700)
    monkeypatch.setattr(time, "time", lambda: real() + 7200 * hours)
    faulty.append(lines[700:800])
    log.rename(faulty.logs / f"{LOG}.2")
    faulty.append(lines[800:])
    with faulty.following(batch_bytes=SMALL) as following:
        until_read(following, 800)
    assert faulty.prove(lines).duplicates == 0
