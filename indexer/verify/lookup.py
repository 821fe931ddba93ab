"""Looking lines up: in all indices behind the alias, and where rejected lines are kept."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import elasticsearch
from elasticsearch import Elasticsearch

from indexer.elastic.alias import backing
from indexer.elastic.cluster import Cluster
from indexer.elastic.failures import InvalidAnswer
from indexer.errors import Fatal, StateUnusable
from indexer.settings import State
from indexer.verify.findings import Line
from indexer.verify.hits import Held, read_hits
from indexer.writing.spool import DeadLetterFiles
from indexer.writing.target import GONE, IndexUnavailable, delivered

MOST_HITS = 10_000
"""Of one search, by default (Elasticsearch guide, `index.max_result_window`)."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """The indices behind the alias, and what is kept as rejected. May be used by several threads.

    Each method raises Fatal, or what the client raises.
    """

    cluster: Cluster
    raw: Elasticsearch
    """Gives answers as the bytes that came."""
    state: State

    @property
    def alias(self) -> str:
        """The write alias."""
        return self.cluster.alias

    def refresh(self) -> None:
        """Let searches see what is indexed; without the right to, what they do not see is asked for by its id."""
        self.cluster.client.options(ignore_status=403).indices.refresh(index=self.alias)

    def entries(self, lines: Sequence[Line]) -> list[Held]:
        """Find all copies of some entries."""
        if not lines:
            return []
        expected = {line.id: line.data or b"" for line in lines}
        held = None
        with suppress(InvalidAnswer):  # longer than so many entries are, or of another form: ask for less
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
        """Find all copies of some lines as of now, what no search sees yet among them; a request for each copy."""
        return list(self._copies({line.id: line for line in lines})) if lines else []

    def _copies(self, wanted: Mapping[bytes, Line]) -> Iterator[Held]:
        for index in backing(self.cluster).indices:
            try:
                there = delivered(self.cluster.client, [index], list(wanted))
            except IndexUnavailable as reason:
                raise Fatal(what=f"Not every line can be looked up: {reason}.") from None
            for identity in sorted(there):
                with suppress(elasticsearch.NotFoundError):  # the index was deleted meanwhile
                    source = self.raw.get_source(index=index, id=identity.decode()).body
                    yield Held(identity, index, wanted[identity].is_same(source))

    def rejected(self, lines: Sequence[Line]) -> list[Held]:
        """Find what is kept of some lines as rejected. Raises StateUnusable."""
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
        if not short:
            return
        index = self.cluster.connection.rejected
        ids = [identity.decode() for identity in short]
        client = self.cluster.client.options(ignore_status=404)
        answer = client.mget(index=index, ids=ids, source_includes=["bytes"])
        for doc in answer.get("docs", []):
            if doc.get("error", {}).get("type", GONE) != GONE:
                raise Fatal(what=f"{index} does not tell what it holds: {doc['error']['type']}.")
            if doc.get("found"):
                line = short[doc["_id"].encode()]
                yield Held(line.id, index, line.is_same(base64.b64decode(doc["_source"]["bytes"])))


def _with_ids(ids: Sequence[bytes]) -> dict[str, object]:
    return {"ids": {"values": [identity.decode() for identity in ids]}}
