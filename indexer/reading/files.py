"""Which log files the paths, globs and directories name."""

import fnmatch
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
    modified_ns: int
    """Nanoseconds since the epoch."""

    @property
    def key(self) -> tuple[int, int]:
        """Device and inode."""
        return self.device, self.inode

    @property
    def modified(self) -> float:
        """Seconds since the epoch."""
        return self.modified_ns / 1e9

    @property
    def name(self) -> str:
        """The path as text that can be stored and shown, whatever bytes it has."""
        return os.fsencode(self.path).decode(errors="replace")

    @property
    def archive(self) -> bool:
        """Its name is that of a gzip archive; whether it is one, only its first bytes tell."""
        return self.path.lower().endswith(".gz")

    @property
    def rotated(self) -> bool:
        """Its name is not that of a log being written: `….log.1`, `….log.2026-01-01`, `….log.1.gz`."""
        return self.archive or ".log." in os.path.basename(self.path)  # noqa: PTH119 - a name, not a path to open


@dataclass(frozen=True, slots=True)
class Look:
    """What the paths name now."""

    found: list[FileFacts]
    """All log files, each inode once, in the order of their paths."""
    unreadable: dict[str, str]
    """Directories, and paths in such, that cannot be looked at, with the reason."""

    def hides(self, path: str) -> bool:
        """Tell whether a file may be there that cannot be seen."""
        return path in self.unreadable or os.path.dirname(path) in self.unreadable  # noqa: PTH120


def find(patterns: Iterable[str]) -> Look:
    """Find all log files that the paths, globs and directories name."""
    found: dict[tuple[int, int], FileFacts] = {}
    unreadable: dict[str, str] = {}
    for pattern in patterns:
        for path in sorted(_expand(pattern, unreadable)):
            try:
                facts = look_at(path)
            except OSError as error:
                unreadable[path.rstrip("/")] = error.strerror or str(error)
                continue
            if facts is not None:
                found.setdefault(facts.key, facts)
    return Look(sorted(found.values(), key=lambda facts: facts.path), unreadable)


def _expand(pattern: str, unreadable: dict[str, str]) -> Iterator[str]:
    """The paths that a pattern stands for; a directory that does not let itself be listed goes to `unreadable`."""
    if os.path.isdir(pattern):  # noqa: PTH112 - called for each look at the files
        directory, name = pattern, LOGS_IN_DIRECTORY
    elif os.path.lexists(pattern) or not glob.has_magic(pattern):
        yield pattern
        return
    else:
        directory, name = os.path.split(pattern)
        if glob.has_magic(directory):
            yield from glob.iglob(pattern, recursive=True)  # noqa: PTH207 - a pattern may be absolute
            return
    try:
        names = fnmatch.filter(os.listdir(directory or "."), name)  # noqa: PTH208
    except OSError as error:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            unreadable[directory.rstrip("/")] = error.strerror or str(error)
        return
    hidden = name.startswith(".")
    yield from (os.path.join(directory, found) for found in names if hidden or not found.startswith("."))  # noqa: PTH118


def look_at(path: str) -> FileFacts | None:
    """What a path names, if it is a regular file; a symbolic link is followed. Raises OSError where that is not told."""
    try:
        facts = os.stat(path)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(facts.st_mode):
        return None
    return FileFacts(path, facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns)


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
    """Raise NoSuchLog for the first path that names no log file now; of one that cannot be looked at, nothing is known."""
    for pattern in patterns:
        look = find([pattern])
        if pattern != STANDARD_INPUT and not look.found and not look.unreadable:
            raise NoSuchLog(path=Path(pattern))
