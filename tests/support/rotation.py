"""What becomes of a log besides growing: some content, and what logback, logrotate and gzip do to it."""

import gzip
import os
import shutil
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.unit.conftest import Reader, lines

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


class Followed(RuleBasedStateMachine):
    """The steps of an indexer in a random history."""

    reader: Reader

    @rule(deliver=st.booleans())
    def look(self, *, deliver: bool) -> None:
        """Look at the directory and read."""
        self.reader.look(deliver=deliver)

    @rule(deliver=st.booleans())
    def read(self, *, deliver: bool) -> None:
        """Read the open files."""
        self.reader.read(deliver=deliver)

    @rule(seconds=st.sampled_from([1, 6, 70]))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.reader.now += seconds
