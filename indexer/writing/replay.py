"""`indexer rejected`: the lines that were refused, and sending them again."""

import base64
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Any

import orjson
from elasticsearch import Elasticsearch

from indexer.elastic.alias import backing
from indexer.elastic.cluster import connected
from indexer.elastic.failures import InvalidAnswer
from indexer.errors import Fatal, StateUnusable
from indexer.events import Events
from indexer.reading.entries import Rejection, entry_in
from indexer.settings import Connection, Delivery, State
from indexer.show import Table
from indexer.writing import answers
from indexer.writing.batches import Batch, Body
from indexer.writing.bulk import Sender
from indexer.writing.spool import DeadLetter, DeadLetterFiles
from indexer.writing.target import Target

ASKED_AT_ONCE = 1000
"""Rejected lines described in one answer, some 2 kB each."""
DESCRIBED = 64 * 1024
"""Bytes of the description of one of them, at most: a thousand characters of its text, and the reason."""
SHOWN = 100
"""Characters of a reason, and of a line, in a table."""


class StillListed(Fatal):
    """Lines went in, and their copies could not be deleted."""

    sentence = "Lines were delivered, and stay on the list: {index} answers {status} ({reason})."
    hint = "Fix that and replay again: what is in the index already is not sent twice."


class NotRead(Fatal):
    """Lines could not be sent again."""

    sentence = "{count} rejected lines cannot be read, and stay on the list: {reason}. Of the others {done} are in the index now."
    hint = "Fix that and replay again."


