"""The embedded Elasticsearch, started for real."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

from indexer.demo import installation
from indexer.demo.embedded import Embedded, Java
from indexer.demo.installation import RELEASES
from indexer.elastic.client import connect
from indexer.elastic.server import inspect_server
from indexer.errors import EmbeddedFailed
from indexer.settings import Connection
from tests.support.lab import until

START_AND_WAIT = """
import signal, sys
from indexer.demo.embedded import Embedded, Java
server = Embedded(sys.argv[1]).start()
if "keep" in sys.argv:
    server.keep()
else:
    print(server.pid, server.port, server.directory, flush=True)
    signal.pause()
print(server.pid, server.port, server.directory, flush=True)
"""


@pytest.fixture(scope="module")
def embedded(elasticsearch_version: str) -> Iterator[Embedded]:
    """A server for the tests that leave it running."""
    with Embedded(elasticsearch_version) as server:
        yield server


@pytest.fixture
def elasticsearch(embedded: Embedded) -> Iterator[Elasticsearch]:
    """A client of it."""
    with connect(Connection(elasticsearch_url=[embedded.url])) as client:
        yield client


def state(pid: int) -> str:
    """A process's user id and state as `ps` shows them; empty if there is none."""
    return subprocess.run(
        ["ps", "-o", "uid=,stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()


def gone(pid: int) -> bool:
    """The process does not exist or is a zombie."""
    found = state(pid)
    return not found or found.split()[1].startswith("Z")


def test_it_is_the_version_that_was_asked_for(
    embedded: Embedded, elasticsearch: Elasticsearch, elasticsearch_version: str
) -> None:
    """It answers with the version that was asked for."""
    assert str(inspect_server(elasticsearch)) == str(RELEASES[elasticsearch_version])
    assert elasticsearch.cluster.health()["status"] == "green"


def test_it_listens_on_loopback_only(elasticsearch: Elasticsearch) -> None:
    """HTTP and transport port are on loopback addresses."""
    nodes = elasticsearch.nodes.info(node_id="_local", metric="http,transport")["nodes"]
    (node,) = nodes.values()
    addresses = node["http"]["bound_address"] + node["transport"]["bound_address"]
    assert len(addresses) >= 2
    assert all(ip_address(address.rpartition(":")[0].strip("[]")).is_loopback for address in addresses)


def test_it_does_not_run_as_root(embedded: Embedded) -> None:
    """Started by root, it runs as another user."""
    assert int(state(embedded.pid).split()[0]) == (os.geteuid() or embedded.directory.stat().st_uid)
    assert embedded.directory.stat().st_uid != 0


def test_a_second_start_fetches_and_unpacks_nothing(embedded: Embedded) -> None:
    """The second start uses the cache."""
    steps: list[str] = []
    before = installation.prepare(embedded.version)
    made = before.server.stat().st_ino
    assert installation.prepare(embedded.version, steps.append) == before
    assert steps == []
    assert before.server.stat().st_ino == made


def test_kill_and_restart_keep_documents_and_port(embedded: Embedded, elasticsearch: Elasticsearch) -> None:
    """After SIGKILL and a restart the same address has the same documents."""
    elasticsearch.index(index="kept", id="1", document={"a": 1})
    url, pid = embedded.url, embedded.pid
    embedded.kill()
    until(lambda: gone(pid))  # it may still be giving its memory back
    embedded.restart()
    assert embedded.url == url
    assert embedded.pid != pid
    assert elasticsearch.get(index="kept", id="1")["_source"] == {"a": 1}


def test_it_dies_with_a_parent_that_is_killed(elasticsearch_version: str) -> None:
    """SIGKILL of the process that started it leaves no server, no guard and no files."""
    parent = subprocess.Popen(
        [sys.executable, "-c", START_AND_WAIT, elasticsearch_version], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid, _, directory = parent.stdout.readline().split()
    assert not gone(int(pid))
    group = os.getpgid(int(pid))
    parent.kill()
    parent.wait()
    until(lambda: gone(int(pid)) and gone(group))
    assert not Path(directory).exists()


def test_kept_it_outlives_its_parent_until_it_is_ended(elasticsearch_version: str) -> None:
    """`--keep`: it outlives the process that started it, and `kill` removes its files."""
    ended = subprocess.run(
        [sys.executable, "-c", START_AND_WAIT, elasticsearch_version, "keep"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    pid, port, directory = ended.stdout.split()
    try:
        with connect(Connection(elasticsearch_url=[f"http://127.0.0.1:{port}"])) as client:
            assert client.cluster.health()["status"] == "green"
    finally:
        os.kill(int(pid), signal.SIGTERM)
    until(lambda: gone(int(pid)) and not Path(directory).exists())


def test_a_server_that_cannot_start_shows_why(elasticsearch_version: str) -> None:
    """The error has the errors of the log, and no files are left."""
    server = Embedded(elasticsearch_version, settings={"no.such.setting": 1})
    with pytest.raises(EmbeddedFailed, match=r"unknown setting \[no\.such\.setting\]"):
        server.start()
    assert not server.directory.exists()


def test_a_java_that_cannot_start_shows_why(elasticsearch_version: str) -> None:
    """Errors of Java are in the message too."""
    with pytest.raises(EmbeddedFailed, match="NoSuchOption"):
        Embedded(elasticsearch_version, java=Java(flags=["-XX:+NoSuchOption"])).start()


def test_a_start_that_takes_too_long_is_given_up(elasticsearch_version: str) -> None:
    """A server that is not ready in time is an error, and is stopped."""
    server = Embedded(elasticsearch_version)
    with pytest.raises(EmbeddedFailed, match=r"not ready after 0\.1 s"):
        server.start(timeout=0.1)
    assert not server.directory.exists()
