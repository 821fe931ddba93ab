"""What Elasticsearch's answers mean: one table, looked up from the top, the first row that fits decides.

Delivered means that the entry is in the index; rejected, that this very entry never will be. Everything else is kept
and tried again: what is wrong is then the cluster's state, the way to it, or who we are.
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
"""The parts of a bulk answer that are read here."""


class Verdict(Enum):
    """What to do with an item, or with a whole request."""

    DELIVERED = "delivered"
    DUPLICATE = "delivered before"
    REJECTED = "rejected, kept with its bytes"
    RETRY = "tried again soon"
    WAIT = "tried again slowly, until somebody mends the cluster or our rights"
    SPLIT = "halved, down to the entry that is to blame"
    ALONE = "sent by itself, and rejected if that is too much as well"
    DOUBT = "tried again soon, and rejected if that goes on while its neighbours go in"


@dataclass(frozen=True, slots=True)
class Row:
    """One row: it fits if the status is one of these, the type holds this word, and the reason begins with these.

    A reason may quote the entry further on: words found there are the log's, not Elasticsearch's.
    """

    status: range
    verdict: Verdict
    fault: Fault | None = None
    type: str = ""
    reason: str = ""

    def fits(self, status: int, error_type: str, reason: str) -> bool:
        """Tell whether the row speaks of this answer."""
        return status in self.status and self.type in error_type and reason.startswith(self.reason)


def _only(status: int) -> range:
    return range(status, status + 1)


ANY = range(1000)
"""Three digits: what HTTP has room for, and what some proxies make use of."""

ITEM: Sequence[Row] = (
    Row(range(200, 202), Verdict.DELIVERED),
    Row(_only(409), Verdict.DUPLICATE, type="version_conflict_engine_exception"),
    Row(_only(429), Verdict.RETRY, Fault.TOO_MANY_REQUESTS),
    # 9.1.5 answers so to a line that is no object (measured); it would for ever.
    Row(_only(500), Verdict.REJECTED, type="not_x_content_exception"),
    Row(range(500, 600), Verdict.RETRY, Fault.SERVER_ERROR),
    Row(_only(403), Verdict.WAIT, Fault.REFUSED, type="security_exception"),
    # A status of 400, and yet nothing that is the entry's fault.
    Row(_only(400), Verdict.WAIT, Fault.CLUSTER_STATE, reason="no write index is defined"),
    Row(_only(400), Verdict.WAIT, Fault.CLUSTER_STATE, type="index_closed_exception"),
    Row(_only(400), Verdict.WAIT, Fault.CLUSTER_STATE, reason="pipeline with id"),
    Row(_only(400), Verdict.REJECTED),
    Row(ANY, Verdict.WAIT, Fault.CLUSTER_STATE),
)

SHUT = frozenset({"cluster_block_exception", "index_closed_exception", "index_not_found_exception"})
"""What an index answers that takes no entry any more, not even of a request that was sent before."""

REQUEST: Sequence[Row] = (
    Row(_only(413), Verdict.SPLIT),
    Row(_only(400), Verdict.SPLIT),
    Row(_only(401), Verdict.WAIT, Fault.REFUSED),
    Row(_only(403), Verdict.WAIT, Fault.REFUSED),
    Row(_only(429), Verdict.RETRY, Fault.TOO_MANY_REQUESTS),
    Row(range(500, 600), Verdict.RETRY, Fault.SERVER_ERROR),
    Row(range(1), Verdict.RETRY, Fault.NO_ANSWER),
    Row(ANY, Verdict.RETRY, Fault.NOT_AN_ANSWER),
)
"""Of requests that were not answered item by item; status 0 is no answer at all."""


CLUSTER = Row(range(0), Verdict.WAIT, Fault.CLUSTER_STATE)
"""What is known without an answer: the cluster is not in a state to take entries."""


FAILING = Row(_only(500), Verdict.DOUBT, Fault.SERVER_ERROR)
"""An entry at which the server fails: for reasons of its own, or each time, because of what is in it."""
PAGE = Row(_only(400), Verdict.DOUBT, Fault.NOT_AN_ANSWER)
"""A request that somebody on the way refuses, for what is in it or for a reason of his own."""

OUTGROWN = Row(_only(429), Verdict.ALONE, Fault.TOO_MANY_REQUESTS)
"""An operation that takes more memory than the server ever gives to all of them: waiting does not help."""
CROWDED = Row(_only(429), Verdict.DOUBT, Fault.TOO_MANY_REQUESTS)
"""An operation that takes more than there is beside its own request, if this node holds that request too."""
_PRESSURE = re.compile(r"(?:\ball_bytes=(\d+), )?\b(\w+)_operation_bytes=(\d+), max_\w+_bytes=(\d+)\]")
_LARGEST = re.compile(r"of size \[(\d+)\] bytes, which exceeds the maximum allowed limit of \[(\d+)\]")
_BREAKER = re.compile(
    r"\[\w+\] Data too large, .* which is larger than the limit of \[(\d+)/(?:.* new bytes reserved: \[(\d+)/)?"
)
BESIDE_ENTRY = 4096
"""More bytes than the server counts for a request of one entry besides its body (measured: 170 to 300)."""


def judge_item(item: "Item", size: int = 0, count: int = 1) -> Row:
    """Look up what an answer to a request of `size` bytes, with `count` entries, says of one of them."""
    row = judge(ITEM, item.status, item.error_type, item.reason)
    if row.fault is Fault.TOO_MANY_REQUESTS:
        return _crowding(item.reason, size, count) or row
    return FAILING if row.fault is Fault.SERVER_ERROR and item.status in FAILING.status else row


def judge_request(status: int, reason: str, size: int, *, page: bool = False) -> Row:
    """Look up what the answer to a whole request of `size` bytes says, that tells nothing of its entries.

    `page`: it is not JSON, so not Elasticsearch's; its status counts all the same.
    """
    if page and status in PAGE.status:
        return PAGE
    row = judge(REQUEST, status)
    if row.fault is not Fault.TOO_MANY_REQUESTS:
        return row
    return OUTGROWN if _breaks(reason, size) else _crowding(reason, size, 1) or row


def _breaks(reason: str, size: int) -> bool:
    """Tell whether a circuit breaker would open for this request alone; some say what they count for it."""
    breaker = _BREAKER.match(reason)
    return breaker is not None and max(size, int(breaker[2] or 0)) > int(breaker[1])


def _crowding(reason: str, size: int, count: int) -> Row | None:
    """Tell a permanent 429 from a passing one, which only its figures do (7.17.28, 8.19.16, 9.1.5 and 9.5.0, measured).

    A tenth of the heap is for all operations under way. An entry counts once as what is coordinated, refused with its
    request; from 9.1 on four times its size once more for the primary shard, refused as an item: then the request's own
    bytes are among `all_bytes`, unless another node coordinates it, where they are somebody else's.
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
    """Look an answer up."""
    return next(row for row in rows if row.fits(status, error_type, reason))


