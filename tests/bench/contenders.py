"""Who is measured against whom, each as a process of its own, on the same job."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import rsyslog
from elasticsearch import Elasticsearch

from indexer.elastic.alias import FIRST
from indexer.elastic.server import Product, product_of
from indexer.reading.entries import entries_of
from indexer.reading.lines import Lines, LineSplitter
from indexer.reading.reader import BLOCK
from indexer.settings import Connection, Delivery
from indexer.writing.answers import FILTER_PATH
from indexer.writing.batches import Batch, Batcher

HERE = Path(__file__).parent
INDEXER = str(Path(sys.executable).with_name("indexer"))
CEILING, STREAMING, OURS = (
    "pre-built bodies, 2 HTTP connections",
    "helpers.streaming_bulk",
    "indexer run --once",
)
GENERATION = 0x3F0A9C2E
LOOK = 0.02
"""Polling interval, in seconds, for a contender that does not end by itself."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process took."""

    seconds: float
    cpu: float
    """Seconds of user and system time."""
    memory: float
    """The largest resident set in MB."""

    def __sub__(self, start: "Usage") -> "Usage":
        return Usage(self.seconds - start.seconds, self.cpu - start.cpu, self.memory)


@dataclass(frozen=True, slots=True)
class Job:
    """A log to index, and the bulk bodies that its entries make."""

    log: Path
    bodies: Path
    count: int

    @classmethod
    def of(cls, directory: Path, lines: Iterable[bytes]) -> "Job":
        """Write both into a new directory."""
        job = cls(directory / "zoomdata-activity.log", directory / "bodies", 0)
        job.bodies.mkdir(parents=True)
        with job.log.open("wb") as log:
            log.writelines(line + b"\n" for line in lines)
        count = 0
        for batch in bulk_bodies(job.log):
            (job.bodies / f"{count:09}").write_bytes(batch.body.data)
            count += batch.body.count
        return cls(job.log, job.bodies, count)

    def repeated(self, log: Path, size: int) -> "Job":
        """Write a log of `size` bytes that repeats the lines of this one; the bodies stay as they are."""
        count, left = 0, size
        with log.open("wb") as file:
            for line in cycle(self.log.read_bytes().splitlines(keepends=True)):
                left -= file.write(line)
                count += 1
                if left <= 0:
                    break
        return Job(log, self.bodies, count)


def blocks(log: Path) -> Iterator[bytes]:
    """Read a log as our indexer does."""
    with log.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def bulk_bodies(log: Path) -> Iterator[Batch[None]]:
    """Make the bodies that our indexer sends for a log."""
    batcher: Batcher[None] = Batcher(Delivery().batch_bytes)
    splitter = LineSplitter(0, Delivery().max_line_bytes)
    for block in blocks(log):
        for part in splitter.feed(block):
            assert isinstance(part, Lines)
            yield from batcher.add(entries_of(part, GENERATION, log.name), None, log.name)
    yield from batcher.flush()


@dataclass(frozen=True, slots=True)
class Bench:
    """Where the contenders meet: a server, and a directory for what they leave behind."""

    client: Elasticsearch
    connection: Connection
    directory: Path

    @property
    def url(self) -> str:
        """The server's address."""
        return self.connection.elasticsearch_url[0]

    @property
    def index(self) -> str:
        """The index behind the alias."""
        return self.connection.alias + FIRST

    def scratch(self) -> Path:
        """A new directory for one turn."""
        return Path(tempfile.mkdtemp(dir=self.directory))

    def indexed(self) -> int:
        """How many entries the server has taken, refreshed or not."""
        answer = self.client.indices.stats(index=self.index, metric="indexing")
        return int(answer["_all"]["primaries"]["indexing"]["index_total"])


def measure(command: Sequence[str]) -> Usage:
    """Run a command. Raises CalledProcessError, after saying what the command said."""
    done = launch(command)
    said, complaints = done.communicate()
    if done.returncode:
        sys.stderr.buffer.write(complaints)
        raise subprocess.CalledProcessError(done.returncode, list(command))
    return Usage(**orjson.loads(said))


def launch(command: Sequence[str]) -> "subprocess.Popen[bytes]":
    """Start a command; on standard output there will be its Usage."""
    launcher = (sys.executable, "-I", "-S", str(HERE / "measured.py"))
    return subprocess.Popen([*launcher, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


Contender = Callable[[Bench, Job], Usage]


def ceiling(bench: Bench, job: Job) -> Usage:
    """Bodies that lie ready, two plain HTTP connections."""
    address = urlsplit(bench.url)
    path = f"/{bench.connection.alias}/_bulk?require_alias=true&filter_path={FILTER_PATH}"
    script = str(HERE / "ceiling.py")
    return measure([sys.executable, script, str(address.hostname), str(address.port), path, str(job.bodies)])


def streaming_bulk(bench: Bench, job: Job) -> Usage:
    """`helpers.streaming_bulk`, lines read by `json`."""
    return _helper("streaming", bench, job)


def parallel_bulk(bench: Bench, job: Job) -> Usage:
    """`helpers.parallel_bulk`, lines read by `orjson`."""
    return _helper("parallel", bench, job)


LIBRARIES = {
    Product.ELASTICSEARCH: "elasticsearch:Elasticsearch",
    Product.OPENSEARCH: "opensearchpy:OpenSearch",  # pip install opensearch-py
}


def _helper(way: str, bench: Bench, job: Job) -> Usage:
    script, library = str(HERE / "with_helpers.py"), LIBRARIES[product_of(bench.client)]
    return measure([sys.executable, script, library, way, bench.url, bench.connection.alias, str(job.log)])


def omelasticsearch(bench: Bench, job: Job) -> Usage:
    """rsyslog; its time ends when the server has the last entry."""
    address = urlsplit(bench.url)
    directory = bench.scratch()
    host, port, index = str(address.hostname), address.port or 80, bench.connection.alias
    started = time.perf_counter()
    process = launch(rsyslog.command(directory, job.log, host, port, index))
    identity = directory / "pid"
    while process.poll() is None and not (identity.exists() and bench.indexed() >= job.count):
        time.sleep(LOOK)
    seconds = time.perf_counter() - started
    os.kill(int(identity.read_text()), signal.SIGTERM)
    return replace(Usage(**orjson.loads(process.communicate()[0])), seconds=seconds)


def ours(bench: Bench, job: Job) -> Usage:
    """`indexer run --once`."""
    where = ["--elasticsearch-url", bench.url, "--state-dir", str(bench.scratch())]
    return measure([INDEXER, "run", "--once", *where, str(job.log)])


def contenders() -> dict[str, Contender]:
    """All that can be measured here, the one that others are compared with first."""
    found: dict[str, Contender] = {
        CEILING: ceiling,
        STREAMING: streaming_bulk,
        "helpers.parallel_bulk": parallel_bulk,
    }
    if rsyslog.installed():
        found["rsyslog imfile → omelasticsearch"] = omelasticsearch
    return found | {OURS: ours}
