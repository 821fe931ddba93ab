"""`indexer kibana install` against the stand-in for Kibana: requests, and the message for each error."""

import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner, Result

from indexer import cli
from indexer.errors import WrongUsage
from indexer.kibana import install as installing
from indexer.kibana.api import (
    IsOpenSearchDashboards,
    KibanaForbids,
    KibanaUnauthenticated,
    KibanaUnreachable,
    NoSuchSpace,
    NotKibana,
)
from indexer.kibana.dashboards import saved_objects
from indexer.kibana.install import ImportFailed, Installed, KibanaTooOld
from indexer.kibana.layout import DASHBOARDS
from indexer.kibana.rules import AlertingNotReady
from indexer.kibana.saved_objects import Naming, ndjson
from indexer.settings import Connection, Kibana
from tests.support.http_stand_in import Response
from tests.support.kibana_stand_in import StandIn, opensearch_dashboards

ALL = saved_objects(Naming(), (8, 19))
SECRET = "s3cret-of-elastic"


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """The stand-in for Kibana, with a user who has the privileges."""
    for name in ("PASSWORD", "API_KEY", "BEARER_TOKEN"):
        monkeypatch.delenv(f"INDEXER_{name}", raising=False)
    monkeypatch.setenv("INDEXER_PASSWORD", SECRET)
    made = StandIn()
    made.admit("elastic", SECRET)
    return made


@pytest.fixture
def url(stand_in: StandIn) -> Iterator[str]:
    """Its address."""
    with stand_in.serving() as address:
        yield address


def install(url: str, *, alerts: bool = False, space: str | None = None, **options: Any) -> Installed:
    """Install as user elastic."""
    given: dict[str, Any] = {"username": "elastic", "request_timeout": 5.0} | options
    return installing.install(Connection(**given), Kibana(url, space), alerts=alerts, export_rows=500)


