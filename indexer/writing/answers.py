"""What Elasticsearch's answers mean: one table, read from the top; the first row that matches decides.

Delivered means that the entry is in the index; rejected, that the index never takes it. Everything else is sent again: the
reason is then the state of the cluster, the connection to it, or our credentials.
"""

import json
import re
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import orjson

from indexer.elastic.failures import MAX_KEPT, InvalidAnswer, causes
from indexer.events import Fault

FILTER_PATH = (
    "errors,items.*._index,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by"
)
"""The parts of a bulk answer that are used here."""


class Verdict(Enum):
    """What to do with an item, or with a whole request."""

    DELIVERED = "delivered"
    DUPLICATE = "delivered before"
    REJECTED = "rejected, kept with its bytes"
    RETRY = "retried soon"
    WAIT = "retried slowly, until an administrator fixes the cluster or our privileges"
    SPLIT = "split in halves, down to the entry that causes it"
    ALONE = "sent in a request of its own, and rejected if that fails too"
    AGAIN = "sent again a few times at once, and rejected if it keeps failing"
    DOUBT = "retried soon, and rejected if it keeps failing while other entries go in"


@dataclass(frozen=True, slots=True)
class Row:
    """One row: it matches if the status is in the range, the type contains `type`, and the reason begins with `reason`.

    Only the beginning of a reason counts: further on it may quote the entry.
    """

    status: range
    verdict: Verdict
    fault: Fault | None = None
    type: str = ""
    reason: str = ""

    def fits(self, status: int, error_type: str, reason: str) -> bool:
        """Tell whether the row matches this answer."""
        return status in self.status and self.type in error_type and reason.startswith(self.reason)


def _only(status: int) -> range:
    return range(status, status + 1)


ANY = range(1000)
"""Any three digits: some proxies use a status that HTTP does not define."""

ITEM: Sequence[Row] = (
    Row(range(200, 202), Verdict.DELIVERED),
    Row(_only(409), Verdict.DUPLICATE, type="version_conflict_engine_exception"),
    Row(_only(429), Verdict.RETRY, Fault.TOO_MANY_REQUESTS),
    # How 9.1.5 answers a line that is no JSON object (measured), each time.
    Row(_only(500), Verdict.REJECTED, type="not_x_content_exception"),
    Row(range(500, 600), Verdict.RETRY, Fault.SERVER_ERROR),
    Row(_only(403), Verdict.WAIT, Fault.REFUSED, type="security_exception"),
    # A status of 400 that the entry does not cause.
    Row(_only(400), Verdict.WAIT, Fault.CLUSTER_STATE, reason="no write index is defined"),
    Row(_only(400), Verdict.WAIT, Fault.CLUSTER_STATE, type="index_closed_exception"),
    Row(_only(400), Verdict.WAIT, Fault.CLUSTER_STATE, reason="pipeline with id"),
    # A new field had values of different types in requests or shards at the same time: soon it has one type, and takes the
    # other values as malformed ones (measured on OpenSearch 2.19.6; Elasticsearch 8.19.16 and 9.5.0 take them at once). An
    # entry with several types of its own for the field reads the same: `self_conflict` tells them apart.
    Row(_only(400), Verdict.AGAIN, type="illegal_argument_exception", reason="mapper ["),
    Row(
        _only(400),
        Verdict.AGAIN,
        type="illegal_argument_exception",
        reason="can't merge a non object mapping",
    ),
    Row(_only(400), Verdict.REJECTED),
    Row(ANY, Verdict.WAIT, Fault.CLUSTER_STATE),
)

SHUT = frozenset({"cluster_block_exception", "index_closed_exception", "index_not_found_exception"})
"""Errors of an index that takes no entries any more, not even those of an earlier request."""

REQUEST: Sequence[Row] = (
    Row(_only(413), Verdict.SPLIT),
    Row(_only(400), Verdict.SPLIT),
    Row(_only(401), Verdict.WAIT, Fault.REFUSED),
    Row(_only(403), Verdict.WAIT, Fault.CLUSTER_STATE, reason="blocked by: ["),
    Row(_only(403), Verdict.WAIT, Fault.REFUSED),
    Row(_only(429), Verdict.RETRY, Fault.TOO_MANY_REQUESTS),
    Row(range(500, 600), Verdict.RETRY, Fault.SERVER_ERROR),
    Row(range(1), Verdict.RETRY, Fault.NO_ANSWER),
    Row(ANY, Verdict.RETRY, Fault.NOT_AN_ANSWER),
)
"""For requests that were not answered item by item. Status 0 means no answer."""


CLUSTER = Row(range(0), Verdict.WAIT, Fault.CLUSTER_STATE)
"""Without an answer: the cluster is not in a state to take entries."""


FAILING = Row(_only(500), Verdict.DOUBT, Fault.SERVER_ERROR)
"""The server failed at an entry: for a reason of its own, or because of what the entry contains."""
PAGE = Row(_only(400), Verdict.DOUBT, Fault.NOT_AN_ANSWER)
"""A proxy refused a request: for a reason of its own, or because of what an entry contains."""

