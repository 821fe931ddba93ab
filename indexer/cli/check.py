"""`indexer check`: whether everything is as `indexer run` needs it."""

from typing import TYPE_CHECKING

import typer

from indexer.cli.common import Json
from indexer.cli.streams import write_data
from indexer.errors import EXIT_FAILED
from indexer.settings import Connection, Indices, LogFiles, State, options, plain

if TYPE_CHECKING:
    from indexer.check.findings import Finding

MARKS = {"fine": ("✓", "green"), "warning": ("!", "yellow"), "wrong": ("✗", "red"), "not tried": ("–", "dim")}


@options
def check(
    connection: Connection,
    indices: Indices,
    state: State,
    logs: LogFiles,
    json: Json = False,
) -> None:
    """Go through settings, connection, privileges, template, alias, logs and state; say what to do. Changes nothing.

    Exit code 0 only if nothing is wrong; a warning (!) is not.

    Example: indexer check --elasticsearch-url https://es:9200 /opt/zoomdata/logs
    """
    from indexer.check import check as look  # noqa: PLC0415
    from indexer.check.findings import Report  # noqa: PLC0415
    from indexer.show import as_json  # noqa: PLC0415

    findings = []
    for finding in look(logs, connection, indices, state):
        findings.append(finding)
        if not json:
            _print(finding)
    fine = all(finding.state != "wrong" for finding in findings)
    if json:
        write_data(as_json(Report(fine, tuple(findings))))
    if not fine:
        raise typer.Exit(EXIT_FAILED)


def _print(finding: "Finding") -> None:
    """As one line, however long: it may be searched for, and copied."""
    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from indexer.show import text  # noqa: PLC0415

    mark, style = MARKS[finding.state]
    told = f"{finding.what.removesuffix('.')}. {finding.cure}" if finding.cure else finding.what
    line = Text.assemble((mark, style), f" {finding.topic:<16}", text(told))
    Console(color_system=None if plain() else "auto").print(line, soft_wrap=True)
