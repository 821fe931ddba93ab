"""When a log is final: it can grow no more.

It was rotated away or deleted and is quiet for a while, is an archive, or belongs to a one-shot run. Only then is a last
line without line end tried as an entry; the delivered offset stays before it, so that it is read again should it be
completed after all.
"""

from indexer.reading.log import Log
from indexer.settings import STANDARD_INPUT

QUIET = 5.0
"""Seconds without growth after which a rotated or deleted file counts as final."""


def is_final(log: Log, now: float, *, once: bool) -> bool:
    """Tell whether the file can grow no more; with `once`, none does that has an end. Raises OSError."""
    if log.window.complete:
        return True
    if log.facts.path == STANDARD_INPUT:
        return False
    quiet = now - log.changed_at >= QUIET
    return once or (log.rotated and quiet and (log.gone or not log.window.sequential))


def require_whole(log: Log) -> None:
    """Raise OSError for an archive that is cut short where it was read to."""
    if log.window.sequential and not log.window.complete and log.facts.path != STANDARD_INPUT:
        raise OSError(0, f"the archive is cut short after {log.position} bytes of the log")
