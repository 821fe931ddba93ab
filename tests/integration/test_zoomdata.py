"""`indexer zoomdata connect` and `remove`: a real index on one side, a stand-in for Zoomdata on the other.

The fields that the stand-in describes are those of the real mapping.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import orjson
import pytest
from elasticsearch import Elasticsearch

from indexer.demo.profiles import Profile
from indexer.demo.sample import write
from indexer.elastic.client import connect
from indexer.elastic.cluster import Cluster
from indexer.elastic.server import Product, Server, Version
from indexer.errors import WrongUsage
from indexer.settings import Connection, Reader, Zoomdata
from indexer.setup.view_install import add
from indexer.zoomdata.api import Api
from indexer.zoomdata.connect import Connected
from indexer.zoomdata.connect import connect as connect_zoomdata
from indexer.zoomdata.facts import access, address, fields_by_type
from indexer.zoomdata.failures import (
    ConnectorNotEnabled,
    ForeignSource,
    NotConnected,
    NothingVisible,
    ParametersMissing,
    ServerTooOld,
    ZoomdataForbids,
    ZoomdataTooOld,
)
from indexer.zoomdata.remove import Removed, remove
from tests.support.lab import Lab
from tests.support.zoomdata_stand_in import PARAMETERS, StandIn, as_described, connector

PASSWORD = "the-reader's-s3cret"
KINDS = {"date": "TIME", "double": "NUMBER"}
NUMBERS = {(Product.ELASTICSEARCH, 7): "7.0", (Product.OPENSEARCH, 2): "2.0"}
"""The connector for a server; any other has that for Elasticsearch 8."""
LINES = {
    "VIS": '{"eventDate":"2026-05-11 06:30:00.000","activityType":"VIS","user":"a","visualizationId":"1"}',
    "UPLOAD": '{"eventDate":"2026-05-11 06:31:00.000","activityType":"UPLOAD","user":"b","filesize":12}',
    "USER": '{"eventDate":"2026-05-11 06:32:00.000","activityType":"USER","user":"c","userName":"d","request":"x"}',
}


@dataclass(slots=True)
class Bench:
    """An index, a Zoomdata, and the commands."""

    lab: Lab
    there: StandIn
    zoomdata: Zoomdata

    @property
    def alias(self) -> str:
        """Of the index."""
        return self.lab.connection.alias

    def connect(self, *, views: bool = False, dry: bool = False, **given: str) -> Connected:
        """`indexer zoomdata connect`."""
        with Api(self.zoomdata, dry=dry) as api:
            reader = Reader(reader_username="zoomdata")
            return connect_zoomdata(self.lab.cluster, api, reader, given, views=views)

    def remove(self, alias: str | None = None) -> Removed:
        """`indexer zoomdata remove`."""
        with Api(self.zoomdata) as api:
            return remove(api, alias or self.alias)

    def command(self, *arguments: str) -> CompletedProcess[str]:
        """The real command, `indexer zoomdata …`."""
        environment = {
            "INDEXER_ZOOMDATA_URL": self.zoomdata.zoomdata_url,
            "INDEXER_ZOOMDATA_USERNAME": "admin",
            "INDEXER_ZOOMDATA_PASSWORD": "s3cret",
            "INDEXER_READER_USERNAME": "zoomdata",
            "INDEXER_READER_PASSWORD": PASSWORD,
        }
        return self.lab.command("zoomdata", *arguments, environment=environment)

    def index(self, *lines: str, name: str = "more") -> None:
        """Index entries."""
        self.lab.log("".join(f"{line}\n" for line in lines).encode(), f"{name}-activity.log")
        self.lab.run()
        self.lab.client.indices.refresh(index=self.alias)

    def see(self) -> None:
        """Let Zoomdata list the existing aliases."""
        held = self.lab.client.indices.get_alias(index=self.alias)
        self.there.lists = sorted({name for each in held.values() for name in each["aliases"]})


def pretend(
    monkeypatch: pytest.MonkeyPatch, version: Version, product: Product = Product.ELASTICSEARCH
) -> None:
    """Let the server be another one."""
    server = Server(version, lifecycle=True, product=product)
    monkeypatch.setattr("indexer.elastic.cluster.inspect_server", lambda _: server)


def describes(client: Elasticsearch, collection: str) -> list[dict[str, Any]]:
    """The fields of the real mapping as Zoomdata's connector may describe them, with one that it adds."""
    path = f"/{collection}/_field_caps?fields=*"
    found = client.perform_request("GET", path, headers={"accept": "application/json"})["fields"]
    own = [
        as_described(name, KINDS.get(next(iter(kinds)), "ATTRIBUTE"))
        for name, kinds in sorted(found.items())
        if not name.startswith(("_", "@")) and not kinds.keys() & {"object", "nested"}
    ]
    return [*own, as_described("type")]


