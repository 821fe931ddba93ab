"""A stop without real waits, a listener that records events, and what files of rejected lines hold."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from indexer.events import Events, Totals
from indexer.writing.spool import DeadLetterFiles


@dataclass(eq=False)
class Stop(threading.Event):
    """A stop whose waits return at once: it records how long each would have taken, and runs an action in it."""

    during: Mapping[int, Callable[[], object]] = field(default_factory=dict)
    """What happens in the n-th wait, counted from 1."""
    last: int = 10_000
    """The stop is set in this wait, so that every test ends."""

    def __post_init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []
        self.elapsed = 0.0
        """How long all waits would have taken: the time, for a clock that goes by it."""

    def wait(self, timeout: float | None = None) -> bool:
        """Come back at once."""
        assert timeout is not None, "a wait without end"
        self.waits.append(timeout)
        self.elapsed += timeout
        self.during.get(len(self.waits), lambda: None)()
        if len(self.waits) >= self.last:
            self.set()
        return self.is_set()


class Heard(Events):
    """Records all events, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, tuple[Any, ...]]] = []
        for name in vars(Events):
            if not name.startswith("_"):
                setattr(self, name, partial(self._hear, name))

    def of(self, name: str) -> list[tuple[Any, ...]]:
        """The facts of each event of this name."""
        return [facts for told, facts in list(self.told) if told == name]

    @property
    def totals(self) -> Totals:
        """What became of the lines so far."""
        return sum((totals for totals, _ in self.of("batch_acknowledged")), Totals())

    def _hear(self, name: str, *facts: object) -> None:
        self.told.append((name, facts))


def in_files(local: DeadLetterFiles) -> dict[str, bytes]:
    """The bytes of each line that files hold."""
    return {kept.id: local.line(kept.id) for kept in local.list()}
