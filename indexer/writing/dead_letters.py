"""Rejected lines are kept with their bytes: in the index `<alias>-rejected`; in files if long, or not taken there.

The files have a limit (`--max-spool-bytes`): beyond it a long line goes to the index after all, and a log with a line too
long to hold waits (`reading.log`).

So are they if it takes none at all (it is red, full, blocked), once it is known that the alias takes entries: else a few
lines that are none would hold back all that are. If the cluster takes nothing, they wait for it as entries do.

The files lie in `rejected/` of the state directory, two for a line: `<id>.line` holds its bytes, `<id>.json`, written
last, says what it is. A line too long to hold is written there as it is read.
"""

import base64
import contextlib
import errno
import os
import shutil
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson
from elasticsearch import Elasticsearch

from indexer.events import Events, Fault
from indexer.reading.batch import OversizedFragment
from indexer.reading.entries import EXPLANATION, Reason, Rejection
from indexer.writing import answers
from indexer.writing.answers import Row, Verdict
from indexer.writing.batches import Body, Pair, size_of
from indexer.writing.bulk import Backoff, BulkFailed, post
from indexer.writing.checkpoint import StateDirectory, create, write_durably

DISK = Row(range(0), Verdict.WAIT, Fault.DISK)
PROMPT = 10.0
"""Seconds for an answer of the index of rejected lines, at most: a red one is silent for a minute."""
TRIES = 5
TRIED_FOR = 5.0
"""Tries, or seconds, after which it is asked whether only the index of rejected lines is not well."""
REST = 60.0
"""Seconds in which an index that was given up is left alone, at least; ten times as long as it held things up."""
LARGEST = 1024 * 1024
"""Bytes of the longest rejected line that the index gets; a document of a longer one takes many times that in memory, here
and there (measured: 100 MB for a line of 10 MB)."""
LEFT_FREE = 64 * 1024 * 1024
"""Bytes of the disk that lines too long to hold leave free, or an eighth of a smaller one."""
COUNTED_EVERY = 10.0
"""Seconds between looks at how much is there."""
READABLE = 1000
"""Characters of a rejected line that are kept as text, for people to read."""


