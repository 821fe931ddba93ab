"""Zoomdata's REST API: finding its context and version, requests, lists by page, and an error for each kind of refusal.

Source: the vendor's API description, as a Composer of 2026 serves it (`<context>/api-docs`; OpenAPI 3.1).
"""

import re
from typing import Any, Self
from urllib.parse import unquote, urlencode

import orjson
from urllib3.util import Url, parse_url

from indexer.dashboards.http import Answer, RestApi, basic, http_address
from indexer.elastic.tls import CertificateUnusable, Tls
from indexer.errors import WrongUsage
from indexer.settings import Connection, Zoomdata
from indexer.setup.plan import Call
from indexer.zoomdata.failures import (
    WrongContext,
    ZoomdataForbids,
    ZoomdataNotSecure,
    ZoomdataUnauthenticated,
    ZoomdataUnexpected,
    ZoomdataUnreachable,
)

CONTEXTS = ("/composer", "/discovery", "/zoomdata")
"""The default, the one of bundled servers, the one before 6.0 (vendor's documentation; release notes of 6.0)."""
ACCEPT = {"accept": "application/vnd.composer.v3+json,application/vnd.composer+json"}
CONTENT = {"content-type": "application/vnd.composer.v3+json"}
"""Any other content type is answered with 415."""
PAGE_SIZE = 200
"""`maxResults`: items of a list in one answer."""
MAX_PAGES = 1000
TIMEOUT = 60.0
"""Seconds. Describing an index with many fields is slow."""
ADMINISTRATOR = "an administrator of the account (privilege ROLE_MANAGE_CONNECTIONS, and to create sources)"
SUPERVISOR = (
    "the user supervisor or another user with that role; an administrator of an account is not enough"
)
PLACEHOLDER_ID = "ID GIVEN BY ZOOMDATA"
"""The id, in a dry run, of an object that would be created."""

Version = tuple[int, ...]


class Api(RestApi):
    """The API of one Zoomdata.

    required_user  who may send the requests, for the error message of a 403.
    dry            sends no request that changes anything; they are in `planned`.
    """

    unreachable, not_secure = ZoomdataUnreachable, ZoomdataNotSecure

    def __init__(self, zoomdata: Zoomdata, required_user: str = ADMINISTRATOR, *, dry: bool = False) -> None:
        """Sends nothing. Raises WrongUsage, CertificateUnusable, SecretUnusable."""
        address = _address(zoomdata.zoomdata_url)
        self._authorization, self._user = _identity(zoomdata, address.auth)
        super().__init__(address, _tls(zoomdata, address), TIMEOUT)
        self.dry = dry
        self.planned: list[Call] = []
        self.version: Version | None = None
        """None before `discover`, or if the form of the answer is unknown."""
        self.warnings: list[str] = []
        """What Zoomdata warned of before it carried out a request. To be shown to the user."""
        self._required_user = required_user

    def wrong_product(self, reason: str) -> WrongContext:
        """The error for an answer that is not Zoomdata's."""
        return WrongContext(url=self.url, reason=reason)

    def discover(self) -> Self:
        """Find the context, which `url` then includes, and the version. Raises WrongContext and what requests raise."""
        path = parse_url(self.url).path or ""
        tried = []
        for context in [""] if path else CONTEXTS:
            answer = self._send("GET", f"{self.url}{context}/api/version", ACCEPT)
            if answer.is_success and answer.is_json and answer.body:
                self.url, self.version = self.url + context, parse_version(answer.body)
                return self
            location = f" to {answer.location}" if answer.is_redirect else ""
            tried.append(f"{path}{context}/api/version answers {answer.status}{location}")
        raise self.wrong_product("; ".join(tried))

    def get(self, path: str, action: str, **params: str | int) -> Any:
        """The body of the answer to a GET. `action` is for the error message of a 403. Raises Fatal."""
        return self._request("GET", path, action, params=params).body

    def get_list(self, path: str, action: str, **params: str | int) -> list[Any]:
        """All items of a list, page by page: {content, pageInfo: {nextPageToken}}. A list in one piece has no `pageInfo`.

        Raises Fatal, also for a list without an end.
        """
        items: list[Any] = []
        seen: set[str] = set()
        while True:
            body = self.get(path, action, **params)
            if not isinstance(body, dict):
                return items + list(body or [])
            items += body.get("content") or []
            token = (body.get("pageInfo") or {}).get("nextPageToken")
            if not token:
                return items
            if token in seen or len(seen) == MAX_PAGES:
                reason = f"the list does not end, after page {len(seen) + 1:,} it names page {token!r}"
                raise ZoomdataUnexpected(url=self.url, status=200, request=f"GET /api{path}", reason=reason)
            seen.add(token)
            params = params | {"pageToken": token}

    def query(self, path: str, body: Any, action: str) -> Any:
        """The body of the answer to a POST that changes nothing; a dry run sends it too. Raises Fatal."""
        return self._request("POST", path, action, body=body).body

    def change(self, method: str, path: str, body: Any, action: str, allow: tuple[int, ...] = ()) -> Answer:
        """Send a request that changes something; a dry run only records it.

        Raises Fatal for a status that is neither 2xx nor in `allow`.
        """
        if self.dry:
            self.planned.append(Call(method, f"/api{path}", body))
            return Answer(200, {"id": PLACEHOLDER_ID}, is_json=True, location=None)
        return self._request(method, path, action, body=body, allow=allow)

    def _request(
        self,
        method: str,
        path: str,
        action: str,
        *,
        body: Any = None,
        params: dict[str, Any] | None = None,
        allow: tuple[int, ...] = (),
    ) -> Answer:
        content = None if body is None else orjson.dumps(body)
        headers = ACCEPT | self._authorization | (CONTENT if method != "GET" else {})
        url = f"{self.url}/api{path}"
        answer = self._send(method, url + _query(params or {}), headers, content)
        if method != "DELETE" and (warnings := _only_warnings(answer)):
            named = f" {body['name']!r}" if isinstance(body, dict) and body.get("name") else ""
            self.warnings += [f"Zoomdata warns of {method} /api{path}{named}: {it}" for it in warnings]
            confirmed = (params or {}) | {"suppressWarnings": "true"}
            answer = self._send(method, url + _query(confirmed), headers, content)
        if (answer.is_success and answer.is_json) or answer.status in allow:
            return answer
        if answer.is_redirect:
            raise self.wrong_product(f"/api{path} answers {answer.status} to {answer.location}")
        reason = error_reason(answer)
        if answer.status == 401:
            raise ZoomdataUnauthenticated(url=self.url, user=self._user, reason=reason)
        if answer.status == 403:
            raise ZoomdataForbids(
                url=self.url, user=self._user, action=action, reason=reason, required=self._required_user
            )
        raise ZoomdataUnexpected(
            url=self.url, status=answer.status, request=f"{method} /api{path}", reason=reason
        )


