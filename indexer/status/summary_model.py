"""The result of `indexer summary`, and its tables."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from indexer.show import Cell, Share, Table, milliseconds

WHY_NO_EXPORTS = (
    "Zoomdata logs exports and details views only if they are switched on: `indexer zoomdata logging`."
)


@dataclass(frozen=True, slots=True)
class Count:
    """The number of entries with a value."""

    value: str
    entries: int


@dataclass(frozen=True, slots=True)
class FailedLogIns:
    """Failed log-ins of one user from one address. `ip` is None without a valid address."""

    user: str
    ip: str | None
    attempts: int
    last: datetime | None


@dataclass(frozen=True, slots=True)
class RowsByUser:
    """How often a user exported or viewed raw data, and how many rows in all and at most. Rows may be missing."""

    user: str
    times: int
    rows: float | None
    largest: float | None


@dataclass(frozen=True, slots=True)
class Durations:
    """Durations of entries of one activity type and storage type, in ms. The latter may be missing."""

    activity_type: str
    storage_type: str | None
    entries: int
    median_ms: float | None
    p95_ms: float | None
    max_ms: float | None


@dataclass(frozen=True, slots=True)
class SlowVisual:
    """A slow visualisation."""

    when: datetime | None
    name: str | None
    user: str | None
    cid: str | None
    duration_ms: float


@dataclass(frozen=True, slots=True)
class Deletion:
    """A deleted object, and who deleted it."""

    when: datetime | None
    activity_type: str
    name: str | None
    user: str | None


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures of the whole index. Lists contain only their most important rows."""

    alias: str
    entries: int
    first: datetime | None
    last: datetime | None
    users: int
    failed: int
    deleted: int
    exported: int
    viewed: int
    by_type: tuple[Count, ...]
    by_status: tuple[Count, ...]
    by_user: tuple[Count, ...]
    failed_log_ins: tuple[FailedLogIns, ...]
    exports: tuple[RowsByUser, ...]
    details_views: tuple[RowsByUser, ...]
    durations: tuple[Durations, ...]
    slowest: tuple[SlowVisual, ...]
    deletions: tuple[Deletion, ...]

    def tables(self) -> Iterator[Table]:
        """The tables for a terminal."""
        yield Table(
            f"In {self.alias}",
            ("entries", "users", "first (UTC)", "last (UTC)"),
            ((self.entries, self.users, self.first, self.last),) if self.entries else (),
            "No entries yet; `indexer run` indexes them.",
        )
        yield self._counts("By type", "activity type", self.by_type)
        yield self._counts("By status", "status", self.by_status)
        yield self._counts(f"Busiest of {self.users:,} users, without health checks", "user", self.by_user)
        yield Table(
            f"Failed log-ins ({self.failed:,})",
            ("user", "from", "attempts", "last (UTC)"),
            tuple((row.user, row.ip, row.attempts, row.last) for row in self.failed_log_ins),
            "Nobody failed to log in.",
        )
        yield _rows_by_user(f"Exports ({self.exported:,})", self.exports)
        yield _rows_by_user(f"Details views ({self.viewed:,})", self.details_views)
        yield Table(
            "Durations",
            ("activity type · storage", "entries", "median", "95 % within", "longest"),
            tuple(_durations(row) for row in self.durations),
            f"No entry has a duration. {WHY_NO_EXPORTS}",
        )
        yield Table(
            "Slowest visualisations",
            ("when (UTC)", "visualisation", "user", "took"),
            tuple(
                (row.when, row.name or row.cid, row.user, milliseconds(row.duration_ms))
                for row in self.slowest
            ),
            "No visualisation has a duration; Zoomdata 2.x alone logs them.",
        )
        yield Table(
            f"Deleted ({self.deleted:,})",
            ("when (UTC)", "what", "name", "by"),
            tuple((row.when, row.activity_type, row.name, row.user) for row in self.deletions),
            "Nothing was deleted.",
        )

    def _counts(self, title: str, heading: str, counts: tuple[Count, ...]) -> Table:
        rows = tuple((row.value, row.entries, Share(row.entries, self.entries)) for row in counts)
        return Table(title, (heading, "entries", "share"), rows, "No entries yet.")


def _rows_by_user(title: str, readers: tuple[RowsByUser, ...]) -> Table:
    rows = tuple((row.user, row.times, _rows(row.rows), _rows(row.largest)) for row in readers)
    return Table(title, ("user", "times", "rows", "largest"), rows, f"None. {WHY_NO_EXPORTS}")


def _rows(found: float | None) -> Cell:
    """A number of rows is whole; one beyond what a float holds exactly is no true one, and has an exponent."""
    if found is None or abs(found) >= 2**53:
        return found if found is None else f"{found:.3g}"
    return round(found)


def _durations(row: Durations) -> tuple[Cell, ...]:
    label = f"{row.activity_type} · {row.storage_type}" if row.storage_type else row.activity_type
    return (
        label,
        row.entries,
        milliseconds(row.median_ms),
        milliseconds(row.p95_ms),
        milliseconds(row.max_ms),
    )
