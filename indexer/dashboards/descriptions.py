"""The files of mappings/kibana/: descriptions of data views, saved searches, dashboards and rules."""

from pathlib import Path
from typing import Any

import orjson

import indexer
from indexer.setup.plan import directory

Json = dict[str, Any]


def read(name: str) -> Json:
    """The content of `mappings/kibana/NAME.json`."""
    path = directory(Path(indexer.__file__).parent) / "kibana" / f"{name}.json"
    content: Json = orjson.loads(path.read_bytes())
    return content


def plain(markdown: str) -> str:
    """The text without the marks for bold."""
    return markdown.replace("**", "")
