"""HTTP to what stands beside Elasticsearch, as values: an answer, or why there is none. Knows no product.

Redirects are answers, and nothing is sent twice.
"""

import base64
import re
import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson
import urllib3
from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from indexer.elastic.addresses import is_address, refused
from indexer.elastic.bounded import PlainPool, SecurePool
from indexer.elastic.tls import NoSuchFingerprint, Tls

REDIRECTS = {301, 302, 303, 307, 308}


class NoAnswer(Exception):  # noqa: N818 - named for what it means
    """No connection, or no answer in time; `untrusted` if the server's certificate is not trusted."""

    def __init__(self, reason: str, *, untrusted: bool = False) -> None:
        super().__init__(reason)
        self.untrusted = untrusted


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: Any
    """Parsed; None if it is empty or not JSON."""
    is_json: bool
    location: str | None

    @property
    def good(self) -> bool:
        """It is a success."""
        return 200 <= self.status < 300

    @property
    def redirects(self) -> bool:
        """It points somewhere else."""
        return self.status in REDIRECTS


def http_address(url: str, option: str, example: str) -> Url:
    """Take an address apart, as copied from a browser. Raises WrongUsage if it is none; `option` gave it."""
    address = None
    if is_address(url if "@" in url else re.split("[?#]", url)[0]):
        with suppress(LocationParseError):  # such as a port that is none
            address = parse_url(url)
    if address is None or not address.host:
        raise refused(url, "http(s) address", option, example)
    return address


def shown(address: Url) -> str:
    """The address that requests go to and people see: without a user, a query, or a slash at its end."""
    return address._replace(auth=None, query=None, fragment=None).url.rstrip("/")


def basic(user_and_password: str) -> str:
    """The header Authorization of `user:password`."""
    return "Basic " + base64.b64encode(user_and_password.encode()).decode()


class Web:
    """Connections to one server."""

    def __init__(self, address: Url, tls: Tls | None, timeout: float) -> None:
        """`tls` for an address of https; `timeout` in seconds, for each request."""
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
        """Ask, and give what is answered. Raises NoAnswer."""
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
        return Answer(answer.status, body, is_json, answer.headers.get("location"))

    def _no_answer(self, error: Exception) -> NoAnswer:
        cause = _innermost(error)
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = cause.verify_message.rstrip(".")
            return NoAnswer(f"its certificate is not trusted: {reason}", untrusted=True)
        if isinstance(cause, NoSuchFingerprint):
            return NoAnswer(str(cause.args[0]), untrusted=True)
        late = isinstance(error, (urllib3.exceptions.TimeoutError, TimeoutError))
        if late and not isinstance(error, urllib3.exceptions.NewConnectionError):  # refused is a kind of late
            return NoAnswer(f"none within {self._timeout:g} s")
        words = re.sub(r"<[^<>]*+>: ?|\[(Errno -?\d+|SSL[^\[\]]*+)\] ?|\(_ssl\.c:\d+\)", "", str(cause))
        return NoAnswer(words.strip() or type(cause).__name__)


def _innermost(error: BaseException) -> BaseException:
    """What a library's error was in the beginning: they wrap each other."""
    for inner in (getattr(error, "reason", None), error.__cause__, *error.args):
        if isinstance(inner, BaseException):
            return _innermost(inner)
    return error
