"""Options: each is an environment variable too, with help; secrets are read and never shown."""

import os
import re
import subprocess
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from indexer import cli
from indexer.elastic.server import Server
from indexer.errors import StateUnusable
from indexer.settings import (
    ALIAS_BYTES,
    PREFIX,
    Connection,
    Delivery,
    Indices,
    Lifecycle,
    LogFiles,
    LogLevel,
    Monitoring,
    Panel,
    RolloverPolicy,
    SecretUnusable,
    State,
    milliseconds,
    options,
)
from indexer.setup.plan import plan
from indexer.setup.roles import roles

GROUPS = (Connection, State, Delivery, Monitoring, Indices)
NAMES = [(group, item.name) for group in GROUPS for item in fields(group)]
GIVEN = {
    "elasticsearch_url": ["http://one:9200", "https://two/es"],
    "username": "writer",
    "password_file": Path("/run/secrets/password"),
    "api_key_file": Path("/run/secrets/key"),
    "bearer_token_file": Path("/run/secrets/token"),
    "cloud_id": "name:Y2xvdWQ=",
    "ca_certs": Path("/etc/ca.pem"),
    "ca_fingerprint": "ab" * 32,
    "client_cert": Path("/etc/client.pem"),
    "client_key": Path("/etc/client.key"),
    "client_key_password_file": Path("/run/secrets/key-password"),
    "request_timeout": 2.5,
    "alias": "other",
    "state_dir": Path("/var/lib/indexer"),
    "batch_bytes": 1000,
    "senders": 3,
    "max_line_bytes": 2000,
    "max_spool_bytes": 3000,
    "poll_interval": 0.25,
    "monitoring_address": "[::1]:9464",
    "log_level": LogLevel.WARNING,
    "rollover_size": "800mb",
    "rollover_age": "12h",
    "retain": "forever",
    "warm_after": "7d",
    "lifecycle": Lifecycle.NONE,
    "shards": 2,
    "replicas": 0,
}
"""Of each option, another value than its default."""
SECRETS = ("password", "api_key", "bearer_token", "client_key_password")
"""Each of them is a property of a connection."""


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def as_text(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without any of the variables."""
    for name in [*GIVEN, *SECRETS]:
        monkeypatch.delenv(PREFIX + name.upper(), raising=False)


def settings_of(*arguments: str, env: dict[str, str] | None = None) -> dict[str, Any]:
    """What a command that takes all groups is given."""
    given: dict[str, Any] = {}
    app = typer.Typer()

    @app.command()
    @options
    def command(
        connection: Connection, state: State, delivery: Delivery, monitoring: Monitoring, indices: Indices
    ) -> None:
        """Take all groups."""
        for group in (connection, state, delivery, monitoring, indices):
            given.update(asdict(group))

    result = CliRunner().invoke(app, arguments, env=env)
    assert result.exit_code == 0, result.output
    return given


def defaults() -> dict[str, Any]:
    return {name: value for group in GROUPS for name, value in asdict(group()).items()}


def test_each_option_is_tried_here() -> None:
    """Every field of every group has a value below that is not its default."""
    assert set(GIVEN) == {name for _, name in NAMES}
    assert all(defaults()[name] != value for name, value in GIVEN.items())


def test_without_options_there_are_the_defaults() -> None:
    """A command that is given nothing has what the groups say."""
    assert settings_of() == defaults()


@pytest.mark.parametrize("name", GIVEN)
def test_an_option_is_an_environment_variable_too(name: str) -> None:
    """`--some-option` and `INDEXER_SOME_OPTION` give the same value, and change no other."""
    values = as_text(GIVEN[name])
    expected = defaults() | {name: GIVEN[name]}
    assert settings_of(*[word for value in values for word in (flag(name), value)]) == expected
    assert settings_of(env={PREFIX + name.upper(): " ".join(values)}) == expected


@pytest.mark.parametrize("name", GIVEN)
def test_the_command_line_goes_before_the_environment(name: str) -> None:
    """A value that is typed wins over one that is set."""
    values = as_text(GIVEN[name])
    words = [word for value in values for word in (flag(name), value)]
    assert settings_of(*words, env={PREFIX + name.upper(): "1"})[name] == GIVEN[name]


@pytest.mark.parametrize("name", GIVEN)
def test_an_empty_variable_is_none(name: str) -> None:
    """A variable that is set to nothing, as compose files do, leaves the default."""
    assert settings_of(env={PREFIX + name.upper(): ""}) == defaults()


def commands() -> list[Any]:
    """Each command of the command line."""
    found = [get_command(cli.app)]
    for one in found:
        found += getattr(one, "commands", {}).values()
    return found


def test_each_option_and_command_has_help() -> None:
    """Nobody has to guess what an option does, nor what it is called in the environment."""
    groups = {name for _, name in NAMES}
    seen = set()
    for command in commands():
        assert command.help, command.name
        for parameter in command.params:
            if parameter.param_type_name == "option" and parameter.name != "help":
                assert parameter.help, f"{command.name} {parameter.name}"
            if parameter.name in groups:
                assert parameter.envvar == PREFIX + parameter.name.upper()
                seen.add(parameter.name)
    assert seen == groups


def words(command: Any, typed: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """What is typed for each command, groups of commands among them."""
    below = getattr(command, "commands", {}).items()
    return [typed, *(each for name, sub in below for each in words(sub, (*typed, name)))]


@pytest.mark.parametrize("typed", words(get_command(cli.app)), ids=" ".join)
def test_help_names_values_not_types(typed: tuple[str, ...]) -> None:
    """SECONDS or PATH, and nothing for a flag; each option is in the first panel or in one of ours."""
    shown = CliRunner().invoke(cli.app, [*typed, "--help"], env={"COLUMNS": "120"}).output
    assert not re.search(r"<(bool|int|float|str|path|list)", shown)
    panels = re.findall("╭─ (.+?) ─", shown)
    assert set(panels) <= {"Arguments", "Options", "Commands", *Panel}
    ours = [panel for panel in panels if panel in list(Panel)]
    assert ours == sorted(ours, key=list(Panel).index)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("request_timeout", "0"),
        ("batch_bytes", "0"),
        ("senders", "0"),
        ("senders", "65"),
        ("poll_interval", "0"),
    ],
)
def test_a_value_that_makes_no_sense_is_wrong_usage(name: str, value: str) -> None:
    """A number out of range ends with exit code 2 and the option's name, from the environment as well."""
    for arguments, env in (([flag(name), value], {}), ([], {PREFIX + name.upper(): value})):
        result = CliRunner().invoke(cli.app, ["run", *arguments], env=env)
        assert result.exit_code == 2
        assert flag(name) in result.output


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rollover_size", "50"),
        ("rollover_size", "0gb"),
        ("rollover_size", "50GB"),
        ("rollover_age", "30"),
        ("rollover_age", "-1d"),
        ("rollover_age", "1.5d"),
        ("rollover_age", "forever"),
        ("retain", "0d"),
        ("retain", "a year"),
        ("retain", "1y"),
        ("warm_after", "soon"),
        ("lifecycle", "off"),
        ("shards", "0"),
        ("replicas", "-1"),
    ],
)
def test_an_index_that_makes_no_sense_is_wrong_usage(name: str, value: str) -> None:
    """What Elasticsearch could not read, or would take for something else, does not get there."""
    for arguments, env in (([f"{flag(name)}={value}"], {}), ([], {PREFIX + name.upper(): value})):
        result = CliRunner().invoke(cli.app, ["template", "install", *arguments], env=env)
        assert result.exit_code == 2
        assert flag(name) in result.output


