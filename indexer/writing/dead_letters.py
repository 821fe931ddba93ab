"""Rejected lines (dead letters) are kept with their bytes: in the index `<alias>-rejected`, or in files (`spool.py`).

Long lines go to files, up to `--max-spool-bytes`; beyond it to the index, and a log with a line too long for memory
waits (`reading/reader.py`).

Short lines go to files too if the index takes none (it is red, full, blocked) while the alias takes entries: a few rejected
lines do not hold back the entries. If the cluster takes nothing, rejected lines wait as entries do.
"""

import base64
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import orjson
from elasticsearch import Elasticsearch

from indexer.elastic.cluster import Cluster
from indexer.events import Events, Fault
from indexer.reading.entries import Rejection
from indexer.writing import answers
from indexer.writing.answers import Row, Verdict
from indexer.writing.batches import Body, Pair, size_of
from indexer.writing.bulk import Sender
from indexer.writing.request import Backoff, BulkFailed, post
from indexer.writing.spool import DeadLetterFiles, described

DISK = Row(range(0), Verdict.WAIT, Fault.DISK)
PROMPT = 10.0
"""Request timeout for the index of rejected lines, in seconds: a red index does not answer for a minute."""
TRIES = 5
TRIED_FOR = 5.0
"""Tries, or seconds, after which the index of rejected lines is given up if the alias takes entries."""
REST = 60.0
"""Seconds until an index that was given up is tried again: at least these, or ten times as long as it was tried."""
LARGEST = 1024 * 1024
"""Bytes of the longest line that goes to the index first: its document takes many times that in memory, in the indexer and
in the server (measured: 100 MB for a line of 10 MB)."""


def dead_letter_store(
    cluster: Cluster,
    sender: Sender,
    files: DeadLetterFiles,
    limit: int,
    events: Events,
    stop: threading.Event,
) -> "DeadLetterStore":
    """The store beside a sender; `limit` is the largest bulk request in bytes."""
    connection = cluster.connection
    prompt = cluster.client.options(request_timeout=min(connection.request_timeout, PROMPT))
    return DeadLetterStore(prompt, connection.rejected, files, limit, events, stop, sender.accepts_probe)


class DeadLetterStore:
    """Keeps rejected lines in the index or in files."""

    def __init__(
        self,
        client: Elasticsearch,
        index: str,
        local: DeadLetterFiles,
        limit: int,
        events: Events,
        stop: threading.Event,
        takes: Callable[[], bool] = lambda: False,
    ) -> None:
        """Take `limit`, the largest bulk request in bytes, and `takes`, whether the cluster takes entries now."""
        self._client = client
        self._index = index
        self.local = local
        self._limit = limit
        self._events = events
        self._stop = stop
        self._takes = takes
        self._given_up_until = 0.0
        self._one_long = threading.Lock()

    def keep(self, rejections: Sequence[Rejection]) -> None:
        """Keep some lines; they are durable on return. Raises Stopped."""
        backoff = Backoff(self._events, self._stop)
        by_id = {rejection.id.encode(): rejection for rejection in rejections}
        short = [rejection for rejection in by_id.values() if len(rejection.line) <= LARGEST]
        unsent: list[bytes] = []
        for body in self._bodies(short):
            unsent += self._send(body, backoff)
        for identity in unsent:
            self._keep_locally(by_id[identity], backoff)
        for rejection in by_id.values():
            if len(rejection.line) > LARGEST:
                self._keep_long(rejection, backoff)
        backoff.recovered()
        for kind in {rejection.kind for rejection in rejections}:
            self._events.rejected(kind, sum(rejection.kind == kind for rejection in rejections))

    def _keep_long(self, rejection: Rejection, backoff: Backoff) -> None:
        """Keep a line in a file, or, if there is no room for it, in the index: one at a time, to save memory."""
        if self.local.room() < len(rejection.line):
            with self._one_long:
                if not any(self._send(body, backoff) for body in self._bodies([rejection])):
                    return
        self._keep_locally(rejection, backoff)

    def _keep_locally(self, rejection: Rejection, backoff: Backoff) -> None:
        while True:
            try:
                return self.local.keep(rejection)
            except OSError as error:
                backoff.wait(DISK, f"cannot keep a rejected line: {error}")

    def _bodies(self, rejections: Sequence[Rejection]) -> Iterator[Body]:
        pairs: list[Pair] = []
        size = 0
        for rejection in rejections:
            document = orjson.dumps(
                described(rejection, len(rejection.line))
                | {"bytes": base64.b64encode(rejection.line).decode()}
            )
            pair = rejection.id.encode(), document
            if pairs and size + size_of(pair) > self._limit:
                yield Body.of(pairs)
                pairs, size = [], 0
            pairs.append(pair)
            size += size_of(pair)
        yield Body.of(pairs)

    def _send(self, body: Body, backoff: Backoff) -> list[bytes]:
        """Send until each line is kept or refused, or the index is given up; return the ids of those not kept."""
        refused: list[bytes] = []
        begun = time.monotonic()
        tries = 0
        while body.count:
            pairs = body.pairs()
            if begun < self._given_up_until:
                return refused + [identity for identity, _ in pairs]
            try:
                answer = post(self._client, body, self._index)
            except BulkFailed as failure:
                if failure.row.verdict is Verdict.RETRY:
                    tries += 1
                    self._wait(failure.row, failure.detail, backoff, begun, tries)
                    continue
                halved = failure.row.verdict in {Verdict.SPLIT, Verdict.ALONE, Verdict.DOUBT}
                if halved and body.count > 1:
                    refused += self._send(Body.of(pairs[: body.count // 2]), backoff)
                    body = Body.of(pairs[body.count // 2 :])
                    continue
                return refused + [identity for identity, _ in pairs]
            if answer.index is not None:
                break
            left: list[Pair] = []
            for item, pair in zip(answer.items, pairs, strict=True):
                row = answers.judge_item(item)
                if row.verdict in {Verdict.RETRY, Verdict.DOUBT}:
                    left.append(pair)
                elif row.verdict not in {Verdict.DELIVERED, Verdict.DUPLICATE}:
                    refused.append(pair[0])
            if left:
                tries += 1
                busy = answers.judge(answers.ITEM, 429)
                self._wait(busy, "rejected lines are not taken yet", backoff, begun, tries)
            body = Body.of(left)
        return refused

    def _wait(self, row: Row, detail: str, backoff: Backoff, begun: float, tries: int) -> None:
        """Wait before the next try, or give the index up for a while. Raises Stopped."""
        now = time.monotonic()
        if (tries >= TRIES or now - begun >= TRIED_FOR) and self._takes():
            self._given_up_until = now + max(REST, 10 * (now - begun))
        else:
            backoff.wait(row, detail)
