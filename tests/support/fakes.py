"""An Elasticsearch in memory.

`FakeElasticsearch` is a fake: no server of any kind. It stands in for the client object so that a test can put a fault
at one exact moment (an answer lost after its request was carried out, a rollover between that and the next try, a
crash after the n-th request), which a real server cannot be made to do. It obeys Elasticsearch's rules as far as the
indexer relies on them, with the answers of 9.1.5; that they are the rules is for the tests in integration/ to show.
"""

import json
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import orjson
from elasticsearch import Elasticsearch

from indexer.elastic.alias import EXISTING
from indexer.elastic.client import FOUND_ANSWER
from indexer.elastic.cluster import Cluster
from indexer.settings import Connection
from indexer.writing.target import FOUND
from tests.support.faults import CarryOut, Request, Step, carried_out, refused

ALIAS = "zoomdata-activity"


@dataclass(frozen=True, slots=True)
class Refusal:
    """The error with which Elasticsearch refuses an entry."""

    status: int
    type: str
    reason: str


class Answered:
    """A response of the client."""

    def __init__(self, body: Any) -> None:
        self.body = body


class FakeElasticsearch:
    """One alias with its backing indices, and other indices. May be used by several threads."""

    def __init__(self, alias: str = ALIAS) -> None:
        """Begin with one index behind the alias."""
        self.alias = alias
        first = f"{alias}-000001"
        self.documents: dict[str, dict[str, bytes]] = {first: {}}
        """Of each index the source of each id, in the order of arrival."""
        self.behind: list[str] = [first]
        """The indices behind the alias."""
        self.own: set[str] = set()
        """Indices with an alias of their own, as on OpenSearch. There, no template forbids that writing creates an index."""
        self.more_aliases: dict[str, Mapping[str, Any]] = {}
        """Of an index, further aliases of a name that is asked for."""
        self.write: str | None = first
        self.blocked: set[str] = set()
        """Indices with a write block, as a full disk leaves them."""
        self.refuse: Callable[[str, bytes], Refusal | None] = lambda _id, _entry: None
        """The error for an entry, if any. Entries that are no JSON object are always refused."""
        self.bulk_steps: deque[Step] = deque()
        """Steps for the next bulk requests, one each; `bulk_step` is for all later ones."""
        self.bulk_step: Step = carried_out
        self.question_steps: deque[Step] = deque()
        """The same for all other requests."""
        self.question_step: Step = carried_out
        self.largest = 100 * 1024 * 1024
        """Bytes of the largest request (http.max_content_length)."""
        self.requests: list[Request] = []
        """All bulk requests, failed ones included."""
        self.questions: list[Request] = []
        """All other requests."""
        self.indices = _Indices(self)
        self._lock = threading.RLock()

    @property
    def client(self) -> Elasticsearch:
        """This, typed as a client."""
        return cast("Elasticsearch", self)

    @property
    def cluster(self) -> Cluster:
        """The same, with settings."""
        return Cluster(self.client, Connection(alias=self.alias))

    # ---- the client's interface

    def bulk(
        self,
        *,
        operations: bytes | memoryview,
        index: str,
        require_alias: bool | None = None,
        filter_path: str | None = None,
    ) -> Answered:
        """Carry out creates, item by item; any other operation finds no such document."""
        assert filter_path is not None, "the answers here are the filtered ones"
        body = bytes(operations)
        if require_alias and index.removesuffix(EXISTING) in self.own & self.documents.keys():
            index = index.removesuffix(EXISTING)
        with self._lock:
            if len(body) > self.largest:
                self.requests.append(Request(index))
                refused(413, "content_too_long_exception", "entity content is too long")
            if not body.endswith(b"\n"):
                refused(400, "illegal_argument_exception", "The bulk request must be terminated by a newline")
            request = _bulk_request(index, body)
            self.requests.append(request)
            step = self.bulk_steps.popleft() if self.bulk_steps else self.bulk_step
        return Answered(step(request, lambda: self._bulk(request)))

    def options(self, **_: object) -> "FakeElasticsearch":
        """The same client: what is not found is answered as with the status ignored."""
        return self

    def perform_request(self, method: str, path: str, **_: object) -> Answered:
        """What product it is: the only request there is without a method of its own."""
        assert (method, path) == ("GET", "/")
        return Answered(self._ask(Request(""), lambda: {"version": {"number": "9.1.5"}}))

    def search(self, *, index: str, **query: Any) -> Any:
        """The newest checkpoint of each seal log: the only search there is."""
        assert query["collapse"] == {"field": "log"}
        return self._ask(Request(index), lambda: self._newest_checkpoints(index))

    def mget(self, *, index: str, ids: Sequence[str], source: bool = True, filter_path: str = "") -> Any:
        """The documents with these ids; without `source`, which of them an index holds."""
        if source:
            return self._ask(Request(index, ids=tuple(ids)), lambda: self._documents(index, ids))
        assert filter_path == FOUND, "the answers here are the filtered ones"
        answer = self._ask(Request(index, ids=tuple(ids)), lambda: self._mget(index, ids))
        data = orjson.dumps(answer)
        return Answered(data if data.startswith(FOUND_ANSWER) else answer)  # as the client does

    # ---- changes of the cluster

    def rollover(self) -> None:
        """Roll the alias over to a new index."""
        with self._lock:
            self.write = f"{self.alias}-{int(self.behind[-1][-6:]) + 1:06}"
            self.behind.append(self.write)
            self.documents[self.write] = {}

    def delete(self, index: str) -> None:
        """Delete an index that was rolled over."""
        with self._lock:
            self.behind.remove(index)
            self.documents.pop(index)

    # ---- what it holds

    def holdings(self) -> list[tuple[str, str, bytes]]:
        """Index, id and source of each document behind the alias."""
        with self._lock:
            return [(index, *document) for index in self.behind for document in self.documents[index].items()]

    @property
    def entries(self) -> dict[str, bytes]:
        """The documents behind the alias by id. An id that is there twice fails the test."""
        assert not self.twice, f"more than one copy: {self.twice}"
        return {identity: source for _, identity, source in self.holdings()}

    @property
    def twice(self) -> list[str]:
        """The ids of which the alias has more than one copy."""
        copies = Counter(identity for _, identity, _ in self.holdings())
        return [identity for identity, count in copies.items() if count > 1]

    # ---- inside

    def _ask(self, request: Request, carry_out: CarryOut) -> Any:
        with self._lock:
            self.questions.append(request)
            step = self.question_steps.popleft() if self.question_steps else self.question_step
        return step(request, carry_out)

    def _bulk(self, request: Request) -> bytes:
        with self._lock:
            items = [
                {operation: self._item(operation, request.target, pair)}
                for operation, pair in zip(request.operations, request.pairs, strict=True)
            ]
        errors = any("error" in result for item in items for result in item.values())
        return orjson.dumps({"errors": errors, "items": items})

    def _item(self, operation: str, index: str, pair: tuple[str, bytes]) -> Mapping[str, object]:
        identity, source = pair
        forbidden = not self.own or index.endswith(
            EXISTING
        )  # allow_auto_create is false, or require_alias is true
        if index not in self.documents and index.startswith(f"{self.alias}-0") and forbidden:
            return _error(index, 404, "index_not_found_exception", _NO_INDEX.format(index))
        if index in self.blocked:
            return _error(index, 403, "cluster_block_exception", _BLOCKED.format(index))
        there = self.documents.setdefault(index, {})
        if operation != "create":
            return _error(index, 404, "document_missing_exception", f"[{identity}]: document missing")
        if identity in there:
            return _error(index, 409, "version_conflict_engine_exception", f"[{identity}]: version conflict")
        refusal = self.refuse(identity, source) or _not_an_object(source)
        if refusal is not None:
            return _error(index, refusal.status, refusal.type, refusal.reason)
        there[identity] = source
        return {"_index": index, "status": 201}

    def _documents(self, index: str, ids: Sequence[str]) -> Any:
        there = self.documents.get(index)
        if there is None:
            return {"docs": [{"error": {"type": "index_not_found_exception"}}] * len(ids)}
        found = [it for it in ids if it in there]
        return {"docs": [{"_id": it, "found": True, "_source": orjson.loads(there[it])} for it in found]}

    def _newest_checkpoints(self, index: str) -> Any:
        documents = map(orjson.loads, self.documents.get(index, {}).values())
        checkpoints = sorted((it for it in documents if "note" in it), key=lambda it: int(it["size"]))
        newest = {it["log"]: it for it in checkpoints}
        return {"hits": {"hits": [{"_source": it} for it in newest.values()]}}

    def _mget(self, index: str, ids: Sequence[str]) -> Any:
        there = self.documents.get(index)
        if there is None:
            return {"docs": [{"error": {"type": "index_not_found_exception"}}] * len(ids)}
        return {"docs": [{"found": identity in there} for identity in ids]}


