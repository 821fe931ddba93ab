"""Zoomdata's HTTP interface: its context, requests as it wants them, answers as values, refusals as sentences."""

import re
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlencode

import orjson
from urllib3.util import Url, parse_url

from indexer.dashboards.http import Answer, NoAnswer, Web, basic, http_address, shown
from indexer.elastic.failures import FORM_ERRORS, describe_form_error
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
"""By default, when bundled, before 6 (vendor's documentation; its release notes for 6.0)."""
ACCEPT = {"accept": "application/vnd.composer.v3+json,application/vnd.composer+json"}
CONTENT = {"content-type": "application/vnd.composer.v3+json"}
"""Anything else is answered with 415."""
PAGE = 200
"""Results of a list that are asked for at once."""
MOST_PAGES = 1000
"""Pages of a list."""
TIMEOUT = 60.0
"""Seconds; describing an index of many fields takes Zoomdata a while."""
ADMINISTRATOR = "an administrator of the account (privilege ROLE_MANAGE_CONNECTIONS, and to create sources)"
SUPERVISOR = "the user supervisor, or another with that role: administrators of an account may not"
PLANNED = "ID GIVEN BY ZOOMDATA"
"""Stands for the id of what a dry run does not make."""

Version = tuple[int, ...]


@dataclass(slots=True)
class Api:
    """A connection to one Zoomdata. A context manager.

    dry   send nothing that changes anything; `planned` holds what would be sent.
    """

    zoomdata: Zoomdata
    needed: str = ADMINISTRATOR
    dry: bool = False
    planned: list[Call] = field(default_factory=list)
    version: Version | None = field(init=False, default=None)
    """None where Zoomdata does not tell it in a form that is known."""
    url: str = field(init=False)
    """Its address with the context, without a user."""
    _web: Web = field(init=False)
    _authorization: dict[str, str] = field(init=False, repr=False)
    _who: str = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is sent yet. Raises WrongUsage, CertificateUnusable, SecretUnusable."""
        address = _address(self.zoomdata.zoomdata_url)
        self.url = shown(address)
        self._authorization, self._who = _identity(self.zoomdata, address.auth)
        self._web = Web(address, _tls(self.zoomdata, address), TIMEOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._web.close()
        if isinstance(error, FORM_ERRORS):
            raise WrongContext(url=self.url, tried=describe_form_error(error)) from None

    def find(self) -> Self:
        """Find the context and the version. Raises WrongContext, ZoomdataUnreachable, ZoomdataNotSecure."""
        base, path = self.url, parse_url(self.url).path or ""
        tried = []
        for context in [""] if path else CONTEXTS:
            answer = self._request("GET", f"{base}{context}/api/version", ACCEPT)
            if answer.good and answer.is_json and answer.body:
                self.url, self.version = base + context, version_in(answer.body)
                return self
            where = f" to {answer.location}" if answer.redirects else ""
            tried.append(f"{path}{context}/api/version answers {answer.status}{where}")
        raise WrongContext(url=base, tried="; ".join(tried))

    def get(self, path: str, doing: str, **question: str | int) -> Any:
        """Ask for something. Raises Fatal."""
        return self._judged("GET", path, doing, question=question).body

    def listed(self, path: str, doing: str, **question: str | int) -> list[Any]:
        """Ask for all of a list, page by page. Raises Fatal.

        It comes as {"content": […]}; what the next page's token is called there is not documented.
        """
        found: list[Any] = []
        for _ in range(MOST_PAGES):
            body = self.get(path, doing, **question)
            if not isinstance(body, dict):
                return found + list(body or [])
            found += body.get("content") or []
            tokens = (value for key, value in body.items() if "token" in key.lower() and value)
            token = str(next(tokens, ""))
            if not token or token == question.get("pageToken"):
                return found
            question = question | {"pageToken": token}
        raise WrongContext(url=self.url, tried=f"/api{path} has no last page")

    def ask(self, path: str, body: Any, doing: str) -> Any:
        """POST what changes nothing: a dry run sends it too. Raises Fatal."""
        return self._judged("POST", path, doing, body=body).body

    def change(self, method: str, path: str, body: Any, doing: str, allow: tuple[int, ...] = ()) -> Answer:
        """Send what changes something, or plan it; a status that is no success, and not in `allow`, is raised as Fatal."""
        if self.dry:
            self.planned.append(Call(method, f"/api{path}", body))
            return Answer(200, {"id": PLANNED}, is_json=True, location=None)
        return self._judged(method, path, doing, body=body, allow=allow)

    def _judged(
        self,
        method: str,
        path: str,
        doing: str,
        *,
        body: Any = None,
        question: dict[str, Any] | None = None,
        allow: tuple[int, ...] = (),
    ) -> Answer:
        content = None if body is None else orjson.dumps(body)
        headers = ACCEPT | self._authorization | (CONTENT if method != "GET" else {})
        query = f"?{urlencode(question)}" if question else ""
        answer = self._request(method, f"{self.url}/api{path}{query}", headers, content)
        if (answer.good and answer.is_json) or answer.status in allow:
            return answer
        reason = reason_in(answer)
        if answer.redirects:
            raise WrongContext(url=self.url, tried=f"/api{path} answers {answer.status} to {answer.location}")
        if answer.status == 401:
            raise ZoomdataUnauthenticated(url=self.url, who=self._who, reason=reason)
        if answer.status == 403:
            raise ZoomdataForbids(url=self.url, who=self._who, doing=doing, reason=reason, needed=self.needed)
        raise ZoomdataUnexpected(
            url=self.url, status=answer.status, request=f"{method} /api{path}", reason=reason
        )

    def _request(
        self, method: str, url: str, headers: dict[str, str], content: bytes | None = None
    ) -> Answer:
        try:
            return self._web.request(method, url, headers, content)
        except NoAnswer as error:
            kind = ZoomdataNotSecure if error.untrusted else ZoomdataUnreachable
            raise kind(url=self.url, reason=error) from None


def version_in(body: Any) -> Version | None:
    """The version in an answer of unknown form: a text, or the field of an object whose name says so."""
    match body:
        case str():
            number = re.match(r"\D{0,12}(\d+(?:\.\d+)+)", body)
            return tuple(map(int, number[1].split("."))) if number else None
        case dict():
            named = sorted((key for key in body if "version" in str(key).lower()), key=len)
            return next((found for key in named if (found := version_in(body[key]))), None)
    return None


def reason_in(answer: Answer) -> str:
    """What Zoomdata says is wrong: {error, message, details, problems: [{name, message, level}]}."""
    body = answer.body
    if not isinstance(body, dict):
        return "no reason given" if answer.is_json else "it is no JSON"
    parts = [body.get("message") or body.get("error"), body.get("details")]
    for problem in body.get("problems") or ():
        told = (problem.get("name"), problem.get("message")) if isinstance(problem, dict) else (str(problem),)
        parts.append(" ".join(str(each) for each in told if each))
    told_once = dict.fromkeys(str(each).strip().rstrip(".") for each in parts if each)
    return "; ".join(told_once)[:500] or "no reason given"


def _address(url: str) -> Url:
    address = http_address(url, "--zoomdata-url", "https://zoomdata:8443/composer")
    path = (address.path or "").rstrip("/").removesuffix("/api")
    return address._replace(path=path or None)


def _tls(zoomdata: Zoomdata, address: Url) -> Tls | None:
    if address.scheme != "https":
        if zoomdata.zoomdata_ca_certs:
            raise WrongUsage(
                what="--zoomdata-ca-certs is given, and --zoomdata-url is not https", remedy="Give https://"
            )
        return None
    try:
        return Tls(Connection(ca_certs=zoomdata.zoomdata_ca_certs))
    except CertificateUnusable as error:
        raise CertificateUnusable(**error.facts | {"option": "--zoomdata-ca-certs"}) from None


def _identity(zoomdata: Zoomdata, in_address: str | None) -> tuple[dict[str, str], str]:
    """The header Authorization, and whom it stands for."""
    user = zoomdata.zoomdata_username
    if user is None and in_address:
        return {"authorization": basic(unquote(in_address))}, "the user in the address"
    password = zoomdata.zoomdata_password
    if user is None or password is None:
        raise WrongUsage(
            what="Zoomdata takes no request without a user",
            remedy="Give --zoomdata-username with INDEXER_ZOOMDATA_PASSWORD or --zoomdata-password-file",
        )
    return {"authorization": basic(f"{user}:{password}")}, f"user {user!r}"