class DeadLetterFiles:
    """Rejected lines in files."""

    def __init__(self, state: Path, most: int | None = None) -> None:
        """`most` is how many bytes there may be before long lines find no room."""
        self._directory = state / "rejected"
        self._most = most
        self._used = 0
        self._counted_at = float("-inf")
        self._spooled: dict[str, int] | None = None
        """Bytes kept so far of each line that comes in pieces; None before the first piece."""

    def keep(self, rejection: Rejection) -> None:
        """Write one line and what it is; again, if it is there. Raises OSError."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        write_durably(self._directory / f"{rejection.id}.line", rejection.line)
        self._used += len(rejection.line)
        self._describe(rejection, len(rejection.line))

    def room(self) -> int:
        """Bytes that long lines may take now; some are left on the disk for checkpoints."""
        self._count()
        left = 2**62 if self._most is None else self._most - self._used
        try:
            disk = shutil.disk_usage(self._directory if self._directory.exists() else self._directory.parent)
        except OSError:
            return max(0, left)
        return max(0, min(left, disk.free - min(LEFT_FREE, disk.total // 8)))

    def _count(self) -> None:
        """Look at what is there, now and then: another process replays lines, or an operator removes them."""
        if self._most is None or time.monotonic() - self._counted_at < COUNTED_EVERY:
            return
        self._used = 0
        with contextlib.suppress(OSError), os.scandir(self._directory) as there:
            for entry in there:
                with contextlib.suppress(OSError):
                    self._used += entry.stat(follow_symlinks=False).st_size
        self._counted_at = time.monotonic()

    def discard(self, name: str) -> None:
        """Forget the pieces of a line that is not complete. Raises OSError."""
        (self._directory / f"{name}.part").unlink(missing_ok=True)
        if self._spooled is not None:
            self._used -= self._spooled.pop(name, 0)

    def spool(self, fragment: OversizedFragment) -> Rejection | None:
        """Write a piece of a line too long to hold; with its last piece, return what to count.

        Raises OSError; the same piece may then be given again.
        """
        self._directory.mkdir(mode=0o700, exist_ok=True)
        if self._spooled is None:
            for left in self._directory.glob(
                "*.part"
            ):  # by a run that was killed: their lines are read again
                left.unlink()
            self._spooled = {}
        part = self._directory / f"{fragment.name}.part"
        if fragment.first or part.exists():  # else all of it is there, and only its description failed
            self._append(part, fragment, self._spooled)
        if fragment.id is None:
            return None
        line = self._directory / f"{fragment.id}.line"
        if part.exists():
            part.replace(line)
        reason = Reason.LINE_TOO_LONG
        rejection = Rejection(fragment.id, fragment.file, fragment.start, reason, EXPLANATION[reason], b"")
        self._describe(rejection, line.stat().st_size)
        self._spooled.pop(fragment.name)
        return rejection

    def sweep(self, _held: StateDirectory) -> None:
        """Remove what a run that died has left of lines that it was writing: they are read again, if they are there.

        Only who holds the state directory writes such lines, and may do this, before it writes any.
        """
        for part in self._directory.glob("*.part"):
            with contextlib.suppress(OSError):  # what stays is in nobody's way
                part.unlink()

    def _append(self, part: Path, fragment: OversizedFragment, spooled: dict[str, int]) -> None:
        """Write a piece after those before it, over what a write that failed may have left there."""
        position = 0 if fragment.first else spooled[fragment.name]
        # Not `open("r+b")`, which would follow a link.
        descriptor = (
            create(part) if fragment.first else os.open(part, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        )
        with os.fdopen(descriptor, "wb") as file:
            file.seek(position)
            file.write(fragment.data)
            file.flush()
            if fragment.id is not None:
                os.fsync(file.fileno())
        self._used += len(fragment.data)
        spooled[fragment.name] = position + len(fragment.data)

    def _describe(self, rejection: Rejection, size: int) -> None:
        described = _described(rejection, size)
        write_durably(
            self._directory / f"{rejection.id}.json", orjson.dumps(described, option=orjson.OPT_INDENT_2)
        )

    def list(self) -> Iterator["DeadLetter"]:
        """All lines there, in the order of their ids. Raises OSError."""
        for path in sorted(self._directory.glob("*.json")):
            try:
                described = path.read_bytes()
            except FileNotFoundError:  # replayed by another process meanwhile
                continue
            try:
                yield DeadLetter.of(path.stem, orjson.loads(described), "file")
            except (ValueError, KeyError, TypeError):
                raise OSError(errno.EIO, f"{path} is damaged") from None

    def line(self, identity: str) -> bytes:
        """A line's bytes. Raises OSError."""
        return (self._directory / f"{identity}.line").read_bytes()

    def checksum(self, identity: str) -> int | None:
        """The CRC-32 of a line's bytes; None if it is not kept here. Raises OSError."""
        if not (self._directory / f"{identity}.json").exists():
            return None
        checksum = 0
        with (self._directory / f"{identity}.line").open("rb") as file:
            while block := file.read(1024 * 1024):
                checksum = zlib.crc32(block, checksum)
        return checksum

    def remove(self, identity: str) -> None:
        """Forget a line. Raises OSError."""
        (self._directory / f"{identity}.json").unlink(missing_ok=True)
        (self._directory / f"{identity}.line").unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A rejected line as it is kept, without its bytes."""

    id: str
    rejected: str
    """When, ISO 8601, UTC."""
    file: str
    offset: int
    type: str
    reason: str
    size: int
    """Bytes."""
    text: str
    """Its beginning, for people to read."""
    where: str
    """`index` or `file`."""

    @classmethod
    def of(cls, identity: str, stored: dict[str, object], where: str) -> "DeadLetter":
        """Read what was stored."""
        text = {name: str(stored[name]) for name in ("file", "type", "reason", "text")}
        return cls(
            id=identity,
            rejected=str(stored["@timestamp"]),
            offset=int(str(stored["offset"])),
            size=int(str(stored["size"])),
            where=where,
            **text,
        )


class DeadLetterStore:
    """Keeps rejected lines; when `keep` returns they are durable."""

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
        """`limit` is the largest bulk request in bytes; `takes` tells whether the cluster takes entries now."""
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
        """Keep some lines, however long that takes. Raises Stopped."""
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
        """In a file; where there is no more room for it, in the index, one at a time for the memory that it takes."""
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
            document = orjson.dumps(_described(rejection, len(rejection.line)) | _bytes(rejection.line))
            pair = rejection.id.encode(), document
            if pairs and size + size_of(pair) > self._limit:
                yield Body.of(pairs)
                pairs, size = [], 0
            pairs.append(pair)
            size += size_of(pair)
        yield Body.of(pairs)

    def _send(self, body: Body, backoff: Backoff) -> list[bytes]:
        """Send until each is kept, refused by the index, or the index given up; return the ids of those not kept."""
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


def _described(rejection: Rejection, size: int) -> dict[str, object]:
    return {
        "@timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "file": rejection.file,
        "offset": rejection.offset,
        "type": rejection.kind,
        "reason": rejection.reason,
        "size": size,
        "text": rejection.line[: 4 * READABLE].decode(errors="replace")[:READABLE],
    }


def _bytes(line: bytes) -> dict[str, str]:
    return {"bytes": base64.b64encode(line).decode()}
