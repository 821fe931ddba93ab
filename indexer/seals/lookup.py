"""Looking up leaves in the seals index: those of one file, and those of a log in their order."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from indexer.elastic.cluster import Cluster
from indexer.elastic.failures import reading_answer
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
    with _point_in_time(cluster) as opened:
        pit, after = opened, None
        while pit is not None:
            answer = cluster.client.search(
                pit={"id": pit, "keep_alive": KEPT_ALIVE},
                query={"bool": {"filter": within}},
                sort=[{"from": "asc"}, {"to": "asc"}],
                size=AT_ONCE,
                search_after=after,
                allow_partial_search_results=False,
            )
            with reading_answer():
                hits, pit = answer["hits"]["hits"], str(answer["pit_id"])
            for hit in hits:
                yield _found(hit, cluster.connection.seals)
            if len(hits) < AT_ONCE:
                return
            after = hits[-1]["sort"]  # with the place in the shard, so that no two leaves have the same


@contextmanager
def _point_in_time(cluster: Cluster) -> Iterator[str | None]:
    """None if there is no index of seals."""
    client = cluster.client.options(ignore_status=404)
    answer = client.open_point_in_time(index=cluster.connection.seals, keep_alive=KEPT_ALIVE)
    if "id" not in answer:
        yield None
        return
    try:
        yield str(answer["id"])
    finally:
        client.close_point_in_time(id=answer["id"])


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
