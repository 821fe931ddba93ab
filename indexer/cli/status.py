"""`indexer status`: the state of the delivery."""

from typing import Annotated

import typer

from indexer.cli.common import Json, follow, show, stop_on_signals
from indexer.errors import EXIT_FAILED
from indexer.settings import PREFIX, Connection, LogFiles, State, options


@options
def status(
    connection: Connection,
    state: State,
    logs: LogFiles,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Repeat until stopped; without a terminal, print one line each time."),
    ] = False,
    interval: Annotated[
        float,
        typer.Option(
            envvar=PREFIX + "INTERVAL",
            metavar="SECONDS",
            help="With --watch: interval, in seconds.",
            min=0.1,
        ),
    ] = 1.0,
    json: Json = False,
) -> None:
    """Show log files, offsets, lag, the indices behind the alias, and the number of rejected lines.

    Exit code 1 if the cluster does not answer, or if an indexer does not answer although it should run: it was started with
    --monitoring-address and this state directory, and did not stop by itself or on a signal. With --watch, always 0.

    Example: indexer status --json | jq '.logs[] | select(.lag > 0)'
    """
    if watch:
        from indexer.status.watch import latest_status, moments  # noqa: PLC0415

        with latest_status(logs, connection, state) as look:
            follow(moments(look, stop_on_signals(), interval), json)
        return
    from indexer.status.status import status as ask  # noqa: PLC0415

    found = ask(logs, connection, state)
    show(found, json)
    if not found.well:
        raise typer.Exit(EXIT_FAILED)
