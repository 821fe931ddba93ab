"""The started stack as a test sees it: Compose and Docker as commands, the monitoring page, the index, the logs."""

import io
import json
import subprocess
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from elasticsearch import Elasticsearch

from indexer.elastic.client import connect
from indexer.settings import Connection
from tests.containers.parts import Secrets

PATIENCE = 90.0
"""Seconds after which something that has not happened never will."""
HARDENED = (
    "--read-only",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges:true",
    "--memory=256m",
    "--pids-limit=64",
)
"""What compose/common.yaml says of the indexer."""
MONITORING = 9464
LIVE = "/logs/zoomdata-activity.log"
Finished = subprocess.CompletedProcess[str]


def docker(*arguments: str | Path, check: bool = True) -> Finished:
    """Run the command `docker`."""
    return _finished(["docker", *map(str, arguments)], check=check)


def _finished(command: Sequence[str], *, check: bool) -> Finished:
    ended = subprocess.run(command, check=False, text=True, capture_output=True)
    assert not check or ended.returncode == 0, f"{' '.join(command)}\n{ended.stdout}{ended.stderr}"
    return ended


def until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.1)


@dataclass(frozen=True, slots=True)
class Images:
    """The names of what was built."""

    indexer: str
    elasticsearch: str


@dataclass(frozen=True, slots=True)
class Stack:
    """One project of Compose."""

    command: Sequence[str]
    """Compose, with the file and the project."""
    project: str
    images: Images
    base: str
    secrets: Secrets

    # ---- containers

    def compose(self, *arguments: str, check: bool = True) -> Finished:
        """Run a command of Compose."""
        return _finished([*self.command, *arguments], check=check)

    def container(self, service: str) -> str:
        """The id of a service's container, running or not."""
        return self.compose("ps", "--all", "--quiet", service).stdout.split()[0]

    def inspect(self, service: str) -> dict[str, Any]:
        """All that Docker knows of a service's container."""
        found: list[dict[str, Any]] = orjson.loads(docker("inspect", self.container(service)).stdout)
        return found[0]

    def port(self, service: str, inside: int) -> int:
        """The port on loopback that stands for a port of a service; another one after each start."""
        return int(self.compose("port", service, str(inside)).stdout.rpartition(":")[2])

    def operator(self, *arguments: str) -> Finished:
        """Run a command of the indexer as an operator does, who may read."""
        return self.compose("run", "--rm", "--no-deps", "-T", "operator", *arguments, check=False)

    def alone(
        self, *arguments: str, variables: Mapping[str, str] | None = None, options: Sequence[str] = ()
    ) -> Finished:
        """Run a command of the indexer in a container of its own, as the user `writer`, with a state of its own."""
        given = {
            "INDEXER_ELASTICSEARCH_URL": "https://elasticsearch:9200",
            "INDEXER_CA_CERTS": "/run/secrets/ca.crt",
            "INDEXER_USERNAME": "writer",
            "INDEXER_PASSWORD_FILE": "/run/secrets/writer",
        } | dict(variables or {})
        environment = [f"--env={name}={value}" for name, value in given.items()]
        files = [
            f"--volume={self.secrets.directory}/{name}:/run/secrets/{name}:ro"
            for name in ("ca.crt", "writer")
        ]
        network = f"--network={self.project}_default"
        return docker(
            "run",
            "--rm",
            network,
            *HARDENED,
            *environment,
            *files,
            *options,
            self.images.indexer,
            *arguments,
            check=False,
        )

    # ---- what the indexer says of itself

    def ask(self, path: str) -> tuple[int, bytes]:
        """The status and the body of a page of the indexer's monitoring; 0 without an answer."""
        try:
            port = self.port("indexer", MONITORING)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read()
        except (OSError, ValueError, AssertionError):
            return 0, b""

    def ready(self) -> bool:
        """Tell whether it says that it is."""
        return self.ask("/readyz")[0] == 200

    def metric(self, name: str) -> float:
        """The value of a metric, with its labels as they are written; NaN if it is not there."""
        _, page = self.ask("/metrics")
        values = (line.rpartition(" ") for line in page.decode().splitlines())
        return next((float(value) for key, _, value in values if key == name), float("nan"))

    # ---- what is in the logs, and in the index

    def lines(self) -> list[bytes]:
        """Every line of every log in the volume, none of them cut."""
        packed = subprocess.run(
            ["docker", "cp", f"{self.container('writer')}:/logs", "-"], check=True, capture_output=True
        )
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
            files = [archive.extractfile(member) for member in archive if member.isfile()]
        return [line.removesuffix(b"\n") for file in files if file for line in file]

    def connection(self, user: str) -> Connection:
        """How the tests themselves talk to the server."""
        return self.secrets.connection(user, self.port("elasticsearch", 9200))

    def sources(self) -> list[bytes]:
        """Every entry behind the alias as the server gives it, byte for byte."""
        with connect(self.connection("setup")) as client:  # reading does not need the right to refresh
            client.indices.refresh(index=self.connection("setup").alias)
        connection = self.connection("reader")
        with connect(connection, raw=True) as client:
            return [source for page in _pages(client, connection.alias) for source in page]

    def settle(self) -> None:
        """Stop the writer, and wait until what it has written is delivered."""
        self.compose("stop", "--timeout", "5", "writer")
        size = docker("exec", self.container("indexer"), "stat", "-c", "%s", LIVE).stdout
        until(
            lambda: self.ready() and self._seen(LIVE) == int(size) and self.metric("indexer_lag_bytes") == 0
        )

    def _seen(self, log: str) -> int:
        """The size of a log when the indexer last looked at it, which is up to some seconds ago."""
        known = orjson.loads(self.ask("/status")[1])["now"]["logs"]
        return next((found["size"] for found in known if found["path"] == log), 0)


def _pages(client: Elasticsearch, alias: str) -> Iterator[list[bytes]]:
    body: Any = client.search(index=alias, size=5000, scroll="1m", sort="_doc").body
    while page := _sources(body):
        yield page
        body = client.scroll(scroll_id=json.loads(body)["_scroll_id"], scroll="1m").body


def _sources(body: bytes) -> list[bytes]:
    """The bytes of each `_source` in an answer to a search; none of ours has that word in it."""
    texts = body.decode().split('"_source":')[1:]
    return [text[: json.JSONDecoder().raw_decode(text)[1]].encode() for text in texts]
