"""Expands globs and directories to paths. The standard library's `glob` hides errors; this reports them."""

import fnmatch
import glob
import os
import stat
from collections.abc import Iterator, Sequence

LOGS_IN_DIRECTORY = "*activity*.log*"


def as_text(path: str) -> str:
    """A path as text that can be stored and shown, whatever bytes it has."""
    return os.fsencode(path).decode(errors="replace")


def note_unreadable(path: str, error: OSError, unreadable: dict[str, str]) -> None:
    """Record why a path cannot be read, unless it does not exist."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        unreadable[as_text(path.rstrip("/") or "/")] = error.strerror or str(error)


def directory_before_magic(pattern: str) -> str:
    """The directory before the first wildcard; the path itself, if there is none."""
    while glob.has_magic(pattern):
        pattern = os.path.dirname(pattern)  # noqa: PTH120
    return pattern


def expand(pattern: str, unreadable: dict[str, str]) -> Iterator[str]:
    """Yield the paths that a pattern stands for; directories that cannot be listed go to `unreadable`."""
    if is_directory(pattern):
        yield from _matching(pattern, [LOGS_IN_DIRECTORY], unreadable)
    elif not glob.has_magic(pattern) or exists(pattern):
        yield pattern
    else:
        base = "/" if pattern.startswith("/") else ""
        yield from _matching(base, [part for part in pattern.split("/") if part], unreadable)


def _matching(directory: str, parts: Sequence[str], unreadable: dict[str, str]) -> Iterator[str]:
    """Yield the paths below a directory that match the parts of a glob, as `glob` does.

    `**` is any number of directories, except symbolic links, which may form a loop.
    """
    part, *rest = parts
    if not glob.has_magic(part):
        path = os.path.join(directory, part)  # noqa: PTH118
        yield from _matching(path, rest, unreadable) if rest else [path]
        return
    if part == "**" and rest:
        yield from _matching(directory, rest, unreadable)
    for name in _listed(directory, part, unreadable):
        path = os.path.join(directory, name)  # noqa: PTH118
        if part == "**" and _may_be_directory(path, unreadable, links=False):
            yield from _matching(path, parts, unreadable)
        elif not rest:
            yield path
        elif part != "**" and _may_be_directory(path, unreadable):
            yield from _matching(path, rest, unreadable)


def _listed(directory: str, part: str, unreadable: dict[str, str]) -> list[str]:
    try:
        names = fnmatch.filter(os.listdir(directory or "."), part)  # noqa: PTH208
    except OSError as error:
        note_unreadable(directory or ".", error, unreadable)
        return []
    return [name for name in names if part.startswith(".") or not name.startswith(".")]


def _may_be_directory(path: str, unreadable: dict[str, str], *, links: bool = True) -> bool:
    try:
        return is_directory(path, links=links)
    except OSError as error:
        note_unreadable(path, error, unreadable)
        return False


def is_directory(path: str, *, links: bool = True) -> bool:
    """Tell whether a path (with `links`, its target) is a directory. Raises OSError if that is unknown."""
    try:
        return stat.S_ISDIR(os.stat(path, follow_symlinks=links).st_mode)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return False


def exists(path: str) -> bool:
    """Tell whether a path exists. Raises OSError if that is unknown."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
