"""The rules of mappings/alerts/, by a real ElastAlert on a real server."""

import json
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from indexer.demo.installation import RELEASES
from indexer.elastic.client import connect
from indexer.elastic.cluster import Cluster
from indexer.elastic.server import Product, product_of
from indexer.settings import Connection
from indexer.setup.templates import install
from tests.alerts.elastalert import NAMES, ElastAlert, environment
from tests.conftest import TestServer, delete_all
from tests.support.secured import Secured

NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=2)
"""Shortly before the first look."""
ADMINISTRATOR = {"subjectUserRoles": ["ROLE_ADMINISTER_USERS"], "subjectUserGroups": ["IT"]}
NOBODY = {"subjectUserRoles": ["ROLE_VIEW_DASHBOARDS"], "subjectUserGroups": ["Sales"]}
SET_UP = Path(__file__).parents[2] / "compose" / "set-up.sh"
Entry = dict[str, Any]
OTHER_DATES = [
    (NOW - timedelta(minutes=60)).isoformat(),
    f"{NOW - timedelta(minutes=60):%Y-%m-%d %H:%M:%S}",
    int((NOW - timedelta(minutes=60)).timestamp() * 1000),
]
"""Forms of `eventDate` that are not the log's, and that the mapping takes."""


def at(minutes: float, kind: str, status: str, user: str, **own: Any) -> Entry:
    """An entry so many minutes before now."""
    moment = NOW - timedelta(minutes=minutes)
    common = {"eventDate": f"{moment:%Y-%m-%d %H:%M:%S}.000", "user": user, "ip": "10.0.0.1"}
    return common | {"activityType": kind, "status": status} | own


def log() -> list[Entry]:
    """What happened in the last days; `told` names the rule that has to tell it."""
    days = 24 * 60
    log_in, export, search = "AUTHENTICATION", "RAW_DATA_EXPORT_CSV", "RAW_DATA_EXPORT"
    entries = [at(minutes, "REQUEST", "FINISHED", "probe") for minutes in range(1, 180, 5)]
    entries += [
        at(170, "SOURCE", "DELETED", "ann", sourceName="Sales", told="deleted"),
        at(170, "USER", "DELETED", "ann", userName="zoe", told="deleted"),
        at(20, "ACCOUNT", "DELETED", "bob", name="Trial", told="deleted"),
        at(100, "SOURCE", "UPDATED", "ann", sourceName="deleted", description="DELETED"),
        at(2 * days, "SOURCE", "DELETED", "ann", sourceName="Long ago"),
        *(at(0, "SOURCE", "DELETED", "ann", told="deleted") | {"eventDate": date} for date in OTHER_DATES),
        at(0, "SOURCE", "DELETED", "ann", sourceName="Undated") | {"eventDate": "never"},
        at(2 * days, log_in, "SUCCEEDED", "ann"),
        at(40 * days, log_in, "SUCCEEDED", "ann", ip="10.0.0.3"),
        at(2 * days, log_in, "SUCCEEDED", "bob", ip="10.0.0.2"),
        at(2 * days, log_in, "SUCCEEDED", "ann", ip="2001:db8::7"),
        at(90, log_in, "SUCCEEDED", "ann"),
        at(85, log_in, "SUCCEEDED", "ann", ip="2001:0db8:0:0:0:0:0:7"),
        at(85, log_in, "SUCCEEDED", "ann", ip="unknown"),
        at(80, log_in, "SUCCEEDED", "ann", ip="10.0.0.2", told="new-address"),
        at(70, log_in, "SUCCEEDED", "ann", ip="10.0.0.2"),
        at(60, log_in, "SUCCEEDED", "ann", ip="10.0.0.3", told="new-address"),
        at(60, log_in, "FAILED", "ann", ip="10.0.0.9"),
        at(50, export, "FINISHED", "ann", count=1_000_001, told="large-export"),
        at(49, search, "FINISHED", "bob", count=11_482_907, exportType="FILE", told="large-export"),
        at(49, search, "FINISHED", "bob", count=11_482_907, exportType="REST"),
        at(48, export, "FINISHED", "ann", count=1_000_000),
        at(48, "UPLOAD", "FINISHED", "ann", count=2_000_000),
        at(3 * days, "USER", "UPDATED", "ann", userName="chief", **ADMINISTRATOR),
        at(45, "USER", "UPDATED", "ann", userName="chief", **ADMINISTRATOR),
        at(44, "USER", "CREATED", "ann", userName="eve", **ADMINISTRATOR, told="new-administrator"),
        at(43, "USER", "UPDATED", "ann", userName="eve", **ADMINISTRATOR),
        at(42, "USER", "UPDATED", "ann", userName="sam", **NOBODY),
        at(
            41,
            "USER",
            "UPDATED",
            "ann",
            userName="kim",
            **NOBODY | {"subjectUserGroups": ["Administrators"]},
            told="new-administrator",
        ),
    ]
    entries += [at(130 - number / 4, log_in, "FAILED", "bob") for number in range(12)]
    entries += [at(130 - number / 4, log_in, "FAILED", "cid") for number in range(4)]
    entries += [at(130 - 2 * number, log_in, "FAILED", "dee") for number in range(6)]
    entries += [at(150 - number, export, "FINISHED", "bob", count=10) for number in range(25)]
    entries += [at(150 - number, export, "FINISHED", "cid", count=10) for number in range(19)]
    entries += [
        at(150 - number, search, "FINISHED", "cid", count=10, exportType="REST") for number in range(9)
    ]
    return entries


