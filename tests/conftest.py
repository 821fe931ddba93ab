"""The server that the tests run against: one embedded Elasticsearch for the whole run, or one named on the command line."""

import os
import secrets
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch
from hypothesis import HealthCheck, settings

from indexer.demo.embedded import Embedded
from indexer.demo.installation import DEFAULT, RELEASES
from indexer.elastic.client import connect
from indexer.elastic.server import Product, inspect_server
from indexer.settings import Connection

pytest_plugins = ["tests.support.secured", "tests.support.secured_opensearch"]
pytest.register_assert_rewrite("tests.support")

# The machine may be busy with other tests: how long an example takes tells nothing.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("elasticsearch")
    group.addoption("--elasticsearch-url", help="test against this server instead of starting one")
    group.addoption(
        "--elasticsearch-version", choices=RELEASES, default=DEFAULT, help="which embedded server to start"
    )


@pytest.fixture(scope="session", autouse=True)
def _hangup() -> None:
    """Under `nohup` a hangup is ignored, by all that is started too; the tests are about what it does else."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def in_memory(room: int = 4 * 1024**3) -> Path | None:
    """A directory in memory for a server, if there is one with so many bytes free that programs may be started from.

    A template is installed there in half the time (measured): each change of the cluster's state is synced.
    """
    memory = Path("/dev/shm")
    if not memory.is_dir() or os.statvfs(memory).f_flag & os.ST_NOEXEC:
        return None
    return memory if shutil.disk_usage(memory).free > room else None


@dataclass(frozen=True, slots=True)
class TestServer:
    """What the tests run against."""

    __test__ = False

    url: str
    version: str


@pytest.fixture(scope="session")
def elasticsearch_version(request: pytest.FixtureRequest) -> str:
    """The version that embedded servers are started in."""
    version: str = request.config.getoption("--elasticsearch-version")
    return version


@pytest.fixture(scope="session")
def lifecycle_management(elasticsearch_version: str) -> None:
    """For tests that are wholly about index lifecycle management, with the stand-in for it: left out on OpenSearch."""
    if RELEASES[elasticsearch_version].distribution.product is Product.OPENSEARCH:
        pytest.skip(
            "OpenSearch has no index lifecycle management: `indexer run --rollover`, which test_rollover_command is about"
        )


@pytest.fixture(scope="session")
def kibana(elasticsearch_version: str) -> None:
    """For tests of what Kibana asks the server: left out on OpenSearch."""
    if RELEASES[elasticsearch_version].distribution.product is Product.OPENSEARCH:
        pytest.skip(
            "Kibana works with Elasticsearch alone: the report, which test_report is about, has the same panels"
        )


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Iterator[TestServer]:
    """The server of this run, started when the first test asks for it."""
    given = request.config.getoption("--elasticsearch-url")
    if given:
        with connect(Connection(elasticsearch_url=[given])) as client:
            version = str(inspect_server(client))
        yield TestServer(given, version)
        return
    version = request.getfixturevalue("elasticsearch_version")
    with Embedded(version, parent=in_memory()) as embedded:
        yield TestServer(embedded.url, version)


@pytest.fixture
def connection(server: TestServer) -> Iterator[Connection]:
    """The server under an alias of this test's own; whatever bears its name is deleted afterwards."""
    connection = Connection(elasticsearch_url=[server.url], alias=f"t{secrets.token_hex(6)}-activity")
    yield connection
    with connect(connection) as client:
        delete_all(client, f"{connection.alias}*")


@pytest.fixture
def client(connection: Connection) -> Iterator[Elasticsearch]:
    """A client as the indexer builds it."""
    with connect(connection) as client:
        yield client


def delete_all(client: Elasticsearch, pattern: str) -> None:
    """Delete the indices and templates of these names.

    By name, since 8.x and 9.x refuse to delete by wildcard (`action.destructive_requires_name`).
    """
    for index in client.indices.get(index=pattern, expand_wildcards="all", filter_path="*.aliases"):
        client.indices.delete(index=index)
    lenient = client.options(ignore_status=404)  # what they answer when no template matches
    for template in lenient.indices.get_index_template(name=pattern)["index_templates"]:
        client.indices.delete_index_template(name=template["name"])
    for component in lenient.cluster.get_component_template(name=pattern)["component_templates"]:
        client.cluster.delete_component_template(name=component["name"])
