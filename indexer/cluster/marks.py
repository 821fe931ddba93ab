"""Which indices were made by our templates, whatever they are called.

Each has the mark in its mapping: `_meta.managed_by`. Those that 0.1 made have none and are known by what only its
templates give: an index of entries is sorted by `activityType` and `eventDate`, and `@timestamp` is another name of
`eventDate`; an index of rejected lines has exactly the fields of one, and takes no others.
"""

from collections.abc import Iterable

from elasticsearch import Elasticsearch

from indexer.cluster.plan import OURS, Body

SORTED_BY = ["activityType", "eventDate"]
OTHER_NAME = {"type": "alias", "path": "eventDate"}
REJECTED_LINE = {"@timestamp", "file", "offset", "type", "reason", "bytes", "size", "text"}


def made_by_us(index: Body) -> bool:
    """Tell by its settings (flat) and its mappings, as the server gives them."""
    mappings, settings = index.get("mappings", {}), index.get("settings", {})
    fields = mappings.get("properties", {})
    marked = mappings.get("_meta", {}).get("managed_by") == OURS
    entries = settings.get("index.sort.field") == SORTED_BY and fields.get("@timestamp") == OTHER_NAME
    rejected = mappings.get("dynamic") == "strict" and fields.keys() == REJECTED_LINE
    return bool(marked or entries or (rejected and fields["bytes"] == {"type": "binary"}))


def found(client: Elasticsearch, names: Iterable[str]) -> dict[str, bool]:
    """Which indices of these very names there are, and whether we made them; an alias of such a name is none.

    Raises what the client raises.
    """
    there: dict[str, bool] = {}
    for name in names:
        answer = client.options(ignore_status=404).indices.get(index=name, flat_settings=True)
        if answer.meta.status != 404 and name in answer:
            there[name] = made_by_us(answer[name])
    return there
