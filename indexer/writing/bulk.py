"""Sending a batch until each of its entries is in the index or rejected: hold the answer against the table, act.

A lost answer is no answer: the batch is sent again, and its ids make that safe. No try is the last; only a stop ends
the trying, and then what is not acknowledged is read again by the next run.
"""

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import elastic_transport
import elasticsearch
from elasticsearch import Elasticsearch

from indexer.cluster.failures import in_short, in_words, reason_of
from indexer.errors import Fatal
from indexer.events import Events, Fault
from indexer.reading.entries import Rejection, offset_of
from indexer.writing import answers
from indexer.writing.answers import Answer, NotAnAnswer, Row, Verdict
from indexer.writing.batches import EMPTY, Batch, Body, Pair
from indexer.writing.target import Backing, Target, Unknown, delivered

FAST = (0.1, 30.0)
SLOW = (1.0, 60.0)
"""Seconds of the first and of the longest wait, for faults that pass and for those that somebody has to mend."""
DOUBLINGS = 16
"""More of them than the longest wait needs, and fewer than a float can hold."""
HARMLESS = Body(b'{"update":{"_id":"probe"}}\n{"doc":{}}\n', 1)
"""Changes nothing: there is no such entry, and its answer says so (404, measured on 8.19.16 and 9.1.5)."""


class Stopped(Exception):  # noqa: N818 - an end that was asked for
    """The indexer is stopping; what was to be sent is not delivered."""


class Undelivered(Exception):  # noqa: N818 - the ordinary course of an outage
    """A request came to nothing."""

    def __init__(self, row: Row, detail: str) -> None:
        super().__init__(detail)
        self.row = row
        self.detail = detail


class Patience:
    """Waits between tries: exponential with jitter, ended at once by a stop."""

    def __init__(self, events: Events, stop: threading.Event) -> None:
        self._events = events
        self._stop = stop
        self._tries = 0

    def wait(self, row: Row, detail: str) -> None:
        """Wait before the next try. Raises Stopped."""
        first, longest = SLOW if row.verdict is Verdict.WAIT else FAST
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
            operations=body.data,  # type: ignore[arg-type] # bytes go out as they are: cluster/client.py
            index=index,
            filter_path=answers.FILTER_PATH,
        )
        return answers.read_answer(answer.body, body.count)
    except NotAnAnswer as error:
        raise Undelivered(answers.judge(answers.REQUEST, 200), str(error)) from None
    except (elasticsearch.ApiError, elastic_transport.TransportError) as error:
        raise _undelivered(error, len(body.data)) from None


def _undelivered(error: elasticsearch.ApiError | elastic_transport.TransportError, size: int) -> Undelivered:
    """What an error means to a request of `size` bytes."""
    match error:
        case elasticsearch.ApiError():
            status, reason = error.meta.status, reason_of(error)
            row = answers.judge_request(status, reason, size)
            return Undelivered(row, f"status {status}: {in_words(reason)}")
        case elastic_transport.SerializationError():
            return Undelivered(
                answers.judge(answers.REQUEST, 200), f"the answer is not JSON: {str(error.message)[:200]}"
            )
    return Undelivered(answers.judge(answers.REQUEST, 0), in_short(error))


def _unasked(error: elasticsearch.ApiError | elastic_transport.TransportError) -> Undelivered:
    """What it means that a question is not answered: that is no entry's fault."""
    failure = _undelivered(error, 0)
    passes = failure.row.verdict in {Verdict.RETRY, Verdict.WAIT}
    return Undelivered(failure.row if passes else answers.CLUSTER, failure.detail)


@dataclass(slots=True)
class Outcome:
    """What became of the entries of a batch."""

    created: int = 0
    duplicates: int = 0
    refused: list[tuple[Pair, str, str]] = field(default_factory=list)
    """Entries that Elasticsearch refuses one by one, with the error's type and reason."""
    suspects: list[tuple[Pair, str, str]] = field(default_factory=list)
    """Entries of which a whole request of their own is refused."""


@dataclass(frozen=True, slots=True)
class Course:
    """Where some entries are going."""

    new_to: str | None
    """The write index of which it is known that no older one holds any of them."""
    index: str = ""
    """They may have been sent to this one: as long as it is there, no other will do."""
    asked_for: str = ""
    """The others were asked for them before they were sent to this one."""


