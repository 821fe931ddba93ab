"""How long ago the oldest byte was found that is not delivered yet."""

MOST = 600
"""Samples kept of one log; beyond that two become one, and lags are told more coarsely, none too small."""


class Backlog:
    """Remembers of one log how much of it was there when, as long as that is not delivered."""

    def __init__(self) -> None:
        self._found: list[tuple[float, int]] = []
        """When it was first seen to reach beyond the sample before, and the offset that it reached until the next."""
        self._spacing = 0.0

    def look(self, now: float, delivered: int, lag: int) -> float:
        """Note that `lag` bytes after the offset `delivered` are there; return the age of the oldest, in seconds."""
        self._found = [(time, end) for time, end in self._found if lag and end > delivered]
        if lag:
            self._add(now, delivered + lag)
        return now - self._found[0][0] if self._found else 0.0

    def _add(self, now: float, end: int) -> None:
        found = self._found
        if not found:
            self._found, self._spacing = [(now, end)], 0.0
        elif end > found[-1][1]:
            if now - found[-1][0] < self._spacing:
                found[-1] = found[-1][0], end
            else:
                found.append((now, end))
        if len(found) > MOST:
            ends = [end for _, end in found[1::2]] + [found[-1][1]]
            self._found = [(time, end) for (time, _), end in zip(found[::2], ends, strict=False)]
            self._spacing = (now - found[0][0]) / (MOST // 2)