def parse_version(body: Any) -> Version | None:
    """The version in the answer: a string, or the field with "version" in its name; None if there is neither.

    The API description has `version`; the form before API v3 is not known.
    """
    match body:
        case str():
            number = re.match(r"\D{0,12}(\d+(?:\.\d+)+)", body)
            return tuple(map(int, number[1].split("."))) if number else None
        case dict():
            named = sorted((key for key in body if "version" in str(key).lower()), key=len)
            return next((found for key in named if (found := parse_version(body[key]))), None)
    return None


def error_reason(answer: Answer) -> str:
    """The reason in an error: {error, message, details, problems: [{name, message, level}]}."""
    body = answer.body
    if not isinstance(body, dict):
        return "no reason given" if answer.is_json else "the answer is not JSON"
    parts = [body.get("message") or body.get("error"), body.get("details")]
    parts += [_problem_text(it) for it in body.get("problems") or ()]
    unique = dict.fromkeys(str(each).strip().rstrip(".") for each in parts if each)
    return "; ".join(unique)[:500] or "no reason given"


def _problem_text(problem: Any) -> str:
    if not isinstance(problem, dict):
        return str(problem)
    return " ".join(str(it) for it in (problem.get("name"), problem.get("message")) if it)


def _only_warnings(answer: Answer) -> list[str]:
    """The warnings, if nothing else is the reason for a refusal: then the request succeeds with `suppressWarnings`."""
    problems = answer.body.get("problems") if isinstance(answer.body, dict) else None
    if answer.is_success or not problems:
        return []
    if not all(isinstance(it, dict) and it.get("level") == "WARNING" for it in problems):
        return []
    return [_problem_text(it) for it in problems]


def _query(params: dict[str, Any]) -> str:
    return f"?{urlencode(params)}" if params else ""


def _address(url: str) -> Url:
    address = http_address(url, "--zoomdata-url", "https://zoomdata:8443/composer")
    path = (address.path or "").rstrip("/").removesuffix("/api")
    return address._replace(path=path or None)


def _tls(zoomdata: Zoomdata, address: Url) -> Tls | None:
    if address.scheme != "https":
        if zoomdata.zoomdata_ca_certs:
            raise WrongUsage(
                what="--zoomdata-ca-certs requires --zoomdata-url to be https",
                remedy="Give a URL with https://",
            )
        return None
    try:
        return Tls(Connection(ca_certs=zoomdata.zoomdata_ca_certs))
    except CertificateUnusable as error:
        raise CertificateUnusable(**error.facts | {"option": "--zoomdata-ca-certs"}) from None


def _identity(zoomdata: Zoomdata, url_auth: str | None) -> tuple[dict[str, str], str]:
    """The Authorization header and its user, for messages."""
    user = zoomdata.zoomdata_username
    if user is None and url_auth:
        return {"authorization": basic(unquote(url_auth))}, "the user in the address"
    password = zoomdata.zoomdata_password
    if user is None or password is None:
        raise WrongUsage(
            what="Zoomdata requires a user",
            remedy="Give --zoomdata-username, and its password with INDEXER_ZOOMDATA_PASSWORD or --zoomdata-password-file",
        )
    return {"authorization": basic(f"{user}:{password}")}, f"user {user!r}"
