"""Kibana's HTTP interface: requests as it wants them, answers as values, refusals as sentences.

Who we are and whom we trust is as for Elasticsearch (`elastic/credentials.py`, `elastic/tls.py`).
"""

from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

import orjson
from urllib3 import encode_multipart_formdata

from indexer.dashboards.http import Answer, NoAnswer, Web, basic, http_address, shown
from indexer.elastic.credentials import Credentials, identity_of, remedy
from indexer.elastic.failures import FORM_ERRORS, describe_form_error
from indexer.elastic.tls import Tls
from indexer.errors import Fatal
from indexer.settings import Connection, Kibana

DEFAULT_SPACE = "default"
JSON = "application/json"


class KibanaUnreachable(Fatal):
    """No connection, or no answer in time."""

    sentence = "No answer from Kibana at {url} ({reason})."
    hint = "Is it running, and is --kibana-url (INDEXER_KIBANA_URL) its address?"


class KibanaNotSecure(Fatal):
    """No TLS connection that can be trusted; nothing was sent."""

    sentence = "No secure connection to Kibana at {url}: {reason}."
    hint = "Give the certificate of the CA that signed it with --ca-certs (INDEXER_CA_CERTS), or that certificate's SHA-256 fingerprint with --ca-fingerprint."


class NotKibana(Fatal):
    """A proxy's page, a redirect, another product."""

    sentence = "What answers at {url} is not Kibana ({reason})."
    hint = "Check --kibana-url, its port and its base path (server.basePath in kibana.yml)."


class KibanaUnauthenticated(Fatal):
    """401, or a status that is told to nobody."""

    sentence = "Kibana at {url} does not know {who}: {reason}."
    hint = "{remedy}"


class KibanaForbids(Fatal):
    """403: known, and not allowed to."""

    sentence = "Kibana at {url} does not let {who} do this: {reason}."
    hint = "It takes the Kibana privilege 'All' for {privileges}, in {space}."


class NoSuchSpace(Fatal):
    """404 in a space."""

    sentence = "Kibana at {url} has no space {space!r} that {who} may see."
    hint = "Create it (Stack Management, Spaces), or give another --space: the identifier in its address, not its name."


class KibanaUnexpected(Fatal):
    """A status that no other error stands for."""

    sentence = "Kibana at {url} answers {status}: {reason}."
    hint = "Look at its log."


class Api:
    """A connection to one Kibana, and to one of its spaces. A context manager."""

    def __init__(self, connection: Connection, kibana: Kibana) -> None:
        """Nothing is sent yet. Raises Fatal if the settings make no sense."""
        address = http_address(kibana.kibana_url, "--kibana-url", "https://kibana:5601")
        self.space = None if kibana.space == DEFAULT_SPACE else kibana.space
        self._base = shown(address)
        self._authorization, self.who = _identity(connection, address.auth)
        self._remedy = remedy(connection)
        tls = Tls(connection) if address.scheme == "https" else None
        self._web = Web(address, tls, connection.request_timeout)

    @property
    def url(self) -> str:
        """The address people see, with the space."""
        return self._base + (f"/s/{self.space}" if self.space else "")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._web.close()
        if isinstance(error, FORM_ERRORS):
            raise NotKibana(url=self._base, reason=describe_form_error(error)) from None

    def version(self) -> tuple[int, ...]:
        """Ask which version it is, such as (7, 17, 28). Raises Fatal."""
        answer = self._request("GET", f"{self._base}/api/status")
        body = answer.body
        if answer.status == 401:
            raise self._unauthenticated(_message(body))
        if not isinstance(body, dict) or "status" not in body:
            raise NotKibana(
                url=self._base, reason=f"/api/status answers {answer.status}, and not as Kibana does"
            )
        number = body.get("version", {}).get("number", "")
        if not number:
            raise self._unauthenticated("it tells nobody else its version")
        return tuple(int(part) for part in number.partition("-")[0].split("."))

    def send(
        self, method: str, path: str, body: Any = None, *, privileges: str, allow: tuple[int, ...] = ()
    ) -> tuple[int, Any]:
        """Ask in our space; a status that is no success, and not in `allow`, is raised as Fatal."""
        content = None if body is None else orjson.dumps(body)
        answer = self._request(method, self.url + path, content, None if body is None else JSON)
        return self._judged(answer, privileges, allow)

    def upload(self, path: str, name: str, content: bytes, *, privileges: str) -> Any:
        """Send a file as a form does, and give the answer. Raises Fatal."""
        form, kind = encode_multipart_formdata({"file": (name, content, "application/ndjson")})
        return self._judged(self._request("POST", self.url + path, form, kind), privileges, ())[1]

    def _request(
        self, method: str, url: str, content: bytes | None = None, content_type: str | None = None
    ) -> Answer:
        headers = {"kbn-xsrf": "true"}
        if content_type:
            headers["content-type"] = content_type
        if self._authorization:
            headers["authorization"] = self._authorization
        try:
            answer = self._web.request(method, url, headers, content)
        except NoAnswer as error:
            kind = KibanaNotSecure if error.untrusted else KibanaUnreachable
            raise kind(url=self._base, reason=error) from None
        if answer.redirects:
            raise NotKibana(url=self._base, reason=f"it redirects to {answer.location}")
        if not answer.is_json:
            raise NotKibana(url=self._base, reason=f"it answers {answer.status} and no JSON")
        return answer

    def _judged(self, answer: Answer, privileges: str, allow: tuple[int, ...]) -> tuple[int, Any]:
        status, body = answer.status, answer.body
        if answer.good or status in allow:
            return status, body
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
        return basic(unquote(in_address)), "the user in the address"
    header = Credentials(connection).header
    return header, identity_of(
        connection
    ) if header or connection.client_cert else "a request without credentials"


def _message(body: Any) -> str:
    if isinstance(body, dict):
        return str(body.get("message") or body.get("error") or body)[:500].rstrip(".")
    return str(body)[:200]
