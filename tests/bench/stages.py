"""Where our client's CPU goes: each stage by itself, on a real log.

Measured with the thread's own CPU clock, since a profiler distorts work of a fraction of a microsecond. What is sent
goes to a server in this process that reads it and answers as Elasticsearch does when all goes well.
"""

import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from elasticsearch import Elasticsearch

from indexer.elastic.client import connect
from indexer.reading.entries import entries_of
from indexer.reading.files import look_at
from indexer.reading.lines import Lines, LineSplitter
from indexer.reading.reader import BLOCK
from indexer.reading.sources import open_log
from indexer.settings import Connection, Delivery
from indexer.writing.answers import read_answer
from indexer.writing.batches import Batch, Batcher
from indexer.writing.request import post

PASSES = 5
READ, SPLIT, IDENTIFY, BUILD, SEND, ANSWER = (
    "read blocks",
    "split at LF",
    "ids and checksums",
    "build bodies",
    "send: client.bulk and the kernel",
    "read the answers",
)
ITEM = b'{"create":{"_index":"zoomdata-activity-000001","status":201}}'


def answer_to(count: int) -> bytes:
    return b'{"errors":false,"items":[' + b",".join([ITEM] * count) + b"]}"


class Sink(BaseHTTPRequestHandler):
    """Takes every bulk request."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_PUT(self) -> None:
        """Answer that every entry was created."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = answer_to(body.count(b"\n") // 2)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_PUT  # noqa: N815

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


@contextmanager
def sink() -> Iterator[Elasticsearch]:
    """A client of our own making, connected to a Sink."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Sink) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        with connect(Connection(elasticsearch_url=[url])) as client:
            yield client
        server.shutdown()


class Clock:
    """Adds up this thread's CPU, stage by stage, in seconds."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Count what is done within."""
        started = time.thread_time()
        yield
        self.spent[stage] += time.thread_time() - started


def one_pass(log: Path, client: Elasticsearch) -> defaultdict[str, float]:
    """Read, make and send all of a log, one stage after the other."""
    clock, facts = Clock(), look_at(str(log))
    assert facts is not None
    source, splitter = open_log(facts), LineSplitter(0, Delivery().max_line_bytes)
    batcher: Batcher[None] = Batcher(Delivery().batch_bytes)

    def send(batch: Batch[None]) -> None:
        answer = answer_to(batch.body.count)
        with clock(SEND):
            post(client, batch.body, "zoomdata-activity-000001")
        with clock(ANSWER):
            read_answer(answer, batch.body.count)
        batcher.reuse(batch)

    while True:
        with clock(READ):
            block = source.read_at(splitter.position, BLOCK)
        if not block:
            break
        with clock(SPLIT):
            parts = splitter.feed(block)
        for part in parts:
            assert isinstance(part, Lines)
            with clock(IDENTIFY):
                entries = entries_of(part, 0, log.name)
            with clock(BUILD):
                batches = list(batcher.add(entries, None, log.name))
            for batch in batches:
                send(batch)
    for batch in batcher.flush():
        send(batch)
    source.close()
    clock.spent[SEND] -= clock.spent[ANSWER]  # `post` reads the answer, too
    return clock.spent


def stages(log: Path, count: int) -> dict[str, float]:
    """Microseconds of CPU an entry, of each stage: medians."""
    with sink() as client:
        passes = [one_pass(log, client) for _ in range(PASSES)]
    return {stage: statistics.median(it[stage] for it in passes) * 1e6 / count for stage in passes[0]}
