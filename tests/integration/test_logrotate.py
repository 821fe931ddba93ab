"""Logs that real logrotate rotates while they are written and followed: each entry once, but what logrotate itself loses."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.lab import LOG, Lab
from tests.support.writers import appender
from tests.support.writers.followed import KILLS, Course, Writer, follow

LOGROTATE = shutil.which("logrotate") or shutil.which("logrotate", path="/usr/sbin")

pytestmark = pytest.mark.skipif(LOGROTATE is None, reason="no logrotate: apt-get install logrotate")

CONFIGURATION = """
{log} {{
    rotate 1000
    {how}
}}
"""
REOPEN = """
    nocreate
    postrotate
        touch {request} && kill -HUP {pid}
        while [ -e {request} ]; do sleep 0.01; done
    endscript
"""
WAYS = {
    "rename": REOPEN,
    "rename, compress": "compress" + REOPEN,
    "rename, delaycompress": "compress\n    delaycompress" + REOPEN,
    "rename, dateext": "dateext\n    dateformat -%Y%m%d-%s" + REOPEN,
    "copytruncate": "copytruncate",
    "copytruncate, compress": "copytruncate\n    compress",
}
COUNT = 3000
PAUSE = 0.001
"""Seconds after each entry."""
EVERY = 0.15
"""Seconds between rotations; a name with a date can have no more than one a second."""


def rotating(configuration: Path, state: Path, every: float) -> Callable[[], None]:
    """Run logrotate whenever it is time."""
    due = time.monotonic() + every

    def rotate() -> None:
        nonlocal due
        if time.monotonic() >= due:
            command: list[str | Path] = [str(LOGROTATE), "--force", "--state", state, configuration]
            subprocess.run(command, check=True, capture_output=True, timeout=30)
            due = time.monotonic() + every

    return rotate


@pytest.mark.parametrize("kills", [0, KILLS], ids=["to the end", "killed"])
@pytest.mark.parametrize("way", WAYS)
def test_what_logrotate_rotates_is_indexed_once(lab: Lab, way: str, kills: int) -> None:
    """A program that reopens its log on a signal loses nothing.

    Of one that is not told (copytruncate) the entries may be missing that are in no file: those that were written
    after logrotate had copied, and before it truncated.
    """
    log = lab.logs / LOG
    configuration, record = lab.logs.parent / "logrotate.conf", lab.logs.parent / "written"
    writer = Writer([sys.executable, appender.__file__, log, record, str(PAUSE)], record)
    rotate = rotating(configuration, lab.logs.parent / "logrotate.state", 1.01 if "dateext" in way else EVERY)

    def meanwhile() -> None:
        if not configuration.exists() and log.exists():
            how = WAYS[way].format(request=appender.reopen_request(record), pid=writer.pid)
            configuration.write_text(CONFIGURATION.format(log=log, how=how))
        if configuration.exists():
            rotate()

    follow(lab, [writer], Course(COUNT, COUNT, kills, meanwhile, may_lose="copytruncate" in way))
    assert len(list(lab.logs.iterdir())) > 2
