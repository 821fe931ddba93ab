"""Entries and rejected lines by id, byte for byte, without knowing what they should be.

The query is named with a random number, so that each hit ends with that name: an answer is split there, whatever the
entries contain. Parsing would lose the bytes (`hits.py`).
"""

import base64
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

import elasticsearch
from elasticsearch import Elasticsearch

from indexer.elastic.alias import backing
from indexer.elastic.cluster import Cluster
from indexer.elastic.failures import InvalidAnswer
from indexer.errors import Fatal
from indexer.writing.target import GONE

_HEAD = re.compile(
    rb'"hits":\{"total":\{"value":(?P<total>\d{1,18}),"relation":"eq"\},"max_score":[^,]+,"hits":\['
)
_HIT = re.compile(
    rb',?\{"_index":"(?P<index>[^"]+)",(?:"_type":"[^"]+",)?"_id":"(?P<id>[0-9a-f]+)"(?:,"_score":[^,"]+)?'
    rb'(?:,"_[a-z_]+":(?:"(?:[^"\\]++|\\.)*+"|\[(?:"(?:[^"\\]++|\\.)*+",?)*+\]))*?,"_source":',
    re.DOTALL,
)
_SORT = b',"sort":['
_END = b"]}}"


class Document(NamedTuple):
    """A copy of an entry, or a rejected line."""

    id: bytes
    where: str
    """The index."""
    data: bytes
    """Its bytes."""


@dataclass(frozen=True, slots=True)
class Documents:
    """The entries behind the alias and the rejected lines. Each method raises what the client raises."""

    cluster: Cluster
    raw: Elasticsearch
    """Returns answers as bytes."""
    _name: str = field(default_factory=lambda: secrets.token_hex(16))
    """Of the query: no entry that is stored already can contain it."""

    def entries(self, ids: Sequence[bytes]) -> list[Document]:
        """Each copy of some entries."""
        if not ids:
            return []
        with suppress(InvalidAnswer):  # too long: search for fewer
            return self._search(ids)
        half = len(ids) // 2
        if half:
            return self.entries(ids[:half]) + self.entries(ids[half:])
        return list(self._copies(ids[0]))

    def _search(self, ids: Sequence[bytes]) -> list[Document]:
        wanted = {"values": [each.decode() for each in ids], "_name": self._name}
        answer = self.raw.search(
            index=self.cluster.alias,
            query={"ids": wanted},
            size=2 * len(ids),
            sort=["_doc"],
            allow_partial_search_results=False,
        )
        found = split(answer.body, self._name.encode())
        if not {document.id for document in found} <= set(ids):
            raise InvalidAnswer("its answer has other entries than were asked for")
        return found

    def _copies(self, identity: bytes) -> Iterator[Document]:
        for index in backing(self.cluster).indices:
            with suppress(elasticsearch.NotFoundError):
                source = self.raw.get_source(index=index, id=identity.decode()).body
                yield Document(identity, index, source)

    def rejected(self, ids: Sequence[bytes]) -> list[Document]:
        """Those of some lines that the index keeps as rejected. Raises Fatal."""
        if not ids:
            return []
        index = self.cluster.connection.rejected
        client = self.cluster.client.options(ignore_status=404)
        answer = client.mget(index=index, ids=[each.decode() for each in ids], source_includes=["bytes"])
        found: list[Document] = []
        for doc in answer.get("docs", []):
            if doc.get("error", {}).get("type", GONE) != GONE:
                raise Fatal(what=f"Cannot look up rejected lines in {index}: {doc['error']['type']}.")
            if doc.get("found"):
                data = base64.b64decode(doc["_source"]["bytes"])
                found.append(Document(doc["_id"].encode(), index, data))
        return found


def split(answer: bytes, name: bytes) -> list[Document]:
    """The hits of an answer, all of which end with the name of the query. Raises InvalidAnswer."""
    head = _HEAD.search(answer)
    if head is None:
        raise InvalidAnswer("its answer has no hits")
    *hits, end = answer[head.end() :].split(b',"matched_queries":["%b"]}' % name)
    if end != _END or len(hits) != int(head["total"]):
        raise InvalidAnswer("its answer does not have all hits")
    found: list[Document] = []
    for hit in hits:
        before, sort = _HIT.match(hit), hit.rfind(_SORT)
        if before is None or sort < before.end():
            raise InvalidAnswer("a hit of its answer has no entry")
        found.append(
            Document(before["id"], before["index"].decode(errors="replace"), hit[before.end() : sort])
        )
    return found
