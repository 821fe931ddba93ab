"""`indexer summary`: what users did."""

from indexer.cli.common import Json, show
from indexer.settings import Connection, options


@options
def summary(connection: Connection, json: Json = False) -> None:
    """Show what users did: tables counted from the index.

    Example: indexer summary --elasticsearch-url http://localhost:9200
    """
    from indexer.elastic.cluster import connected  # noqa: PLC0415
    from indexer.status.summary import summarise  # noqa: PLC0415

    with connected(connection) as cluster:
        show(summarise(cluster.client, cluster.alias), json)
