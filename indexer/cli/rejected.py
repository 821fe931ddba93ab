"""`indexer rejected`: rejected lines (dead letters)."""

from typing import Annotated

import typer

from indexer.cli.common import Json, show, stop_on_signals
from indexer.errors import EXIT_REJECTED
from indexer.settings import Connection, Delivery, State, options


@options
def list_(
    connection: Connection,
    state: State,
    limit: Annotated[
        int, typer.Option(metavar="N", help="Maximum number of lines; the newest ones.", min=1)
    ] = 50,
    json: Json = False,
) -> None:
    """List rejected lines (dead letters) and the reasons. Their bytes are kept.

    Example: indexer rejected list --json | jq -r '.lines[].reason' | sort | uniq -c
    """
    from indexer.writing.replay import listing  # noqa: PLC0415

    show(listing(connection, state, limit), json)


@options
def replay(connection: Connection, delivery: Delivery, state: State, json: Json = False) -> None:
    """Send rejected lines again, after the template was fixed. Those that are indexed are removed from the list.

    Exit code 3 if lines are rejected again.

    Example: indexer rejected replay --elasticsearch-url http://localhost:9200
    """
    from indexer.monitoring import Logs, logger  # noqa: PLC0415
    from indexer.writing.replay import replay as send_again  # noqa: PLC0415

    replayed = send_again(connection, delivery, state, Logs(logger("warning")), stop_on_signals())
    show(replayed, json)
    if replayed.still_rejected:
        raise typer.Exit(EXIT_REJECTED)
