"""The durable record of what is delivered: `checkpoint.json` in the state directory.

Each write goes to a temporary file, then fsync, rename, fsync of the directory: a crash leaves the old file or the new one.
Version 2 is a JSON object, indented for people to read:

    version      2
    written      when, ISO 8601, UTC
    cluster      uuid of the cluster, or null without the privilege to read it
    alias        the alias
    write_index  the write index, if it was older than the grace period; else null
    totals       lines read, created, duplicates, rejected, blank, and bytes of log, since the state began
    files        one object a file, the fields of `reading.identity.FileRecord`
    journal      position in the journal of the seals (seals/journal.py); missing while nothing is sealed

Version 1, of release 0.1, is read too: it has no write index, and `twin` is a number that entered the generation of a file
whose first line another file had too.

The indexer that uses the directory holds `lock` beside it (flock), and writes its name into it.
"""

import contextlib
import errno
import fcntl
import os
import socket
import stat
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import orjson

from indexer.errors import StateInUse, StateUnusable
from indexer.events import Totals
from indexer.reading.identity import HEAD, FileRecord

VERSION = 2
NAME = "checkpoint.json"
DAMAGED = "checkpoint.damaged.json"
FURTHEST = 2**63
"""Larger than any offset of a file."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is delivered, from which files, to which alias."""

    cluster: str | None = None
    alias: str | None = None
    write_index: str | None = None
    totals: Totals = field(default_factory=Totals)
    files: Sequence[FileRecord] = ()
    journal: int | None = None
    """Position in the journal of the seals; None while nothing is sealed."""

    def to_json(self, written: datetime) -> bytes:
        """The bytes of the file."""
        stamp = {"version": VERSION, "written": written.isoformat(timespec="milliseconds")}
        stored = asdict(self)
        if self.journal is None:
            del stored["journal"]
        return orjson.dumps(stamp | stored, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def from_json(cls, data: bytes) -> "Checkpoint":
        """Read the bytes of the file. Raises ValueError if they are damaged, Unsupported for a newer version."""
        try:
            stored = orjson.loads(data)
            version = stored["version"]
            if version not in {1, VERSION}:
                raise Unsupported(version)
            return cls(
                _kind(stored["cluster"], str | None, "cluster"),
                _kind(stored["alias"], str | None, "alias"),
                _kind(stored["write_index"], str | None, "write_index") if version == VERSION else None,
                _build(Totals, stored["totals"]),
                [_record(each, version) for each in stored["files"]],
                _kind(stored.get("journal"), int | None, "journal"),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a checkpoint: {error!r}") from error


class Unsupported(Exception):  # noqa: N818 - a fact about a file
    """A version that this program cannot read."""


def _build(kind: type, stored: dict[str, Any]) -> Any:
    return kind(**{item.name: _kind(stored[item.name], item.type, item.name) for item in fields(kind)})


def _kind(value: Any, kind: Any, name: str) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{name} is {value!r}")
    return value


def _record(stored: dict[str, Any], version: int) -> FileRecord:
    """A record whose values are possible. Raises ValueError, KeyError, TypeError."""
    if not 0 <= stored["head"] <= HEAD:
        raise ValueError(f"not a checkpoint: head is {stored['head']}")
    record: FileRecord = _build(FileRecord, stored if version == VERSION else _from_version_1(stored))
    if not (0 <= record.offset < FURTHEST and 0 <= record.generation < 2**32):
        raise ValueError(f"not a checkpoint: offset is {record.offset}, generation {record.generation}")
    return record


def _from_version_1(record: dict[str, Any]) -> dict[str, Any]:
    """Convert a record of version 1 to version 2."""
    zeros = bytes(record["head"])
    # A CRC is linear: the effect of the twin number can be undone without the first line.
    generation = record["generation"] ^ zlib.crc32(zeros, record["twin"]) ^ zlib.crc32(zeros)
    return record | {"generation": generation, "digest": None, "modified": 0}


def read(directory: Path) -> Checkpoint | None:
    """Read the checkpoint; None if it is missing or damaged. Raises StateUnusable."""
    try:
        return Checkpoint.from_json((directory / NAME).read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    except Unsupported as version:
        reason = f"its {NAME} is of version {version}, and this indexer knows versions 1 and {VERSION}"
        raise StateUnusable(path=directory, reason=reason) from None
    except OSError as error:
        raise StateUnusable(path=directory, reason=error.strerror) from None


class StateDirectory:
    """A state directory, locked until it is closed."""

    def __init__(self, directory: Path) -> None:
        """Create the directory if it is missing, and lock it. Raises StateUnusable, StateInUse."""
        self.directory = directory
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _lock_file(directory / "lock")
        except OSError as error:
            raise StateUnusable(path=directory, reason=error.strerror) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._lock, 200, 0).decode(errors="replace").strip() or "another indexer"
            os.close(self._lock)
            raise StateInUse(path=directory, holder=holder) from None
        except OSError as error:
            os.close(self._lock)
            raise StateUnusable(path=directory, reason=error.strerror) from None
        with contextlib.suppress(OSError):  # a full disk prevents the name, not the lock
            os.ftruncate(self._lock, 0)
            started = datetime.now(UTC).isoformat(timespec="seconds")
            os.pwrite(
                self._lock, f"process {os.getpid()} on {socket.gethostname()}, since {started}\n".encode(), 0
            )

    def load(self) -> tuple[Checkpoint, bool]:
        """Read the checkpoint, and tell whether it was damaged: then it is renamed, and an empty one returned.

        Raises StateUnusable.
        """
        found = read(self.directory)
        damaged = found is None and (self.directory / NAME).exists()
        if damaged:
            (self.directory / NAME).replace(self.directory / DAMAGED)
        return found or Checkpoint(), damaged

    def save(self, checkpoint: Checkpoint) -> None:
        """Write the checkpoint durably. Raises OSError."""
        write_durably(self.directory / NAME, checkpoint.to_json(datetime.now(UTC)))

    def close(self) -> None:
        """Unlock the directory."""
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def in_use(directory: Path) -> bool:
    """Whether an indexer of this machine, also in another container, holds the lock of a state directory."""
    try:
        lock = os.open(directory / "lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return isinstance(error, BlockingIOError)
    finally:
        os.close(lock)  # releases the lock
    return False


def _lock_file(path: Path) -> int:
    """Open the lock file, creating it if it is missing. Raises OSError, also if it is not a regular file with one link."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        reason = "its file 'lock' is a symbolic link" if error.errno == errno.ELOOP else error.strerror
        raise OSError(error.errno, reason) from None
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "its file 'lock' is not a plain file of its own")


def create(path: Path) -> int:
    """Open a new file for writing; remove what lies there, and never follow a link. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o600)
    except FileExistsError:
        path.unlink()
        return os.open(path, flags, 0o600)


def open_to_others(directory: Path) -> list[str]:
    """Which of the state directory and its `rejected` other users may write to, each with its mode.

    Our own group is allowed if new files belong to it (setgid): Kubernetes prepares a volume so (fsGroup).
    """
    found = []
    for each in (directory, directory / "rejected"):
        with contextlib.suppress(OSError):  # missing
            status = each.stat()
            our_group = status.st_mode & stat.S_ISGID and status.st_gid == os.getegid()
            if status.st_mode & (stat.S_IWOTH if our_group else stat.S_IWOTH | stat.S_IWGRP):
                found.append(f"{each} ({stat.filemode(status.st_mode)})")
    return found


def write_durably(path: Path, data: bytes) -> None:
    """Replace a file's content durably. Raises OSError, and then leaves it as it was."""
    temporary = path.with_name(path.name + ".new")
    descriptor = create(temporary)
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make a rename in a directory durable. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
