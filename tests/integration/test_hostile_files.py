"""A log directory whose owner means harm, with the real command and a real server."""

import gzip
import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.support.lab import LOG, Lab, until

SOON = 10.0
"""Seconds within which a stop has to end the process."""
MEBIBYTE = 1024 * 1024
ENTRIES = b"".join(b'{"n":%d}\n' % n for n in range(10))
ODD = {b"activity\n.log": 10, b"\x1b]0;owned\x07activity.log": 20, b"activity\xff\xfe.log": 30}
"""Names of logs, and the first number of the one entry in each."""


def test_secrets_and_state_reach_no_index_and_verify_says_so(lab: Lab, tmp_path: Path) -> None:
    """By links, hard links and /proc; the option does not change that."""
    lab.log(ENTRIES)
    password = tmp_path / "password"
    password.write_text("s3cret\n")
    outside = tmp_path / "outside"
    outside.write_text("private\n")
    (lab.logs / "a-activity.log").symlink_to(password)
    (lab.logs / "b-activity.log").hardlink_to(password)
    (lab.logs / "c-activity.log").symlink_to("/proc/self/environ")
    (lab.logs / "d-activity.log").symlink_to(outside)
    environment = {"INDEXER_USERNAME": "somebody", "INDEXER_PASSWORD_FILE": str(password)}
    done = lab.command("run", "--once", lab.logs, environment=environment)
    assert done.returncode == 1
    assert all(f"{name}-activity.log" in done.stderr for name in "abcd")
    assert lab.numbers() == list(range(10))
    assert lab.rejected().lines == ()
    verified = json.loads(lab.command("verify", "--json", lab.logs, environment=environment).stdout)
    assert (verified["missing"], len(verified["unreadable"])) == (0, 4)
    done = lab.command("run", "--once", "--follow-symlinks", lab.logs, environment=environment)
    assert "d-activity.log" not in done.stderr.splitlines()[-1]
    assert [line.text for line in lab.rejected().lines] == ["private"]


def test_odd_names_go_in_with_once_and_again(lab: Lab) -> None:
    """Line feeds, escape sequences, bytes that are no text: once, and after a restart nothing more."""
    for name, number in ODD.items():
        (lab.logs / os.fsdecode(name)).write_bytes(b'{"n":%d}\nnone\n' % number)
    for created in (len(ODD), 0):
        done = lab.command("run", "--once", lab.logs)
        assert f"{created:,} created" in done.stdout, done.stderr
        assert "Traceback" not in done.stderr
        assert "\x1b]" not in done.stderr
    assert lab.numbers() == sorted(ODD.values())
    assert len(lab.rejected().lines) == len(ODD)
    for command in ("verify", "status", "check"):
        json.loads(lab.command(command, "--json", lab.logs).stdout)


@pytest.mark.parametrize("hostile", ["fifo", "members", "hole", "line"])
def test_a_stop_is_soon_whatever_is_read(lab: Lab, hostile: str) -> None:
    """The other log is delivered, and SIGTERM ends it within ten seconds."""
    bad = lab.logs / "activity.log.1.gz"
    if hostile == "fifo":
        os.mkfifo(bad)
    elif hostile == "members":
        bad.write_bytes(gzip.compress(b"", mtime=0) * 1_000_000)
    elif hostile == "hole":
        bad.touch()
        os.truncate(bad, 600 * MEBIBYTE)
    else:
        bad.write_bytes(gzip.compress(b"x" * (600 * MEBIBYTE), 1))
    lab.log(ENTRIES)
    with lab.process("run", "--max-spool-bytes", "20000000", lab.logs) as process:
        until(lambda: lab.numbers() == list(range(10)))
        lab.append([b'{"n":10}'])
        until(lambda: lab.numbers() == list(range(11)))
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=60)
        assert time.monotonic() - started < SOON
    assert "Traceback" not in told
    kept = lab.state.state_dir / "rejected"
    assert sum(path.stat().st_size for path in kept.glob("*")) < 20_000_000


def test_a_line_that_finds_no_room_is_named_and_delivered_with_more_room(lab: Lab) -> None:
    """`run --once` says which log, and nothing is lost."""
    lab.log(ENTRIES + b"x" * 5000 + b"\n" + ENTRIES.replace(b":", b":1"))
    done = lab.command("run", "--once", "--max-line-bytes", "1000", "--max-spool-bytes", "3000", lab.logs)
    assert done.returncode == 1
    assert LOG in done.stderr
    assert "--max-spool-bytes" in done.stderr
    assert lab.numbers() == list(range(10))
    done = lab.command("run", "--once", "--max-line-bytes", "1000", lab.logs)
    assert "10 created" in done.stdout
    (line,) = lab.rejected().lines
    assert line.size == 5000
