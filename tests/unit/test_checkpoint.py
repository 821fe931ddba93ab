"""The checkpoint: its exact bytes, what survives a write that fails, and who holds the state directory."""

import errno
import os
import stat
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import StateInUse, StateUnusable
from indexer.events import Totals
from indexer.reading.identity import FileRecord
from indexer.writing import checkpoint
from indexer.writing.checkpoint import (
    DAMAGED,
    NAME,
    Checkpoint,
    StateDirectory,
    open_to_others,
    write_durably,
)

WRITTEN = datetime(2026, 3, 4, 5, 6, 7, 890_123, UTC)
RECORD = FileRecord(
    path="/opt/zoomdata/logs/zoomdata-activity.log",
    device=2049,
    inode=1234567,
    head=180,
    generation=3735928559,
    offset=1048576,
    tail=2882343476,
    digest=4022250974,
    size=1050000,
    modified=1772600767890123456,
    ended=False,
)
TOTALS = Totals(10, 5, 3, 1, 1, 1048576)
CHECKPOINT = Checkpoint("uuid", "zoomdata-activity", "zoomdata-activity-000002", TOTALS, [RECORD])
VERSION_2 = b"""{
  "version": 2,
  "written": "2026-03-04T05:06:07.890+00:00",
  "cluster": "uuid",
  "alias": "zoomdata-activity",
  "write_index": "zoomdata-activity-000002",
  "totals": {
    "read": 10,
    "created": 5,
    "duplicates": 3,
    "rejected": 1,
    "blank": 1,
    "bytes": 1048576
  },
  "files": [
    {
      "path": "/opt/zoomdata/logs/zoomdata-activity.log",
      "device": 2049,
      "inode": 1234567,
      "head": 180,
      "generation": 3735928559,
      "offset": 1048576,
      "tail": 2882343476,
      "digest": 4022250974,
      "size": 1050000,
      "modified": 1772600767890123456,
      "ended": false
    }
  ]
}
"""
VERSION_1 = b"""{
  "version": 1,
  "written": "2026-03-04T05:06:07.890+00:00",
  "cluster": "uuid",
  "alias": "zoomdata-activity",
  "totals": {
    "read": 10,
    "created": 5,
    "duplicates": 3,
    "rejected": 1,
    "blank": 1,
    "bytes": 1048576
  },
  "files": [
    {
      "path": "/opt/zoomdata/logs/zoomdata-activity.log",
      "device": 2049,
      "inode": 1234567,
      "head": 180,
      "twin": 0,
      "generation": 3735928559,
      "offset": 1048576,
      "tail": 2882343476,
      "reach": 68157440,
      "since": "zoomdata-activity-000001",
      "size": 1050000,
      "ended": false
    }
  ]
}
"""
"""What 0.1 wrote."""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A state directory that is not there yet."""
    return tmp_path / "some" / "state"


# ---- its bytes


def test_version_2_is_these_bytes() -> None:
    """The file of version 2 is, to the byte, what it was when it was first released."""
    assert CHECKPOINT.to_json(WRITTEN) == VERSION_2


@pytest.mark.parametrize("version", [VERSION_1, VERSION_2], ids=["1", "2"])
def test_unknown_fields_are_ignored(version: bytes) -> None:
    """Whatever else a file may hold."""
    more = orjson.loads(version)
    more["more"] = more["files"][0]["more"] = more["totals"]["more"] = 1
    assert Checkpoint.from_json(orjson.dumps(more)) == Checkpoint.from_json(version)


def test_version_2_is_read() -> None:
    """As it was written."""
    assert Checkpoint.from_json(VERSION_2) == CHECKPOINT


def test_version_1_is_read() -> None:
    """A file goes on where 0.1 left it; what 0.1 did not know is not made up."""
    known = replace(RECORD, digest=None, modified=0)
    assert Checkpoint.from_json(VERSION_1) == Checkpoint("uuid", "zoomdata-activity", None, TOTALS, [known])


@given(st.binary(min_size=1, max_size=300), st.integers(0, 2**32 - 1))
def test_the_twin_number_of_0_1_is_removed_from_the_generation(head: bytes, twin: int) -> None:
    """The generation is that of the first line again, as all ids are made now."""
    stored = orjson.loads(VERSION_1)
    stored["files"][0] |= {"head": len(head), "twin": twin, "generation": zlib.crc32(head, twin)}
    (record,) = Checkpoint.from_json(orjson.dumps(stored)).files
    assert (record.head, record.generation) == (len(head), zlib.crc32(head))


def test_an_empty_checkpoint_is_read_back() -> None:
    """Nothing delivered, to nowhere yet: the beginning is a checkpoint too."""
    assert Checkpoint.from_json(Checkpoint(files=[]).to_json(WRITTEN)) == Checkpoint(files=[])


@pytest.mark.parametrize("version", ["3", "0", '"2"'])
def test_a_version_of_the_future_is_refused_with_a_sentence(directory: Path, version: str) -> None:
    """An older indexer does not guess at what a newer one wrote, and leaves it as it is."""
    with StateDirectory(directory) as state:
        newer = VERSION_2.replace(b'"version": 2', b'"version": ' + version.encode())
        (directory / NAME).write_bytes(newer)
        known = version.strip('"')
        sentence = f"{directory}: its {NAME} is of version {known}, and this indexer knows versions 1 and 2"
        with pytest.raises(StateUnusable, match=sentence):
            state.load()
        assert (directory / NAME).read_bytes() == newer


@pytest.mark.parametrize("missing", ["twin", "head", "generation", "offset", "size"])
def test_a_record_of_version_1_that_lacks_something_is_damaged(missing: str) -> None:
    """It is not guessed at."""
    stored = orjson.loads(VERSION_1)
    del stored["files"][0][missing]
    with pytest.raises(ValueError, match="not a checkpoint"):
        Checkpoint.from_json(orjson.dumps(stored))


# ---- saving and loading


def test_what_is_saved_is_loaded(directory: Path) -> None:
    """The state directory is made where it is missing; what is saved in it is there for the next run."""
    with StateDirectory(directory) as state:
        assert state.load() == (Checkpoint(), False)
        state.save(CHECKPOINT)
    with StateDirectory(directory) as state:
        assert state.load() == (CHECKPOINT, False)
    assert checkpoint.read(directory) == CHECKPOINT
    assert sorted(path.name for path in directory.iterdir()) == [NAME, "lock"]


def test_other_users_cannot_read_the_state(directory: Path) -> None:
    """Directory and files are readable by their owner alone."""
    with StateDirectory(directory) as state:
        state.save(CHECKPOINT)
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o600}


@given(st.sampled_from([VERSION_1, VERSION_2]), st.data())
def test_a_truncated_file_is_damaged(version: bytes, data: st.DataObject) -> None:
    """The file cut anywhere is recognised as damaged, never taken for less than it was."""
    with pytest.raises(ValueError, match=r"column|not a checkpoint"):
        Checkpoint.from_json(version[: data.draw(st.integers(0, len(version) - 2))])


@pytest.mark.parametrize(
    "data",
    [
        VERSION_2[:100],
        b"",
        b"\0" * 500,
        b"[]",
        b"null",
        b"{}",
        b'{"version": 1}',
        b'{"version": 2}',
        b'"\xff"',
    ],
    ids=["torn", "empty", "zeros", "list", "null", "object", "version 1 alone", "version alone", "no UTF-8"],
)
def test_a_damaged_checkpoint_is_renamed(directory: Path, data: bytes) -> None:
    """A damaged checkpoint is renamed and reported, and the state begins anew."""
    with StateDirectory(directory) as state:
        (directory / NAME).write_bytes(data)
        assert checkpoint.read(directory) is None
        assert state.load() == (Checkpoint(), True)
        assert (directory / DAMAGED).read_bytes() == data
        assert state.load() == (Checkpoint(), False)
        state.save(CHECKPOINT)
        assert state.load() == (CHECKPOINT, False)


def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def fail_at(monkeypatch: pytest.MonkeyPatch, name: str, turn: int) -> None:
    """Let the n-th call of a function of `os` find the disk full."""
    real: Callable[..., Any] = getattr(os, name)
    calls = iter(range(1, 100))

    def function(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == turn:
            full_disk()
        return real(*args, **kwargs)

    monkeypatch.setattr(os, name, function)


@pytest.mark.parametrize(
    ("name", "turn"),
    [("open", 1), ("fdopen", 1), ("fsync", 1), ("replace", 1)],
    ids=["open", "write", "sync", "rename"],
)
def test_a_write_that_fails_leaves_the_old_one(
    directory: Path, monkeypatch: pytest.MonkeyPatch, name: str, turn: int
) -> None:
    """A full disk, at whichever step, raises OSError and leaves the checkpoint as it was; later it is written."""
    newer = Checkpoint("uuid", "zoomdata-activity", None, Totals(11, 6), [])
    with StateDirectory(directory) as state:
        state.save(CHECKPOINT)
        with monkeypatch.context() as patch:
            if name == "replace":
                patch.setattr(Path, "replace", full_disk)
            else:
                fail_at(patch, name, turn)
            with pytest.raises(OSError, match="No space left"):
                state.save(newer)
        assert state.load() == (CHECKPOINT, False)
        state.save(newer)
        assert state.load() == (newer, False)


@pytest.mark.parametrize(("name", "turn"), [("open", 2), ("fsync", 2)], ids=["open", "sync"])
def test_a_failed_sync_of_the_directory_is_an_error(
    directory: Path, monkeypatch: pytest.MonkeyPatch, name: str, turn: int
) -> None:
    """A directory that cannot be synchronised raises OSError: whoever counts on the new checkpoint must not."""
    with StateDirectory(directory) as state:
        fail_at(monkeypatch, name, turn)
        with pytest.raises(OSError, match="No space left"):
            state.save(CHECKPOINT)


def test_the_file_is_synced_before_it_is_renamed(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """First the bytes are synchronised, then the file renamed, then the directory synchronised."""
    steps = []
    real_sync, real_rename = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        steps.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        real_sync(descriptor)

    def rename(self: Path, target: Path) -> Path:
        assert self.read_bytes().startswith(b'{\n  "version": 2')
        steps.append(f"rename {self.name} {target.name}")
        return real_rename(self, target)

    with StateDirectory(directory) as state:
        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(Path, "replace", rename)
        state.save(CHECKPOINT)
    assert steps == [f"sync {NAME}.new", f"rename {NAME}.new {NAME}", "sync state"]


# ---- whose it is


def test_a_second_indexer_is_told_who_holds_it(directory: Path) -> None:
    """Two indexers cannot share a state directory; once the first ends, the second may use it."""
    with StateDirectory(directory):
        with pytest.raises(
            StateInUse, match=rf"{directory} is in use by process {os.getpid()} on .*, since 20"
        ):
            StateDirectory(directory)
        with pytest.raises(StateInUse):
            StateDirectory(directory)
    with StateDirectory(directory):
        pass


def test_an_empty_lock_file_names_another_indexer(directory: Path) -> None:
    """A full disk may have kept the holder from writing who it is; it holds the directory nevertheless."""
    with StateDirectory(directory):
        (directory / "lock").write_bytes(b"")
        with pytest.raises(StateInUse, match="in use by another indexer"):
            StateDirectory(directory)


def test_a_full_disk_does_not_prevent_the_lock(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That the holder cannot be written down is no reason not to start."""
    monkeypatch.setattr(os, "pwrite", full_disk)
    with StateDirectory(directory), pytest.raises(StateInUse):
        StateDirectory(directory)


