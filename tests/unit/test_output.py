"""Where commands write to: pipes that nobody reads, full disks, nothing at all, and locales with few signs."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

COMMANDS = (
    ["--help"],
    ["template", "roles"],
    ["status"],
    ["check", "--json", "/no/lögs/山"],
    ["kibana", "install", "--dry-run"],
)
"""Those that say something without a server."""
FAILING = {"check", "status"}
"""Those that end with 1 without a server."""
SERVERLESS = {"INDEXER_ELASTICSEARCH_URL": "http://127.0.0.1:9", "INDEXER_ALIAS": "zoomdata-山"}
ids = pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)


def run(
    arguments: list[str],
    state: Path,
    stdout: int = subprocess.PIPE,
    *,
    environment: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))
    }
    return subprocess.run(
        [sys.executable, "-m", "indexer", *arguments],
        env=inherited | SERVERLESS | {"INDEXER_STATE_DIR": str(state)} | (environment or {}),
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
    )


@ids
def test_a_pipe_that_nobody_reads_ends_a_command_as_it_ends_others(
    arguments: list[str], tmp_path: Path
) -> None:
    """By the signal, without a word: a shell shows 141, as for `yes | head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    done = run(arguments, tmp_path, writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, b"")


def test_a_reader_that_has_seen_enough(tmp_path: Path) -> None:
    """`indexer … | head -1`, with more to say than a pipe holds; the line is there."""
    command = f"{sys.executable} -m indexer kibana install --dry-run | head -1 | cut -c1-7; echo $PIPESTATUS"
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False, timeout=60, cwd=tmp_path)
    assert (done.stdout, done.stderr) == (b'{"type"\n141\n', b"")


@ids
def test_a_full_disk_is_said(arguments: list[str], tmp_path: Path) -> None:
    """In one sentence, with an exit code that scripts notice."""
    full = os.open("/dev/full", os.O_WRONLY)
    done = run(arguments, tmp_path, full)
    os.close(full)
    sentence = b"indexer: Cannot write to standard output: No space left on device."
    assert done.returncode == 1
    assert done.stderr.startswith(sentence)
    assert done.stderr.count(b"\n") == 1


@ids
def test_no_standard_output_at_all(arguments: list[str], tmp_path: Path) -> None:
    """`>&-`, as some supervisors start programs: everything else is as ever."""
    command = 'exec "$0" -m indexer "$@" >&-'
    done = subprocess.run(
        ["bash", "-c", command, sys.executable, *arguments],
        env=os.environ | SERVERLESS | {"INDEXER_STATE_DIR": str(tmp_path)},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (int(arguments[0] in FAILING), b"")
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("locale", "encoding"),
    [
        ({"PYTHONIOENCODING": "latin-1"}, "latin-1"),
        ({"PYTHONIOENCODING": "ascii"}, "ascii"),
        ({"LC_ALL": "C"}, "utf-8"),
        (
            {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "INDEXER_ALIAS": "zoomdata-a"},
            "ascii",
        ),
        ({"LC_ALL": "xx_XX"}, "utf-8"),
    ],
    ids=str,
)
@ids
def test_signs_that_a_locale_lacks_are_replaced(
    arguments: list[str], locale: dict[str, str], encoding: str, tmp_path: Path
) -> None:
    """In what people read; in JSON nothing is, and it is UTF-8 everywhere.

    The encodings stand for locales that are not installed everywhere, such as de_DE: Python asks those for nothing else.
    """
    done = run(arguments, tmp_path, environment=locale)
    assert b"Traceback" not in done.stdout + done.stderr
    assert done.returncode == int(arguments[0] in FAILING)
    if "--json" in arguments or "roles" in arguments:
        assert locale.get("INDEXER_ALIAS", "zoomdata-山") in str(orjson.loads(done.stdout))
    elif "kibana" not in arguments:
        assert done.stdout.decode(encoding)


def test_bytes_of_a_path_that_are_no_text(tmp_path: Path) -> None:
    """Names of files are bytes; in JSON, and elsewhere, what is no UTF-8 is an escape."""
    state = os.fsdecode(os.fsencode(tmp_path) + b"/m\xfcller")
    for arguments in (["status", "--json"], ["status"], ["check", "--json"], ["check"]):
        done = run([*arguments, os.fsdecode(b"/no/l\xf6gs"), "--state-dir", state], tmp_path)
        assert b"Traceback" not in done.stderr
        assert b"udcf" in done.stdout.replace(b"\n", b"")
        if "--json" in arguments:
            assert orjson.loads(done.stdout)
