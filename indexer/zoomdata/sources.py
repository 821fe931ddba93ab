"""Sources in Zoomdata: request bodies, and what an existing source lacks. Sends nothing.

A source reads one data entity: the alias or a view, or the indices by a pattern if Zoomdata lists no aliases. A marker in its
description tells that this indexer created it.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

TIME = "eventDate"
TIME_TYPE = "TIME"
"""The only type of a field for dates (API description; a described field has it as `type`, one of a source as `dataType`)."""
ENTITY = "entries"
"""The id of the data entity of a source; its fields refer to it."""
WEEK = {"from": "+$end_of_data_-1_week", "to": "+$end_of_data"}
"""A relative time range that is documented."""


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """A source to install."""

    name: str
    """Also the name of the alias or view that it reads."""
    alias: str
    type: str | None = None
    """The activity type that it shows; None for all."""
    fields: frozenset[str] | None = None
    """The fields of its entries; None for all fields that Zoomdata finds."""

    @property
    def description(self) -> str:
        """The description, with the marker."""
        what = f"Activity log, entries of type {self.type}" if self.type else "Activity log, all entries"
        return f"{what}. {marker(self.alias)}"

    def has(self, original: str) -> bool:
        """Whether the source shows a field, a sub-field of one, or an object with one in it."""
        if self.fields is None or original in self.fields:
            return True
        return any(original.startswith(f"{it}.") or it.startswith(f"{original}.") for it in self.fields)


def marker(alias: str) -> str:
    """The sentence that marks a source as created for this alias. Must not change: existing sources have it."""
    return f"Made by zoomdata-indexer for the alias {alias!r}; `indexer zoomdata remove` takes it away."


def connection_name(alias: str) -> str:
    """The name of the connection, which identifies it: a connection has no description. Must not change."""
    return f"{alias} (zoomdata-indexer)"


def is_managed(source: Json, alias: str) -> bool:
    """Whether this indexer created the source for this alias."""
    return marker(alias) in str(source.get("description") or "")


def data_entity(connection_id: str, spec: SourceSpec, listed: Collection[str] | None) -> Json | None:
    """The data entity that a source reads; None if Zoomdata does not list it.

    listed   the names that Zoomdata lists; None if the connection does not exist yet.
    """
    index: Json
    if listed is None or spec.name in listed:
        index = {"connectionId": connection_id, "collections": [spec.name]}
    elif spec.type is None and any(it.startswith(f"{spec.alias}-0") for it in listed):
        index = {"connectionId": connection_id, "patternType": "NATIVE", "pattern": f"{spec.alias}-0*"}
    else:
        return None
    return {"id": ENTITY, "name": spec.name, "type": "INDEX", "index": index}


def source_body(spec: SourceSpec, entity: Json, described: Iterable[Json]) -> Json:
    """The body of a new source, with its fields unless it shows all."""
    chosen = [native_field(it, ENTITY) for it in described if spec.has(original_name(it))]
    fields = {} if spec.fields is None else {"nativeFields": chosen}
    return {
        "name": spec.name,
        "description": spec.description,
        "storage": {"dataEntities": [entity | fields], "joins": []},
    }


def native_field(described: Json, entity_id: str) -> Json:
    """A field of a source, made of its description by Zoomdata (`describe`)."""
    return {
        "origin": {
            "type": "NATIVE",
            "nativeOrigin": {
                "originalName": original_name(described),
                "originalType": described.get("type"),
                "dataEntityId": entity_id,
            },
        },
        "name": described.get("name"),
        "label": described.get("label"),
        "dataType": described.get("type"),
        "visible": True,
    }


def placeholder_fields(spec: SourceSpec) -> list[Json]:
    """The fields in a dry run without a connection, when Zoomdata cannot describe them."""
    type_ = "AS ZOOMDATA DESCRIBES IT"
    return [
        {"originalFieldName": name, "name": name, "label": name, "type": type_}
        for name in sorted(spec.fields or ())
    ]


def original_name(field: Json) -> str:
    """The name of a field in Elasticsearch. Zoomdata's own name may differ (lower case, no special characters)."""
    origin = (field.get("origin") or {}).get("nativeOrigin") or {}
    return str(origin.get("originalName") or field.get("originalFieldName") or field.get("name"))


def missing_fields(spec: SourceSpec, described: Iterable[Json], existing: Iterable[Json]) -> list[Json]:
    """The described fields that a source should have and does not have."""
    names = {original_name(it) for it in existing}
    return [it for it in described if original_name(it) not in names and spec.has(original_name(it))]


def extra_fields(spec: SourceSpec, existing: Iterable[Json]) -> list[str]:
    """The fields that a source shows although entries of its type do not have them."""
    shown = (
        it for it in existing if it.get("visible", True) and (it.get("origin") or {}).get("type") == "NATIVE"
    )
    return sorted(name for it in shown if not spec.has(name := original_name(it)))


def time_field(fields: Iterable[Json]) -> str | None:
    """Zoomdata's name of the field with the date of an entry; None if there is none, or if Zoomdata does not take it for a time."""
    return next(
        (
            str(it.get("name"))
            for it in fields
            if original_name(it) == TIME and (it.get("dataType") or it.get("type")) == TIME_TYPE
        ),
        None,
    )


def with_time_bar(settings: Json, field: str) -> Json | None:
    """The global settings with the time bar on this field; None if it is there already, whatever its range."""
    bar = settings.get("timebar") or {}
    if bar.get("enabled") and bar.get("timeField") == field:
        return None
    return settings | {"timebar": bar | {"enabled": True, "timeField": field} | WEEK}


def connection_and_entity(source: Json) -> tuple[str | None, str]:
    """The id of the connection that a source reads from, None if unknown, and the id of its data entity."""
    entities = (source.get("storage") or {}).get("dataEntities") or [{}]
    first = entities[0]
    index = first.get("index") or {}
    return index.get("connectionId") or first.get("connectionId"), str(first.get("id") or ENTITY)
