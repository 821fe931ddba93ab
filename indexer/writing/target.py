"""Which index entries go to, and which others are asked before: one copy of each entry behind the alias.

An id is unique within one index only. So each request goes to one index by its own name, never through the alias: what it
holds already it refuses (409), also when a lost answer is repeated after a rollover. And the others are asked first: a
line may have been sent by anybody, at any time, from a log that was restored since.

Other senders may notice a rollover later than this one. So nothing goes to a new write index before `GRACE` has passed:
by then they all have noticed, and what they sent before can be found in the old one.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from elasticsearch import Elasticsearch

from indexer.elastic.alias import Backing, backing
from indexer.elastic.cluster import Cluster
from indexer.elastic.failures import MAX_SHOWN, reading_answer

LOOK_EVERY = 1.0
"""Seconds for which a look at the alias holds."""
GRACE = 5.0
"""Seconds after which every sender has noticed a rollover: a look each second, and time for a request in flight."""
ASKED_AT_ONCE = 10_000
"""Ids in one request: some 400 kB."""
FOUND = "docs.found,docs.error.type"
NONE, NOT_FOUND = b'{"docs":[%b]}', b'{"found":false}'
GONE = "index_not_found_exception"


class IndexUnavailable(Exception):  # noqa: N818 - an answer, not an error
    """An index that cannot be asked now, with its reason."""


class Target:
    """The write index, as looked up on the alias. May be used by several threads at once."""

    def __init__(
        self,
        cluster: Cluster,
        behind: Backing,
        known: str | None,
        *,
        grace: float = GRACE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`behind` is what is behind the alias; `known`, the write index of the caller's state, is not new to anybody."""
        self._cluster = cluster
        self._grace = grace
        self._clock = clock
        self._lock = threading.Lock()
        self._behind = behind
        self._written = known, float("-inf")
        """The write index, and when it is settled: one value, so that nobody waits for a look to read it."""
        self._look_at = float("-inf")
        """When the next look is due; the first one at once, for who knows when the caller looked."""
        self._see(behind)

    def look(self) -> Backing:
        """What was behind the alias a second ago at most. Raises NotInstalled, AliasIsIndex, or what the client raises."""
        with self._lock:
            if self._clock() >= self._look_at:
                looking = self._clock()
                self._see(backing(self._cluster))
                self._look_at = looking + LOOK_EVERY
            return self._behind

    def _see(self, behind: Backing) -> None:
        self._behind = behind
        if behind.write != self._written[0]:
            grace = self._grace if len(behind.indices) > 1 else float("-inf")
            self._written = behind.write, self._clock() + grace

    def look_again(self) -> None:
        """The last look is out of date."""
        with self._lock:
            self._look_at = float("-inf")

    def unsettled(self) -> float:
        """Seconds until entries may go to the write index."""
        return max(0.0, self._written[1] - self._clock())

    @property
    def settled(self) -> str | None:
        """The write index, unless it is too new."""
        write, at = self._written
        return write if self._clock() >= at else None


def delivered(client: Elasticsearch, indices: Sequence[str], ids: Sequence[bytes]) -> set[bytes]:
    """Ask which of some ids these indices hold, as of now (a get by id sees what no search sees yet).

    Raises Unknown, or what the client raises; an index that is gone by now holds nothing.
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
    """The ids that are there; an answer has them in the order of the question. Raises Unknown."""
    if isinstance(answer, bytes):
        # The usual one; to parse it takes ten times as long (measured).
        if answer == NONE % b",".join([NOT_FOUND] * len(asked)):
            return set()
        answer = orjson.loads(answer)
    there = set()
    for identity, doc in zip(asked, answer["docs"], strict=True):
        if "error" in doc:
            if doc["error"]["type"] != GONE:
                raise IndexUnavailable(
                    f"{index} does not tell what it holds: {str(doc['error']['type'])[:MAX_SHOWN]}"
                )
        elif doc["found"] is True:
            there.add(identity.encode())
        elif doc["found"] is not False:
            raise ValueError(identity)
    return there
