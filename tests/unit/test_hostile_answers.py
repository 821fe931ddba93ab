"""A server or proxy that means harm: whatever it answers is "not an answer", in bounded memory and time."""

import contextlib
import gzip
import itertools
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator

import elastic_transport
import elasticsearch
import orjson
import pytest

from indexer.dashboards.http import HttpClient, NoAnswer, http_address
from indexer.elastic.alias import backing
from indexer.elastic.client import connect, translate_errors
from indexer.elastic.cluster import Cluster, connected
from indexer.elastic.failures import InvalidAnswer
from indexer.elastic.server import inspect_server
from indexer.errors import Fatal, UnknownProduct, Unreachable
from indexer.events import Fault
from indexer.kibana.install import install
from indexer.settings import Connection, Kibana, RolloverPolicy, Zoomdata
from indexer.setup.rollover import look
from indexer.writing.answers import ITEM, read_answer
from indexer.writing.batches import Body
from indexer.writing.request import BulkFailed, post
from indexer.writing.target import delivered
from indexer.zoomdata import activities, remove
from indexer.zoomdata.api import Api
from tests.support.hostile_server import HEADER, hostile, whole

BODY = Body.of([(b"0" * 28, b'{"a":1}')])
MEBIBYTE = 1024 * 1024
A = Connection(alias="a")
CHUNKED = HEADER + b"Transfer-Encoding: chunked\r\n\r\n"
LARGE = b"[" + b" " * MEBIBYTE


def without_end(_: bytes) -> Iterator[bytes]:
    """As long as anybody takes it, of unknown length."""
    return itertools.chain([HEADER + b"Connection: close\r\n\r\n"], itertools.repeat(LARGE))


def in_chunks(_: bytes) -> Iterator[bytes]:
    """The same in chunks."""
    chunk = b"%x\r\n%b\r\n" % (len(LARGE), LARGE)
    return itertools.chain([CHUNKED], itertools.repeat(chunk))


def one_chunk(_: bytes) -> Iterator[bytes]:
    """The same in one chunk that never ends."""
    return itertools.chain([CHUNKED + b"fffffffffff\r\n"], itertools.repeat(LARGE))


def announced(_: bytes) -> Iterator[bytes]:
    """More than fits anywhere, said beforehand."""
    return itertools.chain([HEADER + b"Content-Length: %d\r\n\r\n" % 10**15], itertools.repeat(LARGE))


def beyond_numbers(_: bytes) -> Iterator[bytes]:
    """A length that no machine has a number for."""
    return itertools.chain([HEADER + b"Content-Length: 1%b\r\n\r\n" % (b"0" * 40)], itertools.repeat(LARGE))


def only_headers(_: bytes) -> Iterator[bytes]:
    """100 Continue, again and again."""
    return itertools.repeat(b"HTTP/1.1 100 Continue\r\n" + b"X: %b\r\n" % (b"x" * 60_000) * 50 + b"\r\n")


def inflated(_: bytes) -> list[bytes]:
    """Little on the wire, and 200 MB once it is unpacked, though nobody asked for packing."""
    return [HEADER + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB]


BOMB = gzip.compress(b" " * (200 * MEBIBYTE), 1)
ENDLESS = [without_end, in_chunks, one_chunk, announced, beyond_numbers, only_headers, inflated]


@pytest.mark.parametrize("say", ENDLESS)
def test_an_answer_without_end_is_not_an_answer(say: Callable[[bytes], Iterable[bytes]]) -> None:
    """It is refused in bounded memory, by a request of entries and by any other."""
    with hostile(say) as url, connect(Connection([url], request_timeout=20)) as client:
        tracemalloc.start()
        with pytest.raises(BulkFailed) as failed:
            post(client, BODY, "i")
        with pytest.raises(UnknownProduct), translate_errors(Connection([url])):
            client.indices.get_alias(name="a")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert failed.value.row.fault is Fault.NOT_AN_ANSWER
    assert peak < 100 * MEBIBYTE


@pytest.mark.parametrize("say", ENDLESS)
def test_so_it_is_for_dashboards(say: Callable[[bytes], Iterable[bytes]]) -> None:
    """Kibana and Zoomdata are asked over connections that are bounded alike."""
    with hostile(say) as url:
        web = HttpClient(http_address(url, "--kibana-url", ""), None, 20)
        tracemalloc.start()
        try:
            answered = web.request("GET", url, {})
        except NoAnswer:
            pass
        else:
            assert say is inflated
            assert not answered.is_json
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 200 * MEBIBYTE


def trickling(start: bytes) -> Callable[[bytes], Iterator[bytes]]:
    return lambda _: itertools.chain([start], itertools.cycle([b" ", b""]))


SLOW = {
    "the status": trickling(b"HTTP/1.1"),
    "the headers": trickling(HEADER + b"X-More: "),
    "the body": trickling(HEADER + b"Content-Length: 100000\r\n\r\n"),
    "a chunk": trickling(CHUNKED + b"fffff\r\n"),
    "a chunk's length": trickling(CHUNKED + b"1;"),
}


