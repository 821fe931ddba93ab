"""Rejected lines in files: whole lines, and lines too long for memory, which come in fragments."""

import errno
import io
import os
from pathlib import Path
from typing import Any

import orjson
import pytest

from indexer.reading.batch import OversizedFragment
from indexer.reading.entries import Reason, Rejection
from indexer.writing import checkpoint
from indexer.writing.checkpoint import StateDirectory
from indexer.writing.spool import DeadLetterFiles
from tests.support.observed import in_files

FILE = "/opt/zoomdata/logs/zoomdata-activity.log"


def rejection(number: int, line: bytes = b"text") -> Rejection:
    return Rejection(f"{number:028x}", FILE, 100 * number, "not_an_object", "why", line)


@pytest.fixture
def local(tmp_path: Path) -> DeadLetterFiles:
    """The files of rejected lines."""
    return DeadLetterFiles(tmp_path)


def test_a_line_without_a_description_is_not_listed(tmp_path: Path, local: DeadLetterFiles) -> None:
    """The description is written last: without it a line is not listed."""
    local.keep(rejection(1, b"\xff\0line"))
    local.keep(rejection(2))
    (tmp_path / "rejected" / f"{rejection(2).id}.json").unlink()
    assert in_files(local) == {rejection(1).id: b"\xff\0line"}


def test_the_format_of_the_files_is_fixed(tmp_path: Path, local: DeadLetterFiles) -> None:
    """What an upgrade finds in the state directory: the names of the files, and the fields of a description."""
    local.keep(rejection(1))
    directory = tmp_path / "rejected"
    assert sorted(path.name for path in directory.iterdir()) == [f"{1:028x}.json", f"{1:028x}.line"]
    document = orjson.loads((directory / f"{1:028x}.json").read_bytes())
    assert list(document) == ["@timestamp", "file", "offset", "type", "reason", "size", "text"]


def test_a_missing_directory_holds_no_lines(local: DeadLetterFiles) -> None:
    """Without the directory there are no lines."""
    assert list(local.list()) == []


def test_a_line_can_be_removed(tmp_path: Path, local: DeadLetterFiles) -> None:
    """Both its files go, once or again."""
    local.keep(rejection(1))
    local.keep(rejection(2))
    local.remove(rejection(1).id)
    local.remove(rejection(1).id)
    assert in_files(local) == {rejection(2).id: b"text"}
    assert len(list((tmp_path / "rejected").iterdir())) == 2


# ---- lines too long to hold


def fragments(*data: bytes, start: int = 0) -> list[OversizedFragment]:
    last = len(data) - 1
    return [
        OversizedFragment(FILE, f"{start:020x}", start, part, n == 0, f"{start:028x}" if n == last else None)
        for n, part in enumerate(data)
    ]


def test_fragments_of_a_line_become_one_line(tmp_path: Path, local: DeadLetterFiles) -> None:
    """Fragments of two lines, in turns, become two rejected lines with all their bytes."""
    some = [fragments(b"ab", b"cd\xff", b"e", start=1), fragments(b"x" * 300_000, b"", b"y", start=2)]
    ends = [local.spool(fragment) for turn in zip(*some, strict=True) for fragment in turn]
    assert [end.id for end in ends if end] == [f"{1:028x}", f"{2:028x}"]
    assert in_files(local) == {f"{1:028x}": b"abcd\xffe", f"{2:028x}": b"x" * 300_000 + b"y"}
    first, second = local.list()
    assert (first.type, first.file, first.offset, first.size) == (Reason.LINE_TOO_LONG, FILE, 1, 6)
    assert second.size == 300_001
    assert len(list((tmp_path / "rejected").iterdir())) == 4


def test_a_line_of_one_fragment_is_a_line(local: DeadLetterFiles) -> None:
    """A line that is too long and comes at once is one fragment, the first and the last."""
    (fragment,) = fragments(b"all of it")
    assert local.spool(fragment) is not None
    assert in_files(local) == {fragment.id: b"all of it"}


def test_a_line_that_an_earlier_run_began_is_written_again(local: DeadLetterFiles, tmp_path: Path) -> None:
    """The incomplete line of a killed run is overwritten when the line is read again."""
    local.spool(fragments(b"begun by a run that died", b"")[0])
    again = DeadLetterFiles(tmp_path)
    for fragment in fragments(b"be", b"gun"):
        again.spool(fragment)
    assert in_files(again) == {f"{0:028x}": b"begun"}


