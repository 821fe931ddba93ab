"""Lines become entries with ids, or rejections with a reason.

An entry is the line without its line end (LF, or CRs and LF), its bytes unchanged. Nothing is parsed: Elasticsearch
decides whether it is valid JSON, item by item (measured on 7.17.28, 8.19.16 and 9.1.5).

An id is 28 hexadecimal digits. Ids of one file sort by offset and share a prefix:

    generation  8   CRC-32 of the file's first line
    offset     12   of the line's first byte in the file
    checksum    8   CRC-32 of the line

The same bytes at the same offset have the same id in a copy, an archive, a restored file and on another host. Equal lines
at the same offset of files that begin with the same line are one entry.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from zlib import crc32

from indexer.reading.lines import NUL, Lines

ID_LENGTH = 28
OFFSET = slice(8, 20)

DEEPEST = 500
"""Levels of objects and arrays that are sent. 900 of them crash a server of 8.19 or 9.1 with a StackOverflowError
(measured), on every retry."""
SHORTEST_DEEP = 2 * DEEPEST
"""Shortest line that can have more levels, in bytes."""


class Reason(StrEnum):
    """Why the reader rejects a line."""

    NOT_AN_OBJECT = "not_an_object"
    NESTED_TOO_DEEPLY = "nested_too_deeply"
    LINE_TOO_LONG = "line_too_long"


EXPLANATION = {
    Reason.NOT_AN_OBJECT: "the line is no JSON object: it does not begin with {",
    Reason.NESTED_TOO_DEEPLY: "its objects and arrays are nested deeper than Elasticsearch survives (500 levels)",
    Reason.LINE_TOO_LONG: "the line is longer than --max-line-bytes",
}


@dataclass(frozen=True, slots=True)
class Rejection:
    """A line rejected by the reader or by Elasticsearch, with its bytes."""

    id: str
    file: str
    offset: int
    kind: str
    """A `Reason`, or the type of Elasticsearch's error."""
    reason: str
    line: bytes


@dataclass(frozen=True, slots=True)
class Entries:
    """Consecutive lines of one file, as entries and rejections, in order."""

    ids: list[bytes] = field(default_factory=list)
    entries: list[bytes] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    blank: int = 0

    @property
    def lines(self) -> int:
        """Number of lines."""
        return len(self.ids) + len(self.rejections) + self.blank

    def __add__(self, other: "Entries") -> "Entries":
        """Two sequences of lines, one after the other."""
        return Entries(
            self.ids + other.ids,
            self.entries + other.entries,
            self.rejections + other.rejections,
            self.blank + other.blank,
        )


# A byte order mark; NULs, as a writer without O_APPEND leaves them after a copy-truncate; the date and time that
# Zoomdata 2.2 wrote before each object. Spaces before the object belong to the entry: Elasticsearch keeps them.
_BEFORE_OBJECT = re.compile(
    rb"(?:\xef\xbb\xbf)?\0*+(?:\d{4}-\d\d-\d\d[ T]\d\d:\d\d[^{]{0,200}+)?(?=[ \t]*+\{)"
)


def entry_in(line: bytes) -> bytes | Reason | None:
    """Find the entry in a line (without its LF); None if the line is blank."""
    line = line.rstrip(b"\r")  # 7.17 drops a trailing CR, later versions keep it
    before = _BEFORE_OBJECT.match(line)
    if before:
        entry = line[before.end() :]
        return Reason.NESTED_TOO_DEEPLY if nested_too_deeply(entry) else entry
    return Reason.NOT_AN_OBJECT if line.strip(b" \t\r\n\v\f\0\xef\xbb\xbf") else None


_UNSEEN = re.compile(
    rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)'  # a string, or its rest where the line is cut
    rb"|/\*.*?(?:\*/|\Z)|//[^\r\n]*+",  # a comment, which Elasticsearch accepts
    re.DOTALL,
)
"""Where brackets do not count. Each alternative matches to the end of the line at least, so that no byte is scanned twice."""


def nested_too_deeply(line: bytes) -> bool:
    """Tell whether a line nests, or may nest, more than `DEEPEST` objects and arrays."""
    if len(line) <= SHORTEST_DEEP or line.count(b"{") + line.count(b"[") <= DEEPEST:
        return False
    # JSON has NULs in UTF-16 and UTF-32 only, where the byte of a quote may be part of another character.
    if NUL in line:
        return True
    depth = 0
    for bracket in _UNSEEN.sub(b"", line).translate(None, _NO_BRACKETS):
        depth += 1 if bracket in b"{[" else -1
        if depth > DEEPEST:
            return True
    return False


_NO_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))


def entry_id(generation: int, offset: int, checksum: int) -> bytes:
    """The id of a line: its file's generation, its offset and its checksum."""
    return b"%08x%012x%08x" % (generation, offset, checksum)


def offset_of(identity: str) -> int:
    """The line's offset, from its id."""
    return int(identity[OFFSET], 16)


def entries_of(lines: Lines, generation: int, file: str) -> Entries:
    """Turn lines into entries with ids, and rejections."""
    ids: list[bytes] = []
    entries: list[bytes] = []
    rejections: list[Rejection] = []
    blank = 0
    form = b"%08x" % generation + b"%012x%08x"
    offset = lines.start
    for line in lines.lines:
        size = len(line)
        if line[:1] == b"{" and line[-1:] == b"}" and (size <= SHORTEST_DEEP or not nested_too_deeply(line)):
            entry: bytes | Reason | None = line
        else:
            entry = entry_in(line)
        if entry is None:
            blank += 1
        else:
            identity = form % (offset, crc32(line))  # entry_id, without the call
            if isinstance(entry, bytes):
                ids.append(identity)
                entries.append(entry)
            else:
                rejections.append(
                    Rejection(
                        identity.decode(), file, offset, entry, EXPLANATION[entry], line.removesuffix(b"\r")
                    )
                )
        offset += size + 1
    return Entries(ids, entries, rejections, blank)