@pytest.mark.parametrize("say", SLOW.values(), ids=SLOW)
def test_an_answer_is_waited_for_as_a_whole(say: Callable[[bytes], Iterable[bytes]]) -> None:
    """A byte now and then does not make the timeout begin again."""
    with hostile(say) as url:
        connection = Connection([url], request_timeout=0.5)
        started = time.monotonic()
        with (
            connect(connection) as client,
            pytest.raises(Unreachable, match="timed out after"),
            translate_errors(connection),
        ):
            client.indices.get_alias(name="a")
        web = HttpClient(http_address(url, "--kibana-url", ""), None, 0.5)
        with pytest.raises(NoAnswer, match="none within"):
            web.request("GET", url, {})
    assert time.monotonic() - started < 20


def item(**result: object) -> bytes:
    return orjson.dumps({"errors": True, "items": [{"create": {"_index": "i", "status": 201} | result}]})


DEEP = b'{"a":' * 200_000 + b"1" + b"}" * 200_000
DEEPER = b'{"a":' * 1000 + b"1" + b"}" * 1000
ODD = {
    "deep": DEEP,
    "as deep as is read": DEEPER,
    "lists": b"[" * 200_000,
    "a list": b"[]",
    "a text": b'"text"',
    "a number": b"7",
    "null": b"null",
    "nothing": b"",
    "an empty object": b"{}",
    "no UTF-8": b'{"\xff":1}',
    "an error with 200": b'{"error":{"type":"x"}}',
    "a bulk answer": b'{"errors":false,"items":[]}',
    "lists for objects": b'{"docs":[[]],"items":[[]],"nodes":[],"version":[],"i":[]}',
    "objects for texts": b'{"docs":[{"_id":{}}],"items":{},"version":{"number":{}},"i":{"aliases":{"a":[]}}}',
    "texts for objects": b'{"docs":"x","version":{"number":"1"},"i":{"aliases":"a"}}',
    "no nodes": b'{"docs":[],"nodes":{},"version":{"number":"x.y.z"},"a":{"aliases":{}}}',
}
IN_BULK = {
    "a status of 1000": item(status=1000),
    "a negative status": item(status=-1),
    "a huge status": item(status=2**63),
    "true for a status": item(status=True),
    "a list for an error": item(status=400, error=[1]),
    "an item of two": b'{"items":[{"create":{"status":201},"index":{"status":201}}]}',
    "a deep error": b'{"errors":true,"items":[{"create":{"_index":"i","status":400,"error":{"type":'
    + DEEPER
    + b"}}}]}",
    "deep causes": item(status=400, error={"type": "x"})[:-4]
    + b',"caused_by":'
    + b'{"caused_by":' * 5000
    + b"1"
    + b"}" * 5000
    + b"}}}]}",
}


@pytest.mark.parametrize("body", (ODD | IN_BULK).values(), ids=ODD | IN_BULK)
def test_an_answer_of_another_form_to_entries_is_not_an_answer(body: bytes) -> None:
    """The request is tried again, whatever came for an answer; what is said of it is short."""
    with (
        hostile(lambda _: [whole(body)]) as url,
        connect(Connection([url])) as client,
        pytest.raises(BulkFailed) as failed,
    ):
        post(client, BODY, "i")
    assert failed.value.row.fault is Fault.NOT_AN_ANSWER
    assert len(failed.value.detail) < 1000


def test_a_status_beyond_all_rows_is_not_an_answer() -> None:
    """Each status that is taken has a row."""
    for status in (100, 199, 299, 600, 999):
        (told,) = read_answer(item(status=status), 1).items
        assert any(row.fits(told.status, "", "") for row in ITEM)
    for status in (1000, -1, 10**18):
        with pytest.raises(InvalidAnswer):
            read_answer(item(status=status), 1)


QUESTIONS: dict[str, Callable[[Cluster], object]] = {
    "the alias": backing,
    "what is delivered": lambda cluster: delivered(cluster.client, ["i"], [b"x"]),
    "the version": lambda cluster: inspect_server(cluster.client),
    "what is old": lambda cluster: look(cluster, RolloverPolicy()),
}


@pytest.mark.parametrize("status", [200, 299, 302, 404, 500, 999])
@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
@pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS)
def test_an_answer_of_another_form_is_one_sentence(
    ask: Callable[[Cluster], object], body: bytes, status: int
) -> None:
    """Whatever is asked: the error is one that people meet, and that `run` and its threads know."""
    with (
        hostile(lambda _: [whole(body, status)]) as url,
        pytest.raises(Fatal) as said,
        connected(Connection([url], alias="a")) as cluster,
    ):
        ask(cluster)
    assert len(str(said.value)) < 1000