class Full(io.FileIO):
    """A file on a disk that becomes full in the middle of a write."""

    def write(self, data: Any, /) -> int:
        """Write two bytes, then no more."""
        super().write(bytes(data)[:2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def disk_full_in_the_file(patch: pytest.MonkeyPatch) -> None:
    real = os.fdopen

    def half(descriptor: int, mode: str, **how: Any) -> Any:
        return real(descriptor, mode, **how) if how else io.BufferedWriter(Full(descriptor, mode))

    patch.setattr(os, "fdopen", half)


def disk_full_at_the_end(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(os, "fsync", full)


def disk_full_in_the_description(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(checkpoint, "sync_directory", full)


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("at", [0, 1, 2], ids=["first", "middle", "last"])
@pytest.mark.parametrize("fault", [disk_full_in_the_file, disk_full_at_the_end, disk_full_in_the_description])
def test_a_fragment_can_be_written_again_after_a_failure(
    local: DeadLetterFiles, monkeypatch: pytest.MonkeyPatch, fault: Any, at: int
) -> None:
    """A full disk in any step, at any fragment, twice: afterwards the line has its bytes, no more."""
    for n, fragment in enumerate(fragments(b"one-", b"two-", b"three")):
        for _ in range(2):
            with monkeypatch.context() as patch:
                fault(patch)
                if n == at and (fault is disk_full_in_the_file or fragment.id):
                    with pytest.raises(OSError, match="No space left"):
                        local.spool(fragment)
                    assert in_files(local) in ({}, {f"{0:028x}": b"one-two-three"})
        local.spool(fragment)
    assert in_files(local) == {f"{0:028x}": b"one-two-three"}


def test_incomplete_lines_of_a_killed_run_are_removed(local: DeadLetterFiles, tmp_path: Path) -> None:
    """By the holder of the state directory: incomplete lines are removed, complete ones stay."""
    local.keep(rejection(1))
    for fragment in fragments(b"ab", b"c", start=2):
        local.spool(fragment)
    local.spool(fragments(b"begun by a run that died", b"", start=3)[0])
    kept = in_files(local)
    with StateDirectory(tmp_path) as held:
        DeadLetterFiles(tmp_path).sweep(held)
    assert (in_files(local), len(kept)) == (kept, 2)
    assert sorted(path.suffix for path in (tmp_path / "rejected").iterdir()) == [
        ".json",
        ".json",
        ".line",
        ".line",
    ]


def test_sweeping_a_missing_directory_does_nothing(local: DeadLetterFiles, tmp_path: Path) -> None:
    """Before the first line is rejected there is no directory of them."""
    with StateDirectory(tmp_path) as held:
        local.sweep(held)
    assert not (tmp_path / "rejected").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"[]", b"null"])
def test_a_damaged_description_is_named(local: DeadLetterFiles, tmp_path: Path, content: bytes) -> None:
    """The error names the file."""
    local.keep(rejection(1))
    (tmp_path / "rejected" / f"{rejection(1).id}.json").write_bytes(content)
    with pytest.raises(OSError, match=f"{rejection(1).id}.json is damaged"):
        list(local.list())


# ---- others who may write where we do


def test_other_users_cannot_read_rejected_lines(tmp_path: Path, local: DeadLetterFiles) -> None:
    """Whole lines, lines of fragments, and their descriptions are readable by the owner alone."""
    old = os.umask(0)
    try:
        local.keep(rejection(1))
        for fragment in fragments(b"a long ", b"line", start=5):
            local.spool(fragment)
    finally:
        os.umask(old)
    kept = list((tmp_path / "rejected").iterdir())
    assert len(kept) == 4
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}


@pytest.mark.parametrize("later", [False, True])
def test_a_link_in_the_directory_is_never_followed(
    tmp_path: Path,
    local: DeadLetterFiles,
    later: bool,  # noqa: FBT001
) -> None:
    """Before the first fragment it is removed; later the line cannot be kept, and its fragment is given again."""
    precious = tmp_path / "precious"
    precious.write_bytes(b"keep me, all of me")
    first, second = fragments(b"a long ", b"line", start=5)
    part = tmp_path / "rejected" / f"{first.name}.part"
    part.parent.mkdir()
    local.spool(fragments(b"any", b"thing", start=99)[0])  # what crashes have left is removed now
    if later:
        local.spool(first)
        part.unlink()
    part.symlink_to(precious)
    if later:
        with pytest.raises(OSError, match="symbolic links"):
            local.spool(second)
    else:
        local.spool(first)
        local.spool(second)
        assert in_files(local) == {second.id: b"a long line"}
    assert precious.read_bytes() == b"keep me, all of me"
