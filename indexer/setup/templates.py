"""Bringing a server to the plan: what is there is compared with it, and only what is missing or differs is sent.

Nothing here changes an index that exists already: what is installed is for indices made from then on. `examine` asks,
`install` acts, and `calls` tells what it would send. What was installed by somebody else, or by a newer version of
this program, is not touched unless that is wanted.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

import elasticsearch
from elasticsearch import Elasticsearch

from indexer.elastic.alias import require_alias, write_index
from indexer.elastic.cluster import Cluster
from indexer.elastic.failures import reason_of
from indexer.elastic.server import Feature
from indexer.errors import Fatal
from indexer.settings import Indices
from indexer.setup import invariants
from indexer.setup.compare import Difference, differences, lacking
from indexer.setup.invariants import Severity, Violation
from indexer.setup.plan import CUSTOM, OURS, Body, Call, Kind, Request, left_out, managed, plan, views_name
from indexer.setup.requests import fetch, send
from indexer.setup.rollover import roll_over, rollover_call
from indexer.setup.views import views_in


class Foreign(Fatal):
    """Somebody else's things bear our names."""

    sentence = "On {url} there is another {what}, which `indexer template install` has not made."
    hint = "Choose another --alias, rename it, or replace it with --force."


class NewerInstalled(Fatal):
    """A newer version of this program was here."""

    sentence = "The {what} on {url} has version {installed}, and this program brings version {shipped}."
    hint = "Upgrade this program, or go back to its version with --force."


class NotAccepted(Fatal):
    """The server finds fault with a request: a policy it cannot read, a template that contradicts another."""

    sentence = "Elasticsearch at {url} does not accept the {what}: {reason}."
    hint = "Mend what that names (an option, another template), then run the command again; it goes on where it stopped."


class PromisesBroken(Fatal):
    """An index has not what it must have."""

    sentence = "Entries sent to {alias!r} would be changed, refused, lost or not found: {what}."
    hint = "Each line marked 'broken' says what to do."


class Result(StrEnum):
    """What became of a request, or of a promise."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    OUTDATED = "outdated"
    """The write index is not as a new one would be."""
    LEFT_OUT = "left out"
    """The server cannot do it; the detail says what that means."""
    REMOVED = "removed"
    KEPT = "kept"
    WARNING = "warning"
    BROKEN = "broken"
    """An index has not what it must have: the command failed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done about one thing, for a person to read."""

    what: str
    result: Result
    detail: str = ""
    changes: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """A request, and what the server holds under its name: None if nothing."""

    request: Request
    held: Body | None
    changes: tuple[Difference, ...] = ()

    @property
    def needed(self) -> bool:
        """Sending it changes something."""
        return self.held is None or bool(self.changes)

    @property
    def foreign(self) -> bool:
        """What is there was not made by us; an index bears no mark."""
        return (
            self.request.kind is not Kind.INDEX
            and self.held is not None
            and _meta(self.held).get("managed_by") != OURS
        )

    @property
    def replaceable(self) -> bool:
        """Nothing of anybody else's is lost: it is ours, or has our content to the last field and another mark."""
        return not self.foreign or all(
            it.path.removeprefix("policy.").startswith("_meta") for it in self.changes
        )

    @property
    def newer(self) -> bool:
        """What is there has a higher version than ours; that of a policy is the server's own count of its changes."""
        ours = self.request.body.get("version")
        return self.held is not None and ours is not None and self.held.get("version", 0) > ours


def examine(cluster: Cluster, indices: Indices | None = None) -> list[Step]:
    """Compare the plan with what the server holds.

    Raises AliasIsIndex, NoWriteIndex, NoAlias and what the client raises.
    """
    write = require_alias(cluster)
    return [_step(cluster.client, it, write) for it in _requests(cluster, indices)]


def examine_templates(cluster: Cluster, indices: Indices | None = None) -> list[Step]:
    """Compare all but the indices: takes `monitor` alone, and `read_ilm` for a policy. Raises what the client raises."""
    requests = [it for it in _requests(cluster, indices) if it.kind is not Kind.INDEX]
    return [_step(cluster.client, it, None) for it in requests]


def install(
    cluster: Cluster, indices: Indices | None = None, *, force: bool = False, rollover: bool = False
) -> list[Outcome]:
    """Bring the server to the plan; a second run changes nothing, and says so.

    rollover  let it take effect at once, in a new index, if the write index is not as a new one would be.

    Indices are made only once a simulated one keeps all promises. Raises Foreign or NewerInstalled (unless `force`),
    AliasIsIndex, NoWriteIndex or NoAlias before anything is sent, NotAccepted, and what the client raises.
    """
    steps = _allowed(cluster, examine(cluster, indices), force=force)
    outcomes = [_carry_out(cluster, step) for step in steps if step.request.kind is not Kind.INDEX]
    missing = left_out(cluster.server, indices)
    outcomes += [Outcome(what, Result.LEFT_OUT, effect) for what, effect in missing.items()]
    lifecycle = managed(cluster.server, indices or Indices())
    found = invariants.of_next(cluster, lifecycle=lifecycle)
    outcomes += _violations(found)
    if any(it.severity is Severity.BROKEN for it in found):
        return outcomes
    outcomes += [_create(cluster, step) for step in steps if step.request.kind is Kind.INDEX]
    outcomes += _take_effect(cluster, rollover=rollover)
    return outcomes + _violations(invariants.of_write_index(cluster, lifecycle=lifecycle))


