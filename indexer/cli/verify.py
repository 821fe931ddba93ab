"""`indexer verify`: log files compared with the index."""

import shlex
from typing import Annotated

import typer

from indexer.cli.common import Json, progress, say, show, stop_on_signals
from indexer.errors import EXIT_FAILED
from indexer.settings import Connection, Delivery, LogFiles, State, options


@options
def verify(
    connection: Connection,
    delivery: Delivery,
    state: State,
    logs: LogFiles,
    repair: Annotated[bool, typer.Option("--repair", help="Index missing lines.")] = False,
    json: Json = False,
) -> None:
    """Check that each line of the log files is in the index exactly once, unchanged. Exit code 0 only if so.

    Example: indexer verify /opt/zoomdata/logs
    """
    from indexer.verify.log_files import Verifier  # noqa: PLC0415

    with progress(logs.paths, "Verifying", "warning") as listener:
        verifier = Verifier(connection, delivery, state, listener, stop_on_signals())
        result = verifier.verify(logs, repair=repair)
    show(result, json)
    if not result.agrees:
        if result.missing and not repair:
            again = shlex.join(["indexer", "verify", "--repair", *logs.paths])
            say(f"To index the missing lines, with the same options: {again}", error=True)
        raise typer.Exit(EXIT_FAILED)
