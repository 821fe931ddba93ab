"""The commands as a person or a script meets them."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import typer.main

from indexer import __version__
from indexer.cli import app
from indexer.errors import EXIT_FAILED, EXIT_REJECTED
from tests.support.lab import LOG, Lab, joined, numbered, read_terminal


def commands(command: Any, name: str = "indexer") -> Iterator[tuple[str, Any]]:
    """A command and all below it, by what a person types."""
    yield name, command
    for below in getattr(command, "commands", {}).values():
        yield from commands(below, f"{name} {below.name}")


COMMANDS = dict(commands(typer.main.get_command(app)))
STYLE = re.compile(rb"\x1b\[[0-9;]*m")
"""What switches a terminal's colours, bold and dim (ECMA-48, SGR)."""
SHOWING = [["status"], ["summary"], ["rejected", "list"], ["rejected", "replay"]]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help(name: str) -> None:
    """Nothing is left unexplained, and each command that does something has an example."""
    command = COMMANDS[name]
    assert command.help
    assert hasattr(command, "commands") or "Example: " in command.help
    unexplained = [parameter.name for parameter in command.params if not getattr(parameter, "help", None)]
    assert unexplained == []


def test_the_contract_of_commands_holds() -> None:
    """Scripts and containers call these."""
    assert {
        "indexer run",
        "indexer template install",
        "indexer status",
        "indexer summary",
        "indexer rejected list",
        "indexer rejected replay",
        "indexer demo",
    } <= COMMANDS.keys()


