"""Reading a whole alias or index byte for byte, unparsed, in whatever order it comes.

A point in time is read in slices, each page by page in the order of the shards: this reads each block of the disk once (in
the order of a field it is read again for each page). The query is named with a random number, so that each hit ends with
that name: an answer is split there, whatever the entries contain. Measured on Elasticsearch 7.17.28, 8.19.16 and 9.5.0, and
OpenSearch 2.17.0 and 2.19.6, where each shard has a point in time of its own.
"""

import json
import re
import secrets
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import elasticsearch
from elasticsearch import Elasticsearch

from indexer.elastic.client import connect
from indexer.elastic.cluster import Cluster
from indexer.elastic.failures import InvalidAnswer, reading_answer
from indexer.elastic.point_in_time import View, views
from indexer.errors import Stopped

FIRST_HITS = 250
"""Hits of the first page of a slice: how large the entries are is not known yet."""
MOST_HITS = 4000
"""Hits of a page (measured: 2,000 to 5,000 are equally fast)."""
PAGE_BYTES = 4 * 1024 * 1024
"""Bytes that a page is meant to have."""
LARGEST_DOCUMENT = 100 * 1024 * 1024
"""Bytes of the largest document that Elasticsearch takes, by default (`http.max_content_length`)."""
KEPT_ALIVE = "5m"
"""How long a point in time lives without a request."""

_HEAD = re.compile(
    rb'\{"pit_id":"(?P<pit>[A-Za-z0-9+/=_-]+)",[^\[]*"timed_out":false,[^\[]*"hits":\{'
    rb'(?:"total":\{"value":(?P<total>\d{1,18}),"relation":"eq"\},)?"max_score":[^,\[]+,"hits":\['
)
"""An answer up to its first hit: up to the first bracket, so that nothing in an entry is taken for it."""
_HIT = re.compile(
    rb',?\{"_index":"(?P<index>[^"]+)",(?:"_type":"[^"]+",)?"_id":"(?P<id>(?:[^"\\]++|\\.)*+)"(?:,"_score":[^,"]+)?'
    rb'(?:,"_[a-z_]+":(?:"(?:[^"\\]++|\\.)*+"|\[(?:"(?:[^"\\]++|\\.)*+",?)*+\]))*?,"_source":',
    re.DOTALL,
)
"""A hit up to its entry. `_ignored` names fields, and `_routing` is anybody's text."""
_SORT = b',"sort":['


class Page(NamedTuple):
    """Consecutive hits, in columns."""

    indices: list[bytes]
    """The index of each."""
    ids: list[bytes]
    sources: list[bytes]
    """The bytes of each entry, as they were sent to Elasticsearch."""


class Answer(NamedTuple):
    """A search answer, split."""

    page: Page
    total: int | None
    """Hits of the whole slice; None if it was not counted."""
    after: int | None
    """Where the last hit is in the order of the shards; None without a hit."""
    pit: str
    """The id of the point in time for the next request."""


def split(answer: bytes, name: bytes) -> Answer:
    """Split a search answer into its hits, each of which ends with the name of the query. Raises InvalidAnswer."""
    head = _HEAD.match(answer)
    if head is None:
        raise InvalidAnswer("its answer is no page of a point in time")
    page, after = split_hits(answer[head.end() :], name)
    total = head["total"]
    return Answer(page, None if total is None else int(total), after, head["pit"].decode())


def split_hits(hits: bytes, name: bytes) -> tuple[Page, int | None]:
    """The hits of an answer from the first one on, and the place of the last one. Raises InvalidAnswer."""
    page = Page([], [], [])
    sort = start = 0
    *each, end = hits.split(b',"matched_queries":["%b"]}' % name)
    if end != b"]}}":
        raise InvalidAnswer("its answer does not end after a hit")
    for hit in each:
        before, sort = _HIT.match(hit), hit.rfind(_SORT)
        if before is None or sort < (start := before.end()):
            raise InvalidAnswer("a hit of its answer has no entry or no place")
        index, identity = before.groups()
        page.indices.append(index)
        page.ids.append(identity if b"\\" not in identity else _unescaped(identity))
        page.sources.append(hit[start:sort])
    with reading_answer():
        return page, int(each[-1][sort + len(_SORT) : -1]) if each else None


