"""The figures of `indexer summary`, counted by the server over all entries behind the alias.

Exports are RAW_DATA_EXPORT_CSV, and RAW_DATA_EXPORT with exportType FILE; with REST it is a look at the rows ("view details").

Meaning of durations: that of an export or details view, in any version. On Zoomdata 2.x also VIS_COMMAND (status FINISHED), a
visualisation from the command to its last data, VIS_DATA until data arrives, RDD the read from the source within it, TOPOLOGY and
TOPOLOGY_PERFORMANCE the part of the engine. The source of a VIS_COMMAND is only in `request`, a text that cannot be grouped by. Therefore
durations are grouped by activity type and `storageType`, and the slowest visualisations are single entries; the name comes
from any other entry with the same `cid` and a `visualizationName`.
"""

from typing import Any

from elasticsearch import Elasticsearch

from indexer.elastic import counting
from indexer.elastic.counting import COUNTED, OF_ENTRIES, figure
from indexer.show import moment
from indexer.status.summary_model import (
    Count,
    Deletion,
    Durations,
    FailedLogIns,
    RowsByUser,
    SlowVisual,
    Summary,
)

Json = dict[str, Any]


def _terms_of(**values: str) -> list[Json]:
    return [{"term": {field: value}} for field, value in values.items()]


TOP = 10
VISUALS = ["VIS_COMMAND", "VIS_DATA"]
NAMES = ("name", "sourceName", "userName", "label", "bookmarkName", "visualizationName", "clientName")
"""Fields with the name of an entry's object, by activity type; `userFullName` and ids say less or may be missing."""
NOT_SET = "(not set)"
EXPORTS: Json = {
    "bool": {
        "should": [
            {"term": {"activityType": "RAW_DATA_EXPORT_CSV"}},
            {"bool": {"filter": _terms_of(activityType="RAW_DATA_EXPORT", exportType="FILE")}},
        ]
    }
}
DETAILS_VIEWS: Json = {"bool": {"filter": _terms_of(activityType="RAW_DATA_EXPORT", exportType="REST")}}
NO_HEALTH_CHECKS: Json = {"bool": {"must_not": {"wildcard": {"uri": {"value": "*service/health"}}}}}
"""The context before it depends on the version: /zoomdata, /composer, /discovery."""
UNSPECIFIED = "::"
"""Replaces a missing or invalid address: aggregations of `ip` fields accept only addresses."""
FIRST, LAST = -62_135_596_800_000, 253_402_300_799_999
"""Epoch ms of the first and the last moment with a four-digit year.

Elasticsearch fails to format dates at the limits of its range, in any format, and closes the connection (measured on
8.19.16 and 9.1.5). Only sort values are returned unformatted.
"""


def _dates(**within: object) -> Json:
    return {"range": {"eventDate": {"format": "epoch_millis", **within}}}


DATED: Json = {
    "bool": {
        "filter": _dates(gte=FIRST, lte=LAST),
        "must_not": [
            _dates(lt=FIRST),
            _dates(gt=LAST),
        ],  # an entry may have several dates; one out of range is enough
    }
}


def _by_date(order: str) -> Json:
    """For an index behind the alias that has no dates too."""
    return {"eventDate": {"order": order, "unmapped_type": "date"}}


def summarise(client: Elasticsearch, alias: str) -> Summary:
    """Count the figures with three searches, and a fourth for names. Raises what the client raises.

    Counts are exact; percentiles, and the number of users above some thousand, are estimates of the server.
    """
    answer = client.search(index=alias, size=0, track_total_hits=True, aggs=_figures())
    found, failures = answer["aggregations"], answer["aggregations"]["failures"]
    deleted = _deleted(client, alias)
    return Summary(
        alias=alias,
        entries=answer["hits"]["total"]["value"],
        first=moment(figure(found["dated"]["first"]["value"])),
        last=moment(figure(found["dated"]["last"]["value"])),
        users=found["users"]["value"],
        failed=counting.count(failures),
        deleted=deleted["total"]["value"],
        exported=counting.count(found["exports"]),
        viewed=counting.count(found["details_views"]),
        by_type=_counts(found["by_type"]),
        by_status=_counts(found["by_status"]),
        by_user=_counts(found["people"]["by_user"]),
        failed_log_ins=_failed_log_ins(failures["by_user"]),
        exports=_rows_by_user(found["exports"]["by_user"]),
        details_views=_rows_by_user(found["details_views"]["by_user"]),
        durations=_durations(found["timed"]["by_type"]),
        slowest=_slowest(client, alias),
        deletions=tuple(_deletion(hit) for hit in deleted["hits"]),
    )


def _figures() -> Json:
    failed = _terms_of(activityType="AUTHENTICATION", status="FAILED")
    ends = {
        end: {which: {"field": "eventDate", "format": "epoch_millis"}}
        for end, which in (("first", "min"), ("last", "max"))
    }
    dated = {"dated": {"filter": DATED, "aggs": ends}}
    by_address = counting.terms("ip", TOP, dated, missing=UNSPECIFIED)
    spread = {
        "spread": {"percentiles": {"field": "duration", "percents": [50, 95]}},
        "longest": {"max": {"field": "duration"}},
    }
    by_storage = counting.terms("storageType", TOP, spread, missing="")
    return {
        **dated,
        "users": {"cardinality": {"field": "user"}},
        "by_type": _terms("activityType", 5 * TOP),
        "by_status": _terms("status", 2 * TOP),
        "people": {"filter": NO_HEALTH_CHECKS, "aggs": {"by_user": _terms("user", TOP)}},
        "exports": _per_user(EXPORTS),
        "details_views": _per_user(DETAILS_VIEWS),
        "failures": {
            "filter": {"bool": {"filter": failed}},
            # More users than shown: a user with many addresses has few attempts from each.
            "aggs": {"by_user": _terms("user", 10 * TOP, {"by_address": by_address}), COUNTED: OF_ENTRIES},
        },
        "timed": {
            "filter": {"exists": {"field": "duration"}},
            "aggs": {"by_type": _terms("activityType", 5 * TOP, {"by_storage": by_storage})},
        },
    }


