"""A log directory whose owner means harm: links, FIFOs, devices, names; and a system that has no descriptors left."""

import errno
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from indexer.check import local
from indexer.reading import files
from indexer.reading.files import NEVER, Scope, find, look_at
from indexer.reading.scanner import CLAIMABLE
from indexer.reading.sources import open_log
from tests.support.rotation import FIRST, SECOND, THIRD
from tests.unit.conftest import Reader, append, expected

NAME = "zoomdata-activity.log"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that is none of the directory's."""
    secret = tmp_path / "secrets" / "password"
    secret.parent.mkdir()
    secret.write_bytes(FIRST)
    return secret


def link(path: Path, target: Path) -> None:
    path.symlink_to(target)


def relative(path: Path, target: Path) -> None:
    path.symlink_to(os.path.relpath(target, path.parent))


def through_a_link(path: Path, target: Path) -> None:
    path.with_name("first").symlink_to(target)
    path.symlink_to("first")


def through_a_directory(path: Path, target: Path) -> None:
    path.with_name("..data").symlink_to(target.parent)
    path.symlink_to(Path("..data") / target.name)


def follow(*paths: Path, scope: Scope = files.DEFAULT_SCOPE, once: bool = False) -> Reader:
    reader = Reader(*paths, once=once)
    reader.tail._scanner.scope = scope
    return reader


@pytest.mark.parametrize("once", [False, True])
@pytest.mark.parametrize("planted", [link, relative, through_a_link, through_a_directory])
def test_a_link_out_of_the_directory_is_told_and_not_followed(
    logs: Path, log: Path, secret: Path, planted: Callable[[Path, Path], None], *, once: bool
) -> None:
    """Its target and the hint are named; the other logs are read."""
    planted(log, secret)
    append(logs / "other-activity.log", SECOND)
    reader = follow(logs, once=once)
    reader.wait()
    assert reader.delivered == expected(SECOND)
    (reason,) = {reason for name, reason in reader.told.unreadable if name == NAME}
    assert str(secret) in reason
    assert "--follow-symlinks" in reason
    assert reader.tail.failures == {str(log): reason}


@pytest.mark.parametrize("planted", [link, relative, through_a_link, through_a_directory])
def test_a_link_out_of_the_directory_is_followed_if_the_operator_says_so(
    logs: Path, log: Path, secret: Path, planted: Callable[[Path, Path], None]
) -> None:
    """All kinds of it."""
    planted(log, secret)
    reader = follow(logs, scope=Scope(follow_symlinks=True))
    reader.wait()
    assert reader.delivered == expected(FIRST)


def test_links_within_the_directory_are_followed(logs: Path) -> None:
    """As Kubernetes mounts a volume: `..data` is turned to a new directory, and names lead through it."""
    for number, content in enumerate((FIRST, SECOND)):
        version = logs / f"..2026_{number}"
        version.mkdir()
        append(version / NAME, content)
    (logs / "..data").symlink_to("..2026_0")
    (logs / NAME).symlink_to(Path("..data") / NAME)
    reader = Reader(logs)
    reader.look()
    (logs / "..fresh").symlink_to("..2026_1")
    (logs / "..fresh").rename(logs / "..data")
    reader.wait()
    assert reader.delivered == expected(FIRST) + expected(SECOND)
    assert reader.told.unreadable == []


def test_a_path_that_is_a_link_is_trusted(tmp_path: Path, logs: Path, secret: Path) -> None:
    """To a directory or to a file: the operator gave it. One that becomes a link later is the directory's owner's."""
    append(logs / NAME, SECOND)
    (tmp_path / "logs-link").symlink_to(logs)
    given = tmp_path / "a.log"
    given.symlink_to(secret)
    paths = [str(tmp_path / "logs-link"), str(given)]
    scope = Scope.of(paths, follow_symlinks=False, state=tmp_path / "state", secrets=[])
    look = find(paths, scope)
    assert [facts.key for facts in look.found] == [look_at(str(path)).key for path in (secret, logs / NAME)]  # type: ignore[union-attr]
    plain = logs / "b.log"
    append(plain, FIRST)
    scope = Scope.of([str(plain)], follow_symlinks=False, state=tmp_path / "state", secrets=[])
    plain.unlink()
    plain.symlink_to(secret)
    assert find([str(plain)], scope).found == []


