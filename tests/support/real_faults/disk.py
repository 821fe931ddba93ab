"""A small disk of our own, that can fill up."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

MOUNT = 'mount -t tmpfs -o size="$2" none "$1" && echo ready && exec cat'


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A tmpfs that is reached by way of /proc."""

    root: Path

    def fill(self) -> None:
        """Leave no room on it."""
        with (self.root / "ballast").open("wb", buffering=0) as file, suppress(OSError):
            while file.write(b"x" * 4096):
                pass

    def make_room(self) -> None:
        """Undo `fill`."""
        (self.root / "ballast").unlink()


@contextmanager
def small_disk(directory: Path, size: str = "256k") -> Iterator[SmallDisk]:
    """Mount one in a namespace that goes with the process that holds it, and that with us; no need to be root."""
    directory.mkdir()
    own_user = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", *own_user, "--mount", "sh", "-c", MOUNT, "sh", str(directory), size]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n", "no file system can be mounted here"
        yield SmallDisk(Path(f"/proc/{holder.pid}/root{directory}"))
        holder.terminate()
