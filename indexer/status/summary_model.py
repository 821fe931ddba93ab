"""The result of `indexer summary`, and its tables."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from indexer.show import Cell, Share, Table, milliseconds


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
    by_type: tuple[Count, ...]
    by_status: tuple[Count, ...]
    by_user: tuple[Count, ...]
    failed_log_ins: tuple[FailedLogIns, ...]
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
        yield self._counts(f"Busiest of {self.users:,} users", "user", self.by_user)
        yield Table(
            f"Failed log-ins ({self.failed:,})",
            ("user", "from", "attempts", "last (UTC)"),
            tuple((row.user, row.ip, row.attempts, row.last) for row in self.failed_log_ins),
            "Nobody failed to log in.",
        )
        yield Table(
            "Durations",
            ("activity type · storage", "entries", "median", "95 % within", "longest"),
            tuple(_durations(row) for row in self.durations),
            "No entry has a duration.",
        )
        yield Table(
            "Slowest visualisations",
            ("when (UTC)", "visualisation", "user", "took"),
            tuple(
                (row.when, row.name or row.cid, row.user, milliseconds(row.duration_ms))
                for row in self.slowest
            ),
            "No visualisation has a duration.",
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


def _durations(row: Durations) -> tuple[Cell, ...]:
    label = f"{row.activity_type} · {row.storage_type}" if row.storage_type else row.activity_type
    return (
        label,
        row.entries,
        milliseconds(row.median_ms),
        milliseconds(row.p95_ms),
        milliseconds(row.max_ms),
    )
