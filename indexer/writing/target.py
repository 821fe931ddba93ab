"""The index that entries are sent to, and the lookup in the others before: one copy of each entry behind the alias.

An id is unique only within an index. So each request names one index, never the alias: the index rejects ids that it has
(409), also if a request is repeated after a rollover because its answer was lost. And the other indices are searched for the
ids first: anybody may have sent a line at any time, from a log that was restored since.

Other senders may notice a rollover later than this one. So nothing is sent to a new write index before `GRACE` has passed: by
then all have noticed, and what they sent before is found in the old one.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from elasticsearch import Elasticsearch

from indexer.elastic.alias import Backing, backing
from indexer.elastic.cluster import Cluster
from indexer.elastic.failures import describe_error, reading_answer

LOOK_EVERY = 1.0
"""Seconds for which a lookup of the alias is valid."""
GRACE = 5.0
"""Seconds after which every sender has noticed a rollover: a lookup each second, and time for a request in flight."""
ASKED_AT_ONCE = 10_000
"""Ids in one request: some 400 kB."""
FOUND = "docs.found,docs.error.type,docs.error.reason"
NONE, NOT_FOUND = b'{"docs":[%b]}', b'{"found":false}'
GONE = "index_not_found_exception"


class IndexUnavailable(Exception):  # noqa: N818 - an answer, not an error
    """An index cannot be searched now; with the reason."""


class Target:
    """The write index, looked up on the alias. May be used by several threads."""

    def __init__(
        self,
        cluster: Cluster,
        behind: Backing,
        known: str | None,
        *,
        grace: float = GRACE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`behind` is a lookup of the alias; `known`, the write index of the caller's state, needs no grace period."""
        self._cluster = cluster
        self._grace = grace
        self._clock = clock
        self._lock = threading.Lock()
        self._behind = behind
        self._write = known, float("-inf")
        """The write index, and when it is settled: one value, so that it can be read during a lookup."""
        self._look_at = float("-inf")
        """When the next lookup is due; the first one at once, as the age of the caller's is unknown."""
        self._see(behind)

    def look(self) -> Backing:
        """The indices behind the alias, at most LOOK_EVERY old. Raises as `backing` does."""
        with self._lock:
            if self._clock() >= self._look_at:
                started = self._clock()
                self._see(backing(self._cluster))
                self._look_at = started + LOOK_EVERY
            return self._behind

    def _see(self, behind: Backing) -> None:
        self._behind = behind
        if behind.write != self._write[0]:
            grace = self._grace if len(behind.indices) > 1 else float("-inf")
            self._write = behind.write, self._clock() + grace

    def look_again(self) -> None:
        """Look up the alias again at the next `look`."""
        with self._lock:
            self._look_at = float("-inf")

    def unsettled(self) -> float:
        """Seconds until entries may be sent to the write index."""
        return max(0.0, self._write[1] - self._clock())

    @property
    def settled(self) -> str | None:
        """The write index; None during its grace period."""
        write, at = self._write
        return write if self._clock() >= at else None


def delivered(client: Elasticsearch, indices: Sequence[str], ids: Sequence[bytes]) -> set[bytes]:
    """Which of some ids these indices hold now (a get by id finds what is not searchable yet).

    Raises IndexUnavailable, or what the client raises; a deleted index holds nothing.
    """
    known: set[bytes] = set()
    for start in range(0, len(ids), ASKED_AT_ONCE):
        some = [identity.decode() for identity in ids[start : start + ASKED_AT_ONCE]]
        for index in indices:
            answer = client.mget(index=index, ids=some, source=False, filter_path=FOUND).body
            with reading_answer():
                known |= _found(answer, some, index)
    return known


def _found(answer: Any, asked: Sequence[str], index: str) -> set[bytes]:
    """The ids that are found; an answer has them in the order of the request. Raises IndexUnavailable."""
    if isinstance(answer, bytes):
        # The usual answer; parsing it takes ten times as long (measured).
        if answer == NONE % b",".join([NOT_FOUND] * len(asked)):
            return set()
        answer = orjson.loads(answer)
    found = set()
    for identity, doc in zip(asked, answer["docs"], strict=True):
        if "error" in doc:
            if doc["error"]["type"] != GONE:
                raise IndexUnavailable(f"cannot search {index}: {describe_error(doc['error'])}")
        elif doc["found"] is True:
            found.add(identity.encode())
        elif doc["found"] is not False:
            raise ValueError(identity)
    return found
