"""The invariants of every index of entries, whatever else is installed on the server.

`violated` decides without a server: what an index is like → which invariants it violates. `of_next` simulates the next index
with all templates of the server and names other templates that interfere; `of_write_index` reads the write index.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

import elasticsearch
from elasticsearch import Elasticsearch

from indexer.elastic.alias import EXISTING, FIRST, next_index, write_index
from indexer.elastic.cluster import Cluster
from indexer.elastic.failures import reason_of
from indexer.elastic.server import Feature, Server
from indexer.setup.compare import leaves
from indexer.setup.plan import CUSTOM, Body

LOG_DATE = "yyyy-MM-dd HH:mm:ss.SSS"
"""The format of `eventDate` (Zoomdata documentation, "Activity logging")."""


class Severity(StrEnum):
    """How serious a violation is."""

    BROKEN = "broken"
    """Entries would be changed, rejected, lost or not found."""
    WARNING = "warning"
    """Nothing is wrong yet."""


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that somebody should know or fix."""

    severity: Severity
    where: str
    """The index or template."""
    what: str
    hint: str


@dataclass(frozen=True, slots=True)
class EffectiveIndex:
    """The settings and mappings of an index, existing or simulated: each value as text under its whole path (`index.codec`)."""

    settings: dict[str, str]
    mappings: dict[str, str]
    aliases: frozenset[str] = frozenset()

    @classmethod
    def of(cls, body: Body) -> "EffectiveIndex":
        """From `settings`, `mappings` and `aliases` as the server returns them, nested or flat."""
        return cls(
            leaves(body.get("settings", {})),
            leaves(body.get("mappings", {})),
            frozenset(body.get("aliases", {})),
        )


@dataclass(frozen=True, slots=True)
class Invariant:
    """A condition on an index, and what is wrong where it does not hold."""

    kept: Callable[[EffectiveIndex], bool]
    otherwise: str
    needs: Feature | None = None
    """Checked only on servers that have this feature."""


def _setting(name: str, *good: str | None) -> Callable[[EffectiveIndex], bool]:
    return lambda made: made.settings.get(name) in good


def _mapping(name: str, *good: str | None) -> Callable[[EffectiveIndex], bool]:
    return lambda made: made.mappings.get(name) in good


INVARIANTS = (
    Invariant(
        _setting("index.default_pipeline", None, "_none"), "a default_pipeline may change or drop each entry"
    ),
    Invariant(
        _setting("index.final_pipeline", None, "_none"), "a final_pipeline may change or drop each entry"
    ),
    Invariant(
        _setting("index.search.default_pipeline", None, "_none"),
        "a search.default_pipeline may hide or change entries in each search",
    ),
    Invariant(_mapping("_source.enabled", None, "true"), "_source is switched off: entries are not stored"),
    Invariant(
        _mapping("_source.includes", None, "[]"), "_source.includes: parts of each entry are not stored"
    ),
    Invariant(
        _mapping("_source.excludes", None, "[]"), "_source.excludes: parts of each entry are not stored"
    ),
    Invariant(
        lambda made: (
            (made.mappings.get("_source.mode") or "stored").lower() == "stored"
            and (made.settings.get("index.mapping.source.mode") or "stored").lower() == "stored"
        ),
        "_source is rebuilt (synthetic) instead of stored: entries are returned changed",
    ),
    Invariant(  # OpenSearch 3.2 and later (its documentation, "Source")
        _setting("index.derived_source.enabled", None, "false"),
        "_source is rebuilt (derived) instead of stored: entries are returned changed",
    ),
    Invariant(
        _setting("index.mode", None, "standard"),
        "index.mode is not 'standard': entries are rebuilt, or rejected for missing fields",
    ),
    Invariant(
        _mapping("dynamic", None, "true"), "dynamic is not true: new fields are rejected, or not searchable"
    ),
    Invariant(_mapping("_routing.required", None, "false"), "_routing is required: each entry is rejected"),
    Invariant(
        _setting("index.mapping.ignore_malformed", "true"),
        "ignore_malformed is off: an entry with one malformed value is rejected",
    ),
    Invariant(
        _mapping("subobjects", "false"),
        "subobjects is not false: a field that is an object in one entry and not in another is rejected",
        Feature.SUBOBJECTS,
    ),
    Invariant(
        _setting("index.mapping.total_fields.ignore_dynamic_beyond_limit", "true"),
        "ignore_dynamic_beyond_limit is off: once the field limit is reached, entries are rejected",
        Feature.FIELDS_BEYOND_LIMIT,
    ),
    Invariant(
        lambda made: (
            made.mappings.get("properties.eventDate.type") in {"date", "date_nanos"}
            and LOG_DATE in made.mappings.get("properties.eventDate.format", "").split("||")
        ),
        f"eventDate is not a date in the log's format ({LOG_DATE}): entries are not found by time",
    ),
    Invariant(
        _setting("index.translog.durability", None, "request", "REQUEST"),
        "translog.durability is not 'request': a power failure loses acknowledged entries",
    ),
    Invariant(
        lambda made: (
            not any(made.settings.get(f"index.blocks.{it}") == "true" for it in ("write", "read_only"))
        ),
        "index.blocks rejects entries",
    ),
    Invariant(
        lambda made: any(it.endswith(EXISTING) for it in made.aliases),
        f"it lacks its own alias (<index>{EXISTING}): if it is deleted, the next entry creates it anew, outside the alias",
        Feature.AUTO_CREATION,
    ),
)


