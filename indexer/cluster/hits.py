"""What a search answer holds, byte for byte: each hit's `_source` is compared as it stands in the answer, unparsed.

Elasticsearch copies a stored `_source` into an answer as it is, unless the answer is filtered or pretty-printed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_HIT = re.compile(
    rb'\{"_index":"(?P<index>[^"]+)","_id":"(?P<id>[^"]+)"'
    rb'(?:,"_score":[^,"]+)?(?:,"_ignored":\[(?:"(?:[^"\\]|\\.)*",?)*\])?,"_source":'
)
_AFTER = re.compile(rb'(?:,"sort":\[[^\]]*\])?\}')


@dataclass(frozen=True, slots=True)
class Held:
    """An entry that an index holds; `same` is None where the answer does not tell, and the index has to be asked."""

    id: bytes
    index: str
    same: bool | None


def read_hits(answer: bytes, expected: Mapping[bytes, bytes]) -> list[Held] | None:
    """Compare the hits of an answer with what is expected of each id, up to the first that is not the same.

    None if the answer cannot be read to its end, be it for a hit that differs: then it is for `parsed_hits`.
    """
    held: list[Held] = []
    at = answer.find(b'"hits":[')
    if at < 0:
        return []
    at += len(b'"hits":[')
    while answer[at : at + 1] != b"]":
        hit = _HIT.match(answer, at)
        if hit is None:
            return None
        entry = expected.get(hit["id"])
        if entry is None or not answer.startswith(entry, hit.end()):
            return None
        after = _AFTER.match(answer, hit.end() + len(entry))
        if after is None:
            return None
        held.append(Held(hit["id"], hit["index"].decode(), same=True))
        at = after.end()
        at += answer[at : at + 1] == b","
    return held