@pytest.fixture
def bench(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """With entries of three types, and their views."""
    monkeypatch.setenv("INDEXER_ZOOMDATA_PASSWORD", "s3cret")
    monkeypatch.setenv("INDEXER_READER_PASSWORD", PASSWORD)
    there = StandIn(password=PASSWORD, describes=partial(describes, lab.client))
    there.admit("admin", "s3cret")
    there.admit("viewer", "s3cret", "viewer")
    with there.serving() as url:
        made = Bench(lab, there, Zoomdata(url, "admin"))
        made.index(*LINES.values(), name="first")
        made.see()
        yield made


def test_a_connection_and_a_source_over_everything_are_made(bench: Bench) -> None:
    """With the connector's parameters, all fields, and the time bar on the date of an entry."""
    done = bench.connect()
    (made,) = bench.there.connections.values()
    values = {it["key"]: it["value"] for it in made["allParameters"]}
    url = bench.lab.connection.elasticsearch_url[0]
    cluster = bench.lab.client.cluster.health()["cluster_name"]
    assert values == {
        "ES_CONNECTION_STRING": url,
        "CLUSTER_NAME": cluster,
        "USER_NAME": "zoomdata",
        "PASSWORD": PASSWORD,
    }
    server = bench.lab.cluster.server
    number = NUMBERS.get((server.product, server.version[0]), "8.0")
    assert (made["connectionTypeId"], made["type"]) == (f"type-{number}", f"EDC_{number}")
    source = bench.there.by_name(bench.alias)
    assert re.fullmatch("[0-9a-f]{24}", source["id"]), "an id of Zoomdata's own making"
    assert {"visualizationId", "filesize", "userName", "type"} <= bench.there.originals(bench.alias)
    bar = bench.there.settings[source["id"]]["timebar"]
    assert bar["timeField"] == "eventdate"
    assert (bar["enabled"], bar["from"], bar["player"]) == (True, "+$end_of_data_-1_week", {})
    assert (done.connection_was, [it.was for it in done.sources]) == ("created", ["created"])
    assert done.version == "26.3.0"


def test_a_source_for_each_view_has_the_fields_of_its_type_alone(bench: Bench) -> None:
    """Types without entries have no source; those without a view are in the notes."""
    bench.index(LINES["VIS"].replace('"VIS"', '"NEW"'), name="new")
    done = bench.connect(views=True)
    names = [it.name for it in done.sources]
    assert names == [bench.alias, *(f"{bench.alias}.{it}" for it in ("upload", "user", "vis"))]
    common = {"eventDate", "activityType", "user"}
    assert bench.there.originals(f"{bench.alias}.vis") == {*common, "visualizationId"}
    assert bench.there.originals(f"{bench.alias}.upload") == {*common, "filesize"}
    assert bench.there.originals(f"{bench.alias}.user") == {*common, "userName", "request"}
    assert any("No view yet for NEW" in note for note in done.notes)
    assert all(bench.there.settings[it]["timebar"]["enabled"] for it in bench.there.sources)


def test_a_second_run_changes_no_source_and_one_with_new_fields_adds_them(bench: Bench) -> None:
    """Zoomdata does not add fields itself; changes by people are kept."""
    bench.connect(views=True)
    vis = bench.there.by_name(f"{bench.alias}.vis")["id"]
    bench.there.settings[vis]["timebar"]["from"] = "+$start_of_data"
    bench.there.requests.clear()
    again = bench.connect(views=True)
    assert {it.was for it in again.sources} == {"unchanged"}
    (identity,) = bench.there.connections
    assert bench.there.changed() == [f"PUT /connections/{identity}"]

    bench.index(LINES["VIS"].replace("}", ',"newField":1,"other":"x"}'))
    bench.there.requests.clear()
    extended = {it.name.removeprefix(bench.alias): it for it in bench.connect(views=True).sources}
    assert {name: it.was for name, it in extended.items()} == {
        "": "extended",
        ".upload": "unchanged",
        ".user": "unchanged",
        ".vis": "extended",
    }
    assert extended[".vis"].added == ("newField", "other")
    assert {"newField", "other"} <= bench.there.originals(f"{bench.alias}.vis")
    assert bench.there.settings[vis]["timebar"]["from"] == "+$start_of_data"
    assert sum(it.startswith("POST") for it in bench.there.changed()) == 4


def test_warnings_do_not_stop_it_and_are_told_without_the_password(bench: Bench) -> None:
    """Of each request that Zoomdata refuses until `suppressWarnings` is sent."""
    operations = [
        "POST /connections/validate",
        "POST /connections",
        "GET /connections/*/objects",
        "POST /sources",
    ]
    bench.there.warns = {it: [f"with {PASSWORD}"] for it in operations}
    notes = bench.connect().notes
    for path in ("/connections/validate '", "/connections '", "/objects:", f"/sources '{bench.alias}'"):
        assert sum(path in it and it.endswith(": body with …") for it in notes) == 1
    bench.index(LINES["VIS"].replace("}", ',"newField":1}'))
    bench.there.warns = {"PUT /connections/*": ["renamed"], "POST /sources/*/fields": ["slow"]}
    again = bench.connect()
    assert [it.was for it in again.sources] == ["extended"]
    assert [it.rpartition(" ")[2] for it in again.notes if "warns" in it] == ["renamed", "slow"]


def test_types_that_got_a_view_get_a_source(bench: Bench) -> None:
    """After `indexer template views`."""
    bench.index(LINES["VIS"].replace('"VIS"', '"NEW"'), name="new")
    add(bench.lab.cluster)
    bench.see()
    done = bench.connect(views=True)
    assert f"{bench.alias}.new" in [it.name for it in done.sources]
    assert done.notes == () or all("No view" not in note for note in done.notes)


def test_a_dry_run_prints_what_would_be_sent_without_secrets(bench: Bench) -> None:
    """Nothing is changed, and passwords are masked."""
    printed = bench.command("connect", "--views", "--dry-run")
    assert printed.returncode == 0, printed.stderr
    assert bench.there.changed() == []
    assert PASSWORD not in printed.stdout + printed.stderr
    assert '"key": "PASSWORD",\n      "value": "********"' in printed.stdout
    base = f"{bench.zoomdata.zoomdata_url}/composer/api"
    wanted = ["POST {}/connections/validate", "POST {}/connections", "POST {}/sources"]
    assert all(f"{line.format(base)}\n" in printed.stdout for line in wanted)
    assert f"PUT {base}/sources/ID GIVEN BY ZOOMDATA/global-settings" in printed.stdout
    assert "visualizationId" in printed.stdout
    bench.connect(views=True)
    bench.index(LINES["VIS"].replace("}", ',"newField":1}'))
    bench.there.requests.clear()
    planned = orjson.loads(bench.command("connect", "--views", "--dry-run", "--json").stdout)["requests"]
    assert [it["method"] for it in planned if it["url"].endswith("/fields")] == ["POST", "POST"]
    assert bench.there.changed() == []


def test_the_command_shows_what_it_did(bench: Bench) -> None:
    """Tables, or one JSON object."""
    shown = bench.command("connect", "--views")
    assert shown.returncode == 0, shown.stderr
    assert f"{bench.alias}.upload" in shown.stdout
    assert PASSWORD not in shown.stdout
    again = orjson.loads(bench.command("connect", "--json").stdout)
    assert again["sources"] == [
        {"name": bench.alias, "was": "unchanged", "fields": again["sources"][0]["fields"], "added": []}
    ]
    removed = orjson.loads(bench.command("remove", "--json").stdout)["things"]
    assert [it["was"] for it in removed] == ["removed"] * 5
    assert bench.there.connections == {}


def test_where_no_aliases_are_listed_everything_is_read_by_a_pattern(bench: Bench) -> None:
    """Views are skipped with a note; if the indices are not listed either, it is an error."""
    bench.there.lists = [f"{bench.alias}-000001", f"{bench.alias}-rejected", "others"]
    done = bench.connect(views=True)
    (entity,) = bench.there.by_name(bench.alias)["storage"]["dataEntities"]
    assert entity["index"]["pattern"] == f"{bench.alias}-0*"
    assert [it.name for it in done.sources] == [bench.alias]
    assert sum("No source for" in note for note in done.notes) == 3
    bench.there.lists = ["others"]
    with pytest.raises(NothingVisible, match=f"{bench.alias}-zoomdata"):
        bench.connect()


def test_a_connection_of_a_longer_name_is_another(bench: Bench) -> None:
    """Zoomdata's search finds it; it is neither changed nor removed."""
    theirs = {"id": "theirs", "name": f"copy of {bench.alias} (zoomdata-indexer)"}
    bench.there.connections["theirs"] = theirs.copy()
    assert bench.connect().connection_was == "created"
    assert bench.connect().connection_was == "updated"
    bench.remove()
    assert bench.there.connections == {"theirs": theirs}


def test_a_connection_that_zoomdata_cannot_make_is_not_kept(bench: Bench) -> None:
    """The error has the reason without the password."""
    bench.there.password = "another"
    with pytest.raises(NotConnected, match=r"as user 'zoomdata': 401: unable to authenticate with …\."):
        bench.connect()
    assert bench.there.changed() == []


def test_a_missing_privilege_is_named(bench: Bench) -> None:
    """Before anything is changed."""
    bench.zoomdata = replace(bench.zoomdata, zoomdata_username="viewer")
    with pytest.raises(ZoomdataForbids, match="administrator of the account"):
        bench.connect()


@pytest.mark.parametrize("version", ["6.8.2", "5.9.0", "2.6.1"])
def test_an_old_zoomdata_is_an_error_with_the_manual_steps(bench: Bench, version: str) -> None:
    """The error has the manual steps."""
    bench.there.version, bench.there.context = {"version": version}, "/zoomdata"
    with pytest.raises(
        ZoomdataTooOld, match=rf"is {version}.*connection string http://.*reads the alias {bench.alias}"
    ):
        bench.connect()
    assert bench.there.changed() == []


@pytest.mark.parametrize("version", [{"version": "27.1.0"}, {"name": "Composer"}])
def test_a_zoomdata_that_is_newer_or_tells_no_version_is_a_note(
    bench: Bench, version: dict[str, str]
) -> None:
    """The command continues."""
    bench.there.version = version
    done = bench.connect()
    assert any("27 is newer" in note or "version of Zoomdata is unknown" in note for note in done.notes)


def test_a_server_without_a_connector_has_a_note_or_is_an_error(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later version has a note; an earlier one is an error."""
    pretend(monkeypatch, (9, 1, 5))
    assert any("is not supported" in note for note in bench.connect().notes)
    pretend(monkeypatch, (7, 17, 28))
    assert bench.connect().notes == ()
    pretend(monkeypatch, (6, 8, 0))
    with pytest.raises(ServerTooOld, match=r"Elasticsearch 7\.0 for 7\.0 to 7\.17; Elasticsearch 8\.0"):
        bench.connect()


def test_opensearch_has_a_connector_of_its_own(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to 2.17 without a note."""
    pretend(monkeypatch, (2, 17, 0), Product.OPENSEARCH)
    done = bench.connect()
    assert (done.connector, done.notes) == ("OpenSearch 2.0 for 2.0 to 2.17", ())
    pretend(monkeypatch, (2, 19, 6), Product.OPENSEARCH)
    (note,) = bench.connect().notes
    assert "not made for OpenSearch 2.19.6" in note
    assert "documented: 2.0 to 2.17" in note


@pytest.mark.parametrize(
    ("product", "version", "named"),
    [
        (Product.ELASTICSEARCH, (7, 17, 28), ("Elasticsearch 7.0, Elasticsearch 8.0", "edc-elasticsearch")),
        (Product.OPENSEARCH, (2, 17, 0), ("OpenSearch 2.0", "edc-opensearch")),
    ],
)
def test_a_connector_that_is_not_enabled_is_an_error(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, product: Product, version: Version, named: tuple[str, str]
) -> None:
    """The error names the server, lists its connectors, and says who enables them. One for another product is not taken."""
    pretend(monkeypatch, version, product)
    bench.there.types = [it | {"enabled": product not in it["name"]} for it in bench.there.types]
    message = r"connector for {} [0-9.]+ \(available: {}\).*supervisor.*{}"
    with pytest.raises(ConnectorNotEnabled, match=message.format(product, *named)):
        bench.connect()
    bench.there.types = [it for it in bench.there.types if it["enabled"]]
    with pytest.raises(ConnectorNotEnabled, match="available: none"):
        bench.connect()
    assert bench.there.changed() == []


def test_an_unknown_parameter_is_required(bench: Bench) -> None:
    """The error has its key for --parameter."""
    more = [*PARAMETERS, {"key": "REGION", "label": "Region", "required": True}]
    product = bench.lab.cluster.server.product
    bench.there.types = [connector("2.0", "2.0", "9.9", product, parameters=more)]
    with pytest.raises(ParametersMissing, match=r"REGION \(Region\)\. Give each with --parameter KEY=VALUE"):
        bench.connect()
    bench.connect(REGION="eu")
    told = bench.command("connect", "--parameter", "REGION")
    assert (told.returncode, "is not KEY=VALUE" in told.stderr) == (2, True)


def test_a_foreign_source_is_not_changed(bench: Bench) -> None:
    """Nothing is changed."""
    bench.connect()
    source = bench.there.by_name(bench.alias)
    source["description"] = "mine"
    bench.there.requests.clear()
    with pytest.raises(ForeignSource, match="another source"):
        bench.connect()
    assert bench.there.changed() == []
    assert [it.what for it in bench.remove().things] == [f"connection {bench.alias} (zoomdata-indexer)"]


def test_a_source_over_a_deleted_connection_is_an_error(bench: Bench) -> None:
    """The connection was deleted in Zoomdata."""
    bench.connect()
    bench.there.connections.clear()
    with pytest.raises(ForeignSource, match="another connection"):
        bench.connect()


def test_fields_that_zoomdata_adds_are_reported(bench: Bench) -> None:
    """The API cannot exclude them."""
    bench.there.adds = ("surplus",)
    done = bench.connect(views=True)
    assert sum("shows 1 fields that its entries lack" in note for note in done.notes) == 3


@pytest.mark.parametrize("briefly", [False, True])
def test_remove_removes_only_what_connect_created(bench: Bench, briefly: bool) -> None:  # noqa: FBT001
    """Sources of other people and of an alias with a common prefix are kept."""
    bench.there.briefly = briefly
    bench.connect(views=True)
    longer = Bench(bench.lab, bench.there, bench.zoomdata)
    foreign = {
        "id": "f" * 24,
        "name": f"{bench.alias}.mine",
        "description": "mine",
        "storage": {"dataEntities": [{"index": {"connectionId": "x"}}]},
    }
    bench.there.sources["f" * 24] = foreign
    assert longer.remove(f"{bench.alias}.vis").things == ()
    removed = bench.remove()
    assert {it.was for it in removed.things} == {"removed"}
    assert list(bench.there.sources) == ["f" * 24]
    assert bench.there.connections == {}
    assert bench.remove().things == ()


def test_a_source_that_a_dashboard_uses_is_kept(bench: Bench) -> None:
    """With its connection; everything else is removed."""
    bench.connect(views=True)
    bench.there.in_use = {f"{bench.alias}.vis"}
    was = {it.what.removeprefix(f"source {bench.alias}"): (it.was, it.why) for it in bench.remove().things}
    assert was[".vis"] == ("kept", "Source is used by 1 dashboard; body Deletions")
    assert was[f"connection {bench.alias} (zoomdata-indexer)"][0] == "kept"
    assert was[".upload"][0] == "removed"
    assert len(bench.there.connections) == 1
    assert not any(it.startswith("DELETE /connections") for it in bench.there.changed())


def test_zoomdata_requires_a_user_of_its_own(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The indexer's own user is never used; user and password are both required."""
    cluster = bench.lab.cluster
    secured = replace(cluster, connection=replace(cluster.connection, username="admin"))
    with pytest.raises(WrongUsage, match="INDEXER_READER_PASSWORD or --reader-password-file"):
        access(cluster, Reader())
    monkeypatch.delenv("INDEXER_READER_PASSWORD")
    with pytest.raises(WrongUsage, match=f"user of its own.*{bench.alias}-zoomdata"):
        access(secured, Reader())
    with pytest.raises(WrongUsage, match="belong together"):
        access(secured, Reader(reader_username="zoomdata"))
    with pytest.raises(WrongUsage, match="--reader-url holds a user"):
        access(cluster, Reader(reader_url="http://a:b@es:9200"))
    given = access(cluster, Reader(reader_url="https://es:9200,es2:9200/x"))
    assert (given.address, given.user) == ("https://es:9200,es2:9200/x", None)


@pytest.mark.parametrize(
    ("urls", "expected"),
    [
        ("http://one:9200", "http://one:9200"),
        ("https://one, https://two:9243", "https://one:443,two:9243"),
        ("http://one/es/, http://two:9200/es", "http://one:80,two:9200/es"),
        ("http://[::1]:9200", "http://[::1]:9200"),
    ],
)
def test_addresses_of_several_nodes_become_one(urls: str, expected: str) -> None:
    """In the form of a connection string."""
    assert address(urls) == expected


@pytest.mark.parametrize(
    "urls", ["http://one:9200, https://two:9200", "http://one/a, http://two/b", "(no address)"]
)
def test_addresses_that_differ_are_wrong_usage(urls: str) -> None:
    """They have no common connection string."""
    with pytest.raises(WrongUsage, match="--reader-url"):
        address(urls)


def test_the_fields_of_each_type_are_those_of_its_entries_in_the_log(bench: Bench, tmp_path: Path) -> None:
    """For the sample log with all types, compared with its lines."""
    log = tmp_path / "sample-activity.log"
    write(log, 3000, end=datetime(2026, 5, 16, tzinfo=UTC), profile=Profile.ZOOMDATA_2)
    bench.lab.run(log)
    bench.lab.client.indices.refresh(index=bench.alias)
    expected: dict[str, set[str]] = {}
    entries = [*map(orjson.loads, LINES.values()), *_entries(log)]
    for entry in entries:
        expected.setdefault(entry["activityType"], set()).update(_leaves(entry))
    found = fields_by_type(bench.lab.client, bench.alias)
    assert {it: set(fields) - {"@timestamp"} for it, fields in found.items()} == expected
    add(bench.lab.cluster)
    bench.see()
    bench.there.page = 50
    done = bench.connect(views=True)
    assert len(done.sources) == 1 + len(expected)
    assert "timeline.TOPOLOGY.CREATED" in bench.there.originals(f"{bench.alias}.topology_performance")
    assert "uri" not in bench.there.originals(f"{bench.alias}.topology_performance")


def _entries(log: Path) -> Iterator[dict[str, Any]]:
    for line in log.read_bytes().splitlines():
        try:
            entry = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue  # the sample has broken lines too
        if isinstance(entry, dict) and "activityType" in entry:
            yield entry


def _leaves(value: Any, path: str = "") -> Iterator[str]:
    """The fields that have a value."""
    match value:
        case None | []:
            return
        case dict():
            for key, below in value.items():
                yield from _leaves(below, f"{path}.{key}" if path else key)
        case list():
            for each in value:
                yield from _leaves(each, path)
        case _:
            yield path


def test_the_shipped_role_is_enough(bench: Bench, secured: Any, admin: Elasticsearch, tmp_path: Path) -> None:
    """The role for Zoomdata's user is enough for `connect`."""
    people = secured.people(bench.alias)
    secured.admit("keeper", people["setup"], people["reader"])
    as_keeper: Connection = secured.connection("keeper", bench.alias, tmp_path / "keeper")
    with connect(as_keeper) as client:
        replace(bench.lab, connection=as_keeper, client=client).install()
    as_writer: Connection = secured.connection(people["writer"], bench.alias, tmp_path / "writer")
    with connect(as_writer) as client:
        replace(
            bench.lab, connection=as_writer, client=client, state=type(bench.lab.state)(tmp_path / "s")
        ).run()
    admin.indices.refresh(index=bench.alias)
    as_zoomdata: Connection = secured.connection(people["zoomdata"], bench.alias, tmp_path / "zoomdata")
    with connect(as_zoomdata) as client, Api(bench.zoomdata) as api:
        bench.there.describes = partial(describes, client)
        reader = Reader(reader_username="zoomdata")
        done = connect_zoomdata(Cluster(client, as_zoomdata), api, reader, {}, views=True)
    assert len(done.sources) == 4
