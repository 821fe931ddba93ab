"""`indexer export`: a sealed log rebuilt from the index, line by line in the order of offsets, each held against its digest.

What is known of a line is its entry, the offset of its first byte and the checksum of all its bytes. So it is known whether it
ended in CR or began with a byte order mark; it is not known what other bytes stood before an entry or in blank lines. Where every
line follows the one before after a single LF, the result is the log, byte for byte.
"""

import os
import threading
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from indexer.elastic.client import connect
from indexer.elastic.cluster import Cluster, connected
from indexer.errors import Fatal, Stopped
from indexer.seals import lookup
from indexer.seals.leaves import Chunk
from indexer.seals.lines import digest_of
from indexer.settings import Connection
from indexer.show import Table
from indexer.verify.by_id import Documents

AT_ONCE = 4000
"""Lines looked up in one search (as `verify` does)."""
EXPECTS = 64 * 1024 * 1024
"""Bytes to allow for an answer."""
SHOWN = 10
"""How many gaps are listed."""
UNKNOWN = -1
"""An offset that is not known."""
BETWEEN = "blank lines, or bytes that are not sealed"
OVERLAP = "lines overlap: two files began with the same line"
_OFFSET = 6
"""Bytes of the offset in a place."""
_MARK = b"\xef\xbb\xbf"


class NothingSealed(Fatal):
    """No leaf names that file."""

    sentence = "Nothing of {file} is sealed in {index}."
    hint = "Give a generation (8 hexadecimal digits), or a path as the leaves name it."


class SeveralFiles(Fatal):
    """A path had several files, one after the other."""

    sentence = "{path} was the name of several files: {files}."
    hint = "Give one of these generations with --file."


