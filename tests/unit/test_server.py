"""Which product and version a server is, and what the one table says that it can do."""

import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from typing import Any

import orjson
import pytest
from elasticsearch import Elasticsearch

from indexer.elastic import cluster
from indexer.elastic.client import connect
from indexer.elastic.cluster import Cluster
from indexer.elastic.server import (
    PRETENDED,
    VERSIONS,
    Feature,
    Product,
    Server,
    inspect_server,
    is_opensearch,
)
from indexer.settings import Connection
from tests.support.http_server import address, answer, serving

TAGLINE = "The OpenSearch Project: https://opensearch.org/"
REFUSAL = (
    "no permissions for [cluster:monitor/main] and User [name=me, backend_roles=[], requestedTenant=null]"
)
"""As 2.19.6 gives it (measured)."""


def opensearch(*version: int) -> Server:
    major, minor, patch = version
    return Server((major, minor, patch), lifecycle=False, product=Product.OPENSEARCH)


def elasticsearch(*version: int) -> Server:
    major, minor, patch = version
    return Server((major, minor, patch), lifecycle=True)


@pytest.mark.parametrize(
    ("server", "feature", "has"),
    [
        (elasticsearch(8, 2, 99), Feature.SUBOBJECTS, False),
        (elasticsearch(8, 3, 0), Feature.SUBOBJECTS, True),
        (elasticsearch(10, 0, 0), Feature.SUBOBJECTS, True),
        (elasticsearch(9, 4, 9), Feature.DIVERGING_REPLICAS, False),
        (elasticsearch(9, 5, 0), Feature.DIVERGING_REPLICAS, True),
        (elasticsearch(9, 5, 2), Feature.DIVERGING_REPLICAS, True),
        (elasticsearch(9, 5, 3), Feature.DIVERGING_REPLICAS, False),
        (elasticsearch(9, 5, 0), Feature.AUTO_CREATION, False),
        (opensearch(2, 19, 6), Feature.AUTO_CREATION, True),
        (opensearch(9, 5, 0), Feature.SUBOBJECTS, False),
        (opensearch(9, 5, 0), Feature.DIVERGING_REPLICAS, False),
    ],
)
def test_a_feature_is_there_from_one_version_to_another(server: Server, feature: Feature, has: bool) -> None:  # noqa: FBT001
    """The first that has it is one of them, the first that no longer has it is not; another product's tell nothing."""
    assert server.has(feature) is has


def test_why_a_feature_is_not_there() -> None:
    """Another version would do, or none of this product would."""
    assert elasticsearch(7, 17, 28).lacks(Feature.SUBOBJECTS) == "needs Elasticsearch 8.3"
    assert opensearch(2, 19, 6).lacks(Feature.SUBOBJECTS) == "OpenSearch does not have it"


def test_every_feature_is_in_the_table_of_some_product() -> None:
    """One that is in none would be lacked by all, in silence."""
    assert set(VERSIONS) == set(Feature)
    assert all(VERSIONS.values())


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"version": {"number": "2.19.6", "distribution": "opensearch"}}, True),
        ({"version": {"number": PRETENDED}, "tagline": TAGLINE}, True),
        ({"version": None, "tagline": TAGLINE}, True),
        ({"version": {"number": "9.5.0"}, "tagline": "You Know, for Search"}, False),
        ({"version": {"number": "7.10.2", "build_flavor": "oss"}, "tagline": "You Know, for Search"}, False),
        ({"error": {"type": "security_exception", "reason": REFUSAL}, "status": 403}, True),
        ({"error": {"reason": "refused: " + REFUSAL}, "status": 403}, False),
        ({"error": REFUSAL}, False),
        ({"version": {"distribution": "another"}}, False),
        ({"tagline": ["The OpenSearch Project"]}, False),
        ({}, False),
        (None, False),
        ([], False),
        ("The OpenSearch Project", False),
    ],
)
def test_what_says_that_it_is_an_opensearch(info: Any, expected: bool) -> None:  # noqa: FBT001
    """Its distribution, the tagline where it pretends to be 7.10.2, or how its security plugin refuses to say it."""
    assert is_opensearch(info) is expected


def inspected(info: Any, status: int = 200, **headers: str) -> tuple[Server, list[str]]:
    """What is found of a server that answers so to `GET /`, and the paths that were asked for."""
    asked = []

    def respond(handler: BaseHTTPRequestHandler) -> None:
        path = handler.path.partition("?")[0]
        asked.append(path)
        nodes = {"nodes": {"n": {"version": "2.19.6"}}}
        found = {"/": (status, info), "/_nodes/_local": (200, nodes)}.get(
            path, (400, {"error": "no handler"})
        )
        answer(handler, found[0], orjson.dumps(found[1]), content_type="application/json", **headers)

    with serving(respond) as server, connect(Connection([address(server)])) as client:
        return inspect_server(client), asked


def test_an_opensearch_says_its_version() -> None:
    """No further question is asked: one about lifecycle management AWS answers as it answers a wrong password, with 401."""
    found, asked = inspected(
        {"version": {"number": "2.17.0", "distribution": "opensearch"}, "tagline": TAGLINE}
    )
    assert found == opensearch(2, 17, 0)
    assert str(found) == "OpenSearch 2.17.0"
    assert set(asked) == {"/"}


def test_an_opensearch_that_pretends_to_be_elasticsearch_7_10_is_found_out() -> None:
    """With `compatibility.override_main_response_version` only the tagline is its own; its node says the version."""
    found, asked = inspected({"version": {"number": PRETENDED, "build_type": "tar"}, "tagline": TAGLINE})
    assert found == opensearch(2, 19, 6)
    assert asked.count("/_nodes/_local") == 1


def test_a_prerelease_is_its_version() -> None:
    """What follows the numbers is left out."""
    info = {"version": {"number": "3.0.0-beta1", "distribution": "opensearch"}}
    found, _ = inspected(info, X_OpenSearch_Version="OpenSearch/3.0.0-beta1 (opensearch)")
    assert found == opensearch(3, 0, 0)


@pytest.mark.parametrize("status", [400, 404, 405])
def test_a_server_without_the_module_for_the_root_says_its_version_elsewhere(status: int) -> None:
    """Servers from Maven Central are such; what marks their answers is Elasticsearch's."""
    found, _ = inspected({"error": "no handler"}, status, X_Elastic_Product="Elasticsearch")
    assert (found.product, found.version) == (Product.ELASTICSEARCH, (2, 19, 6))


def test_a_server_that_does_not_answer_holds_up_no_other_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until Python 3.12 `cached_property` has one lock for all: sealing would have held up whoever asks for the product."""
    asked, told = threading.Event(), threading.Event()
    slow, other = Elasticsearch("http://localhost:1"), Elasticsearch("http://localhost:1")

    def ask(client: Elasticsearch) -> Product:
        if client is slow:
            asked.set()
            told.wait(30)
        return Product.OPENSEARCH

    monkeypatch.setattr(cluster, "product_of", ask)
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(lambda: Cluster(slow, Connection()).product)
        assert asked.wait(30)
        try:
            assert pool.submit(lambda: Cluster(other, Connection()).product).result(30) is Product.OPENSEARCH
            assert not waiting.done()
        finally:
            told.set()
