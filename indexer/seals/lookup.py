"""Looking up leaves in the seals index: those of one file, and those of a log in their order."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from indexer.elastic.cluster import Cluster
from indexer.elastic.failures import reading_answer
from indexer.elastic.point_in_time import View, views
from indexer.errors import Fatal
from indexer.seals.leaves import Chunk, Kind, read_leaf
from indexer.seals.store import fetch, leaf_id

AT_ONCE = 16
"""Leaves in one answer: each has some 300 kB, if it is full."""
KEPT_ALIVE = "5m"
"""How long a point in time lives without a request."""
EXPECTS = 64 * 1024 * 1024
"""Bytes to allow for such an answer."""


class SealsDamaged(Fatal):
    """Leaves are missing from the index, or are not what was sealed."""

    sentence = "The seals in {index} are damaged: {reason}."
    hint = "`indexer verify --seals` says what else is."


@dataclass(frozen=True, slots=True)
class FoundLeaf:
    """A leaf of lines, or of lost bytes, in the index."""

    log: str
    number: int
    chunk: Chunk
    sealed: str
    data: bytes


def refresh(cluster: Cluster) -> None:
    """Make all leaves searchable, if the user may and the index exists."""
    cluster.client.options(ignore_status=[403, 404]).indices.refresh(index=cluster.connection.seals)


def leaves_of(cluster: Cluster, file: str, start: int = 0, end: int | None = None) -> Iterator[FoundLeaf]:
    """The leaves about bytes [start, end] of a file, in the order of their first byte. Raises what the client raises.

    A last line without line end lies behind the end of its leaf: so one that ends at `start` is among them.
    Raises SealsDamaged.
    """
    within: list[dict[str, Any]] = [
        {"term": {"file": file}},
        {"terms": {"kind": [Kind.LINES.value, Kind.LOST.value]}},
        {"range": {"to": {"gte": start}}},
    ]
    if end is not None:
        within.append({"range": {"from": {"lte": end}}})
    for view in views(cluster, cluster.connection.seals, KEPT_ALIVE, missing_ok=True):
        yield from _leaves_of(cluster, view, within)


def _leaves_of(cluster: Cluster, view: View, within: list[dict[str, Any]]) -> Iterator[FoundLeaf]:
    after = None
    while True:
        answer = cluster.client.search(
            pit={"id": view.pit, "keep_alive": KEPT_ALIVE},
            query={"bool": {"filter": within}},
            sort=[{"from": "asc"}, {"to": "asc"}, view.order],
            size=AT_ONCE,
            search_after=after,
        )
        with reading_answer():
            hits, view = answer["hits"]["hits"], view._replace(pit=str(answer["pit_id"]))
        for hit in hits:
            yield _found(hit, cluster.connection.seals)
        if len(hits) < AT_ONCE:
            return
        after = hits[-1]["sort"]


def _found(hit: dict[str, Any], index: str) -> FoundLeaf:
    identity = str(hit["_id"])
    log, _, number = identity.partition("-")
    data = as_bytes(hit["_source"])
    try:
        leaf, sealed = read_leaf(data)
    except ValueError as reason:
        raise SealsDamaged(index=index, reason=f"{identity} cannot be read: {reason}") from None
    if not isinstance(leaf, Chunk) or not number.isdecimal():
        raise SealsDamaged(index=index, reason=f"{identity} is no leaf of lines")
    return FoundLeaf(log, int(number), leaf, sealed, data)


def leaves_in_order(cluster: Cluster, log: str, size: int) -> Iterator[bytes]:
    """The first `size` leaves of a log. Raises SealsDamaged, NotStored."""
    for start in range(0, size, AT_ONCE):
        ids = [leaf_id(log, number) for number in range(start, min(start + AT_ONCE, size))]
        held = fetch(cluster, ids)
        for identity in ids:
            if identity not in held:
                raise SealsDamaged(index=cluster.connection.seals, reason=f"{identity} is missing")
            yield as_bytes(held[identity])


def as_bytes(source: Any) -> bytes:
    """A leaf as it was sealed: a leaf is written by orjson, so orjson gives the same bytes again."""
    return orjson.dumps(source)
