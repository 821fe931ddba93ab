"""`indexer verify`: log files compared with the index."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from indexer.cli.common import Json, counting, on_command_line, progress, say, show, stop_on_signals
from indexer.errors import EXIT_FAILED
from indexer.settings import Connection, Delivery, LogFiles, Panel, State, options
from indexer.settings.commandline import option


@options
def verify(
    context: typer.Context,
    connection: Connection,
    delivery: Delivery,
    state: State,
    logs: LogFiles,
    repair: Annotated[bool, typer.Option("--repair", help="Index missing lines.")] = False,
    seals: Annotated[
        bool,
        typer.Option(
            "--seals",
            help="Compare the index with its seals; needs no log file.",
            rich_help_panel=Panel.SEALS,
        ),
    ] = False,
    public_key: Annotated[
        list[Path] | None,
        option(
            "PATH",
            "Public key of `indexer seal key`. May be repeated, for a key that was replaced.",
            Panel.SEALS,
        ),
    ] = None,
    anchor: Annotated[
        list[Path] | None,
        option(
            "PATH",
            "File or directory with checkpoints that `indexer run` wrote to --seal-anchor, or its state directory. May be "
            "repeated.",
            Panel.SEALS,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Check that each line of the log files is in the index exactly once, unchanged. Exit code 0 only if so.

    With --seals, check that the index holds exactly what is sealed. Exit code 0 only if so.

    Example: indexer verify /opt/zoomdata/logs

    Example: indexer verify --seals --public-key seal.key.pub
    """
    if seals:
        if repair or on_command_line(context, "paths"):
            raise typer.BadParameter("--seals reads no log files and repairs nothing")
        agrees = _verify_seals(connection, state, public_key or [], anchor or [], json)
    else:
        agrees = _verify_logs(connection, delivery, state, logs, repair, json)
    if not agrees:
        raise typer.Exit(EXIT_FAILED)


def _verify_logs(
    connection: Connection, delivery: Delivery, state: State, logs: LogFiles, repair: bool, json: bool
) -> bool:
    """Tell whether the index agrees with the log files."""
    from indexer.verify.log_files import Verifier  # noqa: PLC0415

    with progress(logs.paths, "Verifying", "warning") as listener:
        verifier = Verifier(connection, delivery, state, listener, stop_on_signals())
        result = verifier.verify(logs, repair=repair)
    show(result, json)
    if result.missing and not result.agrees and not repair:
        again = shlex.join(["indexer", "verify", "--repair", *logs.paths])
        say(f"To index the missing lines, with the same options: {again}", error=True)
    return result.agrees


def _verify_seals(
    connection: Connection, state: State, keys: Sequence[Path], anchors: Sequence[Path], json: bool
) -> bool:
    """Tell whether the index agrees with its seals."""
    from indexer.seals import require_seals  # noqa: PLC0415

    require_seals()
    from indexer.seals.keys import read_verifiers  # noqa: PLC0415
    from indexer.verify.seal_logs import anchors_in  # noqa: PLC0415
    from indexer.verify.sealed_index import SealVerifier  # noqa: PLC0415

    if not keys:
        raise typer.BadParameter("--seals needs --public-key")
    verifiers, notes = read_verifiers(keys), anchors_in(anchors)
    with counting("Verifying") as watch:
        result = SealVerifier(connection, state, verifiers, notes, watch, stop_on_signals()).verify()
    show(result, json)
    return result.agrees
