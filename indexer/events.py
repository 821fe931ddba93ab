"""What happens, as named methods.

reading/, writing/ and pipeline.py tell; whoever wants to know (a progress bar, the logs, the metrics, a test's list)
overrides the methods it cares for. Told per file, per block or per batch, never per line.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial


class Recognition(StrEnum):
    """What a log file turned out to be when it was found."""

    NEW = "new"
    """It holds nothing that is known."""
    RESUMED = "resumed"
    """The file that is known under this device and inode."""
    MOVED = "moved"
    """Another inode with the lines of a known file: moved, copied or compressed."""
    TRUNCATED = "truncated"
    """The inode of a known file, now shorter than what was delivered: copy-truncate."""
    REPLACED = "replaced"
    """The inode of a known file with other bytes: truncated and grown again, or the inode was used again."""


class Fault(StrEnum):
    """Why a batch is not delivered yet."""

    NO_ANSWER = "no_answer"
    NOT_AN_ANSWER = "not_an_answer"
    TOO_MANY_REQUESTS = "too_many_requests"
    SERVER_ERROR = "server_error"
    CLUSTER_STATE = "cluster_state"
    REFUSED = "refused"
    DISK = "disk"


MOST_UNREADABLE = 1000
"""Unreadable paths that are reported: more are not needed to notice the problem."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Lines and what became of them; `read` is the sum of the others."""

    read: int = 0
    created: int = 0
    duplicates: int = 0
    rejected: int = 0
    blank: int = 0
    bytes: int = 0

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(
            self.read + other.read,
            self.created + other.created,
            self.duplicates + other.duplicates,
            self.rejected + other.rejected,
            self.blank + other.blank,
            self.bytes + other.bytes,
        )

    def __sub__(self, other: "Totals") -> "Totals":
        return Totals(
            self.read - other.read,
            self.created - other.created,
            self.duplicates - other.duplicates,
            self.rejected - other.rejected,
            self.blank - other.blank,
            self.bytes - other.bytes,
        )


@dataclass(frozen=True, slots=True)
class LogProgress:
    """How far an open log file has been delivered. Sizes in bytes."""

    path: str
    _identity: tuple[int, int, int]
    copy: bool
    """It is being compared with known files, and may be a copy of one: nothing of it is sent yet."""
    size: int
    """Size on disk."""
    delivered: int
    """All bytes of the log before this offset are delivered."""
    lag: int
    """Bytes that exist and are not delivered, without an incomplete last line. Of an archive: compressed bytes that are
    not read yet, plus the uncompressed bytes in flight."""
    lag_seconds: float = 0.0
    """Seconds since the oldest of these bytes was found. Set by the metrics recorder."""

    @property
    def identity(self) -> tuple[int, int, int]:
        """Device, inode and generation (0 if unknown): the same after a rename. Not part of the JSON."""
        return self._identity


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the indexer is."""

    logs: Sequence[LogProgress]
    batches: int
    """Batches in flight."""
    bytes: int
    """Size of their bodies."""
    oldest: float
    """Seconds since the oldest of them was handed to a sender."""
    totals: Totals
    """Lines since the state directory was created."""


class Events:
    """Hears of everything and does nothing; the base of every listener."""

    def connected(self, cluster: str | None, write_index: str) -> None:
        """The cluster is there and set up; entries are about to be read. Told once a run, with the cluster's uuid."""

    def serving(self, address: str) -> None:
        """Its numbers and its health are served under this URL."""

    def heartbeat(self, look: Callable[[], Progress]) -> None:
        """The main loop came round: told about once a second, come what may. Whoever cares calls `look` at once."""

    def file_found(self, path: str, recognition: Recognition, offset: int) -> None:
        """A log file is about to be read from `offset` on."""

    def file_lost(self, path: str, unread: int) -> None:
        """A file is gone for good, with `unread` bytes that no one has read."""

    def file_unreadable(self, path: str, reason: str) -> None:
        """A file cannot be read now; it is tried again while the indexer runs."""

    def file_finished(self, path: str) -> None:
        """A rotated or deleted file was read to its end and closed."""

    def hole_skipped(self, path: str, size: int) -> None:
        """`size` NUL bytes of a file were passed over: space that was never written."""

    def block_read(self, path: str, size: int) -> None:
        """`size` bytes of a file (of the file on disk: compressed ones for an archive) were read."""

    def answered(self, seconds: float) -> None:
        """A bulk request of entries was answered, whatever the answer is, after so many seconds."""

    def batch_acknowledged(self, totals: Totals, seconds: float) -> None:
        """Each line of a batch has ended as created, duplicate, rejected or blank."""

    def rejected(self, kind: str, count: int) -> None:
        """`count` lines were rejected for the reason `kind` and are kept."""

    def delivery_failed(self, fault: Fault, detail: str, wait: float) -> None:
        """A batch, or a part of it, is tried again after `wait` seconds."""

    def delivery_recovered(self) -> None:
        """After one or more failures a batch went through."""

    def waiting(self, sentence: str) -> None:
        """Nothing can be sent before somebody does something; asked again and again, told each time."""

    def checkpoint_written(self) -> None:
        """What is delivered is on disk."""

    def checkpoint_failed(self, path: str, reason: str) -> None:
        """What is delivered could not be written down; nothing is lost, some may be sent again."""

    def state_open_to_others(self, directory: str) -> None:
        """Others may write to the state directory, or to one in it; told once a run, with its mode."""

    def stopped(self, totals: Totals) -> None:
        """The run is over; `totals` is what it did."""

    def index_begun(self, index: str) -> None:
        """The alias has rolled over: this index takes entries from now on."""

    def index_deleted(self, index: str) -> None:
        """An index had been kept long enough."""

    def rollover_failed(self, reason: str) -> None:
        """The alias could not roll over, or an old index could not be deleted; tried again later."""

    def rollover_managed(self, policy: str) -> None:
        """The server's lifecycle management rolls over and deletes already, by this policy."""

    def listener_failed(self, listener: str, reason: str) -> None:
        """A listener raised an error on what it was told; nothing else came of it."""


class Broadcast(Events):
    """Tells each listener in turn. What one raises reaches neither the others nor whoever tells: it is an event itself."""

    def __init__(self, *listeners: Events) -> None:
        self._listeners = listeners
        for name in vars(Events):
            if not name.startswith("_"):
                setattr(self, name, partial(self._tell, name))

    def _tell(self, name: str, *facts: object) -> None:
        for listener in self._listeners:
            try:
                getattr(listener, name)(*facts)
            except Exception as error:  # noqa: BLE001 - a listener is not worth a delivery, whatever is wrong with it
                self._tell_of(type(listener).__name__, f"{type(error).__name__}: {error}")

    def _tell_of(self, failed: str, reason: str) -> None:
        for listener in self._listeners:
            with contextlib.suppress(Exception):
                listener.listener_failed(failed, reason)
