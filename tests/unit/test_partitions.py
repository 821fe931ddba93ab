"""Records of two sides, spread over temporary files and compared part by part."""

import os
import tempfile
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.verify import partitions
from indexer.verify.partitions import PARTS, NoRoom, Records, parts, to_binary

RECORDS = st.lists(st.tuples(st.binary(min_size=14, max_size=14), st.binary(min_size=3, max_size=3)))


def grouped(added: list[tuple[bytes, bytes]]) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = defaultdict(list)
    for identity, value in added:
        found[identity].append(value)
    return dict(found)


@settings(deadline=None)  # each example reads all parts
@given(RECORDS, RECORDS, st.integers(1, 200))
def test_each_record_is_in_one_part_with_all_of_its_id(
    one: list[tuple[bytes, bytes]], other: list[tuple[bytes, bytes]], buffered: int
) -> None:
    """On both sides, in the order in which they were added, written to the disk or not."""
    with pytest.MonkeyPatch.context() as patch, Records(3) as left, Records(3) as right:
        patch.setattr(partitions, "BUFFERED", buffered)
        for records, side in ((one, left), (other, right)):
            for identity, value in records:
                side.add(identity, [value])
        found: list[dict[bytes, list[bytes]]] = [{}, {}]
        for pair in parts(left, right):
            for whole, part in zip(found, pair, strict=True):
                assert not whole.keys() & part.keys()
                whole |= {identity: list(values) for identity, values in part.items()}
        assert found == [grouped(one), grouped(other)]


def test_records_may_be_added_after_they_were_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written then overwrites nothing."""
    monkeypatch.setattr(partitions, "BUFFERED", 1)
    ids = [os.urandom(14) for _ in range(100)]
    with Records(1) as records:
        for identity in ids:
            records.add(identity, [b"x"])
            for number in range(0, PARTS, 100):
                records.part(number)
        found = {identity for number in range(PARTS) for identity in records.part(number)}
        assert found == set(ids)


def test_records_are_not_held_in_memory() -> None:
    """No more of them than are written at once."""
    with Records(16) as records:
        for _ in range(100):
            records.add(os.urandom(14 * 10_000), [b"v" * 16] * 10_000)
        assert sum(map(len, records._buffers)) <= partitions.BUFFERED
        sizes = [len(records.part(number)) for number in range(PARTS)]
    assert sum(sizes) == records.count == 1_000_000
    assert max(sizes) < 2 * min(sizes)


@given(st.lists(st.binary(min_size=14, max_size=14)))
def test_ids_become_binary(ids: list[bytes]) -> None:
    """Joined."""
    assert to_binary([it.hex().encode() for it in ids]) == b"".join(ids)


@pytest.mark.parametrize(
    "identity",
    [b"", b"0", b"0" * 27, b"0" * 30, b"A" * 28, b"g" * 28, b"0 " * 14, b"\xff" * 28, b"0" * 27 + b"\n"],
)
def test_other_ids_do_not(identity: bytes) -> None:
    """Nor does a list of ids with one of these, whatever the others make up for."""
    assert to_binary([identity]) is None
    assert to_binary([b"0" * 28, identity, b"0" * (56 - len(identity))]) is None


def test_without_room_for_temporary_files_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(NoRoom, match=r"none: No such file.*TMPDIR"):
        Records(1)
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(partitions, "BUFFERED", 1)
    with Records(1) as records:
        os.dup2(os.open("/dev/full", os.O_WRONLY), records._file.fileno())
        with pytest.raises(NoRoom, match="No space left"):
            records.add(b"i" * 14, [b"v"])
