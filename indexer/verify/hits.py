"""What a search answer holds, byte for byte: each hit's `_source` is compared as it stands in the answer, unparsed.

Elasticsearch copies a stored `_source` into an answer as it is, unless the answer is filtered or pretty-printed
(measured on 7.17.28, 8.19.16 and 9.1.5). To parse the answer would be to lose what is to be compared, and fails on what
Elasticsearch takes for JSON and stricter parsers do not: half a surrogate pair, comments.
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
"""What can open or close an object, or hide a brace: a string, a comment; each up to the end of an answer that is cut."""


class Held(NamedTuple):
    """An entry that an index holds, and whether its bytes are those that were expected."""

    id: bytes
    where: str
    """The index."""
    same: bool


def read_hits(answer: bytes, expected: Mapping[bytes, bytes]) -> list[Held] | None:
    """Compare each hit of an answer with what is expected under its id.

    None if the answer cannot be read to its end, or does not hold all that was found: then ask for less at once.
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
    """Find where the object ends that starts here, with the blanks behind it; the answer's end if it never does."""
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
