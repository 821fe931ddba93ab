"""`indexer rejected`: listing rejected lines, and sending them again."""

import base64
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Any

import orjson

from indexer.elastic.alias import backing
from indexer.elastic.cluster import Cluster, connected
from indexer.elastic.copies import refreshed
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
"""Rejected lines in one answer, some 2 kB each."""
DESCRIBED = 64 * 1024
"""Bytes of one of them in an answer, at most: a thousand characters of its text, and the reason."""
SHOWN = 100
"""Characters of a reason, and of a line, in a table."""


class StillListed(Fatal):
    """Lines were delivered, and could not be deleted from the list."""

    sentence = "Lines were delivered, and stay on the list: {index} answers {status} ({reason})."
    hint = "Fix that and replay again: lines that are in the index are not sent twice."


class NotRead(Fatal):
    """Lines could not be sent again."""

    sentence = "{count} rejected lines cannot be read, and stay on the list: {reason}. Of the others {done} are in the index now."
    hint = "Fix that and replay again."


@dataclass(frozen=True, slots=True)
class Listing:
    """Rejected lines, newest first: complete as JSON, shortened as a table."""

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
        yield Table(title, ("Rejected (UTC)", "File", "Offset", "Why", "Line"), rows, "No line is rejected.")


@dataclass(frozen=True, slots=True)
class Replayed:
    """The result of sending rejected lines again."""

    delivered: int
    already_there: int
    still_rejected: int

    def tables(self) -> Iterable[Table]:
        """For people to read."""
        rows = (
            ("delivered", self.delivered),
            ("already there", self.already_there),
            ("rejected again", self.still_rejected),
        )
        yield Table("Rejected lines sent again", ("What", "Lines"), rows, "")


def listing(connection: Connection, state: State, limit: int) -> Listing:
    """List the newest rejected lines. Raises Fatal."""
    size = min(limit, 10_000)
    with connected(connection, expects=size * DESCRIBED) as cluster:
        rejected = _Rejected(cluster, state)
        local = list(rejected.in_files())
        rejected.refresh()
        answer = rejected.search(size, newest_first=True)
        total = int(answer["hits"]["total"]["value"])
        lines = [*map(_kept, answer["hits"]["hits"]), *local]
    lines.sort(key=lambda kept: kept.rejected, reverse=True)
    return Listing(total + len(local), tuple(lines[:limit]))


def replay(
    connection: Connection, delivery: Delivery, state: State, events: Events, stop: threading.Event
) -> Replayed:
    """Send each rejected line again under its own id; remove those that are delivered from the list.

    Raises StillListed for those that cannot be removed, NotRead for those that cannot be read, and Fatal.
    """
    done = Replayed(0, 0, 0)
    expects = max(ASKED_AT_ONCE * DESCRIBED, 2 * (delivery.batch_bytes + delivery.max_line_bytes))
    with connected(connection, expects=expects) as cluster:
        rejected = _Rejected(cluster, state)
        rejected.refresh()
        sender = Sender(cluster.client, Target(cluster, backing(cluster), None), events, stop)
        unread: list[str] = []
        for group in _in_groups(rejected.all(), delivery.batch_bytes):
            lines = rejected.read(group, unread)
            outcome, again = sender.deliver(_batch([line for _, line in lines]))
            refused = {rejection.id for rejection in again}
            rejected.remove([kept for kept, _ in lines if kept.id not in refused])
            done = Replayed(
                done.delivered + outcome.created,
                done.already_there + outcome.duplicates,
                done.still_rejected + len(refused),
            )
    if unread:
        raise NotRead(count=len(unread), reason=unread[0], done=done.delivered + done.already_there)
    return done


