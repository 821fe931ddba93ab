"""Visualizations, saved searches and rules, queried on a real server as Kibana does, against the same values counted in Python.

On a log as of current versions, and on one as of Zoomdata 2.x.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
from elasticsearch import Elasticsearch

from indexer.demo import sample
from indexer.demo.profiles import Profile
from indexer.elastic.client import connect
from indexer.elastic.cluster import Cluster
from indexer.events import Events
from indexer.kibana import rules
from indexer.kibana.dashboards import saved_objects
from indexer.kibana.saved_objects import Naming, SavedObject
from indexer.run import RunOptions, run
from indexer.settings import Connection, LogFiles, State
from indexer.setup.templates import install
from tests.conftest import TestServer, delete_all
from tests.support import kibana_counted as counted
from tests.support import kibana_lens as lens
from tests.support import seal_documents as documents
from tests.support.kibana_lens import Range, Row

END = datetime(2026, 5, 11, 6, 30, tzinfo=UTC)
WEEK = Range((END - timedelta(days=7)).isoformat(), END.isoformat())
ENTRIES = 4_000
OBJECTS = {it.id.removeprefix("zoomdata-activity-"): it for it in saved_objects(Naming())}
MODERN = lens.panels(saved_objects(Naming(), (8, 19)))
"""The same visualizations in the form of 8.19, by id."""
PICTURES = [name for name, it in OBJECTS.items() if it.type == "lens"]
SEARCHES = [name.removeprefix("search-") for name, it in OBJECTS.items() if it.type == "search"]
OF_REJECTED = ["delivery-rejected", "delivery-rejected-over-time", "delivery-reasons"]
OF_NOW = ["delivery-age", "delivery-sealed-age"]
TIMES = {"": "eventDate", "-rejected": "@timestamp", "-seals": "sealed"}
"""The time field of each data view, by the end of its name."""


PROBES: list[dict[str, Any]] = [
    {
        "eventDate": "2026-05-08 12:00:00.000",
        "user": "balancer",
        "activityType": "REQUEST",
        "status": "FINISHED",
    }
    | {"uri": f"/{context}/service/health", "requestTime": 1, "requestSize": 2, "responseCode": 200}
    for context in ("composer", "discovery", "zoomdata")
]
"""Health checks under each context."""
LOOK: dict[str, Any] = {
    "eventDate": "2026-05-08 12:30:00.000",
    "user": "looker",
    "activityType": "RAW_DATA_EXPORT",
    "status": "SUCCEEDED",
    "exportType": "REST",
    "count": 7_000_000,
    "storageType": "MONGO",
    "duration": 9.0,
}
"""A large details view: no export."""


@dataclass(frozen=True, slots=True)
class Week:
    """An indexed sample log: the index, and the lines."""

    profile: Profile
    client: Elasticsearch
    alias: str
    log: list[counted.Entry]
    rejected: list[dict[str, Any]]
    seals: list[documents.Document]

    def ask(self, saved: SavedObject, within: Range = WEEK) -> list[Row]:
        """The rows of a visualization, which are the same in both forms."""
        found = lens.rows(saved.attributes, self.answer(saved, within))
        modern = MODERN[saved.id]
        assert lens.rows(modern.attributes, self.answer(modern, within)) == found
        return found

    def answer(self, saved: SavedObject, within: Range = WEEK, layer: str = lens.MAIN) -> Any:
        """The answer to the search of a visualization."""
        body = lens.search(saved.attributes, TIMES[view_of(saved)], within, layer)
        return self.client.search(index=self.index(saved), **body)

    def index(self, saved: SavedObject) -> str:
        """The index of the data view that an object refers to, under this test's alias."""
        return self.alias + view_of(saved)


def view_of(saved: SavedObject) -> str:
    """The end of the name of the data view that an object refers to."""
    return str(saved.references[0]["id"]).removeprefix("zoomdata-activity")


