"""Tree, notes, packed lines and journal of the seals, with whatever values."""

import hashlib
import os
import tempfile
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.seals import journal as journals
from indexer.seals.heads import TreeHead
from indexer.seals.journal import Journal, joined
from indexer.seals.leaves import Chunk
from indexer.seals.lines import Lines
from indexer.seals.notes import InvalidNote, Signer, VerifierKey, open_note
from indexer.seals.tree import Frontier, inclusion_path, leaf_hash, root_of_path

HASHES = [leaf_hash(bytes([number])) for number in range(70)]
NAMES = st.from_regex(r"[a-z./]{1,20}", fullmatch=True)
SIGNERS = st.builds(
    Signer.of, NAMES, st.binary(min_size=32, max_size=32).map(Ed25519PrivateKey.from_private_bytes)
)
TEXTS = st.text(st.characters(exclude_categories=["C"]), max_size=40).map(lambda text: text + "\n")


def by_the_book(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962, section 2.1, as it is written there."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return hashlib.sha256(b"\1" + by_the_book(leaves[:half]) + by_the_book(leaves[half:])).digest()


# ---- the tree


@given(st.integers(1, 70), st.data())
def test_a_tree_grown_in_parts_has_the_root_of_the_book(size: int, data: st.DataObject) -> None:
    part = data.draw(st.integers(0, size))
    grown = Frontier().append(HASHES[:part]).append(HASHES[part:size])
    assert grown.root == by_the_book(HASHES[:size])
    assert (grown.size, len(grown.hashes)) == (size, size.bit_count())


@given(st.integers(1, 70), st.data())
def test_a_path_leads_to_the_root_from_its_leaf_alone(size: int, data: st.DataObject) -> None:
    """From another leaf, place or size it does not, nor if it is longer, shorter or changed."""
    index = data.draw(st.integers(0, size - 1))
    path, root = inclusion_path(iter(HASHES), index, size), by_the_book(HASHES[:size])
    assert root_of_path(HASHES[index], index, size, path) == root
    assert root_of_path(leaf_hash(b"another"), index, size, path) != root
    assert root_of_path(HASHES[index], index, size, [*path, root]) != root
    assert root_of_path(HASHES[index], size, size, path) != root
    if path:
        assert root_of_path(HASHES[index], index, size, path[:-1]) != root
        at = data.draw(st.integers(0, len(path) - 1))
        assert root_of_path(HASHES[index], index, size, [*path[:at], root, *path[at + 1 :]]) != root
    other = data.draw(st.integers(0, 69))
    if other != index:
        assert root_of_path(HASHES[index], other, size, path) != root


# ---- notes


@given(SIGNERS, TEXTS)
def test_what_is_signed_is_opened(signer: Signer, text: str) -> None:
    note = signer.sign(text)
    assert open_note(note, [signer.key]) == (text, signer.key)
    assert VerifierKey.parse(str(signer.key)) == signer.key


@given(SIGNERS, SIGNERS, TEXTS, st.data())
def test_what_is_changed_is_not_opened(signer: Signer, other: Signer, text: str, data: st.DataObject) -> None:
    """Neither with another key, nor with another character anywhere in the text."""
    note = signer.sign(text)
    if other.key != signer.key:
        with pytest.raises(InvalidNote):
            open_note(note, [other.key])
    at = data.draw(st.integers(0, len(text) - 1))
    changed = note[:at] + chr(ord(note[at]) ^ 1) + note[at + 1 :]
    with pytest.raises(InvalidNote):
        open_note(changed, [signer.key])


@given(SIGNERS, SIGNERS, TEXTS)
def test_signatures_of_others_do_not_disturb(signer: Signer, other: Signer, text: str) -> None:
    line = other.sign(text).rpartition("\n\n")[2]
    assert open_note(signer.sign(text) + line, [signer.key])[1] == signer.key


@given(
    st.text(st.characters(exclude_characters="\n"), min_size=1),
    st.integers(0, 10**18 - 1),
    st.binary(min_size=32, max_size=32),
)
def test_a_head_is_read_as_it_was_written(origin: str, size: int, root: bytes) -> None:
    head = TreeHead(origin, size, root)
    assert TreeHead.parse(head.text) == head


# ---- lines


ROWS = st.lists(
    st.tuples(st.integers(0, 2**48 - 1), st.integers(0, 2**32 - 1), st.binary(max_size=9)), max_size=9
)


@given(ROWS, st.integers(0, 9))
def test_lines_are_unpacked_as_they_were_packed(rows: list[tuple[int, int, bytes]], cut: int) -> None:
    """Those of a file, in the order of their offsets, in two blocks."""
    rows.sort()
    ids = [b"0a1b2c3d%012x%08x" % (offset, checksum) for offset, checksum, _ in rows]
    data = [each for _, _, each in rows]
    lines = Lines.of(ids[:cut], data[:cut]) + Lines.of(ids[cut:], data[cut:])
    assert Lines.parse(lines.blocks) == lines
    assert lines.ids(0x0A1B2C3D) == bytes.fromhex(b"".join(ids).decode())
    assert list(lines) == [
        (offset.to_bytes(6) + checksum.to_bytes(4), hashlib.sha256(data).digest()[:16])
        for offset, checksum, data in rows
    ]


# ---- the journal


def chunk(number: int, size: int = 10, file: str = "0000000a") -> Chunk:
    """Number `number` of those of `size` bytes that follow each other in a file."""
    lines = Lines.joined([b"%028x" % number], bytes(16))
    return Chunk(file, "/log", number * size, (number + 1) * size, 1, 0, 0, lines)


def numbers(chunks: Iterable[tuple[Chunk | None, int]]) -> list[int]:
    return [each.start // 10 for each, _ in chunks if each is not None]


class Written:
    """A journal, its checkpoint and what is sealed, as `run` uses them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.journal = Journal(directory, None, 0)
        self.saved = 0
        self.acknowledged: list[int] = []
        """Chunks that are under the checkpoint."""
        self.unsaved: list[int] = []
        self.sealed: list[int] = []
        self.consumed = 0
        self.next = 0

    def append(self, count: int) -> None:
        """Chunks are delivered."""
        fresh = list(range(self.next, self.next + count))
        self.next += count
        self.journal.append([chunk(number) for number in fresh])
        self.unsaved += fresh

    def save(self) -> None:
        """The checkpoint is written."""
        self.saved = self.journal.end
        self.acknowledged += self.unsaved
        self.unsaved = []

    def seal(self, most: int) -> None:
        """As a sealing does: take what is under the checkpoint, then drop it."""
        end = self.saved
        taken = list(self.journal.read(self.consumed, end, most))
        self.sealed += numbers(taken)
        self.consumed = taken[-1][1] if taken else max(end, self.consumed)
        self.journal.drop(self.consumed)

    def crash(self, lost: int) -> None:
        """What no checkpoint covers may be incomplete."""
        files = sorted(self.directory.glob("journal-*"))
        end = int(files[-1].name[-16:]) + files[-1].stat().st_size if files else 0
        unsynced = end - self.saved
        if files:
            size = files[-1].stat().st_size
            os.truncate(files[-1], size - min(lost, max(0, unsynced), size))
        self.journal = Journal(self.directory, self.saved, self.consumed)
        self.unsaved = []


STEPS = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 4)),
    st.tuples(st.just("save"), st.just(0)),
    st.tuples(st.just("seal"), st.integers(1, 2000)),
    st.tuples(st.just("crash"), st.integers(0, 2000)),
)


@given(st.lists(STEPS, max_size=25), st.integers(200, 2000))
@settings(deadline=None)
def test_a_crash_neither_loses_nor_doubles_a_chunk(steps: list[tuple[str, int]], file_bytes: int) -> None:
    """Sealed is what the checkpoint covers, in order, once, wherever the file is cut behind it."""
    before = journals.FILE_BYTES
    journals.FILE_BYTES = file_bytes
    try:
        with tempfile.TemporaryDirectory() as name:
            written = Written(Path(name))
            for step, amount in steps:
                if step == "save":
                    written.save()
                else:
                    getattr(written, step)(amount)
            written.save()
            while written.consumed < written.saved:
                written.seal(10_000)
            assert written.sealed == written.acknowledged
    finally:
        journals.FILE_BYTES = before


@given(st.integers(1, 6), st.integers(0, 3000), st.integers(0, 3000), st.integers(0, 3000))
def test_a_journal_is_opened_with_whatever_checkpoint(
    count: int, cut: int, delivered: int, sealed: int
) -> None:
    """Also with one from a backup: what comes next has a position behind all of them, and can be read."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        Journal(directory, None, 0).append([chunk(number) for number in range(count)])
        (file,) = directory.iterdir()
        os.truncate(file, min(cut, file.stat().st_size))
        journal = Journal(directory, delivered, sealed)
        start = journal.end
        assert start >= max(delivered, sealed)
        journal.append([chunk(90)])
        assert numbers(list(journal.read(start, journal.end, 10_000))) == [90]
        assert Journal(directory, journal.end, sealed).end == journal.end


@pytest.mark.parametrize("most", [1, 300, 10_000])
def test_neither_damage_nor_a_gap_hides_what_comes_behind(tmp_path: Path, most: int) -> None:
    """A gap is left where the checkpoint is ahead of the journal; read in steps, as a sealing does."""
    Journal(tmp_path, None, 0).append([chunk(number) for number in range(5)])
    (file,) = tmp_path.iterdir()
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([lines[0], b"x" * (len(lines[1]) - 1) + b"\n", *lines[2:]]))
    journal = Journal(tmp_path, 10**7, 0)
    journal.append([chunk(90)])
    found: list[tuple[Chunk | None, int]] = []
    while not found or found[-1][1] < journal.end:
        taken = list(journal.read(found[-1][1] if found else 0, journal.end, most))
        assert taken
        found += taken
    assert numbers(found) == [0, 2, 3, 4, 90]


@given(st.integers(0), st.integers(1, 255))
def test_a_changed_byte_of_a_chunk_is_noticed(at: int, change: int) -> None:
    """Of its digests too: what a disk has garbled is never signed."""
    with tempfile.TemporaryDirectory() as name:
        journal = Journal(Path(name), None, 0)
        journal.append([chunk(7)])
        (file,) = Path(name).iterdir()
        data = bytearray(file.read_bytes())
        data[at % len(data)] ^= change
        file.write_bytes(data)
        assert numbers(list(journal.read(0, journal.end, 10_000))) == []


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), max_size=12), st.integers(1, 4))
def test_neighbouring_chunks_share_a_leaf(kinds: list[tuple[str, bool]], most: int) -> None:
    """No line is lost, none changes its place; where chunks do not follow each other, a new leaf begins."""
    at = dict.fromkeys("ab", 0)
    chunks = []
    for file, gap in kinds:
        at[file] += gap
        chunks.append(chunk(at[file], file=f"0000000{file}"))
        at[file] += 1
    result = list(joined(chunks, most))
    ranges = [(each.file, each.start, each.end) for each in result]
    assert sum(end - start for _, start, end in ranges) == 10 * len(chunks)
    places = sorted((each.file, place) for each in chunks for place, _ in each.lines or ())
    assert sorted((each.file, place) for each in result for place, _ in each.lines or ()) == places
    assert all(each.lines is not None and each.lines.count == each.entries <= most + 1 for each in result)
    for before, after in pairwise(result):
        assert before.file != after.file or not before.joins(after) or (before.lines or Lines()).count >= most