@dataclass(frozen=True, slots=True)
class Item:
    """What a bulk answer says of one entry."""

    status: int
    index: str
    error_type: str
    reason: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A sound bulk answer: `index` took every entry, or `items` tells of each."""

    index: str | None
    items: Sequence[Item] = ()


def read_answer(data: object, count: int) -> Answer:
    """Read a bulk answer to `count` entries. Raises NotAnAnswer.

    Nearly always it says `count` times the same: created, in one index. That is recognised by its bytes, which costs
    a twentieth of parsing it (measured: 0.02 against 0.4 µs an entry); anything else is parsed.
    """
    if not isinstance(data, bytes):  # elastic/client.py leaves all bulk answers as bytes, and nothing else
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
    """The item of an answer without errors that says the same of each entry."""
    opening = b'{"errors":false,"items":['
    if not data.startswith(opening):
        return None
    end = data.find(b"}}", len(opening)) + 2
    item = data[len(opening) : end]
    return item if data == opening + b",".join([item] * count) + b"]}" else None


def _parsed(data: bytes) -> Any:
    """Parse an answer. Raises ValueError.

    A reason quotes half of a surrogate pair as it stands in an entry (measured on 8.19.16 and 9.1.5); orjson takes
    that for no JSON, and the entry would hold back all others for ever.
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
    """Text that can be written: without half of a surrogate pair."""
    return text.encode(errors="replace").decode()
