"""The client as it is built: whose addresses it has, and what is shown of them."""

import base64
import socket
import time
from http.server import BaseHTTPRequestHandler

import elasticsearch
import pytest

from indexer.elastic import node
from indexer.elastic.client import connect, display_url, translate_errors
from indexer.elastic.failures import reason_of
from indexer.errors import UnknownProduct, WrongUsage
from indexer.settings import Connection
from tests.support.http_server import address, always, answer, serving


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
    assert display_url(connection) == url
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
    assert display_url(connection) == "(no address)"


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
    assert display_url(connection) == ", ".join(urls)


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("https://user:s3cret@host:9200/es", "https://host:9200/es"),
        ("https://us%40er:s3%2F%20cret@host:9200/es/", "https://host:9200/es"),
        ("http://user:s3cret,;!$&'()*+=~@[::1]:9200", "http://[::1]:9200"),
        ("http://user:s3crét@host:9200", "http://host:9200"),
        ("http://@host:9200", "http://host:9200"),
        ("http://host:9200", "http://host:9200"),
        ("HTTPS://HOST", "https://host:443"),
        ("http://höst:9200/a%20b", "http://xn--hst-sna:9200/a%20b"),
    ],
)
def test_the_host_that_is_called_is_shown_without_a_user(url: str, seen: str) -> None:
    """As it is called, not as it is written."""
    connection = Connection([url])
    assert display_url(connection) == seen
    with connect(connection) as client:
        assert [node.base_url for node in client.transport.node_pool.all()] == [seen]


@pytest.mark.parametrize(
    "urls",
    [
        *([f"http://anna7:12{sign}s3cret@host:9200"] for sign in "@/?# \t\n\\[]%"),
        *([f"http://anna7{sign}s3cret:12@host:9200"] for sign in "@/?# \\[]"),
        ["http://anna7:s3cret", "w0rd@host:9200"],
        ["http://anna7:12", "s3cret@host:9200"],
        ["http://anna7:12", "s3cret", "w0rd@host:9200"],
        ["http://anna7:s3cret"],
        ["anna7:s3cret@host:9200"],
        ["http://host:9200/s3cret@x"],
        ["http://host:9200/?s3cret@x"],
        ["http://anna7:s3cret@host:port"],
        ["http://anna7:s3cret@host:99999"],
        ["http://anna7:s3cret@[::1%25lo]:9200"],
        ["ftp://anna7:s3cret@host:9200"],
    ],
)
def test_no_part_of_a_password_is_shown(urls: list[str]) -> None:
    """Whatever stands in it that should have been encoded, also where a blank has split it: no host is called at all."""
    connection = Connection(urls)
    with pytest.raises(
        WrongUsage, match=r"is not a valid address of Elasticsearch\. Give --elasticsearch-url"
    ) as raised:
        connect(connection)
    assert not [part for part in ("s3cret", "w0rd", "anna7", ":12", "12@") if part in str(raised.value)]
    assert "%2F" in str(raised.value)
    assert display_url(connection) == "(no address)"


@pytest.mark.parametrize(
    "url",
    [
        *("http://[::1%25lo]:9200", "http://[fe80::1%eth0]:9200", "http://host:port", "http://host:99999"),
        *("http://ho st:9200", "http://host:9200 ", "localhost", "ftp://localhost:9200", "http://", ""),
        *("http://host:9200/a b", "http://host"),
    ],
)
def test_what_is_no_address_is_named(url: str) -> None:
    """One sentence; it is quoted where it can hold no password."""
    with pytest.raises(WrongUsage, match="is not a valid address of Elasticsearch") as raised:
        connect(Connection([url]))
    assert repr(url) in str(raised.value) or url == "http://host:port"


def test_no_address_at_all_is_wrong_usage() -> None:
    """As a variable of blanks gives it."""
    with pytest.raises(WrongUsage, match="--elasticsearch-url is empty"):
        connect(Connection([]))
    assert display_url(Connection([])) == "(no address)"


@pytest.mark.parametrize(
    ("data", "read"),
    [
        (b'{"x\\ud83d":1}', {"x?": 1}),
        (b'{"x\xed\xa0\xbd":1}', {"x\ufffd\ufffd\ufffd": 1}),
        (b'{"a":["\\ude00\\ud83d",{"b":"\\ud83d\\ude00"}]}', {"a": ["??", {"b": "😀"}]}),
        (b'{"a":"\xff\\\\ud83d"}', {"a": "\ufffd\\ud83d"}),
        (b'{"a":18446744073709551616}', {"a": 18446744073709551616.0}),
    ],
)
def test_an_answer_with_half_a_character_is_read(data: bytes, read: object) -> None:
    """As Elasticsearch gives back what it took for a character; else the mapping could not be looked at at all."""
    with (
        serving(
            always(200, data, content_type="application/json", x_elastic_product="Elasticsearch")
        ) as server,
        connect(Connection([address(server)])) as client,
    ):
        answer = client.perform_request("GET", "/_mapping", headers={"accept": "application/json"})
        assert answer.body == read


@pytest.mark.parametrize("data", [b"<html>", b'{"a":', b"{" * 100_000, b"\xff"])
def test_what_is_no_json_is_said_to_be_none(data: bytes) -> None:
    """A page is not repaired into an answer."""
    connection = Connection(["http://host:9200"])
    headers = {"content_type": "application/json", "x_elastic_product": "Elasticsearch"}
    with serving(always(200, data, **headers)) as server:
        connection = Connection([address(server)])
        with (
            connect(connection) as client,
            pytest.raises(UnknownProduct, match="is not JSON"),
            translate_errors(connection),
        ):
            client.perform_request("GET", "/_mapping", headers={"accept": "application/json"})


def test_a_connection_that_was_idle_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A balancer may have dropped it without a word: here it takes what is sent and never answers."""
    monkeypatch.setattr(node, "IDLE", 0.2)
    answered: list[socket.socket] = []

    def once(handler: BaseHTTPRequestHandler) -> None:
        """Answer as long as the connection is in use; after a pause, keep silent on it for ever."""
        now = time.monotonic()
        if handler.connection in answered and now - last[0] > 0.2:
            time.sleep(60)
        answered.append(handler.connection)
        answer(handler, 200, b"{}", content_type="application/json", x_elastic_product="Elasticsearch")
        last[0] = time.monotonic()

    last = [0.0]
    with serving(once) as server, connect(Connection([address(server)], request_timeout=20)) as client:
        for pause in (0.0, 0.0, 0.5, 0.0):
            time.sleep(pause)
            client.perform_request("GET", "/", headers={"accept": "application/json"})
        (kept,) = client.transport.node_pool.all()
        connection = kept.pool.pool.get()  # type: ignore[attr-defined] # as the library keeps it
        assert connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert len(answered) == 4
    assert answered[0] is answered[1] is not answered[2] is answered[3]


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
