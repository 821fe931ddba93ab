"""Whether a refused entry has values of different types for one new field: such an entry never goes in.

The refusal reads as that of an entry whose new field had another type in another request at the same time (measured on
OpenSearch 2.19.6), which goes in a moment later. The two are told apart by the entry itself.
"""

import json
import re
from collections.abc import Iterator

_FIELD = re.compile(
    r"mapper \[(.*?)\] cannot be changed from type |can't merge a non object mapping \[(.*?)\] with an object mapping",
    re.DOTALL,
)


def conflicts_with_itself(entry: bytes, reason: str) -> bool:
    """Tell whether the field that the reason names has values of several types in the entry."""
    field = _FIELD.match(reason)
    if field is None:
        return False
    try:
        content = json.loads(entry)  # takes half of a surrogate pair, as the server does
        return len(set(_types(content, field[1] or field[2]))) > 1
    except (ValueError, RecursionError):
        return False


def _types(value: object, path: str) -> Iterator[str]:
    """The type of each value at a path: texts and booleans have one in the shipped mapping, and all numbers have one."""
    match value:
        case list():
            for item in value:
                yield from _types(item, path)
        case dict() if path:
            for key, item in value.items():
                if key == path:
                    yield from _types(item, "")
                elif path.startswith(f"{key}."):
                    yield from _types(item, path[len(key) + 1 :])
                elif key.startswith(f"{path}."):
                    yield "object"
        case dict():
            yield "object"
        case _ if not path and value is not None:
            yield "text" if isinstance(value, (str, bool)) else "number"
