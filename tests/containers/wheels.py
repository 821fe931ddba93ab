"""Fetches the image's packages, for builds without a network: `python tests/containers/wheels.py 3.13`.

The Python is that of the image's base. pip takes the wheels from wherever it is set up to take them.
"""

import platform
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
WHEELS = REPOSITORY / "build" / "wheels"
"""Where compose/Dockerfile looks for them."""
LOCKS = (REPOSITORY / "compose/requirements.txt", REPOSITORY / "compose/build-requirements.txt")


def fetch(python: str) -> None:
    """Fetch the locked packages for a Python such as 3.13; those of another one or of older locks are thrown away."""
    made_for = WHEELS / "made-for"
    wanted = python + "".join(lock.read_text() for lock in LOCKS)
    if made_for.exists() and made_for.read_text() == wanted:
        return
    shutil.rmtree(WHEELS, ignore_errors=True)
    WHEELS.mkdir(parents=True)
    download(WHEELS, python, *LOCKS)
    made_for.write_text(wanted)


def download(directory: Path, python: str, *locks: Path) -> None:
    """Download the wheels of lock files for a Python of this kind of machine; each must have one of the locked checksums."""
    machine = platform.machine()
    where = ("--platform", f"manylinux_2_28_{machine}", "--platform", f"manylinux2014_{machine}")
    what = [option for lock in locks for option in ("--requirement", lock)]
    how = ("--require-hashes", "--no-deps", "--only-binary", ":all:", "--python-version", python, *where)
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--dest", directory, *how, *what], check=True
    )


if __name__ == "__main__":
    fetch(sys.argv[1])
