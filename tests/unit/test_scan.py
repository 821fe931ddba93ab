"""Splitting the pages of a scan without parsing them, and reading a slice to its end."""

import json
import threading
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import elastic_transport
import elasticsearch
import pytest
from elasticsearch import Elasticsearch
from hypothesis import given
from hypothesis import strategies as st

from indexer.elastic.cluster import Cluster
from indexer.elastic.failures import InvalidAnswer
from indexer.elastic.server import Product
from indexer.errors import Stopped
from indexer.settings import Connection
from indexer.verify import scan
from indexer.verify.scan import Page, Scan, split

NAME = b"0123456789abcdef0123456789abcdef"
HOSTILE = [
    b"{}",
    b' {"a":1} ',
    b"\t{}\t\t",
    b'{"a":1,"sort":[1]}',
    b'{"a":{"b":1},"sort":[1],"matched_queries":["x"]},{"_index":"i","_id":"j","_source":{"c":1}}',
    b'{"a":"}],\\"sort\\":[1]},{\\"_index\\":\\"i\\",\\"_id\\":\\"j\\",\\"_source\\":{}}"}',
    b'{"a":[{"_index":"i","_id":"j","_score":null,"_source":{},"sort":[7],"matched_queries":["0123"]}]}',
    b'{"hits":{"total":{"value":0,"relation":"eq"},"max_score":null,"hits":[]}}',
    b'{"a":1/*,"sort":[1]},{"_index":"*/}',
    b'{"a":1 // ,"sort":[1]},{"_index":"\n}',
    b'{"a":"\xed\xa0\x80\xff"}',
    b"]}}",
    b'{"matched_queries":["0123456789abcdef0123456789abcde"]}',
]
SOURCES = st.sampled_from(HOSTILE) | st.binary(max_size=30)
Hit = tuple[str, str, bytes, dict[str, Any]]
HITS: st.SearchStrategy[Hit] = st.tuples(
    st.sampled_from(["activity-000001", "activity-000002"]),
    st.sampled_from(["0" * 28, 'q"\\u', "é", "a,b"]) | st.text(st.characters(codec="utf-8"), min_size=1),
    SOURCES,
    st.sampled_from(
        [
            {},
            {"_ignored": ["eventDate"]},
            {"_ignored": ['a"],"_source":{', "\\"]},
            {"_routing": '","_source":{}}', "_ignored": ["a"]},
        ]
    ),
)


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def answer(
    hits: Sequence[Hit], *, total: int | None = None, first: int = 0, seven: bool = False, name: bytes = NAME
) -> bytes:
    """A page as Elasticsearch writes it; 7.17 names the mapping type."""
    written = [
        b'{"_index":%b,%b"_id":%b,"_score":null%b,"_source":%b,"sort":[%d],"matched_queries":["%b"]}'
        % (
            compact(index),
            b'"_type":"_doc",' if seven else b"",
            compact(identity),
            b"".join(b",%b:%b" % (compact(key), compact(value)) for key, value in extra.items()),
            source,
            number,
            name,
        )
        for number, (index, identity, source, extra) in enumerate(hits, first)
    ]
    counted = b"" if total is None else b'"total":{"value":%d,"relation":"eq"},' % total
    head = b'{"pit_id":"abc==","took":1,"timed_out":false,"_shards":{"total":1,"failed":0},"hits":{'
    return head + counted + b'"max_score":null,"hits":[' + b",".join(written) + b"]}}"


@given(hits=st.lists(HITS, max_size=5), total=st.none() | st.integers(0, 10**12), seven=st.booleans())
def test_each_hit_is_found_whatever_its_entry_holds(
    hits: list[Hit], total: int | None, *, seven: bool
) -> None:
    """Its index, its id and its bytes; and where the page ends."""
    found = split(answer(hits, total=total, first=5, seven=seven), NAME)
    assert found.page.indices == [hit[0].encode() for hit in hits]
    assert found.page.ids == [hit[1].encode() for hit in hits]
    assert found.page.sources == [hit[2] for hit in hits]
    assert (found.total, found.pit) == (total, "abc==")
    assert found.after == (4 + len(hits) if hits else None)


ONE: list[Hit] = [("activity-000001", "0" * 28, b'{"a":1}', {})]


@given(st.lists(HITS, min_size=1, max_size=3), st.data())
def test_an_answer_that_is_cut_short_is_refused(hits: list[Hit], data: st.DataObject) -> None:
    """Wherever it is cut."""
    whole = answer(hits, total=len(hits))
    with pytest.raises(InvalidAnswer):
        split(whole[: data.draw(st.integers(0, len(whole) - 1))], NAME)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"timed_out":false', b'"timed_out":true'),
        (b'"relation":"eq"', b'"relation":"gte"'),
        (b',"_source":{"a":1}', b""),
        (b',"sort":[0]', b""),
        (b'"pit_id":"abc==",', b""),
        (b'"pit_id":"abc=="', b'"pit_id":"\xffabc=="'),
        (NAME, b"f" * 32),
    ],
    ids=[
        "timed out",
        "not counted to the end",
        "no source",
        "no place",
        "no point in time",
        "no base64",
        "another query",
    ],
)
def test_what_is_no_whole_page_is_refused(old: bytes, new: bytes) -> None:
    """Nothing of it is taken."""
    with pytest.raises(InvalidAnswer):
        split(answer(ONE, total=1).replace(old, new), NAME)


