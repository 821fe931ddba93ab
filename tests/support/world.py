"""A whole indexer without a server: real log files and state directory, an Elasticsearch in memory.

Each checkpoint is held against what it may say: nothing is remembered as delivered that is not.
"""

import base64
import threading
import time
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from indexer.delivery import Delivery
from indexer.elastic.alias import backing
from indexer.events import Totals
from indexer.pipeline import Pipeline
from indexer.reading.identity import FileRecord
from indexer.reading.tail import Tail
from indexer.writing import checkpoint
from indexer.writing.bulk import Sender
from indexer.writing.checkpoint import Checkpoint, StateDirectory
from indexer.writing.dead_letters import DeadLetterStore
from indexer.writing.spool import DeadLetterFiles
from indexer.writing.target import Target
from tests.support import faults
from tests.support.fakes import ALIAS, FakeElasticsearch
from tests.support.observed import Heard, Stop, in_files

REJECTED = f"{ALIAS}-rejected"
TIMEOUT = 30
"""Seconds after which a test that waits for another thread has failed."""


class Crash(BaseException):
    """The end of a process, as far as one test can have it."""


def lines(name: str, count: int) -> list[bytes]:
    """Lines of a log, each different from all others: entries, lines that are none, entries that are refused, blanks."""
    found = []
    for n in range(count):
        line = b'{"of":"%b","n":%d}' % (name.encode(), n)
        if n % 7 == 3:
            line = b""
        elif n % 11 == 5:
            line = b"java.lang.Exception: %b %d" % (name.encode(), n)
        elif n % 13 == 6:
            line += b" trailing"
        found.append(line)
    return found


class Watched(StateDirectory):
    """A state directory that holds what is saved against what is delivered."""

    def __init__(self, directory: Path, world: "World") -> None:
        super().__init__(directory)
        self._world = world

    def save(self, checkpoint: Checkpoint) -> None:
        """Save it, if it is true."""
        for record in checkpoint.files:
            self._world.check_record(record)
        self._world.save(checkpoint, super().save)


@dataclass
class World:
    """Log files, a cluster, and the indexer between them."""

    directory: Path
    batch_bytes: int = 400
    senders: int = 1
    limit: int = 1000
    """Bytes of the longest line."""
    server: FakeElasticsearch = field(default_factory=FakeElasticsearch)
    most_spooled: int | None = None
    """Bytes that lines too long to hold may take."""
    heard: Heard = field(default_factory=Heard)
    stop: Stop = field(default_factory=Stop)
    save: Callable[[Checkpoint, Callable[[Checkpoint], None]], None] = lambda checkpoint, save: save(
        checkpoint
    )
    """What becomes of a checkpoint."""
    scanned: Callable[[], None] = lambda: None
    """Happens after each look at the directory."""
    steps: deque[faults.Step] = field(default_factory=deque)
    """What becomes of the next bulk requests, one each; after that, `step` of all."""
    step: faults.Step = faults.carried_out

    def __post_init__(self) -> None:
        self.logs = self.directory / "logs"
        self.state = self.directory / "state"
        self.logs.mkdir()
        self.server.bulk_step = self._step

    def write(self, name: str, data: list[bytes]) -> Path:
        """Append lines to a log."""
        path = self.logs / f"{name}-activity.log"
        with path.open("ab") as file:
            file.writelines(line + b"\n" for line in data)
        return path

    def run(self, *, once: bool = True) -> Totals:
        """Run until all is delivered, or stopped; what it leaves running is waited for."""
        try:
            with Watched(self.state, self) as state:
                start, _ = state.load()
                return self._pipeline(state, start, once=once).run(self.stop, 0.01, once=once)
        except BaseException:
            self.stop.set()
            raise
        finally:
            join_senders()

    def again(self) -> Totals:
        """Run anew from what is on disk, to the end."""
        self.stop = Stop()
        return self.run()

    def _pipeline(self, state: StateDirectory, start: Checkpoint, *, once: bool) -> Pipeline:
        client, stop, heard = self.server.client, self.stop, self.heard
        local = DeadLetterFiles(self.state, self.most_spooled)
        tail = Tail([str(self.logs)], start.files, limit=self.limit, once=once, events=heard, spool=local)
        scan = tail.scan

        def watched() -> None:
            scan()
            self.scanned()

        tail.scan = watched  # type: ignore[method-assign]
        target = Target(
            self.server.cluster,
            backing(self.server.cluster),
            start.write_index,
            clock=lambda: time.monotonic() + stop.elapsed,
        )
        return Pipeline(
            tail=tail,
            sender=Sender(client, target, heard, stop),
            dead_letters=DeadLetterStore(client, REJECTED, local, self.batch_bytes, heard, stop),
            delivery=Delivery(tail, target, state, start, heard),
            events=heard,
            batch_bytes=self.batch_bytes,
            senders=self.senders,
        )

    # ---- what is true

    @property
    def records(self) -> dict[int, FileRecord]:
        """What the checkpoint on disk says, by generation."""
        found = checkpoint.read(self.state)
        return {record.generation: record for record in found.files} if found else {}

    @property
    def sent(self) -> list[faults.Request]:
        """The bulk requests, but for those that keep rejected lines."""
        return [request for request in self.server.requests if request.target != REJECTED]

    @property
    def rejected(self) -> dict[str, bytes]:
        """The rejected lines, in the index and in files."""
        stored = self.server.documents.get(REJECTED, {})
        found = {
            identity: base64.b64decode(orjson.loads(source)["bytes"]) for identity, source in stored.items()
        }
        return found | in_files(DeadLetterFiles(self.state))

    @property
    def arrived(self) -> Counter[bytes]:
        """How often each line is in the alias, or rejected."""
        return Counter([*(source for _, _, source in self.server.holdings()), *self.rejected.values()])

    def check_record(self, record: FileRecord) -> None:
        """What lies before its offset has arrived."""
        path = Path(record.path)
        content = path.read_bytes() if path.exists() else b""
        if zlib.crc32(content[: record.head]) != record.generation:
            return  # another file by now; it will be noticed
        arrived = self.arrived
        for line in content[: record.offset].split(b"\n"):
            assert not line or line in arrived, f"{line!r} is not delivered, and {record} says so"

    def _step(self, request: faults.Request, carry_out: faults.CarryOut) -> object:
        return (self.steps.popleft() if self.steps else self.step)(request, carry_out)


def there_is(data: Iterable[bytes]) -> Counter[bytes]:
    """What has to arrive of some lines: each that is not blank, once."""
    return Counter(line for line in data if line)


def join_senders() -> None:
    """Wait for the sender threads to end."""
    for thread in threading.enumerate():
        if thread.name.startswith("sender-"):
            thread.join(10)
            assert not thread.is_alive(), "a sender does not end"
