"""Random histories of log files, of what people do to them by hand, and of the indexer's state, on real files.

What is delivered is held against the plain computation: each complete line of each file that lies there long enough, under
the id that its file's first line, its offset and its bytes make; and no line that no file ever held.
"""

import gzip
import os
import shutil
import tempfile
import time
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from indexer.reading.identity import FileRecord
from tests.support.rotation import Followed
from tests.unit.conftest import Delivered, Reader, expected

FILES = st.integers(0, 5)
"""Which of the files that are there."""


def content_of(path: Path) -> bytes:
    """What a file holds, decompressed."""
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


class Histories(Followed):
    """Files come, change and go as they may; an indexer reads them, dies, loses its state, or is given an old one."""

    most = 100
    """So many files may be open."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="histories-"))
        self.backups = Path(tempfile.mkdtemp(prefix="backups-"))
        self.log = self.directory / "zoomdata-activity.log"
        self.reader = Reader(self.directory, most=self.most)
        self.states: list[list[FileRecord]] = [[]]
        self.number = 0
        self.held: Delivered = Delivered()
        """Each line that some file held at some time."""
        self.put(self.log, self._lines(1))

    def teardown(self) -> None:
        """In the end everything that is there was delivered, and nothing else."""
        try:
            self.settle()
            assert set(self.reader.delivered) <= set(self.held), "made up"
            assert self.reader.told.unreadable == []
        finally:
            self.reader.close()
            shutil.rmtree(self.directory)
            shutil.rmtree(self.backups)

    # ---- a server, and logrotate

    @rule(count=st.integers(1, 30))
    def append(self, count: int) -> None:
        """Write whole lines."""
        self._append(self.log, self._lines(count))

    @rule()
    def append_half(self) -> None:
        """Write the beginning of a line; what is appended next goes on in it."""
        self._append(self.log, self._lines(1)[:-8])

    @rule()
    def rename(self) -> None:
        """Rotate as logback does."""
        if self.log.exists():
            self.log.rename(self._free("log"))

    @rule(which=FILES, keep=st.booleans())
    def compress(self, which: int, *, keep: bool) -> None:
        """Do what gzip does, or gzip -k."""
        path = self._some(which)
        if path and path.suffix != ".gz":
            self.put(self._free("gz"), path.read_bytes())
            if not keep:
                path.unlink()

    @rule(which=FILES)
    def copy(self, which: int) -> None:
        """Leave a copy beside it."""
        path = self._some(which)
        if path:
            self.put(self._free(path.suffix[1:] if path.suffix == ".gz" else "log"), content_of(path))

    @rule()
    def another_log_that_begins_alike(self) -> None:
        """It may go on as it likes."""
        if self.log.exists():
            first = self.log.read_bytes().partition(b"\n")[0]
            self.put(self._free("log"), first + b"\n" + self._lines(3))

    # ---- people

    @rule(which=FILES, count=st.one_of(st.integers(0, 5), st.integers(0, 3000)))
    def truncate_by(self, which: int, count: int) -> None:
        """Do what truncate -s -COUNT does."""
        path = self._some(which)
        if path and path.suffix != ".gz":
            os.truncate(path, max(0, path.stat().st_size - count))
            self._note(path)

    @rule(lines=st.integers(0, 20))
    def truncate_and_write(self, lines: int) -> None:
        """Begin the log anew, in the same file."""
        if self.log.exists():
            os.truncate(self.log, 0)
            self._append(self.log, self._lines(lines))

    @rule(which=FILES)
    def rewrite(self, which: int) -> None:
        """Write its own bytes over it."""
        path = self._some(which)
        if path:
            path.write_bytes(path.read_bytes())
            self._note(path)

    @rule(which=FILES, line=st.integers(0, 40))
    def edit(self, which: int, line: int) -> None:
        """Do what sed -i does to a line: another file in its place, in which one line is longer."""
        path = self._some(which)
        if path and path.suffix != ".gz":
            lines = path.read_bytes().split(b"\n")
            self.number += 1
            lines[line % len(lines)] += b'{"edited":%d}' % self.number
            other = self.directory / ".sed"
            self.put(other, b"\n".join(lines), suffix=path.suffix)
            other.replace(path)

    @rule()
    def back_up(self) -> None:
        """Put a copy where no one reads."""
        if self.log.exists():
            shutil.copy(self.log, self.backups / f"{len(list(self.backups.iterdir()))}")

    @rule(which=FILES, in_place=st.booleans())
    def restore(self, which: int, *, in_place: bool) -> None:
        """Put a backup in the place of the log, over the file that is there or as another one."""
        backups = sorted(self.backups.iterdir())
        if backups:
            if not in_place:
                self.log.unlink(missing_ok=True)
            self.put(self.log, backups[which % len(backups)].read_bytes())

    @rule(which=FILES)
    def delete(self, which: int) -> None:
        """Delete a file."""
        path = self._some(which)
        if path:
            path.unlink()

    # ---- the indexer

    @rule()
    def save(self) -> None:
        """Write a checkpoint, which a backup of the state may keep."""
        self.reader.save()
        self.states.append(self.reader.tail.records())

    @rule(arrived=st.booleans(), once=st.booleans())
    def crash(self, *, arrived: bool, once: bool) -> None:
        """Die; what was in flight has arrived or has not. The next run may be one that ends."""
        if arrived:
            self.reader.lose_answers()
        self.reader.crash(once=False)
        if once:
            self.reader.restart(once=True)
            self.reader.look()
            self.reader.restart(once=False)

    @rule(which=st.integers(0, 20))
    def start_with_an_old_state(self, which: int) -> None:
        """With none at all, the oldest."""
        self.reader.close()
        self.reader.start(self.states[which % len(self.states)], once=False)

    @rule()
    def settle(self) -> None:
        """Leave the files alone for a while: all that they hold is delivered then."""
        self.reader.arrive()
        for _ in range(3 + len(self._files())):  # where they take turns, each is to have its turn
            self.reader.wait()
        self.reader.wait(70)
        for path in self._files():
            content = content_of(path)
            whole = expected(content[: content.rfind(b"\n") + 1])
            assert set(whole) - set(self.reader.delivered) == set(), f"lost of {path.name}"

    # ---- how

    def put(self, path: Path, content: bytes, suffix: str | None = None) -> None:
        """Write a file from its start."""
        packed = (suffix or path.suffix) == ".gz"
        path.write_bytes(gzip.compress(content) if packed else content)
        self._note(path, content)

    def _append(self, path: Path, data: bytes) -> None:
        with path.open("ab") as file:
            file.write(data)
        self._note(path)

    def _note(self, path: Path, content: bytes | None = None) -> None:
        """Remember what a file holds, and let its time differ from when it last held something else."""
        self.held |= expected(content if content is not None else content_of(path))
        self.number += 1
        changed = time.time_ns() + self.number * 1_000_000
        os.utime(path, ns=(changed, changed))

    def _lines(self, count: int) -> bytes:
        lines = []
        for _ in range(count):
            self.number += 1
            lines.append(b'{"n":%d,"pad":"%s"}\n' % (self.number, b"x" * (self.number * 7 % 90)))
        return b"".join(lines)

    def _files(self) -> list[Path]:
        return sorted(self.directory.glob("*activity*"))

    def _some(self, which: int) -> Path | None:
        files = self._files()
        return files[which % len(files)] if files else None

    def _free(self, kind: str) -> Path:
        self.number += 1
        name = f"{self.log.name}.{self.number}"
        return self.directory / (f"{name}.gz" if kind == "gz" else name)


class Crowded(Histories):
    """The same, with more files than may be open."""

    most = 2


TestHistories = Histories.TestCase
TestCrowded = Crowded.TestCase
TestHistories.settings = TestCrowded.settings = settings(
    max_examples=100,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
