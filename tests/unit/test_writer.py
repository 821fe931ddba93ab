"""The writer of a sample log: its rate and its rotation."""

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from indexer.demo import sample, writer


class Enough(Exception):  # noqa: N818 - ends what never ends
    """The clock has been asked often enough."""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the log goes; time goes on by a tenth of a second with each wait, twenty times."""
    ticks = itertools.count()
    monkeypatch.setattr("time.monotonic", lambda: next(ticks) / 10)
    waits = iter(range(20))

    def wait(_seconds: float) -> None:
        if next(waits, None) is None:
            raise Enough

    monkeypatch.setattr("time.sleep", wait)
    return tmp_path / "logs" / "zoomdata-activity.log"


def written(log: Path) -> list[bytes]:
    """All lines of all files, the oldest first."""
    files = sorted(log.parent.iterdir(), key=lambda file: int(file.suffix.lstrip(".").replace("log", "0")))
    return b"".join(file.read_bytes() for file in reversed(files)).splitlines()


def test_it_writes_at_its_rate(log: Path) -> None:
    """First the past, at once; then so many entries a second, each dated now."""
    with pytest.raises(Enough):
        writer.write(log, rate=50, rotation=10**9, keep=1, past=100)
    dates = [datetime.fromisoformat(orjson.loads(line)["eventDate"] + "+00:00") for line in written(log)]
    assert len(dates) == 100 + 20 * 5
    assert min(dates) < datetime.now(UTC) - timedelta(days=5)
    assert all(datetime.now(UTC) - date < timedelta(minutes=5) for date in dates[100:])


def test_a_restart_does_not_write_the_past_again(log: Path) -> None:
    """Otherwise the same week would be in the log twice."""
    log.parent.mkdir()
    log.write_bytes(b"{}\n")
    with pytest.raises(Enough):
        writer.write(log, rate=50, rotation=10**9, keep=1, past=100)
    assert len(written(log)) == 1 + 20 * 5


def test_it_rotates(log: Path) -> None:
    """A file is rotated after the line that fills it; the newest files are kept with complete lines."""
    with pytest.raises(Enough):
        writer.write(log, rate=50, rotation=10_000, keep=3, past=100)
    assert {file.name.removeprefix(log.name) for file in log.parent.iterdir()} == {"", ".1", ".2", ".3"}
    for number in (1, 2, 3):
        lines = log.with_name(f"{log.name}.{number}").read_bytes().splitlines(keepends=True)
        assert sum(map(len, lines)) >= 10_000 > sum(map(len, lines[:-1]))
    assert all(orjson.loads(line) for line in written(log))


def test_it_keeps_none(log: Path) -> None:
    """Without rotated files to keep, a full file is deleted at once."""
    with pytest.raises(Enough):
        writer.write(log, rate=50, rotation=10_000, keep=0, past=100)
    assert [file.name for file in log.parent.iterdir()] == [log.name]


def test_invalid_lines_follow(log: Path) -> None:
    """Invalid lines follow after each given number of new entries."""
    with pytest.raises(Enough):
        writer.write(log, rate=50, rotation=10**9, keep=1, past=100, broken_every=40)
    lines = written(log)
    none = sample.broken()
    assert lines[140 : 140 + len(none)] == lines[180 + len(none) : 180 + 2 * len(none)] == list(none)
    assert sum(line in none for line in lines) == 2 * len(none)
