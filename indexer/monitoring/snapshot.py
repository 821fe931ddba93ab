"""All numbers of a running indexer at one moment. Spans of time are in seconds, sizes in bytes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from indexer.events import LogProgress, Totals


@dataclass(frozen=True, slots=True)
class Repeated:
    """A fault that goes on: the batches that it concerns are tried again and again."""

    fault: str
    detail: str
    lasting: float
    tries: int


@dataclass(frozen=True, slots=True)
class Latency:
    """How long requests took."""

    counts: tuple[int, ...]
    """So many within each bound of `numbers.BOUNDS`, and beyond the last."""
    total: float


@dataclass(frozen=True, slots=True)
class Fields:
    """Mapped fields of the write index, and how many there may be."""

    mapped: int
    limit: int


@dataclass(frozen=True, slots=True)
class InFlight:
    """Batches that are handed over and not delivered."""

    batches: int = 0
    bytes: int = 0
    oldest: float = 0.0
    """Since the oldest of them was handed over."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known at this moment; counts are since the process began."""

    version: str
    process: int
    uptime: float
    sign_of_life: float
    """Since the main loop was last seen to go round."""
    connected: bool = False
    """The cluster was there and set up when the run began to read."""
    waiting: str | None = None
    """What it waits for before it is connected."""
    cluster_problem: str | None = None
    """What a look at the cluster found."""
    faults: tuple[Repeated, ...] = ()
    checkpoint_problem: str | None = None
    checkpoint_failures: int = 0
    listener_failures: int = 0
    checkpoint_age: float | None = None
    acknowledged: float | None = None
    """Since a batch was last acknowledged."""
    lines: Totals = field(default_factory=Totals)
    ever: Totals | None = None
    """Since the state directory began; as of the last sign of life."""
    read_bytes: int = 0
    """Bytes on disk: compressed ones of an archive."""
    lost_bytes: int = 0
    hole_bytes: int = 0
    """NULs that were passed over."""
    rejected: Mapping[str, int] = field(default_factory=dict)
    retries: Mapping[str, int] = field(default_factory=dict)
    found: Mapping[str, int] = field(default_factory=dict)
    in_flight: InFlight = field(default_factory=InFlight)
    latency: Latency = Latency((), 0.0)
    logs: tuple[LogProgress, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    fields: Fields | None = None
    free_bytes: int | None = None
    """Room on the disk of the state directory."""

    @property
    def lag(self) -> int:
        """Bytes that are there and not delivered, of all logs."""
        return sum(log.lag for log in self.logs)

    @property
    def lag_seconds(self) -> float:
        """The greatest of all logs."""
        return max((log.lag_seconds for log in self.logs), default=0.0)
