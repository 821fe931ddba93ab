"""HTTP to Kibana and Zoomdata: an answer as a value, or the reason why there is none. Knows neither product.

Redirects are not followed, and no request is retried.
"""

import base64
import re
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, ClassVar, Self

import orjson
import urllib3
from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from indexer.elastic.addresses import is_address, refused
from indexer.elastic.bounded import PlainPool, SecurePool
from indexer.elastic.failures import FORM_ERRORS, describe_form_error
from indexer.elastic.tls import NoSuchFingerprint, Tls
from indexer.errors import Fatal

REDIRECTS = {301, 302, 303, 307, 308}


class NoAnswer(Exception):  # noqa: N818 - named for what it means
    """No connection, or no answer in time; `untrusted` if the server's certificate is not trusted."""

    def __init__(self, reason: str, *, untrusted: bool = False) -> None:
        super().__init__(reason)
        self.untrusted = untrusted


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response."""

    status: int
    body: Any
    """Parsed JSON; None if it is empty or not JSON."""
    is_json: bool
    location: str | None
    headers: Mapping[str, str] = field(default_factory=dict)
    """A name is found in lower case."""

    @property
    def is_success(self) -> bool:
        """The status is 2xx."""
        return 200 <= self.status < 300

    @property
    def is_redirect(self) -> bool:
        """The status is that of a redirect."""
        return self.status in REDIRECTS


def http_address(url: str, option: str, example: str) -> Url:
    """Parse the URL given by `option`; query and fragment are allowed. Raises WrongUsage if it is not an http(s) URL."""
    address = None
    if is_address(url if "@" in url else re.split("[?#]", url)[0]):
        with suppress(LocationParseError):  # such as an invalid port
            address = parse_url(url)
    if address is None or not address.host:
        raise refused(url, "http(s) address", option, example)
    return address


def display_url(address: Url) -> str:
    """The URL without user, query, fragment and trailing slash: for requests and for messages."""
    return address._replace(auth=None, query=None, fragment=None).url.rstrip("/")


def basic(user_and_password: str) -> str:
    """The Authorization header for `user:password`."""
    return "Basic " + base64.b64encode(user_and_password.encode()).decode()


class HttpClient:
    """A pool of connections to one server."""

    def __init__(self, address: Url, tls: Tls | None, timeout: float) -> None:
        """`tls` is required for https; `timeout` in seconds, for each request."""
        self._host, self._port = address.host or "", address.port or 443
        self._tls = tls
        self._timeout = timeout
        self._pool = urllib3.PoolManager(
            ssl_context=tls.context if tls else None, timeout=timeout, retries=False
        )
        self._pool.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def request(self, method: str, url: str, headers: dict[str, str], content: bytes | None = None) -> Answer:
        """Send a request and read the answer. Raises NoAnswer."""
        try:
            if self._tls:
                self._tls.find_anchor(self._host, self._port, self._timeout)
            answer = self._pool.request(method, url, body=content, headers=headers, redirect=False)
        except (urllib3.exceptions.HTTPError, ssl.SSLError, OSError, ValueError) as error:
            raise self._no_answer(error) from None
        try:
            body, is_json = (orjson.loads(answer.data), True) if answer.data else (None, True)
        except orjson.JSONDecodeError:
            body, is_json = None, False
        return Answer(answer.status, body, is_json, answer.headers.get("location"), answer.headers)

    def _no_answer(self, error: Exception) -> NoAnswer:
        cause = _root_cause(error)
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = cause.verify_message.rstrip(".")
            return NoAnswer(f"its certificate is not trusted: {reason}", untrusted=True)
        if isinstance(cause, NoSuchFingerprint):
            return NoAnswer(str(cause.args[0]), untrusted=True)
        timed_out = isinstance(error, (urllib3.exceptions.TimeoutError, TimeoutError))
        # NewConnectionError, a refused connection, derives from TimeoutError.
        if timed_out and not isinstance(error, urllib3.exceptions.NewConnectionError):
            return NoAnswer(f"none within {self._timeout:g} s")
        words = re.sub(r"<[^<>]*+>: ?|\[(Errno -?\d+|SSL[^\[\]]*+)\] ?|\(_ssl\.c:\d+\)", "", str(cause))
        return NoAnswer(words.strip() or type(cause).__name__)


class RestApi:
    """What the clients of Kibana's and of Zoomdata's API share. A context manager, which closes the connections."""

    unreachable: ClassVar[type[Fatal]]
    """Raised with `url` and `reason`."""
    not_secure: ClassVar[type[Fatal]]
    """Raised with `url` and `reason`."""

    def __init__(self, address: Url, tls: Tls | None, timeout: float) -> None:
        self.url = display_url(address)
        """The base URL, without a user."""
        self._http = HttpClient(address, tls, timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()
        if isinstance(error, FORM_ERRORS):
            raise self.wrong_product(describe_form_error(error)) from None

    def wrong_product(self, reason: str) -> Fatal:
        """The error for an answer that is not one of this product."""
        raise NotImplementedError

    def _send(self, method: str, url: str, headers: dict[str, str], content: bytes | None = None) -> Answer:
        """Send a request. Raises `unreachable` or `not_secure`."""
        try:
            return self._http.request(method, url, headers, content)
        except NoAnswer as error:
            kind = self.not_secure if error.untrusted else self.unreachable
            raise kind(url=self.url, reason=error) from None


def _root_cause(error: BaseException) -> BaseException:
    """The innermost exception: urllib3 wraps those of its own and of Python."""
    for inner in (getattr(error, "reason", None), error.__cause__, *error.args):
        if isinstance(inner, BaseException):
            return _root_cause(inner)
    return error
