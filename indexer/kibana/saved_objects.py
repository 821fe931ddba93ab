"""The files of mappings/kibana/ → Kibana's saved objects, and these as one NDJSON that 7.17, 8.x and 9.x import.

Every id begins with the alias, and with the space if it is not the default one: a second install is an update, installs
for other aliases stand beside each other, and so do those in other spaces (from 8.0 on an id is taken in all spaces at
once, and an import would get another one, which no link between dashboards knows).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

import indexer
from indexer.dashboards.panels import Panel
from indexer.kibana import lens
from indexer.setup.plan import DEFAULT_ALIAS, directory

Json = dict[str, Any]
DASHBOARDS = ("activity", "audit", "performance", "delivery")
WIDTH = 48
"""Columns of a dashboard's grid."""
INTRODUCTION_HEIGHT = 5
CORE = "7.17.0"
STAMPS = {
    "index-pattern": "7.11.0",
    "search": "7.9.3",
    "lens": "7.16.0",
    "visualization": "7.13.1",
    "dashboard": "7.14.0",
}
"""The form each type is written in (Kibana's source): a newer server migrates it from there, an older one refuses it."""
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


@dataclass(frozen=True, slots=True)
class Naming:
    """What all objects are called after."""

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
        """The title of an object; the alias is in it if there may be others beside it."""
        return f"Zoomdata: {title}" + ("" if self.alias == DEFAULT_ALIAS else f" ({self.alias})")


@dataclass(frozen=True, slots=True)
class SavedObject:
    """One line of the NDJSON."""

    type: str
    id: str
    attributes: Json
    references: list[Json]

    @property
    def line(self) -> bytes:
        """It as it is imported."""
        stamps = {"migrationVersion": {self.type: STAMPS[self.type]}, "coreMigrationVersion": CORE}
        return orjson.dumps(asdict(self) | stamps)

    @property
    def title(self) -> str:
        """What people see."""
        title: str = self.attributes["title"]
        return title


def saved_objects(naming: Naming) -> list[SavedObject]:
    """All of them, what is referred to before what refers to it."""
    views = _read("data-views")
    found = [_data_view(naming, view) for view in views.values()]
    found += [_search(naming, name, search) for name, search in _read("searches").items()]
    titles = {name: _read(name)["title"] for name in DASHBOARDS}
    for name in DASHBOARDS:
        found += _dashboard(naming, name, titles, views)
    return found


def ndjson(objects: Iterable[SavedObject]) -> bytes:
    """The file to import, by us or by hand (Stack Management → Saved Objects)."""
    return b"".join(it.line + b"\n" for it in objects)


def _read(name: str) -> Json:
    """A file of mappings/kibana/."""
    path = directory(Path(indexer.__file__).parent) / "kibana" / f"{name}.json"
    read: Json = orjson.loads(path.read_bytes())
    return read


def _view_id(naming: Naming, view: Json) -> str:
    return naming.prefix + _suffix(view)


def _suffix(view: Json) -> str:
    """What follows the alias in the name of the index."""
    index: str = view["index"]
    return index.removeprefix(DEFAULT_ALIAS)


def _data_view(naming: Naming, view: Json) -> SavedObject:
    formats = {field: FORMATS[name] for field, name in view["formats"].items()}
    attributes = {
        "title": naming.alias + _suffix(view),
        "timeFieldName": view["time"],
        "fields": "[]",
        "fieldFormatMap": _text(formats),
    }
    return SavedObject("index-pattern", _view_id(naming, view), attributes, [])


def _search(naming: Naming, name: str, search: Json) -> SavedObject:
    view = _read("data-views")["entries"]
    reference = "kibanaSavedObjectMeta.searchSourceJSON.index"
    attributes = {
        "title": naming.title(search["title"]),
        "description": search["description"],
        "columns": search["columns"],
        "sort": [[view["time"], "desc"]],
        "kibanaSavedObjectMeta": _source(search["where"], indexRefName=reference),
    }
    return SavedObject(
        "search",
        naming.id("search", name),
        attributes,
        [{"type": "index-pattern", "id": _view_id(naming, view), "name": reference}],
    )


