"""`indexer export`: a log file rebuilt from the index."""

from pathlib import Path
from typing import Annotated

import typer

from indexer.cli.common import Json, show, stop_on_signals
from indexer.errors import EXIT_REJECTED
from indexer.settings import Connection, options


@options
def export(
    connection: Connection,
    file: Annotated[
        str,
        typer.Option(
            "--file",
            metavar="PATH_OR_GENERATION",
            help="The log's path, or its generation: 8 hexadecimal digits.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The file to write.")],
    json: Json = False,
) -> None:
    """Rebuild a sealed log from the index, its lines in order, each held against its seal.

    Exit code 3 if bytes are not known: blank lines, what stood before an entry, lines that are not in the index any more.

    Example: indexer export --file /opt/zoomdata/logs/zoomdata-activity.log --out activity.log
    """
    from indexer.verify.export import export as rebuild  # noqa: PLC0415

    done = rebuild(connection, file, out, stop_on_signals())
    show(done, json)
    if done.gaps:
        raise typer.Exit(EXIT_REJECTED)
