"""Delivering a batch: send until each of its entries is in the index or rejected, as the answer table says.

A batch whose answer was lost is sent again; the ids make that safe. Tries are not limited: only a stop ends them, and then
the next run reads again what is not acknowledged.
"""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import elastic_transport
import elasticsearch
from elasticsearch import Elasticsearch

from indexer.elastic.alias import Address, Backing, place
from indexer.elastic.failures import describe
from indexer.errors import Fatal, Stopped
from indexer.events import Events, Fault
from indexer.reading.entries import Rejection, offset_of
from indexer.writing import answers
from indexer.writing.answers import Answer, Row, Verdict
from indexer.writing.batches import EMPTY, Batch, Body, Pair
from indexer.writing.request import Backoff, BulkFailed, LookupFailed, post
from indexer.writing.self_conflict import conflicts_with_itself
from indexer.writing.target import IndexUnavailable, Target, delivered

TRIES = 8
"""How often an entry is sent before a refusal that may have other reasons is blamed on it: some ten seconds."""
SETTLING = 4
"""The same for one with a new field whose type is not settled, which takes the server the time of a change of its state."""
FEWER_TRIES = {Verdict.SPLIT: 1, Verdict.AGAIN: SETTLING}
"""In place of TRIES."""
SETTLE_WAIT = 0.05
"""Seconds, doubled with each such try: some 1.5 s together."""
REFUSED = "request_refused"
"""Type of the rejection of an entry whose own request is refused."""
PROBE = Body(b'{"update":{"_id":"probe"}}\n{"doc":{}}\n', 1)
"""A harmless request: it updates an entry that does not exist (404, measured on 8.19.16 and 9.1.5)."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """An entry that may be the reason why a request failed."""

    pair: Pair
    row: Row
    kind: str
    reason: str
    sent_at: float
    """When that request was sent, on the monotonic clock."""
    index: str
    """The index it was sent to."""

    @property
    def conclusive(self) -> bool:
        """Whether the entry was refused for its content, and not for the server's state."""
        return self.row.verdict in {Verdict.SPLIT, Verdict.AGAIN}

    @property
    def tries(self) -> int:
        """How often it is sent again, at least, before it is blamed."""
        return FEWER_TRIES.get(self.row.verdict, TRIES)

    @property
    def detail(self) -> str:
        """Why it is sent again, in words."""
        status = "" if self.kind == REFUSED else f"status {self.row.status.start}: "
        return status + describe(self.reason)


@dataclass(slots=True)
class Outcome:
    """How the entries of a batch ended."""

    created: int = 0
    duplicates: int = 0
    index: str = ""
    """The oldest index that may hold one of them."""
    refused: list[tuple[Pair, str, str]] = field(default_factory=list)
    """Entries that are rejected, each with the error's type and reason."""
    suspects: list[Suspect] = field(default_factory=list)
    sent_at: float = 0.0
    """When the last request was sent."""

    def held_by(self, index: str) -> None:
        """Note that an index may hold entries of the batch."""
        self.index = min(self.index or index, index, key=place)


