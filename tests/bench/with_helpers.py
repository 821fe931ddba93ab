"""A log through the helpers of the Elasticsearch client, as one would write it with them; ids as ours.

python with_helpers.py streaming|parallel URL ALIAS LOG

streaming  `streaming_bulk` with its defaults, lines read by `json`
parallel   `parallel_bulk` with its defaults, lines read by `orjson`
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import orjson
from elasticsearch import Elasticsearch
from elasticsearch.helpers import parallel_bulk, streaming_bulk

Loads = Callable[[bytes], Any]


def actions(log: Path, alias: str, loads: Loads) -> Iterator[dict[str, Any]]:
    with log.open("rb") as lines:
        generation = crc32(lines.readline().removesuffix(b"\n"))
        lines.seek(0)
        offset = 0
        for line in lines:
            yield {
                "_op_type": "create",
                "_index": alias,
                "_id": f"{generation:08x}{offset:012x}{crc32(line[:-1]):08x}",
                "_source": loads(line),
            }
            offset += len(line)


def main() -> None:
    way, url, alias, log = sys.argv[1:]
    with Elasticsearch(url, request_timeout=60) as client:
        results = (
            streaming_bulk(client, actions(Path(log), alias, json.loads))
            if way == "streaming"
            else parallel_bulk(client, actions(Path(log), alias, orjson.loads))
        )
        for _ in results:  # an error raises
            pass


if __name__ == "__main__":
    main()
