"""The one place that builds a client, and what its errors mean.

The client does not sniff, and repeats searches only (`elastic/complete.py`): `writing/bulk.py` decides what is sent again.
Bodies given as bytes go out as they are; a bulk answer comes back as bytes, for `writing/answers.py` to judge.
"""

import http.client
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import elastic_transport
import elasticsearch
from elastic_transport import NodeConfig
from elastic_transport.client_utils import parse_cloud_id, url_to_node_config
from elasticsearch import Elasticsearch
from elasticsearch.serializer import OrjsonSerializer

from indexer.elastic import tls
from indexer.elastic.addresses import is_address, refuse_queues, refused
from indexer.elastic.complete import Client
from indexer.elastic.credentials import Credentials, identity_of, remedy
from indexer.elastic.failures import InvalidAnswer, describe, reading_answer, reason_of, root_cause, summarise
from indexer.elastic.node import EXTRA, PRODUCT, Node, Security
from indexer.errors import (
    Blocked,
    Fatal,
    NotInstalled,
    NotSecure,
    Refused,
    Unauthenticated,
    Unavailable,
    Unexpected,
    UnknownProduct,
    Unreachable,
    WrongUsage,
)
from indexer.settings import DEFAULT_URL, Connection

BULK_ANSWER = b'{"errors":'
FOUND_ANSWER = b'{"docs":[{"found":'
BLOCKS = {"cluster_block_exception", "index_create_block_exception"}
"""Errors of a change that nobody may make now; the second is OpenSearch's, of new indices (measured on 2.19.6)."""

# This program reports failures itself; the library would also log each one to standard error.
logging.getLogger("elastic_transport").addHandler(logging.NullHandler())
logging.getLogger("elastic_transport").propagate = False
warnings.filterwarnings("ignore", category=elasticsearch.ElasticsearchWarning)


class _Json(OrjsonSerializer):
    """orjson, except for answers about thousands of entries, which stay bytes."""

    def loads(self, data: bytes) -> Any:
        if data.startswith((BULK_ANSWER, FOUND_ANSWER)):
            return data
        try:
            return super().loads(data)
        except elastic_transport.SerializationError:
            return super().loads(_repaired(data))


def _repaired(data: bytes) -> bytes:
    """JSON that strict parsers accept. Elasticsearch accepts half a surrogate pair as a character, also in field names.

    It returns it as invalid UTF-8 or as a lone escape, which is replaced here. What is not JSON stays as it is.
    """
    try:
        value = json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return data
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


class _Bytes(OrjsonSerializer):
    """orjson for requests; answers stay bytes."""

    def loads(self, data: bytes) -> Any:
        return data


class _Raw(elastic_transport.Serializer):
    """Bulk bodies, which are complete bytes already; the library's own serializer would copy them twice."""

    mimetype = "application/x-ndjson"

    def dumps(self, data: Any) -> Any:
        return data


def connect(connection: Connection, *, raw: bool = False, expects: int = 0) -> Elasticsearch:
    """Build a client; with `raw`, one that returns all answers as bytes. Sends nothing.

    `expects`: bytes to allow for an answer in addition (`elastic/bounded.py`), where entries are requested.
    Raises Fatal if the settings are invalid.
    """
    nodes = _nodes(connection)
    users = {header for node in nodes if (header := node.headers.get("authorization"))}
    if len(users) > 1:
        raise WrongUsage(what="The addresses contain different users", remedy="Give one, with --username")
    secure = [node for node in nodes if node.scheme == "https"]
    given = [option for option in tls.OPTIONS if getattr(connection, option)]
    if given and len(secure) < len(nodes):
        option = "--" + given[0].replace("_", "-")
        raise WrongUsage(
            what=f"{option} is given, and {display_url(connection)} is not https", remedy="Give https://"
        )
    trust = tls.Tls(connection) if secure else None
    shared = {EXTRA: Security(Credentials(connection, next(iter(users), None)), trust, expects)}
    bare = [node.replace(headers={}, _extras=shared) for node in nodes]
    return Client(
        [node.replace(ssl_context=trust.context) if trust and node in secure else node for node in bare],
        node_class=Node,
        serializers={"application/json": _Bytes() if raw else _Json(), "application/x-ndjson": _Raw()},
        request_timeout=connection.request_timeout,
        connections_per_node=64,
        max_retries=0,
        retry_on_timeout=False,
    )


