"""`indexer zoomdata connect`: a connection in Zoomdata, and sources over the alias and its views. Again, to bring them up to date.

What is there already is looked at before anything is changed. A source is never replaced: dashboards hang on it, and people change
labels; it only gets the fields that have appeared since.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from indexer.elastic.cluster import Cluster
from indexer.elastic.server import Server
from indexer.settings import Reader
from indexer.show import Table
from indexer.zoomdata import facts, sources
from indexer.zoomdata.api import PAGE, PLANNED, Api
from indexer.zoomdata.connectors import (
    Access,
    Connector,
    Json,
    choose,
    connectors,
    doubt,
    fill,
)
from indexer.zoomdata.failures import (
    ConnectorNotEnabled,
    ElasticsearchTooOld,
    ForeignSource,
    NotConnected,
    NothingToSee,
    ParametersMissing,
    ZoomdataTooOld,
)
from indexer.zoomdata.sources import Wanted

FIRST_WITH_V3 = (6, 9)
TRIED_UP_TO = 26
"""The last version whose description of the interface was looked at."""
CONNECTION = "look at or change connections"
SOURCES = "look at or change sources"


@dataclass(frozen=True, slots=True)
class SourceDone:
    """A source, and what became of it."""

    name: str
    was: str
    """created, extended, unchanged, or planned."""
    fields: int
    added: tuple[str, ...] = ()
    """Fields that an existing source has got."""


@dataclass(frozen=True, slots=True)
class Connected:
    """What is in Zoomdata now."""

    zoomdata: str
    version: str
    connector: str
    connection: str
    connection_was: str
    sources: tuple[SourceDone, ...]
    notes: tuple[str, ...]

    def tables(self) -> Iterator[Table]:
        """For people to read."""
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


@dataclass(slots=True)
class Connecting:
    """One run of the command."""

    cluster: Cluster
    api: Api
    notes: list[str] = field(default_factory=list)

    def run(self, reader: Reader, given: Mapping[str, str], *, views: bool) -> Connected:
        """Do it. Raises Fatal and what the client raises."""
        access = facts.access(self.cluster, reader)
        wanted = facts.wanted(self.cluster, views=views)
        if views and (without := facts.without_view(self.cluster)):
            self.notes.append(f"No view yet for {', '.join(without)}: `indexer template views`")
        self._require_version(access)
        chosen = self._connector()
        body = self._body(chosen, access, given)
        there = self._existing(wanted)
        connection_id, was = self._connect(body, access)
        listed = self._listed(connection_id)
        done = [self._source(it, connection_id, listed, there.get(it.name)) for it in wanted]
        if listed is not None and not any(done):
            raise NothingToSee(alias=self.cluster.alias, connection=body["name"])
        version = ".".join(map(str, self.api.version or ())) or "of unknown version"
        made = tuple(it for it in done if it)
        return Connected(self.api.url, version, str(chosen), body["name"], was, made, tuple(self.notes))

    def _require_version(self, access: Access) -> None:
        version = self.api.find().version
        if version is None:
            self.notes.append("Zoomdata does not tell its version in a form that is known")
        elif version[:2] < FIRST_WITH_V3:
            steps = by_hand(access, self.cluster.alias, self.cluster.server)
            raise ZoomdataTooOld(url=self.api.url, version=".".join(map(str, version)), steps=steps)
        elif version[0] > TRIED_UP_TO:
            self.notes.append(f"Zoomdata {version[0]} is newer than what is known here ({TRIED_UP_TO})")

    def _connector(self) -> Connector:
        enabled = connectors(self.api.listed("/connection/types", CONNECTION, enabled="true"))
        if not enabled:
            names = [it.name for it in connectors(self.api.listed("/connection/types", CONNECTION))]
            there = f"{', '.join(names)}: not enabled" if names else "nor one that is not"
            raise ConnectorNotEnabled(url=self.api.url, there=there)
        chosen = choose(enabled, self.cluster.server.version)
        if chosen is None:
            there = "; ".join(map(str, enabled))
            raise ElasticsearchTooOld(url=self.api.url, server=self.cluster.server, there=there)
        if note := doubt(chosen, self.cluster.server.version):
            self.notes.append(note)
        return chosen

    def _body(self, chosen: Connector, access: Access, given: Mapping[str, str]) -> Json:
        parameters, missing = fill(chosen, access, given)
        if missing:
            raise ParametersMissing(connector=chosen.name, missing=", ".join(map(str, missing)))
        return {
            "name": sources.connection_name(self.cluster.alias),
            "type": "EDC2",
            "connectionTypeId": chosen.id,
            "subStorageType": chosen.storage,
            "allParameters": parameters,
        }

    def _existing(self, wanted: Sequence[Wanted]) -> dict[str, Json]:
        """The sources of the wanted names, whole. Raises ForeignSource for one that we have not made."""
        names = {it.name for it in wanted}
        found: dict[str, Json] = {}
        for each in self.api.listed("/sources", SOURCES, maxResults=PAGE):
            if each.get("name") not in names:
                continue
            source = self.api.get(f"/sources/{each['id']}", SOURCES)
            if not sources.is_ours(source, self.cluster.alias):
                reason = "its description lacks the sentence of those that this command makes"
                raise ForeignSource(url=self.api.url, name=source["name"], reason=reason)
            found[source["name"]] = source
        return found

    def _connect(self, body: Json, access: Access) -> tuple[str, str]:
        """Validate, then create or update the connection: its id, and what became of it."""
        found = find_connection(self.api, self.cluster.alias)
        if self.api.dry:
            self.api.change("POST", "/connections/validate", body, CONNECTION)
        else:
            self._validate(body, access)
        if found is None:
            made = self.api.change("POST", "/connections", body, CONNECTION).body
            return str(made["id"]), "planned" if self.api.dry else "created"
        self.api.change("PUT", f"/connections/{found}", body, CONNECTION)
        return found, "planned" if self.api.dry else "updated"

    def _validate(self, body: Json, access: Access) -> None:
        answer = self.api.ask("/connections/validate", body, CONNECTION) or {}
        told = str(answer.get("message") or answer.get("warning") or "").strip().rstrip(".")
        if access.password:
            told = told.replace(access.password, "…")
        if not answer.get("connected"):
            user = f"user {access.user!r}" if access.user else "nobody in particular"
            raise NotConnected(address=access.address, user=user, reason=told or "it does not say why")
        if answer.get("warning"):
            self.notes.append(f"Zoomdata warns about the connection: {told}")

    def _listed(self, connection_id: str) -> list[str] | None:
        """The aliases and indices that Zoomdata sees; None if the connection is only planned."""
        if connection_id == PLANNED:
            return None
        objects = self.api.listed(f"/connections/{connection_id}/objects", CONNECTION)
        return [str(it.get("name")) for it in objects]

    def _source(
        self, wanted: Wanted, connection_id: str, listed: list[str] | None, there: Json | None
    ) -> SourceDone | None:
        """Create a source or bring it up to date; None if Zoomdata does not see what it should read."""
        reading = sources.entity(connection_id, wanted, listed)
        if reading is None:
            self.notes.append(f"Zoomdata does not list {wanted.name}: no source for it by this way")
            return None
        if "pattern" in reading["index"]:
            self.notes.append(
                f"Zoomdata lists no alias {wanted.name}: the source reads {reading['index']['pattern']}"
            )
        planned = connection_id == PLANNED
        described = sources.expected(wanted) if planned else self._describe(reading)
        if there is not None:
            return self._extend(wanted, connection_id, there, described)
        body = sources.source(wanted, reading, described)
        made = self.api.change("POST", "/sources", body, SOURCES).body
        held = described if self.api.dry else self._fields(made["id"])
        self._tell_beyond(wanted, held)
        self._time_bar(wanted, made["id"], held)
        return SourceDone(wanted.name, "planned" if self.api.dry else "created", len(held))

    def _extend(self, wanted: Wanted, connection_id: str, there: Json, described: list[Json]) -> SourceDone:
        """Add the fields that have appeared since."""
        reads, entity_id = sources.reads(there)
        if reads is not None and reads != connection_id:
            reason = "it reads through another connection, which may be gone"
            raise ForeignSource(url=self.api.url, name=wanted.name, reason=reason)
        held = self._fields(there["id"])
        new = sources.lacking(wanted, described, held)
        for each in new:
            self.api.change(
                "POST", f"/sources/{there['id']}/fields", sources.native(each, entity_id), SOURCES
            )
        self._time_bar(wanted, there["id"], held + new)
        was = "unchanged" if not new else "planned" if self.api.dry else "extended"
        added = tuple(sources.original(it) for it in new)
        return SourceDone(wanted.name, was, len(held) + len(new), added)

    def _describe(self, reading: Json) -> list[Json]:
        """The fields that Zoomdata finds. How the list is wrapped is not documented."""
        answer = self.api.ask("/sources/data-entities/describe", reading, SOURCES)
        if isinstance(answer, dict):
            answer = answer.get("content") or answer.get("nativeFields") or answer.get("fields")
        return list(answer or [])

    def _fields(self, source_id: str) -> list[Json]:
        return self.api.listed(f"/sources/{source_id}/fields", SOURCES)

    def _time_bar(self, wanted: Wanted, source_id: str, held: list[Json]) -> None:
        path = f"/sources/{source_id}/global-settings"
        name = sources.time_field(held) or (sources.TIME if source_id == PLANNED else None)
        if name is None:
            self.notes.append(f"Zoomdata finds no {sources.TIME} in {wanted.name}: it has no time bar")
            return
        settings: Any = {} if source_id == PLANNED else self.api.get(path, SOURCES)
        if changed := sources.with_time_bar(settings or {}, name):
            self.api.change("PUT", path, changed, SOURCES)

    def _tell_beyond(self, wanted: Wanted, held: list[Json]) -> None:
        if wanted.fields is not None and (others := sources.beyond(wanted, held)):
            self.notes.append(
                f"{wanted.name} shows {len(others)} fields that its entries have not: Zoomdata added them itself"
            )


def find_connection(api: Api, alias: str) -> str | None:
    """The id of our connection: that `name=` finds exact names alone is not documented."""
    name = sources.connection_name(alias)
    found = api.listed("/connections", CONNECTION, name=name)
    return next((str(it["id"]) for it in found if it.get("name") == name), None)


def by_hand(access: Access, alias: str, server: Server) -> str:
    """What to type where there is no interface that is known."""
    user = f", user {access.user!r} with its password" if access.user else ""
    return (
        f"add a connection of the type Elasticsearch {server.version[0]} with the connection string {access.address}, "
        f"the cluster name {access.cluster!r}{user}; then a source that reads the alias {alias} (or the indices {alias}-0*), with "
        f"the time bar on {sources.TIME}."
    )