class CannotWrite(Fatal):
    """The output cannot be written."""

    sentence = "Cannot write {path}: {reason}."
    hint = "Give another file with --out."


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


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes of the log that are not in the export."""

    start: int
    end: int | None
    """None if it is not known."""
    reason: str


@dataclass(slots=True)
class Export:
    """The result."""

    file: str
    """The generation."""
    path: str
    out: Path
    lines: int = 0
    bytes: int = 0
    gaps: int = 0
    first: list[Gap] = field(default_factory=list)
    """The first SHOWN of them."""
    byte_for_byte: bool = True
    """It is the log as it was sealed, byte for byte."""

    def gap(self, start: int, end: int | None, reason: str) -> None:
        """Note bytes that are not known."""
        self.gaps += 1
        self.byte_for_byte = False
        if len(self.first) < SHOWN:
            self.first.append(Gap(start, end, reason))

    def tables(self) -> Iterable[Table]:
        """For people to read."""
        rows = (
            ("lines", self.lines),
            ("bytes", self.bytes),
            ("byte for byte the log", self.byte_for_byte),
            ("gaps", self.gaps),
        )
        yield Table(f"{self.path} (generation {self.file}) in {self.out}", ("What", "Value"), rows, "")
        if self.first:
            gaps = tuple((gap.start, gap.end, gap.reason) for gap in self.first)
            yield Table(f"The first {SHOWN} gaps", ("From", "To", "Reason"), gaps, "")


def export(connection: Connection, file: str, out: Path, stop: threading.Event) -> Export:
    """Write a sealed log to a new file, or over an old one. Raises NothingSealed, SeveralFiles, CannotWrite, Stopped, Fatal."""
    with (
        connected(connection, expects=EXPECTS) as cluster,
        connect(connection, raw=True, expects=EXPECTS) as raw,
    ):
        lookup.refresh(cluster)
        generation = _generation(cluster, file)
        chunks = _Chunks(found.chunk for found in lookup.leaves_of(cluster, generation))
        try:
            with out.open("wb") as target:
                writer = _Writer(Documents(cluster, raw), target, Export(generation, file, out))
                for some in _portions(chunks.lines()):
                    if stop.is_set():
                        raise Stopped
                    writer.write(some)
                writer.end(chunks)
                target.flush()
                os.fsync(target.fileno())
        except OSError as error:
            raise CannotWrite(path=out, reason=error.strerror or error) from None
    return writer.done


def _generation(cluster: Cluster, file: str) -> str:
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
        allow_partial_search_results=False,
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


class _Chunks:
    """The leaves of one file, in the order of their first byte, as lines in the order of offsets."""

    def __init__(self, chunks: Iterable[Chunk]) -> None:
        self._chunks = chunks
        self.end = 0
        """Behind the last byte that is sealed."""
        self.path = ""
        self.lost: list[tuple[int, int]] = []

    def lines(self) -> Iterator[SealedLine]:
        """Each line once. Held are those that may stand behind a line of the next leaf."""
        held: dict[bytes, SealedLine] = {}
        for chunk in self._chunks:
            yield from _taken(held, chunk.start)
            self.end = max(self.end, chunk.end)
            self.path = chunk.path
            if chunk.lines is None:
                self.lost.append((chunk.start, chunk.end))
            for place, digest in chunk.lines or ():
                line = SealedLine(place, digest, int.from_bytes(place[:_OFFSET]) < chunk.end)
                if place not in held or line.complete:
                    held[place] = line
        yield from _taken(held, None)


def _taken(held: dict[bytes, SealedLine], before: int | None) -> list[SealedLine]:
    """Take out the lines that start before an offset, or all, in order."""
    ready = sorted(place for place, line in held.items() if before is None or line.offset < before)
    return [held.pop(place) for place in ready]


def _portions(lines: Iterable[SealedLine]) -> Iterator[list[SealedLine]]:
    """Some lines at a time; those that start at the same byte together."""
    portion: list[SealedLine] = []
    for line in lines:
        if len(portion) >= AT_ONCE and line.offset != portion[-1].offset:
            yield portion
            portion = []
        portion.append(line)
    if portion:
        yield portion


class _Writer:
    """Writes lines in order, and notes what is not known between them."""

    def __init__(self, documents: Documents, target: BinaryIO, done: Export) -> None:
        self._documents = documents
        self._target = target
        self._at = 0
        """Where the next line starts in the log, if nothing is missing."""
        self._open = False
        """The last line has no line end yet."""
        self.done = done

    def write(self, lines: list[SealedLine]) -> None:
        """Write some lines. Raises OSError, and what the client raises."""
        found = self._looked_up(lines)
        for number, line in enumerate(lines):
            entry = found.get(line.place)
            if line.place not in found:
                self._gone(line, "the line is sealed, and not in the index")
                continue
            if entry is None:
                self._gone(line, "the line is sealed with other bytes than the index holds")
                continue
            follows = lines[number + 1] if number + 1 < len(lines) else None
            if not line.complete and follows and follows.offset == line.offset:
                continue  # the beginning of a line that was read again when it had its end
            self._add(line, entry)

    def _looked_up(self, lines: list[SealedLine]) -> dict[bytes, bytes | None]:
        """The bytes of each line by its place; None if they are others than were sealed. Raises what the client raises."""
        generation = self.done.file.encode()
        wanted = {generation + line.place.hex().encode(): line for line in lines}
        found: dict[bytes, bytes | None] = {}
        for look in (self._documents.entries, self._documents.rejected):
            left = [identity for identity, line in wanted.items() if not found.get(line.place)]
            for document in look(left):
                line = wanted[document.id]
                same = digest_of(document.data) == line.digest
                found[line.place] = document.data if same else found.get(line.place)
        return found

    def _gone(self, line: SealedLine, reason: str) -> None:
        self.done.gap(line.offset, None, reason)
        self._at = UNKNOWN

    def _add(self, line: SealedLine, entry: bytes) -> None:
        whole = _whole(entry, line.checksum)
        if self._at not in {UNKNOWN, line.offset}:
            self.done.gap(self._at, line.offset, BETWEEN if self._at < line.offset else OVERLAP)
        if whole is None:
            self.done.gap(line.offset, None, "bytes before the entry are not kept")
        if self._open:
            self._put(b"\n")
        self._put(whole or entry)
        self._open = True
        self.done.lines += 1
        self._at = UNKNOWN if whole is None else line.offset + len(whole) + 1

    def end(self, chunks: _Chunks) -> None:
        """Write the last line end, if it was read, and note what is lost. Raises OSError."""
        self.done.path = chunks.path
        if self._open and (self._at == UNKNOWN or self._at <= chunks.end):
            self._put(b"\n")
        if UNKNOWN < self._at < chunks.end:
            self.done.gap(self._at, chunks.end, BETWEEN)
        for start, end in chunks.lost:
            self.done.gap(start, end, "their digests were lost before they could be sealed")

    def _put(self, data: bytes) -> None:
        self._target.write(data)
        self.done.bytes += len(data)


def _whole(entry: bytes, checksum: int) -> bytes | None:
    """The line that an entry was in, without its LF: the one with its checksum; None if it had other bytes that are not kept."""
    candidates = (entry, entry + b"\r", _MARK + entry, _MARK + entry + b"\r")
    return next((line for line in candidates if zlib.crc32(line) == checksum), None)