@pytest.mark.parametrize("pattern", ["*.log", "z*/../*.log", "*/*.log", "**/*.log"])
def test_a_glob_leads_no_further_than_what_stands_before_its_first_sign(
    logs: Path, secret: Path, pattern: str
) -> None:
    """By links to files or to directories."""
    (logs / "zone").mkdir()
    (logs / "zone" / "a.log").symlink_to(secret)
    (logs / "b.log").symlink_to(secret)
    (logs / "zlinked").symlink_to(secret.parent)
    secret.with_name("c.log").write_bytes(FIRST)
    append(logs / "mine.log", SECOND)
    assert {Path(facts.path).name for facts in find([str(logs / pattern)]).found} <= {"mine.log"}


def test_a_directory_given_beside_another_may_be_linked_to(tmp_path: Path, logs: Path) -> None:
    """What is read anyway is no secret."""
    other = tmp_path / "other"
    other.mkdir()
    append(other / NAME, FIRST)
    (logs / NAME).symlink_to(other / NAME)
    paths = [str(logs), str(other)]
    scope = Scope.of(paths, follow_symlinks=False, state=tmp_path / "state", secrets=[])
    for look in (find(paths), find(paths[:1], scope)):
        assert (len(look.found), look.unreadable) == (1, {})
    assert [finding.state for finding in local.logs(paths, scope)] == ["fine", "fine"]


NEVER_READ = ["/proc/self/environ", "/proc/self/mem", "/proc/version", "/sys/kernel/notes"]


@pytest.mark.parametrize("target", NEVER_READ)
@pytest.mark.parametrize("follow_symlinks", [False, True])
def test_the_system_is_never_read(log: Path, logs: Path, target: str, *, follow_symlinks: bool) -> None:
    """Whatever the option says, nor if it is given by its name."""
    log.symlink_to(target)
    for path in (logs, log, Path(target)):
        scope = Scope.of(
            [str(path)], follow_symlinks=follow_symlinks, state=logs.parent / "state", secrets=[]
        )
        look = find([str(path)], scope)
        assert look.found == []
        if Path(target).exists() and not target.startswith("/proc/self"):
            assert list(look.unreadable.values()) == [NEVER]


@pytest.mark.parametrize(
    "plant", [link, lambda path, target: path.hardlink_to(target)], ids=["link", "hard link"]
)
@pytest.mark.parametrize("what", ["secret", "checkpoint.json", "rejected/1.line"])
def test_our_secrets_and_our_state_are_never_read(
    tmp_path: Path, logs: Path, log: Path, secret: Path, plant: Callable[[Path, Path], None], what: str
) -> None:
    """By a link or a hard link, or as what the paths name themselves, whatever the option says."""
    state = tmp_path / "state"
    (state / "rejected").mkdir(parents=True)
    target = secret if what == "secret" else state / what
    target.write_bytes(FIRST)
    plant(log, target)
    scope = Scope(follow_symlinks=True, state=state, secrets=[secret])
    for path in (logs, target):
        look = find([str(path)], scope)
        assert (look.found, list(look.unreadable.values())) == ([], [NEVER])


@pytest.mark.parametrize("where", [".", "logs", "a/logs"])
def test_logs_may_lie_in_the_state_directory(tmp_path: Path, where: str) -> None:
    """What we keep there has other names; a backup of hard links changes nothing."""
    state = tmp_path / "state"
    (state / where).mkdir(parents=True)
    (state / "checkpoint.json").write_bytes(FIRST)
    append(state / where / NAME, FIRST)
    (tmp_path / "backup").hardlink_to(state / where / NAME)
    (state / where / "b-activity.log").symlink_to(state / "checkpoint.json")
    look = find([str(state / where)], Scope(follow_symlinks=True, state=state))
    assert [Path(facts.path).name for facts in look.found] == [NAME]
    assert list(look.unreadable.values()) == [NEVER]


def test_a_hard_link_that_is_nobodys_secret_is_a_log(tmp_path: Path, logs: Path, log: Path) -> None:
    """As a backup makes it."""
    append(log, FIRST)
    (tmp_path / "backup").hardlink_to(log)
    assert find([str(logs)], Scope(state=tmp_path / "state")).unreadable == {}


# ---- between the look and the opening


def to_a_fifo(path: Path, _target: Path) -> None:
    os.mkfifo(path)


def to_a_directory(path: Path, _target: Path) -> None:
    path.mkdir()


def to_a_file(path: Path, _target: Path) -> None:
    path.write_bytes(b"another\n")