def violated(made: EffectiveIndex, server: Server) -> list[str]:
    """The invariants that an index violates."""
    return [
        it.otherwise for it in INVARIANTS if (it.needs is None or server.has(it.needs)) and not it.kept(made)
    ]


def violated_lifecycle(made: EffectiveIndex, alias: str) -> list[str]:
    """Why the server's lifecycle management does not manage an index."""
    managed = (
        made.settings.get("index.lifecycle.name") is not None
        and made.settings.get("index.lifecycle.rollover_alias") == alias
    )
    return [] if managed else ["it has no lifecycle policy, or another rollover alias: it does not roll over"]


def winner_of(templates: Mapping[str, Body], index: str) -> str | None:
    """The name of the index template that an index gets (Elasticsearch guide, "Index templates"); None if none matches."""
    matching = [
        (held.get("priority", 0), name)
        for name, held in templates.items()
        if any(fnmatchcase(index, pattern) for pattern in held["index_patterns"])
    ]
    return max(matching)[1] if matching else None


def of_next(cluster: Cluster, *, lifecycle: bool = False) -> list[Violation]:
    """What is wrong, or unusual, about the next index, and about the templates of rejected lines and seals.

    lifecycle   the server is to manage them.
    Raises AliasIsIndex, NoWriteIndex and what the client raises.
    """
    client, alias, connection = cluster.client, cluster.alias, cluster.connection
    write = write_index(cluster)
    upcoming = (next_index(write) if write else None) or alias + FIRST
    found = list(_templates(client, upcoming, alias))
    for index in (connection.rejected, connection.seals):
        found += _templates(client, index, index)
    if any(it.severity is Severity.BROKEN for it in found):
        return found
    made = EffectiveIndex.of(simulated(client, upcoming))
    problems = violated(made, cluster.server)
    if lifecycle:
        problems += violated_lifecycle(made, alias)
    if alias in made.aliases:
        problems += [f"a template gives it the alias {alias}: a rollover is rejected"]
    problems += [
        f"there is an index {name}, and a template adds an alias of that name: a rollover is rejected"
        for name in _indices_named(client, made.aliases)
    ]
    hint = (
        f"Check the component template {alias}{CUSTOM}; `indexer template diff` shows what else was changed."
    )
    return found + [Violation(Severity.BROKEN, f"the next index {upcoming}", what, hint) for what in problems]


def of_write_index(cluster: Cluster, *, lifecycle: bool = False) -> list[Violation]:
    """What is wrong with the write index; nothing if there is none. Raises as `of_next` does."""
    write = write_index(cluster)
    if write is None:
        return []
    made = EffectiveIndex.of(cluster.client.indices.get(index=write)[write])
    problems = violated(made, cluster.server)
    if lifecycle:
        problems += violated_lifecycle(made, cluster.alias)
    hint = "`indexer template install --rollover` creates a new one."
    return [Violation(Severity.BROKEN, f"the write index {write}", what, hint) for what in problems]


def simulated(client: Elasticsearch, index: str) -> Body:
    """The composed template of a new index of this name; empty if none matches."""
    template: Body = client.indices.simulate_index_template(name=index).get("template", {})
    return template


def _indices_named(client: Elasticsearch, names: frozenset[str]) -> list[str]:
    """The indices, not aliases, with one of these names."""
    if not names:
        return []
    found = client.options(ignore_status=404).indices.get_settings(
        index=sorted(names), name="index.uuid", ignore_unavailable=True
    )
    return sorted(names & found.body.keys())


def _templates(client: Elasticsearch, index: str, ours: str) -> Iterator[Violation]:
    """Check that our template is the one for this index, and which others match it."""
    where, winner = f"index template {ours}", _winner(client, index)
    if winner is None:
        yield Violation(Severity.BROKEN, where, "it is not installed", "Run `indexer template install`.")
    elif winner != ours:
        what = f"the index template {winner} has a higher priority and is used for {index} instead"
        hint = f"Give {winner} a lower priority, or patterns that do not match {index}."
        yield Violation(Severity.BROKEN, where, what, hint)
    else:
        try:
            overlapping = client.indices.simulate_index_template(name=index).get("overlapping", [])
        except (
            elasticsearch.BadRequestError
        ) as error:  # by OpenSearch 2.19.6; Elasticsearch finds it out at the rollover
            if error.error != "invalid_alias_name_exception":
                raise
            what, hint = f"{reason_of(error)}: a rollover is rejected", "Delete or rename that index."
            yield Violation(Severity.BROKEN, where, what, hint)
            return
        for other in sorted(it["name"] for it in overlapping):
            what = f"the template {other} matches {index} too"
            hint = "It has no effect while its priority is lower, or if it is a legacy template."
            yield Violation(Severity.WARNING, where, what, hint)


def _winner(client: Elasticsearch, index: str) -> str | None:
    """The index template with the highest priority for an index."""
    wanted = ("name", "index_template.priority", "index_template.index_patterns")
    answer = client.indices.get_index_template(filter_path=[f"index_templates.{it}" for it in wanted])
    return winner_of({it["name"]: it["index_template"] for it in answer.get("index_templates", [])}, index)
