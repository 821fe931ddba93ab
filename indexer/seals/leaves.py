"""Leaves: what is sealed, one JSON object each. The formats stand in mappings/seals.md, field by field."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import orjson

from indexer.seals.lines import Lines

VERSION = 1
FURTHEST = 2**63
"""Larger than any number in a leaf."""
SHOWN = 100
"""Characters of a wrong value that an error names."""
_GENERATION = re.compile(r"[0-9a-f]{8}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)


class Kind(StrEnum):
    """The kinds of documents in the seals index; all but the last are leaves."""

    START = "start"
    LINES = "lines"
    LOST = "lost"
    HEAD = "head"
    CHECKPOINT = "checkpoint"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Lines of one file that were read and delivered together."""

    file: str
    """The generation: 8 hexadecimal digits."""
    path: str
    start: int
    end: int
    """Bytes [start, end) of the file; a last line without line end lies behind `end`."""
    entries: int
    rejected: int
    """Lines that the reader rejected."""
    blank: int
    lines: Lines | None
    """None if their digests could not be kept."""
    duplicates: int = 0
    """Entries that were in an index already."""
    index: str = ""
    """The oldest index that may hold one of them."""

    def joins(self, other: "Chunk") -> bool:
        """Tell whether another chunk goes on where this one ends."""
        return (self.file, self.path, self.index, self.end) == (
            other.file,
            other.path,
            other.index,
            other.start,
        ) and (self.lines is None) == (other.lines is None)

    def __add__(self, other: "Chunk") -> "Chunk":
        return replace(
            self,
            end=other.end,
            entries=self.entries + other.entries,
            rejected=self.rejected + other.rejected,
            blank=self.blank + other.blank,
            duplicates=self.duplicates + other.duplicates,
            lines=self.lines + other.lines if self.lines and other.lines else None,
        )

    def leaf(self, sealed: str) -> bytes:
        """The leaf of these lines."""
        if self.lines is None:
            return _json(
                Kind.LOST, sealed, file=self.file, path=self.path, **{"from": self.start}, to=self.end
            )
        return _json(
            Kind.LINES,
            sealed,
            file=self.file,
            path=self.path,
            **{"from": self.start},
            to=self.end,
            entries=self.entries,
            rejected=self.rejected,
            blank=self.blank,
            duplicates=self.duplicates,
            index=self.index,
            lines=self.lines.blocks,
        )


@dataclass(frozen=True, slots=True)
class Start:
    """The first leaf of a seal log."""

    log: str
    version: str
    alias: str
    reason: str
    before: Mapping[str, int]
    """How many entries each index held before anything was sealed."""
    previous: Sequence[str]
    """The newest checkpoint of each other seal log, a note each."""

    def leaf(self, sealed: str) -> bytes:
        """The leaf."""
        return _json(
            Kind.START,
            sealed,
            log=self.log,
            version=self.version,
            alias=self.alias,
            reason=self.reason,
            before=dict(self.before),
            previous=list(self.previous),
        )


@dataclass(frozen=True, slots=True)
class Head:
    """The last leaf of each sealing."""

    every: int
    """Seconds between sealings."""
    retain: str | None
    """How long an index is kept after it was rolled over, as Elasticsearch writes it; None if that is not known."""
    open: Mapping[str, int]
    """Files that are not read to their end: up to where each is sealed, by generation."""

    def leaf(self, sealed: str) -> bytes:
        """The leaf."""
        return _json(Kind.HEAD, sealed, every=self.every, retain=self.retain, open=dict(self.open))


def checkpoint_document(log: str, size: int, every: int, note: str, sealed: str) -> bytes:
    """The document of a checkpoint; all but the note are copies for dashboards."""
    return _json(Kind.CHECKPOINT, sealed, log=log, size=size, every=every, note=note)


def now() -> str:
    """The time, as leaves have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(kind: Kind, sealed: str, **fields: Any) -> bytes:
    return orjson.dumps({"v": VERSION, "kind": kind.value, **fields, "sealed": sealed})


Leaf = Start | Chunk | Head


def read_leaf(data: bytes) -> tuple[Leaf, str]:
    """Read a leaf, and when it was sealed. Raises ValueError."""
    try:
        stored = orjson.loads(data)
        if stored["v"] != VERSION:
            raise ValueError(f"it is of version {stored['v']!r}, and this program knows version {VERSION}")
        leaf = _READERS[stored["kind"]](stored)
        sealed = _text(stored["sealed"])
        if not _TIME.fullmatch(sealed):
            raise ValueError(f"{sealed[:SHOWN]!r} is not a time of a leaf")
        datetime.fromisoformat(sealed)
    except orjson.JSONDecodeError:
        raise ValueError("it is not JSON") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is not a leaf: {error!r}") from None
    if isinstance(leaf, Chunk) and leaf.lines and leaf.lines.count != leaf.entries + leaf.rejected:
        raise ValueError("its number of lines is wrong")
    return leaf, sealed


def own_chunk(data: bytes) -> Chunk:
    """A chunk from a leaf that this program is known to have written: its lines are taken as they are."""
    stored = orjson.loads(data)
    return _chunk(stored, lambda blocks: Lines(tuple(blocks), stored["entries"] + stored["rejected"]))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{str(value)[:SHOWN]!r} is no text")  # noqa: TRY004 - as for any wrong value
    return value


def _file(value: Any) -> str:
    if not _GENERATION.fullmatch(_text(value)):
        raise ValueError(f"{value[:SHOWN]!r} is not a generation")
    return str(value)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{str(value)[:SHOWN]!r} is no list")  # noqa: TRY004 - as for any wrong value
    return value


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < FURTHEST:
        raise ValueError(f"{str(value)[:SHOWN]!r} is not a number of a leaf")
    return value


def _chunk(stored: dict[str, Any], lines: Callable[[list[str]], Lines] = Lines.parse) -> Chunk:
    return Chunk(
        file=_file(stored["file"]),
        path=_text(stored["path"]),
        start=_number(stored["from"]),
        end=_number(stored["to"]),
        entries=_number(stored.get("entries", 0)),
        rejected=_number(stored.get("rejected", 0)),
        blank=_number(stored.get("blank", 0)),
        lines=lines(_list(stored["lines"])) if stored["kind"] == Kind.LINES else None,
        duplicates=_number(stored.get("duplicates", 0)),
        index=_text(stored.get("index", "")),
    )


def _start(stored: dict[str, Any]) -> Start:
    return Start(
        log=_text(stored["log"]),
        version=_text(stored["version"]),
        alias=_text(stored["alias"]),
        reason=_text(stored["reason"]),
        before={index: _number(count) for index, count in stored["before"].items()},
        previous=list(map(_text, _list(stored["previous"]))),
    )


def _head(stored: dict[str, Any]) -> Head:
    ends = {_file(file): _number(end) for file, end in stored["open"].items()}
    retain = stored["retain"]
    return Head(_number(stored["every"]), None if retain is None else _text(retain), ends)


_READERS: dict[str, Callable[[dict[str, Any]], Leaf]] = {
    Kind.START: _start,
    Kind.LINES: _chunk,
    Kind.LOST: _chunk,
    Kind.HEAD: _head,
}
