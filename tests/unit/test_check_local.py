"""`indexer check` on this machine: logs that can be read, a state directory that can be written."""

import os
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.check import local
from indexer.check.results import CheckResult, Level
from indexer.writing.checkpoint import Checkpoint
from indexer.writing.checkpoint import StateDirectory as Held

ALIAS = "zoomdata-activity"


@pytest.fixture
def somebody(tmp_path: Path) -> Iterator[str]:
    """We are somebody who is not root, who may do everything, for the time of a test; the name."""
    for directory in (tmp_path, *tmp_path.parents):
        if directory == Path(tempfile.gettempdir()):
            break
        directory.chmod(0o755)
    us = os.geteuid()
    if us == 0:
        os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        yield pwd.getpwuid(os.geteuid()).pw_name
    finally:
        os.seteuid(us)


def as_root(path: Path, mode: int) -> None:
    """Change a mode as the owner, who may be root."""
    us = os.geteuid()
    os.seteuid(os.getuid())
    path.chmod(mode)
    os.seteuid(us)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A directory with two logs."""
    directory = tmp_path / "logs"
    directory.mkdir()
    (directory / "zoomdata-activity.log").write_text("{}\n")
    (directory / "query-engine-activity.log").write_text("{}\n")
    return directory


def only(found: Iterator[CheckResult]) -> CheckResult:
    (finding,) = found
    return finding


def test_logs_that_can_be_read_are_counted(logs: Path) -> None:
    """Those that a directory holds, or a pattern names; standard input is nothing to look at."""
    assert "2 log files" in only(local.logs([str(logs), "-"])).what
    assert "1 log file of" in only(local.logs([f"{logs}/zoom*.log"])).what


@pytest.mark.parametrize(
    ("sizes", "warned"),
    [
        ({"a-activity.log": 5, "a-activity.log.1": 10.5}, True),
        ({"a-activity.log": 0, "a-activity.log.2026-05-11": 10.0}, True),
        ({"a-activity.log": 5}, False),
        ({"a-activity.log": 5, "a-activity.log.1": 10.5, "a-activity.log.2": 10.5}, False),
        ({"a-activity.log": 5, "a-activity.log.1": 100}, False),
        ({"a-activity.log": 50, "a-activity.log.1": 10.5}, False),
        ({"a-activity.log": 5, "a-activity.log.1.gz": 1}, False),
        ({"a-activity.log.1": 10.5}, False),
        ({"a-activity.log": 5, "b-activity.log.1": 10.5}, False),
    ],
)
def test_files_that_look_like_one_kept_file_of_10_mb_are_a_warning(
    tmp_path: Path,
    sizes: dict[str, float],
    warned: bool,  # noqa: FBT001
) -> None:
    """Zoomdata's default, with what to set; not before the first rotation, and not with other numbers or sizes. In MB."""
    for name, size in sizes.items():
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, int(size * 1_000_000))
    fine, *warnings = local.logs([str(tmp_path)])
    assert (fine.state, len(warnings)) == (Level.OK, warned)
    for it in warnings:
        assert (it.state, f"{tmp_path}/a-activity.log has one" in it.what) == (Level.WARNING, True)
        assert "activity.log.file.count=10" in it.cure
        assert " log.file.count=10" in it.cure
        assert "activity.log.file.size=100" in it.cure


