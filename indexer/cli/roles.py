"""`indexer template roles`: least-privilege roles for the users of the index."""

from typing import Annotated

import typer

from indexer.cli.common import Json, Server, say
from indexer.cli.streams import write_data
from indexer.settings import Connection, options


@options
def roles(
    connection: Connection,
    install: Annotated[bool, typer.Option("--install", help="Create or update them on the server.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace roles of these names that somebody else has created.")
    ] = False,
    server: Annotated[
        Server, typer.Option(help="Whose roles are printed; --install asks the server.")
    ] = Server.ELASTICSEARCH,
    json: Json = False,
) -> None:
    """Print least-privilege roles as JSON, or install them.

    They are for PUT _security/role/NAME, or with --server opensearch for PUT _plugins/_security/api/roles/NAME. Installing
    needs the cluster privilege manage_security, or on OpenSearch a role in plugins.security.restapi.roles_enabled.

    Example: indexer template roles | jq '."zoomdata-activity-writer"'
    """
    from indexer.elastic.cluster import connected  # noqa: PLC0415
    from indexer.elastic.server import Product  # noqa: PLC0415
    from indexer.setup import roles as defined  # noqa: PLC0415
    from indexer.show import as_json  # noqa: PLC0415

    if not install:
        write_data(as_json(defined.roles(connection.alias, Product[server.name])))
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
