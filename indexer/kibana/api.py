"""Kibana's REST API: requests, and an error for each kind of refusal.

Credentials and trusted certificates are those of Elasticsearch (`elastic/credentials.py`, `elastic/tls.py`).
"""

from typing import Any
from urllib.parse import unquote

import orjson
from urllib3 import encode_multipart_formdata

from indexer.dashboards.http import Answer, RestApi, basic, http_address
from indexer.elastic.credentials import Credentials, identity_of, remedy
from indexer.elastic.tls import Tls
from indexer.errors import Fatal
from indexer.settings import Connection, Kibana

DEFAULT_SPACE = "default"
JSON = "application/json"
STARTING = 503


class KibanaUnreachable(Fatal):
    """No connection, or no answer in time."""

    sentence = "No answer from Kibana at {url} ({reason})."
    hint = "Is it running, and is --kibana-url (INDEXER_KIBANA_URL) its address?"


class KibanaNotSecure(Fatal):
    """The TLS connection is not trusted; nothing was sent."""

    sentence = "No secure connection to Kibana at {url}: {reason}."
    hint = "Give the CA certificate with --ca-certs (INDEXER_CA_CERTS), or its SHA-256 fingerprint with --ca-fingerprint."


class NotKibana(Fatal):
    """A page of a proxy, a redirect or another product."""

    sentence = "The server at {url} is not Kibana ({reason})."
    hint = "Check --kibana-url, its port and its base path (server.basePath in kibana.yml)."


class IsOpenSearchDashboards(Fatal):
    """OpenSearch's fork of Kibana 7.10 without Lens."""

    sentence = (
        "The server at {url} is OpenSearch Dashboards, which cannot load these dashboards: it has no Lens."
    )
    hint = "Use `indexer report`, and Zoomdata (`indexer zoomdata connect`)."


class KibanaUnauthenticated(Fatal):
    """401, or an answer without the version, which Kibana hides from unknown users."""

    sentence = "Kibana at {url} does not accept {user}: {reason}."
    hint = "{remedy}"


class KibanaNotReady(Fatal):
    """503 without a version: Kibana, or what is behind a proxy, is starting."""

    sentence = "Kibana at {url} is not ready yet ({reason})."
    hint = "It waits for Elasticsearch, or migrates its own data: see the Kibana log, then run the command again."


class KibanaForbids(Fatal):
    """403: a privilege is missing."""

    sentence = "Kibana at {url} does not permit this to {user}: {reason}."
    hint = "This requires the Kibana privilege 'All' for {privileges}, in {space}."


class NoSuchSpace(Fatal):
    """404 in a space: it does not exist, or the user has no access."""

    sentence = "Kibana at {url} has no space {space!r} that {user} can access."
    hint = "Create the space (Stack Management, Spaces), or give the identifier in its URL, not its name, with --space."


class KibanaUnexpected(Fatal):
    """Any other status."""

    sentence = "Kibana at {url} answers {status}: {reason}."
    hint = "See the Kibana log."


