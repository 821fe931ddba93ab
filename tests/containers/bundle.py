"""Makes one archive of the indexer and all that it needs, to install without a network: `make bundle`.

It is for Linux with glibc 2.28 or later, this kind of machine, and each Python that is supported. The packages are those of
the image's lock file. Before the archive is kept, it is installed with this Python, and resolved for the others.
"""

import hashlib
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

import indexer
from tests.containers.wheels import REPOSITORY, download

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
OWN = f"{sys.version_info.major}.{sys.version_info.minor}"
NAME = f"zoomdata-indexer-{indexer.__version__}"
WHAT = "zoomdata-indexer[seal]"
LOCK = REPOSITORY / "compose" / "requirements.txt"
UNIT = REPOSITORY / "compose" / "zoomdata-indexer.service"
UV = Path(sys.executable).with_name("uv")


def make(directory: Path, pythons: Sequence[str] = PYTHONS) -> Path:
    """Make the archive in a directory; return its path."""
    archive = directory / f"{NAME}-linux-{platform.machine()}.tar.gz"
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory) as temporary:
        tree = Path(temporary) / NAME
        tree.mkdir()
        for python in pythons:
            download(tree, python, LOCK)
        pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps")
        subprocess.run([*pip, "--wheel-dir", tree, REPOSITORY], check=True)
        (tree / UNIT.name).write_bytes(UNIT.read_bytes())
        unfinished = Path(temporary) / archive.name
        with tarfile.open(unfinished, "w:gz") as packed:
            packed.add(tree, NAME, filter=_anonymous)
        _check(unfinished, Path(temporary) / "checked", pythons)
        unfinished.replace(archive)
    return archive


def _check(archive: Path, home: Path, pythons: Sequence[str]) -> None:
    """Install it as compose/README.md says, in a new virtual environment."""
    with tarfile.open(archive) as packed:
        packed.extractall(home, filter="data")
    alone = ("--no-index", "--find-links", home / NAME, WHAT)
    _run(sys.executable, "-m", "venv", home / "venv")
    _run(home / "venv" / "bin" / "pip", "install", "--quiet", *alone)
    said = subprocess.check_output([home / "venv" / "bin" / "indexer", "--version"], text=True)
    if said.split() != ["indexer", indexer.__version__]:
        raise SystemExit(f"What was installed says: {said}")
    for python in pythons:
        where = ("--python-version", python, "--target", home / python)
        _run(UV, "pip", "install", "--quiet", "--dry-run", *where, *alone)


def _run(*command: str | Path) -> None:
    """Run a command for which the archive has to be enough, whatever pip is set up with here."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    subprocess.run(command, check=True, env=environment | {"PIP_CONFIG_FILE": os.devnull})


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without the names and rights of who made it."""
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mode = 0o755 if member.isdir() else 0o644
    return member


if __name__ == "__main__":
    made = make(REPOSITORY / "dist")
    checksum = hashlib.sha256(made.read_bytes()).hexdigest()
    print(f"{checksum}  {made.relative_to(REPOSITORY)}  {made.stat().st_size / 1e6:.1f} MB")
