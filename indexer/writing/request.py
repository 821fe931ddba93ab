"""One bulk request: how it is sent, what its failure means, and the wait before the next try."""

import random
import threading

import elastic_transport
import elasticsearch
from elasticsearch import Elasticsearch

from indexer.elastic.failures import InvalidAnswer, describe, reason_of, summarise
from indexer.errors import Stopped
from indexer.events import Events, Fault
from indexer.writing import answers
from indexer.writing.answers import Answer, Row, Verdict
from indexer.writing.batches import Body

RequestError = elasticsearch.ApiError | elastic_transport.TransportError

RETRY_WAIT = (0.1, 30.0)
"""Seconds of the first and of the longest wait, for faults that pass by themselves."""
FIX_WAIT = (1.0, 60.0)
"""The same for faults that an administrator has to fix."""
MAX_DOUBLINGS = 16
"""More than the longest wait needs, and fewer than a float can hold."""


class BulkFailed(Exception):  # noqa: N818 - the ordinary course of an outage
    """A bulk request failed as a whole."""

    def __init__(self, row: Row, detail: str) -> None:
        super().__init__(detail)
        self.row = row
        self.detail = detail


class LookupFailed(BulkFailed):
    """A lookup before a bulk request failed: no entry is to blame."""

    @classmethod
    def of(cls, error: RequestError) -> "LookupFailed":
        """Classify an error. Whatever does not pass by itself counts as the state of the cluster."""
        failure = bulk_failed(error, 0)
        retried = failure.row.verdict in {Verdict.RETRY, Verdict.WAIT}
        return cls(failure.row if retried else answers.CLUSTER, failure.detail)


class Backoff:
    """Waits between tries: exponential with jitter, ended at once by a stop."""

    def __init__(self, events: Events, stop: threading.Event) -> None:
        self._events = events
        self._stop = stop
        self._tries = 0

    def wait(self, row: Row, detail: str) -> None:
        """Wait before the next try. Raises Stopped."""
        first, longest = FIX_WAIT if row.verdict is Verdict.WAIT else RETRY_WAIT
        limit = min(longest, first * 2.0 ** min(self._tries, MAX_DOUBLINGS))
        seconds = limit * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        self._tries += 1
        self._events.delivery_failed(row.fault or Fault.CLUSTER_STATE, detail, seconds)
        self.pause(seconds)

    def pause(self, seconds: float) -> None:
        """Wait where nothing has failed. Raises Stopped."""
        if self._stop.wait(seconds):
            raise Stopped

    def recovered(self) -> None:
        """Begin again with the shortest wait, after a request that was answered."""
        if self._tries:
            self._events.delivery_recovered()
        self._tries = 0


def post(client: Elasticsearch, body: Body, index: str, *, require_alias: bool = False) -> Answer:
    """Send one bulk request to an index, by its name or by an alias. Raises BulkFailed."""
    try:
        answer = client.bulk(
            operations=body.data,  # type: ignore[arg-type] # bytes go out as they are: elastic/client.py
            index=index,
            require_alias=require_alias or None,
            filter_path=answers.FILTER_PATH,
        )
        return answers.read_answer(answer.body, body.count)
    except (elasticsearch.ApiError, elastic_transport.TransportError) as error:
        raise bulk_failed(error, len(body.data)) from None


def bulk_failed(error: RequestError, size: int) -> BulkFailed:
    """Classify the error of a request of `size` bytes."""
    match error:
        case elasticsearch.ApiError():
            status, reason, page = error.meta.status, reason_of(error), not isinstance(error.body, dict)
            row = answers.judge_request(status, reason, size, page=page)
            return BulkFailed(row, f"status {status}: {describe(reason)}")
        case InvalidAnswer():
            return BulkFailed(answers.judge(answers.REQUEST, 200), str(error))
        case elastic_transport.SerializationError():
            detail = f"the answer is not JSON: {str(error.message)[:200]}"
            return BulkFailed(answers.judge(answers.REQUEST, 200), detail)
    return BulkFailed(answers.judge(answers.REQUEST, 0), summarise(error))
