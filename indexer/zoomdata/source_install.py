"""Creating the sources in Zoomdata, and adding to existing ones the fields that are new."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from indexer.zoomdata import sources
from indexer.zoomdata.api import PAGE_SIZE, PLACEHOLDER_ID, Api
from indexer.zoomdata.failures import ForeignSource
from indexer.zoomdata.sources import Json, SourceSpec

ACTION = "read or change sources"


@dataclass(frozen=True, slots=True)
class InstalledSource:
    """A source, and what was done to it."""

    name: str
    was: str
    """created, extended, unchanged, or planned."""
    fields: int
    added: tuple[str, ...] = ()
    """New fields of an existing source."""


@dataclass(frozen=True, slots=True)
class SourceInstaller:
    """Installs sources for an alias; appends to `notes` what could not be done."""

    api: Api
    alias: str
    notes: list[str]

    def existing(self, specs: Sequence[SourceSpec]) -> dict[str, Json]:
        """The sources that exist already, by name. Raises ForeignSource for one that this indexer did not create."""
        names = {it.name for it in specs}
        found: dict[str, Json] = {}
        for each in self.api.get_list("/sources", ACTION, maxResults=PAGE_SIZE):
            if each.get("name") not in names:
                continue
            source = self.api.get(f"/sources/{each['id']}", ACTION)
            if not sources.is_managed(source, self.alias):
                reason = "its description lacks the sentence that marks sources of this command"
                raise ForeignSource(url=self.api.url, name=source["name"], reason=reason)
            found[source["name"]] = source
        return found

    def install(
        self, spec: SourceSpec, connection_id: str, listed: list[str] | None, existing: Json | None
    ) -> InstalledSource | None:
        """Create the source, or add new fields to the existing one; None if Zoomdata does not list what it reads."""
        entity = sources.data_entity(connection_id, spec, listed)
        if entity is None:
            self.notes.append(f"No source for {spec.name}: Zoomdata does not list it")
            return None
        if "pattern" in entity["index"]:
            pattern = entity["index"]["pattern"]
            self.notes.append(f"Zoomdata does not list the alias {spec.name}: the source reads {pattern}")
        planned = connection_id == PLACEHOLDER_ID
        described = sources.placeholder_fields(spec) if planned else self._describe(entity)
        if existing is not None:
            return self._extend(spec, connection_id, existing, described)
        return self._create(spec, entity, described)

    def _create(self, spec: SourceSpec, entity: Json, described: list[Json]) -> InstalledSource:
        body = sources.source_body(spec, entity, described)
        source_id = self.api.change("POST", "/sources", body, ACTION).body["id"]
        fields = described if self.api.dry else self._fields(source_id)
        if extra := sources.extra_fields(spec, fields):
            self.notes.append(
                f"{spec.name} shows {len(extra)} fields that its entries lack: Zoomdata added them"
            )
        self._set_time_bar(spec, source_id, fields)
        return InstalledSource(spec.name, "planned" if self.api.dry else "created", len(fields))

    def _extend(
        self, spec: SourceSpec, connection_id: str, existing: Json, described: list[Json]
    ) -> InstalledSource:
        used_connection, entity_id = sources.connection_and_entity(existing)
        if used_connection is not None and used_connection != connection_id:
            reason = "it reads through another connection, which may have been deleted"
            raise ForeignSource(url=self.api.url, name=spec.name, reason=reason)
        path = f"/sources/{existing['id']}/fields"
        fields = self._fields(existing["id"])
        new = sources.missing_fields(spec, described, fields)
        for each in new:
            self.api.change("POST", path, sources.native_field(each, entity_id), ACTION)
        self._set_time_bar(spec, existing["id"], fields + new)
        was = "unchanged" if not new else "planned" if self.api.dry else "extended"
        added = tuple(sources.original_name(it) for it in new)
        return InstalledSource(spec.name, was, len(fields) + len(new), added)

    def _describe(self, entity: Json) -> list[Json]:
        """The fields that Zoomdata finds."""
        return list(self.api.query("/sources/data-entities/describe", entity, ACTION)["content"])

    def _fields(self, source_id: str) -> list[Json]:
        return self.api.get_list(f"/sources/{source_id}/fields", ACTION, maxResults=PAGE_SIZE)

    def _set_time_bar(self, spec: SourceSpec, source_id: str, fields: list[Json]) -> None:
        path = f"/sources/{source_id}/global-settings"
        planned = source_id == PLACEHOLDER_ID
        name = sources.time_field(fields) or (sources.TIME if planned else None)
        if name is None:
            self.notes.append(
                f"{spec.name} has no time bar: Zoomdata finds no time in a field {sources.TIME}"
            )
            return
        settings: Any = {} if planned else self.api.get(path, ACTION)
        if changed := sources.with_time_bar(settings or {}, name):
            self.api.change("PUT", path, changed, ACTION)
