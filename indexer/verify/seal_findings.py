"""How the index compares with its seals, and the report of `indexer verify --seals`."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from indexer.show import Cell, Table

SHOWN = 5
"""How many findings of each kind are listed."""


class Kind(StrEnum):
    """How a sealed line or an entry compares with the other side."""

    PRESENT = "present"
    """In one index, with the sealed bytes."""
    REJECTED = "rejected"
    """Among the rejected lines, with the sealed bytes."""
    EXPIRED = "expired"
    """In an index that was deleted after its retention."""
    MISSING = "missing"
    """Sealed, and nowhere."""
    DIFFERENT = "different"
    """Its id is there with other bytes."""
    DOUBLED = "doubled"
    """In more than one index."""
    EXTRA = "extra"
    """In an index and in no seal."""
    UNSEALED = "unsealed"
    """Behind what the newest seal announces: it is sealed next. Or its bytes were lost before they could be sealed."""
    BEFORE = "before_seals"
    """Older than the seals, which have counted it."""


SEALED = (Kind.PRESENT, Kind.REJECTED, Kind.EXPIRED, Kind.MISSING, Kind.DIFFERENT, Kind.DOUBLED)
DEFECTS = (Kind.MISSING, Kind.DIFFERENT, Kind.DOUBLED, Kind.EXTRA)


@dataclass(frozen=True, slots=True)
class Finding:
    """A line or entry that is missing, different, doubled or extra."""

    kind: Kind
    file: str
    """The path that it was read from, or the generation if that is not known."""
    offset: int
    id: str
    where: tuple[str, ...]
    """The indices that hold it, or the one that held it."""


@dataclass(frozen=True, slots=True)
class SealedLog:
    """A seal log, and how far it is signed."""

    log: str
    leaves: int
    checkpoints: int
    sealed: datetime | None
    """When the newest checkpoint was signed."""


@dataclass(frozen=True, slots=True)
class SealVerification:
    """The result; `read` is the sum of the first six."""

    alias: str
    read: int
    """Lines that are sealed."""
    present: int
    rejected: int
    expired: int
    missing: int
    different: int
    doubled: int
    extra: int
    unsealed: int
    before_seals: int
    checkpoints: int
    """Checkpoints that hold."""
    logs: tuple[SealedLog, ...]
    problems: tuple[str, ...]
    """What is wrong with the seals themselves, or with whole indices; sentences."""
    findings: tuple[Finding, ...]
    """The first SHOWN of each kind."""
    agrees: bool = field(init=False)
    """Everything sealed is there, nothing else is, and the seals are sound and recent."""

    def __post_init__(self) -> None:
        defects = self.missing + self.different + self.doubled + self.extra
        object.__setattr__(self, "agrees", not defects and not self.problems and self.checkpoints > 0)

    def tables(self) -> Iterable[Table]:
        """For people to read."""
        rows = [("sealed lines", self.read), *((kind.replace("_", " "), self._count(kind)) for kind in Kind)]
        yield Table(f"The seals compared with {self.alias}", ("What", "Lines"), tuple(rows), "")
        logs = tuple((it.log, it.leaves, it.checkpoints, it.sealed) for it in self.logs)
        columns = ("Seal log", "Leaves", "Checkpoints", "Sealed")
        yield Table("Seals", columns, logs, "None: `indexer run --seal-key-file` makes them.")
        if self.problems:
            yield Table("Problems", ("What",), tuple((it,) for it in self.problems), "")
        if self.findings:
            found: tuple[tuple[Cell, ...], ...] = tuple(
                (it.kind.value, f"{it.file}:{it.offset}", it.id, ", ".join(it.where)) for it in self.findings
            )
            yield Table(f"The first {SHOWN} of each kind", ("What", "File and offset", "Id", "In"), found, "")

    def _count(self, kind: Kind) -> int:
        return int(getattr(self, kind))
