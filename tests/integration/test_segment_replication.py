"""OpenSearch with segment replication: a replica gets what a refresh makes searchable later than the primary shard.

With any version of Elasticsearch, which has none, the newest OpenSearch is started instead.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from secrets import token_hex

import pytest

from indexer.demo.embedded import Embedded
from indexer.demo.installation import NEWEST, RELEASES
from indexer.elastic.client import connect
from indexer.elastic.server import Product
from indexer.seals import state, store
from indexer.settings import Connection, State
from indexer.verify.sealed_lines import generation_of
from tests.conftest import in_memory
from tests.support.lab import LOG, Lab, joined, numbered, until
from tests.support.nodes import cluster_of

SEGMENTS = {"cluster.indices.replication.strategy": "SEGMENT"}
SPEED = "indices.recovery.max_bytes_per_sec"
"""At which segments are copied: with the usual one a test seldom meets a replica that lacks some."""
ROUNDS = 5
"""Without a preference, about every other read asks the replica (measured on 2.17.0 and 2.19.6)."""
LINES = [b"no entry", *numbered(1)]
"""One is rejected."""


@pytest.fixture(scope="module")
def nodes(elasticsearch_version: str) -> Iterator[list[Embedded]]:
    """Two nodes, so that each index has a replica."""
    opensearch = RELEASES[elasticsearch_version].distribution.product is Product.OPENSEARCH
    version = elasticsearch_version if opensearch else NEWEST[Product.OPENSEARCH]
    with cluster_of(("one", "two"), version, settings=SEGMENTS, parent=in_memory()) as started:
        yield list(started.values())


@pytest.fixture
def lab(nodes: list[Embedded], tmp_path: Path) -> Iterator[Lab]:
    """A laboratory with sealing on both nodes. The replicas have ROUNDS times LINES, and fall behind from now on."""
    urls = [node.url for node in nodes]
    connection = replace(Connection(), elasticsearch_url=urls, alias=f"t{token_hex(6)}-activity")
    (tmp_path / "logs").mkdir()
    with connect(connection) as client:
        laboratory = Lab(connection, client, tmp_path / "logs", State(tmp_path / "state")).sealing()
        laboratory.install()
        laboratory.append(LINES * ROUNDS)
        laboratory.run()
        client.cluster.health(wait_for_status="green", timeout="30s")
        client.indices.refresh(index=connection.alias)
        on_replica = partial(client.search, index=connection.alias, preference="_replica")
        until(lambda: on_replica()["hits"]["total"]["value"] == ROUNDS)
        client.cluster.put_settings(persistent={SPEED: "2kb"})
        yield laboratory
        client.cluster.put_settings(persistent={SPEED: None})


def signed(lab: Lab) -> int:
    """The size of the newest checkpoint, by the state directory."""
    sealed = state.load(lab.state.state_dir / state.DIRECTORY)
    assert sealed is not None
    return sealed.signed


def newest_checkpoint(lab: Lab) -> int:
    """That which a new seal log would continue."""
    (checkpoint,) = store.newest_checkpoints(lab.cluster).values()
    return int(checkpoint["size"])


READS: dict[str, Callable[[Lab], int]] = {
    "verify by scan": lambda lab: lab.verify(scan=True).present,
    "verify --seals": lambda lab: lab.verify_seals().present,
    "rejected list": lambda lab: lab.rejected().total,
}


def test_what_was_just_written_is_read(lab: Lab) -> None:
    """By each command that refreshes and then searches."""
    found, expected = [], []
    for count in range(ROUNDS + 1, 2 * ROUNDS + 1):
        lab.append(LINES)
        lab.run()
        found.append(({name: read(lab) for name, read in READS.items()}, newest_checkpoint(lab)))
        expected.append((dict.fromkeys(READS, count), signed(lab)))
    assert found == expected


def test_an_entry_that_was_just_altered_is_found_by_its_id(lab: Lab) -> None:
    """Not as it was before."""
    entries = lab.client.search(index=lab.connection.alias, preference="_primary")["hits"]["hits"]
    for count, entry in enumerate(entries, 1):
        altered = {**entry["_source"], "n": -1}
        lab.client.index(index=entry["_index"], id=entry["_id"], document=altered)
        assert lab.verify(scan=False).different == count


def test_a_file_that_was_just_sealed_is_found(lab: Lab) -> None:
    """By its path, as `seal export` looks for it."""
    for number in range(ROUNDS):
        path = lab.log(joined(numbered(3, 100 * number)), f"{number}-{LOG}")
        lab.run()
        lab.client.indices.refresh(index=lab.connection.seals)
        assert generation_of(lab.cluster, str(path)), f"round {number}"
