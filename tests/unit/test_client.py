"""The client as it is built: whose addresses it has, and what is shown of them."""

import base64

import elasticsearch
import pytest

from indexer.cluster.client import connect, shown
from indexer.cluster.failures import reason_of
from indexer.errors import WrongUsage
from indexer.settings import Connection
from tests.integration.conftest import address, always, serving


def cloud_id(decoded: str, name: str = "my-deployment") -> str:
    """As the page of a deployment shows it: a name, and host, Elasticsearch and Kibana in base64."""
    return f"{name}:{base64.b64encode(decoded.encode()).decode()}"


@pytest.mark.parametrize(
    ("decoded", "url"),
    [
        ("eu-west-1.aws.example.io$abc$def", "https://abc.eu-west-1.aws.example.io:443"),
        ("example.io:9243$abc$", "https://abc.example.io:9243"),
        ("example.io$abc", "https://abc.example.io:443"),
    ],
)
def test_a_cloud_id_is_an_address(decoded: str, url: str) -> None:
    """It is decoded, and shown as the address it stands for. No Elastic Cloud is asked: none is reachable from tests."""
    connection = Connection(cloud_id=cloud_id(decoded))
    assert shown(connection) == url
    with connect(connection) as client:
        assert [node.base_url for node in client.transport.node_pool.all()] == [url]


@pytest.mark.parametrize(
    "wrong", ["", "name", "name:???", cloud_id(""), cloud_id("host"), cloud_id("host$$kibana")]
)
def test_a_cloud_id_that_is_none_is_wrong_usage(wrong: str) -> None:
    """Cut short, or something else altogether; the sentence about it can be made all the same."""
    connection = Connection(cloud_id=wrong)
    with pytest.raises(WrongUsage, match="--cloud-id"):
        connect(connection)
    assert shown(connection) == "(no address)"


def test_a_cloud_id_and_an_address_are_wrong_usage() -> None:
    """One of them would be for nothing."""
    with pytest.raises(WrongUsage, match="--cloud-id and --elasticsearch-url are both given"):
        connect(Connection(["http://other:9200"], cloud_id=cloud_id("example.io$abc")))


def test_several_addresses_share_what_is_ours() -> None:
    """Each has its own path; https and http may be mixed as long as no trust is asked for."""
    urls = ["https://one:9200/es", "http://two:9200", "https://[::1]:9201/a/b"]
    connection = Connection(urls)
    with connect(connection) as client:
        assert {node.base_url for node in client.transport.node_pool.all()} == set(urls)
    assert shown(connection) == ", ".join(urls)


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("https://user:s3cret@host:9200/es", "https://host:9200/es"),
        ("http://user:p@s3cret@host:9200", "http://host:9200"),
        ("http://user:p/s3cret@host:9200", "http://host:9200"),
        ("user:s3cret@host:9200", "host:9200"),
        ("http://host:9200", "http://host:9200"),
    ],
)
def test_an_address_is_shown_without_its_user(url: str, seen: str) -> None:
    """Nor any part of a password with signs that should have been encoded."""
    assert shown(Connection([url])) == seen


PAGE = b"<html>413 Request Entity Too Large</html>"
REFUSAL = (
    b'{"error":{"type":"content_too_long_exception","reason":"entity content is too long"},"status":413}'
)


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [
        ("text/html", PAGE, "status 413"),
        ("application/json", PAGE, "status 413"),
        ("application/octet-stream", PAGE, "status 413"),
        ("application/xml; charset=latin-1", b"<m>zu gro\xdf</m>", "status 413"),
        ("", b"\0\xff", "status 413"),
        ("application/json", b"", "status 413"),
        ("text/plain", b"", "status 413"),
        ("application/json", REFUSAL, "entity content is too long"),
        ("application/vnd.elasticsearch+json;compatible-with=8", REFUSAL, "entity content is too long"),
        ("application/problem+json", REFUSAL, "entity content is too long"),
        ("application/json", REFUSAL[:40], "status 413"),
    ],
)
def test_a_refusal_keeps_its_status_whatever_it_says(kind: str, body: bytes, reason: str) -> None:
    """A proxy answers with pages of its own, under types that are not theirs, too."""
    with (
        serving(always(413, body, content_type=kind)) as server,
        connect(Connection([address(server)])) as client,
    ):
        with pytest.raises(elasticsearch.ApiError) as refused:
            client.bulk(operations=b'{"index":{}}\n{}\n', index="i")  # type: ignore[arg-type]
        assert (refused.value.status_code, reason_of(refused.value)) == (413, reason)
        assert isinstance(refused.value.body, dict) == (body == REFUSAL)
