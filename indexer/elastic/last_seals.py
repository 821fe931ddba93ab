"""When the alias was sealed last, from the unsigned copies in its signed checkpoints. Proves nothing: `verify --seals` does."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from elasticsearch import Elasticsearch

from indexer.events import overdue_after
from indexer.show import moment

MOST_LOGS = 1000
"""Seal logs that are looked at. A state directory has one, and a new one if its state is lost."""
COPIES = ("size", "every", "sealed")


@dataclass(frozen=True, slots=True)
class LastSeal:
    """The newest signed checkpoint of a seal log."""

    log: str
    """The id of the seal log."""
    sealed: datetime
    every: float
    """Seconds between two sealings."""
    size: int
    """Leaves that it covers."""

    def overdue(self, now: datetime) -> bool:
        """Whether another one should have followed by now."""
        return now - self.sealed > timedelta(seconds=overdue_after(self.every))


def last_seals(client: Elasticsearch, index: str) -> tuple[LastSeal, ...]:
    """The newest signed checkpoint of each seal log that no other one continues, newest first; empty without the index.

    Needs `read`. Raises what the client raises.
    """
    newest = {
        "size": 1,
        "sort": [{"size": "desc"}],
        "docvalue_fields": list(map(_value, COPIES)),
        "_source": False,
    }
    kind = [{"term": {"kind": "checkpoint"}}, *({"exists": {"field": each}} for each in COPIES)]
    answer = client.options(ignore_status=404).search(
        index=index,
        query={"bool": {"filter": kind}},
        size=0,
        aggs={
            "logs": {"terms": {"field": "log", "size": MOST_LOGS}, "aggs": {"newest": {"top_hits": newest}}}
        },
    )
    logs = answer.get("aggregations", {}).get("logs", {}).get("buckets", [])
    continued = _continued(client, index) if len(logs) > 1 else set()
    found = _last_seals(it for it in logs if it["key"] not in continued)
    return tuple(sorted(found, key=lambda it: it.sealed, reverse=True))


def _value(field: str) -> dict[str, str]:
    return {"field": field, "format": "epoch_millis"} if field == "sealed" else {"field": field}


def _last_seals(logs: Iterator[dict[str, Any]]) -> Iterator[LastSeal]:
    for log in logs:
        (hit,) = log["newest"]["hits"]["hits"]
        size, every, sealed = (hit["fields"][each][0] for each in COPIES)
        when = moment(float(sealed))
        if when is not None:  # else it is no date that an indexer writes
            yield LastSeal(log["key"], when, every, size)


def _continued(client: Elasticsearch, index: str) -> set[str]:
    """The ids of the seal logs that the start of another one names: the end of a note's first line, its origin."""
    starts = client.search(
        index=index, query={"term": {"kind": "start"}}, size=MOST_LOGS, source_includes=["previous"]
    )
    notes = [note for hit in starts["hits"]["hits"] for note in hit["_source"].get("previous") or ()]
    return {str(note).partition("\n")[0].rpartition("/")[2] for note in notes}
