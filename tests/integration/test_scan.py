"""A scan reads every document behind an alias once, byte for byte."""

import threading
from collections import Counter
from typing import Any

import pytest

from indexer.elastic import bounded
from indexer.elastic.client import connect
from indexer.elastic.failures import InvalidAnswer
from indexer.settings import Indices
from indexer.setup.templates import install
from indexer.verify import scan
from indexer.verify.scan import Scan
from tests.support.lab import Lab

HOSTILE = [
    b'{"o":{"b":1},"sort":[1],"matched_queries":["x"],"c":{"_index":"i","_id":"j","_source":{"d":1}}}',
    b'{"a":"}],\\"sort\\":[1]},{\\"_index\\":\\"i\\",\\"_id\\":\\"j\\",\\"_source\\":{}}"}',
    b'{"a":1/*,"sort":[1]},{"_index":"*/}',
    b'{"a":1 // ,"sort":[1]},{"_index":"\r}',
    b'{"a":"half a pair \\ud800","b":1.0}',
    b' {"a":1}',
    b'{"a":1} \t ',
    b'{"eventDate":"never","duration":"],\\"_source\\":{}"}',
    b'{"hits":{"total":{"value":0,"relation":"eq"},"max_score":null,"hits":[]}}',
    b"{}",
]
Documents = dict[str, bytes]


def put(lab: Lab, documents: Documents, routing: str = "") -> None:
    """Index some bytes as they are, into the index that is written now."""
    action = (
        b'{"index":{"_id":"%b"' + (b',"routing":"%b"' % routing.encode() if routing else b"") + b"}}\n%b\n"
    )
    lines = b"".join(action % (identity.encode(), source) for identity, source in documents.items())
    told = lab.client.bulk(operations=lines, index=lab.connection.alias, filter_path="errors")  # type: ignore[arg-type] # bytes: elastic/client.py
    assert told.body == b'{"errors":false}'


def scanned(lab: Lab, index: str = "", expects: int = 0, slices: int = 2) -> Counter[tuple[str, str, bytes]]:
    """Index, id and bytes of everything that a scan finds, with how often it finds that."""
    lab.client.indices.refresh(index=lab.connection.alias)
    found: Counter[tuple[str, str, bytes]] = Counter()
    with connect(lab.connection, raw=True, expects=expects) as raw:
        reader = Scan(lab.cluster, raw, threading.Event(), slices)
        for page in reader.pages(index or lab.connection.alias):
            for hit in zip(page.indices, page.ids, page.sources, strict=True):
                found[hit[0].decode(), hit[1].decode(), hit[2]] += 1
    return found


def open_contexts(lab: Lab) -> int:
    """How many searches the server holds open."""
    stats = lab.client.indices.stats(index=lab.connection.alias, metric="search")
    return int(stats["_all"]["total"]["search"]["open_contexts"])


@pytest.fixture
def filled(lab: Lab) -> tuple[Lab, Counter[tuple[str, str, bytes]]]:
    """Three indices with tiny, large and hostile entries, and documents of somebody else; some are deleted again."""
    expected: Counter[tuple[str, str, bytes]] = Counter()
    payload = b"0123456789 " * 30_000
    for number in range(3):
        documents = {f"{number:08x}{n:020x}": b'{"n":%d}' % n for n in range(3000)}
        documents |= {
            f"{number:08x}{n:020x}": b'{"n":%d,"payload":"%b"}' % (n, payload) for n in range(3000, 3060)
        }
        documents |= {f"{number:08x}{n:020x}": source for n, source in enumerate(HOSTILE, 5000)}
        documents |= {"somebody's own": b"{}", '\\"odd\\\\': b'{"a":2}', "é": b"{}"}
        put(lab, documents)
        put(lab, {"routed": b'{"routed":true}'}, routing='\\"],\\"_source\\":{')
        name = f"{lab.connection.alias}-{number + 1:06}"
        for n in range(0, 3000, 500):
            identity = f"{number:08x}{n:020x}"
            lab.client.delete(index=name, id=identity)
            del documents[identity]
        documents["routed"] = b'{"routed":true}'
        documents['"odd\\'] = documents.pop('\\"odd\\\\')
        expected.update((name, identity, source) for identity, source in documents.items())
        lab.client.indices.rollover(alias=lab.connection.alias)
    return lab, expected


