"""The first line makes the id of all others: it has to be the whole one, also where it is completed while it is read."""

import gzip
import os
import random
from pathlib import Path

import pytest

from tests.unit.conftest import Reader, append, expected

ENTRY = b'{"n":1,"of":"a log"}'


def aged(path: Path, data: bytes) -> bytes:
    """Write a file that has not changed for a while."""
    path.write_bytes(data)
    os.utime(path, (1, 1))
    return data


@pytest.mark.parametrize("size", [1, 5, len(ENTRY) - 1])
def test_a_first_line_that_is_completed_after_the_file_was_taken_for_final(
    log: Path, logs: Path, size: int
) -> None:
    """A part of it made the id that the file was read under; then its writer went on."""
    rotated = log.with_name(log.name + ".1")
    content = aged(rotated, ENTRY[:size])
    reader = Reader(logs)
    reader.tail.scan()
    assert list(reader.tail.read()) == []
    content += append(rotated, ENTRY[size:] + b"\n" + ENTRY + b"\n")
    reader.wait()
    assert {pair: n for pair, n in reader.delivered.items() if pair[1] == ENTRY} == dict(expected(content))


@pytest.mark.parametrize("more", [b"\n", b"\n" + ENTRY + b"\n"])
def test_a_first_line_that_another_one_is_glued_to(log: Path, logs: Path, more: bytes) -> None:
    """Its line end is cut off (`truncate -s -1`) after the file was recognised, and before it is read."""
    log.write_bytes(ENTRY + b"\n")
    reader = Reader(logs)
    reader.tail.scan()
    reader.tail._open_waiting()
    os.truncate(log, len(ENTRY))
    append(log, ENTRY + more)
    reader.wait()
    assert reader.delivered == expected(ENTRY + ENTRY + more)


def test_an_archive_that_is_cut_in_its_first_line(log: Path, logs: Path) -> None:
    """Nothing of it is read before it is whole, though it may become so at any moment."""
    line = b'{"noise":"%b"}' % random.Random(1).randbytes(4000).hex().encode()
    content = line + b"\n" + ENTRY + b"\n"
    packed = gzip.compress(content)
    archive = log.with_name(log.name + ".1.gz")
    archive.write_bytes(packed[: len(packed) // 2])
    reader = Reader(logs, once=True)
    reader.told.file_found = lambda *_: archive.write_bytes(packed)  # type: ignore[method-assign, assignment]
    reader.look()
    assert not reader.delivered
    assert [(name, "cut short" in reason) for name, reason in reader.told.unreadable] == [
        (archive.name, True)
    ]
    archive.write_bytes(packed)
    reader.crash()
    reader.look()
    assert reader.delivered == expected(content)
