"""Lines too long for memory in logs with the same first line: fragments come in turns, each line keeps its own bytes."""

from pathlib import Path

import pytest

from indexer.reading import reader as reader_module
from indexer.reading.batch import ReadBatch
from indexer.writing.spool import DeadLetterFiles
from tests.support.observed import in_files
from tests.unit.conftest import Reader

LONG = 1000


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "BLOCK", 100)


def spooled(local: DeadLetterFiles, runs: list[ReadBatch]) -> int:
    """Write all fragments; return how many lines they complete."""
    return sum(local.spool(fragment) is not None for run in runs for fragment in run.fragments)


@pytest.mark.parametrize("ahead", [0, 1, 3, 20])
@pytest.mark.parametrize("signs", [b"xyz", b"xxx"], ids=["other bytes", "the same bytes"])
def test_logs_with_the_same_first_line_do_not_share_fragments(
    logs: Path, tmp_path: Path, ahead: int, signs: bytes
) -> None:
    """At the same offset of three logs is a line too long for memory; each is kept once, with its bytes."""
    first, *others = (logs / f"{name}-activity.log" for name in "abc")
    lines = {path: bytes([sign]) * LONG for path, sign in zip((first, *others), signs, strict=True)}
    local, reader = DeadLetterFiles(tmp_path), Reader(logs, limit=50)
    first.write_bytes(b'{"n":1}\n' + lines[first] + b"\n")
    reader.tail.scan()
    runs = [run for _ in range(ahead) for run in reader.tail.read()]
    for path in others:
        path.write_bytes(b'{"n":1}\n' + lines[path] + b"\n")
    reader.look(deliver=False)
    runs += reader._in_flight
    assert spooled(local, runs) == len(lines)
    assert set(in_files(local).values()) == set(lines.values())


def test_a_rewritten_log_starts_its_line_again(log: Path, logs: Path, tmp_path: Path) -> None:
    """In the middle of a line too long to hold the log is rewritten: another line is at its place now."""
    local, reader = DeadLetterFiles(tmp_path), Reader(logs, limit=50)
    log.write_bytes(b'{"n":1}\n' + b"x" * LONG + b"\n")
    reader.tail.scan()
    runs = [run for _ in range(4) for run in reader.tail.read()]
    log.write_bytes(b'{"n":1}\n' + b"y" * (LONG + 1) + b"\n")
    reader.look(deliver=False)
    assert spooled(local, runs + reader._in_flight) == 1
    assert set(in_files(local).values()) == {b"y" * (LONG + 1)}


def test_incomplete_lines_of_a_killed_run_are_removed(log: Path, logs: Path, tmp_path: Path) -> None:
    """Nothing but whole lines stays in the state directory, though the log has another number in the next run."""
    log.write_bytes(b'{"n":1}\n' + b"x" * LONG + b"\n")
    for more in (b"", b'{"n":2}\n'):
        (logs / "another-activity.log").write_bytes(more)
        reader = Reader(logs, limit=50)
        reader.tail.scan()
        spooled(DeadLetterFiles(tmp_path), [run for _ in range(4) for run in reader.tail.read()])
    assert len(list((tmp_path / "rejected").glob("*.part"))) == 1
    local, reader = DeadLetterFiles(tmp_path), Reader(logs, limit=50)
    reader.look(deliver=False)
    assert spooled(local, reader._in_flight) == 1
    assert len(list((tmp_path / "rejected").iterdir())) == 2