class Api(RestApi):
    """The API of one Kibana, and of one of its spaces."""

    unreachable, not_secure = KibanaUnreachable, KibanaNotSecure

    def __init__(self, connection: Connection, kibana: Kibana) -> None:
        """Sends nothing. Raises Fatal if the settings are invalid."""
        address = http_address(kibana.kibana_url, "--kibana-url", "https://kibana:5601")
        tls = Tls(connection) if address.scheme == "https" else None
        super().__init__(address, tls, connection.request_timeout)
        self.space = None if kibana.space == DEFAULT_SPACE else kibana.space
        self.space_url = self.url + (f"/s/{self.space}" if self.space else "")
        """The base URL of the space."""
        self._authorization, self._user = _identity(connection, address.auth)
        self._remedy = remedy(connection)

    def wrong_product(self, reason: str) -> NotKibana:
        """The error for an answer that is not Kibana's."""
        return NotKibana(url=self.url, reason=reason)

    def version(self) -> tuple[int, ...]:
        """The version of Kibana, such as (7, 17, 28). Raises KibanaNotReady while it starts, Fatal.

        Until its server has started, Kibana answers 503 with a level and no version (`kibana`, `status_preboot.ts`), and later 503 with
        a version if some service is unavailable, which may be one that is not needed here.
        """
        answer = self._request("GET", f"{self.url}/api/status")
        body = answer.body
        if answer.status == 401:
            raise self._unauthenticated(_message(body))
        number = body.get("version", {}).get("number", "") if isinstance(body, dict) else ""
        if answer.status == STARTING and not number:
            raise KibanaNotReady(url=self.url, reason=f"it answers {STARTING}{_level(body)}")
        if not isinstance(body, dict) or "status" not in body:
            raise self.wrong_product(f"/api/status answers {answer.status}, and not as Kibana does")
        if not number:
            raise self._unauthenticated("it shows its version only to users it knows")
        return tuple(int(part) for part in number.partition("-")[0].split("."))

    def send(
        self, method: str, path: str, body: Any = None, *, privileges: str, allow: tuple[int, ...] = ()
    ) -> tuple[int, Any]:
        """Send a request to the space: status and body. Raises Fatal for a status that is neither 2xx nor in `allow`."""
        content = None if body is None else orjson.dumps(body)
        answer = self._request(method, self.space_url + path, content, None if body is None else JSON)
        return self._checked(answer, privileges, allow)

    def upload(self, path: str, name: str, content: bytes, *, privileges: str) -> Any:
        """Send a file as multipart/form-data: the body of the answer. Raises Fatal."""
        form, kind = encode_multipart_formdata({"file": (name, content, "application/ndjson")})
        return self._checked(self._request("POST", self.space_url + path, form, kind), privileges, ())[1]

    def _request(
        self, method: str, url: str, content: bytes | None = None, content_type: str | None = None
    ) -> Answer:
        headers = {"kbn-xsrf": "true"}
        if content_type:
            headers["content-type"] = content_type
        if self._authorization:
            headers["authorization"] = self._authorization
        answer = self._send(method, url, headers, content)
        if _is_opensearch_dashboards(answer):
            raise IsOpenSearchDashboards(url=self.url)
        if answer.is_redirect:
            raise self.wrong_product(f"it redirects to {answer.location}")
        if not answer.is_json and answer.status != STARTING:
            raise self.wrong_product(f"it answers {answer.status} and no JSON")
        return answer

    def _checked(self, answer: Answer, privileges: str, allow: tuple[int, ...]) -> tuple[int, Any]:
        status, body = answer.status, answer.body
        if answer.is_success or status in allow:
            return status, body
        if status == STARTING and not isinstance(body, dict):
            raise KibanaNotReady(url=self.url, reason=f"it answers {STARTING}")
        reason = _message(body)
        if status == 401:
            raise self._unauthenticated(reason)
        if status == 403:
            space = f"space {self.space!r}" if self.space else "the default space"
            raise KibanaForbids(
                url=self.url, user=self._user, reason=reason, privileges=privileges, space=space
            )
        if status == 404 and self.space:
            raise NoSuchSpace(url=self.url, space=self.space, user=self._user)
        raise KibanaUnexpected(url=self.url, status=status, reason=reason)

    def _unauthenticated(self, reason: str) -> KibanaUnauthenticated:
        return KibanaUnauthenticated(url=self.url, user=self._user, reason=reason, remedy=self._remedy)


def _identity(connection: Connection, url_auth: str | None) -> tuple[str | None, str]:
    """The Authorization header and its user, for messages; user:password@ in the URL has precedence."""
    if url_auth:
        return basic(unquote(url_auth)), "the user in the address"
    header = Credentials(connection).header
    return header, identity_of(
        connection
    ) if header or connection.client_cert else "a request without credentials"


def _is_opensearch_dashboards(answer: Answer) -> bool:
    """By a header of every answer, refusals too, or by the core service that its status lists.

    Read in its source (`lifecycle_handlers.ts`, where not every version has the header; `legacy_status.ts`) and in answers of 1.0 to 2.0
    in its issues; never run here.
    """
    match answer.body:
        case {"status": {"statuses": [*statuses]}}:
            listed = any(
                str(it.get("id")).startswith("core:opensearch@") for it in statuses if isinstance(it, dict)
            )
        case _:
            listed = False
    return listed or "osd-name" in answer.headers


def _level(body: Any) -> str:
    """Its own word for its state, if there is one."""
    level = body.get("status", {}).get("overall", {}).get("level") if isinstance(body, dict) else None
    return f": {level}" if level else ""


def _message(body: Any) -> str:
    if isinstance(body, dict):
        return str(body.get("message") or body.get("error") or body)[:500].rstrip(".")
    return str(body)[:200]
