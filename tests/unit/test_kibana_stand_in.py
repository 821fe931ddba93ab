"""The stand-in for Kibana: each rule that it enforces makes an install fail if it is broken."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
import urllib3

from indexer.errors import Fatal
from indexer.kibana import install as installing
from indexer.kibana import rules
from indexer.kibana.api import Api, KibanaUnexpected
from indexer.kibana.dashboards import saved_objects
from indexer.kibana.install import ImportFailed
from indexer.kibana.saved_objects import Naming
from indexer.settings import Connection, Kibana
from tests.support.kibana_stand_in import StandIn

Break = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture(params=["8.18.4", "8.19.16"], ids=["classic", "modern"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A stand-in that requires no credentials, with a version for each form of the objects."""
    with StandIn(open=True, version=request.param).serving() as address:
        yield address


def install(url: str) -> None:
    """Install everything."""
    installing.install(Connection(request_timeout=5.0), Kibana(url), alerts=True, export_rows=500)


def sent(change: Callable[[dict[str, Any]], None]) -> Break:
    """Change the arguments of every request."""

    def apply(monkeypatch: pytest.MonkeyPatch) -> None:
        whole = urllib3.PoolManager.request

        def request(self: Any, method: str, url: str, **how: Any) -> Any:
            change(how)
            return whole(self, method, url, **how)

        monkeypatch.setattr(urllib3.PoolManager, "request", request)

    return apply


def lines(change: Callable[[dict[str, Any]], None], only: str = "zoomdata-activity-audit") -> Break:
    """Change one object of the file."""

    def apply(monkeypatch: pytest.MonkeyPatch) -> None:
        def changed(saved: Any) -> bytes:
            content = b""
            for it in saved:
                line = orjson.loads(it.line)
                if it.id == only:
                    change(line)
                content += orjson.dumps(line) + b"\n"
            return content

        monkeypatch.setattr(installing, "ndjson", changed)

    return apply


def newer(line: dict[str, Any]) -> None:
    """Stamp an object as one of a later version."""
    if "typeMigrationVersion" in line:
        line["typeMigrationVersion"] = "99.0.0"
    else:
        line["migrationVersion"] = {line["type"]: "99.0.0"}


def unstamped(line: dict[str, Any]) -> None:
    """Remove the stamp of an object."""
    line.pop("migrationVersion", None)
    line.pop("typeMigrationVersion", None)


def rule(change: Callable[[dict[str, Any]], None]) -> Break:
    """Change the body of every rule."""

    def apply(monkeypatch: pytest.MonkeyPatch) -> None:
        whole = rules.Rule.with_connector

        def with_connector(self: rules.Rule, connector: str) -> dict[str, Any]:
            body = whole(self, connector)
            change(body)
            return body

        monkeypatch.setattr(rules.Rule, "with_connector", with_connector)

    return apply


def uploaded(change: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Break:
    """Change how the file is uploaded."""
    return lambda monkeypatch: monkeypatch.setattr(Api, "upload", change(Api.upload))


def under_another_name(upload: Callable[..., Any]) -> Callable[..., Any]:
    """Send the file without the extension .ndjson."""
    return lambda self, path, _, *more, **how: upload(self, path, "objects.json", *more, **how)


def other_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use ids for rules that are not UUIDs."""
    whole = rules.rules(Naming(), 500)
    monkeypatch.setattr(rules, "rules", lambda *_: [replace(it, id="deleted") for it in whole])


def without_overwrite(upload: Callable[..., Any]) -> Callable[..., Any]:
    """Import without overwrite."""
    return lambda self, path, *more, **how: upload(self, path.partition("?")[0], *more, **how)


BROKEN: dict[str, tuple[Break, type[Fatal], str]] = {
    "no kbn-xsrf": (sent(lambda how: how["headers"].pop("kbn-xsrf")), KibanaUnexpected, "kbn-xsrf"),
    "no .ndjson": (uploaded(under_another_name), KibanaUnexpected, "Invalid file extension"),
    "no overwrite": (uploaded(without_overwrite), ImportFailed, "another object has its id"),
    "no form": (sent(lambda how: how["headers"].pop("content-type", None)), KibanaUnexpected, "415"),
    "a newer stamp": (
        lines(newer),
        KibanaUnexpected,
        "more recent version",
    ),
    "no stamp": (lines(unstamped), ImportFailed, "every migration since 6.x"),
    "an unknown attribute": (
        lines(lambda line: line["attributes"].update(colour="blue")),
        ImportFailed,
        "attributes.colour",
    ),
    "an unknown type": (
        lines(lambda line: line.update(type="poster")),
        ImportFailed,
        "does not support its type",
    ),
    "a missing data view": (
        lines(lambda line: line.update(id="elsewhere"), "zoomdata-activity-rejected"),
        ImportFailed,
        "imported 0 of .*index-pattern zoomdata-activity-rejected",
    ),
    "a rule's id": (other_ids, KibanaUnexpected, "UUID"),
    "a rule's key": (rule(lambda body: body.update(severity=1)), KibanaUnexpected, "severity"),
    "a rule's parameter": (
        rule(lambda body: body["params"].update(groupBy="top")),
        KibanaUnexpected,
        "groupBy",
    ),
    "a rule's connector": (
        rule(lambda body: body["actions"][0].update(id="none")),
        KibanaUnexpected,
        "not found",
    ),
    "an update's key": (
        lambda monkeypatch: monkeypatch.setattr(rules, "IMMUTABLE", ()),
        KibanaUnexpected,
        "consumer|rule_type_id",
    ),
}


OF_UPDATES = {"no overwrite", "an update's key"}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_rules(url: str, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Breaking a rule of the stand-in makes the install or the update fail."""
    if name in OF_UPDATES:
        install(url)
    break_it, error, told = BROKEN[name]
    break_it(monkeypatch)
    with pytest.raises(error, match=told):
        install(url)


@pytest.mark.parametrize("version", ["7.17.28", "8.7.1"])
def test_the_modern_form_is_refused_by_older_servers(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that choosing the wrong form fails."""
    modern = saved_objects(Naming(), (8, 19))
    monkeypatch.setattr(installing, "saved_objects", lambda *_: modern)
    with (
        StandIn(open=True, version=version).serving() as url,
        pytest.raises(KibanaUnexpected, match="more recent"),
    ):
        install(url)
