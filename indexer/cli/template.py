"""`indexer template`: what a cluster admin runs."""

from indexer.settings import Connection, options


@options
def install(connection: Connection) -> None:
    """Install the templates, the first index and the alias; again, to bring them up to date.

    Example: indexer template install --elasticsearch-url http://localhost:9200
    """
    from indexer.cluster.client import connect, explained, inspect_server  # noqa: PLC0415
    from indexer.cluster.templates import install as bring_up_to_date  # noqa: PLC0415

    with connect(connection) as client, explained(connection):
        server = inspect_server(client)
        print(f"Elasticsearch {server}")
        for outcome in bring_up_to_date(client, connection, server):
            print(
                f"  {outcome.result:<10} {outcome.what}" + (f": {outcome.detail}" if outcome.detail else "")
            )
