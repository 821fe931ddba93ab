"""One node of a cluster for the client library: adds credentials, verifies TLS, and that it is Elasticsearch or OpenSearch."""

import json
import re
import socket
import ssl
import time
from dataclasses import dataclass, replace
from typing import Any

import elastic_transport
import elasticsearch
from elastic_transport.client_utils import DEFAULT
from elasticsearch.exceptions import HTTP_EXCEPTIONS
from urllib3.connection import HTTPConnection

from indexer.elastic.bounded import Plain, Secure, TooLarge
from indexer.elastic.credentials import Credentials
from indexer.elastic.failures import InvalidAnswer, reading_answer, root_cause
from indexer.elastic.server import Product, is_opensearch
from indexer.elastic.tls import Tls

MARK = "x-elastic-product"
"""A header of every answer of Elasticsearch from 7.14 on; the library itself checks only the first success."""
MARKS = {MARK: Product.ELASTICSEARCH, "x-opensearch-version": Product.OPENSEARCH}
"""A header of every answer → the product. OpenSearch 3.6.0 has one, 2.19.6 has none (measured)."""
PRODUCT = "product"
"""Our own header of an answer: the product."""
ITS_OWN = {401, 403, 407, 408, 413, 429}
"""The status, besides 5xx, with which a proxy may answer in place of the server."""
EXTRA = "_indexer"
"""The key of our data in a node's configuration (documented: extras of third parties)."""


IDLE = 10.0
"""Seconds after which an idle connection is not used again: a load balancer or firewall may have dropped it silently (after
a minute or more, usually), and a request on it would wait for its whole timeout."""
PROBES = (
    ("SO_KEEPALIVE", socket.SOL_SOCKET, 1),
    ("TCP_KEEPIDLE", socket.IPPROTO_TCP, 10),
    ("TCP_KEEPINTVL", socket.IPPROTO_TCP, 5),
    ("TCP_KEEPCNT", socket.IPPROTO_TCP, 3),
)
"""TCP keepalive while waiting for an answer: a lost peer is noticed within 25 s, and the connection is not idle."""


LONGEST = 10_000
"""Bytes of an HTML page that are kept."""


class _IdleLimit:
    """A connection that counts as dropped after IDLE seconds; its pool then connects again."""

    _answered = float("inf")

    def getresponse(self) -> Any:
        answer = super().getresponse()  # type: ignore[misc] # of the connections that this is mixed into
        self._answered = time.monotonic()
        return answer

    @property
    def is_connected(self) -> bool:
        fresh = time.monotonic() - self._answered < IDLE
        return fresh and super().is_connected  # type: ignore[misc]


class _Plain(_IdleLimit, Plain):
    pass


class _Secure(_IdleLimit, Secure):
    pass


@dataclass(frozen=True, slots=True)
class Security:
    """What all nodes of a cluster share."""

    credentials: Credentials
    tls: Tls | None
    """None if no node speaks https."""
    expects: int = 0
    """Bytes to allow for an answer in addition."""


def _readable(answer: Any, product: Product | None) -> Any:
    """An answer with its real content type, whatever its header says: a success has to be JSON. And with its product.

    A failure that is not JSON, or nested too deeply, becomes text: otherwise the library would lose its status.
    """
    meta, content = answer
    kind = "application/json"
    if not 200 <= meta.status < 299:  # as the library sees it
        try:
            str(json.loads(content or b"null"))
        except (ValueError, RecursionError):
            kind, content = "text/plain", content[:LONGEST].decode(errors="replace").encode()
    headers = elastic_transport.HttpHeaders({**meta.headers, "content-type": kind, PRODUCT: product or ""})
    if product is not None:
        headers[MARK] = Product.ELASTICSEARCH  # the library accepts no other
    return answer._replace(meta=replace(meta, headers=headers), body=content)


def _with_plain_types(headers: elastic_transport.HttpHeaders | None) -> elastic_transport.HttpHeaders:
    """Media types that each product and version accepts, in place of Elasticsearch's own, which OpenSearch refuses."""
    plain = elastic_transport.HttpHeaders(headers or {})
    for name in ("accept", "content-type"):
        if name in plain:
            plain[name] = _OWN_TYPE.sub(r"application/\1", plain[name])
    return plain


def _marked(meta: Any) -> Product | None:
    """The product that an answer names in its headers."""
    return next((product for mark, product in MARKS.items() if mark in meta.headers), None)


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


_OWN_TYPE = re.compile(r"application/vnd\.elasticsearch\+(x-ndjson|json)(?:; ?compatible-with=\d+)?")