LATE = at(60, "SOURCE", "DELETED", "ann", sourceName="Late")
"""What reaches the index after the first look."""


def meanwhile(moment: datetime) -> list[Entry]:
    """What reaches the index while ElastAlert is down."""
    entries = [
        at(0, "SOURCE", "DELETED", "ann", sourceName="Meanwhile"),
        at(0, "AUTHENTICATION", "SUCCEEDED", "bob", ip="10.0.0.55"),
        at(0, "USER", "CREATED", "ann", userName="hal", **ADMINISTRATOR),
    ]
    return [entry | {"eventDate": f"{moment:%Y-%m-%d %H:%M:%S.%f}"[:-3]} for entry in entries]


@dataclass(frozen=True, slots=True)
class Told:
    """What each rule told at first, what more after an entry that was late, and what more after a restart."""

    first: dict[str, list[Entry]]
    late: dict[str, list[Entry]]
    restarted: dict[str, list[Entry]]


@contextmanager
def looking(
    server: TestServer, directory: Path, entries: list[Entry]
) -> Iterator[tuple[ElastAlert, Elasticsearch]]:
    """Index entries; yield an ElastAlert that is set up to look at them, and a client."""
    connection = Connection(elasticsearch_url=[server.url], alias=f"{directory.name}-{id(server):x}")
    memory = f"{connection.alias}-told"
    watcher = ElastAlert(environment(), directory, server.url, server.version, connection.alias, memory)
    with connect(connection) as client:
        install(Cluster(client, connection))
        _add(client, connection.alias, entries)
        watcher.set_up()
        yield watcher, client
        delete_all(client, f"{connection.alias}*")


def _add(client: Elasticsearch, alias: str, entries: list[Entry]) -> None:
    for number, entry in enumerate(entries):
        document = {name: value for name, value in entry.items() if name != "told"}
        client.index(index=alias, document=document, id=f"{secrets.token_hex(4)}-{number}")
    client.indices.refresh(index=f"{alias}*")


def numbers(matches: list[Entry]) -> list[int]:
    """Which of the entries that were added together were told."""
    return sorted(int(match["_id"].rpartition("-")[2]) for match in matches)


def _told(watcher: ElastAlert, *before: dict[str, list[Entry]]) -> dict[str, list[Entry]]:
    """What each rule that told something told, but for what it told before."""
    seen = {rule: sum(len(told.get(rule, [])) for told in before) for rule in NAMES}
    return {rule: more for rule in NAMES if (more := watcher.told(rule)[seen[rule] :])}


