"""Activities of users in the sample log, each with the entries that it writes.

Fields and statuses are those of the vendor's "Activities Log Reference Sheet"; the RDD fields from `dashboardId` on are those of
the tables in Zoomdata's Fluentd configuration. Which version logs which activity is in `logged.py`.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from math import log
from random import Random
from typing import Any

from indexer.demo.company import LEDGER, ROWS, SOURCES, VISUALS, Person, Source, Visual, identifier

HOUR = 3_600_000  # ms
WRONG_PASSWORD = 0.03
CACHED = 0.25
SLOWDOWN = 14
"""Factor of all durations of the ledger while it is degraded."""
FAILING, FAILING_DEGRADED = 0.01, 0.2
"""Share of reads from a source that fail."""
LONG_DESCRIPTION = 0.1
"""Share of bookmarks and sources with a description longer than `ignore_above` of a keyword field."""
MINUTES = (
    "We looked at this together on the call: the peak is real, the dip on the right is the holiday. " * 14
)
"""A text longer than `ignore_above` of a keyword field."""

Fields = dict[str, Any]
Event = tuple[int, Person, str, str, Fields]
"""Time (epoch ms), person, activityType, status, the fields of the type."""
Activity = Callable[[Random, int, Person], list[Event]]


def date(moment: int) -> str:
    """Format epoch ms as the log does: UTC, without a time zone."""
    return datetime.fromtimestamp(moment / 1000, UTC).isoformat(" ", "milliseconds")[:23]


def moment_of_week(moment: int) -> int:
    """Milliseconds since Monday 00:00 UTC."""
    # 1970 began on a Thursday.
    return (moment + 3 * 24 * HOUR) % (7 * 24 * HOUR)


def degraded(source: Source, moment: int) -> bool:
    """Whether the source is slow at this time: the sales ledger is on Wednesday afternoon."""
    return source is LEDGER and 62 * HOUR <= moment_of_week(moment) < 66 * HOUR


def view(random: Random, moment: int, who: Person, *, cached: bool | None = None) -> list[Event]:
    """Open a visualisation: entries with one `cid`, from the query to the source or its cache to the finished topology."""
    visual = VISUALS[int(len(VISUALS) * random.random() ** 1.7)]
    cid = identifier(random)
    if cached is None:
        cached = random.random() < CACHED
    took = _spread(random, visual.source.median_ms / (12 if cached else 1))
    slow = not cached and degraded(visual.source, moment)
    if slow:
        took *= SLOWDOWN
    fails = not cached and random.random() < (FAILING_DEGRADED if slow else FAILING)
    outcome = "FAILED" if fails else "SUCCEEDED"
    since, until = date(moment - random.randrange(1, 90) * 24 * HOUR), date(moment)
    time = f'"time":{{"timeField":"{visual.source.time_field}","from":"{since}","to":"{until}"}}'
    query = visual.sql.replace("{where}", f"{visual.source.time_field} BETWEEN '{since}' AND '{until}'")
    rows = [] if fails else random.choices(ROWS, k=min(int(random.lognormvariate(2.9, 0.8)) + 1, 400))
    payload = f'{{"cid":"{cid}","progress":100,"data":[{",".join(rows)}]}}'
    run: Fields = {"cid": cid, "actionStartedOn": moment}
    reading: Fields = {"sourceId": visual.source.id, "query": query}
    if not cached:
        reading = run | _read(random, visual, query, f"{visual.read},{time}}}", who)
        reading |= {"responseSize": len(payload) * 3, "duration": took * 4 // 5}
    start = {"request": f'{visual.request},{time},"cid":"{cid}"}}'}
    stop = {"request": f'{{"type":"STOP_VIS","cid":"{cid}"}}', "duration": took}
    performance = _performance(cid, moment, took, outcome, reads=0 if cached else 1)
    return [
        (moment, who, "VIS_COMMAND", "STARTED", run | start),
        (moment + 5, who, "TOPOLOGY", "STARTED", run),
        (moment + took * 4 // 5, who, "RDD_CACHE" if cached else "RDD", outcome, reading),
        (moment + took - 1, who, "VIS_DATA", outcome, run | {"payload": payload, "duration": took - 1}),
        (moment + took, who, "VIS_COMMAND", "FINISHED", run | stop),
        (moment + took + 1, who, "TOPOLOGY", "FINISHED", run | {"duration": took + 1}),
        (moment + took + 2, who, "TOPOLOGY_PERFORMANCE", "FINISHED", performance),
    ]


def _performance(cid: str, moment: int, took: int, outcome: str, *, reads: int) -> Fields:
    """The fields of TOPOLOGY_PERFORMANCE."""
    timeline = {
        "TOPOLOGY.CREATED": moment + 2,
        "TOPOLOGY.STARTED": moment + 5,
        f"VIS_DATA.{outcome}": moment + took - 1,
        "VIS_COMMAND.FINISHED": moment + took,
        "TOPOLOGY.FINISHED": moment + took + 1,
    }
    return {
        "rddCount": reads,
        "cid": cid,
        "timeline": timeline,
        "finishStatus": outcome,
        "actionStartedOn": moment,
        "duration": took + 2,
    }


def _spread(random: Random, median: float) -> int:
    """A log-normal duration in ms."""
    return int(random.lognormvariate(log(median), 0.6)) + 4


def _read(random: Random, visual: Visual, query: str, request: str, who: Person) -> Fields:
    return {
        "storageType": visual.source.storage,
        "queries": query,
        "proxiedUser": who.login,
        "readRequest": request,
        "dashboardId": visual.dashboard,
        "traceId": identifier(random),
        "visualizationId": visual.id,
        "visualizationName": visual.name,
    }


def log_in(random: Random, moment: int, who: Person) -> list[Event]:
    """Log in, sometimes at the second attempt."""
    fields = {"authenticationType": "SAML" if who.utc_offset > 3 else "LDAP"}
    success = (moment, who, "AUTHENTICATION", "SUCCEEDED", fields)
    if random.random() >= WRONG_PASSWORD:
        return [success]
    return [(moment, who, "AUTHENTICATION", "FAILED", fields), (moment + 9_000, *success[1:])]


def edit_visual(random: Random, moment: int, who: Person) -> list[Event]:
    """Change or create a visualisation."""
    visual = random.choice(VISUALS)
    fields = {"visualizationId": visual.id, "visualizationName": visual.name}
    return [(moment, who, "VIS", random.choices(("UPDATED", "CREATED"), (5, 1))[0], fields)]


def edit_definition(random: Random, moment: int, who: Person) -> list[Event]:
    """Change a visualisation and its definition."""
    ((_, _, kind, status, fields),) = edit_visual(random, moment, who)
    visual = next(it for it in VISUALS if it.id == fields["visualizationId"])
    defined = fields | {"cid": identifier(random), "sourceId": visual.source.id}
    return [(moment, who, kind, status, fields), (moment + 700, who, "VIS_DEF", "UPDATED", defined)]


def edit_chart(random: Random, moment: int, who: Person) -> list[Event]:
    """Change a chart type."""
    visual = random.choice(VISUALS)
    fields = {"visualizationID": visual.id, "visualizationName": f"{visual.name} (chart)"}
    return [(moment, who, "CHART", "UPDATED", fields)]


def bookmark(random: Random, moment: int, who: Person) -> list[Event]:
    """Bookmark the state of a dashboard."""
    visual = random.choice(VISUALS)
    fields = {
        "bookmarkId": identifier(random),
        "bookmarkName": f"{visual.name} — {who.name}",
        "description": MINUTES if random.random() < LONG_DESCRIPTION else "",
        "shared": random.random() < 0.3,
        "keyIds": [],
    }
    return [(moment, who, "BOOKMARK", "CREATED", fields)]


def view_details(random: Random, moment: int, who: Person) -> list[Event]:
    """Search a text and look at the rows ("view details")."""
    return _search(random, moment, who, "REST")


def export(random: Random, moment: int, who: Person) -> list[Event]:
    """Search a text and export the rows to a file."""
    return _search(random, moment, who, "FILE")


def _search(random: Random, moment: int, who: Person, kind: str) -> list[Event]:
    source, took = SOURCES["Web Clickstream"], _spread(random, 2_500)
    fields = {
        "exportType": kind,
        "count": int(random.lognormvariate(8, 1.2)),
        "storageType": source.storage,
        "query": f'{{"query_string":{{"query":"campaign:\\"spring {random.randrange(9)}\\" AND NOT bot"}}}}',
        "cid": identifier(random),
        "actionStartedOn": moment,
        "duration": took,
    }
    return [(moment + took, who, "RAW_DATA_EXPORT", "SUCCEEDED", fields)]


def export_csv(random: Random, moment: int, who: Person, count: int | None = None) -> list[Event]:
    """Export `count` rows as CSV."""
    count = count or int(random.lognormvariate(8.5, 1.3))
    took = 400 + count // 20
    fields = {
        "count": count,
        "location": "FILE",
        "file": f"/opt/zoomdata/temp/export-{random.getrandbits(32):08x}.csv",
        "cid": identifier(random),
        "actionStartedOn": moment,
        "duration": took,
    }
    return [(moment + took, who, "RAW_DATA_EXPORT_CSV", "SUCCEEDED", fields)]


def upload(random: Random, moment: int, who: Person) -> list[Event]:
    """Upload a flat file as a new source."""
    fields = {
        "source": identifier(random),
        "fileName": f"C:\\Users\\{who.name}\\budget {random.randrange(2020, 2027)}.csv",
        "contentType": "text/csv",
        "filesize": int(random.lognormvariate(12, 2)),
    }
    return [(moment, who, "UPLOAD", "SUCCEEDED", fields)]


def request(random: Random, moment: int, who: Person) -> list[Event]:
    """Call the REST API."""
    path, took = random.choice(("/zoomdata/api/sources", "/zoomdata/api/dashboards")), _spread(random, 25)
    code = random.choices((200, 304, 404, 500), (90, 7, 2, 1))[0]
    fields = _request(path, took, random.randrange(200, 9_000), code)
    return [(moment + took, who, "REQUEST", "FINISHED", fields)]


def health_check(random: Random, moment: int, who: Person) -> list[Event]:
    """Request the health check, as load balancers do."""
    fields = _request("/zoomdata/service/health", random.randrange(2, 9), 0, 200)
    return [(moment, who, "REQUEST", "FINISHED", fields)]


def _request(uri: str, took: int, size: int, code: int) -> Fields:
    host = "zoomdata-1.example.com:8443"
    return {"uri": uri, "host": host, "requestTime": took, "requestSize": size, "responseCode": code}
