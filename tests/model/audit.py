"""What has to be true at every step, and what the index has to hold in the end.

At every step: the checkpoint on disk claims no byte that is not delivered, and allows for every byte that is sent. In
the end: every line is where `indexer verify` looks for it: in the alias once and unchanged, or kept as rejected with
its bytes.
"""

import base64
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from indexer.reading.entries import ID_LENGTH, entry_id, entry_in, offset_of
from indexer.reading.identity import FileRecord
from indexer.writing import checkpoint
from tests.fakes import FakeElasticsearch
from tests.faults import Request
from tests.model.zoomdata import Content, Zoomdata

REFUSED = b'{"bad":'
"""How an entry begins that Elasticsearch refuses."""
Outcome = tuple[str, bytes]
"""`entry` or `rejected`, with the bytes."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """How files and index compare, in the words of `indexer verify`."""

    present: int
    rejected: int
    missing: tuple[Outcome, ...]
    unexpected: tuple[Outcome, ...]
    """Doubled, or different from any line that was written."""

    @property
    def agrees(self) -> bool:
        """Every line is where it should be, once and unchanged."""
        return not (self.missing or self.unexpected)


class Audit:
    """Holds what the indexer did against what was written."""

    def __init__(self, zoomdata: Zoomdata, server: FakeElasticsearch, state: Path, longest: int) -> None:
        self.state = state
        self._zoomdata = zoomdata
        self._server = server
        self._longest = longest
        self._sent: set[tuple[int, int]] = set()
        """Generation and offset of what may be under way."""

    # ---- at every step

    def checkpoint(self) -> None:
        """What the checkpoint on disk says is delivered, is."""
        found = checkpoint.read(self.state)
        assert found is not None, "no checkpoint, or a damaged one"
        known = self._delivered_ids()
        self._allows_for_all_that_is_sent(found.files)
        for record in found.files:
            assert record.offset == 0 or any(
                self._is_delivered(record, content, known) for content in self._zoomdata.contents
            ), f"the checkpoint claims what is not delivered: {record}"

    def sending(self, request: Request) -> None:
        """What is sent lies within what the checkpoint on disk allows for."""
        self._sent |= {
            (int(identity[:8], 16), offset_of(identity))
            for identity, _ in request.pairs
            if len(identity) == ID_LENGTH  # no probe
        }
        found = checkpoint.read(self.state)
        self._allows_for_all_that_is_sent(found.files if found else [])

    def _allows_for_all_that_is_sent(self, records: Sequence[FileRecord]) -> None:
        """What was sent, and is not known to be delivered, lies below what the next indexer will ask for."""
        for generation, offset in list(self._sent):
            same = [record for record in records if record.generation == generation]
            if all(offset < record.offset for record in same):
                self._sent.remove((generation, offset))  # delivered, or its file is forgotten
            else:
                assert offset < max(record.reach for record in same), (
                    f"sent, and a crash would forget it: {generation:08x} {offset}"
                )

    def _is_delivered(self, record: FileRecord, content: Content, known: set[str]) -> bool:
        data = bytes(content.data)
        if len(data) < record.offset or zlib.crc32(data[: record.head], record.twin) != record.generation:
            return False
        return all(
            offset >= record.offset
            or self._outcome(line) is None
            or entry_id(record.generation, offset, zlib.crc32(line)).decode() in known
            for offset, line in content.lines()
        )

    # ---- in the end

    def compare(self) -> Comparison:
        """Hold what is in the index, and kept as rejected, against what the files held."""
        least: Counter[Outcome] = Counter()
        most: Counter[Outcome] = Counter()
        for content in self._zoomdata.contents:
            for line, required in self._lines(content):
                outcome = self._outcome(line)
                if outcome is not None:
                    most[outcome] += 1
                    least[outcome] += required
        found = Counter(self._found())
        return Comparison(
            present=sum(count for (kind, _), count in found.items() if kind == "entry"),
            rejected=sum(count for (kind, _), count in found.items() if kind == "rejected"),
            missing=tuple((least - found).elements()),
            unexpected=tuple((found - most).elements()),
        )

    def _lines(self, content: Content) -> Iterator[tuple[bytes, bool]]:
        """Each line that may have been read, and whether it has to have been."""
        complete = dict(content.lines())
        alike = self._shared_with_another(content)
        for offset, line in complete.items():
            yield line, offset not in content.lost and offset >= alike
        final = self._final_tail(content)
        for offset, tail in content.tails | ({final} if final else set()):
            if complete.get(offset) != tail:
                yield tail, (offset, tail) == final and offset >= alike

    def _final_tail(self, content: Content) -> tuple[int, bytes] | None:
        """The last line without line end of a log that was rotated away and is still there."""
        for place in self._zoomdata.places:
            if (
                place.content is content
                and place.length is None
                and not place.live
                and place.path.parent in self._zoomdata.watched
            ):
                offset, tail = content.tail()
                return (offset, tail) if tail else None
        return None

    def _shared_with_another(self, content: Content) -> int:
        """Up to where a content may be taken for another one, by design.

        A file that holds nothing but what another one holds too is that one; and of one that is gone before all of it
        was read, no one can tell whether a file that begins like it goes on where it was.
        """
        shared = 0
        mine = bytes(content.data)
        for other in self._zoomdata.contents:
            if other is content:
                continue
            theirs = bytes(other.data)
            if theirs.startswith(mine):
                shared = max(shared, len(mine) + 1)
            elif other.lost:
                shared = max(shared, _common_lines(mine, theirs))
        return shared

    def _outcome(self, line: bytes) -> Outcome | None:
        if len(line) > self._longest:
            return "rejected", line
        entry = entry_in(line)
        if isinstance(entry, bytes):
            return ("entry" if _is_taken(entry) else "rejected"), entry
        return ("rejected", line.removesuffix(b"\r")) if entry is not None else None

    # ---- what there is

    def _found(self) -> Iterable[Outcome]:
        for index in self._server.behind:
            for source in self._server.documents[index].values():
                yield "entry", source
        for line in (self._kept_in_index() | self._kept_in_files()).values():
            yield "rejected", line

    def _delivered_ids(self) -> set[str]:
        indexed = (self._server.documents[index] for index in self._server.behind)
        return set().union(*indexed, self._kept_in_index(), self._kept_in_files())

    def _kept_in_index(self) -> dict[str, bytes]:
        kept = self._server.documents.get(f"{self._server.alias}-rejected", {})
        return {
            identity: base64.b64decode(orjson.loads(source)["bytes"]) for identity, source in kept.items()
        }

    def _kept_in_files(self) -> dict[str, bytes]:
        described = (self.state / "rejected").glob("*.json")
        return {path.stem: path.with_suffix(".line").read_bytes() for path in described}


def _is_taken(entry: bytes) -> bool:
    """Whether Elasticsearch takes it: an object, and not of those that it has something against."""
    try:
        orjson.loads(entry)
    except ValueError:
        return False
    return not entry.startswith(REFUSED)


def _common_lines(ours: bytes, theirs: bytes) -> int:
    """How many bytes of lines two contents have in common at their beginning."""
    common = 0
    for mine, other in zip(ours.split(b"\n"), theirs.split(b"\n"), strict=False):
        if mine != other:
            break
        common += len(mine) + 1
    return common