@pytest.mark.parametrize(
    "docs",
    [
        [],
        [{"found": True}],
        [{"found": False}] * 3,
        [{"found": False}, {}],
        [{"found": False}, {"found": "no"}],
        [{"found": False}, {"error": "no"}],
    ],
)
def test_who_does_not_tell_of_each_id_has_not_answered(docs: list[object]) -> None:
    """An id that is left out is not absent: its entry would be sent to another index as well."""
    with (
        hostile(lambda _: [whole(orjson.dumps({"docs": docs}))]) as url,
        connect(Connection([url])) as client,
        pytest.raises(elastic_transport.SerializationError),
    ):
        delivered(client, ["i"], [b"x", b"y"])


@pytest.mark.parametrize(
    "kind",
    ["application/x-ndjson", "application/cbor", "text/html", "", "application/vnd.mapbox-vector-tile"],
)
def test_an_answer_is_read_whatever_type_it_claims(kind: str) -> None:
    """JSON is JSON; what is none is not an answer."""
    for body, sound in ((b'{"i":{"aliases":{"a":{}}}}', True), (b"<html>", False)):
        answer = whole(body).replace(b"application/json", kind.encode())
        with hostile(lambda _, answer=answer: [answer]) as url, connect(Connection([url])) as client:  # type: ignore[misc]
            if sound:
                assert backing(Cluster(client, A)).write == "i"
            else:
                with pytest.raises(elastic_transport.SerializationError):
                    backing(Cluster(client, A))


def test_a_reason_without_end_is_cut() -> None:
    """It goes to logs, to the terminal, and with a rejected line into the index."""
    long = "action [" + " on indices [" * 400_000
    for body in (
        orjson.dumps({"error": {"type": "x", "reason": long}}),
        orjson.dumps({"error": long}),
        long.encode(),
    ):
        with hostile(lambda _, body=body: [whole(body, 400)]) as url:  # type: ignore[misc]
            with connect(Connection([url])) as client, pytest.raises(BulkFailed) as failed:
                post(client, BODY, "i")
            assert len(failed.value.detail) < 1000
    (told,) = read_answer(item(status=400, error={"type": long, "reason": long}), 1).items
    assert len(told.reason) + len(told.error_type) < 50_000


def test_a_long_answer_that_was_asked_for_is_read() -> None:
    """A bulk answer is as long as its request has entries: here each is refused, with a reason of its own."""
    count = 20_000
    body = Body.of([(b"%028d" % n, b"{}") for n in range(count)])
    one = orjson.dumps(
        {"create": {"_index": "i", "status": 400, "error": {"type": "t" * 30, "reason": "r" * 700}}}
    )
    long = b'{"errors":true,"items":[' + b",".join([one] * count) + b"]}"
    with hostile(lambda _: [whole(long)]) as url, connect(Connection([url])) as client:
        assert len(post(client, body, "i").items) == count


def test_an_endless_answer_ends_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """After one that was refused the next request has a connection of its own, and its answer."""
    asked: list[int] = []

    def say(_: bytes) -> Iterable[bytes]:
        asked.append(1)
        return without_end(b"") if len(asked) == 1 else [whole(b'{"i":{"aliases":{"a":{}}}}')]

    with hostile(say) as url, connect(Connection([url])) as client:
        with pytest.raises(elasticsearch.SerializationError):
            backing(Cluster(client, A))
        assert backing(Cluster(client, A)).write == "i"


def ask_kibana(url: str) -> None:
    install(Connection(), Kibana(kibana_url=url), alerts=True, export_rows=1)


def ask_zoomdata(url: str) -> None:
    with Api(Zoomdata(zoomdata_url=f"{url.replace('//', '//admin:s3cret@')}/composer"), dry=True) as api:
        remove.remove(api, "a")


def log_zoomdata(url: str) -> None:
    with Api(Zoomdata(zoomdata_url=f"{url.replace('//', '//admin:s3cret@')}/composer")) as api:
        activities.switch(api, ["ALL"], [])


ODD_FOR_DASHBOARDS = ODD | {
    "a version of lists": b'{"status":{},"version":[]}',
    "a version that is none": b'{"status":{},"version":{"number":"a.b"}}',
    "pages without end": b'{"content":[],"pageInfo":{"nextPageToken":"%d"}}',
    "pages of another form": b'{"content":[],"pageInfo":{"nextPageToken":{}}}',
    "pages in a list": b'{"content":[],"pageInfo":[1]}',
    "content of texts": b'{"content":["x"],"version":"9.9.9","status":{}}',
    "content of an object": b'{"content":{"x":1},"version":{"number":"8.0.0"},"status":1,"errors":[7]}',
}


@pytest.mark.parametrize("ask", [ask_kibana, ask_zoomdata, log_zoomdata])
@pytest.mark.parametrize("body", ODD_FOR_DASHBOARDS.values(), ids=ODD_FOR_DASHBOARDS)
def test_an_answer_of_another_form_to_dashboards_is_one_sentence(
    ask: Callable[[str], None], body: bytes
) -> None:
    """Kibana's and Zoomdata's answers as well; where nothing was found there may be nothing to say."""
    pages = itertools.count()
    with (
        hostile(lambda _: [whole(body % next(pages) if b"%d" in body else body)]) as url,
        contextlib.suppress(Fatal),
    ):
        ask(url)
