"""Which copies of a shard are asked: those that have what a refresh has just made searchable.

OpenSearch can copy segments to the replicas (`index.replication.type: SEGMENT`; always so on remote-backed storage): a
refresh does not wait for that. Just after one, of 60 each, on 2.19.6 (2.17.0) with copying slowed down to 20 kB/s, 42 (44)
searches and 35 (42) points in time lacked entries; without slowing down 1 (0) and 7 (6); on the primary shard none ever
(measured). A refresh of Elasticsearch reaches all copies; from 7 on it has no preference for the primary shard.
"""

from typing import Any

from indexer.elastic.cluster import Cluster
from indexer.elastic.server import Product

_REFRESHED = {Product.ELASTICSEARCH: (), Product.OPENSEARCH: ("_primary",)}
"""The preference of a search for them."""


def refreshed(cluster: Cluster, shard: int | None = None) -> dict[str, Any]:
    """The parameters of a search, or of opening a point in time, that has to find what was just refreshed; of one shard alone.

    Needs no privilege. Raises what the client raises.
    """
    preference = [*(() if shard is None else (f"_shards:{shard}",)), *_REFRESHED[cluster.product]]
    return {"preference": "|".join(preference)} if preference else {}
