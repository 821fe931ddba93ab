"""Entries and rejected lines by id, byte for byte, without knowing what they should be.

Answers are split as those of a scan are (`scan.py`).
"""

import base64
import re
import secrets
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import elasticsearch
from elasticsearch import Elasticsearch

from indexer.elastic.alias import backing
from indexer.elastic.cluster import Cluster
from indexer.elastic.complete import once_shards_answer
from indexer.elastic.copies import refreshed
from indexer.elastic.failures import InvalidAnswer, describe_error
from indexer.errors import Fatal
from indexer.verify.scan import split_hits
from indexer.writing.target import GONE, IndexUnavailable, delivered

_HEAD = re.compile(
    rb'"hits":\{"total":\{"value":(?P<total>\d{1,18}),"relation":"eq"\},"max_score":[^,]+,"hits":\['
)


ROOM = 100
"""Hits to allow for in addition to two for each id: entries with many copies are found some at a time, not one by one."""


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
        """Each copy of some entries, searchable or not. Raises Fatal."""
        found = self._searchable(ids)
        seen = {document.id for document in found}
        return found + list(self.now([identity for identity in ids if identity not in seen]))

    def _searchable(self, ids: Sequence[bytes]) -> list[Document]:
        if not ids:
            return []
        wanted = {"values": [each.decode() for each in ids], "_name": self._name}
        with suppress(InvalidAnswer):  # too long: search for fewer
            answer = self.raw.search(
                index=self.cluster.alias,
                query={"ids": wanted},
                size=2 * len(ids) + ROOM,
                sort=["_doc"],
                **refreshed(self.cluster),
            )
            return documents(answer.body, self._name.encode(), ids)
        half = len(ids) // 2
        return self._searchable(ids[:half]) + self._searchable(ids[half:]) if half else []

    def now(self, ids: Sequence[bytes]) -> Iterator[Document]:
        """Each copy of some entries, searchable or not; sends a request for each copy. Raises Fatal."""
        for index in backing(self.cluster).indices if ids else ():
            ask = partial(delivered, self.cluster.client, [index], ids)
            try:
                there = once_shards_answer(ask, lambda error: isinstance(error, IndexUnavailable))
            except IndexUnavailable as reason:
                raise Fatal(what=f"Cannot look up every line: {reason}.") from None
            for identity in sorted(there):
                with suppress(elasticsearch.NotFoundError):  # the index was deleted meanwhile
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
                raise Fatal(what=f"Cannot look up rejected lines in {index}: {describe_error(doc['error'])}.")
            if doc.get("found"):
                data = base64.b64decode(doc["_source"]["bytes"])
                found.append(Document(doc["_id"].encode(), index, data))
        return found


def documents(answer: bytes, name: bytes, ids: Collection[bytes]) -> list[Document]:
    """Each hit of an answer about some ids, all of which end with the name of the query. Raises InvalidAnswer."""
    head = _HEAD.search(answer)
    if head is None:
        raise InvalidAnswer("its answer has no hits")
    page, _ = split_hits(answer[head.end() :], name)
    if len(page.ids) != int(head["total"]) or not set(page.ids) <= set(ids):
        raise InvalidAnswer("its answer does not have the entries that were asked for")
    rows = zip(page.ids, page.indices, page.sources, strict=True)
    return [Document(identity, index.decode(errors="replace"), data) for identity, index, data in rows]
