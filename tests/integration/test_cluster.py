"""A cluster of three nodes, of which some are killed under load."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from indexer.demo.embedded import Embedded
from indexer.elastic.client import connect
from indexer.settings import Connection, State
from tests.integration.test_follow import writing
from tests.support.lab import LOG, Lab, numbered
from tests.support.nodes import cluster_of

NODES = ("one", "two", "three")


@pytest.fixture(scope="module")
def nodes(elasticsearch_version: str) -> Iterator[dict[str, Embedded]]:
    """A cluster of three nodes."""
    with cluster_of(NODES, elasticsearch_version) as started:
        yield started


@pytest.fixture
def lab(nodes: dict[str, Embedded], tmp_path: Path) -> Iterator[Lab]:
    """A laboratory on all three nodes, green."""
    urls = [node.url for node in nodes.values()]
    connection = replace(
        Connection(), elasticsearch_url=urls, alias=f"t{token_hex(6)}-activity", request_timeout=10
    )
    logs = tmp_path / "logs"
    logs.mkdir()
    with connect(connection) as client:
        laboratory = Lab(connection, client.options(max_retries=5), logs, State(tmp_path / "state"))
        laboratory.install()
        healthy(laboratory.client)
        yield laboratory


def healthy(client: Elasticsearch) -> None:
    """Wait until all three nodes are there and all shards are assigned."""
    patient = client.options(request_timeout=90)
    patient.cluster.health(wait_for_status="green", wait_for_nodes="3", timeout="60s")


def test_nodes_killed_under_load_lose_nothing_and_double_nothing(
    lab: Lab, nodes: dict[str, Embedded]
) -> None:
    """First the node that holds the primary, then another that the indexer talks to; each joins again."""
    lines = numbered(9000)
    with (
        lab.following(batch_bytes=20_000) as following,
        writing(lab.logs / LOG, lines, rotate_at=100_000),
    ):
        for share in (1, 2):
            following.until_created(1000 * share)
            shards: Any = lab.client.cat.shards(index=f"{lab.connection.alias}-000001", format="json")
            holders = {shard["node"] for shard in shards if (shard["prirep"] == "p") == (share == 1)}
            victim = nodes[min(holders)]
            victim.kill()
            victim.restart()
            healthy(lab.client)
        following.until(lambda: following.heard.totals.read >= len(lines))
    assert lab.numbers() == list(range(len(lines)))
    assert following.report is not None
    totals = following.report.totals
    assert totals.read == totals.created + totals.duplicates == len(lines)
