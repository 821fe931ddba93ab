"""Which log files the paths, globs and directories name, and which of these may be read.

The log directory may be writable by other users. A symbolic link is followed only within the directories given, unless
`--follow-symlinks` allows all. Files of the system, secrets and the state directory are never read, under any name. A
path is resolved here, once; `sources.open_log` opens the resolved path and follows no link.
"""

import fnmatch
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from indexer.errors import NoSuchLog
from indexer.reading.globbing import (
    LOGS_IN_DIRECTORY,
    as_text,
    directory_before_magic,
    exists,
    expand,
    is_directory,
    note_unreadable,
)

STANDARD_INPUT = "-"
"""The path that stands for it."""
SYSTEM = ("/proc", "/sys", "/dev")
"""Nothing there is a log, except in `/dev/shm`."""
MEMORY = "/dev/shm"  # noqa: S108 - only compared
NEVER = "it is a file of the system, a secret or part of the state directory, and is never read as a log"
OUTSIDE = "it is a link to {real}, outside the directories given: give that as a PATH, or --follow-symlinks"


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What `stat` says of a file. `size` is in bytes on disk."""

    path: str
    device: int
    inode: int
    size: int
    modified_ns: int
    """Nanoseconds since the epoch."""
    real: str = ""
    """The path without any symbolic link; empty if it was not resolved."""

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
        return as_text(self.path)

    @property
    def archive(self) -> bool:
        """Its name ends in .gz; whether it is compressed, its first bytes decide."""
        return self.path.lower().endswith(".gz")

    @property
    def rotated(self) -> bool:
        """Its name is that of a rotated log: `….log.1`, `….log.2026-01-01`, `….log.1.gz`."""
        return self.archive or ".log." in os.path.basename(self.path)  # noqa: PTH119 - a name, not a path to open


@dataclass(frozen=True, slots=True)
class Look:
    """What the paths name now."""

    found: list[FileFacts]
    """All log files, each inode once, in the order of their paths."""
    unreadable: dict[str, str]
    """Printable paths of directories and files that cannot or must not be read, with the reason."""

    def hides(self, name: str) -> bool:
        """Tell whether a file may exist that cannot be seen. `name` is a printable path."""
        return bool(self.unreadable) and any(path in self.unreadable for path in _above(name))


def _above(path: str) -> Iterator[str]:
    """Yield a path and each directory above it."""
    while True:
        yield path
        upper = os.path.dirname(path)  # noqa: PTH120
        if upper == path:
            return
        path = upper


@dataclass(frozen=True, slots=True)
class Scope:
    """Which of the files that paths name may be read."""

    follow_symlinks: bool = False
    """Follow links out of the directories given."""
    state: Path | None = None
    """The state directory."""
    secrets: Sequence[Path] = ()
    """The files of the secrets in use."""
    links: frozenset[str] = frozenset()
    """Paths that were links to files when the operator gave them."""
    given: Sequence[str] = ()
    """All paths that the operator gave: links may lead to any directory among them."""

    @classmethod
    def of(
        cls, paths: Sequence[str], *, follow_symlinks: bool, state: Path, secrets: Sequence[Path]
    ) -> "Scope":
        """The scope of the paths that an operator gives: links among them are trusted."""
        links = frozenset(path for path in paths if os.path.islink(path))  # noqa: PTH114
        return cls(follow_symlinks, state, secrets, links, paths)


DEFAULT_SCOPE = Scope()


def find(patterns: Iterable[str], scope: Scope = DEFAULT_SCOPE) -> Look:
    """Find all log files that the paths, globs and directories name."""
    patterns = list(patterns)
    guard = _Guard(patterns, scope)
    found: dict[tuple[int, int], FileFacts] = {}
    unreadable: dict[str, str] = {}
    for pattern in patterns:
        try:
            root, paths = _root(pattern, scope), sorted(expand(pattern, unreadable))
        except OSError as error:
            note_unreadable(directory_before_magic(pattern) or ".", error, unreadable)
            continue
        for path in paths:
            try:
                facts = guard.look_at(path, root)
            except OSError as error:
                note_unreadable(path, error, unreadable)
                continue
            if facts is not None:
                found.setdefault(facts.key, facts)
    return Look(sorted(found.values(), key=lambda facts: facts.path), unreadable)


class _Guard:
    """Resolves paths and refuses what must not be read. Caches for one scan."""

    def __init__(self, patterns: Sequence[str], scope: Scope) -> None:
        self._anywhere = scope.follow_symlinks
        given = {*patterns, *scope.given}
        self._given = {os.path.realpath(path) for path in given if os.path.isdir(path)}  # noqa: PTH112
        self._secrets = {key for path in scope.secrets if (key := _key(path))}
        self._systems = _devices(SYSTEM) - _devices(["/", MEMORY])
        state = "" if scope.state is None else os.path.realpath(scope.state)
        self._state = (state, f"{state}/rejected") if state else ()
        self._linked_state: set[tuple[int, int]] | None = None
        self._directories: dict[str, str] = {}

    def look_at(self, path: str, root: str) -> FileFacts | None:
        """Return what a path names, or None if it is no regular file.

        Raises OSError if that cannot be found out, or with the reason if the file must not be read.
        """
        directory, name = os.path.split(path)
        if directory not in self._directories:
            self._directories[directory] = os.path.realpath(directory)
        real = os.path.join(self._directories[directory], name)  # noqa: PTH118
        try:
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                real, status = os.path.realpath(path), os.stat(path)  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        if self._never(real, status):
            raise OSError(0, NEVER)
        if not self._anywhere and not any(_within(real, given) for given in (root, *self._given)):
            raise OSError(0, OUTSIDE.format(real=as_text(real)))
        return _facts(path, status, real)

    def _never(self, real: str, status: os.stat_result) -> bool:
        key = status.st_dev, status.st_ino
        return (
            key in self._secrets
            or status.st_dev in self._systems
            or (any(_within(real, system) for system in SYSTEM) and not _within(real, MEMORY))
            or self._is_state(real)
            or (status.st_nlink > 1 and key in self._files_of_state())
        )

    def _files_of_state(self) -> set[tuple[int, int]]:
        """The files of the state directory, which a hard link might lead to."""
        if self._linked_state is None:
            self._linked_state = set()
            for directory in self._state:
                with suppress(OSError), os.scandir(directory) as entries:
                    ours = (Path(entry.path) for entry in entries if self._is_state(entry.path))
                    self._linked_state |= {key for path in ours if (key := _key(path))}
        return self._linked_state

    def _is_state(self, real: str) -> bool:
        """Tell files of the state from logs in the same directory."""
        directory, name = os.path.split(real)
        return directory in self._state[1:] or (
            directory in self._state and not fnmatch.fnmatch(name, LOGS_IN_DIRECTORY)
        )


def _within(path: str, directory: str) -> bool:
    """Tell whether a resolved path is the directory or in it."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def _key(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _devices(paths: Iterable[str]) -> set[int]:
    """The devices of some paths."""
    return {key[0] for path in paths if (key := _key(Path(path)))}


