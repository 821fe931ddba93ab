"""Views: filtered aliases, one for the entries of each activity type. Sends no request.

    <alias>.<type in lower case>  →  {"filter": {"term": {"activityType": TYPE}}, "is_write_index": false}

The views of all documented types are in `mappings/views.json`. Those of other types are added to the same component
template, and `indexer template install` keeps them. Nothing can be written through a view.
"""

from collections.abc import Mapping

from indexer.settings import PLAIN
from indexer.setup.plan import Body

LONGEST = 255
"""The longest name of an alias, in bytes (Elasticsearch guide, "Create index API", on names)."""


def name_of(alias: str, activity_type: str) -> str | None:
    """The name of the type's view; None if it is not a valid alias name."""
    name = f"{alias}.{activity_type.lower()}"
    fits = len(name.encode("utf-8", "replace")) <= LONGEST and activity_type.isprintable()
    return name if fits and PLAIN.fullmatch(activity_type) else None


def view_of(activity_type: str) -> Body:
    """The alias, in a template and in an index."""
    return {"filter": {"term": {"activityType": activity_type}}, "is_write_index": False}


def type_of(view: Body) -> str | None:
    """The type of a view; None if the alias is not a view of ours."""
    match view:
        case {"filter": {"term": {"activityType": str(activity_type)}}} if view == view_of(activity_type):
            return activity_type
    return None


def views_in(aliases: Mapping[str, Body], alias: str) -> dict[str, Body]:
    """The aliases that are views of ours under their own names."""
    return {
        name: body
        for name, body in aliases.items()
        if (found := type_of(body)) is not None and name_of(alias, found) == name
    }


def assigned(types: Mapping[str, int], known: Mapping[str, Body], alias: str) -> tuple[Body, dict[str, str]]:
    """Decide which types get a new view, and why others cannot have one.

    types   entries by type.
    known   the existing views.
    Of types that differ only in case, the one with an existing view keeps it, else the most frequent gets it.
    """
    taken = {name: type_of(body) for name, body in known.items()}
    fresh: Body = {}
    without: dict[str, str] = {}
    for each in sorted(types, key=lambda it: (-types[it], it)):
        name = name_of(alias, each)
        if name is None:
            without[each] = "not a valid alias name"
        elif taken.setdefault(name, each) != each:
            without[each] = f"{name} is the view of {taken[name]}"
        elif name not in known:
            fresh[name] = view_of(each)
    return fresh, without
