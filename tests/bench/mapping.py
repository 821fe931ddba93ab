"""What the shipped mapping costs a server, beside Elasticsearch's default and beside other choices.

    python tests/bench/mapping.py [--elasticsearch-url URL] [--count 100000] [--rounds 3] [NAME ...]

The same bodies go to a fresh index of each variant, in turns, over two connections; the first turn is not counted.
Shown: the median of entries a second, of the server's CPU per entry, and the bytes an entry takes on disk after a
forced merge; each also as a ratio to the first variant. mappings/README.md
has the figures and what was chosen by them.
"""

import argparse
import statistics
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

from elasticsearch import Elasticsearch

from indexer.demo.embedded import Embedded, Java
from indexer.demo.profiles import Profile
from indexer.demo.sample import entries
from indexer.elastic.client import connect
from indexer.elastic.server import inspect_server
from indexer.settings import Connection
from indexer.setup.plan import plan

INDEX = "bench-mapping"
BODY_BYTES = 5 * 1024 * 1024
GENERATION = 0x3F0A9C2E
LONG = "payload", "queries", "query", "readRequest", "request", "sourceAsString"
NO_POSITIONS = {"type": "text", "norms": False, "index_options": "docs"}

Body = dict[str, Any]
MakeId = Callable[[int, int], str]
"""Byte offset and checksum of a line → its id."""


def hex28(offset: int, checksum: int) -> str:
    """The shipped form: generation, byte offset, checksum."""
    return f"{GENERATION:08x}{offset:012x}{checksum:08x}"


def hex24(offset: int, checksum: int) -> str:
    """An offset of 4 GiB at most."""
    return f"{GENERATION:08x}{offset:08x}{checksum:08x}"


def base64_20(offset: int, checksum: int) -> str:
    """The same 14 bytes as hex28."""
    return urlsafe_b64encode(bytes.fromhex(hex28(offset, checksum))).decode().rstrip("=")


def checksum_first(offset: int, checksum: int) -> str:
    """As long as hex28; neighbours share no prefix."""
    return f"{checksum:08x}{GENERATION:08x}{offset:012x}"


@dataclass(frozen=True, slots=True)
class Variant:
    """An index to fill: its settings, its mappings and how ids look in it."""

    settings: Body
    mappings: Body
    make_id: MakeId = hex28


@dataclass(frozen=True, slots=True)
class Figures:
    """What filling an index once came to."""

    speed: float
    """Entries a second."""
    cpu: float
    """Microseconds of the server's CPU an entry."""
    disk: float
    """Bytes an entry."""


def variants(client: Elasticsearch) -> dict[str, Variant]:
    """Every choice that mappings/README.md speaks of."""
    bodies = {request.name: request.body for request in plan(inspect_server(client), Connection())}
    settings = bodies["zoomdata-activity-settings"]["template"]["settings"]
    mappings = bodies["zoomdata-activity-mappings"]["template"]["mappings"]

    def shipped(changed: Body, *, long: Body | None = None, whole: Body | None = None) -> Variant:
        other = deepcopy(mappings)
        if long:
            other["properties"] |= dict.fromkeys(LONG, long)
        if whole:
            for rule in other["dynamic_templates"]:
                rule.get("whole_numbers", {}).update(mapping=whole)
        return Variant(
            {key: value for key, value in (settings | changed).items() if value is not None}, other
        )

    unsorted: Body = {"index.sort.field": None, "index.sort.order": None}
    default_codec = {"index.codec": "default"}
    return {
        "default": Variant({}, {}),
        "shipped": shipped({}),
        "default codec": shipped(default_codec),
        "not sorted": shipped(unsorted),
        "not sorted, default codec": shipped(unsorted | default_codec),
        "sorted by activityType": shipped({"index.sort.field": "activityType", "index.sort.order": "asc"}),
        "sorted by eventDate": shipped({"index.sort.field": "eventDate", "index.sort.order": "asc"}),
        "text without positions": shipped({}, long=NO_POSITIONS),
        "long as keyword": shipped({}, long={"type": "keyword", "ignore_above": 8191}),
        "long not indexed": shipped({}, long={"type": "keyword", "index": False, "doc_values": False}),
        "whole numbers as long": shipped({}, whole={"type": "long"}),
        "refresh 1s": shipped({"index.refresh_interval": "1s"}),
        "refresh 30s": shipped({"index.refresh_interval": "30s"}),
        "id hex24": Variant(settings, mappings, hex24),
        "id base64_20": Variant(settings, mappings, base64_20),
        "id checksum first": Variant(settings, mappings, checksum_first),
    }


