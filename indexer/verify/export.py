"""`indexer export`: a sealed log rebuilt from the index, line by line in the order of offsets, each held against its digest.

What is known of a line is its entry, the offset of its first byte and the checksum of all its bytes. So it is known whether it
ended in CR or began with a byte order mark; it is not known what other bytes stood before an entry or in blank lines. Where every
line follows the one before after a single LF, the result is the log, byte for byte.
"""

import os
import threading
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

from indexer.elastic.client import connect
from indexer.elastic.cluster import connected
from indexer.errors import Fatal, Stopped
from indexer.seals import lookup
from indexer.seals.lines import digest_of
from indexer.settings import Connection
from indexer.show import Table
from indexer.verify.by_id import Documents
from indexer.verify.sealed_lines import SealedFile, SealedLine, generation_of, in_portions

SHOWN = 10
"""How many gaps are listed."""
UNKNOWN = -1
"""An offset that is not known."""
BETWEEN = "blank lines, or bytes that are not sealed"
LOST = "their digests were lost before they could be sealed"
OVERLAP = "lines overlap: two files began with the same line"
_MARK = b"\xef\xbb\xbf"


class CannotWrite(Fatal):
    """The output cannot be written."""

    sentence = "Cannot write {path}: {reason}."
    hint = "Give another file with --out."


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes of the log that are not in the export."""

    start: int
    end: int | None
    """None if it is not known."""
    reason: str


@dataclass(frozen=True, slots=True)
class Export:
    """The result."""

    file: str
    """The generation."""
    path: str
    out: Path
    lines: int
    bytes: int
    gaps: int
    first: tuple[Gap, ...]
    """The first SHOWN of them."""
    byte_for_byte: bool
    """It is the log as it was sealed, byte for byte."""

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
        connected(connection, expects=lookup.EXPECTS) as cluster,
        connect(connection, raw=True, expects=lookup.EXPECTS) as raw,
    ):
        lookup.refresh(cluster)
        generation = generation_of(cluster, file)
        sealed = SealedFile(found.chunk for found in lookup.leaves_of(cluster, generation))
        try:
            with out.open("wb") as target:
                writer = _Writer(generation, sealed, Documents(cluster, raw), target)
                for some in in_portions(sealed.lines()):
                    if stop.is_set():
                        raise Stopped
                    writer.write(some)
                writer.end()
                target.flush()
                os.fsync(target.fileno())
        except OSError as error:
            raise CannotWrite(path=out, reason=error.strerror or error) from None
    return writer.result(out)


class _Writer:
    """Writes lines in order, and notes what is not known between them."""

    def __init__(self, generation: str, file: SealedFile, documents: Documents, target: BinaryIO) -> None:
        self._generation = generation
        self._file = file
        self._documents = documents
        self._target = target
        self._at = 0
        """Where the next line starts in the log, if nothing is missing."""
        self._open = False
        """The last line has no line end yet."""
        self._lines = self._bytes = self._gaps = 0
        self._first: list[Gap] = []

    def write(self, lines: list[SealedLine]) -> None:
        """Write some lines. Raises OSError, and what the client raises."""
        found = self._looked_up(lines)
        for _, same in groupby(lines, key=lambda line: line.offset):
            for line in _whole_lines(list(same), found):
                entry = found.get(line.place)
                if entry is not None:
                    self._add(line, entry)
                elif line.place in found:
                    self._gone(line, "the line is sealed with other bytes than the index holds")
                else:
                    self._gone(line, "the line is sealed, and not in the index")

    def _looked_up(self, lines: list[SealedLine]) -> dict[bytes, bytes | None]:
        """The bytes of each line by its place; None if they are others than were sealed. Raises what the client raises."""
        generation = self._generation.encode()
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
        self._gap(line.offset, None, reason)
        self._at = UNKNOWN

    def _add(self, line: SealedLine, entry: bytes) -> None:
        whole = _whole(entry, line.checksum)
        if self._at not in {UNKNOWN, line.offset}:
            self._between(line.offset)
        if whole is None:
            self._gap(line.offset, None, "bytes before the entry are not kept")
        if self._open:
            self._put(b"\n")
        self._put(whole or entry)
        self._open = True
        self._lines += 1
        self._at = UNKNOWN if whole is None else line.offset + len(whole) + 1

    def end(self) -> None:
        """Write the last line end, if it was read. Raises OSError."""
        if self._open and (self._at == UNKNOWN or self._at <= self._file.end):
            self._put(b"\n")
        if UNKNOWN < self._at < self._file.end:
            self._between(self._file.end)

    def result(self, out: Path) -> Export:
        """What was written to `out`."""
        first, path = tuple(self._first), self._file.path
        return Export(
            self._generation, path, out, self._lines, self._bytes, self._gaps, first, not self._gaps
        )

    def _between(self, end: int) -> None:
        """Note that the bytes up to an offset are not known."""
        if self._at > end:
            self._gap(self._at, end, OVERLAP)
        else:
            self._gap(self._at, end, LOST if self._file.lost(self._at, end) else BETWEEN)

    def _gap(self, start: int, end: int | None, reason: str) -> None:
        self._gaps += 1
        if len(self._first) < SHOWN:
            self._first.append(Gap(start, end, reason))

    def _put(self, data: bytes) -> None:
        self._target.write(data)
        self._bytes += len(data)


def _whole_lines(lines: Sequence[SealedLine], found: Mapping[bytes, bytes | None]) -> Sequence[SealedLine]:
    """Of lines that start at one byte, those that had their end; else the longest: it was read again as it grew."""
    complete = [line for line in lines if line.complete]
    return complete or [max(lines, key=lambda line: len(found.get(line.place) or b""))]


def _whole(entry: bytes, checksum: int) -> bytes | None:
    """The line that an entry was in, without its LF: the one with its checksum; None if it had other bytes that are not kept."""
    candidates = (entry, entry + b"\r", _MARK + entry, _MARK + entry + b"\r")
    return next((line for line in candidates if zlib.crc32(line) == checksum), None)
