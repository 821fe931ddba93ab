"""Documents of the seals index as the sealer writes them, with digests and signatures that are made up."""

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from elasticsearch import Elasticsearch

Document = dict[str, Any]
LOG = "0123456789abcdef"


def moment(at: datetime) -> str:
    """A time as the sealer writes it."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def note(size: int, log: str = LOG) -> str:
    """A signed checkpoint over the first `size` leaves."""
    root, signature = (base64.b64encode(bytes([size % 256]) * length).decode() for length in (32, 68))
    return f"audit/{log}\n{size}\n{root}\n\n— audit {signature}\n"


def lines(path: str, at: datetime, start: int, end: int, **counts: int) -> Document:
    """A leaf for the bytes of a file from `start` to `end`."""
    packed = base64.b64encode(bytes(26 * (counts["entries"] + counts.get("rejected", 0)))).decode()
    counted = {"entries": 0, "rejected": 0, "blank": 0, "duplicates": 0} | counts
    where = {"file": "89abcdef", "path": path, "from": start, "to": end}
    rest = {"index": "zoomdata-activity-000001", "lines": packed, "sealed": moment(at)}
    return {"v": 1, "kind": "lines"} | where | counted | rest


def start(at: datetime, log: str = LOG, *, reason: str = "new", previous: tuple[str, ...] = ()) -> Document:
    """The first leaf of a log."""
    return {
        "v": 1,
        "kind": "start",
        "log": log,
        "version": "0.2.0",
        "alias": "zoomdata-activity",
        "reason": reason,
        "before": {"zoomdata-activity-000001": 12, "zoomdata-activity-rejected": 0},
        "previous": list(previous),
        "sealed": moment(at),
    }


def lost(path: str, at: datetime, start: int, end: int) -> Document:
    """A leaf for bytes whose digests could not be kept."""
    where = {"file": "89abcdef", "path": path, "from": start, "to": end}
    return {"v": 1, "kind": "lost"} | where | {"sealed": moment(at)}


def head(at: datetime, *, every: int = 3600, retain: str | None = "400d") -> Document:
    """The last leaf of a sealing."""
    rest = {"every": every, "retain": retain, "open": {"89abcdef": 5_242_880}, "sealed": moment(at)}
    return {"v": 1, "kind": "head"} | rest


def checkpoint(at: datetime, size: int, log: str = LOG, *, every: int = 3600) -> Document:
    """A signed checkpoint over the first `size` leaves."""
    rest = {"size": size, "every": every, "note": note(size, log), "sealed": moment(at)}
    return {"v": 1, "kind": "checkpoint", "log": log} | rest


def leaf_id(number: int, log: str = LOG) -> str:
    """The id of a leaf."""
    return f"{log}-{number:012}"


def checkpoint_id(size: int, log: str = LOG) -> str:
    """The id of a signed checkpoint."""
    return f"{leaf_id(size, log)}-checkpoint"


def create(client: Elasticsearch, index: str, documents: Mapping[str, Document], **how: Any) -> list[int]:
    """Create documents by their ids in one request; the status of each."""
    pairs = [orjson.dumps(it) for id_, body in documents.items() for it in ({"create": {"_id": id_}}, body)]
    operations: Any = b"".join(line + b"\n" for line in pairs)  # as bytes they go out as they are
    answer: Any = client.bulk(index=index, operations=operations, **how).body
    items = orjson.loads(answer) if isinstance(answer, bytes) else answer
    return [item["create"]["status"] for item in items["items"]]
