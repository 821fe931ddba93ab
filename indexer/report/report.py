"""`indexer report`: queries Elasticsearch and writes the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

from elasticsearch import Elasticsearch

from indexer.dashboards.panels import Panel
from indexer.elastic.cluster import connected
from indexer.errors import Fatal
from indexer.report import results
from indexer.report.page import render
from indexer.report.queries import TIME, Period, aggregations, kql_query
from indexer.report.results import ReportData, Row
from indexer.report.sections import SavedSearch, Section, fields, formats, sections
from indexer.settings import Connection
from indexer.show import moment

PACKAGES = ("vl_convert", "jinja2")
NUMERIC = {
    "byte",
    "double",
    "float",
    "half_float",
    "integer",
    "long",
    "scaled_float",
    "short",
    "unsigned_long",
}
MAX_HITS = 50
"""Entries shown of a saved search."""


class ExtraMissing(Fatal):
    """The extra `report` is not installed."""

    sentence = "The report requires packages that are not installed."
    hint = "Install them: pip install 'zoomdata-indexer[report]'"


class NotWritten(Fatal):
    """The report cannot be written."""

    sentence = "Cannot write {file}: {reason}."
    hint = "Give another file with --out."


@dataclass(frozen=True, slots=True)
class WrittenReport:
    """A report on disk."""

    file: Path
    size: int
    """Bytes."""
    entries: int
    """In the period."""


def available() -> bool:
    """Whether the extra `report` is installed."""
    return all(find_spec(name) for name in PACKAGES)


def write(connection: Connection, period: Period, out: Path) -> WrittenReport:
    """Write the report for a period. Raises Fatal."""
    if not available():
        raise ExtraMissing
    if not out.parent.is_dir():
        raise NotWritten(file=out, reason="the directory does not exist")
    included = sections()
    with connected(connection) as cluster:
        data = collect(cluster.client, cluster.alias, period, included)
    page = render(data, included, datetime.now(UTC)).encode("utf-8", "backslashreplace")
    try:
        size = out.write_bytes(page)
    except OSError as error:
        raise NotWritten(file=out, reason=error.strerror) from None
    return WrittenReport(out, size, data.entries)


def collect(client: Elasticsearch, alias: str, period: Period, included: Sequence[Section]) -> ReportData:
    """Query the data of all sections: one search for each section and for each saved search. Raises what the client raises."""
    types = _field_types(client, alias, included)
    rows: dict[tuple[str, str], Sequence[Row]] = {}
    hits: dict[str, int] = {}
    left_out: dict[str, str] = {}
    entries = 0
    for section in included:
        countable = []
        for panel in section.panels:
            rows[section.id, panel.id] = ()
            if reason := _unusable(panel, types):
                left_out[f"{section.id}-{panel.id}"] = reason
            else:
                countable.append(panel)
        answer = _search(client, alias, period, aggs=aggregations(countable, period))
        entries = answer["hits"]["total"]["value"]
        for panel in countable:
            rows[section.id, panel.id] = results.rows(panel, answer["aggregations"][panel.id])
        for search in section.saved_searches:
            rows[section.id, search.id], hits[search.id] = _newest(client, alias, period, search)
    return ReportData(alias, period, entries, rows, hits, left_out, formats())


def _search(client: Elasticsearch, alias: str, period: Period, **more: Any) -> Any:
    query = {"bool": {"filter": [period.query, more.pop("query", {"match_all": {}})]}}
    return client.search(
        index=alias,
        size=more.pop("size", 0),
        query=query,
        track_total_hits=True,
        **more,
    )


def _field_types(client: Elasticsearch, alias: str, included: Sequence[Section]) -> dict[str, set[str]]:
    names = {field for section in included for panel in section.panels for field, _ in fields(panel)}
    # `fields` goes into the URL: the client's field_caps() puts it into the body, which 7.17 rejects.
    path = f"/{quote(alias)}/_field_caps?fields={quote(','.join(sorted(names)))}"
    found = client.perform_request("GET", path, headers={"accept": "application/json"}).body["fields"]
    return {field: set(types) - {"unmapped"} for field, types in found.items()}


def _unusable(panel: Panel, types: dict[str, set[str]]) -> str:
    """Why a panel cannot be computed, or "". The first value of a field determines its type in an index."""
    for field, must_be_numeric in fields(panel):
        numeric = {it in NUMERIC for it in types.get(field, set())}
        if len(numeric) > 1 or (must_be_numeric and False in numeric):
            return f"“{field}” is not numeric in at least one index, so this cannot be computed."
    return ""


def _newest(client: Elasticsearch, alias: str, period: Period, search: SavedSearch) -> tuple[list[Row], int]:
    hits = _search(
        client,
        alias,
        period,
        size=MAX_HITS,
        query=kql_query(search.where),
        # OpenSearch also sorts what cannot match (measured on 2.19.6): an index behind the alias may have no entries.
        sort=[{TIME: {"order": "desc", "unmapped_type": "date"}}],
        docvalue_fields=[{"field": it} for it in search.columns],
        source=False,
    )["hits"]
    return [_entry(hit, search) for hit in hits["hits"]], hits["total"]["value"]


def _entry(hit: dict[str, Any], search: SavedSearch) -> Row:
    """Time and columns. The time is the sort value: Elasticsearch cannot format every date, see `status.summary`."""
    found = hit.get("fields", {})
    return (
        moment(hit["sort"][0]),
        *(found[column][0] if column in found else None for column in search.columns),
    )