class Sender:
    """Delivers batches to the write index. May be used by several threads at once."""

    def __init__(self, client: Elasticsearch, target: Target, events: Events, stop: threading.Event) -> None:
        self._client = client
        self._target = target
        self._events = events
        self._stop = stop

    def deliver(self, batch: Batch[Any]) -> tuple[Outcome, list[Rejection]]:
        """Send until every entry is in the index or rejected; return the rejected ones, the batch's own among them.

        Raises Stopped: then nothing is known of the batch.
        """
        patience = Patience(self._events, self._stop)
        outcome = Outcome()
        self._send(batch.body, Course(batch.new_to), patience, outcome)
        while outcome.suspects:
            suspects, outcome.suspects = outcome.suspects, []
            understood = self._understands()
            if not understood:  # all requests are refused: that is no entry's fault
                patience.wait(answers.CLUSTER, suspects[0][2])
            self._send(Body.of([pair for pair, _, _ in suspects]), Course(None), patience, outcome)
            if understood:  # what was refused before and after is to blame
                break
        patience.recovered()
        rejections = [
            _rejection(pair, kind, why, batch) for pair, kind, why in outcome.refused + outcome.suspects
        ]
        return outcome, rejections + batch.rejections

    def _send(self, body: Body, course: Course, patience: Patience, outcome: Outcome) -> None:
        """Send until nothing is left."""
        while body.count:
            try:
                body, course = self._aim(body, course, outcome)
                answer = self._post(body, course.index) if body.count else Answer("")
            except Undelivered as failure:
                if failure.row.verdict not in {Verdict.SPLIT, Verdict.ALONE}:
                    patience.wait(failure.row, failure.detail)
                elif body.count > 1:
                    pairs = body.pairs()
                    half = len(pairs) // 2
                    self._send(Body.of(pairs[:half]), course, patience, outcome)
                    body = Body.of(pairs[half:])
                else:
                    alone = failure.row.verdict is Verdict.ALONE
                    to = outcome.refused if alone else outcome.suspects
                    to.append((body.pairs()[0], "request_refused", failure.detail))
                    body = EMPTY
                continue
            body, worst, outgrown = self._tally(answer, body, outcome)
            for part in (outgrown[: len(outgrown) // 2], outgrown[len(outgrown) // 2 :]):
                self._send(Body.of(part), course, patience, outcome)
            if worst is None:
                patience.recovered()
                continue
            row, detail, shut = worst
            if shut:  # another one may be written by now
                self._target.look_again()
                course = Course(course.new_to)
            patience.wait(row, detail)

    def _aim(self, body: Body, course: Course, outcome: Outcome) -> tuple[Body, Course]:
        """Choose the index, and leave out what another one has already. Raises Undelivered, Stopped."""
        behind = self._look()
        index = course.index
        if index not in behind.indices:
            index = behind.write
            if (seconds := self._target.unsettled()) > 0:
                if self._stop.wait(seconds):
                    raise Stopped
                return self._aim(body, course, outcome)
        if index != behind.write or index not in {course.new_to, course.asked_for}:
            body = self._leave_out_delivered(
                body, [other for other in behind.indices if other != index], outcome
            )
        return body, Course(course.new_to, index, index)

    def _look(self) -> Backing:
        """Look at the alias. Raises Undelivered."""
        try:
            return self._target.look()
        except Fatal as error:
            self._events.waiting(str(error))
            raise Undelivered(answers.CLUSTER, str(error)) from None
        except (elasticsearch.ApiError, elastic_transport.TransportError) as error:
            raise _unasked(error) from None

    def _post(self, body: Body, index: str) -> Answer:
        started = time.monotonic()
        answer = post(self._client, body, index)
        self._events.answered(time.monotonic() - started)
        return answer

    def _understands(self) -> bool:
        """Tell whether a request that no one could blame is answered item by item."""
        try:
            post(self._client, HARMLESS, self._look().write)
        except Undelivered:
            return False
        return True

    def _leave_out_delivered(self, body: Body, indices: Sequence[str], outcome: Outcome) -> Body:
        """Take out what these indices hold. Raises Undelivered."""
        if not indices:
            return body
        pairs = body.pairs()
        try:
            known = delivered(self._client, indices, [identity for identity, _ in pairs])
        except Unknown as error:
            raise Undelivered(answers.CLUSTER, str(error)) from None
        except (elasticsearch.ApiError, elastic_transport.TransportError) as error:
            raise _unasked(error) from None
        outcome.duplicates += sum(identity in known for identity, _ in pairs)
        return Body.of([pair for pair in pairs if pair[0] not in known]) if known else body

    def _tally(
        self, answer: Answer, body: Body, outcome: Outcome
    ) -> tuple[Body, tuple[Row, str, bool] | None, list[Pair]]:
        """Count what is settled; return what is not, why, and what has to go in smaller requests.

        Why: the worst reason in words, and whether the index takes nothing any more, not even a request that is late.
        """
        if answer.index is not None:
            outcome.created += body.count
            return EMPTY, None, []
        left: list[Pair] = []
        outgrown: list[Pair] = []
        worst: tuple[Row, str] | None = None
        shut = True
        for item, pair in zip(answer.items, body.pairs(), strict=True):
            row = answers.judge_item(item)
            match row.verdict:
                case Verdict.DELIVERED:
                    outcome.created += 1
                case Verdict.DUPLICATE:
                    outcome.duplicates += 1
                case Verdict.ALONE if body.count > 1:
                    outgrown.append(pair)
                case Verdict.REJECTED | Verdict.ALONE:
                    outcome.refused.append((pair, item.error_type, item.reason))
                case _:
                    left.append(pair)
                    shut = shut and item.error_type in answers.SHUT
                    if worst is None or row.verdict is Verdict.WAIT:
                        worst = row, f"status {item.status}: {in_words(item.reason or item.error_type)}"
        return Body.of(left), (*worst, shut) if worst else None, outgrown


def _rejection(pair: Pair, kind: str, reason: str, batch: Batch[Any]) -> Rejection:
    identity = pair[0].decode()
    return Rejection(identity, batch.files.get(pair[0][:8], ""), offset_of(identity), kind, reason, pair[1])
