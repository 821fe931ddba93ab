"""All saved objects, in the form for a version of Kibana."""

from indexer.dashboards.descriptions import read
from indexer.kibana import classic, modern
from indexer.kibana.discover import data_view, saved_search
from indexer.kibana.layout import Library
from indexer.kibana.saved_objects import MODERN, OLDEST, Naming, SavedObject, Version


def saved_objects(naming: Naming, version: Version = OLDEST) -> list[SavedObject]:
    """The saved objects from mappings/kibana/ for this version: data views, searches, dashboards and what these show.

    From 8.19 on in the modern form (`modern.py`), before in that of 7.17 (`classic.py`). In the latter each object comes after those that
    it refers to; in the former dashboards refer to each other.
    """
    views = read("data-views")
    searches = {
        name: saved_search(naming, name, search, views[search.get("of", "entries")])
        for name, search in read("searches").items()
    }
    shared = [*(data_view(naming, view) for view in views.values()), *searches.values()]
    library = Library.of(naming, views, searches)
    if version < MODERN:
        return [*shared, *classic.dashboards(library)]
    return [*(modern.with_tag(naming, it) for it in shared), *modern.dashboards(library)]
