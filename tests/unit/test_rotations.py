"""Random histories of a log and of the indexer that follows it, on real files."""

import gzip
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from tests.support.rotation import Followed
from tests.unit.conftest import Reader


class Rotations(Followed):
    """A server writes and rotates its log, an indexer reads, delivers, dies and starts again."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="rotations-"))
        self.log = self.directory / "zoomdata-activity.log"
        self.log.touch()
        self.reader = Reader(self.directory)
        self.written: list[bytes] = []
        self.half = b""
        self.number = 0

    def teardown(self) -> None:
        """In the end everything was delivered, and once."""
        self._write(b"\n" if self.half else b"")
        for _ in range(3):
            self.reader.arrive()
            self.reader.wait(70)
        try:
            found = Counter(line for _, line in self.reader.delivered)
            assert {line for line, count in found.items() if count > 1} == set(), "sent twice"
            assert set(self.written) - set(found) == set(), "lost"
        finally:
            self.reader.close()
            shutil.rmtree(self.directory)

    # ---- the server

    @rule(count=st.integers(min_value=1, max_value=40))
    def append(self, count: int) -> None:
        """Write whole lines, after the rest of one."""
        for _ in range(count):
            self._write(self._line()[len(self.half) :] + b"\n")

    @rule()
    def append_half(self) -> None:
        """Write the beginning of a line."""
        if not self.half:
            self._write(self._line()[:9])

    @rule()
    def rename(self) -> None:
        """Rotate as logback does, be a line complete or not."""
        self._make_room()
        self.log.rename(self._rotated(1))
        if self.half:
            self.written.append(self.half)
        self.half = b""
        self.number += 1
        self.log.touch()

    @rule()
    def copy_truncate(self) -> None:
        """Rotate as logrotate does with copytruncate."""
        self._end_line()
        self._make_room()
        shutil.copy(self.log, self._rotated(1))
        os.truncate(self.log, 0)

    @rule(seen=st.booleans())
    def slow_copy_truncate(self, *, seen: bool) -> None:
        """The same, with looks at the copy while it is made."""
        self._end_line()
        self._make_room()
        content = self.log.read_bytes()
        self._rotated(1).write_bytes(content[: len(content) // 2])
        self.reader.tail.scan()
        shutil.copy(self.log, self._rotated(1))
        if seen:
            self.reader.look()
        os.truncate(self.log, 0)

    @rule(number=st.integers(min_value=1, max_value=3), seen=st.booleans())
    def compress(self, number: int, *, seen: bool) -> None:
        """Gzip a rotated file."""
        plain = self._rotated(number)
        if plain.exists():
            archive = plain.with_name(plain.name + ".gz")
            packed = gzip.compress(plain.read_bytes())
            archive.write_bytes(packed[: len(packed) // 2])
            if seen:
                self.reader.look()
            archive.write_bytes(packed)
            plain.unlink()

    @rule(number=st.integers(min_value=0, max_value=3))
    def back_up(self, number: int) -> None:
        """Leave a copy in the same directory that nobody rotates."""
        source = self._rotated(number) if number else self.log
        if source.exists() and not self.half:
            shutil.copy(source, self.directory / f"{self.log.name}.z{self.number}-{number}")

    @rule()
    def delete_oldest(self) -> None:
        """Delete a rotated file of which all is delivered."""
        self.reader.wait()
        self.reader.wait()
        self.reader.save()
        for number in range(60, 0, -1):
            for path in (self._rotated(number), self._rotated(number, ".gz")):
                if path.exists():
                    path.unlink()
                    return

    # ---- the indexer

    @rule()
    def arrive(self) -> None:
        """Get answers."""
        self.reader.arrive()

    @rule()
    def save(self) -> None:
        """Write a checkpoint."""
        self.reader.save()

    @rule(arrived=st.booleans())
    def crash(self, *, arrived: bool) -> None:
        """Die; what was in flight has arrived or has not."""
        if arrived:
            self.reader.lose_answers()
        self.reader.crash()
        self.reader.look(deliver=False)

    @invariant()
    def nothing_is_told_as_lost_or_unreadable(self) -> None:
        """Everything still has a name, or was read."""
        assert self.reader.told.lost == []
        assert self.reader.told.unreadable == []

    # ---- how

    def _line(self) -> bytes:
        return b'{"%06d":"%s"}' % (self.number, b"x" * (self.number * 7 % 90))

    def _write(self, data: bytes) -> None:
        with self.log.open("ab") as file:
            file.write(data)
        if data.endswith(b"\n"):
            self.written.append(self.half + data[:-1])
            self.half = b""
            self.number += 1
        else:
            self.half += data

    def _end_line(self) -> None:
        if self.half:
            self._write(self._line()[len(self.half) :] + b"\n")

    def _rotated(self, number: int, suffix: str = "") -> Path:
        return self.log.with_name(f"{self.log.name}.{number}{suffix}")

    def _make_room(self) -> None:
        """Move each rotated file on by one."""
        for number in range(60, 0, -1):
            for suffix in ("", ".gz"):
                if self._rotated(number, suffix).exists():
                    self._rotated(number, suffix).rename(self._rotated(number + 1, suffix))


TestRotations = Rotations.TestCase
TestRotations.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_a_backup_that_the_archive_beside_it_goes_on_from_is_one_with_it() -> None:
    """Found together, the shorter one is opened first, and is not taken for the longer one."""
    history = Rotations()
    history.append(count=1)
    history.back_up(number=0)
    history.append(count=1)
    history.copy_truncate()
    history.compress(number=1, seen=False)
    history.teardown()


def test_a_log_truncated_while_nobody_looked_is_not_lost_if_its_copy_was_found_first() -> None:
    """Its own file is empty, and who it was shows only when it has a first line again."""
    history = Rotations()
    history.append(count=1)
    history.append_half()
    history.crash(arrived=False)
    history.copy_truncate()
    history.delete_oldest()
    history.wait(seconds=70)
    history.look(deliver=False)
    history.nothing_is_told_as_lost_or_unreadable()
    history.teardown()


def test_a_copy_that_has_outlived_its_original_takes_nothing_from_it_when_it_is_back() -> None:
    """Both are remembered under one number; after a restart each is still what it was."""
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryDirectory() as elsewhere:
        copy, original = Path(directory, "activity.log"), Path(directory, "activity.log.1")
        reader = Reader(Path(directory))
        copy.write_bytes(b'{"n":1}\n')
        original.write_bytes(b'{"n":1}\n{"n":2}\n')
        reader.wait()
        away = original.rename(Path(elsewhere, original.name))
        reader.wait()
        away.rename(original)
        reader.wait()
        with copy.open("ab") as file:
            file.write(b'{"n":3}\n')
        reader.wait()
        reader.restart()
        reader.wait()
        delivered = Counter(line for _, line in reader.delivered.elements())
        reader.close()
    assert delivered == {b'{"n":1}': 1, b'{"n":2}': 1, b'{"n":3}': 1}