@pytest.mark.parametrize("swapped", [link, to_a_fifo, to_a_directory, to_a_file])
def test_what_takes_the_place_of_a_log_is_not_read(
    logs: Path, log: Path, secret: Path, swapped: Callable[[Path, Path], None]
) -> None:
    """Nor waited for."""
    append(log, FIRST)
    (facts,) = find([str(logs)]).found
    log.rename(logs / "kept")
    swapped(log, secret)
    errors: list[OSError] = []

    def try_it() -> None:
        try:
            open_log(facts).close()
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=try_it, daemon=True)
    thread.start()
    thread.join(20)
    assert [type(error) for error in errors] == [FileNotFoundError]


def test_a_directory_on_the_way_that_becomes_a_link_is_not_followed(tmp_path: Path, secret: Path) -> None:
    """Though the very file that was found lies behind it."""
    inner = tmp_path / "logs" / "inner"
    inner.mkdir(parents=True)
    append(inner / NAME, FIRST)
    (facts,) = find([str(tmp_path / "logs" / "*" / "*.log")]).found
    inner.rename(tmp_path / "elsewhere")
    inner.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError):
        open_log(facts)


SWAPPED = """
import os, sys, threading
from pathlib import Path
from indexer.check import local
from indexer.reading import files
from tests.unit.conftest import Reader
log = Path(sys.argv[1])
reader = Reader(log.parent)
find = files.find
def swap(patterns, scope):
    found = find(patterns, scope)
    log.unlink(missing_ok=True)
    os.mkfifo(log) if not log.exists() else None
    return found
files.find = swap
reader.look()
print("looked", flush=True)
"""


def test_a_log_swapped_with_a_fifo_hangs_nothing(log: Path) -> None:
    """The whole look, in a process that would hang for ever."""
    append(log, FIRST)
    done = subprocess.run(
        [sys.executable, "-c", SWAPPED, str(log)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "looked\n", done.stderr


@pytest.mark.parametrize("kind", ["fifo", "socket", "directory", "dangling", "circle"])
def test_only_regular_files_are_logs(logs: Path, log: Path, kind: str) -> None:
    """Whatever else has such a name."""
    if kind == "fifo":
        os.mkfifo(log)
    elif kind == "socket":
        os.mknod(log, stat.S_IFSOCK | 0o600)
    elif kind == "directory":
        log.mkdir()
    else:
        log.symlink_to("gone" if kind == "dangling" else log.name)
    append(logs / "other-activity.log", FIRST)
    reader = Reader(logs)
    reader.wait()
    assert reader.delivered == expected(FIRST)


# ---- errors are not absence


@pytest.mark.parametrize(
    "code", [errno.EMFILE, errno.ENFILE, errno.EIO, errno.EACCES, errno.ENOMEM, errno.ESTALE]
)
@pytest.mark.parametrize("call", ["stat", "lstat", "listdir"])
@pytest.mark.parametrize("pattern", ["", "*.log", "../*/*.log", "../**/*.log", NAME])
def test_an_error_does_not_make_a_log_finished_or_missing(
    logs: Path, log: Path, monkeypatch: pytest.MonkeyPatch, code: int, call: str, pattern: str
) -> None:
    """Of any call, with any way of naming it: only ENOENT and ENOTDIR mean that it is not there."""
    append(log, FIRST)
    append(logs / "other-activity.log", SECOND)
    reader = Reader(logs / pattern)
    reader.wait()
    delivered = reader.delivered.copy()
    real = getattr(os, call)

    def fail(path: Any, *args: Any, **options: Any) -> Any:
        if str(path).startswith(str(logs.parent)):
            raise OSError(code, os.strerror(code))
        return real(path, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        for seconds in (1, 10, CLAIMABLE, CLAIMABLE):
            reader.wait(seconds)
    assert (reader.told.finished, reader.told.lost) == ([], [])
    append(log, THIRD)
    reader.wait()
    reader.wait()
    assert reader.delivered == delivered + (expected(FIRST + THIRD) - expected(FIRST))
    assert not reader.again


LIMITED = """
import os, resource, sys
from pathlib import Path
from tests.unit.conftest import Reader
reader = Reader(Path(sys.argv[1]))
reader.wait()
taken = []
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
while True:
    try:
        taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        break
for seconds in (1, 10, 61, 61):
    reader.wait(seconds)
print(reader.told.finished, reader.told.lost, sum(reader.delivered.values()))
"""


@pytest.mark.parametrize("pattern", ["", "*.log", "../l*/*.log"])
def test_a_live_log_is_not_finished_when_descriptors_run_out(logs: Path, log: Path, pattern: str) -> None:
    """The real thing, in a process of its own."""
    append(log, FIRST)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(logs / pattern)], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == (f"[] [] {len(expected(FIRST))}\n", "")
