"""A cluster of three nodes, of which some are killed under load."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from indexer.demo.embedded import Embedded, Java
from indexer.elastic.client import connect
from indexer.settings import Connection, State
from tests.integration.test_follow import writing
from tests.support.lab import LOG, Lab, numbered

NODES = ("one", "two", "three")


def free_ports(count: int) -> list[int]:
    """Ports on which nothing listens now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@pytest.fixture(scope="module")
def nodes(elasticsearch_version: str) -> Iterator[dict[str, Embedded]]:
    """A cluster of three nodes."""
    ports = dict(zip(NODES, free_ports(len(NODES)), strict=True))
    cluster = f"cluster-{token_hex(4)}"
    with ExitStack() as stack:
        started: dict[str, Embedded] = {}
        for name, port in ports.items():
            settings = {
                "cluster.name": cluster,
                "node.name": name,
                "discovery.type": None,
                "discovery.seed_hosts": [f"127.0.0.1:{other}" for other in ports.values()],
                "cluster.initial_master_nodes": list(NODES),
                "transport.port": port,
            }
            node = Embedded(elasticsearch_version, settings=settings, java=Java(heap=384))
            stack.callback(node.stop)
            node.launch()
            started[name] = node
        for node in started.values():
            node.wait()
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