def test_the_name_of_an_earlier_holder_is_overwritten(directory: Path) -> None:
    """The lock file of a process that died names the new holder alone."""
    directory.mkdir(parents=True)
    (directory / "lock").write_text("process 1 on elsewhere, since ever, with a very long name" * 5)
    with StateDirectory(directory):
        (line,) = (directory / "lock").read_text().splitlines()
    assert line.startswith(f"process {os.getpid()} on ")
    assert "elsewhere" not in line


def test_a_directory_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    """Where a file stands, there can be no state directory, neither there nor below; both sentences say why."""
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(StateUnusable, match=f"{file}: File exists"):
        StateDirectory(file)
    with pytest.raises(StateUnusable, match=f"{file}/state: Not a directory"):
        StateDirectory(file / "state")


def test_a_checkpoint_that_cannot_be_opened_is_an_error(directory: Path) -> None:
    """An unreadable checkpoint is an error, not a beginning."""
    with StateDirectory(directory) as state:
        (directory / NAME).mkdir()
        with pytest.raises(StateUnusable, match="Is a directory"):
            state.load()
        with pytest.raises(StateUnusable, match="Is a directory"):
            checkpoint.read(directory)


# ---- others who may write where we do


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """A file of ours elsewhere."""
    file = tmp_path / "precious"
    file.write_bytes(b"keep me")
    file.chmod(0o644)
    return file


