"""How lines of the files compare with the index, and the report of `indexer verify`."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple
from zlib import crc32

from indexer.reading.entries import ID_LENGTH, OFFSET, Reason
from indexer.show import Table

SHOWN = 5
"""How many defects of each kind are listed."""
_CHECKSUM = slice(OFFSET.stop, ID_LENGTH)


class Kind(StrEnum):
    """How a line compares with the index."""

    PRESENT = "present"
    """In one index, with the same bytes."""
    MISSING = "missing"
    """Neither in an index nor among the rejected lines."""
    DIFFERENT = "different"
    """Its id is there with other bytes."""
    DOUBLED = "doubled"
    """In more than one index."""
    REJECTED = "rejected"
    """Among the rejected lines, with the same bytes."""
    UNFINISHED = "unfinished"
    """A last line without line end that is not indexed yet: it may be incomplete."""
    EXTRA = "extra"
    """An entry in the index that no file and no seal names; not a line."""


DEFECTS = (Kind.MISSING, Kind.DIFFERENT, Kind.DOUBLED, Kind.EXTRA)


class Held(NamedTuple):
    """A copy of an entry in an index, and whether it has the expected bytes."""

    id: bytes
    where: str
    """The index, or the state directory."""
    same: bool


class Line(NamedTuple):  # one for each line of the files: a tuple is made in half the time of a dataclass
    """A line of a file: an entry, or a line that is expected among the rejected ones."""

    id: bytes
    data: bytes | None
    """None if it is too long for the memory."""
    file: str
    offset: int
    refused: Reason | None
    """Why it is rejected."""
    final: bool
    """It is complete; otherwise it may not have been sent yet."""
    live: bool = False
    """Its file was written lately: it may be in flight."""

    @property
    def checksum(self) -> int:
        """CRC-32 of the whole line, its CR included."""
        return int(self.id[_CHECKSUM], 16)

    def is_same(self, data: bytes) -> bool:
        """Whether an entry has the same bytes; for a line without data, the same checksum."""
        if self.data is not None:
            return data == self.data
        return self.checksum in {crc32(data), crc32(b"\r", crc32(data))}


@dataclass(frozen=True, slots=True)
class Defect:
    """A line that is missing, different or doubled, or an extra entry."""

    kind: Kind
    file: str
    offset: int
    id: str
    where: tuple[str, ...]
    """The indices, or the state directory, with its id."""


def classify(line: Line, copies: Sequence[Held], kept: Sequence[Held]) -> Kind:
    """Compare a line with its copies in the index and among the rejected lines."""
    if copies:
        if not all(one.same for one in copies):
            return Kind.DIFFERENT
        return Kind.PRESENT if len(copies) == 1 else Kind.DOUBLED
    if kept:
        return Kind.REJECTED if any(one.same for one in kept) else Kind.DIFFERENT
    return Kind.MISSING if line.final else Kind.UNFINISHED


@dataclass(frozen=True, slots=True)
class Verification:
    """The result; `read` is the sum of the six kinds of lines."""

    alias: str
    read: int = 0
    """Lines that are not blank."""
    present: int = 0
    missing: int = 0
    different: int = 0
    doubled: int = 0
    rejected: int = 0
    unfinished: int = 0
    extra: int = 0
    """Entries of these files in the index that no file and no seal names; 0 where no seal can tell."""
    repaired: int = 0
    """Missing lines that were indexed, or stored as rejected, now."""
    findings: tuple[Defect, ...] = ()
    """The first SHOWN of each kind."""
    unreadable: dict[str, str] = field(default_factory=dict)
    """Files that could not be read to their end, with the reason."""
    agrees: bool = field(init=False)
    """Every line is in the index or among the rejected lines, once and unchanged, and no entry is extra."""

    def __post_init__(self) -> None:
        wrong = self.different or self.doubled or self.extra or self.unreadable
        whole = self.missing == self.repaired and not wrong
        object.__setattr__(self, "agrees", whole)

    def tables(self) -> Iterable[Table]:
        """For people to read."""
        names = ("read", *Kind, "repaired")
        counts = tuple(
            (str(name), int(getattr(self, name))) for name in names if name != Kind.EXTRA or self.extra
        )
        yield Table(f"Lines of the files compared with {self.alias}", ("What", "Lines"), counts, "")
        if self.findings:
            rows = tuple(
                (f.kind.value, f"{f.file}:{f.offset}", f.id, ", ".join(f.where)) for f in self.findings
            )
            yield Table(f"The first {SHOWN} of each kind", ("What", "File and offset", "Id", "In"), rows, "")
        if self.unreadable:
            yield Table("Not read to the end", ("File", "Reason"), tuple(self.unreadable.items()), "")

    def __add__(self, other: "Verification") -> "Verification":
        return Verification(
            self.alias,
            self.read + other.read,
            self.present + other.present,
            self.missing + other.missing,
            self.different + other.different,
            self.doubled + other.doubled,
            self.rejected + other.rejected,
            self.unfinished + other.unfinished,
            self.extra + other.extra,
            self.repaired + other.repaired,
            _first_few([*self.findings, *other.findings]),
            self.unreadable | other.unreadable,
        )


def report(
    alias: str, judged: Sequence[tuple[Kind, Line]], where: Mapping[bytes, Sequence[Held]], repaired: int
) -> Verification:
    """The result for some lines; `where` has the copies by id."""
    kinds = Counter(kind for kind, _ in judged)
    return Verification(
        alias,
        read=len(judged),
        present=kinds[Kind.PRESENT],
        missing=kinds[Kind.MISSING],
        different=kinds[Kind.DIFFERENT],
        doubled=kinds[Kind.DOUBLED],
        rejected=kinds[Kind.REJECTED],
        unfinished=kinds[Kind.UNFINISHED],
        repaired=repaired,
        findings=_first_few(
            [
                Defect(kind, line.file, line.offset, line.id.decode(), _places(where.get(line.id, ())))
                for kind, line in judged
                if kind in DEFECTS
            ]
        ),
    )


def _places(held: Sequence[Held]) -> tuple[str, ...]:
    return tuple(one.where for one in held)


def _first_few(findings: Sequence[Defect]) -> tuple[Defect, ...]:
    """The first of each kind."""
    return tuple(found for kind in DEFECTS for found in [f for f in findings if f.kind is kind][:SHOWN])
