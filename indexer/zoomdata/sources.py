"""What a source in Zoomdata is like, and what one lacks: bodies and comparisons. Asks nobody.

A source reads one entity: the alias or a view, or, where Zoomdata lists no aliases, the indices by their pattern. Ours are
known by a sentence in their description.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

TIME = "eventDate"
ENTITY = "entries"
"""The id of the one entity of a source; its fields refer to it."""
WEEK = {"from": "+$end_of_data_-1_week", "to": "+$end_of_data"}
"""Of the relative times one that is documented; others are not."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A source that has to be there."""

    name: str
    """Also the name of the alias that it reads."""
    alias: str
    type: str | None = None
    """The one activity type that it shows; None for everything."""
    fields: frozenset[str] | None = None
    """The fields of its entries; None for all that Zoomdata finds."""

    @property
    def description(self) -> str:
        """For people, with the mark."""
        what = f"Activity log, entries of type {self.type}" if self.type else "Activity log, all entries"
        return f"{what}. {mark(self.alias)}"

    def has(self, original: str) -> bool:
        """A field is one of its own; a field's sub-fields and a part of an object are."""
        if self.fields is None or original in self.fields:
            return True
        return any(original.startswith(f"{it}.") or it.startswith(f"{original}.") for it in self.fields)


def mark(alias: str) -> str:
    """The sentence by which what was made for this alias is known."""
    return f"Made by zoomdata-indexer for the alias {alias!r}; `indexer zoomdata remove` takes it away."


def connection_name(alias: str) -> str:
    """The name of the connection: it has no description that could hold the mark."""
    return f"{alias} (zoomdata-indexer)"


def is_ours(source: Json, alias: str) -> bool:
    """It bears the mark."""
    return mark(alias) in str(source.get("description") or "")


def entity(connection_id: str, wanted: Wanted, listed: Collection[str] | None) -> Json | None:
    """What a source reads; None if Zoomdata does not see it.

    listed   the names that Zoomdata lists; None if that cannot be known yet.
    """
    index: Json
    if listed is None or wanted.name in listed:
        index = {"connectionId": connection_id, "collections": [wanted.name]}
    elif wanted.type is None and any(it.startswith(f"{wanted.alias}-0") for it in listed):
        index = {"connectionId": connection_id, "patternType": "NATIVE", "pattern": f"{wanted.alias}-0*"}
    else:
        return None
    return {"id": ENTITY, "name": wanted.name, "type": "INDEX", "index": index}


def source(wanted: Wanted, reading: Json, described: Iterable[Json]) -> Json:
    """The body that makes it, with its fields if not all are wanted."""
    chosen = [native(it, ENTITY) for it in described if wanted.has(original(it))]
    fields = {} if wanted.fields is None else {"nativeFields": chosen}
    return {
        "name": wanted.name,
        "description": wanted.description,
        "storage": {"dataEntities": [reading | fields], "joins": []},
    }


def native(described: Json, entity_id: str) -> Json:
    """A field as a source holds it, from what `describe` tells of it."""
    return {
        "origin": {
            "type": "NATIVE",
            "nativeOrigin": {
                "originalName": original(described),
                "originalType": described.get("type"),
                "dataEntityId": entity_id,
            },
        },
        "name": described.get("name"),
        "label": described.get("label"),
        "dataType": described.get("type"),
        "visible": True,
    }


def expected(wanted: Wanted) -> list[Json]:
    """Its fields as Zoomdata may describe them, while there is no connection through which it could."""
    told = "AS ZOOMDATA DESCRIBES IT"
    return [
        {"originalFieldName": name, "name": name, "label": name, "type": told}
        for name in sorted(wanted.fields or ())
    ]


def original(told: Json) -> str:
    """A field's name in Elasticsearch: Zoomdata's own name for it may be another (in lower case, without signs)."""
    origin = (told.get("origin") or {}).get("nativeOrigin") or {}
    return str(origin.get("originalName") or told.get("originalFieldName") or told.get("name"))


def lacking(wanted: Wanted, described: Iterable[Json], held: Iterable[Json]) -> list[Json]:
    """The fields that a source should have and has not, as `describe` tells them."""
    there = {original(it) for it in held}
    return [it for it in described if original(it) not in there and wanted.has(original(it))]


def beyond(wanted: Wanted, held: Iterable[Json]) -> list[str]:
    """The fields that a source shows although its type has not got them."""
    shown = (
        it for it in held if it.get("visible", True) and (it.get("origin") or {}).get("type") == "NATIVE"
    )
    return sorted(name for it in shown if not wanted.has(name := original(it)))


def time_field(held: Iterable[Json]) -> str | None:
    """Zoomdata's name for the date of an entry."""
    return next((str(it.get("name")) for it in held if original(it) == TIME), None)


def with_time_bar(settings: Json, field: str) -> Json | None:
    """The global settings with the time bar on this field; None if it is there, over whatever span people chose."""
    bar = settings.get("timebar") or {}
    if bar.get("enabled") and bar.get("timeField") == field:
        return None
    return settings | {"timebar": bar | {"enabled": True, "timeField": field} | WEEK}


def reads(held: Json) -> tuple[str | None, str]:
    """The connection that a source reads from, and the id of its entity."""
    entities = (held.get("storage") or {}).get("dataEntities") or [{}]
    first = entities[0]
    index = first.get("index") or {}
    return index.get("connectionId") or first.get("connectionId"), str(first.get("id") or ENTITY)
