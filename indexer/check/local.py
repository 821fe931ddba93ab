"""The steps that look at this machine: logs that can be read, a state directory that can be written."""

import grp
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from indexer.check.findings import Finding, Topic, fail, failed, ok, warn
from indexer.errors import StateUnusable
from indexer.reading import files, globbing
from indexer.reading.files import STANDARD_INPUT, FileFacts, Scope
from indexer.reading.sources import open_log
from indexer.settings import MEBIBYTE
from indexer.writing import checkpoint

ROOM = 100 * MEBIBYTE
"""Bytes that should be free for the state: a checkpoint is some kB, and rejected lines may have to be kept there."""


def logs(paths: Sequence[str], scope: Scope = files.DEFAULT_SCOPE) -> Iterator[Finding]:
    """Each path names log files, and we may read them."""
    for path in paths:
        if path != STANDARD_INPUT:
            yield from _logs_at(path, scope)


def state(directory: Path, alias: str) -> Iterator[Finding]:
    """The state directory can be used, and is that of this alias. Nothing stays that was not there before."""
    try:
        remembered = checkpoint.read(directory)
    except StateUnusable as error:
        yield failed(Topic.STATE, error)
        return
    reason = _unwritable(directory)
    if reason:
        yield failed(Topic.STATE, StateUnusable(path=directory, reason=reason))
        return
    if remembered is not None and remembered.alias not in {None, alias}:
        reason = f"its checkpoint belongs to alias {remembered.alias!r}, and this is {alias!r}"
        yield failed(Topic.STATE, StateUnusable(path=directory, reason=reason))
        return
    if remembered is None and (directory / checkpoint.NAME).exists():
        hint = "`indexer run` puts it aside, reads all logs anew, and leaves out what is there already."
        yield warn(Topic.STATE, f"{directory / checkpoint.NAME} is damaged", hint)
    for each in checkpoint.open_to_others(directory):
        hint = "Let nobody else: chmod go-w, as its owner. Whoever may write there can have logs sent again, or left out."
        yield warn(Topic.STATE, f"others may write to {each}", hint)
    free = shutil.disk_usage(_existing(directory)).free
    if free < ROOM:
        hint = "Make room, or give another directory with --state-dir."
        yield warn(Topic.STATE, f"{directory} has only {free // MEBIBYTE} MiB left", hint)
    else:
        known = f"knows {len(remembered.files):,} log files" if remembered else "is empty yet"
        yield ok(Topic.STATE, f"{directory} can be written, and {known}")


def _logs_at(path: str, scope: Scope) -> Iterator[Finding]:
    barrier = _barrier(path)
    if barrier is not None:
        yield _forbidden(barrier)
        return
    look = files.find([path], scope)
    found = look.found
    for name, reason in look.unreadable.items():
        yield fail(Topic.LOGS, f"{name} cannot be read", f"Because {reason}.")
    if not found and not look.unreadable:
        hint = (
            "`indexer run` waits for it. Else give a file, a glob, or a directory with *activity*.log* in it."
        )
        yield warn(Topic.LOGS, f"there is no log file at {globbing.as_text(path)} yet", hint)
        return
    unreadable = [facts for facts in found if not _readable(facts)]
    for facts in unreadable:
        yield _forbidden(Path(facts.path))
    if found and not unreadable:
        size = sum(facts.size for facts in found) / MEBIBYTE
        count = f"{len(found):,} log file{'s' if len(found) > 1 else ''}"
        yield ok(Topic.LOGS, f"{globbing.as_text(path)}: {count} of {size:,.1f} MiB, readable")


def _barrier(path: str) -> Path | None:
    """The directory on the way to a path that we may not enter, or the one it names that we may not list."""
    there = Path(path).absolute()
    for directory in reversed(there.parents):
        if directory.is_dir() and not os.access(directory, os.X_OK, effective_ids=True):
            return directory
    return there if there.is_dir() and not os.access(there, os.R_OK | os.X_OK, effective_ids=True) else None


def _readable(facts: FileFacts) -> bool:
    try:
        open_log(facts).close()
    except OSError:
        return False
    return True


def _forbidden(path: Path) -> Finding:
    """Who we are, and why we may not."""
    status = path.stat()
    us, group = _user(os.geteuid()), _group(status.st_gid)
    owned = f"{stat.filemode(status.st_mode)} {_user(status.st_uid)}:{group}"
    hint = f"Let it: setfacl -m u:{us}:rX {path}; or put the user into the group {group}, if that may."
    return fail(Topic.LOGS, f"user {us} may not read {path} ({owned})", hint)


def _unwritable(directory: Path) -> str | None:
    """Why no file can be made there; None if it can. Where the directory is missing, whether it could be made."""
    try:
        if directory.is_dir():
            with tempfile.TemporaryFile(dir=directory) as file:
                file.write(b"\n")
                file.flush()
                os.fsync(file.fileno())
            return None
        parent = _existing(directory)
        if not parent.is_dir():
            return f"{parent} is no directory"
        if not os.access(parent, os.W_OK | os.X_OK, effective_ids=True):
            return f"user {_user(os.geteuid())} may not make it in {parent}"
    except OSError as error:
        return f"{error.strerror} (user {_user(os.geteuid())})"
    return None


def _existing(directory: Path) -> Path:
    """The directory, or the nearest one above it that is there."""
    return next(each for each in (directory, *directory.absolute().parents) if each.exists())


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # as in a container
        return str(number)


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
