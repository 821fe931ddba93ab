"""Points in time: what an alias or index holds at one moment, for reading it page by page. The interface of each product."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

from indexer.elastic.cluster import Cluster
from indexer.elastic.copies import refreshed
from indexer.elastic.failures import reading_answer
from indexer.elastic.server import Product

ACCEPT = {"accept": "application/json"}
SHARDS = "index.number_of_shards"


class View(NamedTuple):
    """An open point in time."""

    pit: str
    order: str
    """The field to sort by, after all others: each hit of the view has another value."""
    slices: int
    """How many slices of it to read at once."""


@dataclass(frozen=True, slots=True)
class _Interface:
    path: str
    """To open one, after the index; to close one, alone."""
    key: str
    """Of its id in the answer."""
    closing: Callable[[str], dict[str, Any]]
    """The body that closes it."""
    order: str
    by_shard: bool
    """The order is one of each shard alone, so that each needs a point in time of its own."""
    slices: int
    """Of a view."""


_INTERFACES = {
    Product.ELASTICSEARCH: _Interface(
        "/_pit", "id", lambda pit: {"id": pit}, "_shard_doc", by_shard=False, slices=2
    ),
    # `_shard_doc` is unknown to 2.17.0 and 2.19.6 (measured). A slice is found by the hash of each id, again for each page:
    # of 2,000,000 entries 2.19.6 returns 69,000 a second in two slices, 328,000 in one (measured).
    Product.OPENSEARCH: _Interface(
        "/_search/point_in_time", "pit_id", lambda pit: {"pit_id": [pit]}, "_doc", by_shard=True, slices=1
    ),
}


def views(
    cluster: Cluster, index: str, keep_alive: str, *, missing_ok: bool = False
) -> Generator[View, None, None]:
    """Points in time that together hold what is behind an alias or in an index; each is closed before the next is opened.

    keep_alive   how long one lives without a request.
    missing_ok   an index that does not exist has none. Else NotFoundError is raised, as is what the client raises.
    """
    client = cluster.client.options(ignore_status=404) if missing_ok else cluster.client
    interface = _INTERFACES[cluster.product]
    for name, shard in (
        _shards(cluster, index, missing_ok=missing_ok) if interface.by_shard else [(index, None)]
    ):
        params = {"keep_alive": keep_alive} | refreshed(cluster, shard)
        path = f"/{quote(name, safe='')}{interface.path}"
        opened: Any = client.perform_request("POST", path, params=params, headers=ACCEPT).body
        if opened.get("status") == 404 and missing_ok:
            continue
        with reading_answer():
            pit = str(opened[interface.key])
        try:
            yield View(pit, interface.order, interface.slices)
        finally:
            cluster.client.options(ignore_status=404).perform_request(
                "DELETE",
                interface.path,
                headers=ACCEPT | {"content-type": "application/json"},
                body=interface.closing(pit),
            )


def _shards(cluster: Cluster, index: str, *, missing_ok: bool) -> list[tuple[str, int]]:
    """The shards of each index."""
    client = cluster.client.options(ignore_status=404) if missing_ok else cluster.client
    answer = client.indices.get_settings(index=index, name=SHARDS, flat_settings=True).body
    if answer.get("status") == 404:
        return []
    with reading_answer():
        counts = {name: int(it["settings"][SHARDS]) for name, it in sorted(answer.items())}
    return [(name, shard) for name, count in counts.items() for shard in range(count)]
