"""Zoomdata's API: context and version are found, requests have the documented form, and each error has its message."""

import ssl
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from itertools import count, cycle, islice
from pathlib import Path
from typing import Any

import orjson
import pytest
import trustme
from typer.testing import CliRunner

from indexer import cli
from indexer.dashboards.http import Answer
from indexer.elastic.tls import CertificateUnusable
from indexer.errors import WrongUsage
from indexer.settings import Zoomdata
from indexer.zoomdata.api import Api, error_reason, parse_version
from indexer.zoomdata.failures import (
    NothingVisible,
    WrongContext,
    ZoomdataForbids,
    ZoomdataNotSecure,
    ZoomdataUnauthenticated,
    ZoomdataUnexpected,
    ZoomdataUnreachable,
)
from tests.support.http_server import address, always, answer, serving
from tests.support.zoomdata_stand_in import StandIn


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    """The password of the Zoomdata user."""
    monkeypatch.setenv("INDEXER_ZOOMDATA_PASSWORD", "pä:ss wörd")


@pytest.fixture
def there() -> StandIn:
    """A Zoomdata with an administrator and a viewer."""
    made = StandIn()
    made.admit("admin", "pä:ss wörd")
    made.admit("looker", "pä:ss wörd", "viewer")
    return made


@pytest.fixture
def settings(there: StandIn) -> Iterator[Zoomdata]:
    """Where it is."""
    with there.serving() as url:
        yield Zoomdata(url, "admin")


def listed(settings: Zoomdata) -> list[Any]:
    with Api(settings) as api:
        return api.discover().get_list("/connections", "look")


@pytest.mark.parametrize("context", ["/composer", "/discovery", "/zoomdata"])
def test_the_context_is_found(there: StandIn, settings: Zoomdata, context: str) -> None:
    """Without credentials; other contexts redirect."""
    there.context = context
    with Api(settings) as api:
        assert api.discover().url == settings.zoomdata_url + context
        assert api.version == (26, 3, 0)
    assert "authorization" not in there.requests[0].headers
    assert listed(settings) == []


@pytest.mark.parametrize("end", ["", "/", "/api", "/api/"])
def test_a_context_that_is_given_is_taken(there: StandIn, settings: Zoomdata, end: str) -> None:
    """Under any name, with or without the path /api."""
    there.context = "/bi/tool"
    assert listed(replace(settings, zoomdata_url=f"{settings.zoomdata_url}/bi/tool{end}")) == []


def test_a_wrong_context_is_an_error_with_the_tried_paths(there: StandIn, settings: Zoomdata) -> None:
    """With and without a context in the URL; the target of a redirect is shown."""
    there.context = "/elsewhere"
    with pytest.raises(
        WrongContext, match=r"/composer/api/version answers 302 to /elsewhere/login; /discovery"
    ):
        listed(settings)
    with pytest.raises(WrongContext, match=r": /zoom/api/version answers 302.*with the context"):
        listed(replace(settings, zoomdata_url=f"{settings.zoomdata_url}/zoom"))


def test_another_product() -> None:
    """Another product may answer 200 as well."""
    with (
        serving(always(200, b"<html>welcome</html>")) as other,
        pytest.raises(WrongContext, match="answers 200"),
    ):
        listed(Zoomdata(address(other), "admin"))


@pytest.mark.parametrize(
    ("body", "version"),
    [
        ({"version": "6.9.2"}, (6, 9, 2)),
        ({"buildVersionNumber": "x", "version": "7.10.1-b4"}, (7, 10, 1)),
        ({"appVersion": {"version": "25.4.0.1"}}, (25, 4, 0, 1)),
        ("26.3.0", (26, 3, 0)),
        ("Composer 26.3", (26, 3)),
        ({"name": "9.9.9"}, None),
        ({"version": 7}, None),
        ([], None),
    ],
)
def test_a_version_is_read_from_whatever_form(body: Any, version: tuple[int, ...] | None) -> None:
    """The form of the answer is not documented."""
    assert parse_version(body) == version


def test_requests_have_the_documented_form(there: StandIn, settings: Zoomdata) -> None:
    """The vendor's media types, and basic authentication in UTF-8."""
    with Api(settings) as api, pytest.raises(ZoomdataUnexpected, match="not found"):
        api.discover().change("PUT", "/connections/none", {}, "try")
    last = there.requests[-1]
    assert last.headers["content-type"] == "application/vnd.composer.v3+json"
    assert last.headers["accept"].startswith("application/vnd.composer.v3+json")


