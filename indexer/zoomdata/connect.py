"""`indexer zoomdata connect`: a connection in Zoomdata, and sources that read the alias and its views.

Everything that exists is read before anything is changed. A second run updates the connection and adds new fields to the sources;
it never replaces a source, because dashboards refer to it and people change its labels.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from indexer.elastic.cluster import Cluster
from indexer.elastic.server import Product
from indexer.settings import Reader
from indexer.show import Table
from indexer.zoomdata import connections, facts, sources
from indexer.zoomdata.api import Api
from indexer.zoomdata.connectors import Access, version_note, without
from indexer.zoomdata.failures import NothingVisible, ZoomdataTooOld
from indexer.zoomdata.source_install import InstalledSource, SourceInstaller

OLDEST = (6, 9)
"""The first version with API v3."""
NEWEST_KNOWN = 26
"""The last major version whose API description was read."""
BY_HAND = {Product.ELASTICSEARCH: "Elasticsearch {}", Product.OPENSEARCH: "Elasticsearch 7"}
"""The connection type for a product before OLDEST: Zoomdata before 25.2 reads OpenSearch as Elasticsearch 7."""


@dataclass(frozen=True, slots=True)
class Connected:
    """The connection and the sources in Zoomdata."""

    zoomdata: str
    version: str
    connector: str
    connection: str
    connection_was: str
    """created, updated, or planned."""
    sources: tuple[InstalledSource, ...]
    notes: tuple[str, ...]

    def tables(self) -> Iterator[Table]:
        """For a terminal."""
        yield Table(
            f"Zoomdata {self.version} at {self.zoomdata}",
            ("Connection", "Connector", "Was"),
            ((self.connection, self.connector, self.connection_was),),
            "",
        )
        rows = tuple((it.name, it.was, it.fields, ", ".join(it.added)) for it in self.sources)
        yield Table("Sources", ("Source", "Was", "Fields", "New fields"), rows, "None.")
        if self.notes:
            yield Table("Notes", ("",), tuple((note,) for note in self.notes), "")


def connect(
    cluster: Cluster, api: Api, reader: Reader, parameters: Mapping[str, str], *, views: bool
) -> Connected:
    """Create or update the connection and the sources.

    parameters   of the connector, by key.
    views        with a source for each activity type.

    Raises Fatal, and what the client raises.
    """
    alias = cluster.alias
    notes = []
    server = cluster.server
    access = facts.access(cluster, reader)
    specs = facts.source_specs(cluster, views=views)
    if views and (types := facts.types_without_view(cluster)):
        notes.append(f"No view yet for {', '.join(types)}: run `indexer template views`")
    notes += _check_version(api.discover(), access, cluster)
    connector = connections.choose_connector(api, server)
    if note := version_note(connector, server):
        notes.append(note)
    body = connections.connection_body(connector, access, parameters, alias)
    installer = SourceInstaller(api, alias, notes)
    existing = installer.existing(specs)
    connection_id, was = connections.save(api, body, access, server.product, notes)
    listed = connections.visible_names(api, connection_id)
    installed = [installer.install(it, connection_id, listed, existing.get(it.name)) for it in specs]
    if listed is not None and not any(installed):
        raise NothingVisible(alias=alias, connection=body["name"])
    version = ".".join(map(str, api.version or ())) or "of unknown version"
    notes += [without(it, access.password) for it in api.warnings]
    done = tuple(it for it in installed if it)
    return Connected(api.url, version, str(connector), body["name"], was, done, tuple(notes))


def _check_version(api: Api, access: Access, cluster: Cluster) -> list[str]:
    """Notes on an unknown version. Raises ZoomdataTooOld."""
    version = api.version
    if version is None:
        return ["The version of Zoomdata is unknown: its answer has an unknown form"]
    if version[:2] < OLDEST:
        steps = manual_steps(access, cluster)
        raise ZoomdataTooOld(url=api.url, version=".".join(map(str, version)), steps=steps)
    if version[0] > NEWEST_KNOWN:
        return [
            f"Zoomdata {version[0]} is newer than the last version known to this indexer ({NEWEST_KNOWN})"
        ]
    return []


def manual_steps(access: Access, cluster: Cluster) -> str:
    """How to connect a Zoomdata whose API is not supported."""
    user = f", user {access.user!r} with its password" if access.user else ""
    server = cluster.server
    return (
        f"add a connection of the type {BY_HAND[server.product].format(server.version[0])} with the connection string {access.address}, "
        f"the cluster name {access.cluster!r}{user}; then a source that reads the alias {cluster.alias} (or the indices {cluster.alias}-0*), with "
        f"the time bar on {sources.TIME}."
    )