def run(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(cli.app, ["kibana", "install", *arguments])


@pytest.mark.parametrize("version", ["7.17.0", "7.17.28", "8.0.0", "8.19.16", "9.1.5", "9.5.0"])
def test_all_objects_are_imported(stand_in: StandIn, url: str, version: str) -> None:
    """All versions from 7.17 import all objects in their form, and the result has the URLs of the dashboards."""
    stand_in.version = version
    wanted = saved_objects(Naming(), tuple(map(int, version.split("."))))
    done = install(url)
    assert done.version == version
    assert done.objects == len(wanted)
    assert {(kind, name) for _, kind, name in stand_in.objects} == {(it.type, it.id) for it in wanted}
    modern = version in {"8.19.16", "9.1.5", "9.5.0"}
    assert ("lens" in {it.type for it in wanted}, "tag" in {it.type for it in wanted}) == (not modern, modern)
    assert list(done.dashboards.values()) == [
        f"{url}/app/dashboards#/view/zoomdata-activity-{name}" for name in DASHBOARDS
    ]


def test_second_install(stand_in: StandIn, url: str) -> None:
    """A second run is an update: the same objects, rules and connector, no more."""
    first = install(url, alerts=True)
    before = len(stand_in.objects)
    second = install(url, alerts=True)
    assert {what for _, what in first.rules} == {"created"}
    assert {what for _, what in second.rules} == {"updated"}
    assert len(stand_in.objects) == before
    assert len(stand_in.rules) == 3
    assert len(stand_in.connectors) == 1


def test_several_installs(stand_in: StandIn, url: str) -> None:
    """Installs for two aliases, and in two spaces, leave each other alone."""
    stand_in.spaces.add("audit")
    for alias in ("zoomdata-activity", "other"):
        for space in (None, "audit"):
            install(url, alerts=True, alias=alias, space=space)
    names = [(kind, name) for _, kind, name in stand_in.objects]
    assert len(names) == len(set(names)) == 4 * len(ALL)
    assert len(stand_in.rules) == 12


def test_space(stand_in: StandIn, url: str) -> None:
    """Everything goes into the space that is given; the default space may be named."""
    stand_in.spaces.add("audit")
    done = install(url, space="audit", alerts=True)
    assert {space for space, _, _ in stand_in.objects} == {"audit"}
    assert {it.space for it in stand_in.requests if it.path != "/api/status"} == {"audit"}
    assert all(address.startswith(f"{url}/s/audit/app/") for address in done.dashboards.values())
    install(url, space="default")
    assert sum(space == "default" for space, _, _ in stand_in.objects) == len(ALL)


def test_base_path(stand_in: StandIn) -> None:
    """Kibana may have a base path, and its URL a trailing slash."""
    stand_in.base_path = "/analytics/kibana"
    with stand_in.serving() as url:
        assert install(url + "/").objects == len(ALL)


@pytest.mark.parametrize(
    ("given", "form", "said"),
    [
        ((), (8, 19), "for Kibana 8.19 or later"),
        (("--kibana-version", "9.1.5"), (8, 19), "for Kibana 8.19 or later"),
        (("--kibana-version", "8.19"), (8, 19), "for Kibana 8.19 or later"),
        (("--kibana-version", "8.18.3"), (7, 17), "before 8.19"),
        (("--kibana-version", "7.17.28"), (7, 17), "before 8.19"),
    ],
)
def test_dry_run(given: tuple[str, ...], form: tuple[int, ...], said: str) -> None:
    """A dry run sends nothing and prints the file to import, for the newest version unless one is given."""
    result = run("--dry-run", "--kibana-url", "http://install.invalid:5601", *given)
    assert result.exit_code == 0
    assert result.stdout.encode() == ndjson(saved_objects(Naming(), form))
    assert "Import" in result.stderr
    assert said in result.stderr


@pytest.mark.parametrize("version", ["7.16", "6.8.23", "9", "latest", "8.x", "", "8.19.0-SNAPSHOT"])
def test_invalid_version(version: str) -> None:
    """What is no version from 7.17 on is wrong usage."""
    result = run("--dry-run", "--kibana-version", version)
    assert (result.exit_code, result.stdout) == (2, "")


def test_a_version_is_for_a_dry_run(stand_in: StandIn, url: str) -> None:
    """An installation asks the server, so a version given to it is wrong usage; nothing is sent."""
    result = run("--kibana-url", url, "--kibana-version", "9.1")
    assert isinstance(result.exception, WrongUsage)
    assert "--dry-run" in str(result.exception)
    assert stand_in.requests == []


def test_dry_run_of_alerts() -> None:
    """With --alerts, the rules go to standard error, not into the file."""
    result = run("--dry-run", "--alerts", "--export-rows", "77", "--alias", "other", "--space", "audit")
    assert result.stdout.encode() == ndjson(saved_objects(Naming("other", "audit"), (8, 19)))
    assert result.stderr.count("POST /api/alerting/rule/") == 3
    assert '{\\"gt\\":77}' in result.stderr


@pytest.mark.parametrize("space", ["Finance", "a/b", "a b", "", "../x"])
def test_invalid_space(space: str) -> None:
    """A space's name instead of its identifier is wrong usage, and is not used in a URL."""
    result = run("--dry-run", "--space", space)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_command(stand_in: StandIn, url: str) -> None:
    """The command shows the URLs of the dashboards, with --json as one object, and no secret."""
    arguments = ("--kibana-url", url, "--username", "elastic", "--alerts")
    told = run(*arguments)
    assert told.exit_code == 0, told.output
    assert "Zoomdata: Audit" in told.stdout
    shown = orjson.loads(run(*arguments, "--json").stdout)
    assert list(shown["dashboards"]) == [f"Zoomdata: {it.capitalize()}" for it in DASHBOARDS]
    assert SECRET not in told.output


def test_rules(stand_in: StandIn, url: str) -> None:
    """Rules query the alias and write to the server log through the indexer's own connector."""
    stand_in.connectors.append({"id": "theirs", "name": "Their log", "connector_type_id": ".server-log"})
    install(url, alerts=True, alias="other")
    ours = stand_in.connectors[-1]
    assert (ours["name"], ours["connector_type_id"]) == ("Zoomdata: server log (other)", ".server-log")
    for rule in stand_in.rules.values():
        assert rule["params"]["index"] == ["other"]
        assert [action["id"] for action in rule["actions"]] == [ours["id"]]
        assert "{{_source.user}}" in rule["actions"][0]["params"]["message"]
    asked = [rule["params"]["esQuery"] for rule in stand_in.rules.values()]
    assert sum('"gt":500' in query for query in asked) == 1


# ---- what is refused


def test_partial_import(stand_in: StandIn, url: str) -> None:
    """An answer of 200 with failures is an error with the object and the reason."""
    stand_in.refuses["zoomdata-activity-audit"] = {"type": "unsupported_type"}
    with pytest.raises(ImportFailed, match=rf"imported {len(ALL) - 1} of {len(ALL)} objects") as raised:
        install(url)
    assert "dashboard 'Zoomdata: Audit' (zoomdata-activity-audit): this Kibana does not support" in str(
        raised.value
    )


def test_unknown_failure(stand_in: StandIn, url: str) -> None:
    """A failure of an unknown type is shown in Kibana's words."""
    stand_in.refuses["zoomdata-activity"] = {"type": "unknown", "message": "disk is full", "statusCode": 500}
    with pytest.raises(ImportFailed, match=r"\(zoomdata-activity\): disk is full"):
        install(url)


def test_many_failures(stand_in: StandIn, url: str) -> None:
    """Of many failures, the error has the first ones and the number of the others."""
    stand_in.refuses |= {it.id: {"type": "conflict"} for it in ALL}
    with pytest.raises(ImportFailed, match=rf"imported 0 of .* and {len(ALL) - 5} more"):
        install(url)


def test_other_ids(stand_in: StandIn, url: str) -> None:
    """An object that gets another id is an error: links and updates would not find it."""
    stand_in.renames["zoomdata-activity-audit"] = "6a1c"
    with pytest.raises(ImportFailed, match=r"Kibana gave it another id \(6a1c\)"):
        install(url)


def test_too_old(stand_in: StandIn, url: str) -> None:
    """Nothing is imported before 7.17."""
    stand_in.version = "7.16.3"
    with pytest.raises(KibanaTooOld, match=r"is 7\.16\.3; the dashboards need 7\.17 or later"):
        install(url)
    assert stand_in.objects == {}


def test_wrong_password(stand_in: StandIn, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the unknown user and the source of the password."""
    monkeypatch.setenv("INDEXER_PASSWORD", "wrong")
    with pytest.raises(
        KibanaUnauthenticated, match=r"does not accept user 'elastic'.*unable to authenticate"
    ):
        install(url)


@pytest.mark.parametrize("tells", [True, False])
def test_no_credentials(stand_in: StandIn, url: str, monkeypatch: pytest.MonkeyPatch, tells: bool) -> None:  # noqa: FBT001
    """Missing credentials are an error, even if Kibana answers 200 without its version."""
    monkeypatch.delenv("INDEXER_PASSWORD")
    stand_in.tells_version = tells
    with pytest.raises(KibanaUnauthenticated, match="does not accept a request without credentials"):
        install(url, username=None)


def test_not_allowed(stand_in: StandIn, url: str) -> None:
    """The error for 403 names the required privileges."""
    stand_in.admit("elastic", SECRET, may=False)
    with pytest.raises(
        KibanaForbids, match=r"'All' for Saved Objects Management, Dashboard, .* default space"
    ):
        install(url)


def test_no_such_space(url: str) -> None:
    """404 in a space means that the space does not exist."""
    with pytest.raises(NoSuchSpace, match="has no space 'finance'"):
        install(url, space="finance")


@pytest.mark.parametrize(
    ("setting", "hint"),
    [("encryption_key", "xpack.encryptedSavedObjects.encryptionKey"), ("secure", "api_key.enabled")],
)
def test_alerting_not_ready(stand_in: StandIn, url: str, setting: str, hint: str) -> None:
    """If Kibana cannot run rules, the dashboards are installed and the error names the setting."""
    setattr(stand_in, setting, False)
    with pytest.raises(AlertingNotReady, match=re.escape(hint)):
        install(url, alerts=True)
    assert len(stand_in.objects) == len(ALL)
    assert stand_in.rules == {}


def test_no_answer() -> None:
    """The error for no answer names the option with the URL."""
    with StandIn().serving() as url:
        pass
    with pytest.raises(KibanaUnreachable, match=r"\(Connection refused\)\. .*--kibana-url"):
        install(url, username=None)


@pytest.mark.parametrize("url", ["kibana:5601", "ftp://kibana", "localhost"])
def test_no_address(url: str) -> None:
    """A URL without http is wrong usage."""
    with pytest.raises(WrongUsage, match="--kibana-url"):
        install(url)


def test_another_product(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another product at the URL is an error."""
    stand_in.base_path = "/kibana"
    other = Response(200, {"tagline": "You Know, for Search"})
    monkeypatch.setattr(StandIn, "respond", lambda *_: other)
    with stand_in.serving() as url, pytest.raises(NotKibana, match="base path"):
        install(url)


@pytest.mark.parametrize("answer", opensearch_dashboards().values(), ids=opensearch_dashboards())
def test_opensearch_dashboards(stand_in: StandIn, url: str, answer: Response) -> None:
    """It is named, with what to use instead; nothing is imported."""
    stand_in.starting, stand_in.starting_as = 10**6, answer
    with pytest.raises(IsOpenSearchDashboards, match=r"is OpenSearch Dashboards.*no Lens.*`indexer report`"):
        install(url)
    assert [it.method for it in stand_in.requests] == ["GET"]


@pytest.mark.parametrize(
    "statuses", [None, "core:opensearch@1", [None, "x"], [{"id": 1}, {"id": "core:elasticsearch@7.17.0"}]]
)
def test_any_other_status_is_kibanas(stand_in: StandIn, url: str, statuses: Any) -> None:
    """Kibana 7.17 lists the services in the same form."""
    body = {"version": {"number": "7.17.28"}, "status": {"statuses": statuses}}
    stand_in.version, stand_in.starting, stand_in.starting_as = "7.17.28", 1, Response(200, body)
    assert install(url).version == "7.17.28"
