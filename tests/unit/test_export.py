"""A log rebuilt from its sealed lines: byte for byte where it says so, and every gap told. Without a server."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import cast
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.reading.entries import entry_id, entry_in
from indexer.seals.leaves import Chunk
from indexer.seals.lines import Lines
from indexer.verify import sealed_lines
from indexer.verify.by_id import Document, Documents
from indexer.verify.export import BETWEEN, LOST, OVERLAP, Export, _Writer
from indexer.verify.sealed_lines import SealedFile, in_portions

FILE = "0000000a"
OUT = Path("out.log")


class Held:
    """What the index holds, by id."""

    def __init__(self) -> None:
        self.all: dict[bytes, bytes] = {}
        self.kept: dict[bytes, bytes] = {}
        """Rejected lines."""

    def entries(self, ids: Sequence[bytes]) -> list[Document]:
        """As `Documents` gives them."""
        return [Document(each, "index", self.all[each]) for each in ids if each in self.all]

    def rejected(self, ids: Sequence[bytes]) -> list[Document]:
        """As `Documents` gives them."""
        return [Document(each, "rejected", self.kept[each]) for each in ids if each in self.kept]


def sealed(held: Held, lines: Sequence[bytes], start: int = 0, *, complete: bool = True) -> Chunk:
    """A chunk of whole lines from an offset on, which the index holds then."""
    ids, data, at = [], [], start
    for line in lines:
        entry = entry_in(line)
        if entry is not None:
            identity = entry_id(10, at, crc32(line))
            kept = entry if isinstance(entry, bytes) else line.removesuffix(b"\r")
            (held.all if isinstance(entry, bytes) else held.kept)[identity] = kept
            ids.append(identity)
            data.append(kept)
        at += len(line) + 1
    return Chunk(FILE, "/log", start, at if complete else start, len(ids), 0, 0, Lines.of(ids, data))


def rebuilt(held: Held, chunks: Sequence[Chunk]) -> tuple[bytes, Export]:
    """As `export` does."""
    target = io.BytesIO()
    file = SealedFile(sorted(chunks, key=lambda chunk: (chunk.start, chunk.end)))
    writer = _Writer(FILE, file, cast("Documents", held), target)
    for some in in_portions(file.lines()):
        writer.write(some)
    writer.end()
    return target.getvalue(), writer.result(OUT)


LINES = st.sampled_from(
    [
        b'{"a":1}',
        b'{"a":1} ',
        b' {"b":2}',
        b'{"c":3}\r',
        b'\xef\xbb\xbf{"d":4}',
        b"no entry",
        b"no entry\r",
        b"",
        b"\r",
        b'2026-05-11 06:30:00 {"e":5}',
        b'{"f":6}\r\r',
    ]
)


@given(st.lists(LINES, max_size=12), st.data())
def test_what_is_called_the_log_is_the_log(lines: list[bytes], data: st.DataObject) -> None:
    """However it was read, and whatever was lost; what is known is in it, in order."""
    held = Held()
    chunks, at = [], 0
    while at < len(lines):
        end = data.draw(st.integers(at + 1, len(lines)))
        start = sum(len(line) + 1 for line in lines[:at])
        chunks.append(sealed(held, lines[at:end], start))
        again = data.draw(st.integers(0, at))  # some are read again from before
        at = again if data.draw(st.booleans()) and len(chunks) < 5 else end
    lost = data.draw(st.sets(st.sampled_from(sorted(held.all)), max_size=2)) if held.all else set()
    for identity in lost:
        del held.all[identity]
    content = b"".join(line + b"\n" for line in lines)
    found, result = rebuilt(held, chunks)
    known = [held.all.get(each, held.kept.get(each, b"")) for each in sorted(held.all | held.kept)]
    assert result.lines == len(known)
    position = 0
    for each in known:
        position = found.index(each, position) + len(each)
    unknown = [
        line for line in lines if not line.strip() or line.startswith(b"2026") or line.endswith(b"\r\r")
    ]
    assert result.byte_for_byte == (result.gaps == 0) == (not lost and not unknown)
    if result.byte_for_byte:
        assert found == content


def test_lost_digests_are_told() -> None:
    held = Held()
    chunks = [sealed(held, [b"{}"]), Chunk(FILE, "/log", 3, 6, 1, 0, 0, None), sealed(held, [b"{}"], 6)]
    found, result = rebuilt(held, chunks)
    assert found == b"{}\n{}\n"
    assert [(gap.start, gap.end, gap.reason) for gap in result.first] == [(3, 6, LOST)]
    assert rebuilt(held, chunks[:2])[1].first == result.first


def test_a_line_without_end_stays_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is left out once it is there with its end, however few lines are looked up at a time."""
    monkeypatch.setattr(sealed_lines, "AT_ONCE", 1)
    held = Held()
    before, part = sealed(held, [b"{}"]), sealed(held, [b"{1}"], 3, complete=False)
    assert rebuilt(held, [before, part])[0] == b"{}\n{1}"
    longer = sealed(held, [b"{1}{2"], 3, complete=False)
    for chunks in ([before, part, longer], [before, longer, part]):
        assert rebuilt(held, chunks)[0] == b"{}\n{1}{2"
    whole = sealed(held, [b"{1}{2}"], 3)
    found, result = rebuilt(held, [before, part, whole])
    assert (found, result.byte_for_byte) == (b"{}\n{1}{2}\n", True)


def test_a_line_that_got_its_end_later_has_it() -> None:
    """With the same bytes, and in whatever order the leaves came."""
    held = Held()
    whole, part = sealed(held, [b"{}", b"{1}"]), sealed(held, [b"{1}"], 3, complete=False)
    assert rebuilt(held, [whole, part])[0] == b"{}\n{1}\n"


def test_a_changed_entry_is_not_exported() -> None:
    held = Held()
    chunks = [sealed(held, [b"{}", b"{1}"])]
    held.all[min(held.all)] = b"{2}"
    found, result = rebuilt(held, chunks)
    assert found == b"{1}\n"
    assert [gap.reason for gap in result.first] == [
        "the line is sealed with other bytes than the index holds"
    ]


def test_two_files_that_began_alike_are_told() -> None:
    held = Held()
    chunks = [sealed(held, [b"{}", b"{1111}"]), sealed(held, [b"{}", b"{2}", b"{3}"])]
    found, result = rebuilt(held, chunks)
    assert result.byte_for_byte is False
    assert OVERLAP in {gap.reason for gap in result.first}
    assert b"{1111}\n" in found
    assert b"{2}\n" in found


def test_what_lies_before_and_behind_is_told() -> None:
    held = Held()
    result = rebuilt(held, [sealed(held, [b"{}", b""], 7)])[1]
    assert [(gap.start, gap.end, gap.reason) for gap in result.first] == [(0, 7, BETWEEN), (10, 11, BETWEEN)]
