"""What a run has sealed, and whether it is overdue."""

from dataclasses import dataclass

from indexer.events import overdue_after


@dataclass(frozen=True, slots=True)
class Sealing:
    """The sealing of a run at one moment. Times in seconds; counts are since the process started."""

    every: float
    """Between two sealings."""
    waited: float
    """Since the newest signed checkpoint of this run; before the first, since sealing was switched on."""
    age: float | None = None
    """Since the newest signed checkpoint of this run; None before the first."""
    size: int = 0
    """Leaves that it covers."""
    leaves: int = 0
    lines: int = 0
    failures: int = 0
    problem: str | None = None
    """Why the last sealing failed; None after a success."""

    @property
    def overdue(self) -> bool:
        """Whether a signed checkpoint should have come by now."""
        return self.waited > overdue_after(self.every)


class SealingTracker:
    """Counts what is sealed. Not thread-safe."""

    def __init__(self, every: float, now: float) -> None:
        self._every = every
        self._since = now
        self._newest: float | None = None
        self._size = self._leaves = self._lines = self._failures = 0
        self._problem: str | None = None

    def sealed(self, now: float, leaves: int, lines: int, size: int) -> None:
        """Record a signed checkpoint over `size` leaves."""
        self._newest, self._size, self._problem = now, size, None
        self._leaves += leaves
        self._lines += lines

    def failed(self, reason: str) -> None:
        """Record a failure."""
        self._failures += 1
        self._problem = reason

    def at(self, now: float) -> Sealing:
        """What is known at this moment."""
        return Sealing(
            self._every,
            waited=now - (self._since if self._newest is None else self._newest),
            age=None if self._newest is None else now - self._newest,
            size=self._size,
            leaves=self._leaves,
            lines=self._lines,
            failures=self._failures,
            problem=self._problem,
        )
