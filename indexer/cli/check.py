"""`indexer check`: checks everything that `indexer run` needs."""

from typing import TYPE_CHECKING

import typer

from indexer.cli.common import Json
from indexer.cli.streams import write_data
from indexer.errors import EXIT_FAILED
from indexer.settings import Connection, Indices, LogFiles, State, options, plain

if TYPE_CHECKING:
    from indexer.check.results import CheckResult

MARKS = {"fine": ("✓", "green"), "warning": ("!", "yellow"), "wrong": ("✗", "red"), "not tried": ("–", "dim")}


@options
def check(
    connection: Connection,
    indices: Indices,
    state: State,
    logs: LogFiles,
    json: Json = False,
) -> None:
    """Check settings, connection, privileges, template, alias, logs and state. Changes nothing.

    Exit code 1 if a check fails (✗); warnings (!) do not count.

    Example: indexer check --elasticsearch-url https://es:9200 /opt/zoomdata/logs
    """
    from indexer.check import check as run_checks  # noqa: PLC0415
    from indexer.check.results import Level, Report  # noqa: PLC0415
    from indexer.show import as_json  # noqa: PLC0415

    results = []
    for result in run_checks(logs, connection, indices, state):
        results.append(result)
        if not json:
            _print(result)
    fine = all(result.state != Level.FAILED for result in results)
    if json:
        write_data(as_json(Report(fine, tuple(results))))
    if not fine:
        raise typer.Exit(EXIT_FAILED)


def _print(result: "CheckResult") -> None:
    """As one line, however long, so that it can be searched for and copied."""
    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from indexer.show import text  # noqa: PLC0415

    mark, style = MARKS[result.state]
    sentence = f"{result.what.removesuffix('.')}. {result.cure}" if result.cure else result.what
    line = Text.assemble((mark, style), f" {result.topic:<16}", text(sentence))
    Console(color_system=None if plain() else "auto").print(line, soft_wrap=True)
