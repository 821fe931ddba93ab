"""The pages are in step with the program: commands, options, defaults, metrics, alerts, files, links, make's targets."""

import re
import subprocess
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.main import get_command

from indexer import cli
from indexer.events import Fault
from indexer.monitoring.health import Problem
from indexer.monitoring.metrics import table

ROOT = Path(__file__).parents[2]
OPERATOR, ADMIN, KIBANA = "compose/README.md", "mappings/README.md", "mappings/kibana/README.md"
PAGES = {
    name: (ROOT / name).read_text(encoding="utf-8")
    for name in (
        "README.md",
        OPERATOR,
        ADMIN,
        KIBANA,
        "mappings/seals.md",
        "mappings/zoomdata.md",
        "mappings/alerts/README.md",
    )
}
ALL = "\n".join(PAGES.values())
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def commands() -> dict[str, Any]:
    """Each command by what is typed after `indexer`."""
    found: dict[str, Any] = {}

    def walk(command: Any, name: str) -> None:
        below = getattr(command, "commands", {})
        for each, one in below.items():
            walk(one, f"{name} {each}".strip())
        if not below:
            found[name] = command

    walk(get_command(cli.app), "")
    return found


COMMANDS = commands()
OPTIONS = [
    parameter
    for command in COMMANDS.values()
    for parameter in command.params
    if parameter.param_type_name == "option"
]


def section(page: str, heading: str) -> str:
    """What is below a heading of the second level."""
    found = PAGES[page].partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    assert found, heading
    return found


def shown() -> Iterator[str]:
    """Each command line of `indexer` on the pages, in text or in a block, continued lines joined."""
    joined = ALL.replace("\\\n", " ").replace("\\|", "|")
    for code in re.findall(r"`(indexer [^`]+)`|^    (?:\$ )?(indexer .+)$", joined, re.MULTILINE):
        yield from (
            part for part in re.split(r"\s*\|\s*|\s+[>#]\s+", "".join(code)) if part.startswith("indexer ")
        )


def slug(heading: str) -> str:
    """The anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def default(option: Any) -> str:
    """The default of an option as it is typed."""
    value = option.default[0] if isinstance(option.default, list) else option.default
    if isinstance(value, float):
        return f"{value:g}"
    return str(value.value if isinstance(value, Enum) else value).replace(str(Path.home()), "~")


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_on_a_page(name: str) -> None:
    """As it is typed, or as another subcommand of one that is."""
    group, _, last = name.rpartition(" ")
    assert re.search(rf"indexer {name}\b", ALL) or re.search(rf"indexer {group}\b.*`{last}`", ALL)


@pytest.mark.parametrize("flag", sorted({option.opts[0] for option in OPTIONS}))
def test_each_option_is_on_a_page(flag: str) -> None:
    """In code, under its own name."""
    assert re.search(rf"`(?:[^`\n]* )?{flag}[ `=]", ALL)


def test_each_variable_is_on_a_page() -> None:
    """Variables of options follow a rule that the operator's page gives; those of secrets are listed there."""
    rule = "`INDEXER_` and its name in capitals"
    assert rule in section(OPERATOR, "Options")
    for option in OPTIONS:
        assert option.envvar in {None, "INDEXER_" + option.opts[0].strip("-").upper().replace("-", "_")}
    read = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "indexer/settings").glob("*.py"))
    secrets = set(re.findall(r'\bsecret\(\s*"(\w+)"', read))
    assert len(secrets) >= 4
    assert {name for name in secrets if f"`INDEXER_{name}`" not in ALL} == set()


def test_defaults_are_the_programs() -> None:
    """Of each option that has one in a table."""
    told = re.findall(r"^\| `(--[\w-]+)` \| `([^`]+)` \|", ALL, re.MULTILINE)
    assert len(told) > 15
    for flag, value in told:
        defaults = {default(option) for option in OPTIONS if flag in option.opts}
        assert value in defaults or defaults == {"None"}, flag


def test_commands_shown_are_right() -> None:
    """Each names a command, with options that it has."""
    lines = list(shown())
    assert len(lines) > 40
    for line in lines:
        words = line.replace("…", "").split()[1:]
        name = next((" ".join(words[:n]) for n in (2, 1) if " ".join(words[:n]) in COMMANDS), None)
        if name is None:
            groups = {each.partition(" ")[0] for each in COMMANDS}
            assert words[0] in groups | {"COMMAND", "--version"}, line
            continue
        flags = {word.partition("=")[0].strip("[],") for word in words if word.startswith("--")}
        known = {flag for parameter in COMMANDS[name].params for flag in parameter.opts}
        assert flags <= known | {"--help"}, line


def test_each_metric_is_in_the_table() -> None:
    """With its label and kind; the page may say in its own words what it means."""
    row = re.compile(r"^\| (`(?:indexer|process)_[^`]+`) \| (\w*) ?\|", re.MULTILINE)
    assert row.findall(section(OPERATOR, "Monitoring")) == row.findall(table())


def test_whatever_can_be_red_has_its_line() -> None:
    """Each alert, each kind of problem and each fault."""
    red = section(OPERATOR, "When it is red")
    alerts = re.findall(r"- alert: (\w+)", (ROOT / "compose/alerts.yaml").read_text(encoding="utf-8"))
    named = [*alerts, *(each.value for each in Problem), *(each.value for each in Fault)]
    assert [name for name in named if f"`{name}`" not in red] == []


def test_files_of_the_mapping_are_on_their_pages() -> None:
    """What is sent to Elasticsearch and to Kibana, the roles, and the rules for ElastAlert."""
    for page in (ADMIN, KIBANA):
        files = [file.name for file in (ROOT / page).parent.glob("*.json")]
        assert [name for name in files if f"`{name}`" not in PAGES[page]] == []
    roles = orjson.loads((ROOT / "mappings/roles.json").read_bytes())
    assert [name for name in roles if f"`{name}`" not in section(ADMIN, "Roles")] == []
    rules = [file.stem for file in (ROOT / "mappings/alerts").glob("*.yaml")]
    assert [name for name in rules if f"| `{name}` |" not in PAGES["mappings/alerts/README.md"]] == []


@pytest.mark.parametrize("page", [*PAGES, "CHANGELOG.md", "tests/README.md"])
def test_links_lead_somewhere(page: str) -> None:
    """To a file, and to a heading in it."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE) if anchor else []
        assert not anchor or anchor in map(slug, headings), target


def test_paths_named_exist() -> None:
    """Files and packages of the repository, in code."""
    named = set(re.findall(r"`((?:indexer|tests|mappings|compose)/[\w/.*-]*)`", ALL))
    assert len(named) > 20
    assert [path for path in named if not list(ROOT.glob(path.rstrip("/")))] == []


def test_the_newcomers_page_is_two_screens() -> None:
    """And its picture is small."""
    assert len(PAGES["README.md"].splitlines()) <= 150
    assert (ROOT / "mappings/report.png").stat().st_size < 100_000


# ---- make


def test_make_lists_each_target() -> None:
    """Without a target it prints each phony one with its description."""
    phony = re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)[0].split()
    printed = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    listed = re.findall(r"^make ([\w-]+) +\S", printed, re.MULTILINE)
    assert listed == phony


def test_targets_named_exist() -> None:
    """Each `make …` on the pages and in CI."""
    ci = (ROOT / ".ci/run").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`|^ +|^|\bnice )make ([a-z][\w-]*)", ALL + ci, re.MULTILINE))
    assert {"demo", "test"} <= named <= set(re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE))