def sealed() -> Iterator[tuple[str, documents.Document]]:
    """A week of seals, with their ids: a sealing each six hours, of ten files, and two losses."""
    size = 0
    for number in range(28):
        at = END - timedelta(hours=6 * number, minutes=20)
        counts = {"entries": 100 + 7 * number, "rejected": number % 3}
        leaves = [
            documents.lines(f"/logs/{file}.log", at, number, number + 1, **counts)
            for file in range(10)
            if number % (file + 1) == 0
        ]
        leaves += [documents.lost("/logs/0.log", at, number, number + 1)] if number in {3, 9} else []
        leaves += [documents.head(at)]
        for leaf in leaves:
            yield documents.leaf_id(size), leaf
            size += 1
        yield documents.checkpoint_id(size), documents.checkpoint(at, size)


@contextmanager
def indexed(server: TestServer, directory: Path, profile: Profile) -> Iterator[Week]:
    """A week of the sample company with invalid lines, indexed by the indexer, and seals written by hand."""
    connection = Connection(
        elasticsearch_url=[server.url], alias=f"kibana-{directory.name[-6:]}-{id(directory):x}"
    )
    log = directory / "zoomdata-activity.log"
    more = [LOOK, *(PROBES if profile is Profile.ZOOMDATA_2 else [])]
    among = [*sample.broken(), *map(orjson.dumps, more)]
    sample.write(log, ENTRIES, end=END, among=among, profile=profile)
    with connect(connection) as client:
        install(Cluster(client, connection))
        state = State(directory / "state")
        run(RunOptions(LogFiles([str(log)]), connection, state, once=True), Events(), threading.Event())
        seals = dict(sealed())
        assert set(documents.create(client, connection.seals, seals)) == {201}
        client.indices.refresh(index=f"{connection.alias}*")
        hits = client.search(index=connection.rejected, size=100)["hits"]["hits"]
        lines = [orjson.loads(line) for line in sample.entries(ENTRIES, end=END, profile=profile)]
        kept = [hit["_source"] for hit in hits]
        yield Week(profile, client, connection.alias, lines + more, kept, list(seals.values()))
        delete_all(client, f"{connection.alias}*")


@pytest.fixture(scope="module")
def weeks(
    kibana: None, server: TestServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Profile], Week]]:
    """The indexed week of a profile, made when it is first asked for."""
    with ExitStack() as opened:
        yield cache(lambda it: opened.enter_context(indexed(server, tmp_path_factory.mktemp("week"), it)))


@pytest.fixture(params=Profile)
def week(request: pytest.FixtureRequest, weeks: Callable[[Profile], Week]) -> Week:
    """The week of each profile."""
    return weeks(request.param)


@pytest.fixture
def any_week(weeks: Callable[[Profile], Week]) -> Week:
    """A week, for what is the same whatever is logged."""
    return weeks(Profile.COMPOSER)


def assert_same(found: list[Row], wanted: list[Row]) -> None:
    """Rows agree; floats approximately, because sums depend on the order."""
    assert len(found) == len(wanted)
    for row, by_hand in zip(found, wanted, strict=True):
        cells = [pytest.approx(cell) if isinstance(cell, float) else cell for cell in by_hand]
        assert list(row) == cells


def test_every_picture_is_counted() -> None:
    """Each visualization and each search has values to compare with, and no others."""
    assert sorted(PICTURES) == sorted([*counted.PICTURES, *counted.OF_SEALS, *OF_REJECTED, *OF_NOW])
    assert sorted(SEARCHES) == sorted(counted.SEARCHES)


@pytest.mark.parametrize("name", sorted(counted.PICTURES))
def test_picture(week: Week, name: str) -> None:
    """A visualization has the values of the log. It is not empty, unless its title and its description name the versions that fill it."""
    found = week.ask(OBJECTS[name])
    assert_same(found, counted.PICTURES[name](week.log))
    old = "2.x)" in OBJECTS[name].attributes["title"]
    assert any(row[-1] for row in found) == (not old or week.profile is Profile.ZOOMDATA_2)
    assert ("Zoomdata 2.x only" in OBJECTS[name].attributes["description"]) == old


