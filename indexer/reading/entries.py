"""A line becomes an entry with an id, or a rejection with its reason.

The entry is the line without LF or CRLF, its bytes untouched. Nothing is parsed: whether it is sound JSON is for
Elasticsearch to judge, which does so item by item (measured on 7.17.28, 8.19.16 and 9.1.5).

An id is 28 hexadecimal digits, sortable, neighbours sharing a prefix:

    generation  8   checksum of the file's first line (and of its twin number, see `identity.py`)
    offset     12   of the line's first byte in the file
    checksum    8   CRC-32 of the line

so that a file has the same ids when it is renamed, moved or compressed, and an id that Elasticsearch knows already
means these very bytes.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from zlib import crc32

from indexer.reading.lines import Lines

ID_LENGTH = 28
OFFSET = slice(8, 20)


class Reason(StrEnum):
    """Why the reader takes a line for no entry."""

    NOT_AN_OBJECT = "not_an_object"
    LINE_TOO_LONG = "line_too_long"


EXPLANATION = {
    Reason.NOT_AN_OBJECT: "the line is no JSON object: it does not begin with {",
    Reason.LINE_TOO_LONG: "the line is longer than --max-line-bytes",
}


@dataclass(frozen=True, slots=True)
class Rejection:
    """A line that is no entry, or an entry that Elasticsearch refuses, with its bytes."""

    id: str
    file: str
    offset: int
    kind: str
    """A `Reason`, or the type of Elasticsearch's error."""
    reason: str
    line: bytes


@dataclass(frozen=True, slots=True)
class Entries:
    """What became of neighbouring lines of one file, in order."""

    ids: list[bytes] = field(default_factory=list)
    entries: list[bytes] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    blank: int = 0

    @property
    def lines(self) -> int:
        """How many lines these were."""
        return len(self.ids) + len(self.rejections) + self.blank

    def __add__(self, other: "Entries") -> "Entries":
        """Two runs of lines, one after the other."""
        return Entries(
            self.ids + other.ids,
            self.entries + other.entries,
            self.rejections + other.rejections,
            self.blank + other.blank,
        )


# A byte order mark; zeros, as a writer without O_APPEND leaves them after a copy-truncate; the date and time that
# Zoomdata 2.2 wrote before each object. Blanks before the object belong to the entry: Elasticsearch keeps them.
_BEFORE_OBJECT = re.compile(rb"(?:\xef\xbb\xbf)?\0*(?:\d{4}-\d\d-\d\d[ T]\d\d:\d\d[^{]{0,200})?(?=[ \t]*\{)")


def entry_in(line: bytes) -> bytes | Reason | None:
    """Find the entry in a line (without its LF); None if the line is blank."""
    line = line.removesuffix(b"\r")
    before = _BEFORE_OBJECT.match(line)
    if before:
        return line[before.end() :]
    return Reason.NOT_AN_OBJECT if line.strip(b" \t\r\n\v\f\0\xef\xbb\xbf") else None


def entry_id(generation: int, offset: int, checksum: int) -> bytes:
    """Make the id of a line from its file's generation, its offset and its own checksum."""
    return b"%08x%012x%08x" % (generation, offset, checksum)


def offset_of(identity: str) -> int:
    """Read the line's offset back from an id."""
    return int(identity[OFFSET], 16)


def entries_of(lines: Lines, generation: int, file: str) -> Entries:
    """Turn lines into entries with ids, and rejections."""
    ids: list[bytes] = []
    entries: list[bytes] = []
    rejections: list[Rejection] = []
    blank = 0
    offset = lines.start
    for line in lines.lines:
        if line[:1] == b"{" and line[-1:] == b"}":
            entry: bytes | Reason | None = line
        else:
            entry = entry_in(line)
        if entry is None:
            blank += 1
        else:
            identity = b"%08x%012x%08x" % (generation, offset, crc32(line))  # entry_id, without the call
            if isinstance(entry, bytes):
                ids.append(identity)
                entries.append(entry)
            else:
                rejections.append(
                    Rejection(
                        identity.decode(), file, offset, entry, EXPLANATION[entry], line.removesuffix(b"\r")
                    )
                )
        offset += len(line) + 1
    return Entries(ids, entries, rejections, blank)