def test_the_version_is_told() -> None:
    """On standard output, without a server."""
    done = subprocess.run(
        [sys.executable, "-m", "indexer", "--version"], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == (f"indexer {__version__}\n", "")


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["run", "--nonsense"], ["run", "--senders", "0"], ["run", "-"]],
    ids=["command", "option", "value", "standard input without --once"],
)
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    """And says what is wrong, on standard error."""
    command = [sys.executable, "-m", "indexer", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Error" in done.stderr
    assert "Traceback" not in done.stderr


def test_install_says_what_it_did(bare: Lab) -> None:
    """The second time that there was nothing to do."""
    first, second = (bare.command("template", "install") for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0)
    assert f"created    index {bare.connection.alias}-000001" in first.stdout
    assert "created" not in second.stdout
    assert "unchanged" in second.stdout


def test_json_is_one_object_and_a_pipe_gets_no_escape_codes(lab: Lab) -> None:
    """What is piped is one object or plain text, even where a log holds escape codes."""
    lab.run(lab.log(joined([b'{"activityType":"VIS","user":"\\u001b[31mred"}', b"\x1b[31mno entry"])))
    for arguments in SHOWING:
        plain, json = lab.command(*arguments), lab.command(*arguments, "--json")
        assert isinstance(orjson.loads(json.stdout), dict), arguments
        assert plain.stdout, arguments
        assert "\x1b" not in plain.stdout + plain.stderr + json.stdout + json.stderr, arguments
        assert plain.returncode == json.returncode == (EXIT_REJECTED if "replay" in arguments else 0)


def on_a_terminal(lab: Lab, *arguments: str, **environment: str) -> bytes:
    """What a command shows on a terminal of its own."""
    ours, theirs = pty.openpty()
    shown = b""
    with lab.process(
        *arguments,
        environment={"TERM": "xterm-256color", **environment},
        stdout=theirs,
        stderr=subprocess.STDOUT,
    ):
        os.close(theirs)
        while block := read_terminal(ours):
            shown += block
    os.close(ours)
    return shown


@pytest.mark.parametrize("arguments", [["status"], ["run", "--once"]], ids=" ".join)
def test_a_terminal_gets_styles_unless_no_color_is_set(lab: Lab, arguments: list[str]) -> None:
    """With NO_COLOR (no-color.org) nothing is coloured, nor bold or dim."""
    log = str(lab.log(joined([*numbered(3), b"\x1b[31mno entry"])))
    coloured = on_a_terminal(lab, *arguments, log)
    (lab.state.state_dir / "checkpoint.json").unlink(missing_ok=True)
    plain = on_a_terminal(lab, *arguments, log, NO_COLOR="1")
    assert STYLE.search(coloured)
    assert b"4 lines read" in plain or b"Log files" in plain
    assert not STYLE.search(plain)


def test_status_tells_how_far_each_file_is(lab: Lab) -> None:
    """Delivered bytes, size and lag of each; the indices; the totals; the rejected."""
    log = lab.log(joined([*numbered(3), b"no entry"]))
    lab.run(log)
    delivered = log.stat().st_size
    lab.append([b'{"n":4}'])
    lab.log(b'{"n":5}\n', "query-engine-activity.log")
    lab.client.indices.refresh(index=f"{lab.connection.alias}*")
    told = orjson.loads(lab.command("status", "--json", lab.logs).stdout)
    logs = {entry["path"].rpartition("/")[2]: entry for entry in told["logs"]}
    assert (logs[LOG]["delivered"], logs[LOG]["lag"]) == (delivered, 8)
    assert logs["query-engine-activity.log"]["lag"] == 8
    assert told["totals"] | {"bytes": 0} == {
        "read": 4,
        "created": 3,
        "duplicates": 0,
        "rejected": 1,
        "blank": 0,
        "bytes": 0,
    }
    assert [index["entries"] for index in told["indices"]] == [3]
    assert (told["rejected"], told["problem"]) == (1, None)


def test_status_says_what_no_search_finds_yet(lab: Lab) -> None:
    """What came since the last refresh; once that is over, nothing, whatever was deleted or refused."""

    def told() -> tuple[int, int]:
        (index,) = orjson.loads(lab.command("status", "--json", lab.logs).stdout)["indices"]
        return index["entries"], index["unsearchable"]

    lab.client.indices.put_settings(index=lab.connection.alias, settings={"index.refresh_interval": "-1"})
    assert told() == (0, 0)
    log = lab.log(joined(numbered(500)))
    lab.run(log)
    assert told() == (0, 500)
    plain = lab.command("status", lab.logs).stdout
    assert "Not searchable yet" in plain
    assert "500" in plain
    lab.client.indices.refresh(index=lab.connection.alias)
    assert told() == (500, 0)
    lab.append([b'{"":1}', *numbered(3, start=500)])
    lab.run(log)
    assert told() == (500, 3)
    lab.client.indices.refresh(index=lab.connection.alias)
    for hit in lab.hits(source=True):
        if hit["_source"]["n"] < 100:
            lab.client.delete(index=hit["_index"], id=hit["_id"])
    lab.client.indices.refresh(index=lab.connection.alias)
    lab.client.indices.forcemerge(index=lab.connection.alias, max_num_segments=1)
    assert told() == (403, 0)
    assert "Not searchable yet" not in lab.command("status", lab.logs).stdout


def test_status_needs_no_server(lab: Lab) -> None:
    """Without a server it prints what it knows and why it does not know more, and ends with 1."""
    lab.run(lab.log(joined(numbered(3))))
    nowhere = ("--elasticsearch-url", "http://127.0.0.1:9")
    done = lab.command("status", "--json", *nowhere)
    assert done.returncode == EXIT_FAILED, done.stderr
    told = orjson.loads(done.stdout)
    assert told["totals"]["created"] == 3
    assert "No answer from the server at http://127.0.0.1:9" in told["problem"]
    plain = lab.command("status", *nowhere)
    assert (plain.returncode, plain.stderr) == (EXIT_FAILED, "")
    assert "No answer from the server" in plain.stdout


def test_summary_counts_what_was_indexed(lab: Lab) -> None:
    """The sum of the whole chain: from the log to the tables."""
    lab.run(lab.log(joined(numbered(7))))
    lab.client.indices.refresh(index=lab.connection.alias)
    done = lab.command("summary")
    assert done.returncode == 0, done.stderr
    assert "VIS" in done.stdout
    assert "7" in done.stdout