class Sender:
    """Delivers batches to the write index. May be used by several threads at once."""

    def __init__(self, client: Elasticsearch, target: Target, events: Events, stop: threading.Event) -> None:
        self._client = client
        self._target = target
        self._events = events
        self._stop = stop
        self._last_success = 0.0
        """When an entry was last created or found to be a duplicate."""

    def deliver(self, batch: Batch[Any]) -> tuple[Outcome, list[Rejection]]:
        """Send until every entry is in the index or rejected; return the rejected ones, those of the reader included.

        Raises Stopped: then nothing is known of the batch.
        """
        backoff = Backoff(self._events, self._stop)
        outcome = Outcome()
        self._send(batch.body, "", backoff, outcome)
        self._resend_suspects(backoff, outcome)
        backoff.recovered()
        return outcome, [
            *(_rejection(pair, kind, why, batch) for pair, kind, why in outcome.refused),
            *batch.rejections,
        ]

    def _resend_suspects(self, backoff: Backoff, outcome: Outcome) -> None:
        """Send suspects again until each is in the index or rejected.

        An entry is rejected if the server answers a harmless request, and refuses the entry's own before and after. If
        the refusal may have other reasons, it also takes `TRIES` tries, and other entries that went in meanwhile; if the type
        of a field is not settled, `SETTLING` tries.
        """
        tries: Counter[bytes] = Counter()
        since: dict[bytes, float] = {}
        healthy = False
        while outcome.suspects:
            suspects, outcome.suspects = outcome.suspects, []
            left: list[Suspect] = []
            for one in suspects:
                identity = one.pair[0]
                tries[identity] += 1
                others_succeed = self._last_success >= since.setdefault(identity, one.sent_at)
                if healthy and tries[identity] > one.tries and (one.conclusive or others_succeed):
                    outcome.refused.append((one.pair, one.kind, one.reason))
                else:
                    left.append(one)
            if not left:
                return
            inconclusive = next((one for one in left if not one.conclusive), None)
            decidable = any(tries[one.pair[0]] >= one.tries for one in left)
            healthy = decidable and self.accepts_probe()
            unsettled = max(
                (tries[one.pair[0]] for one in left if one.row.verdict is Verdict.AGAIN), default=0
            )
            if inconclusive is not None:
                backoff.wait(inconclusive.row, inconclusive.detail)
            elif decidable and not healthy:  # all requests are refused: no entry is to blame
                backoff.wait(answers.CLUSTER, left[0].detail)
            elif unsettled:
                backoff.pause(SETTLE_WAIT * 2.0**unsettled)
            for index in dict.fromkeys(one.index for one in left):
                body = Body.of([one.pair for one in left if one.index == index])
                self._send(body, index, backoff, outcome, tried=TRIES)

    def _send(self, body: Body, index: str, backoff: Backoff, outcome: Outcome, *, tried: int = 0) -> None:
        """Send until each entry is settled or a suspect.

        `index`  where these entries may have been sent already: they go to no other as long as it exists
        `tried`  how often requests with these entries have failed already
        """
        while body.count:
            outcome.sent_at = time.monotonic()
            try:
                body, index, address = self._aim(body, index, outcome)
                answer = self._post(body, address) if body.count else Answer("")
            except BulkFailed as failure:
                tried += 1
                if isinstance(failure, LookupFailed) or not self._needs_split(failure.row, tried):
                    backoff.wait(failure.row, failure.detail)
                elif body.count > 1:
                    pairs = body.pairs()
                    half = len(pairs) // 2
                    self._send(Body.of(pairs[:half]), index, backoff, outcome, tried=tried)
                    body = Body.of(pairs[half:])
                else:
                    _blame(body, failure, index, outcome)
                    body = EMPTY
                continue
            suspects = len(outcome.suspects)
            if body.count:
                outcome.held_by(index)
            body, worst, outgrown = self._tally(answer, body, index, outcome)
            for part in (outgrown[: len(outgrown) // 2], outgrown[len(outgrown) // 2 :]):
                self._send(Body.of(part), index, backoff, outcome)
            if worst is None:
                if len(outcome.suspects) == suspects:
                    backoff.recovered()
                continue
            row, detail, shut = worst
            if shut:  # the alias may have another write index by now
                self._target.look_again()
                index = ""
            backoff.wait(row, detail)

    def _needs_split(self, row: Row, tried: int) -> bool:
        """Tell whether a request that failed is sent in halves, because one of its entries may be the reason.

        After a server error or an unreadable answer it is, if that lasts while the server answers a harmless request.
        """
        if row.fault in {Fault.SERVER_ERROR, Fault.NOT_AN_ANSWER} and row.verdict is Verdict.RETRY:
            return tried >= TRIES and self.accepts_probe()
        return row.verdict in {Verdict.SPLIT, Verdict.ALONE, Verdict.DOUBT}

    def _aim(self, body: Body, sent_to: str, outcome: Outcome) -> tuple[Body, str, Address]:
        """Choose the index, and leave out what another one has already. Raises LookupFailed, Stopped.

        The address is by the same lookup: by a later one of another sender, the index may be gone, and its own alias.
        """
        behind = self._look()
        index = sent_to
        if index not in behind.indices:
            index = behind.write
            if (seconds := self._target.unsettled()) > 0:
                if self._stop.wait(seconds):
                    raise Stopped
                return self._aim(body, sent_to, outcome)
        if not sent_to == index == behind.write:  # else the others were asked before the first try
            others = [other for other in behind.indices if other != index]
            body = self._leave_out_delivered(body, others, outcome)
        return body, index, behind.address(index)

    def _look(self) -> Backing:
        """Return the indices behind the alias. Raises LookupFailed."""
        try:
            return self._target.look()
        except Fatal as error:
            self._events.waiting(str(error))
            raise LookupFailed(answers.CLUSTER, str(error)) from None
        except (elasticsearch.ApiError, elastic_transport.TransportError) as error:
            raise LookupFailed.of(error) from None

    def _post(self, body: Body, address: Address) -> Answer:
        started = time.monotonic()
        answer = post(self._client, body, address.name, require_alias=address.is_alias)
        self._events.answered(time.monotonic() - started)
        return answer

    def accepts_probe(self) -> bool:
        """Tell whether the write index answers a harmless request without a server error."""
        try:
            behind = self._look()
            address = behind.address(behind.write)
            answer = post(self._client, PROBE, address.name, require_alias=address.is_alias)
        except BulkFailed:
            return False
        return all(item.status < 500 and item.status != 429 for item in answer.items)

    def _leave_out_delivered(self, body: Body, indices: Sequence[str], outcome: Outcome) -> Body:
        """Leave out the entries that these indices hold, and count them. Raises LookupFailed."""
        if not indices:
            return body
        pairs = body.pairs()
        try:
            known = delivered(self._client, indices, [identity for identity, _ in pairs])
        except IndexUnavailable as error:
            raise LookupFailed(answers.CLUSTER, str(error)) from None
        except (elasticsearch.ApiError, elastic_transport.TransportError) as error:
            raise LookupFailed.of(error) from None
        outcome.duplicates += sum(identity in known for identity, _ in pairs)
        if known:
            outcome.held_by(indices[0])
        return Body.of([pair for pair in pairs if pair[0] not in known]) if known else body

    def _tally(
        self, answer: Answer, body: Body, index: str, outcome: Outcome
    ) -> tuple[Body, tuple[Row, str, bool] | None, list[Pair]]:
        """Count the entries that are settled; return those to send again, why, and those to send in smaller requests.

        Why: the worst reason, and whether the index takes no entries any more.
        """
        if answer.index is not None:
            outcome.created += body.count
            if body.count:
                self._last_success = time.monotonic()
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
                    self._last_success = time.monotonic()
                case Verdict.DUPLICATE:
                    outcome.duplicates += 1
                    self._last_success = time.monotonic()
                case Verdict.AGAIN if conflicts_with_itself(pair[1], item.reason):
                    outcome.refused.append((pair, item.error_type, item.reason))
                case Verdict.DOUBT | Verdict.AGAIN:
                    reason = item.reason or item.error_type
                    outcome.suspects.append(
                        Suspect(pair, row, item.error_type, reason, outcome.sent_at, index)
                    )
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


def _blame(body: Body, failure: BulkFailed, index: str, outcome: Outcome) -> None:
    """Note that a request of a single entry failed."""
    (pair,) = body.pairs()
    if failure.row.verdict is Verdict.ALONE:
        outcome.refused.append((pair, REFUSED, failure.detail))
    else:
        outcome.suspects.append(Suspect(pair, failure.row, REFUSED, failure.detail, outcome.sent_at, index))


def _rejection(pair: Pair, kind: str, reason: str, batch: Batch[Any]) -> Rejection:
    identity = pair[0].decode()
    return Rejection(identity, batch.files.get(pair[0][:8], ""), offset_of(identity), kind, reason, pair[1])
