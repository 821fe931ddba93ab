"""Counting entries in aggregations, whatever fields they have.

A document with a number in `_doc_count` counts that many times in each bucket's `doc_count` (Elasticsearch guide, "_doc_count
field", from 7.11 on), and an entry may have any field. So documents are counted by `_index`, of which each has one.
"""

import math
from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]
COUNTED = "entries"
"""The name of the sub-aggregation."""
OF_ENTRIES: Json = {"value_count": {"field": "_index"}}


def terms(field: str, size: int, inside: Json | None = None, **more: Any) -> Json:
    """The most frequent values of a field; within each bucket, `inside` and the count."""
    ranked = {"field": field, "size": size, "order": [{COUNTED: "desc"}, {"_key": "asc"}], **more}
    return {"terms": ranked, "aggs": {**(inside or {}), COUNTED: OF_ENTRIES}}


def count(bucket: Mapping[str, Any]) -> int:
    """The entries in a bucket or result that was counted with `OF_ENTRIES`."""
    return int(bucket[COUNTED]["value"])


def figure(found: Any) -> float | None:
    """The value of a metric aggregation; None if there is none or it is not finite (the text "Infinity")."""
    return None if found is None or not math.isfinite(float(found)) else float(found)
