"""Comparing many lines with a whole index: both sides become records, which are compared part by part.

What is in the index once with the same bytes is present. All other lines are left for the lookups, which know what else can
become of a line.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from indexer.reading.batch import ReadBatch
from indexer.reading.entries import OFFSET
from indexer.reading.files import FileFacts
from indexer.seals.lines import DIGEST, digest_of
from indexer.verify.findings import SHOWN, Defect, Kind, Line, Verification
from indexer.verify.found import Found
from indexer.verify.partitions import Records, parts, to_binary

FEW = 20_000
"""Lines that are always looked up: they take a second."""
SCANNED_MEANWHILE = 8
"""Entries that are scanned in the time in which a line is looked up (tests/bench/verify.py)."""
LINE_BYTES = 1000
"""Bytes of a line on average, and of ten lines in an archive."""
MOST_LEFT = 250_000
"""Lines that are left for the lookups; of more, all lines of the files are looked up."""
GENERATION = slice(0, 8)
NO_ENTRY = bytes(DIGEST)
"""Stands for the digest of a line that is not an entry: it is left for the lookups."""

Known = Callable[[Sequence[bytes]], Collection[bytes]]
"""Of some ids, those that a seal names or that no seal can tell of yet."""


def scan_is_faster(found: Iterable[FileFacts], documents: int) -> bool:
    """Whether to scan an index of so many documents for the lines of some files, by their sizes on disk."""
    lines = sum(facts.size * (10 if facts.archive else 1) for facts in found) // LINE_BYTES
    return lines > FEW and lines * SCANNED_MEANWHILE > documents


@dataclass(frozen=True, slots=True)
class Compared:
    """The lines that are present, and those that are left."""

    verification: Verification
    """The lines that are present, and the entries that no file and no seal names."""
    absent: Collection[bytes]
    """Ids of the lines that are left."""
    left: Counter[bytes]
    """Number of lines that are left, by generation."""
    files: Mapping[bytes, str]
    """A file of each generation."""
    vanished: dict[str, str] = field(default_factory=dict)
    """Files in which `select` did not find all lines that are left, with the reason."""

    def select(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Of all lines of the files, those that are left; reads none if none is left."""
        seen: Counter[bytes] = Counter()
        for line in lines if self.left else ():
            if line.id in self.absent:
                seen[line.id[GENERATION]] += 1
                yield line
        for generation, count in (self.left - seen).items():
            self.vanished[self.files[generation]] = (
                f"{count:,} of its lines were gone before they were looked up"
            )


@dataclass(frozen=True, slots=True)
class Expected:
    """The lines of the files. A context manager: the exit deletes the records."""

    records: Records = field(default_factory=lambda: Records(DIGEST))
    files: dict[bytes, str] = field(default_factory=dict)
    """A file of each generation."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.records.close()

    def add(self, batch: ReadBatch) -> None:
        """Add all lines of a batch. Raises NoRoom."""
        entries = batch.entries
        refused = [it.id.encode() for it in entries.rejections]
        refused += [it.id.encode() for it in batch.fragments if it.id is not None]
        ids = entries.ids + refused
        self.records.add(
            to_binary(ids) or b"", [*map(digest_of, entries.entries), *[NO_ENTRY] * len(refused)]
        )
        for identity in ids[:1]:
            self.files[identity[GENERATION]] = batch.file


def compare(
    expected: Expected, found: Found, start: Verification, known: Known | None = None
) -> Compared | None:
    """Compare the lines of the files with what a scan found; None if too many lines are left. Raises NoRoom.

    The result is added to `start`. With `known`, entries of the same generations that are in no file are extra, except
    those that it returns.
    """
    absent: set[bytes] = set()
    left: Counter[bytes] = Counter()
    present = extra = 0
    defects: list[Defect] = []
    for lines, entries in parts(expected.records, found.records):
        for identity, sums in lines.items():
            copies = entries.get(identity, ())
            if len(copies) == 1 and set(sums) == {copies[0][:DIGEST]}:
                present += len(sums)
            else:
                absent.add(name := identity.hex().encode())
                left[name[GENERATION]] += len(sums)
        if len(absent) > MOST_LEFT:
            return None
        if known is not None:
            unexpected = _unexpected(lines, entries, expected.files)
            unknown = unexpected.keys() - known(list(unexpected))
            extra += len(unknown)
            for name in sorted(unknown)[: SHOWN - len(defects)]:
                places = tuple(sorted(map(found.index_of, unexpected[name])))
                file = expected.files[name[GENERATION]]
                defects.append(Defect(Kind.EXTRA, file, int(name[OFFSET], 16), name.decode(), places))
    result = Verification(start.alias, present, present, extra=extra, findings=tuple(defects))
    return Compared(start + result, absent, left, expected.files)


def _unexpected(
    lines: Collection[bytes], entries: Mapping[bytes, Sequence[bytes]], files: Collection[bytes]
) -> dict[bytes, Sequence[bytes]]:
    """Entries of the files' generations that are in no file."""
    named = ((identity.hex().encode(), identity, values) for identity, values in entries.items())
    return {
        name: values
        for name, identity, values in named
        if identity not in lines and name[GENERATION] in files
    }
