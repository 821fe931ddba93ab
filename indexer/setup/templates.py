"""Installing the plan: what the server holds is compared with it, and only what is missing or differs is sent.

Existing indices are not changed: templates apply to indices created later. `examine` compares, `install` sends, and `calls`
returns what it would send. What somebody else or a newer version of this program has installed is replaced only with force.
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
    """Something under one of our names was not installed by this program."""

    sentence = "The {what} on {url} was not installed by this program."
    hint = "Choose another --alias, rename the other one, or replace it with --force."


class NewerInstalled(Fatal):
    """A newer version of this program has installed it."""

    sentence = "The {what} on {url} has version {installed}, newer than version {shipped} of this program."
    hint = "Upgrade this program, or downgrade with --force."


class NotAccepted(Fatal):
    """The server rejects a request: an invalid policy, a template that contradicts another."""

    sentence = "Elasticsearch at {url} does not accept the {what}: {reason}."
    hint = (
        "Fix the option or template that it names, then run the command again; it continues where it stopped."
    )


class InvariantsViolated(Fatal):
    """An index violates an invariant."""

    sentence = "Entries sent to {alias!r} would be changed, rejected, lost or not found: {what}."
    hint = "Each line marked 'broken' says what to do."


class Result(StrEnum):
    """The result of a request, or of checking an invariant."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    OUTDATED = "outdated"
    """The write index differs from what a new one would be."""
    LEFT_OUT = "left out"
    """The server does not support it; the detail says what that means."""
    REMOVED = "removed"
    KEPT = "kept"
    WARNING = "warning"
    BROKEN = "broken"
    """An index violates an invariant: the command fails."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done with one thing, for people to read."""

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
        """It was not installed by this program; an index has no mark."""
        return (
            self.request.kind is not Kind.INDEX
            and self.held is not None
            and _meta(self.held).get("managed_by") != OURS
        )

    @property
    def replaceable(self) -> bool:
        """It is ours, or differs from ours in nothing but the mark."""
        return not self.foreign or all(
            it.path.removeprefix("policy.").startswith("_meta") for it in self.changes
        )

    @property
    def newer(self) -> bool:
        """It has a higher version than ours; a policy's version is the server's own count of changes."""
        ours = self.request.body.get("version")
        return self.held is not None and ours is not None and self.held.get("version", 0) > ours


def examine(cluster: Cluster, indices: Indices | None = None) -> list[Step]:
    """Compare the plan with what the server holds.

    Raises AliasIsIndex, NoWriteIndex, NoAlias and what the client raises.
    """
    # The alias is looked up by HEAD, and the refusal of a HEAD has no reason: GET first.
    requests = _requests(cluster, indices)
    write = require_alias(cluster)
    return [_step(cluster.client, it, write) for it in requests]


def examine_templates(cluster: Cluster, indices: Indices | None = None) -> list[Step]:
    """Compare all but the indices; needs only `monitor`, and `read_ilm` for a policy. Raises what the client raises."""
    requests = [it for it in _requests(cluster, indices) if it.kind is not Kind.INDEX]
    return [_step(cluster.client, it, None) for it in requests]


def install(
    cluster: Cluster, indices: Indices | None = None, *, force: bool = False, rollover: bool = False
) -> list[Outcome]:
    """Install the plan; a second run changes nothing.

    rollover  roll over if the write index differs from what a new one would be.

    Indices are created only if a simulated one violates no invariant. Raises Foreign or NewerInstalled (unless `force`),
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
    """Raise InvariantsViolated if an outcome is broken."""
    broken = [f"{it.what}: {it.detail.partition('. ')[0]}" for it in outcomes if it.result is Result.BROKEN]
    if broken:
        raise InvariantsViolated(alias=alias, what="; ".join(broken))


def calls(
    cluster: Cluster, indices: Indices | None = None, *, force: bool = False, rollover: bool = False
) -> list[Call]:
    """The requests that `install` would send now, in order. Raises as it does."""
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
    # With a policy, a server also returns its own count of changes and where it is used.
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
    """Create an index, unless it exists by now."""
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
    """Report whether the write index differs from what a new one would be; with `rollover`, roll over if so."""
    write = write_index(cluster)
    outdated = _outdated(cluster.client, write) if write else ()
    if write is None or not outdated:
        return []
    if not rollover:
        detail = "changes take effect at the next rollover, or at once with --rollover"
        if any(it.path.startswith(f"{cluster.alias}.") for it in outdated):
            detail += "; `indexer template views` adds views at once"
        return [Outcome(f"{Kind.INDEX} {write}", Result.OUTDATED, detail, outdated)]
    new = roll_over(cluster, write)
    detail = f"replaces {write} as the write index"
    return [Outcome(f"{Kind.INDEX} {new}", Result.CREATED, detail)]


def _outdated(client: Elasticsearch, write: str) -> tuple[Difference, ...]:
    """What a new index would have and the write index lacks."""
    wanted = invariants.simulated(client, write)
    held = client.indices.get(index=write, flat_settings=True)[write]
    return tuple(
        each
        for part in ("settings", "mappings", "aliases")
        for each in lacking(held.get(part, {}), wanted.get(part, {}))
    )


def _violations(found: Iterable[Violation]) -> list[Outcome]:
    return [Outcome(f"{it.where}", Result(it.severity.value), f"{it.what}. {it.hint}") for it in found]
