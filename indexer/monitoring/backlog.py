"""How long ago the oldest byte was found that is not delivered yet."""

from collections import deque

MOST = 600
"""Samples kept of one log; beyond that every other one is dropped, and lags are told more coarsely."""


class Backlog:
    """Remembers of one log how much of it was there when, as long as that is not delivered."""

    def __init__(self) -> None:
        self._found: deque[tuple[float, int]] = deque()

    def look(self, now: float, delivered: int, lag: int) -> float:
        """Note that `lag` bytes after the offset `delivered` are there; return the age of the oldest, in seconds."""
        found = self._found
        while found and (found[0][1] <= delivered or not lag):
            found.popleft()
        if lag and (not found or found[-1][1] < delivered + lag):
            found.append((now, delivered + lag))
        if len(found) > MOST:
            self._found = found = deque(list(found)[::2])
        return now - found[0][0] if found else 0.0
