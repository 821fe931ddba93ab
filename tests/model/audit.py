"""What has to be true at every step, and what the index has to hold in the end.

At every step: a checkpoint on disk claims no line that is not delivered. In the end: each line that stands in a file, and
each that a living indexer could read, is behind the alias once and unchanged, or kept as rejected with its bytes; and
there is nothing else. There are no exceptions but one: an administrator may delete an index with all that it holds.

A line is its file's first line, its offset and its bytes; that the ids say just this is a part of what is tested.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import orjson

from indexer.reading.entries import entry_in
from indexer.reading.identity import FileRecord
from indexer.writing import checkpoint
from tests.support.fakes import FakeElasticsearch

REFUSED = b'{"bad":'
"""How an entry begins that Elasticsearch refuses."""
HEAD = 40
"""Bytes of a first line that count; in the indexer it is set to the same."""
Outcome = tuple[str, bytes]
"""`entry` or `rejected`, with the bytes."""
Ids = dict[str, Outcome]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How files and index compare."""

    missing: Ids
    unexpected: dict[str, bytes]
    """What no file ever held, or other bytes than it held."""
    twice: list[str]

    @property
    def agrees(self) -> bool:
        """Every line is where it should be, once and unchanged."""
        return not (self.missing or self.unexpected or self.twice)


class Audit:
    """Holds what the indexers did against what was written."""

    def __init__(self, server: FakeElasticsearch, longest: int) -> None:
        self.states: set[Path] = set()
        """The state directories that there have been."""
        self._server = server
        self._longest = longest
        self._held: Ids = {}
        """All lines that any file has held."""
        self._versions: dict[bytes, list[tuple[int, str]]] = {}
        """What any file has held: offsets and ids."""
        self._finals: set[bytes] = set()
        self.deleted: set[str] = set()
        """What was in an index that is deleted."""

    # ---- what happens

    def note(self, data: bytes, final: bool) -> None:  # noqa: FBT001 - a fact
        """A file holds this now."""
        if data not in self._versions:
            self._versions[data] = [(int(one[8:20], 16), one) for one in self.ids(data, final=False)]
            self._held |= self.ids(data, final=False)
        if final and data not in self._finals:
            self._finals.add(data)
            self._held |= self.ids(data, final=True)

    def delete(self, index: str) -> None:
        """An administrator deletes an index."""
        self.deleted |= set(self._server.documents[index])
        self._server.delete(index)

    def ids(self, data: bytes, *, final: bool) -> Ids:
        """The ids of all lines, with what has to become of them; with `final`, of a last one without line end too."""
        lines = data.split(b"\n")
        tail = lines.pop()
        if final:
            lines.append(tail)
        start = data[:HEAD]
        end = start.find(b"\n", len(start) - len(start.lstrip(b"\r\n")))
        generation = crc32(start[:end] if end >= 0 else start)
        found: Ids = {}
        offset = 0
        for line in lines:
            outcome = self._outcome(line)
            if outcome is not None:
                found[f"{generation:08x}{offset:012x}{crc32(line):08x}"] = outcome
            offset += len(line) + 1
        return found

    def _outcome(self, line: bytes) -> Outcome | None:
        if len(line) > self._longest:
            return "rejected", line
        entry = entry_in(line)
        if isinstance(entry, bytes):
            return ("entry" if _is_taken(entry) else "rejected"), entry
        return ("rejected", line.removesuffix(b"\r")) if entry is not None else None

    # ---- at every step

    def checkpoint(self, state: Path) -> None:
        """What the checkpoint on disk says is delivered, is."""
        found = checkpoint.read(state)
        assert found is not None, "no checkpoint, or a damaged one"
        known = {one for index in self._server.behind for one in self._server.documents[index]}
        known |= self.deleted | set(self.kept())
        for record in found.files:
            assert record.offset == 0 or self._is_delivered(record, known), (
                f"the checkpoint claims what is not delivered: {record}"
            )

    def _is_delivered(self, record: FileRecord, known: set[str]) -> bool:
        return any(
            len(data) >= record.offset
            and crc32(data[: record.head]) == record.generation
            and all(offset >= record.offset or identity in known for offset, identity in ids)
            for data, ids in self._versions.items()
        )

    # ---- in the end

    def compare(self, required: Ids) -> Comparison:
        """Hold what is in the index, and kept as rejected, against what the files held."""
        entries = {identity: source for _, identity, source in self._server.holdings()}
        kept = self.kept()
        found = {identity: ("entry", source) for identity, source in entries.items()}
        found |= {identity: ("rejected", line) for identity, line in kept.items() if identity not in entries}
        return Comparison(
            missing={
                identity: outcome
                for identity, outcome in required.items()
                if found.get(identity) != outcome and identity not in self.deleted
            },
            unexpected={
                identity: outcome[1]
                for identity, outcome in found.items()
                if self._held.get(identity) != outcome
            },
            twice=[*self._server.twice, *(entries.keys() & kept.keys())],
        )

    def kept(self) -> dict[str, bytes]:
        """The lines that are kept as rejected."""
        stored = self._server.documents.get(f"{self._server.alias}-rejected", {})
        found = {
            identity: base64.b64decode(orjson.loads(source)["bytes"]) for identity, source in stored.items()
        }
        return found | dict(self._in_files())

    def _in_files(self) -> Iterator[tuple[str, bytes]]:
        for state in self.states:
            for path in (state / "rejected").glob("*.json"):
                yield path.stem, path.with_suffix(".line").read_bytes()


def _is_taken(entry: bytes) -> bool:
    """Whether Elasticsearch takes it: an object, and not of those that it has something against."""
    try:
        orjson.loads(entry)
    except ValueError:
        return False
    return not entry.startswith(REFUSED)