def _unescaped(text: bytes) -> bytes:
    """The text of a JSON string. Raises InvalidAnswer."""
    with reading_answer():
        value: str = json.loads(b'"%b"' % text)
        return value.encode(errors="surrogatepass")


@dataclass(frozen=True, slots=True)
class Scan:
    """Reads an alias or index. What it does not hold at one point in time is not read; refresh it before."""

    cluster: Cluster
    raw: Elasticsearch
    """Returns answers as bytes. A page that exceeds what it allows for an answer is requested in smaller ones."""
    stop: threading.Event
    slices: int | None = None
    """Slices of a point in time that are read at once; None: as many as suit the product."""
    _name: str = field(default_factory=lambda: secrets.token_hex(16))
    """Of the query: no entry that is stored already can contain it."""

    def pages(self, index: str) -> Generator[Page, None, None]:
        """Read each hit once, a few pages ahead. Raises InvalidAnswer, Stopped and what the client raises."""
        with closing(views(self.cluster, index, KEPT_ALIVE)) as opened:
            for view in opened:
                yield from self._pages_of(view)

    def _pages_of(self, view: View) -> Iterator[Page]:
        count = self.slices or view.slices
        with ThreadPoolExecutor(count) as pool:
            slices = [self._slice(view, number, count) for number in range(count)]
            pending: dict[Future[Page | None], Iterator[Page]] = {
                pool.submit(next, each, None): each for each in slices
            }
            while pending:
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    each = pending.pop(future)
                    page = future.result()
                    if page is not None:
                        pending[pool.submit(next, each, None)] = each
                        yield page

    def _slice(self, view: View, number: int, count: int) -> Iterator[Page]:
        """Read one slice; the page is halved until the answer can be read, or is for a single hit."""
        size, after = FIRST_HITS, None
        left: int | None = None
        while left is None or left > 0:
            if self.stop.is_set():
                raise Stopped
            body = self._body(view, size, after)
            if count > 1:
                body["slice"] = {"id": number, "max": count}
            try:
                answer = self._search(self.raw, body)
            except (InvalidAnswer, elasticsearch.ApiError) as error:
                if size > 1 and is_too_large(error):
                    size //= 2
                    continue
                if not isinstance(error, InvalidAnswer):
                    raise
                answer = self._search_largest(body)
            page, total, after, pit = answer
            view = view._replace(pit=pit)
            left = total if left is None else left
            if left is None or len(page.ids) != min(size, left):
                raise InvalidAnswer("its answer has not as many hits as it counts")
            left -= len(page.ids)
            if page.ids:
                yield page
                average = sum(map(len, page.sources)) // len(page.ids) + 1
                size = min(MOST_HITS, 4 * size, max(1, PAGE_BYTES // average))

    def _body(self, view: View, size: int, after: int | None) -> dict[str, Any]:
        body: dict[str, Any] = {
            "pit": {"id": view.pit, "keep_alive": KEPT_ALIVE},
            "query": {"match_all": {"_name": self._name}},
            "sort": [view.order],
            "size": size,
            "track_total_hits": after is None,
        }
        if after is not None:
            body["search_after"] = [after]
        return body

    def _search(self, client: Elasticsearch, body: dict[str, Any]) -> Answer:
        answer: bytes = client.search(body=body).body
        return split(answer, self._name.encode())

    def _search_largest(self, body: dict[str, Any]) -> Answer:
        """Search for a single hit of any size."""
        with connect(self.cluster.connection, raw=True, expects=LARGEST_DOCUMENT) as client:
            return self._search(client, body)


def is_too_large(error: Exception) -> bool:
    """Whether a smaller page may succeed: the answer cannot be read, or the server lacks memory for it."""
    return isinstance(error, InvalidAnswer) or getattr(error, "status_code", None) == 429
