"""The one place that builds a client, and what can be learned of the server behind it.

The client neither retries nor sniffs: `writing/bulk.py` decides what is sent again. Bodies given as bytes go out as
they are; a bulk answer comes back as bytes, for `writing/answers.py` to judge.
"""

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import elastic_transport
import elasticsearch
from elasticsearch import Elasticsearch
from elasticsearch.serializer import OrjsonSerializer

from indexer.errors import (
    Fatal,
    NotElasticsearch,
    NotInstalled,
    Refused,
    Unavailable,
    Unexpected,
    Unreachable,
)
from indexer.settings import Connection

BULK_ANSWER = b'{"errors":'

# What fails is said by us, once; the library would say it each time, on standard error.
logging.getLogger("elastic_transport").addHandler(logging.NullHandler())
logging.getLogger("elastic_transport").propagate = False
warnings.filterwarnings("ignore", category=elasticsearch.ElasticsearchWarning)


class _Json(OrjsonSerializer):
    """orjson for everything but bulk answers, which are left as the bytes that came."""

    def loads(self, data: bytes) -> Any:
        return data if data.startswith(BULK_ANSWER) else super().loads(data)


class _Bytes(OrjsonSerializer):
    """orjson for questions; answers are left as the bytes that came."""

    def loads(self, data: bytes) -> Any:
        return data


class _Raw(elastic_transport.Serializer):
    """Bulk bodies, complete as bytes already: the library's own would copy them twice."""

    mimetype = "application/x-ndjson"

    def dumps(self, data: Any) -> Any:
        return data


PRODUCT = "x-elastic-product"
"""The header of every answer of Elasticsearch from 7.14 on; the library itself looks for it on the first success only."""
ITS_OWN = {401, 403, 407, 408, 413, 429}
"""What a proxy in front of Elasticsearch may answer in its place, besides 5xx."""


class _Node(elastic_transport.Urllib3HttpNode):
    """Tells answers that are not Elasticsearch's, and never logs a body.

    A body may be megabytes of other people's data, and what would log it fails on a memoryview.
    """

    def perform_request(self, *args: Any, **kwargs: Any) -> Any:
        """Send and receive. Raises UnsupportedProductError, and what the library raises."""
        meta, body = answer = super().perform_request(*args, **kwargs)
        if PRODUCT not in meta.headers and 200 <= meta.status < 500 and meta.status not in ITS_OWN:
            raise elasticsearch.UnsupportedProductError("not Elasticsearch", meta=meta, body=body)
        return answer

    def _log_request(self, *_: Any, **__: Any) -> None:
        pass


def connect(connection: Connection, *, raw: bool = False) -> Elasticsearch:
    """Build a client, if need be one that gives all answers as bytes; nothing is sent yet.

    Raises Fatal if the settings make no sense.
    """
    if connection.api_key is not None:
        auth: dict[str, Any] = {"api_key": connection.api_key}
    elif connection.username is not None:
        auth = {"basic_auth": (connection.username, connection.password or "")}
    else:
        auth = {}
    if connection.ca_certs is not None:
        auth["ca_certs"] = str(connection.ca_certs)
    try:
        return Elasticsearch(
            connection.elasticsearch_url,
            node_class=_Node,
            serializers={"application/json": _Bytes() if raw else _Json(), "application/x-ndjson": _Raw()},
            request_timeout=connection.request_timeout,
            connections_per_node=64,
            max_retries=0,
            retry_on_timeout=False,
            **auth,
        )
    except (ValueError, OSError) as error:
        raise Fatal(
            what=f"Cannot use --elasticsearch-url {shown(connection)} as it is set up: {error}."
        ) from None


def shown(connection: Connection) -> str:
    """The addresses as a person may see them: without a password in them."""
    return ", ".join(re.sub(r"//[^/@]*@", "//", url) for url in connection.elasticsearch_url)


