"""Rejected lines in files: `rejected/` in the state directory, two files for each line.

`<id>.line` holds its bytes; `<id>.json`, written last, describes it. A line too long for memory is written as it is read,
to `<name>.part`, and renamed once it is complete.
"""

import contextlib
import errno
import os
import shutil
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from indexer.reading.batch import OversizedFragment
from indexer.reading.entries import EXPLANATION, Reason, Rejection
from indexer.writing.checkpoint import StateDirectory, create, write_durably

LEFT_FREE = 64 * 1024 * 1024
"""Bytes of the disk that long lines leave free, or an eighth of a smaller disk."""
COUNTED_EVERY = 10.0
"""Seconds for which a count of the bytes holds."""
READABLE = 1000
"""Characters of a rejected line that its description holds as text."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A rejected line without its bytes."""

    id: str
    rejected: str
    """When, ISO 8601, UTC."""
    file: str
    offset: int
    type: str
    reason: str
    size: int
    """Bytes."""
    text: str
    """Its beginning, for people to read."""
    where: str
    """`index` or `file`."""

    @classmethod
    def of(cls, identity: str, stored: dict[str, object], where: str) -> "DeadLetter":
        """Read what was stored."""
        text = {name: str(stored[name]) for name in ("file", "type", "reason", "text")}
        return cls(
            id=identity,
            rejected=str(stored["@timestamp"]),
            offset=int(str(stored["offset"])),
            size=int(str(stored["size"])),
            where=where,
            **text,
        )


class DeadLetterFiles:
    """The files of rejected lines."""

    def __init__(self, state: Path, limit: int | None = None) -> None:
        """Take `state`, the state directory. Above `limit` bytes there is no room for long lines."""
        self._directory = state / "rejected"
        self._limit = limit
        self._used = 0
        self._counted_at = float("-inf")
        self._spooled: dict[str, int] | None = None
        """Bytes written so far of each line that comes in fragments; None before the first fragment."""

    def keep(self, rejection: Rejection) -> None:
        """Write one line and its description; replace it if it is there. Raises OSError."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        write_durably(self._directory / f"{rejection.id}.line", rejection.line)
        self._used += len(rejection.line)
        self._write_description(rejection, len(rejection.line))

    def room(self) -> int:
        """Bytes that long lines may take now; some are left free on the disk for checkpoints."""
        self._count()
        left = 2**62 if self._limit is None else self._limit - self._used
        try:
            disk = shutil.disk_usage(self._directory if self._directory.exists() else self._directory.parent)
        except OSError:
            return max(0, left)
        return max(0, min(left, disk.free - min(LEFT_FREE, disk.total // 8)))

    def _count(self) -> None:
        """Count the bytes again, now and then: another process replays lines, or an operator removes them."""
        if self._limit is None or time.monotonic() - self._counted_at < COUNTED_EVERY:
            return
        self._used = 0
        with contextlib.suppress(OSError), os.scandir(self._directory) as there:
            for entry in there:
                with contextlib.suppress(OSError):
                    self._used += entry.stat(follow_symlinks=False).st_size
        self._counted_at = time.monotonic()

    def discard(self, name: str) -> None:
        """Remove the fragments of an incomplete line. Raises OSError."""
        (self._directory / f"{name}.part").unlink(missing_ok=True)
        if self._spooled is not None:
            self._used -= self._spooled.pop(name, 0)

    def spool(self, fragment: OversizedFragment) -> Rejection | None:
        """Write a fragment of a line too long for memory; return the rejection after the last fragment.

        Raises OSError; the same fragment may then be given again.
        """
        self._directory.mkdir(mode=0o700, exist_ok=True)
        if self._spooled is None:
            for left in self._directory.glob("*.part"):  # of a run that was killed: it is read again
                left.unlink()
            self._spooled = {}
        part = self._directory / f"{fragment.name}.part"
        if fragment.first or part.exists():  # else only writing the description failed
            self._append(part, fragment, self._spooled)
        if fragment.id is None:
            return None
        line = self._directory / f"{fragment.id}.line"
        if part.exists():
            part.replace(line)
        reason = Reason.LINE_TOO_LONG
        rejection = Rejection(fragment.id, fragment.file, fragment.start, reason, EXPLANATION[reason], b"")
        self._write_description(rejection, line.stat().st_size)
        self._spooled.pop(fragment.name)
        return rejection

    def sweep(self, _held: StateDirectory) -> None:
        """Remove incomplete lines that a killed run left: they are read again.

        The caller holds the state directory, and has written no fragment yet.
        """
        for part in self._directory.glob("*.part"):
            with contextlib.suppress(OSError):  # what stays does no harm
                part.unlink()

    def _append(self, part: Path, fragment: OversizedFragment, spooled: dict[str, int]) -> None:
        """Write a fragment after those before it, over what a failed write may have left there."""
        position = 0 if fragment.first else spooled[fragment.name]
        # Not `open("r+b")`, which would follow a link.
        descriptor = (
            create(part) if fragment.first else os.open(part, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        )
        with os.fdopen(descriptor, "wb") as file:
            file.seek(position)
            file.write(fragment.data)
            file.flush()
            if fragment.id is not None:
                os.fsync(file.fileno())
        self._used += len(fragment.data)
        spooled[fragment.name] = position + len(fragment.data)

    def _write_description(self, rejection: Rejection, size: int) -> None:
        description = orjson.dumps(described(rejection, size), option=orjson.OPT_INDENT_2)
        write_durably(self._directory / f"{rejection.id}.json", description)

    def list(self) -> Iterator[DeadLetter]:
        """All lines, in the order of their ids. Raises OSError."""
        for path in sorted(self._directory.glob("*.json")):
            try:
                description = path.read_bytes()
            except FileNotFoundError:  # replayed by another process meanwhile
                continue
            try:
                yield DeadLetter.of(path.stem, orjson.loads(description), "file")
            except (ValueError, KeyError, TypeError):
                raise OSError(errno.EIO, f"{path} is damaged") from None

    def line(self, identity: str) -> bytes:
        """A line's bytes. Raises OSError."""
        return (self._directory / f"{identity}.line").read_bytes()

    def checksum(self, identity: str) -> int | None:
        """The CRC-32 of a line's bytes; None if there is no such line. Raises OSError."""
        if not (self._directory / f"{identity}.json").exists():
            return None
        checksum = 0
        with (self._directory / f"{identity}.line").open("rb") as file:
            while block := file.read(1024 * 1024):
                checksum = zlib.crc32(block, checksum)
        return checksum

    def remove(self, identity: str) -> None:
        """Remove a line. Raises OSError."""
        (self._directory / f"{identity}.json").unlink(missing_ok=True)
        (self._directory / f"{identity}.line").unlink(missing_ok=True)


def described(rejection: Rejection, size: int) -> dict[str, object]:
    """Describe a rejected line of `size` bytes, as files and index store it."""
    return {
        "@timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "file": rejection.file,
        "offset": rejection.offset,
        "type": rejection.kind,
        "reason": rejection.reason,
        "size": size,
        "text": rejection.line[: 4 * READABLE].decode(errors="replace")[:READABLE],
    }
