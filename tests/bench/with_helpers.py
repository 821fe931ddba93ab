"""A log through the helpers of a client library, as one would write it with them; ids as ours.

python with_helpers.py elasticsearch:Elasticsearch|opensearchpy:OpenSearch streaming|parallel URL ALIAS LOG

streaming  `streaming_bulk` with its defaults, lines read by `json`
parallel   `parallel_bulk` with its defaults, lines read by `orjson`
"""

import json
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from zlib import crc32

import orjson

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
    library, way, url, alias, log = sys.argv[1:]
    module, _, client_class = library.partition(":")
    helpers = import_module(f"{module}.helpers")
    timeout = {"elasticsearch": "request_timeout", "opensearchpy": "timeout"}[module]
    with getattr(import_module(module), client_class)(url, **{timeout: 60}) as client:
        results = (
            helpers.streaming_bulk(client, actions(Path(log), alias, json.loads))
            if way == "streaming"
            else helpers.parallel_bulk(client, actions(Path(log), alias, orjson.loads))
        )
        for _ in results:  # an error raises
            pass


if __name__ == "__main__":
    main()
