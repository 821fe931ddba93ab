"""The one place that builds a client, and what its errors mean.

The client neither retries nor sniffs: `writing/bulk.py` decides what is sent again. Bodies given as bytes go out as
they are; a bulk answer comes back as bytes, for `writing/answers.py` to judge.
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
from indexer.elastic.credentials import Credentials, identity_of, remedy
from indexer.elastic.failures import InvalidAnswer, describe, reading_answer, reason_of, root_cause, summarise
from indexer.elastic.node import EXTRA, Node, Security
from indexer.errors import (
    Fatal,
    NotElasticsearch,
    NotInstalled,
    NotSecure,
    Refused,
    Unauthenticated,
    Unavailable,
    Unexpected,
    Unreachable,
    WrongUsage,
)
from indexer.settings import DEFAULT_URL, Connection

BULK_ANSWER = b'{"errors":'
FOUND_ANSWER = b'{"docs":[{"found":'

# What fails is said by us, once; the library would say it each time, on standard error.
logging.getLogger("elastic_transport").addHandler(logging.NullHandler())
logging.getLogger("elastic_transport").propagate = False
warnings.filterwarnings("ignore", category=elasticsearch.ElasticsearchWarning)


class _Json(OrjsonSerializer):
    """orjson for everything but answers that tell of thousands of entries, which are left as the bytes that came."""

    def loads(self, data: bytes) -> Any:
        if data.startswith((BULK_ANSWER, FOUND_ANSWER)):
            return data
        try:
            return super().loads(data)
        except elastic_transport.SerializationError:
            return super().loads(_repaired(data))


def _repaired(data: bytes) -> bytes:
    """JSON as strict parsers read it. Elasticsearch takes half a surrogate pair for a character, in a name of a field too.

    What comes back of it is no UTF-8, or an escape that stands for none: it is replaced. What is no JSON stays as it is.
    """
    try:
        value = json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return data
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


class _Bytes(OrjsonSerializer):
    """orjson for questions; answers are left as the bytes that came."""

    def loads(self, data: bytes) -> Any:
        return data


class _Raw(elastic_transport.Serializer):
    """Bulk bodies, complete as bytes already: the library's own would copy them twice."""

    mimetype = "application/x-ndjson"

    def dumps(self, data: Any) -> Any:
        return data


def connect(connection: Connection, *, raw: bool = False, expects: int = 0) -> Elasticsearch:
    """Build a client, if need be one that gives all answers as bytes; nothing is sent yet.

    `expects`: bytes that one answer may have beside what any answer may (`elastic/bounded.py`), where entries are asked for.
    Raises Fatal if the settings make no sense.
    """
    nodes = _nodes(connection)
    users = {header for node in nodes if (header := node.headers.get("authorization"))}
    if len(users) > 1:
        raise WrongUsage(what="Addresses hold different users", remedy="Give one, with --username")
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
    return Elasticsearch(
        [node.replace(ssl_context=trust.context) if trust and node in secure else node for node in bare],
        node_class=Node,
        serializers={"application/json": _Bytes() if raw else _Json(), "application/x-ndjson": _Raw()},
        request_timeout=connection.request_timeout,
        connections_per_node=64,
        max_retries=0,
        retry_on_timeout=False,
    )


def _urls(connection: Connection) -> list[str]:
    """The addresses, an Elastic Cloud id's among them. Raises WrongUsage."""
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
            what="--cloud-id is none", remedy="Copy it from the deployment's page: NAME:…, all of it"
        )
    return [f"https://{host}:{port}"]


def _nodes(connection: Connection) -> list[NodeConfig]:
    """The addresses, taken apart. Raises WrongUsage, which quotes none that may hold a password."""
    urls = _urls(connection)
    if not urls:  # a variable of blanks
        raise WrongUsage(
            what="--elasticsearch-url holds no address", remedy=f"Give one, such as {DEFAULT_URL}"
        )
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
    """One address; None if it is none, or if programs differ in which host it names."""
    if not is_address(url):
        return None
    try:
        return url_to_node_config(url)
    except ValueError:
        return None


def display_url(connection: Connection) -> str:
    """The addresses that are called, as a person may see them: without a user."""
    try:
        return ", ".join(map(_shown, _nodes(connection)))
    except WrongUsage:
        return "(no address)"


def _shown(node: NodeConfig) -> str:
    host = f"[{node.host}]" if ":" in node.host else node.host
    return f"{node.scheme}://{host}:{node.port}{node.path_prefix}"


def translate(error: Exception, connection: Connection) -> Fatal:
    """Turn what the client raised into the sentence for the person who meets it."""
    url = display_url(connection)
    match error:
        case Fatal():
            return error
        case elasticsearch.AuthenticationException():
            return Unauthenticated(
                url=url, who=identity_of(connection), reason=reason_of(error), remedy=remedy(connection)
            )
        case elasticsearch.AuthorizationException():
            return Refused(
                url=url, who=identity_of(connection), reason=describe(reason_of(error), connection.alias)
            )
        case elasticsearch.UnsupportedProductError():
            return NotElasticsearch(url=url, reason="its answers lack the header X-Elastic-Product")
        case InvalidAnswer():
            return NotElasticsearch(url=url, reason=str(error))
        case elastic_transport.SerializationError():
            return NotElasticsearch(url=url, reason="its answer is not JSON")
        case elastic_transport.TlsError():
            reason, hint = tls.describe(root_cause(error))
            return NotSecure(url=url, reason=reason, remedy=hint)
        case elastic_transport.ConnectionTimeout():
            return Unreachable(url=url, reason=f"none within {connection.request_timeout:g} s")
        case elastic_transport.ConnectionError():
            # So does Elasticsearch if it wants https (measured on 7.17.28, 8.19.16 and 9.1.5).
            hung_up = isinstance(root_cause(error), http.client.RemoteDisconnected) and "http://" in url
            return Unreachable(
                url=url, reason=summarise(error) + ("; does it want https?" if hung_up else "")
            )
        case elasticsearch.NotFoundError() if error.error == "index_not_found_exception":
            return NotInstalled(url=url, alias=connection.alias)
        case elasticsearch.ApiError():
            busy = error.status_code == 429 or error.status_code >= 500
            kind = Unavailable if busy else Unexpected
            return kind(url=url, status=error.status_code, reason=reason_of(error))
    raise error


@contextmanager
def translate_errors(connection: Connection) -> Iterator[None]:
    """Raise what the client raises as Fatal, with its sentence; so an answer that is not of the form that is expected."""
    try:
        with reading_answer():
            yield
    except (elasticsearch.ApiError, elastic_transport.TransportError) as error:
        raise translate(error, connection) from None
