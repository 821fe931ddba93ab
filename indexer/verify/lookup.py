"""Looking up lines in all indices behind the alias and among the rejected lines."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from elasticsearch import Elasticsearch

from indexer.elastic.cluster import Cluster
from indexer.elastic.failures import InvalidAnswer
from indexer.errors import StateUnusable
from indexer.settings import State
from indexer.verify.by_id import Document, Documents
from indexer.verify.findings import Line
from indexer.verify.hits import Held, read_hits
from indexer.writing.spool import DeadLetterFiles

MOST_HITS = 10_000
"""The limit of one search, by default (Elasticsearch guide, `index.max_result_window`)."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """The indices behind the alias, and the rejected lines. May be used by several threads.

    Each method raises Fatal, or what the client raises.
    """

    cluster: Cluster
    raw: Elasticsearch
    """Returns answers as bytes."""
    state: State

    @property
    def alias(self) -> str:
        """The write alias."""
        return self.cluster.alias

    def refresh(self) -> None:
        """Make indexed entries searchable; without that privilege, unsearchable ones are requested by id."""
        self.cluster.client.options(ignore_status=403).indices.refresh(index=self.alias)

    def entries(self, lines: Sequence[Line]) -> list[Held]:
        """All copies of some entries."""
        if not lines:
            return []
        expected = {line.id: line.data or b"" for line in lines}
        held = None
        with suppress(InvalidAnswer):  # too long, or of an unexpected form: search for fewer
            answer = self.raw.search(
                index=self.alias,
                query=_with_ids(list(expected)),
                size=MOST_HITS,
                sort=["_doc"],
                allow_partial_search_results=False,
            ).body
            held = read_hits(answer, expected)
        if held is None:
            half = len(lines) // 2
            return self.entries(lines[:half]) + self.entries(lines[half:]) if half else self.now(lines)
        seen = {one.id for one in held}
        return held + self.now([line for line in lines if line.id not in seen])

    def now(self, lines: Sequence[Line]) -> list[Held]:
        """All copies of some lines, searchable or not; sends a request for each copy."""
        wanted = {line.id: line for line in lines}
        return [_compared(wanted, found) for found in self._documents.now(list(wanted))]

    def rejected(self, lines: Sequence[Line]) -> list[Held]:
        """What is stored of some lines as rejected. Raises StateUnusable."""
        return [*self._in_files(lines), *self._in_index(lines)]

    def _in_files(self, lines: Sequence[Line]) -> Iterator[Held]:
        directory = self.state.state_dir
        local = DeadLetterFiles(directory)
        try:
            for line in lines:
                identity = line.id.decode()
                checksum = local.checksum(identity)
                if checksum is None:
                    continue
                same = checksum == line.checksum if line.data is None else local.line(identity) == line.data
                yield Held(line.id, str(directory), same)
        except OSError as error:
            raise StateUnusable(path=directory, reason=error.strerror or error) from None

    def _in_index(self, lines: Sequence[Line]) -> Iterator[Held]:
        short = {line.id: line for line in lines if line.data is not None}
        for found in self._documents.rejected(list(short)):
            yield _compared(short, found)

    @property
    def _documents(self) -> Documents:
        return Documents(self.cluster, self.raw)


def _compared(lines: Mapping[bytes, Line], found: Document) -> Held:
    return Held(found.id, found.where, lines[found.id].is_same(found.data))


def _with_ids(ids: Sequence[bytes]) -> dict[str, object]:
    return {"ids": {"values": [identity.decode() for identity in ids]}}
