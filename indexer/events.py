"""Events of the delivery, as methods of a listener.

reading/, writing/ and pipeline.py call them; a listener (progress bar, logs, metrics, a test) overrides those that it needs.
Events come per file, per block or per batch, never per line.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from enum import StrEnum
from functools import partial
from operator import add, sub


class Recognition(StrEnum):
    """How a log file was recognised when it was found."""

    NEW = "new"
    """Its content is not known."""
    RESUMED = "resumed"
    """A known file: same device and inode."""
    MOVED = "moved"
    """Another inode with the lines of a known file: it was moved, copied or compressed."""
    TRUNCATED = "truncated"
    """The inode of a known file, shorter than the delivered offset: copy-truncate."""
    REPLACED = "replaced"
    """The inode of a known file with other content: truncated and grown again, or the inode was reused."""


class Fault(StrEnum):
    """Why a batch is retried."""

    NO_ANSWER = "no_answer"
    NOT_AN_ANSWER = "not_an_answer"
    TOO_MANY_REQUESTS = "too_many_requests"
    SERVER_ERROR = "server_error"
    CLUSTER_STATE = "cluster_state"
    REFUSED = "refused"
    DISK = "disk"


MOST_UNREADABLE = 1000
"""Unreadable paths that are reported: more are not needed to notice the problem."""
SEAL_GRACE = 60.0
"""Seconds that a sealing may take."""


def overdue_after(every: float) -> float:
    """Seconds since the newest signed checkpoint after which sealing is overdue, where one is due each `every` seconds."""
    return 2 * every + SEAL_GRACE


@dataclass(frozen=True, slots=True)
class Totals:
    """Numbers of lines by result; `read` is the sum of the others. `bytes` is their size."""

    read: int = 0
    created: int = 0
    duplicates: int = 0
    rejected: int = 0
    blank: int = 0
    bytes: int = 0

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(*map(add, astuple(self), astuple(other)))

    def __sub__(self, other: "Totals") -> "Totals":
        return Totals(*map(sub, astuple(self), astuple(other)))


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
    """The base of all listeners: each method is an event, and does nothing."""

    def connected(self, cluster: str | None, write_index: str) -> None:
        """The cluster is found and set up; reading starts. Once per run, with the cluster's uuid."""

    def serving(self, address: str) -> None:
        """The monitoring is served at this URL."""

    def heartbeat(self, look: Callable[[], Progress]) -> None:
        """The main loop runs; about once a second. `look` returns the progress, and has to be called at once or never."""

    def file_found(self, path: str, recognition: Recognition, offset: int) -> None:
        """A log file is about to be read from `offset` on."""

    def file_lost(self, path: str, unread: int) -> None:
        """A file was deleted or truncated with `unread` bytes that were never read."""

    def file_unreadable(self, path: str, reason: str) -> None:
        """A file or directory cannot be read now; it is retried while the indexer runs."""

    def file_finished(self, path: str) -> None:
        """A rotated or deleted file was read to its end and closed."""

    def hole_skipped(self, path: str, size: int) -> None:
        """`size` NUL bytes of a file were skipped: space that was never written."""

    def block_read(self, path: str, size: int) -> None:
        """`size` bytes of a file on disk were read; of an archive, compressed bytes."""

    def entries_scanned(self, count: int, total: int) -> None:
        """`count` of about `total` entries of the index were compared with the log files."""

    def answered(self, seconds: float) -> None:
        """A bulk request of entries was answered after so many seconds, with any status."""

    def batch_acknowledged(self, totals: Totals, seconds: float) -> None:
        """Each line of a batch is created, a duplicate, rejected or blank; `seconds` after the batch was handed to a sender."""

    def rejected(self, kind: str, count: int) -> None:
        """`count` lines were rejected for the reason `kind`, and are kept as dead letters."""

    def delivery_failed(self, fault: Fault, detail: str, wait: float) -> None:
        """A batch, or a part of it, is retried after `wait` seconds. Called by the thread that retries."""

    def delivery_recovered(self) -> None:
        """A batch was delivered after one or more failures. Called by the thread that reported these."""

    def waiting(self, sentence: str) -> None:
        """Nothing can be sent until somebody acts. Repeated with each check."""

    def checkpoint_written(self) -> None:
        """The checkpoint is on disk."""

    def checkpoint_failed(self, path: str, reason: str) -> None:
        """The checkpoint could not be written. Nothing is lost; after a restart some entries may be sent again."""

    def state_open_to_others(self, directory: str) -> None:
        """Other users may write to the state directory, or to a directory in it. Once per run, with its mode."""

    def stopping(self) -> None:
        """Nothing more is read; batches in flight are waited for a while. Once per run that did not fail."""

    def stopped(self, totals: Totals) -> None:
        """The run is over; `totals` are its lines."""

    def index_begun(self, index: str) -> None:
        """The alias has rolled over to this index."""

    def index_deleted(self, index: str) -> None:
        """An index was deleted at the end of its retention."""

    def rollover_failed(self, reason: str) -> None:
        """The alias could not be rolled over, or an old index could not be deleted; it is retried later."""

    def rollover_managed(self, policy: str) -> None:
        """The server's lifecycle management rolls over and deletes, with this policy."""

    def sealing(self, every: float) -> None:
        """Sealing is on: a signed checkpoint is due each `every` seconds. Once per run."""

    def sealed(self, leaves: int, lines: int, size: int, note: str) -> None:
        """A checkpoint over the first `size` leaves was signed and is in the index: `note`. `leaves` and `lines` are new in it."""

    def sealing_failed(self, reason: str, wait: float) -> None:
        """A sealing failed; it is tried again after `wait` seconds. Nothing is lost."""

    def listener_failed(self, listener: str, reason: str) -> None:
        """A listener raised an exception; other listeners are not affected."""


class Broadcast(Events):
    """Calls each listener in turn. An exception of one reaches neither the others nor the caller: it becomes an event."""

    def __init__(self, *listeners: Events) -> None:
        self._listeners = listeners
        for name in vars(Events):
            if not name.startswith("_"):
                setattr(self, name, partial(self._tell, name))

    def _tell(self, name: str, *facts: object) -> None:
        for listener in self._listeners:
            try:
                getattr(listener, name)(*facts)
            except Exception as error:  # noqa: BLE001 - no listener may end the delivery
                self._report(type(listener).__name__, f"{type(error).__name__}: {error}")

    def _report(self, failed: str, reason: str) -> None:
        for listener in self._listeners:
            with contextlib.suppress(Exception):
                listener.listener_failed(failed, reason)
