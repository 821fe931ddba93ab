"""`indexer demo`: everything on one machine."""

from typing import Annotated

import typer

from indexer.cli.common import Server, progress, show
from indexer.demo.profiles import Profile
from indexer.settings import options


@options
def demo(
    entries: Annotated[
        int, typer.Option(metavar="N", help="Number of entries in the sample log.", min=100)
    ] = 20_000,
    profile: Annotated[
        Profile,
        typer.Option(
            help="What the sample log is like: composer has the nine activity types of 6 to 26, zoomdata-2 those of 2.x."
        ),
    ] = Profile.COMPOSER,
    server: Annotated[Server, typer.Option(help="Which server is started.")] = Server.ELASTICSEARCH,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the server running, and print how to stop it.")
    ] = False,
) -> None:
    """Try everything: start an embedded server, index and seal a sample log, verify it, and show what is in it.

    Example: indexer demo --server opensearch --keep
    """
    from indexer.demo.demonstration import demonstrate  # noqa: PLC0415
    from indexer.elastic.server import Product  # noqa: PLC0415

    demonstrate(
        entries,
        profile,
        Product[server.name],
        keep=keep,
        say=print,
        show=lambda result: show(result, json=False),
        progress=progress,
    )
