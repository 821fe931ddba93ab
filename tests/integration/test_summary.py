"""The figures of the summary, beside the same figures counted here from the same entries."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from statistics import quantiles
from typing import Any

import orjson
import pytest
from elasticsearch import Elasticsearch

from indexer.demo.profiles import Profile
from indexer.demo.sample import entries
from indexer.elastic.cluster import Cluster
from indexer.settings import Connection
from indexer.setup.templates import install
from indexer.show import as_json, text
from indexer.status.summary import NOT_SET, summarise
from indexer.status.summary_model import Count, Deletion, FailedLogIns, RowsByUser, SlowVisual

END = datetime(2026, 5, 11, 6, 30, tzinfo=UTC)
Entry = dict[str, Any]
EXPORTS = {("RAW_DATA_EXPORT_CSV", None), ("RAW_DATA_EXPORT", "FILE")}


@pytest.fixture
def alias(client: Elasticsearch, connection: Connection) -> str:
    """An alias set up as `template install` does, without entries."""
    install(Cluster(client, connection))
    return connection.alias


def send(client: Elasticsearch, alias: str, lines: Iterable[bytes]) -> None:
    body = b"".join(b'{"create":{}}\n' + line + b"\n" for line in lines)
    answer = client.bulk(index=alias, operations=body, require_alias=True, filter_path="errors", refresh=True)  # type: ignore[arg-type]
    assert answer.body == b'{"errors":false}'


def at(entry: Entry) -> datetime:
    return datetime.fromisoformat(entry["eventDate"]).replace(tzinfo=UTC)


def counted(entries: list[Entry], field: str, top: int) -> tuple[Count, ...]:
    counts = Counter(entry[field] for entry in entries)
    return tuple(Count(*row) for row in sorted(counts.items(), key=lambda row: (-row[1], row[0]))[:top])


def failed(entries: list[Entry]) -> tuple[FailedLogIns, ...]:
    last: dict[tuple[str, str], list[datetime]] = defaultdict(list)
    for entry in entries:
        if entry["activityType"] == "AUTHENTICATION" and entry["status"] == "FAILED":
            last[entry["user"], entry["ip"]].append(at(entry))
    rows = [FailedLogIns(user, ip, len(times), max(times)) for (user, ip), times in last.items()]
    return tuple(sorted(rows, key=lambda row: (-row.attempts, row.user, row.ip or ""))[:10])


def rows_by_user(entries: list[Entry]) -> tuple[RowsByUser, ...]:
    rows: dict[str, list[int]] = defaultdict(list)
    for entry in entries:
        rows[entry["user"]].append(entry["count"])
    found = [RowsByUser(user, len(counts), sum(counts), max(counts)) for user, counts in rows.items()]
    return tuple(sorted(found, key=lambda row: (-(row.rows or 0), row.user))[:10])


def slowest(entries: list[Entry]) -> list[SlowVisual]:
    names = {
        entry["cid"]: entry["visualizationName"]
        for entry in entries
        if {"cid", "visualizationName"} <= entry.keys()
    }
    timed = [
        entry
        for entry in entries
        if entry["activityType"] in {"VIS_COMMAND", "VIS_DATA"} and "duration" in entry
    ]
    by_cid: dict[str, Entry] = {}
    for entry in sorted(timed, key=lambda entry: -entry["duration"]):
        by_cid.setdefault(entry["cid"], entry)
    return [
        SlowVisual(at(entry), names.get(cid), entry["user"], cid, entry["duration"])
        for cid, entry in list(by_cid.items())[:10]
    ]


def deleted(entries: list[Entry]) -> tuple[Deletion, ...]:
    fields = {"ACCOUNT": "name", "SOURCE": "sourceName", "USER": "userName"}
    rows = [
        Deletion(at(entry), entry["activityType"], entry[fields[entry["activityType"]]], entry["user"])
        for entry in entries
        if entry["status"] == "DELETED"
    ]
    return tuple(reversed(rows))


@pytest.mark.parametrize("profile", Profile)
def test_sample(client: Elasticsearch, alias: str, profile: Profile) -> None:
    """Over a week of entries in two indices, the figures are those counted from the log itself.

    On current versions nothing is empty but visualisations, whose durations they do not log.
    """
    lines = list(entries(6_000, end=END, profile=profile))
    week = [orjson.loads(line) for line in lines]
    send(client, alias, lines[:2_000])
    client.indices.rollover(alias=alias)
    send(client, alias, lines[2_000:])
    summary = summarise(client, alias)
    assert (summary.alias, summary.entries) == (alias, 6_000)
    assert (summary.first, summary.last) == (at(week[0]), at(week[-1]))
    assert summary.users == len({entry["user"] for entry in week})
    assert summary.by_type == counted(week, "activityType", 50)
    assert summary.by_status == counted(week, "status", 20)
    health = [it for it in week if it.get("uri", "").endswith("service/health")]
    assert summary.by_user == counted([it for it in week if it not in health], "user", 10)
    assert bool(health) == (profile is Profile.ZOOMDATA_2)
    exports = [it for it in week if (it["activityType"], it.get("exportType")) in EXPORTS]
    viewed = [it for it in week if it.get("exportType") == "REST"]
    assert (summary.exported, summary.viewed) == (len(exports), len(viewed))
    assert (summary.exports, summary.details_views) == (rows_by_user(exports), rows_by_user(viewed))
    assert [table.title for table in summary.tables() if not table.rows] == (
        ["Slowest visualisations"] if profile is Profile.COMPOSER else []
    )
    assert summary.failed_log_ins == failed(week)
    assert summary.failed_log_ins[0].ip == "185.220.101.47"
    assert list(summary.slowest) == slowest(week)
    assert summary.deletions == deleted(week)
    assert summary.deleted == len(summary.deletions) == 7


def test_durations(client: Elasticsearch, alias: str) -> None:
    """Durations are grouped by type and storage; the longest is exact, percentiles are close."""
    lines = list(entries(6_000, end=END, profile=Profile.ZOOMDATA_2))
    send(client, alias, lines)
    wanted: dict[tuple[str, str | None], list[int]] = defaultdict(list)
    for entry in map(orjson.loads, lines):
        if "duration" in entry:
            wanted[entry["activityType"], entry.get("storageType")].append(entry["duration"])
    found = summarise(client, alias).durations
    assert {(row.activity_type, row.storage_type): (row.entries, row.max_ms) for row in found} == {
        group: (len(values), max(values)) for group, values in wanted.items()
    }
    large = [(row, wanted[row.activity_type, row.storage_type]) for row in found if row.entries >= 100]
    assert len(large) >= 5
    for row, values in large:
        assert row.median_ms == pytest.approx(quantiles(values, n=100)[49], rel=0.05)
        assert row.p95_ms == pytest.approx(quantiles(values, n=100)[94], rel=0.15)
    assert [row.p95_ms for row in found] == sorted((row.p95_ms or 0 for row in found), reverse=True)


def test_no_entries(client: Elasticsearch, alias: str) -> None:
    """An alias without entries gives tables that say what is not there."""
    summary = summarise(client, alias)
    assert (summary.entries, summary.first, summary.last) == (0, None, None)
    shown = list(summary.tables())
    assert [table.title for table in shown if table.rows] == []
    assert all(table.empty.endswith(".") for table in shown)


@pytest.mark.parametrize(
    "date",
    [
        *(-(2**63) + 1, -(10**18), -99_999_999_999_999, -62_135_596_800_001, 253_402_300_800_000, 10**16),
        *(31_556_889_864_403_199, 10**18, 2**63 - 1, -(2**63), 2**63, [1, -(2**63) + 1], [1, 2**63 - 1]),
    ],
)
def test_dates_that_cannot_be_written(client: Elasticsearch, alias: str, date: object) -> None:
    """Elasticsearch cannot, or a datetime cannot: all but those is shown, in the lists that such an entry is first in."""
    kinds: list[Entry] = [
        {"activityType": "AUTHENTICATION", "status": "FAILED", "user": "eve", "ip": "10.0.0.1"},
        {"activityType": "USER", "status": "DELETED", "userName": "bob"},
        {"activityType": "VIS_COMMAND", "status": "FINISHED", "duration": 1e308, "cid": "c"},
    ]
    odd: list[Entry] = [{"eventDate": date} | kind for kind in kinds]
    right = [{"eventDate": "2026-05-01 00:00:00.001"} | kind for kind in kinds[:2]]
    send(client, alias, map(orjson.dumps, [*odd, *right]))
    summary = summarise(client, alias)
    moment = datetime(2026, 5, 1, 0, 0, 0, 1_000, tzinfo=UTC)
    assert summary.entries == 5
    assert [(row.attempts, row.last) for row in summary.failed_log_ins] == [(2, moment)]
    assert {(row.name, row.when) for row in summary.deletions} >= {("bob", moment)}
    assert [row.duration_ms for row in summary.slowest] == [1e308]
    assert (summary.deleted, summary.last) == (2, moment)
    assert as_json(summary)
    assert [
        table
        for table in summary.tables()
        if "1e+308 ms" in str([list(map(text, row)) for row in table.rows])
    ]


def test_entries_count_once_whatever_they_hold(client: Elasticsearch, alias: str) -> None:
    """A number in `_doc_count` makes one of so many in what Elasticsearch counts in a bucket."""
    failed = {
        "activityType": "AUTHENTICATION",
        "status": "FAILED",
        "user": "eve",
        "ip": "10.0.0.1",
        "duration": 1,
    }
    odd = [failed | {"_doc_count": many} for many in (1_000_000, 2**31 - 1, 7)]
    others = [{"activityType": "VIS", "status": "OPENED", "user": "bob", "duration": 2}] * 4
    send(client, alias, map(orjson.dumps, [*odd, *others]))
    summary = summarise(client, alias)
    assert summary.entries == 7
    assert summary.by_type == (Count("VIS", 4), Count("AUTHENTICATION", 3))
    assert summary.by_status == (Count("OPENED", 4), Count("FAILED", 3))
    assert summary.by_user == (Count("bob", 4), Count("eve", 3))
    assert (summary.failed, [row.attempts for row in summary.failed_log_ins]) == (3, [3])
    assert {row.activity_type: row.entries for row in summary.durations} == {"VIS": 4, "AUTHENTICATION": 3}


def test_what_entries_lack(client: Elasticsearch, alias: str) -> None:
    """Missing and odd fields are told as such, and stop no figure."""
    odd: list[Entry] = [
        {},
        {"activityType": "AUTHENTICATION", "status": "FAILED"},
        {"activityType": "AUTHENTICATION", "status": "FAILED", "user": "eve", "ip": "unknown"},
        {"activityType": "VIS_COMMAND", "duration": 12.5},
        {"status": "DELETED"},
        {
            "status": "DELETED",
            "activityType": "NEWER",
            "label": "thing",
            "eventDate": "2026-05-01 00:00:00.001",
        },
    ]
    send(client, alias, map(orjson.dumps, odd))
    summary = summarise(client, alias)
    assert summary.by_type == (
        Count(NOT_SET, 2),
        Count("AUTHENTICATION", 2),
        Count("NEWER", 1),
        Count("VIS_COMMAND", 1),
    )
    assert summary.failed_log_ins == (
        FailedLogIns(NOT_SET, None, 1, None),
        FailedLogIns("eve", None, 1, None),
    )
    assert summary.slowest == (SlowVisual(None, None, None, None, 12.5),)
    moment = datetime(2026, 5, 1, 0, 0, 0, 1_000, tzinfo=UTC)
    assert summary.deletions == (
        Deletion(moment, "NEWER", "thing", None),
        Deletion(None, NOT_SET, None, None),
    )
    without = [table.title for table in summary.tables() if not table.rows]
    assert without == ["Exports (0)", "Details views (0)"]


def test_an_index_without_dates_stops_no_figure(client: Elasticsearch, alias: str) -> None:
    """Somebody else's, behind the alias: what it has is counted."""
    theirs = {"activityType": "keyword", "status": "keyword", "duration": "double"}
    mappings = {"properties": {field: {"type": kind} for field, kind in theirs.items()}}
    client.indices.create(index=f"{alias}-theirs", mappings=mappings)
    client.indices.put_alias(index=f"{alias}-theirs", name=alias)
    kinds: list[Entry] = [{"status": "DELETED"}, {"activityType": "VIS_DATA", "duration": 7.0}]
    for kind in kinds:
        client.index(index=f"{alias}-theirs", document=kind, refresh=True)
    send(client, alias, map(orjson.dumps, [it | {"eventDate": "2026-05-01 00:00:00.001"} for it in kinds]))
    summary = summarise(client, alias)
    moment = datetime(2026, 5, 1, 0, 0, 0, 1_000, tzinfo=UTC)
    assert (summary.entries, summary.last) == (4, moment)
    assert {it.when for it in summary.deletions} == {moment, None}
    assert {(it.when, it.duration_ms) for it in summary.slowest} == {(moment, 7.0), (None, 7.0)}
