"""The lines of one file as they are sealed: of its leaves in the index, in the order of their offsets, each once."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from indexer.elastic.cluster import Cluster
from indexer.elastic.copies import refreshed
from indexer.errors import Fatal
from indexer.seals.leaves import Chunk

AT_ONCE = 4000
"""Lines looked up in one search (as `verify` does)."""
PORTION_BYTES = 5 * 1024 * 1024
"""Bytes that lie between the first and the last of them, about."""
_OFFSET = 6
"""Bytes of the offset in a place."""


class NothingSealed(Fatal):
    """No leaf names that file."""

    sentence = "Nothing of {file} is sealed in {index}."
    hint = "Give a generation (8 hexadecimal digits), or a path as the leaves name it."


class SeveralFiles(Fatal):
    """A path had several files, one after the other."""

    sentence = "{path} was the name of several files: {files}."
    hint = "Give one of these generations with --file."


class SealedLine(NamedTuple):
    """A line as a leaf has it."""

    place: bytes
    """Offset and checksum."""
    digest: bytes
    complete: bool
    """Its line end lies within the leaf."""

    @property
    def offset(self) -> int:
        """Of its first byte."""
        return int.from_bytes(self.place[:_OFFSET])

    @property
    def checksum(self) -> int:
        """CRC-32 of all its bytes except LF."""
        return int.from_bytes(self.place[_OFFSET:])


def generation_of(cluster: Cluster, file: str) -> str:
    """The generation that is meant. Raises NothingSealed, SeveralFiles."""
    index = cluster.connection.seals
    spans = {
        "from": {"min": {"field": "from"}},
        "to": {"max": {"field": "to"}},
        "last": {"max": {"field": "sealed"}},
    }
    answer = cluster.client.search(
        index=index,
        ignore_unavailable=True,
        size=0,
        query={"bool": {"should": [{"term": {"file": file.lower()}}, {"term": {"path": file}}]}},
        aggs={"files": {"terms": {"field": "file", "size": 1000, "order": {"last": "asc"}}, "aggs": spans}},
        **refreshed(cluster),
    )
    buckets = answer.get("aggregations", {}).get("files", {}).get("buckets", [])
    if not buckets:
        raise NothingSealed(file=file, index=index)
    if len(buckets) > 1:
        files = ", ".join(
            f"{it['key']} (bytes {it['from']['value']:.0f} to {it['to']['value']:.0f}, last sealed {it['last']['value_as_string']})"
            for it in buckets
        )
        raise SeveralFiles(path=file, files=files)
    return str(buckets[0]["key"])


class SealedFile:
    """The leaves of one file, in the order of their first byte, as lines in the order of offsets."""

    def __init__(self, chunks: Iterable[Chunk]) -> None:
        self._chunks = chunks
        self.end = 0
        """Behind the last byte that is sealed."""
        self.path = ""
        self._lost: list[tuple[int, int]] = []

    def lines(self) -> Iterator[SealedLine]:
        """Each line once. Held are those that may stand behind a line of the next leaf."""
        held: dict[bytes, SealedLine] = {}
        for chunk in self._chunks:
            yield from _taken(held, chunk.start)
            self.end = max(self.end, chunk.end)
            self.path = chunk.path
            if chunk.lines is None:
                self._lost.append((chunk.start, chunk.end))
            for place, digest in chunk.lines or ():
                line = SealedLine(place, digest, int.from_bytes(place[:_OFFSET]) < chunk.end)
                if place not in held or line.complete:
                    held[place] = line
        yield from _taken(held, None)

    def lost(self, start: int, end: int) -> bool:
        """Tell whether digests between two offsets were lost, as far as it is read."""
        return any(since < end and start < until for since, until in self._lost)


def _taken(held: dict[bytes, SealedLine], before: int | None) -> list[SealedLine]:
    """Take out the lines that start before an offset, or all, in order."""
    ready = sorted(place for place, line in held.items() if before is None or line.offset < before)
    return [held.pop(place) for place in ready]


def in_portions(lines: Iterable[SealedLine]) -> Iterator[list[SealedLine]]:
    """Some lines at a time; those that start at the same byte together."""
    portion: list[SealedLine] = []
    for line in lines:
        full = portion and (len(portion) >= AT_ONCE or line.offset - portion[0].offset >= PORTION_BYTES)
        if full and line.offset != portion[-1].offset:
            yield portion
            portion = []
        portion.append(line)
    if portion:
        yield portion
