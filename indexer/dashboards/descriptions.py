"""The files of mappings/kibana/: descriptions of data views, saved searches, dashboards and rules."""

from pathlib import Path
from typing import Any

import orjson

import indexer
from indexer.setup.plan import directory

Json = dict[str, Any]


def read(name: str) -> Json:
    """The content of `mappings/kibana/NAME.json`."""
    content: Json = orjson.loads((_mappings() / "kibana" / f"{name}.json").read_bytes())
    return content


def texts() -> list[str]:
    """The text of each file that dashboards or alerts are made from, Kibana's and ElastAlert's."""
    files = [*_mappings().glob("kibana/*.json"), *_mappings().glob("alerts/*.yaml")]
    return [file.read_text("utf-8") for file in files]


def _mappings() -> Path:
    return directory(Path(indexer.__file__).parent)


def plain(markdown: str) -> str:
    """The text without the marks for bold."""
    return markdown.replace("**", "")
