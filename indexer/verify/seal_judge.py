"""Sealed lines against the entries found: a decision for each id. Pure; what is on disk or in the cluster comes as values."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import typer

from indexer.seals.leaves import Head, Start
from indexer.seals.lines import DIGEST
from indexer.settings import milliseconds
from indexer.verify.seal_findings import DEFECTS, SHOWN, Finding, Kind
from indexer.verify.seal_logs import INTERVALS, Part, SealLog

Values = Mapping[bytes, Sequence[bytes]]
"""Of each id (14 bytes), values: a digest, and a number of four bytes."""
MOST_UNKNOWN = 10_000
"""Entries without a seal that are remembered, to look at newer seals for them."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry without a seal."""

    id: bytes
    digest: bytes
    index: str

    @property
    def generation(self) -> int:
        """That of its file."""
        return int.from_bytes(self.id[:4])

    @property
    def offset(self) -> int:
        """Where it would be in its file."""
        return int.from_bytes(self.id[4:10])


class Judge:
    """Counts what is compared, part by part; `settle` adds what only the whole tells."""

    def __init__(
        self,
        logs: Mapping[str, SealLog],
        parts: Sequence[Part],
        indices: Collection[str],
        index_of: Callable[[bytes], str],
        locally: Callable[[str], bytes | None],
        now: datetime,
    ) -> None:
        """Take what is sealed, and what can be asked.

        indices   those behind the alias
        index_of  the index of a value that was found
        locally   the digest of a line that is kept as rejected on this machine
        """
        self._logs = logs
        self._parts = parts
        self._indices = indices
        self._index_of = index_of
        self._locally = locally
        self._retention = Retention.of(logs, parts, indices, now)
        self._open = open_ends(logs)
        self._lost: dict[int, list[tuple[int, int]]] = {}
        self._paths: dict[int, str] = {}
        for part in parts:
            self._paths[part.file] = part.path
            if part.lost and self._covered(part):
                self._lost.setdefault(part.file, []).append((part.start, part.end))
        self.counts: Counter[Kind] = Counter()
        self.early: Counter[str] = Counter()
        """Missing lines of each index that was deleted early."""
        self.findings: dict[Kind, list[Finding]] = {kind: [] for kind in DEFECTS}
        self.unknown: list[Entry] = []
        """The first entries without a seal."""
        self._unknown: Counter[str] = Counter()
        self._present: Counter[tuple[str, str]] = Counter()
        """Present lines of each index and seal log."""

    def _covered(self, part: Part) -> bool:
        return part.number < self._logs[part.log].signed

    # ---- each id

    def compare(self, sealed: Values, found: Values, kept: Values) -> None:
        """Judge the ids of one part of all records."""
        for identity, values in sealed.items():
            parts = [self._parts[int.from_bytes(value[DIGEST:])] for value in values]
            if any(map(self._covered, parts)):
                digests = {value[:DIGEST] for value in values}
                self._judge(identity, digests, parts, found.get(identity, ()), kept.get(identity, ()))
            else:
                self._not_sealed(identity, found.get(identity, ()))
        for identity, values in found.items():
            if identity not in sealed:
                self._not_sealed(identity, values)

    def _judge(
        self,
        identity: bytes,
        digests: set[bytes],
        parts: Sequence[Part],
        copies: Sequence[bytes],
        kept: Sequence[bytes],
    ) -> None:
        where = tuple(map(self._index_of, copies))
        if copies:
            kind = Kind.PRESENT if len(copies) == 1 else Kind.DOUBLED
            if not all(value[:DIGEST] in digests for value in copies):
                kind = Kind.DIFFERENT
            self._present[where[0], parts[0].log] += 1
        else:
            kind = self._absent(identity, digests, parts, kept)
            where = tuple(dict.fromkeys(part.index for part in parts if part.index))
        self.counts[kind] += 1
        self._note(kind, identity, where)

    def _absent(
        self, identity: bytes, digests: set[bytes], parts: Sequence[Part], kept: Sequence[bytes]
    ) -> Kind:
        if kept:
            return Kind.REJECTED if any(digest in digests for digest in kept) else Kind.DIFFERENT
        local = self._locally(identity.hex())
        if local is not None:
            return Kind.REJECTED if local in digests else Kind.DIFFERENT
        gone = [part for part in parts if part.index not in self._indices]
        if any(self._retention.passed(part) for part in gone):
            return Kind.EXPIRED
        if gone and gone[0].index:
            self.early[gone[0].index] += 1
        return Kind.MISSING

    def _not_sealed(self, identity: bytes, copies: Sequence[bytes]) -> None:
        for value in copies:
            entry = Entry(identity, value[:DIGEST], self._index_of(value))
            if self._expected(entry):
                self.counts[Kind.UNSEALED] += 1
            else:
                self._unknown[entry.index] += 1
                if len(self.unknown) < MOST_UNKNOWN:
                    self.unknown.append(entry)

    def _expected(self, entry: Entry) -> bool:
        """Whether an entry without a seal lies behind what is sealed, or where digests were lost."""
        if entry.offset >= self._open.get(entry.generation, 2**64):
            return True
        return any(start <= entry.offset < end for start, end in self._lost.get(entry.generation, ()))

    # ---- the whole

    def foreign(self, count: int, named: Sequence[tuple[str, str]]) -> None:
        """Documents of the alias whose id is not that of an entry; some of them by index and id."""
        self.counts[Kind.EXTRA] += count
        self.findings[Kind.EXTRA] += [Finding(Kind.EXTRA, "", 0, it, (index,)) for index, it in named[:SHOWN]]

    def sealed_since(self, digests: Mapping[bytes, bytes], logs: Mapping[str, SealLog]) -> None:
        """Newer seals were read: `digests` are those of remembered entries by id."""
        self._open = open_ends(logs)
        for entry in self.unknown:
            digest = digests.get(entry.id)
            if digest is not None:
                kind = Kind.PRESENT if digest == entry.digest else Kind.DIFFERENT
                self._note(kind, entry.id, (entry.index,))
            elif self._expected(entry):
                kind = Kind.UNSEALED
            else:
                continue
            self.counts[kind] += 1
            self._unknown[entry.index] -= 1
        self.unknown = [it for it in self.unknown if it.id not in digests and not self._expected(it)]

    def settle(self, rejected: str) -> list[str]:
        """Tell entries that are older than the seals from extra ones; return what is wrong with whole indices.

        `rejected` is the index of rejected lines: those that are older than the seals may have been sent again since.
        """
        begin = self._counted()
        problems = [
            f"{count:,} entries of {index} are gone: it was deleted early."
            for index, count in self.early.items()
        ]
        replayed = begin.before.get(rejected, 0) if begin else 0
        for index in sorted({*self._indices, *self._unknown}):
            unknown, allowed = self._unknown[index], self._older(begin, index)
            older = min(unknown, allowed)
            replayed_here = min(replayed, unknown - older)
            replayed -= replayed_here
            self.counts[Kind.BEFORE] += older + replayed_here
            extra = unknown - older - replayed_here
            self.counts[Kind.EXTRA] += extra
            if extra:
                for entry in [it for it in self.unknown if it.index == index][:SHOWN]:
                    self._note(Kind.EXTRA, entry.id, (index,))
            if (lacking := self._lacking(begin, index, unknown)) > 0:
                problems.append(f"{lacking:,} entries of {index} are missing that are older than the seals.")
        return problems

    def _counted(self) -> Start | None:
        """The newest start of a log that has counted what was there."""
        starts = [(log.times[0], log.start) for log in self._logs.values() if log.start and log.start.before]
        return max(starts, key=lambda it: it[0])[1] if starts else None

    def _older(self, begin: Start | None, index: str) -> int:
        """How many entries of an index were there without a seal when that log began."""
        if begin is None:
            return 0
        earlier = [note.partition("\n")[0].rpartition("/")[2] for note in begin.previous]
        return max(0, begin.before.get(index, 0) - sum(self._present[index, log] for log in earlier))

    def _lacking(self, begin: Start | None, index: str, unknown: int) -> int:
        """How many of the entries that were there when that log began are gone, at least.

        Lines that were duplicates may have been among them; so may lines of other logs, which seal them when they want.
        """
        if begin is None:
            return 0
        others = sum(
            count for (where, log), count in self._present.items() if where == index and log != begin.log
        )
        return begin.before.get(index, 0) - unknown - others - sum(part.duplicates for part in self._parts)

    def _note(self, kind: Kind, identity: bytes, where: tuple[str, ...]) -> None:
        if kind not in self.findings or len(self.findings[kind]) >= SHOWN:
            return
        generation = int.from_bytes(identity[:4])
        path = self._paths.get(generation, f"{generation:08x}")
        self.findings[kind].append(Finding(kind, path, int.from_bytes(identity[4:10]), identity.hex(), where))


