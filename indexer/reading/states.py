"""The states of a log file, from when it is found until it is forgotten.

WAITING ─▶ IDENTIFYING ─▶ COMPARING ─▶ READING ─▶ FINISHING ─▶ DONE
   ▲            └─────────────────────▶   │ └────▶ CLOSING ───▶ CLOSED
   │                                      └──────────────────▶ PARKED
   └───────── the file has changed, or is to be tried again ───┘ │
                                        FORGOTTEN ◀── MISSING ◀──┘ no path names it
"""

from enum import Enum, auto


class FileState(Enum):
    """What is being done with a file."""

    WAITING = auto()
    """Found; to be opened when its turn comes."""
    IDENTIFYING = auto()
    """Open; its first line is not complete."""
    COMPARING = auto()
    """Open; read without sending, because it begins like a known file."""
    READING = auto()
    """Open; its lines are sent."""
    FINISHING = auto()
    """Read to its end; batches may be in flight."""
    CLOSING = auto()
    """Not read on now; batches may be in flight."""
    DONE = auto()
    """Read to its end and delivered."""
    CLOSED = auto()
    """Not read to its end."""
    PARKED = auto()
    """Closed to make room for others, with nothing left to read."""
    MISSING = auto()
    """No path names it; a moved or compressed copy may go on where it ended."""
    FORGOTTEN = auto()
    """Not remembered any more."""


class FileEvent(Enum):
    """What changes a file's state."""

    OPENED = auto()
    BEGINS_LIKE_KNOWN = auto()
    """Its first line is that of known files."""
    IDENTIFIED = auto()
    ENDED = auto()
    """It was read to its end, and grows no more."""
    STOPPED = auto()
    """It cannot be read on, its turn is over, or it holds something else now."""
    PARKED = auto()
    """Other files need its descriptor."""
    DELIVERED = auto()
    """No batch of it is in flight."""
    DUE = auto()
    """It has changed, or is to be tried again."""
    LOST = auto()
    """No path names it, or its inode may be another file."""
    EXPIRED = auto()
    """No copy claimed it in time, or one did, or there is nothing to remember."""


S, E = FileState, FileEvent
TRANSITIONS: dict[tuple[FileState, FileEvent], FileState] = {
    (S.WAITING, E.OPENED): S.IDENTIFYING,
    (S.WAITING, E.STOPPED): S.CLOSED,
    (S.WAITING, E.LOST): S.MISSING,
    (S.IDENTIFYING, E.BEGINS_LIKE_KNOWN): S.COMPARING,
    (S.IDENTIFYING, E.IDENTIFIED): S.READING,
    (S.IDENTIFYING, E.STOPPED): S.CLOSING,
    (S.IDENTIFYING, E.ENDED): S.CLOSED,
    (S.IDENTIFYING, E.PARKED): S.CLOSED,
    (S.COMPARING, E.IDENTIFIED): S.READING,
    (S.COMPARING, E.STOPPED): S.CLOSING,
    (S.READING, E.ENDED): S.FINISHING,
    (S.READING, E.STOPPED): S.CLOSING,
    (S.READING, E.PARKED): S.PARKED,
    (S.FINISHING, E.DELIVERED): S.DONE,
    (S.CLOSING, E.DELIVERED): S.CLOSED,
    **{(rest, E.DUE): S.WAITING for rest in (S.DONE, S.CLOSED, S.PARKED)},
    **{(rest, E.LOST): S.MISSING for rest in (S.DONE, S.CLOSED, S.PARKED)},
    (S.MISSING, E.EXPIRED): S.FORGOTTEN,
}
OPEN = frozenset({S.IDENTIFYING, S.COMPARING, S.READING})
DRAINING = frozenset({S.FINISHING, S.CLOSING})


def transition(state: FileState, event: FileEvent) -> FileState:
    """Return the state that an event leads to. Raises KeyError if it cannot happen in this state."""
    return TRANSITIONS[state, event]
