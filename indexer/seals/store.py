"""The documents of the seals index: `<alias>-seals`. Leaves and checkpoints are only ever created."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import elastic_transport
import elasticsearch
import orjson

from indexer.elastic.cluster import Cluster
from indexer.elastic.copies import refreshed
from indexer.elastic.failures import describe, describe_error, reading_answer, reason_of, summarise
from indexer.elastic.server import LIFECYCLE
from indexer.seals.leaves import Kind
from indexer.writing.batches import Body, Pair, size_of
from indexer.writing.request import BulkFailed, post

BODY_BYTES = 512 * 1024
"""Size of a request, about."""
MOST_LOGS = 1000
"""Seal logs of one alias whose newest checkpoint is looked up."""
NO_INDEX = "index_not_found_exception"


class NotStored(Exception):  # noqa: N818 - the ordinary course of an outage
    """Elasticsearch did not take a document, or did not answer; the message says why."""


def leaf_id(log: str, number: int) -> str:
    """The id of a leaf, numbered from 0."""
    return f"{log}-{number:012d}"


def checkpoint_id(log: str, size: int) -> str:
    """The id of a checkpoint over `size` leaves."""
    return f"{log}-{size:012d}-checkpoint"


def bodies(documents: Iterator[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    """Group documents into requests; the first is alone, as it tells whether somebody else has written it."""
    group: list[tuple[str, bytes]] = []
    size, limit = 0, 0
    for identity, document in documents:
        size += size_of((identity.encode(), document))
        group.append((identity, document))
        if size >= limit:
            yield group
            group, size, limit = [], 0, BODY_BYTES
    if group:
        yield group


def create(cluster: Cluster, documents: Sequence[tuple[str, bytes]]) -> bool:
    """Create documents; False if one is there already with other content. Raises NotStored."""
    pairs: list[Pair] = [(identity.encode(), document) for identity, document in documents]
    try:
        answer = post(cluster.client, Body.of(pairs), cluster.connection.seals)
    except BulkFailed as failure:
        raise NotStored(failure.detail) from None
    if answer.index is not None:
        return True
    there = {}
    for item, (identity, document) in zip(answer.items, documents, strict=True):
        if item.status == 409:
            there[identity] = document
        elif item.status not in {200, 201}:
            raise NotStored(f"status {item.status}: {describe(item.reason or item.error_type)}")
    held = fetch(cluster, list(there))
    return all(held.get(identity) == orjson.loads(document) for identity, document in there.items())


def fetch(cluster: Cluster, ids: Sequence[str]) -> Mapping[str, Any]:
    """The documents with these ids that exist, parsed. Raises NotStored, without the index too."""
    if not ids:
        return {}
    try:
        answer = cluster.client.options(ignore_status=404).mget(index=cluster.connection.seals, ids=ids)
        with reading_answer():
            held = answer.get("docs", [])
            faults = [it["error"] for it in held if "error" in it]
            found = {it["_id"]: it["_source"] for it in held if it.get("found")}
    except (elasticsearch.ApiError, elastic_transport.TransportError) as error:
        raise NotStored(_why(error)) from None
    for fault in faults:
        if NO_INDEX in str(fault):
            raise NotStored(f"there is no index {cluster.connection.seals}: run `indexer template install`")
        raise NotStored(describe_error(fault))
    return found


def newest_checkpoints(cluster: Cluster) -> dict[str, Any]:
    """The newest checkpoint of each seal log of the alias, as documents, by log id. Raises NotStored."""
    try:
        cluster.client.options(ignore_status=[403, 404]).indices.refresh(index=cluster.connection.seals)
        answer = cluster.client.options(ignore_status=404).search(
            index=cluster.connection.seals,
            query={"term": {"kind": Kind.CHECKPOINT.value}},
            collapse={"field": "log"},
            sort=[{"size": "desc"}],
            size=MOST_LOGS,
            **refreshed(cluster),
        )
        with reading_answer():
            hits = answer["hits"]["hits"] if "hits" in answer else []
            return {hit["_source"]["log"]: hit["_source"] for hit in hits}
    except (elasticsearch.ApiError, elastic_transport.TransportError) as error:
        raise NotStored(_why(error)) from None


def counts(cluster: Cluster) -> dict[str, int]:
    """How many entries each index behind the alias holds, and how many lines the one of rejected lines. Raises NotStored."""
    held: dict[str, int] = {}
    client = cluster.client.options(ignore_status=404)
    try:
        for name in (cluster.alias, cluster.connection.rejected):
            client.indices.refresh(index=name)
            answer = client.indices.stats(index=name, metric="docs")
            with reading_answer():
                indices = answer.get("indices", {})
                held |= {index: int(its["primaries"]["docs"]["count"]) for index, its in indices.items()}
    except (elasticsearch.ApiError, elastic_transport.TransportError) as error:
        raise NotStored(_why(error)) from None
    return held


def retention(cluster: Cluster) -> str | None:
    """How long lifecycle management keeps an index after it was rolled over; None without it, or without the privilege."""
    try:
        if cluster.product not in LIFECYCLE:
            return None
        answer = cluster.client.options(ignore_status=[400, 403, 404, 405, 410]).ilm.get_lifecycle(
            name=cluster.alias
        )
        with reading_answer():
            found = answer.get(cluster.alias, {}).get("policy", {}).get("phases", {}).get("delete", {})
            return str(found["min_age"]) if "min_age" in found else None
    except (elasticsearch.ApiError, elastic_transport.TransportError) as error:
        raise NotStored(_why(error)) from None


def _why(error: elasticsearch.ApiError | elastic_transport.TransportError) -> str:
    if isinstance(error, elasticsearch.ApiError):
        return f"status {error.meta.status}: {describe(reason_of(error))}"
    return summarise(error)
