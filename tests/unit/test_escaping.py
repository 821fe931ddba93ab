"""What others chose - names of files, answers of servers, what stands in a log - steers no terminal, wherever it is shown."""

import ast
import importlib
import inspect
import json
import os
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

import indexer
from indexer import cli
from indexer.cli import app
from indexer.cli.common import say
from indexer.cli.progress_bar import ProgressBar
from indexer.errors import Fatal
from indexer.escaping import printable, printable_json
from indexer.events import Broadcast, Events, Fault, Progress, Recognition, Totals
from indexer.monitoring import Logs, logger
from indexer.show import as_json, text
from tests.support.hostile import SIGNS
from tests.support.http_server import address, always, serving

EVIL = "".join(SIGNS.values())


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without colours, whatever is not printable is foreign."""
    monkeypatch.setenv("NO_COLOR", "1")


def assert_safe(shown: str) -> None:
    assert shown.strip()
    assert [line for line in shown.splitlines() if not line.isprintable()] == []
    assert not any(line.startswith("indexer: all is well") for line in shown.splitlines())


@pytest.mark.parametrize("sign", SIGNS.values(), ids=SIGNS.keys())
def test_a_sign_that_steers_is_spelt(sign: str) -> None:
    """The same in a table, in an error and in a log; JSON gives the text back, and steers nothing either."""
    assert printable(f"a{sign}b").isprintable()
    assert text(f"a{sign}b") == printable(f"a{sign}b")
    assert printable(f"a{sign}b").encode().startswith(b"a")
    written = as_json({"name": f"a{sign}b"}, in_one_line=True)
    assert written.isprintable()
    whole = not any("\ud800" <= each <= "\udfff" for each in sign)
    assert orjson.loads(written)["name"] == (f"a{sign}b" if whole else printable(f"a{sign}b"))
    assert json.loads(printable_json(json.dumps(f"a{sign}b", ensure_ascii=False))) == f"a{sign}b"


def test_what_is_printable_stays() -> None:
    """Names in any script, and a blank."""
    for name in ("Ève Laurent", "売上トップ20", "שלום", "😀", "a\\x1bb", ""):
        assert printable(name) == name
        assert printable_json(name) == name


# ---- errors


def modules() -> Iterator[Any]:
    for found in pkgutil.walk_packages(indexer.__path__, "indexer."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def fatals(kind: type[Fatal] = Fatal) -> Iterator[type[Fatal]]:
    list(modules())
    yield kind
    for each in kind.__subclasses__():
        yield from fatals(each)


class Anything(dict[str, object]):
    """Facts for any sentence."""

    def __missing__(self, key: str) -> str:
        return EVIL


@pytest.mark.parametrize("kind", list(fatals()), ids=lambda kind: kind.__name__)
def test_each_error_is_one_line(kind: type[Fatal], capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever its facts hold."""
    error = Fatal(what=f"{kind.sentence} {kind.hint}".format_map(Anything()))
    assert cli._say(error) == 1
    shown = capsys.readouterr().err
    assert_safe(shown)
    assert shown.count("\n") == 1


def leaves(command: Any, *names: str) -> Iterator[tuple[str, ...]]:
    if not hasattr(command, "commands"):
        yield names
        return
    for name, each in command.commands.items():
        yield from leaves(each, *names, name)


COMMANDS = list(leaves(importlib.import_module("typer").main.get_command(app)))
NEEDED = {
    ("report",): ["--out", "/nonexistent-\x1b[2J/\u202e.html"],
    ("kibana", "install"): ["--kibana-url", "{url}"],
    ("zoomdata", "connect"): [
        "--zoomdata-url",
        "{url}",
        "--zoomdata-username",
        "u",
        "--reader-username",
        "r",
    ],
    ("zoomdata", "remove"): ["--zoomdata-url", "{url}", "--zoomdata-username", "u"],
    ("zoomdata", "logging"): ["--zoomdata-url", "{url}", "--zoomdata-username", "u"],
    ("run",): ["--once"],
}