OUTGROWN = Row(_only(429), Verdict.ALONE, Fault.TOO_MANY_REQUESTS)
"""An operation that needs more memory than the server's limit for all operations: waiting does not help."""
CROWDED = Row(_only(429), Verdict.DOUBT, Fault.TOO_MANY_REQUESTS)
"""An operation that does not fit beside its own request, if the same node holds both."""
_PRESSURE = re.compile(r"(?:\ball_bytes=(\d+), )?\b(\w+)_operation_bytes=(\d+), max_\w+_bytes=(\d+)\]")
_LARGEST = re.compile(r"of size \[(\d+)\] bytes, which exceeds the maximum allowed limit of \[(\d+)\]")
_BREAKER = re.compile(
    r"\[\w+\] Data too large, .* which is larger than the limit of \[(\d+)/(?:.* new bytes reserved: \[(\d+)/)?"
)
BESIDE_ENTRY = 4096
"""Upper bound of what the server counts for a request of one entry besides its body (measured: 170 to 300 bytes)."""


def judge_item(item: "Item", size: int = 0, count: int = 1) -> Row:
    """Look up one item of the answer to a request of `size` bytes and `count` entries."""
    row = judge(ITEM, item.status, item.error_type, item.reason)
    if row.fault is Fault.TOO_MANY_REQUESTS:
        return _crowding(item.reason, size, count) or row
    return FAILING if row.fault is Fault.SERVER_ERROR and item.status in FAILING.status else row


def judge_request(status: int, reason: str, size: int, *, page: bool = False) -> Row:
    """Look up the answer to a request of `size` bytes that failed as a whole.

    `page`: the answer is not JSON, so it comes from a proxy; its status counts all the same.
    """
    if page and status in PAGE.status:
        return PAGE
    row = judge(REQUEST, status, reason=reason)
    if row.fault is not Fault.TOO_MANY_REQUESTS:
        return row
    return OUTGROWN if _breaks(reason, size) else _crowding(reason, size, 1) or row


def _breaks(reason: str, size: int) -> bool:
    """Tell whether this request alone trips a circuit breaker; some errors say how many bytes they count for it."""
    breaker = _BREAKER.match(reason)
    return breaker is not None and max(size, int(breaker[2] or 0)) > int(breaker[1])


def _crowding(reason: str, size: int, count: int) -> Row | None:
    """Tell a permanent 429 from a temporary one by its figures (measured on 7.17.28, 8.19.16, 9.1.5 and 9.5.0).

    The limit for all operations in flight is a tenth of the heap. An entry counts once as a coordinating operation, refused
    with its request. From 9.1 on it counts four times its size as a primary operation, refused as an item: then `all_bytes`
    includes the request's own bytes, unless another node coordinates the request.
    """
    if largest := _LARGEST.search(reason):
        return OUTGROWN if int(largest[1]) > int(largest[2]) else None
    pressure = _PRESSURE.search(reason)
    if pressure is None:
        return None
    under_way, operation, limit = int(pressure[1] or 0), int(pressure[3]), int(pressure[4])
    if operation > limit:
        return OUTGROWN
    if pressure[2] != "primary" or min(size, under_way) + operation <= limit:
        return None
    return OUTGROWN if count > 1 or under_way <= size + BESIDE_ENTRY else CROWDED


def judge(rows: Sequence[Row], status: int, error_type: str = "", reason: str = "") -> Row:
    """Return the first row that matches."""
    return next(row for row in rows if row.fits(status, error_type, reason))


@dataclass(frozen=True, slots=True)
class Item:
    """What a bulk answer says about one entry."""

    status: int
    index: str
    error_type: str
    reason: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A valid bulk answer: `index` took every entry, or `items` has one item for each."""

    index: str | None
    items: Sequence[Item] = ()


def read_answer(data: object, count: int) -> Answer:
    """Read a bulk answer to `count` entries. Raises InvalidAnswer.

    Nearly always all items are equal: created, in one index. Comparing the bytes shows that at a twentieth of the cost of
    parsing (measured: 0.02 against 0.4 µs an entry). Any other answer is parsed.
    """
    if not isinstance(data, bytes):  # elastic/client.py leaves bulk answers as bytes
        raise InvalidAnswer(f"not a bulk answer: {reprlib.repr(data)[:200]}")
    same = _same_for_all(data, count)
    try:
        if same is not None:
            item = _item(_parsed(same))
            return Answer(item.index) if item.status == 201 else Answer(None, [item] * count)
        items = [_item(item) for item in _parsed(data)["items"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InvalidAnswer(f"not a bulk answer: {data[:200]!r}") from None
    if len(items) != count:
        raise InvalidAnswer(f"{len(items)} items answered of {count}")
    return Answer(None, items)


def _same_for_all(data: bytes, count: int) -> bytes | None:
    """The item of an answer without errors whose items are all equal; else None."""
    opening = b'{"errors":false,"items":['
    if not data.startswith(opening):
        return None
    end = data.find(b"}}", len(opening)) + 2
    item = data[len(opening) : end]
    return item if data == opening + b",".join([item] * count) + b"]}" else None


def _parsed(data: bytes) -> Any:
    """Parse an answer. Raises ValueError.

    A reason may quote half of a surrogate pair from an entry (measured on 8.19.16 and 9.1.5). orjson refuses that, and then
    the entry would hold back all others.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return json.loads(data)


def _item(item: dict[str, dict[str, object]]) -> Item:
    (result,) = item.values()
    error = result.get("error") or {}
    status, index = result["status"], result.get("_index", "")
    if (
        type(status) is not int
        or status not in ANY
        or not isinstance(index, str)
        or not isinstance(error, dict)
    ):
        raise TypeError(f"status {status!r}, index {index!r}")
    reason = ": ".join(causes(error))[:MAX_KEPT]
    return Item(status, index, _sound(str(error.get("type", ""))[:MAX_KEPT]), _sound(reason))


def _sound(text: str) -> str:
    """Text without half of a surrogate pair, which cannot be encoded."""
    return text.encode(errors="replace").decode()