def test_an_index_that_is_gone_before_it_is_warm_is_wrong_usage() -> None:
    """Both options are named."""
    result = CliRunner().invoke(cli.app, ["template", "install", "--warm-after", "3d", "--retain", "72h"])
    assert result.exit_code == 2
    assert "--warm-after 3d has to be less than --retain 72h" in result.output


@pytest.mark.parametrize(
    ("span", "expected"),
    [("1ms", 1), ("45s", 45_000), ("90m", 5_400_000), ("12h", 43_200_000), ("365d", 31_536_000_000)],
)
def test_spans_of_time_are_read(span: str, expected: int) -> None:
    """In milliseconds; `forever` has none."""
    assert milliseconds(span) == expected
    assert RolloverPolicy(retain=span).retained == expected
    assert RolloverPolicy(retain="forever").retained is None


# ---- the alias

NO_NAMES = [
    "sec*", "*", "?", "a,b", "../_all", "..", ".", "_all", "_x", "-x", "+x", "Audit", "ÜBER", 'a"b', "a b", " a",
    "a\tb", "a\nb", "a\x1b[2Jb", "a\u202eb", "a\udcffb", "<a-{now/d}>", "a>b", "a|b", "a#b", "a:b", "a/b", "a\\b",
    "x" * (ALIAS_BYTES + 1), "ü" * (ALIAS_BYTES // 2 + 1),
]  # fmt: skip
NAMES_THAT_ARE = [
    "audit",
    "a-b_c.d",
    "9",
    "größe",
    "活動",
    "it's",
    "a$b`c;d&e",
    "a%2fb",
    "x" * ALIAS_BYTES,
    ".own",
]


def taking_an_alias() -> list[list[str]]:
    """Each command with --alias, as words, with what else it has to be given."""

    def found(command: Any, words: list[str]) -> list[list[str]]:
        below = getattr(command, "commands", {}).items()
        mine = any("--alias" in parameter.opts for parameter in command.params)
        needed = (it.opts[0] for it in command.params if it.required)
        required = [f"{each}=x" if each[0] == "-" else "x" for each in needed]
        return [[*words, *required]] * mine + [
            each for name, sub in below for each in found(sub, [*words, name])
        ]

    return found(get_command(cli.app), [])


def refused(command: list[str], alias: str | None = None, **env: str) -> None:
    """It ends as wrong usage, with the option's name and nothing raw."""
    words = command if alias is None else [*command, "--alias", alias]
    done = CliRunner().invoke(cli.app, words, env=env | {"INDEXER_ELASTICSEARCH_URL": "http://127.0.0.1:9"})
    assert (done.exit_code, "--alias" in done.output) == (2, True), (words, done.output)
    assert not {"\x1b", "\u202e"} & set(done.output)


@pytest.mark.parametrize("command", taking_an_alias(), ids=" ".join)
def test_no_command_takes_an_alias_that_stands_for_others(command: list[str]) -> None:
    """Wrong usage, before anything is asked of a server; from the environment as well."""
    refused(command, "sec*")
    refused(command, INDEXER_ALIAS="a,b")


@pytest.mark.parametrize("name", NO_NAMES, ids=ascii)
def test_an_alias_that_cannot_name_an_index_is_wrong_usage(name: str) -> None:
    """Whatever is wrong with it."""
    refused(["status"], name)
    if "\udcff" not in name:  # CliRunner cannot set it
        refused(["status"], INDEXER_ALIAS=name)


def test_an_empty_alias_is_wrong_usage() -> None:
    """Where it is typed; a variable that is set to nothing is none."""
    done = CliRunner().invoke(cli.app, ["status", "--alias", ""])
    assert (done.exit_code, "--alias" in done.output) == (2, True)


@pytest.mark.parametrize("name", NAMES_THAT_ARE)
def test_an_alias_may_be_any_name_of_an_index(name: str) -> None:
    """What Elasticsearch takes, we take."""
    assert settings_of("--alias", name)["alias"] == name
    assert settings_of(env={"INDEXER_ALIAS": name})["alias"] == name


def test_the_longest_alias_leaves_room_for_all_names_made_of_it() -> None:
    """Indices, templates, policy, views, roles: 255 bytes each (Elasticsearch guide, "Create index API")."""
    connection = Connection(alias="x" * ALIAS_BYTES)
    requests = plan(Server(version=(9, 5, 0), lifecycle=True), connection)
    derived = {it.name for it in requests} | set(roles(connection.alias))
    for it in requests:
        derived |= set(it.body.get("template", {}).get("aliases", {})) | set(it.body.get("composed_of", ()))
    assert {f"{connection.alias}.raw_data_export_csv", f"{connection.alias}@custom"} <= derived
    assert max(map(len, derived)) <= 255


# ---- secrets


def test_secrets_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """INDEXER_PASSWORD and its like are read when they are needed, not kept."""
    connection = Connection()
    for name in SECRETS:
        assert getattr(connection, name) is None
        monkeypatch.setenv(PREFIX + name.upper(), f"the {name}")
        assert getattr(connection, name) == f"the {name}"


def test_an_empty_secret_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is set to nothing is no API key, and no kind of credentials."""
    for name in SECRETS:
        monkeypatch.setenv(PREFIX + name.upper(), "")
        assert getattr(Connection(), name) is None
    assert Connection().identities == {}


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_secrets_come_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    """A file goes before the variable, may end in a line end, and may be changed while the indexer runs."""
    monkeypatch.setenv("INDEXER_PASSWORD", "other")
    file = tmp_path / "password"
    file.write_bytes(f" s3cret ü {end}".encode())
    connection = Connection(password_file=file, api_key_file=file)
    assert (connection.password, connection.api_key) == (" s3cret ü ", " s3cret ü ")
    file.write_text("rotated")
    assert connection.password == "rotated"


def test_a_secret_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    """The sentence names the file and the variable, and why."""
    connection = Connection(password_file=tmp_path / "missing", api_key_file=tmp_path / "key")
    (tmp_path / "key").write_bytes(b"\xff")
    with pytest.raises(
        SecretUnusable, match=r"missing: No such file or directory\. .* INDEXER_PASSWORD_FILE"
    ):
        _ = connection.password
    with pytest.raises(SecretUnusable, match=r"key: it is not UTF-8 text\. .* INDEXER_API_KEY_FILE"):
        _ = connection.api_key
    (tmp_path / "key").write_bytes(b"\n")
    with pytest.raises(SecretUnusable, match=r"key: it is empty\. .* INDEXER_API_KEY_FILE"):
        _ = connection.api_key


def test_no_secret_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed of a connection, in a traceback or a log, holds no password and no key."""
    monkeypatch.setenv("INDEXER_PASSWORD", "s3cret")
    monkeypatch.setenv("INDEXER_API_KEY", "s3cret")
    file = tmp_path / "password"
    file.write_text("s3cret")
    connection = Connection(["http://user:s3cret@host:9200"], "user", file, file)
    assert connection.password == "s3cret"
    assert "s3cret" not in f"{connection!r} {connection}"


def test_no_secret_is_an_option() -> None:
    """A list of processes shows command lines: no command takes a secret as an option."""
    options_of_all = {word for command in commands() for p in command.params for word in p.opts}
    assert not options_of_all & {flag(name) for name in SECRETS}


@pytest.mark.parametrize(
    ("given", "paths"),
    [
        ("/logs", ["/logs"]),
        (" /logs\n/more/*.log\t", ["/logs", "/more/*.log"]),
        ("'/my logs' /more", ["/my logs", "/more"]),
        ('"/my logs/"*.log /a\\ b', ["/my logs/*.log", "/a b"]),
        ("C:/Zoomdata/logs", ["C:/Zoomdata/logs"]),
        ("", ["/opt/zoomdata/logs"]),
        (" ", ["/opt/zoomdata/logs"]),
    ],
)
def test_paths_in_the_environment_may_hold_blanks(
    given: str, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Quoted as in a shell; on the command line, the shell has done it."""
    got: list[object] = []
    app = typer.Typer()

    @app.command()
    @options
    def look(logs: LogFiles) -> None:
        got.append(logs.paths)

    monkeypatch.setenv("INDEXER_PATHS", given)
    for arguments in ([], ["/a b", "'c"]):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
    assert got == [paths, ["/a b", "'c"]]


def test_an_open_quote_among_paths_is_wrong_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a sentence with the variable's name."""
    monkeypatch.setenv("INDEXER_PATHS", "/it's")
    done = CliRunner().invoke(cli.app, ["status"])
    assert done.exit_code == 2
    assert "INDEXER_PATHS" in done.output


NOBODY = (
    "import pwd, runpy, sys; pwd.getpwuid = lambda _: {}[0]; sys.argv[0] = 'indexer';"
    " runpy.run_module('indexer', run_name='__main__')"
)
"""Stands in for a uid without an entry in passwd, which only root could take on."""


@pytest.mark.parametrize(
    "arguments", [["--version"], ["--help"], ["run", "--help"], ["summary"], ["template", "roles"]]
)
def test_what_needs_no_state_needs_no_home(arguments: list[str]) -> None:
    """As on OpenShift: no HOME, and a uid that nobody knows."""
    done = _homeless(arguments)
    assert "Traceback" not in done.stderr
    assert "state directory" not in done.stderr
    assert done.returncode == (1 if "summary" in arguments else 0)


@pytest.mark.parametrize(
    "arguments", [["run", "--once", "/nowhere"], ["status"], ["check"], ["rejected", "list"]]
)
def test_without_a_home_the_state_directory_has_to_be_given(arguments: list[str], tmp_path: Path) -> None:
    """One sentence that names the option; with it, all is as ever."""
    done = _homeless(arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("indexer: Cannot use the state directory ~/")
    assert "--state-dir (INDEXER_STATE_DIR)" in done.stderr
    given = _homeless(arguments, INDEXER_STATE_DIR=str(tmp_path / "state"))
    assert "state directory ~" not in given.stdout + given.stderr
    assert "Traceback" not in given.stderr


def test_a_demo_without_a_home_is_a_sentence() -> None:
    """Root has the machine's cache; others need a place of their own."""
    done = _homeless(["demo"], preamble="import os; os.geteuid = lambda: 1000; ")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "Set HOME" in done.stderr


def test_a_home_in_the_environment_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No shell does it there."""
    got: list[Path] = []
    app = typer.Typer()

    @app.command()
    @options
    def look(state: State) -> None:
        got.append(state.state_dir)

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("INDEXER_STATE_DIR", "~/state")
    assert CliRunner().invoke(app, []).exit_code == 0
    assert got == [tmp_path / "state"]
    assert isinstance(
        CliRunner().invoke(app, ["--state-dir", "~nobody-of-this-name/x"]).exception, StateUnusable
    )


def _homeless(
    arguments: list[str], preamble: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    given = {"PATH": os.environ["PATH"], "INDEXER_ELASTICSEARCH_URL": "http://127.0.0.1:9"} | environment
    command = [sys.executable, "-c", preamble + NOBODY, *arguments]
    return subprocess.run(command, env=given, capture_output=True, text=True, check=False, timeout=60)