def open_ends(logs: Mapping[str, SealLog]) -> dict[int, int]:
    """The files that are not read to their end, each with the offset up to which it is sealed."""
    ends: dict[int, int] = {}
    for log in logs.values():
        for file, end in (log.newest[0].open if log.newest else {}).items():
            generation = int(file, 16)
            ends[generation] = max(ends.get(generation, 0), end)
    return ends


@dataclass(frozen=True, slots=True)
class Retention:
    """Whether an index that is gone may be gone."""

    gone_after: Mapping[str, datetime]
    """When each index that is gone may have been deleted, at the earliest; missing if that is not known."""
    retain: timedelta | None
    now: datetime

    @classmethod
    def of(
        cls, logs: Mapping[str, SealLog], parts: Iterable[Part], indices: Collection[str], now: datetime
    ) -> "Retention":
        """That of the newest head. An index is rolled over after its last entry, which is sealed an interval later, at most."""
        newest = max((log.newest for log in logs.values() if log.newest), key=lambda it: it[1], default=None)
        retain = _span(newest[0]) if newest else None
        last: dict[str, datetime] = {}
        for part in parts:
            if part.index not in indices and part.number < logs[part.log].signed:
                last[part.index] = max(last.get(part.index, part.sealed), part.sealed)
        if newest is None or retain is None:
            return cls({}, None, now)
        slack = timedelta(seconds=INTERVALS * newest[0].every)
        return cls({index: sealed + retain - slack for index, sealed in last.items()}, retain, now)

    def passed(self, part: Part) -> bool:
        """Whether the retention of a part's index has passed; of a part without an index, that since it was sealed."""
        if self.retain is None:
            return False
        if not part.index:
            return part.sealed + self.retain <= self.now
        return self.gone_after.get(part.index, self.now + self.retain) <= self.now


def _span(head: Head) -> timedelta | None:
    """The retention, as Elasticsearch writes it; None if it is not known."""
    try:
        return timedelta(milliseconds=milliseconds(head.retain)) if head.retain else None
    except typer.BadParameter:
        return None
