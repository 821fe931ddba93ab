"""A cluster as the commands use it: the client, the settings it was made from, and the server that answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from elasticsearch import Elasticsearch

from indexer.elastic.client import connect, display_url, translate_errors
from indexer.elastic.server import Product, Server, inspect_server, product_of
from indexer.settings import Connection


@dataclass(frozen=True)
class Cluster:
    """A client and its settings. May be used by several threads."""

    client: Elasticsearch
    connection: Connection
    _known: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Not by `cached_property`: until Python 3.12 that has one lock for all clusters, so that a thread whose server does not
    answer would hold up the others."""

    @property
    def alias(self) -> str:
        """The write alias."""
        return self.connection.alias

    @property
    def url(self) -> str:
        """The addresses, without users and passwords."""
        return display_url(self.connection)

    @property
    def product(self) -> Product:
        """The product, asked for at the first use; needs no privilege. Raises what the client raises."""
        if "product" not in self._known:
            self._known["product"] = product_of(self.client)
        product: Product = self._known["product"]
        return product

    @property
    def server(self) -> Server:
        """Product and version, asked for at the first use. Raises what the client raises."""
        if "server" not in self._known:
            self._known["server"] = inspect_server(self.client)
        server: Server = self._known["server"]
        return server


@contextmanager
def connected(connection: Connection, *, expects: int = 0) -> Iterator[Cluster]:
    """Connect; within it, errors of the client are raised as Fatal. `expects` is that of `connect`."""
    with connect(connection, expects=expects) as client, translate_errors(connection):
        yield Cluster(client, connection)