def _urls(connection: Connection) -> list[str]:
    """The addresses, or that of the Elastic Cloud ID. Raises WrongUsage."""
    given = connection.elasticsearch_url
    if connection.cloud_id is None:
        return given
    if given != [DEFAULT_URL]:
        raise WrongUsage(what="--cloud-id and --elasticsearch-url are both given", remedy="Give one of them")
    try:
        host, port = parse_cloud_id(connection.cloud_id).es_address or ("", 0)
    except ValueError:
        host = ""
    if not host:
        raise WrongUsage(
            what="--cloud-id is not a valid Cloud ID",
            remedy="Copy the whole ID from the deployment's page (NAME:…)",
        )
    return [f"https://{host}:{port}"]


def _nodes(connection: Connection) -> list[NodeConfig]:
    """The addresses, parsed. Raises WrongUsage, which does not quote an address that may contain a password."""
    urls = _urls(connection)
    if not urls:  # the environment variable is blank
        raise WrongUsage(what="--elasticsearch-url is empty", remedy=f"Give one, such as {DEFAULT_URL}")
    nodes = []
    for url in urls:
        node = _node(url)
        if node is None:
            option, example = "--elasticsearch-url", "https://host:9200/path"
            raise refused(url, "address of Elasticsearch", option, example, urls)
        refuse_queues(node)
        nodes.append(node)
    return nodes


def _node(url: str) -> NodeConfig | None:
    """One address, parsed; None if it is invalid or programs differ in which host it names."""
    if not is_address(url):
        return None
    try:
        return url_to_node_config(url)
    except ValueError:
        return None


def display_url(connection: Connection) -> str:
    """The addresses, without users and passwords."""
    try:
        return ", ".join(map(_display, _nodes(connection)))
    except WrongUsage:
        return "(no address)"


def _display(node: NodeConfig) -> str:
    host = f"[{node.host}]" if ":" in node.host else node.host
    return f"{node.scheme}://{host}:{node.port}{node.path_prefix}"


def translate(error: Exception, connection: Connection) -> Fatal:
    """The Fatal for an error that the client raised. Raises the error itself if it is none of these."""
    url = display_url(connection)
    match error:
        case Fatal():
            return error
        case elasticsearch.AuthenticationException():
            return Unauthenticated(
                product=_product(error),
                url=url,
                who=identity_of(connection),
                reason=reason_of(error),
                remedy=remedy(connection),
            )
        case elasticsearch.AuthorizationException():
            return _forbidden(error, connection)
        case elasticsearch.UnsupportedProductError():
            return UnknownProduct(
                url=url,
                reason="its answers lack the header X-Elastic-Product, and GET / does not say opensearch",
            )
        case InvalidAnswer():
            return UnknownProduct(url=url, reason=str(error))
        case elastic_transport.SerializationError():
            return UnknownProduct(url=url, reason="its answer is not JSON")
        case elastic_transport.TlsError():
            reason, hint = tls.describe(root_cause(error))
            return NotSecure(url=url, reason=reason, remedy=hint)
        case elastic_transport.ConnectionTimeout():
            return Unreachable(url=url, reason=f"timed out after {connection.request_timeout:g} s")
        case elastic_transport.ConnectionError():
            # Elasticsearch closes the connection if it requires https (measured on 7.17.28, 8.19.16 and 9.1.5).
            closed = isinstance(root_cause(error), http.client.RemoteDisconnected) and "http://" in url
            return Unreachable(
                url=url, reason=summarise(error) + ("; does it require https?" if closed else "")
            )
        case elasticsearch.NotFoundError() if error.error == "index_not_found_exception":
            return NotInstalled(url=url, alias=connection.alias)
        case elasticsearch.ApiError():
            busy = error.status_code == 429 or error.status_code >= 500
            kind = Unavailable if busy else Unexpected
            return kind(product=_product(error), url=url, status=error.status_code, reason=reason_of(error))
    raise error


def _forbidden(error: elasticsearch.AuthorizationException, connection: Connection) -> Fatal:
    product, url, reason = _product(error), display_url(connection), reason_of(error)
    if error.error in BLOCKS:
        return Blocked(product=product, url=url, reason=reason.rstrip(";"))
    who = identity_of(connection)
    return Refused(product=product, url=url, who=who, reason=describe(reason, connection.alias))


def _product(error: elasticsearch.ApiError) -> str:
    """Whose answer it is; a proxy's is the server's."""
    return error.meta.headers.get(PRODUCT) or "The server"


@contextmanager
def translate_errors(connection: Connection) -> Iterator[None]:
    """Translate errors of the client, and answers of an unexpected form, to Fatal."""
    try:
        with reading_answer():
            yield
    except (elasticsearch.ApiError, elastic_transport.TransportError) as error:
        raise translate(error, connection) from None
