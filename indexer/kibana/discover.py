"""Data views and saved searches, from mappings/kibana/data-views.json and searches.json."""

from indexer.kibana.saved_objects import Json, Naming, SavedObject, json_text, search_source

FORMATS: dict[str, Json] = {
    "milliseconds": {
        "id": "duration",
        "params": {
            "inputFormat": "milliseconds",
            "outputFormat": "humanizePrecise",  # from 7.14 on (Kibana pull request #100540)
            "outputPrecision": 1,
            "showSuffix": True,
            "useShortSuffix": True,
            "includeSpaceWithSuffix": True,
        },
    },
    "bytes": {"id": "bytes", "params": {"pattern": "0,0.[0]b"}},
    "code": {"id": "number", "params": {"pattern": "0"}},
}
"""The formats of data-views.json → Kibana's field formats."""


def data_view(naming: Naming, view: Json) -> SavedObject:
    """A data view."""
    formats = {field: FORMATS[name] for field, name in view["formats"].items()}
    attributes = {
        "title": naming.index(view),
        "timeFieldName": view["time"],
        "fields": "[]",
        "fieldFormatMap": json_text(formats),
    }
    return SavedObject("index-pattern", naming.view_id(view), attributes, [])


def saved_search(naming: Naming, name: str, search: Json, view: Json) -> SavedObject:
    """A saved search on a data view, newest first."""
    reference = "kibanaSavedObjectMeta.searchSourceJSON.index"
    attributes = {
        "title": naming.title(search["title"]),
        "description": search["description"],
        "columns": search["columns"],
        "sort": [[view["time"], "desc"]],
        "kibanaSavedObjectMeta": search_source(search["where"], indexRefName=reference),
    }
    return SavedObject(
        "search",
        naming.id("search", name),
        attributes,
        [{"type": "index-pattern", "id": naming.view_id(view), "name": reference}],
    )
