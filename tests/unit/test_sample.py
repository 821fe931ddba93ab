"""The sample log: properties that charts, tables and benchmarks rely on."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from statistics import mean, median
from typing import Any

import orjson
import pytest

from indexer.demo.profiles import Profile
from indexer.demo.sample import HEAVY_EXPORT, entries, write

END = datetime(2026, 5, 11, 6, 30, tzinfo=UTC)
FIELDS = {
    "ACCOUNT": "name createdBy createdDate lastModifiedBy disabled",
    "AUTHENTICATION": "authenticationType",
    "SOURCE": "sourceId sourceName streamType storageType sourceAsString sourceDescription",
    "VIS_COMMAND": "cid actionStartedOn request",
    "VIS_DATA": "payload cid actionStartedOn duration",
    "VIS": "visualizationId visualizationName",
    "VIS_DEF": "visualizationId visualizationName cid sourceId",
    "CHART": "visualizationID visualizationName",
    "RAW_DATA_EXPORT": "exportType count storageType query cid actionStartedOn duration",
    "RAW_DATA_EXPORT_CSV": "count location file cid actionStartedOn duration",
    "UPLOAD": "source fileName contentType filesize",
    "USER": "userID userName userFullName email subjectUserGroups subjectUserRoles userOrigin accounts",
    "RDD": "storageType responseSize queries cid proxiedUser readRequest actionStartedOn duration",
    "RDD_CACHE": "sourceId query",
    "GROUP": "groupId label description groupRoles",
    "BOOKMARK": "bookmarkId bookmarkName description shared keyIds",
    "SECURITY_KEY": "keyId created expire description keyType objectIds",
    "OAUTH_CLIENT": "clientId clientName autoApprove",
    "OAUTH_TOKEN": "tokenId clientId tokenUsername tokenAccountID",
    "REQUEST": "uri host requestTime requestSize responseCode",
    "TOPOLOGY": "cid actionStartedOn",
    "TOPOLOGY_PERFORMANCE": "rddCount cid timeline finishStatus actionStartedOn duration",
}
COMPOSER = {
    *("ACCOUNT", "AUTHENTICATION", "GROUP", "SOURCE", "USER", "VIS"),
    *("RAW_DATA_EXPORT", "RAW_DATA_EXPORT_CSV", "UPLOAD"),
}
"""The types that the vendor documents for 6 to 26."""
COMMON = "eventDate user userType accountId userGroups userRoles ip activityType status"


OLD = Profile.ZOOMDATA_2


@cache
def week(profile: Profile = OLD) -> tuple[bytes, ...]:
    return tuple(entries(20_000, end=END, profile=profile))


@cache
def parsed(profile: Profile = OLD) -> tuple[dict[str, Any], ...]:
    return tuple(orjson.loads(line) for line in week(profile))


def of(kind: str, profile: Profile = OLD, **wanted: object) -> list[dict[str, Any]]:
    return [
        entry
        for entry in parsed(profile)
        if entry["activityType"] == kind and all(entry.get(name) == value for name, value in wanted.items())
    ]


def at(entry: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(entry["eventDate"]).replace(tzinfo=UTC)


BOTH = pytest.mark.parametrize("profile", Profile)


@BOTH
@pytest.mark.parametrize("count", [0, 1, 7, 100, 5_000])
def test_count(count: int, profile: Profile) -> None:
    """The number of lines is exact."""
    assert len(list(entries(count, end=END, profile=profile))) == count


def test_repeatable() -> None:
    """The same seed and end give the same bytes; another seed gives others."""
    again = list(entries(2_000, end=END, seed=3))
    assert again == list(entries(2_000, end=END, seed=3))
    assert again != list(entries(2_000, end=END, seed=4))


@pytest.mark.parametrize("count", [100, 2_000])
@pytest.mark.parametrize("seed", range(5))
def test_every_type(count: int, seed: int) -> None:
    """Even a small sample has every activity type that its version documents, and one as of 2.x an undocumented one."""

    def kinds(profile: Profile) -> set[str]:
        lines = entries(count, end=END, seed=seed, profile=profile)
        return {orjson.loads(line)["activityType"] for line in lines}

    assert kinds(Profile.COMPOSER) == COMPOSER
    assert kinds(Profile.ZOOMDATA_2) == FIELDS.keys() | {"DASHBOARD_SHARE"}


@BOTH
@pytest.mark.parametrize("kind", FIELDS)
def test_fields(kind: str, profile: Profile) -> None:
    """An entry has the common fields of its version, and those of its type as the vendor documents them."""
    current = profile is Profile.COMPOSER
    wanted = {*COMMON.split(), *FIELDS[kind].split()} - ({"userType"} if current else set())
    found = of(kind, profile)
    assert bool(found) == (not current or kind in COMPOSER)
    assert [entry for entry in found if not wanted <= entry.keys()] == []
    assert [entry for entry in found if "userType" in entry and current] == []


@BOTH
def test_lines(profile: Profile) -> None:
    """A line is one JSON object without a line end."""
    lines = week(profile)
    assert all(line.startswith(b"{") and line.endswith(b"}") and b"\n" not in line for line in lines)


@BOTH
def test_time(profile: Profile) -> None:
    """Entries are ordered by time and cover the week before the end."""
    moments = [at(entry) for entry in parsed(profile)]
    assert moments == sorted(moments)
    assert END - timedelta(days=7) <= moments[0] < END - timedelta(days=6, hours=23)
    assert END - timedelta(hours=1) < moments[-1] <= END


@BOTH
@pytest.mark.parametrize("hours", range(0, 168, 13))
def test_any_end(hours: int, profile: Profile) -> None:
    """For any end, entries are ordered and within the week before it."""
    end = END + timedelta(hours=hours, minutes=hours, milliseconds=hours)
    moments = [at(orjson.loads(line)) for line in entries(500, end=end, profile=profile)]
    assert moments == sorted(moments)
    assert end - timedelta(days=7) <= moments[0]
    assert moments[-1] <= end


def test_size() -> None:
    """The mean size of a line is about 1 kB, and a few are much longer."""
    sizes = [len(line) for line in week()]
    assert 850 < mean(sizes) < 1_150
    assert max(sizes) > 10_000


def test_documents_in_strings() -> None:
    """Long fields are JSON as text, and a started command has its source."""
    texts = [
        ("VIS_COMMAND", "request"),
        ("VIS_DATA", "payload"),
        ("RDD", "readRequest"),
        ("SOURCE", "sourceAsString"),
    ]
    assert all(orjson.loads(entry[field]) for kind, field in texts for entry in of(kind))
    started = orjson.loads(of("VIS_COMMAND", status="STARTED")[0]["request"])["source"]
    assert {"id", "name", "subStorageType", "storageConfiguration"} <= started.keys()
    assert started["storageConfiguration"].keys() == {"schema", "collection", "connectionId"}


@BOTH
def test_rhythm(profile: Profile) -> None:
    """Working hours are busy, nights and weekends are not."""
    people = [at(entry) for entry in parsed(profile) if entry["user"] != "anonymousUser"]
    days, hours = Counter(f"{moment:%a}" for moment in people), Counter(moment.hour for moment in people)
    assert days["Wed"] > 5 * max(days["Sat"], days["Sun"])
    assert hours[10] > 3 * hours[23]


@BOTH
def test_heavy_users(profile: Profile) -> None:
    """A few users write most entries."""
    users = Counter(
        entry["user"] for entry in parsed(profile) if entry["user"] != "anonymousUser"
    ).most_common()
    assert len(users) > 30
    assert sum(count for _, count in users[:8]) > 0.5 * sum(count for _, count in users)


def test_chain() -> None:
    """The entries of one view share their cid, and its timeline agrees with their dates."""
    performance = of("TOPOLOGY_PERFORMANCE")[-5]
    chain = [entry["activityType"] for entry in parsed() if entry.get("cid") == performance["cid"]]
    assert {"VIS_COMMAND", "TOPOLOGY", "VIS_DATA", "TOPOLOGY_PERFORMANCE"} <= set(chain)
    timeline = performance["timeline"]
    assert list(timeline) == [
        "TOPOLOGY.CREATED",
        "TOPOLOGY.STARTED",
        "VIS_DATA.SUCCEEDED",
        "VIS_COMMAND.FINISHED",
        "TOPOLOGY.FINISHED",
    ]
    assert list(timeline.values()) == sorted(timeline.values())
    finished = of("VIS_COMMAND", status="FINISHED", cid=performance["cid"])[0]
    assert at(finished).timestamp() * 1000 == pytest.approx(timeline["VIS_COMMAND.FINISHED"])


@BOTH
def test_guessed_password(profile: Profile) -> None:
    """One user fails to log in many times within minutes from one address."""
    failed = of("AUTHENTICATION", profile, status="FAILED", ip="185.220.101.47")
    assert len(failed) >= 60
    assert {entry["user"] for entry in failed} == {"dana.whitfield"}
    assert at(failed[-1]) - at(failed[0]) < timedelta(minutes=5)
    assert len(of("AUTHENTICATION", profile, status="FAILED")) > len(failed)


@BOTH
def test_deletions(profile: Profile) -> None:
    """Accounts, sources and users are deleted, and a deleted user has no later entries."""
    deleted = [entry for entry in parsed(profile) if entry["status"] == "DELETED"]
    assert Counter(entry["activityType"] for entry in deleted) == {"SOURCE": 3, "USER": 3, "ACCOUNT": 1}
    gone = {entry["userName"]: at(entry) for entry in deleted if "userName" in entry}
    assert [e for e in parsed(profile) if e["user"] in gone and at(e) > gone[e["user"]]] == []


@BOTH
def test_exports(profile: Profile) -> None:
    """Exports have their number of rows, and one is far larger than all others; a text search is looked at or exported."""
    assert {entry["exportType"] for entry in of("RAW_DATA_EXPORT", profile)} == {"REST", "FILE"}
    counts = sorted(entry["count"] for entry in of("RAW_DATA_EXPORT_CSV", profile))
    assert counts[-1] == HEAVY_EXPORT
    assert counts[-2] * 5 < HEAVY_EXPORT


def test_degraded_source() -> None:
    """The sales ledger is far slower on Wednesday afternoon than otherwise."""
    afternoon: list[int] = []
    else_: list[int] = []
    for entry in of("RDD", storageType="IMPALA"):
        moment = datetime.fromtimestamp(entry["actionStartedOn"] / 1000, UTC)
        (afternoon if moment.weekday() == 2 and 14 <= moment.hour < 18 else else_).append(entry["duration"])
    assert median(afternoon) > 8 * median(else_)


@BOTH
def test_addresses_and_scripts(profile: Profile) -> None:
    """There are IPv4 and IPv6 addresses, and names in several scripts."""
    families = {type(ip_address(entry["ip"])) for entry in parsed(profile)}
    assert IPv6Address in families
    assert len(families) == 2
    names = "".join(entry.get("visualizationName", "") + entry["user"] for entry in parsed(profile))
    assert all(letter in names for letter in "ü売Вр佐")


def test_write(tmp_path: Path) -> None:
    """The log file holds the same lines, each ended by one line feed."""
    log = tmp_path / "zoomdata-activity.log"
    write(log, 300, end=END)
    assert log.read_bytes() == b"".join(line + b"\n" for line in entries(300, end=END))
