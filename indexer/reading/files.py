"""Which log files the paths, globs and directories name."""

import glob
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from indexer.errors import NoSuchLog
from indexer.settings import STANDARD_INPUT

LOGS_IN_DIRECTORY = "*activity*.log*"


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file as a directory shows it. `size` is in bytes on disk."""

    path: str
    device: int
    inode: int
    size: int
    modified: float
    """Seconds since the epoch."""

    @property
    def key(self) -> tuple[int, int]:
        """Device and inode."""
        return self.device, self.inode

    @property
    def name(self) -> str:
        """The path as text that can be stored and shown, whatever bytes it has."""
        return os.fsencode(self.path).decode(errors="replace")

    @property
    def archive(self) -> bool:
        """It is compressed."""
        return self.path.endswith(".gz")

    @property
    def rotated(self) -> bool:
        """Its name is not that of a log being written: `….log.1`, `….log.2026-01-01`, `….log.1.gz`."""
        return self.archive or ".log." in os.path.basename(self.path)  # noqa: PTH119 - a name, not a path to open


def find(patterns: Iterable[str]) -> list[FileFacts]:
    """All log files that the paths, globs and directories name, each inode once, in the order of their paths."""
    found: dict[tuple[int, int], FileFacts] = {}
    for pattern in patterns:
        for path in sorted(_expand(pattern)):
            facts = look_at(path)
            if facts is not None:
                found.setdefault(facts.key, facts)
    return sorted(found.values(), key=lambda facts: facts.path)


def _expand(pattern: str) -> Iterator[str]:
    if os.path.isdir(pattern):  # noqa: PTH112 - called for each look at the files
        yield from glob.iglob(os.path.join(glob.escape(pattern), LOGS_IN_DIRECTORY))  # noqa: PTH118, PTH207
    elif os.path.lexists(pattern):
        yield pattern
    else:
        yield from glob.iglob(pattern, recursive=True)  # noqa: PTH207 - a pattern may be absolute


def look_at(path: str) -> FileFacts | None:
    """What a path names, if it is a regular file; a symbolic link is followed."""
    try:
        facts = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    if not stat.S_ISREG(facts.st_mode):
        return None
    return FileFacts(path, facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime)


def directory_times(patterns: Iterable[str]) -> list[int]:
    """When each directory last got or lost a name, in nanoseconds; 0 for one that is not there or is a pattern."""
    times: list[int] = []
    for pattern in patterns:
        try:
            status = os.stat(pattern)  # noqa: PTH116
            if not stat.S_ISDIR(status.st_mode):
                status = os.stat(os.path.dirname(pattern) or ".")  # noqa: PTH116, PTH120
            times.append(status.st_mtime_ns)
        except OSError:
            times.append(0)
    return times


def directory_exists(path: str) -> bool:
    """Tell whether the directory is there that a path lies in."""
    return Path(path).parent.is_dir()


def require(patterns: Sequence[str]) -> None:
    """Raise NoSuchLog for the first path that names no log file now."""
    for pattern in patterns:
        if pattern != STANDARD_INPUT and not find([pattern]):
            raise NoSuchLog(path=Path(pattern))
