"""Under which generation the index knows each file.

Files that begin with the same line are told apart by a twin number, given in the order in which the indexer met them;
`indexer verify` meets them in another order, and may not be given all of them. So some lines of each file are looked
up under every twin number, and the number under which most of them are known is the file's. No two files share one.
"""

import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

from indexer.reading.entries import entry_id, entry_in
from indexer.reading.files import FileFacts
from indexer.reading.identity import FileRecord
from indexer.reading.log import BLOCK
from indexer.reading.windows import PlainFile, open_log

TWINS = 256
"""So many files that begin alike are told apart."""
PLACES = 8
PROBES = 16
"""Lines of a file that are looked up, from so many places: files that begin alike may go on alike for long."""

Known = Callable[[Sequence[bytes]], set[bytes]]
"""Tells which of some ids the index has."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file, and what it may be known by."""

    own: int
    """The generation that it was given when it was opened."""
    family: int
    """The same for all files that begin with the same line."""
    generations: tuple[int, ...]
    """All that it may have, its own first."""
    probes: tuple[bytes, ...]
    """Some lines: what follows the generation in their ids."""

    def score(self, known: Known) -> Counter[int]:
        """Count the probes that the index knows, under each generation."""
        return Counter(int(identity[:8], 16) for identity in known(self._ids(self.generations)))

    def is_known(self, known: Known) -> bool:
        """Tell whether the index knows all of its probes under its own generation."""
        return len(known(self._ids([self.own]))) == len(self.probes)

    def _ids(self, generations: Sequence[int]) -> list[bytes]:
        return [b"%08x%b" % (generation, probe) for generation in generations for probe in self.probes]


def assign(records: Sequence[FileRecord], known: Known) -> dict[int, int]:
    """Map the generation in each file's record to the one under which the index knows the file.

    Files of which the index knows nothing keep theirs, or get one that is free. Raises what `known` raises.
    """
    families: dict[int, list[Candidate]] = {}
    for record in records:
        candidate = _candidate(record)
        families.setdefault(candidate.family, []).append(candidate)
    assigned: dict[int, int] = {}
    for members in families.values():
        if len(members) > 1 or not members[0].is_known(known):
            assigned |= _share_out(members, [member.score(known) for member in members])
    return {record.generation: assigned.get(record.generation, record.generation) for record in records}


def _share_out(members: Sequence[Candidate], scores: Sequence[Counter[int]]) -> dict[int, int]:
    """Give each file a generation of its own: the best known first, of those equally well known its own."""
    pairs = sorted(
        (-score[generation], rank, member.own, generation)
        for member, score in zip(members, scores, strict=True)
        for rank, generation in enumerate(member.generations)
    )
    assigned: dict[int, int] = {}
    taken: set[int] = set()
    for _, _, own, generation in pairs:
        if own not in assigned and generation not in taken:
            assigned[own] = generation
            taken.add(generation)
    return assigned


def _candidate(record: FileRecord) -> Candidate:
    own = record.generation
    try:
        with closing(open_log(FileFacts(record.path, *record.key, 0, 0))) as window:
            head = window.read_at(0, record.head)
            probes = tuple(islice(_probes(window), PROBES))
    except OSError:  # it is gone, and read through the descriptor that is still open
        return Candidate(own, own, (own,), ())
    twins = [zlib.crc32(head, twin) for twin in range(TWINS)]
    return Candidate(own, twins[0], tuple(dict.fromkeys([own, *twins])), probes)


def _probes(window: PlainFile) -> Iterator[bytes]:
    """Look at two complete lines in each of some places, spread over the file."""
    size = window.status().st_size  # of an archive the compressed one: there are more places then
    stride = max(BLOCK, size if window.sequential else size // PLACES)
    at = 0
    while block := window.read_at(at, BLOCK):
        lines = block.partition(b"\n")[2] if at else block
        offset = at + len(block) - len(lines)
        for line in lines.split(b"\n", PROBES // PLACES)[:-1]:
            if entry_in(line) is not None:
                yield entry_id(0, offset, zlib.crc32(line))[8:]
            offset += len(line) + 1
        at += stride
