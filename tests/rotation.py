"""What becomes of a log besides growing: some content, and what logback, logrotate and gzip do to it."""

import gzip
import os
import shutil
from pathlib import Path

from tests.unit.conftest import lines

HALF = b'{"n":"half'
REST = b' and whole"}\n'
FIRST = lines(0, 50)
SECOND = lines(1000, 50)
THIRD = lines(2000, 50)


def rotated(log: Path, number: int = 1) -> Path:
    return log.with_name(f"{log.name}.{number}")


def rename(log: Path) -> Path:
    """Rotate as logback does."""
    return log.rename(rotated(log))


def copy_truncate(log: Path) -> Path:
    """Rotate as logrotate does with copytruncate."""
    copy = Path(shutil.copy(log, rotated(log)))
    os.truncate(log, 0)
    return copy


def compress(path: Path) -> Path:
    """Do what gzip does."""
    archive = path.with_name(path.name + ".gz")
    archive.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    return archive


def replace(path: Path, content: bytes) -> None:
    """Put another file in its place, as sed -i and editors do."""
    other = path.with_name(f".{path.name}.new")
    other.write_bytes(content)
    other.replace(path)
