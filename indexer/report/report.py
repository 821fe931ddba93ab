"""Asks Elasticsearch for all that the page shows, and writes it."""

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
from indexer.report.page import Found, render
from indexer.report.queries import TIME, Period, aggregations, where
from indexer.report.results import Row
from indexer.report.sections import Listing, Section, fields, formats, sections
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
NEWEST = 50
"""Entries of a listing."""


class ExtraMissing(Fatal):
    """The packages that draw are not installed."""

    sentence = "A report needs packages that are not installed."
    hint = "Install them: pip install 'zoomdata-indexer[report]'"


class NotWritten(Fatal):
    """The file cannot be written."""

    sentence = "Cannot write {file}: {reason}."
    hint = "Choose another place with --out."


@dataclass(frozen=True, slots=True)
class Written:
    """What came of it."""

    file: Path
    size: int
    """Bytes."""
    entries: int
    """In the period."""


def available() -> bool:
    """Tell whether the packages that draw are installed."""
    return all(find_spec(name) for name in PACKAGES)


def write(connection: Connection, period: Period, out: Path) -> Written:
    """Write the page. Raises Fatal."""
    if not available():
        raise ExtraMissing
    if not out.parent.is_dir():
        raise NotWritten(file=out, reason="there is no such directory")
    shown = sections()
    with connected(connection) as cluster:
        found = find(cluster.client, cluster.alias, period, shown)
    page = render(found, shown, datetime.now(UTC)).encode("utf-8", "backslashreplace")
    try:
        size = out.write_bytes(page)
    except OSError as error:
        raise NotWritten(file=out, reason=error.strerror) from None
    return Written(out, size, found.entries)


def find(client: Elasticsearch, alias: str, period: Period, shown: Sequence[Section]) -> Found:
    """Ask for all of it: the fields, one search a section, and one a listing. Raises what the client raises."""
    kinds = _kinds(client, alias, shown)
    rows: dict[tuple[str, str], Sequence[Row]] = {}
    listed: dict[str, int] = {}
    left_out: dict[str, str] = {}
    entries = 0
    for section in shown:
        asked = []
        for panel in section.panels:
            rows[section.id, panel.id] = ()
            if reason := _unsuitable(panel, kinds):
                left_out[f"{section.id}-{panel.id}"] = reason
            else:
                asked.append(panel)
        answer = _search(client, alias, period, aggs=aggregations(asked, period))
        entries = answer["hits"]["total"]["value"]
        for panel in asked:
            rows[section.id, panel.id] = results.rows(panel, answer["aggregations"][panel.id])
        for listing in section.listings:
            rows[section.id, listing.id], listed[listing.id] = _newest(client, alias, period, listing)
    return Found(alias, period, entries, rows, listed, left_out, formats())


def _search(client: Elasticsearch, alias: str, period: Period, **more: Any) -> Any:
    query = {"bool": {"filter": [period.query, more.pop("query", {"match_all": {}})]}}
    return client.search(
        index=alias,
        size=more.pop("size", 0),
        query=query,
        track_total_hits=True,
        allow_partial_search_results=False,
        **more,
    )


def _kinds(client: Elasticsearch, alias: str, shown: Sequence[Section]) -> dict[str, set[str]]:
    names = {field for section in shown for panel in section.panels for field, _ in fields(panel)}
    # By address: 7.17 refuses the body that the client makes of the names.
    path = f"/{quote(alias)}/_field_caps?fields={quote(','.join(sorted(names)))}"
    found = client.perform_request("GET", path, headers={"accept": "application/json"}).body["fields"]
    return {field: set(kinds) - {"unmapped"} for field, kinds in found.items()}


def _unsuitable(panel: Panel, kinds: dict[str, set[str]]) -> str:
    """Why it cannot be counted: the first value of a field decides what an index takes it for, and may have been odd."""
    for field, reckoned in fields(panel):
        numeric = {kind in NUMERIC for kind in kinds.get(field, set())}
        if len(numeric) > 1 or (reckoned and False in numeric):
            return f"“{field}” is no number in some index, so it cannot be reckoned with."
    return ""


def _newest(client: Elasticsearch, alias: str, period: Period, listing: Listing) -> tuple[list[Row], int]:
    hits = _search(
        client,
        alias,
        period,
        size=NEWEST,
        query=where(listing.where),
        sort=[{TIME: "desc"}],
        docvalue_fields=[{"field": it} for it in listing.columns],
        source=False,
    )["hits"]
    return [_entry(hit, listing) for hit in hits["hits"]], hits["total"]["value"]


def _entry(hit: dict[str, Any], listing: Listing) -> Row:
    """The time is what was sorted by: Elasticsearch fails to write some, see `cluster.summary`."""
    found = hit.get("fields", {})
    return (
        moment(hit["sort"][0]),
        *(found[column][0] if column in found else None for column in listing.columns),
    )
