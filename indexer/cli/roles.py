"""`indexer template roles`: what whoever uses the index may do there."""

from typing import Annotated

import typer

from indexer.cli.common import Json, say
from indexer.cli.streams import write_data
from indexer.settings import Connection, options


@options
def roles(
    connection: Connection,
    install: Annotated[
        bool, typer.Option("--install", help="Create them on the server, or bring them up to date.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace roles of these names that somebody else has made.")
    ] = False,
    json: Json = False,
) -> None:
    """Print roles with no more rights than needed, as JSON for PUT _security/role/NAME; or install them.

    To install them takes the cluster privilege manage_security.

    Example: indexer template roles | jq '."zoomdata-activity-writer"'
    """
    from indexer.elastic.cluster import connected  # noqa: PLC0415
    from indexer.setup import roles as defined  # noqa: PLC0415
    from indexer.show import as_json  # noqa: PLC0415

    if not install:
        write_data(as_json(defined.roles(connection.alias)))
        return
    with connected(connection) as cluster:
        outcomes = defined.install(cluster, force=force)
    if json:
        write_data(as_json({"outcomes": outcomes}))
        return
    for outcome in outcomes:
        say(f"{outcome.result:<10} {outcome.what}")
        for change in outcome.changes:
            say(f"             {change}")