class Node(elastic_transport.Urllib3HttpNode):
    """Sends with the current credentials and certificates; rejects answers of anything else than the products; logs no body.

    A body may be megabytes of personal data, and the library's logging fails on a memoryview.
    """

    def __init__(self, config: elastic_transport.NodeConfig) -> None:
        super().__init__(config)
        security: Security = config._extras[EXTRA]  # noqa: SLF001 - the library's way to pass data to a node
        self._credentials = security.credentials
        self._tls = security.tls if config.scheme == "https" else None
        self._context = config.ssl_context
        self._unmarked = False
        """It is an OpenSearch whose answers have no mark: what a proxy answers in its place is not noticed here."""
        kind = _Plain if self._tls is None else _Secure
        self.pool.ConnectionCls = type(kind.__name__, (kind,), {"expects": security.expects})
        self.pool.conn_kw["socket_options"] = [
            *HTTPConnection.default_socket_options,
            *(
                (level, getattr(socket, name), value)
                for name, level, value in PROBES
                if hasattr(socket, name)
            ),
        ]
        if self._tls is not None:
            self.pool.ca_certs = None  # type: ignore[attr-defined] # else certifi's CAs are trusted as well

    def perform_request(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: elastic_transport.HttpHeaders | None = None,
        request_timeout: Any = DEFAULT,
    ) -> Any:
        """Send and receive; once more if the credentials were refused and have changed since.

        Raises UnsupportedProductError, AuthorizationException for a HEAD, InvalidAnswer, and what the library raises.
        """
        headers = _with_plain_types(headers)
        sent = self._credentials.header
        meta, content = answer = self._send(method, target, body, headers, request_timeout, sent)
        if meta.status in {401, 403} and self._credentials.renewed(sent):
            sent = self._credentials.header
            meta, content = answer = self._send(method, target, body, headers, request_timeout, sent)
        if method == "HEAD" and meta.status == 403:  # without a body: ask again for the reason
            meta, content = self._send("GET", target, body, headers, request_timeout, sent)
            raise elasticsearch.AuthorizationException("refused", meta, content)
        product = self._product_of(meta)
        if product is None and 200 <= meta.status < 500 and meta.status not in ITS_OWN:
            self._identify(request_timeout)
            product = Product.OPENSEARCH
        return _readable(answer, product)

    def _product_of(self, meta: Any) -> Product | None:
        return _marked(meta) or (Product.OPENSEARCH if self._unmarked else None)

    def _identify(self, timeout: Any) -> None:
        """Ask whether it is an OpenSearch without a mark. Raises UnsupportedProductError, and ApiError if it refuses to say."""
        answer = self._send("GET", "/", None, None, timeout, self._credentials.header)
        meta, content = _readable(answer, None)
        if _marked(meta) is None and is_opensearch(_parsed(content)):
            self._unmarked = True
            return
        if meta.status in ITS_OWN or meta.status >= 500:
            kind = HTTP_EXCEPTIONS.get(meta.status, elasticsearch.ApiError)
            raise kind("refused", meta, _parsed(content))
        raise elasticsearch.UnsupportedProductError("unknown product", meta=meta, body=content)

    def _send(
        self,
        method: str,
        target: str,
        body: bytes | None,
        headers: elastic_transport.HttpHeaders | None,
        timeout: Any,
        authorization: str | None,
    ) -> Any:
        if authorization is not None:
            headers = elastic_transport.HttpHeaders(headers or {})
            headers["authorization"] = authorization
        if self._tls is None:
            return self._exchange(method, target, body, headers, timeout)
        used = self._context
        try:
            self._find_anchor(self._tls, timeout)
            return self._exchange(method, target, body, headers, timeout)
        except elastic_transport.ConnectionError:
            # The caller retries, with the certificates of that moment.
            if used is not None and self._tls.renewed(used):
                self._adopt(self._tls.context)
            raise

    def _exchange(self, *request: Any) -> Any:
        """Send once. Raises InvalidAnswer, and what the library raises."""
        try:
            with reading_answer():  # the library fails in many ways on invalid headers
                return super().perform_request(*request)
        except elastic_transport.ConnectionError as error:
            if isinstance(cause := root_cause(error), TooLarge):
                raise InvalidAnswer(str(cause)) from None
            raise

    def _find_anchor(self, tls: Tls, timeout: Any) -> None:
        seconds = self.config.request_timeout if timeout is DEFAULT else timeout
        try:
            tls.find_anchor(self.host, self.port, seconds)
        except ssl.SSLError as error:
            raise elastic_transport.TlsError(str(error), errors=(error,)) from error
        except TimeoutError as error:
            raise elastic_transport.ConnectionTimeout(str(error), errors=(error,)) from error
        except OSError as error:
            raise elastic_transport.ConnectionError(str(error), errors=(error,)) from error

    def _adopt(self, context: ssl.SSLContext) -> None:
        """Use new connections from now on; those in use are finished."""
        fresh = type(self)(self.config.replace(ssl_context=context))
        self._config, self._context, self.pool = fresh.config, context, fresh.pool

    def _log_request(self, *_: Any, **__: Any) -> None:
        pass