PLANTS: dict[str, Callable[[Path, Path], object]] = {
    "symbolic link": lambda at, to: at.symlink_to(to),
    "dangling link": lambda at, to: at.symlink_to(to.with_name("new")),
    "hard link": lambda at, to: at.hardlink_to(to),
    "FIFO": lambda at, _: os.mkfifo(at),
    "file of a crash": lambda at, _: at.write_bytes(b"half of a checkp"),
}


def plain_file(path: Path) -> bool:
    """It is a regular file with one link, for its owner alone."""
    status = path.lstat()
    return stat.S_ISREG(status.st_mode) and status.st_mode & 0o777 == 0o600 and status.st_nlink == 1


@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("name", [NAME, "monitoring.json"])
def test_links_in_the_state_directory_are_never_followed(
    directory: Path, precious: Path, plant: str, name: str
) -> None:
    """The file gets its content, and what a link pointed to stays as it was."""
    directory.mkdir(parents=True)
    for end in (".new", ""):
        PLANTS[plant](directory / (name + end), precious)
    write_durably(directory / name, b"content")
    assert (directory / name).read_bytes() == b"content"
    assert plain_file(directory / name)
    assert not os.path.lexists(directory / f"{name}.new")
    assert (precious.read_bytes(), precious.with_name("new").exists()) == (b"keep me", False)