def test_everything_behind_an_alias_is_read_once(
    filled: tuple[Lab, Counter[tuple[str, str, bytes]]],
) -> None:
    """Each document with its index, its id and its bytes, whatever they are; or of one index alone."""
    lab, expected = filled
    assert scanned(lab) == expected
    assert scanned(lab, slices=1) == expected
    first = f"{lab.connection.alias}-000001"
    assert scanned(lab, first) == Counter({hit: 1 for hit in expected if hit[0] == first})
    assert scanned(lab, f"{lab.connection.alias}-000004") == Counter()


@pytest.mark.parametrize("slices", [1, 2])
def test_an_index_of_several_shards_is_read_once(
    bare: Lab, monkeypatch: pytest.MonkeyPatch, slices: int
) -> None:
    """Each page of each shard, the hostile ones too; two such indices behind the alias, and one alone."""
    install(bare.cluster, Indices(shards=3))
    monkeypatch.setattr(scan, "FIRST_HITS", 7)
    monkeypatch.setattr(scan, "MOST_HITS", 50)
    expected: Counter[tuple[str, str, bytes]] = Counter()
    for number in (1, 2):
        documents = {f"{number:08x}{n:020x}": b'{"n":%d}' % n for n in range(600)}
        put(bare, documents)
        hostile = {f"{number:08x}{n:020x}": source for n, source in enumerate(HOSTILE, 5000)}
        for identity, source in hostile.items():  # at once, shards would find different types for a new field
            put(bare, {identity: source})
        documents |= hostile
        name = f"{bare.connection.alias}-{number:06}"
        expected.update((name, identity, source) for identity, source in documents.items())
        bare.client.indices.rollover(alias=bare.connection.alias)
    assert scanned(bare, slices=slices) == expected
    shards: Any = bare.client.cat.shards(
        index=f"{bare.connection.alias}-000001", format="json", h="docs,prirep"
    )
    assert len([it for it in shards if it["prirep"] == "p" and int(it["docs"]) > 100]) == 3
    second = f"{bare.connection.alias}-000002"
    assert scanned(bare, second, slices=slices) == Counter({hit: 1 for hit in expected if hit[0] == second})
    assert open_contexts(bare) == 0


def test_pages_too_large_for_an_answer_are_read_in_smaller_ones(
    filled: tuple[Lab, Counter[tuple[str, str, bytes]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Down to one hit, and that without the limit."""
    lab, expected = filled
    large = {"f" * 28: b'{"payload":"%b"}' % (b"0123456789 " * 200_000), "e" * 28: b"{}"}
    put(lab, large)
    expected.update((f"{lab.connection.alias}-000004", *document) for document in large.items())
    monkeypatch.setattr(bounded, "LARGEST", 1_000_000)
    monkeypatch.setattr(scan, "PAGE_BYTES", 10**9)
    assert scanned(lab) == expected
    monkeypatch.setattr(scan, "LARGEST_DOCUMENT", 0)
    with pytest.raises(InvalidAnswer, match="bytes"):
        scanned(lab)


def test_a_scan_reads_one_moment(lab: Lab) -> None:
    """What is indexed or deleted meanwhile changes nothing; no point in time is left open."""
    put(lab, {f"{n:028x}": b'{"n":%d}' % n for n in range(2000)})
    lab.client.indices.refresh(index=lab.connection.alias)
    ids: list[bytes] = []
    with connect(lab.connection, raw=True) as raw:
        for page in Scan(lab.cluster, raw, threading.Event()).pages(lab.connection.alias):
            if not ids:
                assert open_contexts(lab) > 0
                put(lab, {f"{n:028x}": b"{}" for n in range(2000, 2100)})
                for n in range(1000, 1010):
                    lab.client.delete(index=page.indices[0].decode(), id=f"{n:028x}")
                lab.client.indices.refresh(index=lab.connection.alias)
            ids += page.ids
    assert sorted(ids) == [b"%028x" % n for n in range(2000)]
    assert open_contexts(lab) == 0


def test_a_scan_that_is_given_up_leaves_nothing_open(lab: Lab) -> None:
    """However far it came."""
    put(lab, {f"{n:028x}": b"{}" for n in range(3000)})
    lab.client.indices.refresh(index=lab.connection.alias)
    with connect(lab.connection, raw=True) as raw:
        pages = Scan(lab.cluster, raw, threading.Event()).pages(lab.connection.alias)
        next(pages)
        pages.close()
    assert open_contexts(lab) == 0
