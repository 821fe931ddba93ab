"""All metrics of a running indexer at one moment. Times in seconds, sizes in bytes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from indexer.events import LogProgress, Totals
from indexer.monitoring.sealing import Sealing


@dataclass(frozen=True, slots=True)
class Repeated:
    """A fault that lasts: its batches are retried."""

    fault: str
    detail: str
    lasting: float
    tries: int


@dataclass(frozen=True, slots=True)
class Latency:
    """Histogram of request durations."""

    counts: tuple[int, ...]
    """Requests within each bound of `recorder.BOUNDS`, and above the last."""
    total: float


@dataclass(frozen=True, slots=True)
class Fields:
    """Mapped fields of the write index, and their limit."""

    mapped: int
    limit: int


@dataclass(frozen=True, slots=True)
class InFlight:
    """Batches in flight."""

    batches: int = 0
    bytes: int = 0
    oldest: float = 0.0
    """Since the oldest was handed to a sender."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All metrics at one moment; counts are since the process started."""

    version: str
    process: int
    uptime: float
    sign_of_life: float
    """Since the last heartbeat of the main loop."""
    connected: bool = False
    """The cluster was found and set up."""
    waiting: str | None = None
    """What the indexer waits for."""
    cluster_problem: str | None = None
    """What the last probe of the cluster found."""
    faults: tuple[Repeated, ...] = ()
    checkpoint_problem: str | None = None
    checkpoint_failures: int = 0
    listener_failures: int = 0
    checkpoint_age: float | None = None
    acknowledged: float | None = None
    """Since the last acknowledged batch."""
    lines: Totals = field(default_factory=Totals)
    ever: Totals | None = None
    """Lines since the state directory was created, as of the last heartbeat."""
    read_bytes: int = 0
    """Bytes on disk: of an archive, compressed bytes."""
    lost_bytes: int = 0
    hole_bytes: int = 0
    """Skipped NUL bytes."""
    rejected: Mapping[str, int] = field(default_factory=dict)
    retries: Mapping[str, int] = field(default_factory=dict)
    found: Mapping[str, int] = field(default_factory=dict)
    in_flight: InFlight = field(default_factory=InFlight)
    latency: Latency = Latency((), 0.0)
    logs: tuple[LogProgress, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    fields: Fields | None = None
    free_bytes: int | None = None
    """Free space on the disk of the state directory."""
    sealing: Sealing | None = None
    """None if sealing is off."""

    @property
    def lag(self) -> int:
        """Undelivered bytes of all logs."""
        return sum(log.lag for log in self.logs)

    @property
    def lag_seconds(self) -> float:
        """The maximum of all logs."""
        return max((log.lag_seconds for log in self.logs), default=0.0)