def test_each_log_has_its_own_rotated_file(tmp_path: Path) -> None:
    """Those of another directory are no other log's."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for log in ("a-activity.log", "a-activity.log.1", "b-activity.log"):
            (tmp_path / name / log).touch()
        os.truncate(tmp_path / name / "a-activity.log.1", 10_500_000)
    warnings = list(local.logs([f"{tmp_path}/*/*.log*"]))[1:]
    assert [it.what.split()[0] for it in warnings] == [
        f"{tmp_path}/{it}/a-activity.log" for it in ("one", "two")
    ]


def test_a_path_without_a_log_may_get_one(tmp_path: Path) -> None:
    """`indexer run` waits for it: a warning."""
    for path in (tmp_path, tmp_path / "missing", tmp_path / "missing" / "a-activity.log"):
        finding = only(local.logs([str(path)]))
        assert (finding.state, str(path) in finding.what) == (Level.WARNING, True)


def test_a_log_that_may_not_be_read_names_us_its_mode_and_its_owner(logs: Path, somebody: str) -> None:
    """One finding for each such file, with a command that helps."""
    secret = logs / "zoomdata-activity.log"
    as_root(secret, 0)
    finding = only(local.logs([str(logs)]))
    assert finding.state is Level.FAILED
    owner = pwd.getpwuid(secret.stat().st_uid).pw_name
    assert all(part in finding.what for part in (somebody, str(secret), "----------", f"{owner}:"))
    assert f"setfacl -m u:{somebody}:rX {secret}" in finding.cure


@pytest.mark.parametrize("mode", [0, 0o444, 0o111], ids=oct)
def test_a_directory_that_may_not_be_listed_or_entered_is_named(logs: Path, somebody: str, mode: int) -> None:
    """Else it would look empty."""
    as_root(logs, mode)
    try:
        found = only(local.logs([str(logs)]))
        assert (found.state, f"may not read {logs} " in found.what) == (Level.FAILED, True)
    finally:
        as_root(logs, 0o755)


def test_a_directory_on_the_way_that_may_not_be_entered_is_named(
    tmp_path: Path, logs: Path, somebody: str
) -> None:
    """It is that one that has to be opened."""
    as_root(tmp_path, 0o600)
    try:
        for path in (logs, logs / "zoomdata-activity.log", logs / "*.log"):
            assert f"may not read {tmp_path} " in only(local.logs([str(path)])).what
    finally:
        as_root(tmp_path, 0o755)


def test_a_state_directory_is_looked_at_and_left_as_it_is(tmp_path: Path) -> None:
    """One that is there, and one that `indexer run` would make; nothing new is in it afterwards."""
    missing = tmp_path / "a" / "b"
    assert only(local.state(tmp_path, ALIAS)).state is Level.OK
    assert only(local.state(missing, ALIAS)).state is Level.OK
    assert list(tmp_path.iterdir()) == []


def test_a_state_directory_that_may_not_be_written_is_wrong(tmp_path: Path, somebody: str) -> None:
    """It says who may not, whether it is there or would have to be made."""
    as_root(tmp_path, 0o555)
    try:
        for directory in (tmp_path, tmp_path / "missing"):
            finding = only(local.state(directory, ALIAS))
            assert (finding.state, somebody in finding.what) == (Level.FAILED, True)
            assert "--state-dir" in finding.cure
    finally:
        as_root(tmp_path, 0o755)


def test_a_state_directory_that_is_a_file_is_wrong(tmp_path: Path) -> None:
    """Nothing can be kept in it, nor below it."""
    (tmp_path / "file").write_text("")
    for directory in (tmp_path / "file", tmp_path / "file" / "below"):
        assert only(local.state(directory, ALIAS)).state is Level.FAILED


def test_a_checkpoint_of_another_alias_or_version_is_wrong(tmp_path: Path) -> None:
    """`indexer run` would not start; one that is damaged is put aside by it."""
    with Held(tmp_path) as held:
        held.save(Checkpoint(alias="other"))
    assert "'other'" in only(local.state(tmp_path, ALIAS)).what
    assert only(local.state(tmp_path, "other")).state is Level.OK
    (tmp_path / "checkpoint.json").write_text('{"version": 99}')
    assert "version 99" in only(local.state(tmp_path, ALIAS)).what
    (tmp_path / "checkpoint.json").write_text("{")
    assert [it.state for it in local.state(tmp_path, ALIAS)] == [Level.WARNING, Level.OK]


def test_a_state_directory_that_others_may_write_to_is_said(tmp_path: Path) -> None:
    """With its mode and what to do; it can be used."""
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o777)
    warning, fine = local.state(state, ALIAS)
    assert (warning.state, fine.state) == (Level.WARNING, Level.OK)
    assert f"other users can write to {state} (drwxrwxrwx)" in warning.what
    assert "chmod go-w" in warning.cure


def test_a_disk_without_room_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning: rejected lines may need it."""
    monkeypatch.setattr(local, "ROOM", 2**60)
    finding = only(local.state(tmp_path, ALIAS))
    assert (finding.state, "MiB of free space" in finding.what) == (Level.WARNING, True)
