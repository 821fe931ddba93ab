"""Sending a batch until each of its entries is in the index or rejected: hold the answer against the table, act.

A lost answer is no answer: the batch is sent again, and its ids make that safe. No try is the last; only a stop ends
the trying, and then what is not acknowledged is read again by the next run.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import elastic_transport
import elasticsearch
from elasticsearch import Elasticsearch

from indexer.elastic.alias import Backing
from indexer.elastic.failures import InvalidAnswer, describe, reason_of, summarise
from indexer.errors import Fatal, Stopped
from indexer.events import Events, Fault
from indexer.reading.entries import Rejection, offset_of
from indexer.writing import answers
from indexer.writing.answers import Answer, Row, Verdict
from indexer.writing.batches import EMPTY, Batch, Body, Pair
from indexer.writing.target import IndexUnavailable, Target, delivered

RETRY_WAIT = (0.1, 30.0)
FIX_WAIT = (1.0, 60.0)
"""Seconds of the first and of the longest wait, for faults that pass and for those that somebody has to mend."""
DOUBLINGS = 16
"""More of them than the longest wait needs, and fewer than a float can hold."""
TRIES = 8
"""Of an entry that is refused again and again for no reason that it has to be blamed for: some ten seconds."""
REFUSED = "request_refused"
"""What an entry is rejected for if a request of its own is refused."""
PROBE = Body(b'{"update":{"_id":"probe"}}\n{"doc":{}}\n', 1)
"""Changes nothing: there is no such entry, and its answer says so (404, measured on 8.19.16 and 9.1.5)."""


class BulkFailed(Exception):  # noqa: N818 - the ordinary course of an outage
    """A request came to nothing."""

    def __init__(self, row: Row, detail: str) -> None:
        super().__init__(detail)
        self.row = row
        self.detail = detail


class LookupFailed(BulkFailed):
    """A question that comes before a request did: that is no entry's fault."""


class Backoff:
    """Waits between tries: exponential with jitter, ended at once by a stop."""

    def __init__(self, events: Events, stop: threading.Event) -> None:
        self._events = events
        self._stop = stop
        self._tries = 0

    def wait(self, row: Row, detail: str) -> None:
        """Wait before the next try. Raises Stopped."""
        first, longest = FIX_WAIT if row.verdict is Verdict.WAIT else RETRY_WAIT
        most = min(longest, first * 2.0 ** min(self._tries, DOUBLINGS))
        seconds = most * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        self._tries += 1
        self._events.delivery_failed(row.fault or Fault.CLUSTER_STATE, detail, seconds)
        if self._stop.wait(seconds):
            raise Stopped

    def recovered(self) -> None:
        """Something went through."""
        if self._tries:
            self._events.delivery_recovered()
        self._tries = 0


def post(client: Elasticsearch, body: Body, index: str) -> Answer:
    """Send one bulk request to an index by its own name. Raises Undelivered."""
    try:
        answer = client.bulk(
            operations=body.data,  # type: ignore[arg-type] # bytes go out as they are: elastic/client.py
            index=index,
            filter_path=answers.FILTER_PATH,
        )
        return answers.read_answer(answer.body, body.count)
    except (elasticsearch.ApiError, elastic_transport.TransportError) as error:
        raise _undelivered(error, len(body.data)) from None


def _undelivered(error: elasticsearch.ApiError | elastic_transport.TransportError, size: int) -> BulkFailed:
    """What an error means to a request of `size` bytes."""
    match error:
        case elasticsearch.ApiError():
            status, reason, page = error.meta.status, reason_of(error), not isinstance(error.body, dict)
            row = answers.judge_request(status, reason, size, page=page)
            return BulkFailed(row, f"status {status}: {describe(reason)}")
        case InvalidAnswer():
            return BulkFailed(answers.judge(answers.REQUEST, 200), str(error))
        case elastic_transport.SerializationError():
            return BulkFailed(
                answers.judge(answers.REQUEST, 200), f"the answer is not JSON: {str(error.message)[:200]}"
            )
    return BulkFailed(answers.judge(answers.REQUEST, 0), summarise(error))


def _unasked(error: elasticsearch.ApiError | elastic_transport.TransportError) -> LookupFailed:
    """What it means that a question is not answered: that is no entry's fault."""
    failure = _undelivered(error, 0)
    passes = failure.row.verdict in {Verdict.RETRY, Verdict.WAIT}
    return LookupFailed(failure.row if passes else answers.CLUSTER, failure.detail)