@dataclass(frozen=True, slots=True)
class Listing:
    """Refused lines, the newest first: in full as JSON, shortened as a table."""

    total: int
    lines: tuple[DeadLetter, ...]

    def tables(self) -> Iterable[Table]:
        """For people to read."""
        rows = tuple(
            (
                datetime.fromisoformat(kept.rejected),
                PurePath(kept.file).name,
                kept.offset,
                _shortened(f"{kept.type}: {kept.reason}"),
                _shortened(kept.text),
            )
            for kept in self.lines
        )
        title = f"Rejected lines: {self.total:,}" + (
            f", the newest {len(rows)}" if len(rows) < self.total else ""
        )
        yield Table(title, ("Rejected (UTC)", "File", "Offset", "Why", "Line"), rows, "None is kept.")


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of refused lines that were sent again."""

    delivered: int
    already_there: int
    still_rejected: int

    def tables(self) -> Iterable[Table]:
        """For people to read."""
        rows = (
            ("delivered now", self.delivered),
            ("there already", self.already_there),
            ("rejected again, and kept", self.still_rejected),
        )
        yield Table("Rejected lines sent again", ("What", "Lines"), rows, "")


def listing(connection: Connection, state: State, limit: int) -> Listing:
    """Describe the newest refused lines. Raises Fatal."""
    local = list(_in_files(state, DeadLetterFiles(state.state_dir)))
    size = min(limit, 10_000)
    with connected(connection, expects=size * DESCRIBED) as cluster:
        _refresh(cluster.client, connection.rejected)
        answer = _search(cluster.client, connection.rejected, size=size, newest_first=True)
        total = int(answer["hits"]["total"]["value"])
        lines = [*map(_kept, answer["hits"]["hits"]), *local]
    lines.sort(key=lambda kept: kept.rejected, reverse=True)
    return Listing(total + len(local), tuple(lines[:limit]))


def replay(
    connection: Connection, delivery: Delivery, state: State, events: Events, stop: threading.Event
) -> Replayed:
    """Send each refused line again under its own id; forget those that are delivered.

    Raises StillListed for those that cannot be forgotten, NotRead for those that cannot be sent, and Fatal.
    """
    local = DeadLetterFiles(state.state_dir)
    done = Replayed(0, 0, 0)
    expects = max(ASKED_AT_ONCE * DESCRIBED, 2 * (delivery.batch_bytes + delivery.max_line_bytes))
    with connected(connection, expects=expects) as cluster:
        client = cluster.client
        _refresh(client, connection.rejected)
        sender = Sender(client, Target(cluster, backing(cluster), None), events, stop)
        unread: list[str] = []
        for some in _in_groups(_all_kept(client, connection.rejected, state, local), delivery.batch_bytes):
            lines = _lines(client, connection.rejected, local, some, unread)
            outcome, again = sender.deliver(_batch([line for _, line in lines]))
            refused = {rejection.id for rejection in again}
            taken = [kept for kept, _ in lines if kept.id not in refused]
            _forget(client, connection.rejected, state, local, taken)
            done = Replayed(
                done.delivered + outcome.created,
                done.already_there + outcome.duplicates,
                done.still_rejected + len(refused),
            )
    if unread:
        raise NotRead(count=len(unread), reason=unread[0], done=done.delivered + done.already_there)
    return done


def _shortened(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= SHOWN else words[: SHOWN - 1] + "…"


def _refresh(client: Elasticsearch, index: str) -> None:
    """Let searches see what is kept; without the right to, or the index, they see what they can."""
    client.options(ignore_status=[403, 404]).indices.refresh(index=index)


def _search(
    client: Elasticsearch, index: str, size: int, *, newest_first: bool, after: list[Any] | None = None
) -> Any:
    order = "desc" if newest_first else "asc"
    return client.search(
        index=index,
        ignore_unavailable=True,
        size=size,
        sort=[{"@timestamp": order}, {"file": order}, {"offset": order}],
        search_after=after,
        track_total_hits=True,
        source_excludes=["bytes"],
    )


def _kept(hit: dict[str, Any]) -> DeadLetter:
    return DeadLetter.of(hit["_id"], hit["_source"], "index")


def _in_files(state: State, local: DeadLetterFiles) -> Iterator[DeadLetter]:
    """All lines in files. Raises StateUnusable."""
    try:
        yield from local.list()
    except OSError as error:
        raise StateUnusable(path=state.state_dir, reason=error.strerror or error) from None


def _all_kept(
    client: Elasticsearch, index: str, state: State, local: DeadLetterFiles
) -> Iterator[DeadLetter]:
    after: list[Any] | None = None
    while True:
        hits = _search(client, index, ASKED_AT_ONCE, newest_first=False, after=after)["hits"]["hits"]
        yield from map(_kept, hits)
        if len(hits) < ASKED_AT_ONCE:
            break
        after = hits[-1]["sort"]
    yield from _in_files(state, local)


def _in_groups(kept: Iterable[DeadLetter], limit: int) -> Iterator[list[DeadLetter]]:
    group: list[DeadLetter] = []
    size = 0
    for one in kept:
        if group and size + one.size > limit:
            yield group
            group, size = [], 0
        group.append(one)
        size += one.size
    if group:
        yield group


def _lines(
    client: Elasticsearch, index: str, local: DeadLetterFiles, some: Sequence[DeadLetter], unread: list[str]
) -> list[tuple[DeadLetter, Rejection]]:
    """Fetch the bytes of some lines; why that fails for one goes to `unread`. One that is gone meanwhile is left out."""
    ids = [kept.id for kept in some if kept.where == "index"]
    docs = client.mget(index=index, ids=ids, source_includes=["bytes"])["docs"] if ids else []
    stored = {doc["_id"]: doc for doc in docs}
    lines = []
    for kept in some:
        try:
            line = local.line(kept.id) if kept.where == "file" else _bytes_of(stored[kept.id])
        except OSError as error:
            unread.append(f"{kept.id}.line: {error.strerror}")
        except (ValueError, KeyError) as error:
            unread.append(f"{kept.id} in {index}: {error}")
        else:
            if line is not None and len(line) != kept.size:
                unread.append(f"{kept.id} ({kept.where}) has {len(line)} of {kept.size} bytes")
            elif line is not None:
                lines.append((kept, Rejection(kept.id, kept.file, kept.offset, kept.type, kept.reason, line)))
    return lines


def _bytes_of(doc: dict[str, Any]) -> bytes | None:
    """The bytes in an answer; None if the line is kept no more. Raises ValueError, KeyError."""
    if error := doc.get("error"):
        raise ValueError(error.get("reason") or error.get("type"))
    return base64.b64decode(doc["_source"]["bytes"], validate=True) if doc["found"] else None


def _batch(lines: Sequence[Rejection]) -> Batch[None]:
    """Make one batch of them; what the reader would still take for no entry is refused without being sent."""
    pairs = []
    refused = []
    for line in lines:
        entry = entry_in(line.line)
        if isinstance(entry, bytes):
            pairs.append((line.id.encode(), entry))
        else:
            refused.append(line)
    return Batch(Body.of(pairs), refused)


def _forget(
    client: Elasticsearch, index: str, state: State, local: DeadLetterFiles, taken: Sequence[DeadLetter]
) -> None:
    """Take lines off the list, which has to be left to those that were sent and acknowledged."""
    try:
        for kept in taken:
            if kept.where == "file":
                local.remove(kept.id)
    except OSError as error:
        raise StateUnusable(path=state.state_dir, reason=error.strerror or error) from None
    ids = [kept.id for kept in taken if kept.where == "index"]
    if not ids:
        return
    lines = b"".join(orjson.dumps({"delete": {"_id": identity}}) + b"\n" for identity in ids)
    answer = client.bulk(operations=lines, index=index, refresh=True, filter_path=answers.FILTER_PATH)  # type: ignore[arg-type]
    try:
        items = answers.read_answer(answer.body, len(ids)).items
    except InvalidAnswer as error:
        raise StillListed(index=index, status=answer.meta.status, reason=error) from None
    for item in items:
        if item.status not in {200, 404}:
            raise StillListed(index=index, status=item.status, reason=item.reason or item.error_type)
