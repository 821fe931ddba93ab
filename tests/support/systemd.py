"""A real systemd, as the first process of namespaces of its own; it sees this machine's files through an overlay.

What it writes is gone with it. It shares the network of this machine, so that it reaches the server of the tests.
"""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from indexer.polling import until

SYSTEMD = Path("/lib/systemd/systemd")
PROGRAMS = ("unshare", "nsenter", "pivot_root", "systemctl")
PATIENCE = 30.0
"""Seconds to wait until it has started, or ended."""
BOOT = """
set -eu
mount --make-rprivate /
mount -t tmpfs none "$SCRATCH"
mkdir "$SCRATCH/upper" "$SCRATCH/work" "$ROOT"
mount -t overlay -o "lowerdir=/,upperdir=$SCRATCH/upper,workdir=$SCRATCH/work" none "$ROOT"
mount -t proc none "$ROOT/proc"
mount -t sysfs none "$ROOT/sys"
mount -t cgroup2 none "$ROOT/sys/fs/cgroup"
mount --rbind /dev "$ROOT/dev"
mount -t tmpfs none "$ROOT/run"
mount -t tmpfs none "$ROOT/tmp"
# Nothing of this machine is started.
rm -rf "$ROOT"/etc/systemd/system/* "$ROOT"/usr/lib/systemd/system/*.wants
: > "$ROOT/etc/machine-id"
printf '[Unit]\\nDefaultDependencies=no\\n' > "$ROOT/etc/systemd/system/tried.target"
eval "$PREPARE"
cd "$ROOT"
pivot_root . tmp # in a chroot, PrivateUsers= would not work
umount -l tmp
mount --make-rshared / # as systemd does outside of containers; LoadCredential= needs it
exec env -i container=tried PATH="$PATH" chroot . "$SYSTEMD" --unit=tried.target
"""


@dataclass(frozen=True, slots=True)
class Booted:
    """A systemd that runs."""

    process: int

    def run(self, *command: str | Path, check: bool = True) -> str:
        """Run a command beside it, as root; return what it says."""
        inside = ("nsenter", "--target", str(self.process), "--all")
        ended = subprocess.run([*inside, *command], check=False, capture_output=True, text=True, timeout=60)
        assert not check or ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    def show(self, unit: str, what: str) -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", "--value", f"--property={what}", unit).strip()


def hierarchy() -> Path | None:
    """Where this machine has control groups of version 2."""
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    return next((Path(it[1]) for it in mounts if it[2] == "cgroup2"), None)


@contextlib.contextmanager
def booted(scratch: Path, prepare: Sequence[str]) -> Iterator[Booted]:
    """Start systemd. `prepare` are commands of a shell that change its files before, below "$ROOT".

    Skips the test where there is no systemd, or where it cannot be started.
    """
    groups = hierarchy()
    if os.geteuid() or groups is None or not SYSTEMD.exists() or not all(map(shutil.which, PROGRAMS)):
        pytest.skip("no systemd, no control groups of version 2, or not root; .ci/run installs systemd")
    root, group = scratch / "root", groups / f"indexer-test-{secrets.token_hex(4)}"
    group.mkdir()
    given = {
        "SCRATCH": str(scratch),
        "ROOT": str(root),
        "SYSTEMD": str(SYSTEMD),
        "PREPARE": "\n".join(prepare),
    }
    unshared = ("unshare", "--pid", "--mount", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child")
    enter = f'echo $$ > {group}/cgroup.procs; exec {" ".join(unshared)} sh -c "$BOOT"'
    console = scratch.with_name("console")
    with (
        console.open("wb") as output,
        subprocess.Popen(
            ["sh", "-c", enter],
            env=os.environ | given | {"BOOT": BOOT},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as outer,
    ):
        try:
            yield _started(outer, console)
        finally:
            outer.send_signal(signal.SIGKILL)  # with it the first process, and with that all others
            outer.wait()
            _remove(group)


def _started(outer: subprocess.Popen[bytes], console: Path) -> Booted:
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")

    def runs() -> bool:
        first = children.read_text().split() if outer.poll() is None else []
        system = Booted(int(first[0])) if first else None
        return outer.poll() is not None or (
            system is not None and system.run("systemctl", "is-system-running", check=False) == "running\n"
        )

    assert until(runs, PATIENCE), "systemd does not start"
    if outer.poll() is not None:
        pytest.skip(f"systemd cannot be started here: {console.read_text()}")
    return Booted(int(children.read_text()))


def _remove(group: Path) -> None:
    """Remove a control group and those below it, once their processes are gone."""

    def gone() -> bool:
        for each in (*sorted(group.rglob("*/"), reverse=True), group):
            with contextlib.suppress(OSError):
                each.rmdir()
        return not group.exists()

    assert until(gone, PATIENCE), f"{group} is not empty"