@pytest.mark.parametrize("name", counted.OF_SEALS)
def test_picture_of_seals(any_week: Week, name: str) -> None:
    """A visualization of seals has the values of the documents, and is not empty."""
    found = any_week.ask(OBJECTS[name])
    assert any(row[-1] for row in found)
    assert_same(found, counted.OF_SEALS[name](any_week.seals))


@pytest.mark.parametrize("name", [it for it in PICTURES if 'otherBucket":true' in str(OBJECTS[it].line)])
def test_others(week: Week, name: str) -> None:
    """The top values and the others together are all entries."""
    saved = OBJECTS[name]
    answer = week.answer(saved, _lately() if name in OF_REJECTED else WEEK)
    buckets = answer["aggregations"][lens.columns(saved.attributes)[0][0]]["buckets"]
    shown = sum(bucket["doc_count"] for bucket in buckets)
    assert shown + lens.others(saved.attributes, answer) == answer["hits"]["total"]["value"]


def test_age_of_the_newest(any_week: Week) -> None:
    """The age of entries and of signed checkpoints is relative to now, at any time."""
    checkpoints = counted.of_kind(any_week.seals, "checkpoint")
    for minutes in (0, 3, 12, 45, 90, 600):
        now = END + timedelta(minutes=minutes)
        within, at = (
            Range((now - timedelta(days=7)).isoformat(), now.isoformat()),
            round(now.timestamp() * 1000),
        )
        found = any_week.ask(OBJECTS["delivery-age"], within)
        assert found == counted.ages(any_week.log, at)
        assert any(row[-1] for row in found)
        sealed = any_week.ask(OBJECTS["delivery-sealed-age"], within)
        assert sealed == counted.ages(checkpoints, at, counted.SEALED_AGES)
        assert sum(row[-1] for row in sealed) > 20


def test_rejected(any_week: Week) -> None:
    """Rejected lines by type, reason and file."""
    lately, kept = _lately(), any_week.rejected
    assert any_week.ask(OBJECTS["delivery-rejected"], lately) == [(len(sample.broken()),)]
    reasons = counted.grouped(
        [it | {"reason.keyword": it["reason"]} for it in kept],
        [counted.top(10, "type"), counted.top(10, "reason.keyword"), counted.top(3, "file")],
        counted.count,
        counted.largest("size"),
    )
    assert_same(any_week.ask(OBJECTS["delivery-reasons"], lately), reasons)
    over_time = any_week.ask(OBJECTS["delivery-rejected-over-time"], lately)
    assert sum(row[-1] for row in over_time) == len(kept)
    assert {row[0] for row in over_time} == {it["type"] for it in kept}


@pytest.mark.parametrize("name", SEARCHES)
def test_search(week: Week, name: str) -> None:
    """A saved search finds the entries of the log, or the seals, newest first, and each column has values."""
    saved = OBJECTS[f"search-{name}"]
    time_field = TIMES[view_of(saved)]
    body = lens.hits(saved.attributes, time_field, WEEK)
    answer = week.client.search(index=week.index(saved), **body)["hits"]
    wanted = counted.SEARCHES[name](week.seals if time_field == "sealed" else week.log)
    assert answer["total"]["value"] == len(wanted) > 0
    newest = sorted((it[time_field] for it in wanted), reverse=True)[: body["size"]]
    assert [hit["fields"][time_field][0] for hit in answer["hits"]] == newest
    shown = {field for hit in answer["hits"] for field in [*hit["fields"], *hit]}
    assert set(saved.attributes["columns"]) <= shown


