"""When the alias was sealed last, from the unsigned copies in its signed checkpoints. Proves nothing: `verify --seals` does."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from elasticsearch import Elasticsearch

from indexer.events import overdue_after

MOST_LOGS = 1000
"""Seal logs that are looked at. A state directory has one, and a new one if its state is lost."""


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

    Raises what the client raises.
    """
    newest = {
        "top_hits": {"size": 1, "sort": [{"size": "desc"}], "_source": ["log", "sealed", "every", "size"]}
    }
    answer = client.search(
        index=index,
        ignore_unavailable=True,
        query={"term": {"kind": "checkpoint"}},
        size=0,
        aggs={"logs": {"terms": {"field": "log", "size": MOST_LOGS}, "aggs": {"newest": newest}}},
    )
    logs = answer["aggregations"]["logs"]["buckets"] if "aggregations" in answer else []
    continued = _continued(client, index) if len(logs) > 1 else set()
    found = [
        _last_seal(it["newest"]["hits"]["hits"][0]["_source"]) for it in logs if it["key"] not in continued
    ]
    return tuple(sorted(found, key=lambda it: it.sealed, reverse=True))


def _last_seal(checkpoint: dict[str, Any]) -> LastSeal:
    sealed = datetime.fromisoformat(checkpoint["sealed"])
    return LastSeal(checkpoint["log"], sealed, checkpoint["every"], checkpoint["size"])


def _continued(client: Elasticsearch, index: str) -> set[str]:
    """The ids of the seal logs that the start of another one names: the last part of a note's first line, its origin."""
    starts = client.search(
        index=index, query={"term": {"kind": "start"}}, size=MOST_LOGS, source_includes=["previous"]
    )
    notes = [note for hit in starts["hits"]["hits"] for note in hit["_source"].get("previous", ())]
    return {note.partition("\n")[0].rpartition("/")[2] for note in notes}
