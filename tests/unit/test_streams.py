"""Standard error in the background: in order, whole, bounded, and nobody waits for it."""

import os
import threading
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from indexer.cli.streams import BackgroundWriter


@given(blocks=st.lists(st.binary(max_size=300), max_size=30))
def test_all_is_written_in_order(blocks: list[bytes]) -> None:
    """As long as there is room and a reader."""
    reading, writing = os.pipe()
    writer = BackgroundWriter(writing)
    assert [writer.write(block) for block in blocks] == [len(block) for block in blocks]
    writer.settle(30)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b"".join(blocks)


def test_what_nobody_reads_is_bounded() -> None:
    """Beyond its room it drops, and never half a line; what was taken is written once there is a reader."""
    reading, writing = os.pipe()
    pipe = 65536
    os.write(writing, bytes(pipe))
    writer = BackgroundWriter(writing, room=1000)
    for n in range(500):
        assert writer.write(b"%04d\n" % n) == 5
    writer.settle(0.01)
    with os.fdopen(reading, "rb") as read:
        assert read.read(pipe) == bytes(pipe)
        writer.settle(30)
        os.close(writing)
        assert read.read() == b"".join(b"%04d\n" % n for n in range(200))


def test_a_descriptor_that_fails_drops_and_is_tried_again() -> None:
    """Closed, full or without a reader: no error, no growing, and what comes later is written."""
    descriptor = os.open("/dev/full", os.O_WRONLY)
    writer = BackgroundWriter(descriptor, room=100)
    for _ in range(100):
        writer.write(b"lost\n")
        writer.settle(30)
    reading, writing = os.pipe()
    os.dup2(writing, descriptor)
    writer.write(b"kept\n")
    writer.settle(30)
    assert os.read(reading, 100) == b"kept\n"
    for each in (reading, writing, descriptor):
        os.close(each)


def test_many_threads_write_whole_lines(tmp_path: Path) -> None:
    """One after the other, as often as they are written."""
    with (tmp_path / "said").open("wb") as file:
        writer = BackgroundWriter(file.fileno())
        threads = [
            threading.Thread(target=lambda n=n: [writer.write(b"%d" % n * 50 + b"\n") for _ in range(100)])
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        writer.settle(30)
    lines = (tmp_path / "said").read_bytes().split()
    assert sorted(lines) == sorted(b"%d" % n * 50 for n in range(8) for _ in range(100))