@pytest.mark.parametrize("name", PICTURES)
def test_fields_can_be_grouped_and_counted(week: Week, name: str) -> None:
    """Each field of a visualization is aggregatable and has one type."""
    saved = OBJECTS[name]
    fields = {column.get("sourceField", "Records") for _, column in lens.columns(saved.attributes)} - {
        "Records"
    }
    if not fields:
        return
    # Not by the client's method: it sends the fields in a body, which 7.17 does not read.
    path = f"/{week.index(saved)}/_field_caps"
    answer: Any = week.client.perform_request("GET", path, params={"fields": ",".join(sorted(fields))})
    found = answer["fields"]
    assert set(found) == fields
    assert all(len(types) == 1 for types in found.values())
    assert all(next(iter(types.values()))["aggregatable"] for types in found.values())


@pytest.mark.parametrize("name", [it for it in PICTURES if "lnsMetric" in str(OBJECTS[it].line)])
def test_trend(week: Week, name: str) -> None:
    """A trend line is the number beside it over time: what is counted or summed adds up to it."""
    modern = MODERN[OBJECTS[name].id]
    within = _lately() if name in OF_REJECTED else WEEK
    ((number,),) = week.ask(OBJECTS[name], within)
    trend = modern.attributes["state"]["visualization"]["trendlineLayerId"]
    over_time = lens.rows(modern.attributes, week.answer(modern, within, trend), trend)
    assert over_time
    ((_, metric),) = lens.columns(modern.attributes)
    if metric["operationType"] == "unique_count":
        assert 0 < max(row[-1] for row in over_time) <= number <= sum(row[-1] for row in over_time)
    else:
        assert sum(row[-1] for row in over_time) == pytest.approx(number)


@dataclass(frozen=True, slots=True)
class Asking:
    """The query of a rule for its window before a point in time, as Kibana sends it."""

    rule: rules.Rule

    def count(self, week: Week, now: datetime, window: timedelta | None = None) -> int:
        """How many entries it finds."""
        params = self.rule.body["params"]
        length = window or timedelta(**{UNITS[params["timeWindowUnit"]]: params["timeWindowSize"]})
        between = {
            "gte": (now - length).isoformat(),
            "lte": now.isoformat(),
            "format": "strict_date_optional_time",
        }
        filters = [orjson.loads(params["esQuery"])["query"], {"range": {params["timeField"]: between}}]
        found: int = week.client.count(index=week.alias, query={"bool": {"filter": filters}})["count"]
        return found


UNITS = {"m": "minutes", "h": "hours"}
ROWS = 1_000_000
MATCHING: dict[str, Callable[[counted.Entry], bool]] = {
    "something was deleted": lambda it: it["status"] == "DELETED",
    "many failed log-ins": lambda it: (it["activityType"], it["status"]) == ("AUTHENTICATION", "FAILED"),
    "a large export": lambda it: counted.exports([it]) != [] and it["count"] > ROWS,
}
"""The rules, and which entries they are about."""


@pytest.mark.parametrize("name", MATCHING)
def test_rule(week: Week, name: str) -> None:
    """A rule fires in each window with enough matches, and in no other."""
    rule = next(it for it in rules.rules(Naming(), ROWS) if it.name.endswith(name))
    asking, params = Asking(rule), rule.body["params"]
    about = [counted.moment(it) for it in week.log if MATCHING[name](it)]
    assert asking.count(week, END, timedelta(days=8)) == len(about) > 0
    length = params["timeWindowSize"] * {"m": 60_000, "h": counted.HOUR}[params["timeWindowUnit"]]
    fired = []
    for now in {moment + later for moment in about for later in (-1, 0, length + 1)}:
        found = asking.count(week, datetime.fromtimestamp(now / 1000, UTC))
        assert found == sum(now - length <= moment <= now for moment in about)
        fired.append(found >= params["threshold"][0])
    assert set(fired) == {True, False}


def test_every_rule_is_asked() -> None:
    """Each rule is tested."""
    assert [it.name.removeprefix("Zoomdata: ") for it in rules.rules(Naming(), ROWS)] == list(MATCHING)


def _lately() -> Range:
    """The time range of this test run, in which lines are rejected."""
    now = datetime.now(UTC)
    return Range((now - timedelta(days=1)).isoformat(), (now + timedelta(minutes=5)).isoformat())
