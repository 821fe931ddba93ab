"""Reading a search answer byte for byte: each hit's `_source` is compared unparsed, as it is in the answer.

Elasticsearch copies a stored `_source` into the answer unchanged, unless the answer is filtered or pretty-printed (measured
on 7.17.28, 8.19.16 and 9.1.5). Parsing would lose the bytes, and fails on JSON that Elasticsearch accepts and strict parsers
do not: half a surrogate pair, comments.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

_BEGINNING = re.compile(
    rb'"hits":\{"total":\{"value":(?P<total>\d{1,18}),"relation":"eq"\},"max_score":[^,]+,"hits":\['
)
_HIT = re.compile(
    rb'\{"_index":"(?P<index>[^"]+)",(?:"_type":"[^"]+",)?"_id":"(?P<id>[^"]+)"'
    rb'(?:,"_score":[^,"]+)?(?:,"_ignored":\[(?:"(?:[^"\\]++|\\.)*+",?)*+\])?,"_source":'
)
_AFTER = re.compile(rb'(?:,"sort":\[[^\]"]*\])?\}(?=,\{"_index":"|\]\})')
_BLANKS = re.compile(rb"\s*")
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|/\*.*?(?:\*/|\Z)|//[^\r\n]*+|[{}]', re.DOTALL)
"""A brace, or what can contain one: a string or a comment, up to the end of the answer if that is truncated."""


class Held(NamedTuple):
    """A copy of an entry in an index, and whether it has the expected bytes."""

    id: bytes
    where: str
    """The index."""
    same: bool


def read_hits(answer: bytes, expected: Mapping[bytes, bytes]) -> list[Held] | None:
    """Compare each hit of an answer with the entry expected under its id.

    None if the answer cannot be read to its end or does not contain all hits: then search for fewer entries.
    """
    beginning = _BEGINNING.search(answer)
    if beginning is None:
        return None
    held: list[Held] = []
    at = beginning.end()
    while answer[at : at + 1] != b"]":
        hit = _HIT.match(answer, at)
        if hit is None or (entry := expected.get(hit["id"])) is None:
            return None
        start = hit.end()
        after = _AFTER.match(answer, start + len(entry)) if answer.startswith(entry, start) else None
        same = after is not None
        if after is None:
            after = _AFTER.match(answer, _end_of_object(answer, start))
        if after is None:
            return None
        held.append(Held(hit["id"], hit["index"].decode(errors="replace"), same))
        at = after.end()
        at += answer[at : at + 1] == b","
    return held if len(held) == int(beginning["total"]) else None


def _end_of_object(answer: bytes, start: int) -> int:
    """The end of the object that starts here, with the blanks behind it; that of the answer if it is not closed."""
    depth = 0
    for token in _TOKEN.finditer(answer, start):
        match answer[token.start() : token.start() + 1]:
            case b"{":
                depth += 1
            case b"}":
                depth -= 1
                if depth == 0:
                    blanks = _BLANKS.match(answer, token.end())
                    return blanks.end() if blanks else token.end()
    return len(answer)