def _dashboard(naming: Naming, name: str, titles: dict[str, str], views: Json) -> Iterator[SavedObject]:
    """A dashboard, after the panels that are its own."""
    described = _read(name)
    introduction = _introduction(naming, name, described, titles)
    yield introduction
    placed = [_placed(1, introduction, None, (0, 0, WIDTH, INTRODUCTION_HEIGHT))]
    top = INTRODUCTION_HEIGHT
    for row in described["rows"]:
        left = 0
        for panel, width in zip(row["panels"], _widths(row["panels"]), strict=True):
            shown = _panel(naming, name, panel, views)
            if shown.type == "lens":
                yield shown
            where = (left, top, width, row["height"])
            placed.append(_placed(len(placed) + 1, shown, panel["title"], where))
            left += width
        top += row["height"]
    attributes = {
        "title": naming.title(described["title"]),
        "description": described["purpose"].replace("**", ""),
        "panelsJSON": _text([panel for panel, _ in placed]),
        "optionsJSON": _text({"useMargins": True, "syncColors": False, "hidePanelTitles": False}),
        "timeRestore": True,
        "timeFrom": "now-7d",
        "timeTo": "now",
        "kibanaSavedObjectMeta": _source(""),
    }
    yield SavedObject("dashboard", naming.id(name), attributes, [reference for _, reference in placed])


def _widths(panels: Sequence[Json]) -> list[int]:
    """How wide each is: what no panel claims is shared by the others."""
    free = [panel for panel in panels if "width" not in panel]
    left = WIDTH - sum(panel.get("width", 0) for panel in panels)
    return [panel.get("width", left // max(len(free), 1)) for panel in panels]


def _placed(
    number: int, shown: SavedObject, title: str | None, where: tuple[int, int, int, int]
) -> tuple[Json, Json]:
    """A panel on the grid, without a title or under a short one of its own, and the dashboard's reference to what it shows."""
    index, name = str(number), f"panel_{number}"
    embeddable: Json = {"enhancements": {}} | ({} if title else {"hidePanelTitles": True})
    panel = {
        "version": CORE,
        "type": shown.type,
        "gridData": dict(zip("xywh", where, strict=True)) | {"i": index},
        "panelIndex": index,
        "embeddableConfig": embeddable,
        "panelRefName": name,
    } | ({"title": title} if title else {})
    return panel, {"name": f"{index}:{name}", "type": shown.type, "id": shown.id}


def _panel(naming: Naming, dashboard: str, described: Json, views: Json) -> SavedObject:
    if described["as"] == "search":
        return _search(naming, described["id"], _read("searches")[described["id"]])
    panel = Panel.of(described)
    view = views[panel.view]
    attributes = lens.attributes(panel, view["time"], view["types"])
    attributes["title"] = naming.title(panel.title)
    return SavedObject(
        "lens", naming.id(dashboard, panel.id), attributes, lens.references(_view_id(naming, view))
    )


def _introduction(naming: Naming, name: str, described: Json, titles: dict[str, str]) -> SavedObject:
    """The sentence a dashboard opens with, and links to the others.

    A link that begins with `#` stays in the dashboards app and in the space, wherever Kibana is mounted; Elastic's own
    Kubernetes dashboards link to each other so.
    """
    links = [
        f"**{title}**" if other == name else f"[{title}](#/view/{naming.id(other)})"
        for other, title in titles.items()
    ]
    text = f"{described['purpose']} {described['empty']}\n\n{' · '.join(links)}"
    title = naming.title(f"{described['title']}, introduction")
    state = {
        "title": title,
        "type": "markdown",
        "aggs": [],
        "params": {"fontSize": 12, "openLinksInNewTab": False, "markdown": text},
    }
    attributes = {
        "title": title,
        "description": "",
        "visState": _text(state),
        "uiStateJSON": "{}",
        "kibanaSavedObjectMeta": _source(""),
    }
    return SavedObject("visualization", naming.id(name, "introduction"), attributes, [])


def _source(where: str, **more: str) -> Json:
    return {"searchSourceJSON": _text({"query": {"language": "kuery", "query": where}, "filter": []} | more)}


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()