def names_of_files() -> Iterator[str]:
    for sign in SIGNS.values():
        yield f"odd{sign}activity.log".replace("\0", "")


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A directory of logs with such names, as the file system takes them; one cannot be read."""
    for name in names_of_files():
        try:
            (tmp_path / name).write_bytes(b"\x1f\x8bnothing")
        except UnicodeEncodeError:  # half a pair of any kind cannot be a name
            continue
    (tmp_path / os.fsdecode(b"\xff\xfe-activity.log")).symlink_to(tmp_path / "gone\x1b[2J")
    return tmp_path


def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    """The command as it is typed, in this process; all that it prints."""
    monkeypatch.setattr(sys, "argv", ["indexer", *arguments])
    code = cli._run()
    found = capfd.readouterr()
    assert code in {0, 1, 2, 3, None}
    assert "Traceback" not in found.err
    return found.out + found.err


@pytest.mark.parametrize("command", COMMANDS, ids="-".join)
def test_no_command_shows_what_a_server_says_as_it_is(
    command: tuple[str, ...],
    hostile: Path,
    tmp_path_factory: pytest.TempPathFactory,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each request is refused with a reason that is none, and the logs have names that are none."""
    if command == ("demo",):  # starts a server of its own
        return
    body = orjson.dumps(
        {"error": {"type": "x", "reason": EVIL.encode("utf-8", "replace").decode()}, "status": 403}
    )
    state = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("INDEXER_ZOOMDATA_PASSWORD", "p")
    monkeypatch.setenv("INDEXER_READER_PASSWORD", "p")
    with serving(
        always(403, body, content_type="application/json", x_elastic_product="Elasticsearch")
    ) as server:
        for name, value in {
            "ELASTICSEARCH_URL": address(server),
            "STATE_DIR": str(state),
            "PATHS": f"'{hostile}'",
        }.items():
            monkeypatch.setenv(f"INDEXER_{name}", value)
        shown = run(
            capfd, monkeypatch, *command, *(it.format(url=address(server)) for it in NEEDED.get(command, []))
        )
    assert_safe(shown)


@pytest.mark.parametrize("command", COMMANDS, ids="-".join)
def test_no_command_shows_what_was_typed_as_it_is(
    command: tuple[str, ...], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell's `*` makes arguments and options of the names of files."""
    for odd in (f"--{EVIL}", f"-{EVIL}"):
        assert_safe(run(capfd, monkeypatch, *command, odd.replace("\0", "")))


@pytest.mark.parametrize(
    "command", [("run", "--once"), ("verify",), ("status",), ("rejected", "list"), ("rejected", "replay")]
)
def test_no_command_shows_a_path_as_it_is(
    command: tuple[str, ...],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A log, and a state directory, that cannot be used."""
    evil = EVIL.replace("\0", "").replace("\ud83d", "").replace("\ufffe", "")
    (odd := tmp_path / evil.replace("/", "")).write_bytes(b"")
    monkeypatch.setenv("INDEXER_ELASTICSEARCH_URL", "http://127.0.0.1:9")
    paths = [f"{tmp_path}/none-{evil}"] if command[0] != "rejected" else []
    assert_safe(run(capfd, monkeypatch, *command, *paths, "--state-dir", str(odd)))
    assert_safe(run(capfd, monkeypatch, *command, *paths, "--state-dir", str(tmp_path / "state")))


def test_only_one_place_prints() -> None:
    """What a person reads is printed by `say`, by `rich` from our own tables, and by no other call."""
    found = {
        f"{module.__name__}:{call.lineno}"
        for module in modules()
        if not module.__name__.startswith("indexer.demo")
        for call in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "print"
    }
    assert {where.split(":")[0] for where in found} == {"indexer.cli.common"}
    assert len(found) == 1
    say("x")


# ---- logs and progress


def facts(method: Any) -> list[Any]:
    """Something hostile for each parameter of an event."""
    made = {
        "Recognition": Recognition.NEW,
        "Fault": Fault.NO_ANSWER,
        "Totals": Totals(1, 1),
        "int": 3,
        "float": 1.0,
    }
    values: list[Any] = []
    for each in list(inspect.signature(method).parameters.values())[1:]:
        name = str(getattr(each.annotation, "__name__", each.annotation))
        values.append(
            (lambda: Progress((), 0, 0, 0.0, Totals()))
            if "Callable" in str(each.annotation)
            else made.get(name, EVIL)
        )
    return values


EVENTS = [name for name in vars(Events) if not name.startswith("_")]


@pytest.mark.parametrize("name", EVENTS)
def test_no_event_is_shown_as_it_is(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In text logs and beside a progress bar; JSON logs have the exact text."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    with ProgressBar("Indexing", 100) as bar:
        getattr(Broadcast(bar, Logs(logger("debug"))), name)(*facts(getattr(Events, name)))
    shown = capsys.readouterr().err
    assert [line for line in shown.splitlines() if not line.isprintable()] == []
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    getattr(Logs(logger("debug")), name)(*facts(getattr(Events, name)))
    for line in capsys.readouterr().err.splitlines():
        told = json.loads(line).values()
        assert line.isprintable()
        assert all(it == EVIL for it in told if isinstance(it, str) and "\x9b" in it)