def test_a_head_inside_an_entry_is_not_taken_for_that_of_the_answer() -> None:
    """The first bracket of an answer begins its hits."""
    whole = answer([("i", "j", b'{"a":%b}' % answer(ONE, total=1), {})], total=1)
    with pytest.raises(InvalidAnswer):
        split(whole.replace(b'"timed_out":false', b'"timed_out":true', 1), NAME)


# ---- a slice to its end


class Index:
    """Stands in for the server: entries of one index in their order, and a limit of what an answer may hold."""

    def __init__(self, sources: Sequence[bytes], limit: int = 10**9) -> None:
        self.sources = sources
        self.limit = limit
        self.asked: list[int] = []
        self.opened: list[str] = []
        self.fault: Callable[[bytes], bytes] = lambda page: page

    def perform_request(self, method: str, path: str, **how: Any) -> SimpleNamespace:
        """Open a point in time, or close it."""
        if method == "POST":
            self.opened.append(path)
        else:
            assert how["body"] == {"id": "abc=="}
            self.opened.pop()
        return SimpleNamespace(body={"id": "abc=="})

    def options(self, **_: Any) -> "Index":
        """Ignore them."""
        return self

    def search(self, *, body: dict[str, Any]) -> SimpleNamespace:
        """Answer a page."""
        self.asked.append(body["size"])
        part = body.get("slice", {"id": 0, "max": 1})
        mine = [n for n in range(len(self.sources)) if n % part["max"] == part["id"]]
        (after,) = body.get("search_after", [-1])
        chosen = [n for n in mine if n > after][: body["size"]]
        if sum(len(self.sources[n]) for n in chosen) > self.limit:
            raise InvalidAnswer("too long")
        name = body["query"]["match_all"]["_name"].encode()
        hits = [answer([("i", f"{n:028}", self.sources[n], {})], first=n, name=name) for n in chosen]
        total = len(mine) if body["track_total_hits"] else None
        written = [hit[hit.index(b'"hits":[') + 8 : -3] for hit in hits]
        return SimpleNamespace(body=self.fault(answer([], total=total)[:-3] + b",".join(written) + b"]}}"))


def scanned(index: Index, stop: threading.Event | None = None, slices: int = 2) -> list[Page]:
    """Read it whole."""
    client = cast("Elasticsearch", index)
    cluster = Cluster(client, Connection())
    cluster._known["product"] = Product.ELASTICSEARCH
    scanner = Scan(cluster, client, stop or threading.Event(), slices)
    return list(scanner.pages("activity"))


@pytest.mark.parametrize("slices", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 249, 250, 251, 500, 9000])
def test_each_entry_is_read_once(count: int, slices: int) -> None:
    """Whatever the number of pages and slices; the point in time is closed."""
    index = Index([b'{"n":%d}' % n for n in range(count)])
    found = [source for page in scanned(index, slices=slices) for source in page.sources]
    assert sorted(found) == sorted(index.sources)
    assert index.opened == []


def test_pages_grow_with_small_entries_and_stay_small_with_large_ones() -> None:
    """So that a page has about as many bytes as it is meant to have."""
    small, large = Index([b"{}"] * 20_000), Index([b"x" * 100_000] * 1000)
    scanned(small)
    scanned(large)
    assert max(small.asked) == scan.MOST_HITS
    assert max(large.asked[2:]) <= scan.PAGE_BYTES // 100_000


def test_a_page_that_is_too_large_is_read_in_smaller_ones() -> None:
    """From where the last one ended: nothing is left out or read twice."""
    sources = [b"%d" % n + b"x" * (900 if n in range(2000, 2100) else 1) for n in range(5000)]
    index = Index(sources, limit=20_000)
    found = [source for page in scanned(index) for source in page.sources]
    assert sorted(found) == sorted(sources)


def test_a_server_without_memory_for_a_page_is_asked_for_smaller_ones() -> None:
    """Other refusals end the scan."""
    index = Index([b"{}"] * 1000)
    search = index.search

    def refuse(status: int) -> Callable[..., SimpleNamespace]:
        def refusing(**how: Any) -> SimpleNamespace:
            if how["body"]["size"] > 100:
                meta = elastic_transport.ApiResponseMeta(
                    status,
                    "1.1",
                    elastic_transport.HttpHeaders(),
                    0.0,
                    elastic_transport.NodeConfig("http", "a", 1),
                )
                raise elasticsearch.ApiError("refused", meta, {})
            return search(**how)

        return refusing

    index.search = refuse(429)  # type: ignore[method-assign]
    assert sum(len(page.ids) for page in scanned(index)) == 1000
    index.search = refuse(503)  # type: ignore[method-assign]
    with pytest.raises(elasticsearch.ApiError):
        scanned(index)
    assert index.opened == []


@pytest.mark.parametrize("drop", [1, 3])
def test_a_page_that_lacks_a_hit_is_refused(drop: int) -> None:
    """No hit is dropped without a word, in the first page or a later one."""
    index = Index([b"{}"] * 1000)
    left = [drop]

    def without_last(page: bytes) -> bytes:
        left[0] -= 1
        return page if left[0] else page[: page.rindex(b',{"_index"')] + b"]}}"

    index.fault = without_last
    with pytest.raises(InvalidAnswer, match="as many hits"):
        scanned(index)


def test_a_stop_ends_it() -> None:
    """What was not read is not reported."""
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        scanned(Index([b"{}"]), stop)
