"""What reading hands to writing, and what writing hands back: plain values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from indexer.reading.entries import Entries


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a file: the start of a line, and checksums of what is before it."""

    offset: int = 0
    tail: int = 0
    """Checksum of the `identity.TAIL` bytes before the offset."""
    digest: int | None = 0
    """Checksum of the ids of all lines before the offset; None if it is not known."""


START = Place()


@dataclass(frozen=True, slots=True)
class AckPosition:
    """The end of a batch, to be handed back to the reader once the batch is delivered."""

    log: int
    """The number of the log."""
    end: Place
    """What is delivered then."""
    size: int
    """Bytes of the batch's lines in the log."""
    blank: int
    """Number of blank lines."""
    too_long: int
    """Number of lines that were handed over in fragments."""


@dataclass(frozen=True, slots=True)
class OversizedFragment:
    """A part of a line longer than the limit. It goes to the dead letters as it is read."""

    file: str
    name: str
    """Unique to the line and the log: the same for all fragments of the line."""
    start: int
    data: bytes
    first: bool
    id: str | None
    """The line's id, known with the last fragment."""


@dataclass(frozen=True, slots=True)
class ReadBatch:
    """Consecutive lines of one file."""

    position: AckPosition
    file: str
    generation: int
    """The first part of the lines' ids."""
    entries: Entries
    fragments: Sequence[OversizedFragment]
    final: bool
    """The lines are complete, or the last of a file that no longer grows."""


class Spool(Protocol):
    """Takes the lines longer than the limit."""

    def room(self) -> int:
        """Bytes that can be stored now."""

    def discard(self, name: str) -> None:
        """Remove the fragments of an incomplete line. Raises OSError."""