def bulk_bodies(lines: list[bytes], make_id: MakeId) -> Iterator[bytes]:
    """Bulk requests of about BODY_BYTES."""
    parts, size, offset = list[bytes](), 0, 0
    for line in lines:
        parts.append(b'{"create":{"_id":"%b"}}\n%b\n' % (make_id(offset, crc32(line)).encode(), line))
        size += len(parts[-1])
        offset += len(line) + 1
        if size >= BODY_BYTES:
            yield b"".join(parts)
            parts, size = [], 0
    yield b"".join(parts)


def server_cpu(client: Elasticsearch) -> float:
    """Seconds of CPU that the server has used. It measures once a second: wait until it has done so again."""

    def sample() -> tuple[float, float]:
        (node,) = client.nodes.stats(metric="process")["nodes"].values()
        return node["process"]["timestamp"], node["process"]["cpu"]["total_in_millis"] / 1000

    before, (moment, seconds) = sample()[0], sample()
    while moment == before:
        time.sleep(0.05)
        moment, seconds = sample()
    return seconds


def fill(client: Elasticsearch, variant: Variant, lines: list[bytes]) -> Figures:
    """Fill a fresh index, measure, and remove it."""
    bodies = list(bulk_bodies(lines, variant.make_id))
    client.options(ignore_status=404).indices.delete(index=INDEX)
    client.indices.create(index=INDEX, settings=variant.settings, mappings=variant.mappings)

    def send(body: Any) -> bool:
        answer: Any = client.bulk(index=INDEX, operations=body, filter_path="errors,items.*.error").body
        return bool(answer == b'{"errors":false}')

    cpu, started = server_cpu(client), time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        assert all(pool.map(send, bodies)), "an entry was refused"
    took, cpu = time.perf_counter() - started, server_cpu(client) - cpu
    client.indices.forcemerge(index=INDEX, max_num_segments=1)
    client.indices.flush(index=INDEX, force=True)
    client.indices.refresh(index=INDEX)
    total = client.indices.stats(index=INDEX, metric="docs,store")["_all"]["primaries"]
    assert total["docs"]["count"] == len(lines)
    client.indices.delete(index=INDEX)
    return Figures(len(lines) / took, cpu * 1e6 / len(lines), total["store"]["size_in_bytes"] / len(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", metavar="NAME", help="variants; all of them if none is given")
    parser.add_argument("--elasticsearch-url", help="an embedded server is started if none is given")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with ExitStack() as stack:
        # The options that make the embedded server start fast make it slow afterwards.
        url = given.elasticsearch_url or stack.enter_context(Embedded(java=Java(heap=1024, flags=()))).url
        client = stack.enter_context(connect(Connection(elasticsearch_url=[url], request_timeout=600)))
        report(client, given.count, given.rounds, given.names)


def report(client: Elasticsearch, count: int, rounds: int, names: list[str]) -> None:
    """Measure, and print the table."""
    lines = list(entries(count, end=datetime(2026, 11, 23, tzinfo=UTC), profile=Profile.ZOOMDATA_2))
    known = variants(client)
    runs: dict[str, list[Figures]] = {name: [] for name in names or known}
    for _ in range(rounds + 1):
        for name, figures in runs.items():
            figures.append(fill(client, known[name], lines))
    print(f"{inspect_server(client)}, {count:,} entries of {statistics.mean(map(len, lines)):.0f} B")
    print(
        "| variant | entries/s | × | server CPU µs/entry | × | bytes/entry | × |\n|---|--:|--:|--:|--:|--:|--:|"
    )
    base = medians(next(iter(runs.values())))
    for name, figures in runs.items():
        got = medians(figures)
        print(
            f"| {name} | {got.speed:,.0f} | {got.speed / base.speed:.2f}"
            f" | {got.cpu:.1f} | {got.cpu / base.cpu:.2f} | {got.disk:.0f} | {got.disk / base.disk:.2f} |"
        )


def medians(figures: list[Figures]) -> Figures:
    """Of all turns but the first, in which the server was still warming up."""
    counted = figures[1:]
    return Figures(
        *(statistics.median(getattr(it, name) for it in counted) for name in ("speed", "cpu", "disk"))
    )


if __name__ == "__main__":
    main()
