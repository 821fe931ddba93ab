"""Whose answers a node takes: those with a product's mark, and those of an OpenSearch, which may have none."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

import elasticsearch
import orjson
import pytest
from elasticsearch import Elasticsearch

from indexer.elastic.client import connect, translate_errors
from indexer.elastic.cluster import Cluster
from indexer.elastic.node import PRODUCT
from indexer.elastic.server import Product
from indexer.errors import UnknownProduct
from indexer.settings import Connection
from indexer.writing.batches import Body
from indexer.writing.request import post
from tests.support.http_server import address, answer, serving

INFO = orjson.dumps({"version": {"number": "2.19.6", "distribution": "opensearch"}})
OTHER = orjson.dumps({"name": "another product"})
BULK = b'{"errors":false,"items":[{"create":{"_index":"i","status":201}}]}'
MARKED = {"X_OpenSearch_Version": "OpenSearch/3.6.0 (opensearch)"}
ELASTICSEARCH = {"X_Elastic_Product": "Elasticsearch"}
UNMARKED: dict[str, str] = {}


@dataclass
class Answerer:
    """A server of canned answers, and what it was asked."""

    root: tuple[int, bytes] = (200, INFO)
    """Status and body that `GET /` gets."""
    status: int = 200
    """Of all other answers."""
    headers: dict[str, str] = field(default_factory=dict)
    """Of all of them."""
    asked: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    """The media types of the requests."""

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer."""
        handler.rfile.read(int(handler.headers.get("content-length", 0)))
        self.asked.append(f"{handler.command} {handler.path.partition('?')[0]}")
        self.types += [value for name in ("accept", "content-type") if (value := handler.headers.get(name))]
        status, body = self.root if handler.path == "/" else (self.status, BULK)
        answer(handler, status, body, content_type="application/json", **self.headers)

    @contextmanager
    def client(self) -> Iterator[Elasticsearch]:
        """A client as the indexer builds it."""

        def respond(handler: BaseHTTPRequestHandler) -> None:  # a method would be given no handler
            self.respond(handler)

        with serving(respond) as server, connect(Connection([address(server)])) as client:
            yield client

    def identified(self) -> int:
        """How often it was asked what it is."""
        return self.asked.count("GET /")


def product_of(client: Elasticsearch) -> str:
    """Ask for something; whose answer it is."""
    return client.cluster.health().meta.headers[PRODUCT]


@pytest.mark.parametrize(
    ("headers", "product", "questions"),
    [
        (UNMARKED, Product.OPENSEARCH, 1),
        (MARKED, Product.OPENSEARCH, 0),
        (ELASTICSEARCH, Product.ELASTICSEARCH, 0),
    ],
    ids=["unmarked", "OpenSearch 3", "Elasticsearch"],
)
def test_only_an_unmarked_answer_leads_to_one_question(
    headers: dict[str, str], product: Product, questions: int
) -> None:
    """However many requests follow on the same node."""
    server = Answerer(headers=headers)
    with server.client() as client:
        assert [product_of(client) for _ in range(3)] == [product] * 3
    assert server.identified() == questions
    assert len(server.asked) == 3 + questions


@pytest.mark.parametrize("root", [(200, OTHER), (200, b"<html>"), (404, INFO[:20]), (200, b"[]"), (302, b"")])
def test_an_answerer_that_is_neither_is_refused_each_time(root: tuple[int, bytes]) -> None:
    """Nothing is remembered of it: behind the address there may be another server by now."""
    server = Answerer(root)
    with server.client() as client:
        for _ in range(2):
            with pytest.raises(UnknownProduct), translate_errors(Connection()):
                client.cluster.health()
    assert server.identified() == 2


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_who_is_not_told_what_it_is_hears_why(status: int) -> None:
    """A refusal, or a server that cannot answer now, is no other product; once it answers, all is well."""
    server = Answerer((status, orjson.dumps({"error": {"type": "t", "reason": "not now"}, "status": status})))
    with server.client() as client:
        with pytest.raises(elasticsearch.ApiError) as refused:
            client.cluster.health()
        assert (refused.value.status_code, refused.value.body["error"]["reason"]) == (status, "not now")
        server.root = (200, INFO)
        assert product_of(client) == Product.OPENSEARCH


def test_who_is_refused_by_the_security_plugin_knows_what_it_is() -> None:
    """Without the right to ask; the other rights are as good as with it."""
    reason = (
        "no permissions for [cluster:monitor/main] and User [name=me, backend_roles=[], requestedTenant=null]"
    )
    refusal = {"error": {"type": "security_exception", "reason": reason}, "status": 403}
    server = Answerer((403, orjson.dumps(refusal)))
    with server.client() as client:
        assert [product_of(client) for _ in range(2)] == [Product.OPENSEARCH] * 2
        assert server.identified() == 1
        assert Cluster(client, Connection()).product is Product.OPENSEARCH


def test_a_refusal_that_is_a_page_keeps_its_status() -> None:
    """As a proxy gives it."""
    with Answerer((403, b"<html>no</html>")).client() as client:
        with pytest.raises(elasticsearch.AuthorizationException) as refused:
            client.cluster.health()
        assert refused.value.status_code == 403


@pytest.mark.parametrize("status", [401, 403, 413, 429, 502, 503])
def test_what_a_proxy_may_answer_itself_leads_to_no_question(status: int) -> None:
    """The status says what to do, whoever it is of."""
    server = Answerer(status=status)
    with server.client() as client, pytest.raises(elasticsearch.ApiError) as refused:
        client.cluster.health()
    assert refused.value.status_code == status
    assert server.identified() == 0


def test_a_mark_on_the_answer_to_the_question_does_not_pass_for_one_on_the_answer() -> None:
    """An answer of a marked product has its mark; this one came from something before it."""
    server = Answerer()

    def respond(handler: BaseHTTPRequestHandler) -> None:
        server.headers = MARKED if handler.path == "/" else UNMARKED
        server.respond(handler)

    with (
        serving(respond) as proxy,
        connect(Connection([address(proxy)])) as client,
        pytest.raises(UnknownProduct),
        translate_errors(Connection()),
    ):
        client.cluster.health()


@pytest.mark.parametrize("headers", [UNMARKED, MARKED, ELASTICSEARCH])
def test_no_request_has_media_types_of_one_product(headers: dict[str, str]) -> None:
    """OpenSearch refuses bodies of Elasticsearch's own (406, measured on 2.19.6); Elasticsearch takes the plain ones."""
    server = Answerer(headers=headers)
    with server.client() as client:
        client.cluster.health()
        client.search(index="i", query={"match_all": {}})
        client.mget(index="i", ids=["1"])
        client.indices.put_mapping(index="i", properties={})
        client.bulk(operations=b'{"index":{}}\n{}\n', index="i")  # type: ignore[arg-type]
        post(client, Body.of([(b"0" * 28, b"{}")]), "i", require_alias=True)
    assert set(server.types) == {"application/json", "application/x-ndjson"}
