"""Kibana's HTTP interface: requests as it wants them, answers as values, refusals as sentences.

Who we are and whom we trust is as for Elasticsearch (`cluster/credentials.py`, `cluster/tls.py`).
"""

import re
import ssl
from types import TracebackType
from typing import Any, Self

import orjson
import urllib3
from urllib3.util import make_headers, parse_url

from indexer.cluster.credentials import Credentials, remedy, who
from indexer.cluster.tls import Tls
from indexer.errors import Fatal, WrongUsage
from indexer.settings import Connection, Kibana

DEFAULT_SPACE = "default"
JSON = {"content-type": "application/json"}


class KibanaUnreachable(Fatal):
    """No connection, or no answer in time."""

    sentence = "No answer from Kibana at {url} ({reason})."
    cure = "Is it running, and is --kibana-url (INDEXER_KIBANA_URL) its address?"


class NotKibana(Fatal):
    """A proxy's page, a redirect, another product."""

    sentence = "What answers at {url} is not Kibana ({reason})."
    cure = "Check --kibana-url, its port and its base path (server.basePath in kibana.yml)."


class KibanaUnauthenticated(Fatal):
    """401, or a status that is told to nobody."""

    sentence = "Kibana at {url} does not know {who}: {reason}."
    cure = "{remedy}"


class KibanaForbids(Fatal):
    """403: known, and not allowed to."""

    sentence = "Kibana at {url} does not let {who} do this: {reason}."
    cure = "It takes the Kibana privilege 'All' for {privileges}, in {space}."


class NoSuchSpace(Fatal):
    """404 in a space."""

    sentence = "Kibana at {url} has no space {space!r} that {who} may see."
    cure = "Create it (Stack Management, Spaces), or give another --space: the identifier in its address, not its name."


class KibanaUnexpected(Fatal):
    """A status that no other error stands for."""

    sentence = "Kibana at {url} answers {status}: {reason}."
    cure = "Look at its log."


class Api:
    """A connection to one Kibana, and to one of its spaces. A context manager."""

    def __init__(self, connection: Connection, kibana: Kibana) -> None:
        """Nothing is sent yet. Raises Fatal if the settings make no sense."""
        address = parse_url(kibana.kibana_url)
        if address.scheme not in {"http", "https"} or not address.host:
            raise WrongUsage(
                what="--kibana-url is no http(s) address", remedy="Give one such as https://kibana:5601"
            )
        self.space = None if kibana.space == DEFAULT_SPACE else kibana.space
        self._base = address._replace(auth=None, query=None, fragment=None).url.rstrip("/")
        self._host, self._port = address.host, address.port or 443
        self._authorization, self.who = _identity(connection, address.auth)
        self._remedy = remedy(connection)
        self._timeout = connection.request_timeout
        self._tls = Tls(connection) if address.scheme == "https" else None
        self._pool = urllib3.PoolManager(
            ssl_context=self._tls.context if self._tls else None, timeout=self._timeout, retries=False
        )

    @property
    def url(self) -> str:
        """The address people see, with the space."""
        return self._base + (f"/s/{self.space}" if self.space else "")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.clear()

    def version(self) -> tuple[int, ...]:
        """Ask which version it is, such as (7, 17, 28). Raises Fatal."""
        status, body = self._send("GET", f"{self._base}/api/status", {})
        if status == 401:
            raise self._unauthenticated(_message(body))
        if not isinstance(body, dict) or "status" not in body:
            raise NotKibana(url=self._base, reason=f"/api/status answers {status}, and not as Kibana does")
        number = body.get("version", {}).get("number", "")
        if not number:
            raise self._unauthenticated("it tells nobody else its version")
        return tuple(int(part) for part in number.partition("-")[0].split("."))

    def send(
        self, method: str, path: str, body: Any = None, *, privileges: str, allow: tuple[int, ...] = ()
    ) -> tuple[int, Any]:
        """Ask in our space; a status that is no success, and not in `allow`, is raised as Fatal."""
        content = {} if body is None else {"body": orjson.dumps(body), "headers": JSON}
        return self._judged(self._send(method, self.url + path, content), privileges, allow)

    def upload(self, path: str, name: str, content: bytes, *, privileges: str) -> Any:
        """Send a file as a form does, and give the answer. Raises Fatal."""
        form = {"fields": {"file": (name, content, "application/ndjson")}}
        return self._judged(self._send("POST", self.url + path, form), privileges, ())[1]

    def _send(self, method: str, url: str, content: dict[str, Any]) -> tuple[int, Any]:
        headers = {"kbn-xsrf": "true"} | content.pop("headers", {})
        if self._authorization:
            headers["authorization"] = self._authorization
        try:
            if self._tls:
                self._tls.find_anchor(self._host, self._port, self._timeout)
            answer = self._pool.request(method, url, headers=headers, redirect=False, **content)
        except (urllib3.exceptions.HTTPError, ssl.SSLError, OSError) as error:
            reason = f"none within {self._timeout:g} s" if _timed_out(error) else _innermost(error)
            raise KibanaUnreachable(url=self._base, reason=reason) from None
        if answer.status in {301, 302, 303, 307, 308}:
            raise NotKibana(url=self._base, reason=f"it redirects to {answer.headers.get('location')}")
        try:
            return answer.status, orjson.loads(answer.data) if answer.data else None
        except orjson.JSONDecodeError:
            raise NotKibana(url=self._base, reason=f"it answers {answer.status} and no JSON") from None

    def _judged(self, answer: tuple[int, Any], privileges: str, allow: tuple[int, ...]) -> tuple[int, Any]:
        status, body = answer
        if 200 <= status < 300 or status in allow:
            return answer
        reason = _message(body)
        if status == 401:
            raise self._unauthenticated(reason)
        if status == 403:
            space = f"space {self.space!r}" if self.space else "the default space"
            raise KibanaForbids(
                url=self._base, who=self.who, reason=reason, privileges=privileges, space=space
            )
        if status == 404 and self.space:
            raise NoSuchSpace(url=self._base, space=self.space, who=self.who)
        raise KibanaUnexpected(url=self._base, status=status, reason=reason)

    def _unauthenticated(self, reason: str) -> KibanaUnauthenticated:
        return KibanaUnauthenticated(url=self._base, who=self.who, reason=reason, remedy=self._remedy)


def _identity(connection: Connection, in_address: str | None) -> tuple[str | None, str]:
    """The header Authorization, and whom it stands for; user:password@ in Kibana's own address comes first."""
    if in_address:
        return make_headers(basic_auth=in_address)["authorization"], "the user in the address"
    header = Credentials(connection).header
    return header, who(connection) if header or connection.client_cert else "a request without credentials"


def _message(body: Any) -> str:
    if isinstance(body, dict):
        return str(body.get("message") or body.get("error") or body)[:500].rstrip(".")
    return str(body)[:200]


def _timed_out(error: Exception) -> bool:
    """Refused connections are a kind of timeout to the library."""
    late = isinstance(error, (urllib3.exceptions.TimeoutError, TimeoutError))
    return late and not isinstance(error, urllib3.exceptions.NewConnectionError)


def _innermost(error: BaseException) -> str:
    """What went wrong, without the library's own words around it."""
    while isinstance(
        inner := getattr(error, "reason", None) or error.__cause__ or _last(error), BaseException
    ):
        error = inner
    text = str(getattr(error, "strerror", None) or _last(error) or type(error).__name__)
    return re.sub(r"\[SSL[^]]*\] ?| ?\(_ssl\.c:\d+\)", "", text)


def _last(error: BaseException) -> Any:
    return error.args[-1] if error.args else None