@pytest.mark.parametrize("plant", ["symbolic link", "dangling link", "hard link", "FIFO"])
def test_a_lock_that_is_not_a_regular_file_is_refused(directory: Path, precious: Path, plant: str) -> None:
    """With a sentence; nothing is written into what it points to."""
    directory.mkdir(parents=True)
    PLANTS[plant](directory / "lock", precious)
    with pytest.raises(StateUnusable, match=str(directory)):
        StateDirectory(directory)
    assert (precious.read_bytes(), precious.with_name("new").exists()) == (b"keep me", False)


@pytest.mark.parametrize(
    ("mode", "others"),
    [(0o700, ""), (0o755, ""), (0o750, ""), (0o777, "drwxrwxrwx"), (0o1777, "drwxrwxrwt"), (0o770, "drwxrwx---"),
     (0o702, "drwx----w-"), (0o2770, "")],
)  # fmt: skip
def test_a_state_directory_that_others_may_write_to_is_found(directory: Path, mode: int, others: str) -> None:
    """By its mode; a group of our own is none of others on a volume that Kubernetes made ready for us (fsGroup)."""
    directory.mkdir(parents=True)
    os.chown(directory, -1, os.getegid())
    directory.chmod(mode)
    assert open_to_others(directory) == ([f"{directory} ({others})"] if others else [])
    (directory / "rejected").mkdir()
    (directory / "rejected").chmod(0o733)
    assert f"{directory / 'rejected'} (drwx-wx-wx)" in open_to_others(directory)
    assert open_to_others(directory / "missing") == []
