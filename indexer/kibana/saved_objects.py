"""Kibana's saved objects: their names, and the NDJSON file that Kibana imports.

Each id begins with the alias, and with the space unless it is the default space. So a second install is an update, and installs for
other aliases and spaces do not collide: since 8.0 an id is unique across spaces, and importing an id of another space creates an
object with a new id, which breaks links between dashboards.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from indexer.setup.plan import DEFAULT_ALIAS

Json = dict[str, Any]
Version = tuple[int, ...]
OLDEST: Version = (7, 17)
MODERN: Version = (8, 19)
"""The first version that gets the modern form."""
CORE = "7.17.0"
STAMPS = {
    "index-pattern": "7.11.0",
    "search": "7.9.3",
    "lens": "7.16.0",
    "visualization": "7.13.1",
    "dashboard": "7.14.0",
}
"""The migration version of each type (Kibana's source): a newer server migrates the objects, an older one refuses them."""
MODERN_CORE = "8.8.0"
MODERN_STAMPS = {"index-pattern": "8.0.0", "search": "8.0.0", "tag": "8.0.0", "dashboard": "10.2.0"}
"""The same in the modern form: what 8.19 and 9.x both know.

10.2.0 is model version 2 of dashboards (`dashboard/server/dashboard_saved_object/dashboard_saved_object.ts`), which comes after all
migrations; 8.0.0 is the conversion to objects that can be shared between spaces (`tag.ts`: `convertToMultiNamespaceTypeVersion`).
"""


@dataclass(frozen=True, slots=True)
class Naming:
    """Ids and titles of the objects for an alias in a space."""

    alias: str = DEFAULT_ALIAS
    space: str | None = None

    @property
    def prefix(self) -> str:
        """The beginning of each id."""
        return f"{self.space}.{self.alias}" if self.space else self.alias

    def id(self, *parts: str) -> str:
        """The id of an object."""
        return "-".join((self.prefix, *parts))

    def title(self, title: str) -> str:
        """The title of an object, with the alias unless it is the default."""
        return self.label(f"Zoomdata: {title}")

    def label(self, name: str) -> str:
        """The name, with the alias unless it is the default."""
        return name if self.alias == DEFAULT_ALIAS else f"{name} ({self.alias})"

    def index(self, view: Json) -> str:
        """The index of a data view."""
        return self.alias + _suffix(view)

    def view_id(self, view: Json) -> str:
        """The id of a data view."""
        return self.prefix + _suffix(view)


@dataclass(frozen=True, slots=True)
class SavedObject:
    """A saved object."""

    type: str
    id: str
    attributes: Json
    references: list[Json]
    modern: bool = False
    """In the form of 8.19."""

    @property
    def line(self) -> bytes:
        """The object as a line of the NDJSON file."""
        content = {
            "type": self.type,
            "id": self.id,
            "attributes": self.attributes,
            "references": self.references,
        }
        return orjson.dumps(content | self._stamps)

    @property
    def _stamps(self) -> Json:
        if self.modern:
            return {
                "typeMigrationVersion": MODERN_STAMPS[self.type],
                "coreMigrationVersion": MODERN_CORE,
            }
        return {"migrationVersion": {self.type: STAMPS[self.type]}, "coreMigrationVersion": CORE}

    @property
    def title(self) -> str:
        """The title that people see."""
        title: str = self.attributes.get("title") or self.attributes["name"]
        return title


def ndjson(objects: Iterable[SavedObject]) -> bytes:
    """The file to import."""
    return b"".join(it.line + b"\n" for it in objects)


def search_source(kql: str, **more: str) -> Json:
    """The attribute `kibanaSavedObjectMeta` for a query."""
    return {
        "searchSourceJSON": json_text({"query": {"language": "kuery", "query": kql}, "filter": []} | more)
    }


def json_text(value: Any) -> str:
    """JSON as text: Kibana keeps many attributes in this form."""
    return orjson.dumps(value).decode()


def _suffix(view: Json) -> str:
    """The part of the index after the alias that mappings/kibana/ is written for."""
    index: str = view["index"]
    return index.removeprefix(DEFAULT_ALIAS)