class _Rejected:
    """The rejected lines, in their index and in files. Raises StateUnusable, and what the client raises."""

    def __init__(self, cluster: Cluster, state: State) -> None:
        self._cluster = cluster
        self._client = cluster.client
        self._index = cluster.connection.rejected
        self._directory = state.state_dir
        self._files = DeadLetterFiles(state.state_dir)

    def refresh(self) -> None:
        """Make all of them searchable, if the user may and the index exists."""
        self._client.options(ignore_status=[403, 404]).indices.refresh(index=self._index)

    def search(self, size: int, *, newest_first: bool, after: list[Any] | None = None) -> Any:
        """Those in the index, by time, file and offset; without their bytes."""
        order = "desc" if newest_first else "asc"
        return self._client.search(
            index=self._index,
            ignore_unavailable=True,
            size=size,
            sort=[{"@timestamp": order}, {"file": order}, {"offset": order}],
            search_after=after,
            track_total_hits=True,
            source_excludes=["bytes"],
            **refreshed(self._cluster),
        )

    def in_files(self) -> Iterator[DeadLetter]:
        """Those in files."""
        with self._usable():
            yield from self._files.list()

    def all(self) -> Iterator[DeadLetter]:
        """Those in the index, oldest first, then those in files."""
        after: list[Any] | None = None
        while True:
            hits = self.search(ASKED_AT_ONCE, newest_first=False, after=after)["hits"]["hits"]
            yield from map(_kept, hits)
            if len(hits) < ASKED_AT_ONCE:
                break
            after = hits[-1]["sort"]
        yield from self.in_files()

    def read(self, group: Sequence[DeadLetter], unread: list[str]) -> list[tuple[DeadLetter, Rejection]]:
        """Read the bytes of some lines; failures are added to `unread`. A line that was removed meanwhile is left out."""
        ids = [kept.id for kept in group if kept.where == "index"]
        mget = self._client.mget
        docs = mget(index=self._index, ids=ids, source_includes=["bytes"])["docs"] if ids else []
        stored = {doc["_id"]: doc for doc in docs}
        lines = []
        for kept in group:
            try:
                line = self._files.line(kept.id) if kept.where == "file" else _bytes_of(stored[kept.id])
            except OSError as error:
                unread.append(f"{kept.id}.line: {error.strerror}")
            except (ValueError, KeyError) as error:
                unread.append(f"{kept.id} in {self._index}: {error}")
            else:
                if line is not None and len(line) != kept.size:
                    unread.append(f"{kept.id} ({kept.where}) has {len(line)} of {kept.size} bytes")
                elif line is not None:
                    rejection = Rejection(kept.id, kept.file, kept.offset, kept.type, kept.reason, line)
                    lines.append((kept, rejection))
        return lines

    def remove(self, delivered: Sequence[DeadLetter]) -> None:
        """Remove lines that were acknowledged. Raises StillListed."""
        with self._usable():
            for kept in delivered:
                if kept.where == "file":
                    self._files.remove(kept.id)
        ids = [kept.id for kept in delivered if kept.where == "index"]
        if not ids:
            return
        lines = b"".join(orjson.dumps({"delete": {"_id": identity}}) + b"\n" for identity in ids)
        answer = self._client.bulk(
            operations=lines,  # type: ignore[arg-type] # bytes go out as they are: elastic/client.py
            index=self._index,
            refresh=True,
            filter_path=answers.FILTER_PATH,
        )
        try:
            items = answers.read_answer(answer.body, len(ids)).items
        except InvalidAnswer as error:
            raise StillListed(index=self._index, status=answer.meta.status, reason=error) from None
        for item in items:
            if item.status not in {200, 404}:
                reason = item.reason or item.error_type
                raise StillListed(index=self._index, status=item.status, reason=reason)

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StateUnusable(path=self._directory, reason=error.strerror or error) from None


def _shortened(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= SHOWN else words[: SHOWN - 1] + "…"


def _kept(hit: dict[str, Any]) -> DeadLetter:
    return DeadLetter.of(hit["_id"], hit["_source"], "index")


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


def _bytes_of(doc: dict[str, Any]) -> bytes | None:
    """The bytes in an answer; None if the line was removed. Raises ValueError, KeyError."""
    if error := doc.get("error"):
        raise ValueError(error.get("reason") or error.get("type"))
    return base64.b64decode(doc["_source"]["bytes"], validate=True) if doc["found"] else None


def _batch(lines: Sequence[Rejection]) -> Batch[None]:
    """One batch of them; lines that are still not entries are rejected without being sent."""
    pairs = []
    refused = []
    for line in lines:
        entry = entry_in(line.line)
        if isinstance(entry, bytes):
            pairs.append((line.id.encode(), entry))
        else:
            refused.append(line)
    return Batch(Body.of(pairs), refused)