def require_invariants(outcomes: Iterable[Outcome], alias: str) -> None:
    """Raise PromisesBroken if there is a broken one among the outcomes."""
    broken = [f"{it.what}: {it.detail.partition('. ')[0]}" for it in outcomes if it.result is Result.BROKEN]
    if broken:
        raise PromisesBroken(alias=alias, what="; ".join(broken))


def calls(
    cluster: Cluster, indices: Indices | None = None, *, force: bool = False, rollover: bool = False
) -> list[Call]:
    """Tell what `install` would send now, in order; nothing if all is there. Raises as it does."""
    needed = [
        step.request for step in _allowed(cluster, examine(cluster, indices), force=force) if step.needed
    ]
    rolling = []
    if rollover and (write := write_index(cluster)):
        effective = any(it.kind in {Kind.COMPONENT, Kind.TEMPLATE} for it in needed)
        if effective or _outdated(cluster.client, write):
            rolling = [rollover_call(cluster.alias, write)]
    return [it.call for it in needed] + rolling


def _meta(body: Body) -> Body:
    meta: Body = body.get("policy", body).get("_meta") or {}
    return meta


def _requests(cluster: Cluster, indices: Indices | None) -> list[Request]:
    alias, templates = cluster.alias, cluster.client.cluster
    named = cluster.server.has(Feature.MISSING_COMPONENTS)
    custom = not named and bool(templates.exists_component_template(name=alias + CUSTOM))
    held = fetch(cluster.client, Request(Kind.COMPONENT, views_name(alias), {})) or {}
    met = views_in(held.get("template", {}).get("aliases", {}), alias)
    return plan(cluster.server, cluster.connection, indices, custom=custom, met=met)


def _step(client: Elasticsearch, request: Request, write: str | None) -> Step:
    if (
        "aliases" in request.body and write is not None
    ):  # the first index was made once, and may be deleted since
        return Step(replace(request, name=write), {})
    found = fetch(client, request)
    if found is None:
        return Step(request, None)
    # Of a policy a server tells its own count of changes as well, and who uses it.
    comparable = {"policy": found["policy"]} if request.kind is Kind.POLICY else found
    return Step(request, found, differences(comparable, request.body))


def _allowed(cluster: Cluster, steps: list[Step], *, force: bool) -> list[Step]:
    for step in () if force else steps:
        if not step.replaceable:
            raise Foreign(what=step.request.what, url=cluster.url)
        if step.newer:
            versions = {"installed": (step.held or {})["version"], "shipped": step.request.body["version"]}
            raise NewerInstalled(what=step.request.what, url=cluster.url, **versions)
    return steps


def _carry_out(cluster: Cluster, step: Step) -> Outcome:
    what = step.request.what
    if not step.needed:
        return Outcome(what, Result.UNCHANGED)
    try:
        send(cluster.client, step.request.call)
    except elasticsearch.BadRequestError as error:
        raise NotAccepted(url=cluster.url, what=what, reason=reason_of(error)) from None
    return Outcome(what, Result.CREATED if step.held is None else Result.UPDATED, changes=step.changes)


def _create(cluster: Cluster, step: Step) -> Outcome:
    """Create an index, unless it is there by now."""
    try:
        outcome = _carry_out(cluster, step)
    except NotAccepted:
        if fetch(cluster.client, step.request) is None:
            raise
        return Outcome(step.request.what, Result.UNCHANGED)  # somebody else created it first
    behind = ", ".join(step.request.body.get("aliases", ()))
    if behind and outcome.result is Result.CREATED:
        return Outcome(outcome.what, outcome.result, f"behind the alias {behind}")
    return outcome


def _take_effect(cluster: Cluster, *, rollover: bool) -> list[Outcome]:
    """Tell whether the write index is as a new one would be; if wanted, and it is not, begin a new one."""
    write = write_index(cluster)
    outdated = _outdated(cluster.client, write) if write else ()
    if write is None or not outdated:
        return []
    if not rollover:
        detail = "what is installed takes effect at the next rollover; --rollover does it now"
        if any(it.path.startswith(f"{cluster.alias}.") for it in outdated):
            detail += "; `indexer template views` adds views at once"
        return [Outcome(f"{Kind.INDEX} {write}", Result.OUTDATED, detail, outdated)]
    new = roll_over(cluster, write)
    detail = f"takes entries in place of {write} from now on"
    return [Outcome(f"{Kind.INDEX} {new}", Result.CREATED, detail)]


def _outdated(client: Elasticsearch, write: str) -> tuple[Difference, ...]:
    """What a new index would have and the write index has not."""
    wanted = invariants.simulated(client, write)
    held = client.indices.get(index=write, flat_settings=True)[write]
    return tuple(
        each
        for part in ("settings", "mappings", "aliases")
        for each in lacking(held.get(part, {}), wanted.get(part, {}))
    )


def _violations(found: Iterable[Violation]) -> list[Outcome]:
    return [Outcome(f"{it.where}", Result(it.severity.value), f"{it.what}. {it.hint}") for it in found]
