"""The steps that check this machine: the logs can be read, the state directory can be written."""

import grp
import os
import pwd
import shutil
import stat
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from indexer.check.results import CheckResult, Topic, fail, failed, ok, warn
from indexer.errors import StateUnusable
from indexer.reading import files, globbing
from indexer.reading.files import STANDARD_INPUT, FileFacts, Scope
from indexer.reading.sources import open_log
from indexer.settings import MEBIBYTE
from indexer.writing import checkpoint
from indexer.zoomdata.retention import ADVICE, KEPT_SIZE

ROOM = 100 * MEBIBYTE
"""Bytes that should be free for the state: a checkpoint takes some kB, and rejected lines may be stored there."""


def logs(paths: Sequence[str], scope: Scope = files.DEFAULT_SCOPE) -> Iterator[CheckResult]:
    """Each path names log files that can be read."""
    for path in paths:
        if path != STANDARD_INPUT:
            yield from _logs_at(path, scope)


def state(directory: Path, alias: str) -> Iterator[CheckResult]:
    """The state directory is writable and belongs to this alias. Leaves no file behind."""
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
        hint = (
            "`indexer run` moves it aside, reads all logs again, and sends only what is not in the index yet."
        )
        yield warn(Topic.STATE, f"{directory / checkpoint.NAME} is corrupt", hint)
    for each in checkpoint.open_to_others(directory):
        hint = "Remove their access: chmod go-w, as its owner. A user who can write there can make logs be skipped or sent again."
        yield warn(Topic.STATE, f"other users can write to {each}", hint)
    free = shutil.disk_usage(_existing(directory)).free
    if free < ROOM:
        hint = "Free some space, or give another directory with --state-dir."
        yield warn(Topic.STATE, f"{directory} has only {free // MEBIBYTE} MiB of free space", hint)
    else:
        known = (
            f"it knows {len(remembered.files):,} log files" if remembered else "it holds no checkpoint yet"
        )
        yield ok(Topic.STATE, f"{directory} is writable; {known}")


def _logs_at(path: str, scope: Scope) -> Iterator[CheckResult]:
    barrier = _barrier(path)
    if barrier is not None:
        yield _forbidden(barrier)
        return
    look = files.find([path], scope)
    found = look.found
    for name, reason in look.unreadable.items():
        yield fail(Topic.LOGS, f"{name} cannot be read: {reason}", "Check its permissions and its disk.")
    if not found and not look.unreadable:
        hint = (
            "`indexer run` waits for it. Or give a file, a glob, or a directory with *activity*.log* in it."
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
    for log in default_retention(found):
        what = f"{log} has one rotated file, of 10 MB: by default Zoomdata keeps no more, and on a busy server deletes it within seconds"
        yield warn(Topic.LOGS, what, ADVICE)


def default_retention(found: Sequence[FileFacts]) -> list[str]:
    """The logs that look as if Zoomdata kept one rotated file of 10 MB, which is its default.

    Such a log is not larger than that, and has exactly one rotated file beside it, of that size. A log that was never rotated tells
    nothing; nor does a compressed file, which Zoomdata does not make. Where more files are kept, it looks the same until the second
    rotation.
    """
    rotated: dict[str, list[int]] = defaultdict(list)
    for facts in found:
        log, dot, _ = facts.path.rpartition(".log.")
        rotated[log + dot[:-1]].append(facts.size)
    return [
        facts.name
        for facts in found
        if facts.size < KEPT_SIZE.stop
        and len(rotated[facts.path]) == 1
        and rotated[facts.path][0] in KEPT_SIZE
    ]


def _barrier(path: str) -> Path | None:
    """The first directory above a path that this user may not enter, or the path itself if it may not be listed."""
    whole = Path(path).absolute()
    for directory in reversed(whole.parents):
        if directory.is_dir() and not os.access(directory, os.X_OK, effective_ids=True):
            return directory
    return whole if whole.is_dir() and not os.access(whole, os.R_OK | os.X_OK, effective_ids=True) else None


def _readable(facts: FileFacts) -> bool:
    try:
        open_log(facts).close()
    except OSError:
        return False
    return True


def _forbidden(path: Path) -> CheckResult:
    """Name the user and the file's permissions."""
    status = path.stat()
    us, group = _user(os.geteuid()), _group(status.st_gid)
    owned = f"{stat.filemode(status.st_mode)} {_user(status.st_uid)}:{group}"
    hint = f"Give it access: setfacl -m u:{us}:rX {path}; or add it to the group {group}, if that group has access."
    return fail(Topic.LOGS, f"user {us} may not read {path} ({owned})", hint)


def _unwritable(directory: Path) -> str | None:
    """Why no file can be created there, or why the directory itself cannot; None if it can."""
    try:
        if directory.is_dir():
            with tempfile.TemporaryFile(dir=directory) as file:
                file.write(b"\n")
                file.flush()
                os.fsync(file.fileno())
            return None
        parent = _existing(directory)
        if not parent.is_dir():
            return f"{parent} is not a directory"
        if not os.access(parent, os.W_OK | os.X_OK, effective_ids=True):
            return f"user {_user(os.geteuid())} may not create it in {parent}"
    except OSError as error:
        return f"{error.strerror} (user {_user(os.geteuid())})"
    return None


def _existing(directory: Path) -> Path:
    """The directory, or the nearest parent that exists."""
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