def explain(error: Exception, connection: Connection) -> Fatal:
    """Turn what the client raised into the sentence for the person who meets it."""
    url = shown(connection)
    match error:
        case Fatal():
            return error
        case elasticsearch.AuthenticationException() | elasticsearch.AuthorizationException():
            who = "the API key" if connection.api_key else f"user {connection.username!r}"
            if connection.api_key is None and connection.username is None:
                who = "a request without credentials"
            return Refused(url=url, who=who, reason=_reason(error))
        case elasticsearch.UnsupportedProductError():
            return NotElasticsearch(url=url, reason="its answers lack the header X-Elastic-Product")
        case elastic_transport.SerializationError():
            return NotElasticsearch(url=url, reason="its answer is not JSON")
        case elastic_transport.TlsError():
            return Unreachable(url=url, reason=f"TLS: {_innermost(error)}")
        case elastic_transport.ConnectionTimeout():
            return Unreachable(url=url, reason=f"none within {connection.request_timeout:g} s")
        case elastic_transport.ConnectionError():
            return Unreachable(url=url, reason=_innermost(error))
        case elasticsearch.NotFoundError() if error.error == "index_not_found_exception":
            return NotInstalled(url=url, alias=connection.alias)
        case elasticsearch.ApiError():
            busy = error.status_code == 429 or error.status_code >= 500
            kind = Unavailable if busy else Unexpected
            return kind(url=url, status=error.status_code, reason=_reason(error))
    raise error


@contextmanager
def explained(connection: Connection) -> Iterator[None]:
    """Raise what the client raises as Fatal, with its sentence."""
    try:
        yield
    except (elasticsearch.ApiError, elastic_transport.TransportError) as error:
        raise explain(error, connection) from None


def _reason(error: elasticsearch.ApiError) -> str:
    body = error.body
    if isinstance(body, bytes):
        return f"status {error.status_code}"
    failure = body.get("error") if isinstance(body, dict) else None
    if isinstance(failure, dict):
        return f"{failure.get('reason') or failure.get('type')}"
    return str(failure or f"status {error.status_code}")[:300]


def _innermost(error: elastic_transport.TransportError) -> str:
    causes = [error, *error.errors]
    while causes[-1].__cause__ is not None:
        causes.append(causes[-1].__cause__)  # type: ignore[arg-type]
    text = str(getattr(causes[-1], "reason", None) or causes[-1])
    return re.sub(r"<[^>]*>: ?|\(_ssl\.c:\d+\)", "", text).strip() or type(error).__name__


@dataclass(frozen=True, slots=True)
class Server:
    """What stands behind the address: its version, and what that version can do."""

    version: tuple[int, int, int]
    lifecycle: bool
    """It has index lifecycle management."""

    def __str__(self) -> str:
        return ".".join(map(str, self.version))

    @property
    def subobjects(self) -> bool:
        """A mapping may switch sub-objects off (Elasticsearch guide, `subobjects`: from 8.3 on)."""
        return self.version >= (8, 3, 0)

    @property
    def ignores_missing_components(self) -> bool:
        """An index template may name component templates that do not exist yet (release notes: from 8.7 on)."""
        return self.version >= (8, 7, 0)

    @property
    def ignores_fields_beyond_limit(self) -> bool:
        """`total_fields.ignore_dynamic_beyond_limit` exists (Elasticsearch guide: from 8.14 on)."""
        return self.version >= (8, 14, 0)


def inspect_server(client: Elasticsearch) -> Server:
    """Ask the server what it is. Raises what the client raises."""
    return Server(version=_version(client), lifecycle=_has_lifecycle(client))


def _version(client: Elasticsearch) -> tuple[int, int, int]:
    try:
        number = client.info()["version"]["number"]
    except (elasticsearch.BadRequestError, elasticsearch.ApiError) as error:
        # The server zips on Maven Central lack the module behind GET /.
        if error.status_code not in {400, 404, 405}:
            raise
        nodes = client.nodes.info(node_id="_local", filter_path="nodes.*.version")["nodes"]
        number = next(iter(nodes.values()))["version"]
    major, minor, patch = re.findall(r"\d+", number)[:3]
    return int(major), int(minor), int(patch)


def _has_lifecycle(client: Elasticsearch) -> bool:
    status = client.options(ignore_status=[400, 403, 404, 405]).ilm.get_status()
    return status.meta.status in {200, 403}  # who may not ask is not told that nothing is there
