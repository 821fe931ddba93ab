"""A directory, or a log, that may not be read for a while: said at once, nothing given up, gone on with by itself.

Root may read everything. So each test lets a process without its rights do the reading.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.rotation import FIRST, SECOND, THIRD
from tests.unit.conftest import append, expected

NOBODY = 65534
PROGRAM = """
import json, os, sys
from pathlib import Path
from tests.unit.conftest import Reader
logs, unprivileged, once = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "once"
reader = Reader(logs, once=once)
for command in sys.stdin:
    os.seteuid(unprivileged)
    if command == "restart\\n":
        reader.restart()
    else:
        reader.wait(float(command))
    os.seteuid(os.getuid())
    told = reader.told
    print(json.dumps({
        "delivered": sorted(identity for identity, _ in reader.delivered),
        "again": sum(reader.again.values()),
        "unreadable": list(dict.fromkeys(map(tuple, told.unreadable))), "finished": told.finished, "lost": told.lost,
        "failures": {Path(path).name: why for path, why in reader.tail.failures.items()},
        "exhausted": reader.tail.exhausted,
        "found": [name for name, _, _ in told.found],
    }), flush=True)
"""
DENIED = "Permission denied"


class Unprivileged:
    """A reader in a process of its own, which may do no more than the owner of nothing."""

    def __init__(self, logs: Path, mode: str) -> None:
        nobody = NOBODY if os.geteuid() == 0 else os.geteuid()
        os.chown(logs, nobody, -1)
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(logs), str(nobody), mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, command: float | str) -> dict[str, Any]:
        """Let it wait so many seconds of its own time, or restart; gives what it has told since it began."""
        assert self._process.stdin
        assert self._process.stdout
        print(command, file=self._process.stdin, flush=True)
        told: dict[str, Any] = json.loads(self._process.stdout.readline())
        return told

    def close(self) -> None:
        """End it."""
        self._process.communicate()
        assert self._process.returncode == 0


@pytest.fixture
def logs() -> Iterator[Path]:
    """A directory that others may reach; those of a test are root's alone."""
    directory = Path(tempfile.mkdtemp(prefix="rights-"))
    directory.chmod(0o755)
    yield directory / "logs"
    (directory / "logs").chmod(0o755)
    shutil.rmtree(directory)


@pytest.fixture
def follower(logs: Path) -> Iterator[Unprivileged]:
    """One that follows the directory."""
    logs.mkdir()
    follower = Unprivileged(logs, "follow")
    yield follower
    follower.close()


def ids(*contents: bytes) -> list[str]:
    return sorted(identity for content in contents for identity, _ in expected(content))


def log_in(logs: Path) -> Path:
    return logs / "zoomdata-activity.log"


@pytest.mark.parametrize(
    ("mode", "where"), [(0o000, "logs"), (0o111, "logs"), (0o444, "zoomdata-activity.log")]
)
def test_a_directory_that_loses_its_rights_is_told_and_gone_on_with(
    logs: Path, follower: Unprivileged, mode: int, where: str
) -> None:
    """At once, and once; what is open is read on, and is not taken for finished; with the rights all goes on."""
    log = log_in(logs)
    append(log, FIRST)
    assert follower(1)["delivered"] == ids(FIRST)
    writer = log.open("ab")
    logs.chmod(mode)
    told = follower(0)
    assert told["unreadable"] == [[where, DENIED]]
    assert told["failures"] == {where: DENIED}
    writer.write(SECOND)
    writer.flush()
    for seconds in (1, 10, 70, 700):
        told = follower(seconds)
    assert told["delivered"] == ids(FIRST + SECOND)
    assert (told["finished"], told["lost"], told["unreadable"]) == ([], [], [[where, DENIED]])
    logs.chmod(0o755)
    append(logs / "other-activity.log", THIRD)
    writer.write(THIRD)
    writer.close()
    told = follower(1)
    assert told["delivered"] == ids(FIRST + SECOND + THIRD, THIRD)
    assert (told["failures"], told["lost"], told["again"]) == ({}, [], 0)


def test_a_directory_that_loses_its_rights_while_no_one_reads_is_not_forgotten(
    logs: Path, follower: Unprivileged
) -> None:
    """After a restart, too, it is told at once, and its files go on where they were."""
    append(log_in(logs), FIRST)
    append(logs / "zoomdata-activity.log.1", SECOND)
    follower(10)
    logs.chmod(0)
    follower("restart")
    for seconds in (1, 70, 700):
        told = follower(seconds)
    assert told["failures"] == {"logs": DENIED}
    assert told["lost"] == []
    logs.chmod(0o755)
    append(log_in(logs), THIRD)
    told = follower(1)
    assert told["delivered"] == ids(FIRST + THIRD, SECOND)
    assert (told["failures"], told["again"]) == ({}, 0)
    assert told["found"].count("zoomdata-activity.log.1") == 1, "it had ended, and is not looked into again"


def test_a_log_that_may_not_be_read_is_told_and_tried_again(logs: Path, follower: Unprivileged) -> None:
    """It holds back no other; with the rights it goes on by itself."""
    append(log_in(logs), FIRST)
    append(logs / "other-activity.log", SECOND)
    log_in(logs).chmod(0)
    told = follower(1)
    assert told["delivered"] == ids(SECOND)
    assert told["failures"] == {"zoomdata-activity.log": DENIED}
    log_in(logs).chmod(0o644)
    told = follower(15)
    assert told["delivered"] == ids(FIRST, SECOND)
    assert told["failures"] == {}


@pytest.mark.parametrize("mode", [0o000, 0o111, 0o444], ids=oct)
def test_with_once_a_directory_that_may_not_be_read_is_told_in_the_end(logs: Path, mode: int) -> None:
    """It is not taken for one without logs."""
    logs.mkdir()
    append(log_in(logs), FIRST)
    reader = Unprivileged(logs, "once")
    logs.chmod(mode)
    told = reader(0)
    assert told["exhausted"]
    assert list(told["failures"].values()) == [DENIED]
    logs.chmod(0o755)
    reader("restart")
    assert reader(0)["delivered"] == ids(FIRST)
    reader.close()