def _root(pattern: str, scope: Scope) -> str:
    """The resolved directory that a pattern's files must be in: the part before the first wildcard."""
    if is_directory(pattern) or pattern in scope.links:
        return os.path.realpath(pattern)
    directory = os.path.dirname(pattern)  # noqa: PTH120
    return os.path.realpath(directory if exists(pattern) else directory_before_magic(directory))


def look_at(path: str) -> FileFacts | None:
    """Return what a path names, following a symbolic link; None if it is no regular file. Raises OSError if that is unknown."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return None
    return _facts(path, status) if stat.S_ISREG(status.st_mode) else None


def _facts(path: str, status: os.stat_result, real: str = "") -> FileFacts:
    return FileFacts(path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, real)


def directory_times(patterns: Iterable[str]) -> list[int]:
    """Modification time of each directory, in nanoseconds; 0 for one that does not exist or is a pattern."""
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
    """Tell whether a path's directory exists, or may exist."""
    try:
        return stat.S_ISDIR(Path(path).parent.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def require(patterns: Sequence[str], scope: Scope = DEFAULT_SCOPE) -> None:
    """Raise NoSuchLog for the first path that names no log file, unless it cannot be read."""
    for pattern in patterns:
        look = find([pattern], scope)
        if pattern != STANDARD_INPUT and not look.found and not look.unreadable:
            raise NoSuchLog(path=as_text(pattern))