def test_a_user_in_the_address(there: StandIn, settings: Zoomdata) -> None:
    """Percent-encoded; it is not shown."""
    url = settings.zoomdata_url.replace("://", "://admin:p%C3%A4%3Ass%20w%C3%B6rd@")
    with Api(Zoomdata(url)) as api:
        assert api.discover().get_list("/connections", "look") == []
        assert "admin" not in api.url
        assert "p%C3" not in repr(api)
        assert "Basic" not in repr(api)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (Zoomdata("http://x"), "--zoomdata-username"),
        (Zoomdata("ftp://x", "admin"), "not a valid http"),
        (Zoomdata("zoomdata", "admin"), "not a valid http"),
        (Zoomdata("http://x", "admin", zoomdata_ca_certs=Path("ca.pem")), "to be https"),
    ],
)
def test_invalid_settings_are_wrong_usage(given: Zoomdata, said: str) -> None:
    """Before anything is sent."""
    with pytest.raises(WrongUsage, match=said):
        Api(given)


def test_without_a_password_nothing_is_sent(settings: Zoomdata, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be in a file instead."""
    monkeypatch.delenv("INDEXER_ZOOMDATA_PASSWORD")
    with pytest.raises(WrongUsage, match="INDEXER_ZOOMDATA_PASSWORD or --zoomdata-password-file"):
        Api(settings)


def test_a_password_from_a_file(settings: Zoomdata, tmp_path: Path) -> None:
    """It has precedence over the variable."""
    file = tmp_path / "password"
    file.write_text("wrong\n")
    with pytest.raises(ZoomdataUnauthenticated, match="does not accept user 'admin': Bad credentials"):
        listed(replace(settings, zoomdata_password_file=file))
    file.write_text("pä:ss wörd\n")
    assert listed(replace(settings, zoomdata_password_file=file)) == []


def test_errors_have_a_message(there: StandIn, settings: Zoomdata) -> None:
    """The message has the user, the action, the reason, and what is required."""
    with pytest.raises(
        ZoomdataForbids,
        match=r"does not permit user 'looker' to look: Access is denied\. This requires an admin",
    ):
        listed(replace(settings, zoomdata_username="looker"))
    with Api(settings) as api:
        with pytest.raises(ZoomdataUnexpected, match="answers 404 to GET /api/nothing: Not Found"):
            api.discover().get("/nothing", "look")
        with pytest.raises(
            ZoomdataUnexpected, match=r'answers 400 .*: Bad request; body Unrecognized field "odd"'
        ):
            api.change("POST", "/connections", {"odd": 1}, "try")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"message": "No.", "details": "Because."}, "No; Because"),
        ({"error": "Bad", "message": None, "problems": [{"name": "a", "message": "b"}, "c"]}, "Bad; a b; c"),
        ({"message": "Same", "details": "Same"}, "Same"),
        ({}, "no reason given"),
        (None, "no reason given"),
        ({"message": "x" * 900}, "x" * 500),
    ],
)
def test_the_reason_is_read_from_the_body_of_an_error(body: Any, reason: str) -> None:
    """{error, message, details, problems}."""
    assert error_reason(Answer(400, body, is_json=True, location=None)) == reason


def test_a_page_instead_of_json_is_an_error() -> None:
    """The page of a proxy, after the context was found."""
    assert error_reason(Answer(502, None, is_json=False, location=None)) == "the answer is not JSON"


def test_no_answer(settings: Zoomdata) -> None:
    """Refused connections and unknown hosts."""
    with serving(always(200, b"")) as server:
        gone = address(server)
    with pytest.raises(ZoomdataUnreachable, match=r"Connection refused.*--zoomdata-url"):
        listed(replace(settings, zoomdata_url=gone))
    with pytest.raises(ZoomdataUnreachable, match=r"No answer from Zoomdata at http://nowhere.invalid"):
        listed(replace(settings, zoomdata_url="http://nowhere.invalid"))


def test_its_certificate_is_verified(there: StandIn, tmp_path: Path) -> None:
    """With the CA given for Zoomdata; the error for a missing file names the option."""
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    file = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(file)
    with there.serving(context) as url:
        assert listed(Zoomdata(url, "admin", zoomdata_ca_certs=file)) == []
        with pytest.raises(ZoomdataNotSecure, match=r"not trusted.*--zoomdata-ca-certs"):
            listed(Zoomdata(url, "admin"))
        with pytest.raises(ZoomdataNotSecure, match=r"127.0.0.1"):
            listed(Zoomdata(url.replace("localhost", "127.0.0.1"), "admin", zoomdata_ca_certs=file))
    with pytest.raises(CertificateUnusable, match="--zoomdata-ca-certs"):
        Api(Zoomdata(url, "admin", zoomdata_ca_certs=tmp_path / "missing"))


@pytest.mark.parametrize(("count", "page", "requests"), [(450, 200, 3), (7, 2, 4), (4, 2, 2), (0, 2, 1)])
def test_all_pages_of_a_list_are_read(
    there: StandIn, settings: Zoomdata, count: int, page: int, requests: int
) -> None:
    """Each item once, in order."""
    there.sources = {str(number): {"id": str(number), "name": f"s{number}"} for number in range(count)}
    there.page = page
    with Api(settings) as api:
        found = api.discover().get_list("/sources", "look", maxResults=200)
    assert [it["id"] for it in found] == list(there.sources)
    assert [it.path for it in there.requests[1:]] == ["/sources"] * requests


@pytest.mark.parametrize("tokens", [["a"], ["a", "b"], map(str, count())], ids=["same", "cycle", "new"])
def test_a_list_without_an_end_is_an_error(tokens: Iterable[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A repeated page is noticed at once; else there is a limit."""
    monkeypatch.setattr("indexer.zoomdata.api.MAX_PAGES", 5)
    endless = islice(cycle(tokens), 20)

    def respond(handler: BaseHTTPRequestHandler) -> None:
        page = {"content": [1], "pageInfo": {"nextPageToken": next(endless, None), "previousPageToken": None}}
        answer(handler, 200, orjson.dumps(page))

    with (
        serving(respond) as server,
        Api(Zoomdata(address(server), "admin")) as api,
        pytest.raises(ZoomdataUnexpected, match=r"to GET /api/x: the list does not end, after page \d"),
    ):
        api.get_list("/x", "look")


def test_a_request_that_is_refused_for_warnings_is_repeated_and_they_are_kept(
    there: StandIn, settings: Zoomdata
) -> None:
    """Once, with `suppressWarnings`, which nothing sends before."""
    there.warns = {"POST /connections": ["name is odd", "nobody uses it"]}
    type_ = there.types[0]
    body = {
        "name": "x",
        "type": type_["type"],
        "subStorageType": type_["subStorageType"],
        "connectionTypeId": type_["id"],
        "allParameters": [],
    }
    with Api(settings) as api:
        made = api.discover().change("POST", "/connections", body, "try").body
        assert api.warnings == [
            "Zoomdata warns of POST /api/connections 'x': body name is odd",
            "Zoomdata warns of POST /api/connections 'x': body nobody uses it",
        ]
        api.change("PUT", f"/connections/{made['id']}", body, "try")
        assert len(api.warnings) == 2
    assert list(there.connections) == [made["id"]]
    sent = [it.params.get("suppressWarnings") for it in there.requests if it.method != "GET"]
    assert sent == [None, ["true"], None]


def test_warnings_are_told_even_if_the_command_fails_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Zoomdata did in spite of them stays; the password is not shown."""

    def connect(_: object, api: Api, *__: object, views: bool) -> None:
        api.warnings += ["Zoomdata warns of PASSWORD=s3cret"]
        raise NothingVisible(alias="logs", connection="logs")

    monkeypatch.setattr("indexer.zoomdata.connect.connect", connect)
    monkeypatch.setattr("indexer.elastic.cluster.connected", lambda _: nullcontext())
    monkeypatch.setenv("INDEXER_READER_PASSWORD", "s3cret")
    arguments = ["zoomdata", "connect", "--zoomdata-url", "http://x", "--zoomdata-username", "admin"]
    done = CliRunner().invoke(cli.app, arguments)
    assert isinstance(done.exception, NothingVisible)
    assert done.stderr == "Zoomdata warns of PASSWORD=…\n"


@pytest.mark.parametrize(
    ("method", "levels"),
    [("POST", ["WARNING", "ERROR"]), ("POST", ["ERROR"]), ("POST", [None]), ("DELETE", ["WARNING"])],
)
def test_an_error_and_the_warning_of_a_deletion_are_not_passed_over(
    method: str, levels: list[str | None]
) -> None:
    """The request is sent once."""
    problems = [{"name": "field", "message": f"is {level}", "level": level} for level in levels]
    requests = []

    def respond(handler: BaseHTTPRequestHandler) -> None:
        requests.append(handler.path)
        answer(handler, 400, orjson.dumps({"message": "No", "problems": problems}))

    with serving(respond) as server, Api(Zoomdata(address(server), "admin")) as api:
        with pytest.raises(ZoomdataUnexpected, match=f"No; field is {levels[0]}"):
            api.change(method, "/x", None, "try")
        assert api.warnings == []
    assert requests == ["/api/x"]


def test_a_list_without_a_wrapper() -> None:
    """As older versions answer."""
    with serving(always(200, b'["a","b"]')) as server, Api(Zoomdata(address(server), "admin")) as api:
        assert api.discover().get_list("/x", "look") == ["a", "b"]


def test_a_dry_run_sends_nothing_that_changes_anything(there: StandIn, settings: Zoomdata) -> None:
    """Requests are recorded, with a placeholder for ids."""
    with Api(settings, dry=True) as api:
        made = api.discover().change("POST", "/connections", {"name": "x"}, "try")
        assert made.body == {"id": "ID GIVEN BY ZOOMDATA"}
        assert [(it.method, it.path) for it in api.planned] == [("POST", "/api/connections")]
    assert there.changed() == []