def _per_user(query: Json) -> Json:
    rows = {"rows": {"sum": {"field": "count"}}, "largest": {"max": {"field": "count"}}}
    by_user = counting.terms("user", TOP, rows, missing=NOT_SET, order=[{"rows": "desc"}, {"_key": "asc"}])
    return {"filter": query, "aggs": {"by_user": by_user, COUNTED: OF_ENTRIES}}


def _terms(field: str, size: int, inside: Json | None = None) -> Json:
    return counting.terms(field, size, inside, missing=NOT_SET)


def _counts(terms: Json) -> tuple[Count, ...]:
    return tuple(Count(str(bucket["key"]), counting.count(bucket)) for bucket in terms["buckets"])


def _rows_by_user(terms: Json) -> tuple[RowsByUser, ...]:
    rows = [
        RowsByUser(
            str(user["key"]),
            counting.count(user),
            figure(user["rows"]["value"]),
            figure(user["largest"]["value"]),
        )
        for user in terms["buckets"]
    ]
    return tuple(rows)


def _failed_log_ins(terms: Json) -> tuple[FailedLogIns, ...]:
    rows = [
        FailedLogIns(
            user=str(user["key"]),
            ip=None if address["key"] == UNSPECIFIED else address["key"],
            attempts=counting.count(address),
            last=moment(figure(address["dated"]["last"]["value"])),
        )
        for user in terms["buckets"]
        for address in user["by_address"]["buckets"]
    ]
    return tuple(sorted(rows, key=lambda row: (-row.attempts, row.user, row.ip or ""))[:TOP])


def _durations(terms: Json) -> tuple[Durations, ...]:
    rows = [
        Durations(
            activity_type=str(kind["key"]),
            storage_type=storage["key"] or None,
            entries=counting.count(storage),
            median_ms=figure(storage["spread"]["values"]["50.0"]),
            p95_ms=figure(storage["spread"]["values"]["95.0"]),
            max_ms=figure(storage["longest"]["value"]),
        )
        for kind in terms["buckets"]
        for storage in kind["by_storage"]["buckets"]
    ]
    return tuple(sorted(rows, key=lambda row: -(row.p95_ms or 0))[: 2 * TOP])


def _slowest(client: Elasticsearch, alias: str) -> tuple[SlowVisual, ...]:
    """The slowest visualisations, each `cid` once: both its command and its data are entries."""
    hits = client.search(
        index=alias,
        size=5 * TOP,
        query={"bool": {"filter": [{"terms": {"activityType": VISUALS}}, {"exists": {"field": "duration"}}]}},
        sort=[{"duration": {"order": "desc", "unmapped_type": "double"}}, _by_date("asc")],
        docvalue_fields=_values("user", "cid"),
        source=False,
    )["hits"]["hits"]
    by_cid: dict[Any, Any] = {}
    for hit in hits:
        by_cid.setdefault(_first(_found(hit), "cid") or hit["_id"], hit)
    slowest = list(by_cid.values())[:TOP]
    names = _names(client, alias, [cid for hit in slowest if (cid := _first(_found(hit), "cid"))])
    return tuple(_slow_visual(hit, names) for hit in slowest)


def _slow_visual(hit: Json, names: dict[str, str]) -> SlowVisual:
    fields, (duration, when) = _found(hit), hit["sort"]
    cid = _first(fields, "cid")
    name = names.get(cid) if cid else None
    return SlowVisual(moment(when), name, _first(fields, "user"), cid, duration)


def _names(client: Elasticsearch, alias: str, cids: list[str]) -> dict[str, str]:
    named = {"names": {"terms": {"field": "visualizationName", "size": 1}}}
    by_cid = {"by_cid": {"terms": {"field": "cid", "size": TOP}, "aggs": named}}
    answer = client.search(index=alias, size=0, query={"terms": {"cid": cids}}, aggs=by_cid)
    buckets = answer["aggregations"]["by_cid"]["buckets"]
    return {cid["key"]: name["key"] for cid in buckets for name in cid["names"]["buckets"]}


def _deleted(client: Elasticsearch, alias: str) -> Json:
    answer = client.search(
        index=alias,
        size=2 * TOP,
        track_total_hits=True,
        query={"term": {"status": "DELETED"}},
        sort=[_by_date("desc")],
        docvalue_fields=_values("activityType", "user", *NAMES),
        source=False,
    )
    hits: Json = answer["hits"]
    return hits


def _deletion(hit: Json) -> Deletion:
    fields = _found(hit)
    name = next((_first(fields, field) for field in NAMES if field in fields), None)
    return Deletion(
        moment(hit["sort"][0]), _first(fields, "activityType") or NOT_SET, name, _first(fields, "user")
    )


def _values(*fields: str) -> list[Json]:
    return [{"field": field} for field in fields]


def _found(hit: Json) -> Json:
    """The requested values; the server leaves the object out if there are none."""
    fields: Json = hit.get("fields", {})
    return fields


def _first(fields: Json, field: str) -> str | None:
    values = fields.get(field)
    return str(values[0]) if values else None
