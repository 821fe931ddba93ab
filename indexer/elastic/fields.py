"""What is in the fields: how close an index is to its field limit, unsearchable values, entries by activity type."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import elasticsearch
from elasticsearch import Elasticsearch

from indexer.elastic import counting
from indexer.elastic.cluster import Cluster
from indexer.elastic.counting import COUNTED, OF_ENTRIES
from indexer.elastic.server import Product

LIMIT = "index.mapping.total_fields.limit"
IGNORES = "index.mapping.total_fields.ignore_dynamic_beyond_limit"
DEFAULT_LIMIT = 1000
"""If an index sets none (Elasticsearch guide, "Mapping limit settings")."""
NAMED = 10
"""How many of the fields are named."""


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of an index, as the server counts them for its limit."""

    index: str
    mapped: int
    limit: int
    ignored_beyond: bool
    """At the limit, new fields are stored in `_source` only; else an entry with one is rejected."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """Entries with a value in `_source` that is not searchable (`_ignored`): "n/a" in a number, a long text."""

    entries: int
    fields: dict[str, int] | None
    """Entries by field, for the most frequent; None if the server cannot tell (indices created before 8.15, OpenSearch)."""
    values: str
    """Which values are counted, one of COUNTED_VALUES."""


COUNTED_VALUES = {Product.ELASTICSEARCH: "values", Product.OPENSEARCH: "malformed values"}
"""OpenSearch does not count long texts (measured on 2.17.0 and 2.19.6)."""


def count(mappings: Mapping[str, Any]) -> int:
    """Count objects, leaves, multi-fields, aliases and runtime fields, as the server does for its limit.

    (Measured on 8.19.16 and 9.1.5; 7.17.28 leaves out runtime fields.)
    """
    below = mappings.get("properties", {}).values()
    here = len(below) + len(mappings.get("fields", {})) + len(mappings.get("runtime", {}))
    return here + sum(count(each) for each in below)


def fields(client: Elasticsearch, index: str) -> Fields:
    """Count an index's fields; needs `view_index_metadata`. Raises what the client raises."""
    mappings = client.indices.get_mapping(index=index)[index]["mappings"]
    answer = client.indices.get_settings(index=index, name=[LIMIT, IGNORES], flat_settings=True)
    settings = answer.get(index, {}).get("settings", {})
    return Fields(
        index, count(mappings), int(settings.get(LIMIT, DEFAULT_LIMIT)), settings.get(IGNORES) == "true"
    )


def ignored(cluster: Cluster) -> Ignored:
    """Count entries with ignored values; needs `read`. Raises what the client raises."""
    search = partial(
        cluster.client.search,
        index=cluster.alias,
        size=0,
        track_total_hits=True,
        query={"exists": {"field": "_ignored"}},
    )
    by_field = {"fields": counting.terms("_ignored", NAMED)}
    try:
        answer = search(aggs=by_field)
    except elasticsearch.BadRequestError:
        # An index created before 8.15 has no values of _ignored; those of OpenSearch 2.11.1 to 2.19.6 cannot be aggregated (measured).
        answer = search()
    buckets = answer.get("aggregations", {}).get("fields", {}).get("buckets")
    named = None if buckets is None else {bucket["key"]: counting.count(bucket) for bucket in buckets}
    return Ignored(answer["hits"]["total"]["value"], named, COUNTED_VALUES[cluster.product])


def entries_by_type(client: Elasticsearch, alias: str, size: int) -> tuple[dict[str, int], int]:
    """Entries by activity type, for the `size` most frequent types, and the entries of all other types; needs `read`."""
    asked = {
        "types": counting.terms("activityType", size),
        "typed": {"filter": {"exists": {"field": "activityType"}}, "aggs": {COUNTED: OF_ENTRIES}},
    }
    answer = client.search(index=alias, size=0, aggs=asked, track_total_hits=False)
    found = answer["aggregations"]
    types = {it["key"]: counting.count(it) for it in found["types"]["buckets"]}
    return types, max(0, counting.count(found["typed"]) - sum(types.values()))