@pytest.fixture(scope="module")
def told(server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Some days with one case of everything."""
    with looking(server, tmp_path_factory.mktemp("alerts"), log()) as (watcher, client):
        with watcher.running():
            watcher.look()
            first = _told(watcher)
            _add(client, watcher.alias, [LATE])
            watcher.look()
            late = _told(watcher, first)
            stopped = datetime.now(UTC) - timedelta(seconds=1)
        _add(client, watcher.alias, meanwhile(stopped))
        client.indices.refresh(index=f"{watcher.alias}*")  # its own memory too
        with watcher.running():
            watcher.look()
            return Told(first, late, _told(watcher, first, late))


@pytest.mark.parametrize("rule", ["deleted", "new-address", "large-export", "new-administrator"])
def test_each(told: Told, rule: str) -> None:
    """There is one alert for each entry that the rule is about, and none for another."""
    wanted = [number for number, entry in enumerate(log()) if entry.get("told") == rule]
    assert len(wanted) > 1
    assert numbers(told.first[rule]) == wanted


@pytest.mark.parametrize("rule", ["failed-log-ins", "many-exports"])
def test_many(told: Told, rule: str) -> None:
    """There is one alert for the user with many of them, and none for who has few, or many over a long time."""
    assert [match["user"] for match in told.first[rule]] == ["bob"]


def test_not_silent(told: Told) -> None:
    """A log that is written to is not silent."""
    assert "silent" not in told.first


def test_late(told: Told) -> None:
    """An entry that reaches the index an hour after its date is told, once; nothing else is told again."""
    assert {rule: [match["sourceName"] for match in told] for rule, told in told.late.items()} == {
        "deleted": ["Late"]
    }


def test_restarted(told: Told) -> None:
    """After a restart that is told, once, which it did not see before: even what had happened when it was stopped."""
    assert {rule: numbers(matches) for rule, matches in told.restarted.items()} == {
        "deleted": [0],
        "new-address": [1],
        "new-administrator": [2],
    }


def test_silent(server: TestServer, tmp_path: Path) -> None:
    """A log that ended more than three days ago is told once, and nothing else is."""
    entries = [at(72 * 60 + minutes, "VIS", "UPDATED", "ann") for minutes in range(100, 180, 5)]
    with looking(server, tmp_path, entries) as (watcher, _), watcher.running():
        watcher.look()
        assert {rule: len(matches) for rule, matches in _told(watcher).items()} == {"silent": 1}


@pytest.fixture
def pretending(server: TestServer) -> Iterator[None]:
    """OpenSearch calls itself Elasticsearch 7.10.2, as it may; no other server can."""
    with connect(Connection(elasticsearch_url=[server.url])) as client:
        if product_of(client) is not Product.OPENSEARCH:
            pytest.skip("only OpenSearch can call itself another version")
        setting = "compatibility.override_main_response_version"
        client.cluster.put_settings(persistent={setting: True})
        yield
        client.cluster.put_settings(persistent={setting: None})


@pytest.mark.usefixtures("pretending")
@pytest.mark.parametrize("told", [{}, {"ES_VERSION": "8.2.0"}], ids=["untold", "told"])
def test_an_opensearch_that_calls_itself_another_version(
    server: TestServer, tmp_path: Path, told: dict[str, str]
) -> None:
    """ElastAlert makes its index once it is told the version as the page says, and else does not."""
    memory = f"pretending-{secrets.token_hex(4)}"
    watcher = ElastAlert(environment(), tmp_path, server.url, server.version, "none", memory, told)
    with pytest.raises(CalledProcessError) if not told else nullcontext():
        watcher.set_up()
    with connect(Connection(elasticsearch_url=[server.url])) as client:
        mapped = client.indices.get_mapping(index=f"{memory}_silence")
        assert ("rule_name" in str(mapped)) is bool(told)
        delete_all(client, f"{memory}*")


@pytest.fixture(scope="session")
def elasticsearch_security(elasticsearch_version: str) -> None:
    """Compose runs Elasticsearch, and its role is one of Elasticsearch's security: left out on OpenSearch."""
    if RELEASES[elasticsearch_version].distribution.product is Product.OPENSEARCH:
        pytest.skip("the role in compose is one of Elasticsearch's security")


@pytest.mark.usefixtures("elasticsearch_security")
def test_its_user_needs_no_more_than_compose_gives(secured: Secured, tmp_path: Path) -> None:
    """Over verified TLS, a user with the reader's role and the one for its own indices is told of a deletion."""
    given = re.search(r"echo '(\{.*\})'", SET_UP.read_text())
    assert given is not None
    alias = "zoomdata-alerted"
    people = secured.people(alias)
    secured.define(**{"zoomdata-alerts": json.loads(given[1])})
    secured.admit("alerts", people["reader"], "zoomdata-alerts")
    version = secured.server.version
    who = {"ES_USE_SSL": "true", "ES_USERNAME": "alerts", "ES_PASSWORD": secured.password("alerts")}
    watcher = ElastAlert(
        environment(), tmp_path, secured.url, version, alias, "zoomdata-alerts", who, secured.ca_file
    )
    connection = secured.connection("admin", alias, tmp_path / "password")
    with connect(connection) as client:
        install(Cluster(client, connection))
        _add(client, alias, [at(10, "SOURCE", "DELETED", "ann", sourceName="Sales")])
        watcher.set_up()
        with watcher.running():
            watcher.look()
        delete_all(client, f"{alias}*")
        delete_all(client, "zoomdata-alerts*")
    assert [match["sourceName"] for match in watcher.told("deleted")] == ["Sales"]