@dataclass(frozen=True, slots=True)
class Suspect:
    """An entry that may be to blame for what became of a request."""

    pair: Pair
    row: Row
    kind: str
    reason: str
    asked: float
    """When that request was sent."""
    index: str
    """Where it was going."""

    @property
    def clear(self) -> bool:
        """Its own request is refused in a way that is about nothing but the request."""
        return self.row.verdict is Verdict.SPLIT

    @property
    def told(self) -> str:
        """Why it waits, in words."""
        status = "" if self.kind == REFUSED else f"status {self.row.status.start}: "
        return status + describe(self.reason)


@dataclass(slots=True)
class Outcome:
    """What became of the entries of a batch."""

    created: int = 0
    duplicates: int = 0
    refused: list[tuple[Pair, str, str]] = field(default_factory=list)
    """Entries that Elasticsearch refuses one by one, with the error's type and reason."""
    suspects: list[Suspect] = field(default_factory=list)
    asked: float = 0.0
    """When the last request was sent."""


class Sender:
    """Delivers batches to the write index. May be used by several threads at once."""

    def __init__(self, client: Elasticsearch, target: Target, events: Events, stop: threading.Event) -> None:
        self._client = client
        self._target = target
        self._events = events
        self._stop = stop
        self._taken = 0.0
        """When an entry was last taken, or was there already."""

    def deliver(self, batch: Batch[Any]) -> tuple[Outcome, list[Rejection]]:
        """Send until every entry is in the index or rejected; return the rejected ones, the batch's own among them.

        Raises Stopped: then nothing is known of the batch.
        """
        backoff = Backoff(self._events, self._stop)
        outcome = Outcome()
        self._send(batch.body, "", backoff, outcome)
        self._question(backoff, outcome)
        backoff.recovered()
        return outcome, [
            *(_rejection(pair, kind, why, batch) for pair, kind, why in outcome.refused),
            *batch.rejections,
        ]

    def _question(self, backoff: Backoff, outcome: Outcome) -> None:
        """Send suspects again until each is in the index or surely to blame, and then refused.

        It is if a harmless request is understood, and its own refused before and after; where that may have other
        reasons, only after some tries, if its neighbours went in meanwhile. What all suffer from is no entry's fault.
        """
        tries: Counter[bytes] = Counter()
        since: dict[bytes, float] = {}
        understood = False
        while outcome.suspects:
            suspects, outcome.suspects = outcome.suspects, []
            left: list[Suspect] = []
            for one in suspects:
                identity = one.pair[0]
                tries[identity] += 1
                neighbours = self._taken >= since.setdefault(identity, one.asked)
                if understood and (one.clear or (tries[identity] > TRIES and neighbours)):
                    outcome.refused.append((one.pair, one.kind, one.reason))
                else:
                    left.append(one)
            if not left:
                return
            doubtful = next((one for one in left if not one.clear), None)
            ripe = any(one.clear or tries[one.pair[0]] >= TRIES for one in left)
            understood = ripe and self.accepts_probe()
            if doubtful is not None:
                backoff.wait(doubtful.row, doubtful.told)
            elif not understood:  # all requests are refused: that is no entry's fault
                backoff.wait(answers.CLUSTER, left[0].told)
            for index in dict.fromkeys(one.index for one in left):
                body = Body.of([one.pair for one in left if one.index == index])
                self._send(body, index, backoff, outcome, tried=TRIES)

    def _send(self, body: Body, index: str, backoff: Backoff, outcome: Outcome, *, tried: int = 0) -> None:
        """Send until nothing is left but suspects.

        `index`  where these entries may have been sent already: as long as it is there, no other will do
        `tried`  how often requests with these entries have failed already
        """
        while body.count:
            outcome.asked = time.monotonic()
            try:
                body, index = self._aim(body, index, outcome)
                answer = self._post(body, index) if body.count else Answer("")
            except BulkFailed as failure:
                tried += 1
                if isinstance(failure, LookupFailed) or not self._smaller(failure.row, tried):
                    backoff.wait(failure.row, failure.detail)
                elif body.count > 1:
                    pairs = body.pairs()
                    half = len(pairs) // 2
                    self._send(Body.of(pairs[:half]), index, backoff, outcome, tried=tried)
                    body = Body.of(pairs[half:])
                else:
                    (pair,) = body.pairs()
                    if failure.row.verdict is Verdict.ALONE:
                        outcome.refused.append((pair, REFUSED, failure.detail))
                    else:
                        outcome.suspects.append(
                            Suspect(pair, failure.row, REFUSED, failure.detail, outcome.asked, index)
                        )
                    body = EMPTY
                continue
            suspects = len(outcome.suspects)
            body, worst, outgrown = self._tally(answer, body, index, outcome)
            for part in (outgrown[: len(outgrown) // 2], outgrown[len(outgrown) // 2 :]):
                self._send(Body.of(part), index, backoff, outcome)
            if worst is None:
                if len(outcome.suspects) == suspects:
                    backoff.recovered()
                continue
            row, detail, shut = worst
            if shut:  # another one may be written by now
                self._target.look_again()
                index = ""
            backoff.wait(row, detail)

    def _smaller(self, row: Row, tried: int) -> bool:
        """Tell whether a request that failed is sent in parts: one entry may be what spoils it.

        So may be what no answer blames on it, if that lasts while a harmless request is understood.
        """
        if row.fault in {Fault.SERVER_ERROR, Fault.NOT_AN_ANSWER} and row.verdict is Verdict.RETRY:
            return tried >= TRIES and self.accepts_probe()
        return row.verdict in {Verdict.SPLIT, Verdict.ALONE, Verdict.DOUBT}

    def _aim(self, body: Body, sent_to: str, outcome: Outcome) -> tuple[Body, str]:
        """Choose the index, and leave out what another one has already. Raises Undelivered, Stopped."""
        behind = self._look()
        index = sent_to
        if index not in behind.indices:
            index = behind.write
            if (seconds := self._target.unsettled()) > 0:
                if self._stop.wait(seconds):
                    raise Stopped
                return self._aim(body, sent_to, outcome)
        if not sent_to == index == behind.write:  # else they were asked before it was sent there
            others = [other for other in behind.indices if other != index]
            body = self._leave_out_delivered(body, others, outcome)
        return body, index

    def _look(self) -> Backing:
        """Look at the alias. Raises Undelivered."""
        try:
            return self._target.look()
        except Fatal as error:
            self._events.waiting(str(error))
            raise LookupFailed(answers.CLUSTER, str(error)) from None
        except (elasticsearch.ApiError, elastic_transport.TransportError) as error:
            raise _unasked(error) from None

    def _post(self, body: Body, index: str) -> Answer:
        started = time.monotonic()
        answer = post(self._client, body, index)
        self._events.answered(time.monotonic() - started)
        return answer

    def accepts_probe(self) -> bool:
        """Tell whether a request that no one could blame is answered item by item, and not by a failure."""
        try:
            answer = post(self._client, PROBE, self._look().write)
        except BulkFailed:
            return False
        return all(item.status < 500 and item.status != 429 for item in answer.items)

    def _leave_out_delivered(self, body: Body, indices: Sequence[str], outcome: Outcome) -> Body:
        """Take out what these indices hold. Raises Undelivered."""
        if not indices:
            return body
        pairs = body.pairs()
        try:
            known = delivered(self._client, indices, [identity for identity, _ in pairs])
        except IndexUnavailable as error:
            raise LookupFailed(answers.CLUSTER, str(error)) from None
        except (elasticsearch.ApiError, elastic_transport.TransportError) as error:
            raise _unasked(error) from None
        outcome.duplicates += sum(identity in known for identity, _ in pairs)
        return Body.of([pair for pair in pairs if pair[0] not in known]) if known else body

    def _tally(
        self, answer: Answer, body: Body, index: str, outcome: Outcome
    ) -> tuple[Body, tuple[Row, str, bool] | None, list[Pair]]:
        """Count what is settled; return what is not, why, and what has to go in smaller requests.

        Why: the worst reason in words, and whether the index takes nothing any more, not even a request that is late.
        """
        if answer.index is not None:
            outcome.created += body.count
            if body.count:
                self._taken = time.monotonic()
            return EMPTY, None, []
        left: list[Pair] = []
        outgrown: list[Pair] = []
        worst: tuple[Row, str] | None = None
        shut = True
        for item, pair in zip(answer.items, body.pairs(), strict=True):
            row = answers.judge_item(item, len(body.data), body.count)
            match row.verdict:
                case Verdict.DELIVERED:
                    outcome.created += 1
                    self._taken = time.monotonic()
                case Verdict.DUPLICATE:
                    outcome.duplicates += 1
                    self._taken = time.monotonic()
                case Verdict.DOUBT:
                    reason = item.reason or item.error_type
                    outcome.suspects.append(Suspect(pair, row, item.error_type, reason, outcome.asked, index))
                case Verdict.ALONE if body.count > 1:
                    outgrown.append(pair)
                case Verdict.REJECTED | Verdict.ALONE:
                    outcome.refused.append((pair, item.error_type, item.reason))
                case _:
                    left.append(pair)
                    shut = shut and item.error_type in answers.SHUT
                    if worst is None or row.verdict is Verdict.WAIT:
                        worst = row, f"status {item.status}: {describe(item.reason or item.error_type)}"
        return Body.of(left), (*worst, shut) if worst else None, outgrown


def _rejection(pair: Pair, kind: str, reason: str, batch: Batch[Any]) -> Rejection:
    identity = pair[0].decode()
    return Rejection(identity, batch.files.get(pair[0][:8], ""), offset_of(identity), kind, reason, pair[1])