class _Indices:
    """`client.indices`."""

    def __init__(self, server: FakeElasticsearch) -> None:
        self._server = server

    def get_alias(self, *, index: str, name: Sequence[str]) -> Any:
        """The indices with one of the aliases: the first, or one of an index's own; 404 if there is none."""
        assert index == name[0]
        return self._server._ask(Request(name[0]), lambda: self._get_alias(name[0]))

    def exists(self, *, index: str) -> bool:
        """Whether there is an index of this name."""
        there = self._server.documents
        return bool(self._server._ask(Request(index), lambda: index in there))

    def refresh(self, *, index: str) -> None:
        """Everything is found at once, anyway."""

    def stats(self, *, index: str, metric: str) -> Any:
        """How many documents the indices of an alias hold, or one index."""
        assert metric == "docs"
        return self._server._ask(Request(f"{index}/_stats"), lambda: self._stats(index))

    def _stats(self, name: str) -> Any:
        server = self._server
        names = server.behind if name == server.alias else [name]
        counts = {it: len(server.documents[it]) for it in names if it in server.documents}
        return {"indices": {it: {"primaries": {"docs": {"count": count}}} for it, count in counts.items()}}

    def _get_alias(self, name: str) -> Any:
        server = self._server
        held: dict[str, dict[str, Any]] = {it: {it + EXISTING: {"is_write_index": True}} for it in server.own}
        for index, more in server.more_aliases.items():
            held.setdefault(index, {}).update(more)
        for it in server.behind if name == server.alias else ():
            held.setdefault(it, {})[name] = {"is_write_index": it == server.write} if server.write else {}
        if not held:
            refused(404, "alias_not_found", f"alias [{name}] missing")
        return {index: {"aliases": aliases} for index, aliases in held.items()}


_NO_INDEX = "no such index [{}] and composable template forbids index auto creation"
_BLOCKED = "index [{}] blocked by: [FORBIDDEN/8/index write (api)];"


def _bulk_request(target: str, body: bytes) -> Request:
    lines = body[:-1].split(b"\n")
    actions = [orjson.loads(action) for action in lines[0::2]]
    operations = [operation for action in actions for operation in action]
    ids = [meta["_id"] for action in actions for meta in action.values()]
    return Request(target, list(zip(ids, lines[1::2], strict=True)), operations)


def _not_an_object(source: bytes) -> Refusal | None:
    if not source.lstrip().startswith(b"{"):
        return Refusal(
            500, "not_x_content_exception", "Compressor detection can only be called on some xcontent"
        )
    try:
        json.loads(source)
    except ValueError as error:
        return Refusal(400, "document_parsing_exception", f"failed to parse: {error}")
    return None


def _error(index: str, status: int, kind: str, reason: str) -> Mapping[str, object]:
    return {"_index": index, "status": status, "error": {"type": kind, "reason": reason}}
