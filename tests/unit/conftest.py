"""What the tests of reading/ share: a made-up log, and a Tail with a clock of its own that keeps what it gives."""

import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from indexer import delivery
from indexer.events import Events, Recognition
from indexer.reading import log as log_module
from indexer.reading import reader as reader_module
from indexer.reading.batch import AckPosition, ReadBatch
from indexer.reading.files import FileFacts
from indexer.reading.holes import QUIET
from indexer.reading.identity import FileRecord
from indexer.reading.sources import FileSource, open_log
from indexer.reading.tail import QUIET_EVERY, Tail
from tests.support.world import World

LIMIT = 1024 * 1024
Delivered = Counter[tuple[str, bytes]]
"""How often each line came, with the id it came under."""


def lines(first: int, count: int, name: str = "log") -> bytes:
    """Some lines of a log, each different from all others."""
    return b"".join(
        b'{"n":%d,"of":"%s","pad":"%s"}\n' % (n, name.encode(), b"x" * (n % 97))
        for n in range(first, first + count)
    )


def expected(content: bytes, *, start: int = 0) -> Delivered:
    """Each line of a file's content from `start` on with its id, made the plain way.

    NULs before a line are space that was never written, no part of it.
    """
    blank = len(content) - len(content.lstrip(b"\r\n\0"))
    generation = zlib.crc32(content[: content.find(b"\n", blank)] if b"\n" in content[blank:] else content)
    found: Delivered = Counter()
    end = 0
    for raw in content.split(b"\n"):
        end += len(raw) + 1
        line = raw.lstrip(b"\0")
        offset = end - 1 - len(line)
        if line and offset >= start:
            found[f"{generation:08x}{offset:012x}{zlib.crc32(line):08x}", line] += 1
    return found


def append(path: Path, data: bytes) -> bytes:
    """Write as a log writer does; gives the bytes back."""
    with path.open("ab") as file:
        file.write(data)
    return data


class Told(Events):
    """Keeps what is told of files."""

    def __init__(self) -> None:
        self.found: list[tuple[str, Recognition, int]] = []
        self.lost: list[tuple[str, int]] = []
        self.unreadable: list[tuple[str, str]] = []
        self.finished: list[str] = []
        self.holes: list[int] = []

    def file_found(self, path: str, recognition: Recognition, offset: int) -> None:
        """Keep it."""
        self.found.append((Path(path).name, recognition, offset))

    def file_lost(self, path: str, unread: int) -> None:
        """Keep it."""
        self.lost.append((Path(path).name, unread))

    def file_unreadable(self, path: str, reason: str) -> None:
        """Keep it."""
        self.unreadable.append((Path(path).name, reason))

    def hole_skipped(self, path: str, size: int) -> None:
        """Keep it."""
        self.holes.append(size)

    def file_finished(self, path: str) -> None:
        """Keep it."""
        self.finished.append(Path(path).name)


_readers: "list[Reader]" = []


@pytest.fixture(autouse=True)
def close_readers() -> Iterator[None]:
    """No test leaves a log open."""
    yield
    while _readers:
        _readers.pop().close()


class Reader:
    """A Tail that is driven by hand: time passes when a test says so, and lines are delivered when it says so."""

    def __init__(self, *patterns: Path, once: bool = False, limit: int = LIMIT, most: int = 100) -> None:
        self.now = 1000.0
        self.told = Told()
        self.delivered: Delivered = Counter()
        """What the index took."""
        self.again: Delivered = Counter()
        """What was sent although the index has it already: it says so, and nothing comes of it."""
        self._patterns = [str(pattern) for pattern in patterns]
        self._limit = limit
        self._most = most
        self._in_flight: list[ReadBatch] = []
        self._checkpoint: list[FileRecord] = []
        _readers.append(self)
        self.start([], once=once)

    def start(self, records: Sequence[FileRecord], *, once: bool) -> None:
        """Begin with a new Tail."""
        self._once = once
        self._in_flight = []
        self._checkpoint = list(records)
        self.tail = Tail(
            self._patterns,
            records,
            limit=self._limit,
            once=once,
            events=self.told,
            clock=lambda: self.now,
            most=self._most,
        )

    def close(self) -> None:
        """Let go all files, as the end of a process does."""
        for file in self.tail.registry.open.values():
            file.opened_log.source.close()
        self.tail.registry.open.clear()

    def restart(self, *, once: bool | None = None) -> None:
        """Stop at once, and start again with what is remembered now."""
        self.save()
        self.crash(once=once)

    def save(self) -> None:
        """Write a checkpoint."""
        self._checkpoint = self.tail.records()

    def crash(self, *, once: bool | None = None) -> None:
        """Die, and start again with the last checkpoint."""
        self.close()
        self.start(self._checkpoint, once=self._once if once is None else once)

    def read(self, *, deliver: bool = True) -> None:
        """Read until there is nothing new, without a look at the directory."""
        while True:
            self.now += QUIET_EVERY  # all are looked at
            self._in_flight += self.tail.read()
            if deliver:
                self.arrive()
            if self.tail.idle:
                return

    def look(self, *, deliver: bool = True) -> None:
        """Look at the directory, then read all there is."""
        self.tail.scan()
        self.read(deliver=deliver)

    def wait(self, seconds: float = QUIET + 1) -> None:
        """Let time pass, looking before and after it."""
        self.look()
        self.now += seconds
        self.look()
        self.look()

    def arrive(self) -> None:
        """All that is in flight is delivered."""
        self.lose_answers()
        for run in self._in_flight:
            self.tail.acknowledge(run.position)
        self._in_flight = []

    def lose_answers(self) -> None:
        """All that is in flight arrives, and no one learns of it before the next start."""
        for run in self._in_flight:
            for pair in _pairs(run):
                (self.again if pair in self.delivered else self.delivered)[pair] += 1

    @property
    def marks(self) -> list[AckPosition]:
        """Of what is in flight."""
        return [run.position for run in self._in_flight]


def _pairs(run: ReadBatch) -> Iterator[tuple[str, bytes]]:
    for identity, entry in zip(run.entries.ids, run.entries.entries, strict=True):
        yield identity.decode(), entry
    for rejection in run.entries.rejections:
        yield rejection.id, rejection.line


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """The directory that is followed."""
    directory = tmp_path / "logs"
    directory.mkdir()
    return directory


@pytest.fixture
def log(logs: Path) -> Path:
    """The log that a server writes; it is not there yet."""
    return logs / "zoomdata-activity.log"


@pytest.fixture
def reader(logs: Path) -> Reader:
    """What follows the directory."""
    return Reader(logs)


class Opened:
    """Opens logs, remembers which, and refuses some."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.refused: dict[str, OSError] = {}

    def __call__(self, facts: FileFacts) -> FileSource:
        """Open a log, or refuse to."""
        name = Path(facts.path).name
        if name in self.refused:
            raise self.refused[name]
        self.names.append(name)
        return self._open(facts)

    _open = staticmethod(open_log)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Watches which files are opened."""
    opened = Opened()
    monkeypatch.setattr(log_module, "open_log", opened)
    return opened


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small blocks, and a checkpoint at each opportunity, so that a short log has many of both."""
    monkeypatch.setattr(reader_module, "BLOCK", 300)
    monkeypatch.setattr(delivery, "CHECKPOINT_EVERY", 0.0)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An indexer with one sender, nothing to read yet."""
    return World(tmp_path)
