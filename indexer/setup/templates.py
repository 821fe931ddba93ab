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

from indexer.elastic.alias import must_be_installed, write_index
from indexer.elastic.client import Server, display_url
from indexer.errors import Fatal
from indexer.settings import Connection, Indices
from indexer.setup import invariants
from indexer.setup.compare import Difference, differences, lacking
from indexer.setup.invariants import Severity, Violation
from indexer.setup.plan import CUSTOM, OURS, Body, Call, Kind, Request, left_out, managed, plan, views_name
from indexer.setup.requests import fetch, reason_of, send
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


def examine(
    client: Elasticsearch, connection: Connection, server: Server, indices: Indices | None = None
) -> list[Step]:
    """Compare the plan with what the server holds.

    Raises AliasIsIndex, NoWriteIndex, NoAlias and what the client raises.
    """
    writing = must_be_installed(client, connection)
    return [_step(client, it, writing) for it in _requests(client, connection, server, indices)]


def examine_templates(
    client: Elasticsearch, connection: Connection, server: Server, indices: Indices | None = None
) -> list[Step]:
    """Compare all but the indices: takes `monitor` alone, and `read_ilm` for a policy. Raises what the client raises."""
    requests = _requests(client, connection, server, indices)
    return [_step(client, it, None) for it in requests if it.kind is not Kind.INDEX]


def install(
    client: Elasticsearch,
    connection: Connection,
    server: Server,
    indices: Indices | None = None,
    *,
    force: bool = False,
    rollover: bool = False,
) -> list[Outcome]:
    """Bring the server to the plan; a second run changes nothing, and says so.

    rollover  let it take effect at once, in a new index, if the write index is not as a new one would be.

    Indices are made only once a simulated one keeps all promises. Raises Foreign or NewerInstalled (unless `force`),
    AliasIsIndex, NoWriteIndex or NoAlias before anything is sent, NotAccepted, and what the client raises.
    """
    steps = _allowed(examine(client, connection, server, indices), connection, force=force)
    templates = [it for it in steps if it.request.kind is not Kind.INDEX]
    outcomes = [_carry_out(client, connection, step) for step in templates]
    outcomes += [
        Outcome(what, Result.LEFT_OUT, without) for what, without in left_out(server, indices).items()
    ]
    lifecycle = managed(server, indices or Indices())
    found = invariants.of_next(client, connection, server, lifecycle=lifecycle)
    outcomes += _told(found)
    if any(it.severity is Severity.BROKEN for it in found):
        return outcomes
    outcomes += [_create(client, connection, step) for step in steps if step.request.kind is Kind.INDEX]
    outcomes += _take_effect(client, connection, rollover=rollover)
    return outcomes + _told(invariants.of_write_index(client, connection, server, lifecycle=lifecycle))


def require_invariants(outcomes: Iterable[Outcome], connection: Connection) -> None:
    """Raise PromisesBroken if there is a broken one among the outcomes."""
    broken = [f"{it.what}: {it.detail.partition('. ')[0]}" for it in outcomes if it.result is Result.BROKEN]
    if broken:
        raise PromisesBroken(alias=connection.alias, what="; ".join(broken))


def calls(
    client: Elasticsearch,
    connection: Connection,
    server: Server,
    indices: Indices | None = None,
    *,
    force: bool = False,
    rollover: bool = False,
) -> list[Call]:
    """Tell what `install` would send now, in order; nothing if all is there. Raises as it does."""
    steps = _allowed(examine(client, connection, server, indices), connection, force=force)
    needed = [step for step in steps if step.needed]
    writing = write_index(client, connection)
    effective = any(it.request.kind in {Kind.COMPONENT, Kind.TEMPLATE} for it in needed)
    if rollover and writing and (effective or _outdated(client, writing)):
        return [it.request.call for it in needed] + [rollover_call(connection.alias, writing)]
    return [it.request.call for it in needed]


def _meta(body: Body) -> Body:
    meta: Body = body.get("policy", body).get("_meta") or {}
    return meta


def _requests(
    client: Elasticsearch, connection: Connection, server: Server, indices: Indices | None
) -> list[Request]:
    name = connection.alias + CUSTOM
    custom = not server.ignores_missing_components and client.cluster.exists_component_template(name=name)
    there = fetch(client, Request(Kind.COMPONENT, views_name(connection.alias), {})) or {}
    met = views_in(there.get("template", {}).get("aliases", {}), connection.alias)
    return plan(server, connection, indices, custom=bool(custom), met=met)


def _step(client: Elasticsearch, request: Request, writing: str | None) -> Step:
    if "aliases" in request.body and writing is not None:  # it was made once, and may be long gone
        return Step(replace(request, name=writing), {})
    found = fetch(client, request)
    if found is None:
        return Step(request, None)
    # Of a policy a server tells its own count of changes as well, and who uses it.
    comparable = {"policy": found["policy"]} if request.kind is Kind.POLICY else found
    return Step(request, found, differences(comparable, request.body))


def _allowed(steps: list[Step], connection: Connection, *, force: bool) -> list[Step]:
    for step in steps:
        if force:
            return steps
        if not step.replaceable:
            raise Foreign(what=step.request.what, url=display_url(connection))
        if step.newer:
            versions = {"installed": (step.held or {})["version"], "shipped": step.request.body["version"]}
            raise NewerInstalled(what=step.request.what, url=display_url(connection), **versions)
    return steps


def _carry_out(client: Elasticsearch, connection: Connection, step: Step) -> Outcome:
    what = step.request.what
    if not step.needed:
        return Outcome(what, Result.UNCHANGED)
    try:
        send(client, step.request.call)
    except elasticsearch.BadRequestError as error:
        raise NotAccepted(url=display_url(connection), what=what, reason=reason_of(error)) from None
    return Outcome(what, Result.CREATED if step.held is None else Result.UPDATED, changes=step.changes)


def _create(client: Elasticsearch, connection: Connection, step: Step) -> Outcome:
    """Create an index, unless it is there by now."""
    try:
        outcome = _carry_out(client, connection, step)
    except NotAccepted:
        if fetch(client, step.request) is None:
            raise
        return Outcome(step.request.what, Result.UNCHANGED)  # somebody else was quicker
    behind = ", ".join(step.request.body.get("aliases", ()))
    if behind and outcome.result is Result.CREATED:
        return Outcome(outcome.what, outcome.result, f"behind the alias {behind}")
    return outcome


def _take_effect(client: Elasticsearch, connection: Connection, *, rollover: bool) -> list[Outcome]:
    """Tell whether the write index is as a new one would be; if wanted, and it is not, begin a new one."""
    writing = write_index(client, connection)
    outdated = _outdated(client, writing) if writing else ()
    if writing is None or not outdated:
        return []
    if not rollover:
        detail = "what is installed takes effect at the next rollover; --rollover does it now"
        if any(it.path.startswith(f"{connection.alias}.") for it in outdated):
            detail += "; `indexer template views` adds views at once"
        return [Outcome(f"{Kind.INDEX} {writing}", Result.OUTDATED, detail, outdated)]
    new = roll_over(client, connection, writing)
    return [
        Outcome(f"{Kind.INDEX} {new}", Result.CREATED, f"takes entries in place of {writing} from now on")
    ]


def _outdated(client: Elasticsearch, writing: str) -> tuple[Difference, ...]:
    """What a new index would have and the write index has not."""
    wanted = invariants.simulated(client, writing)
    there = client.indices.get(index=writing, flat_settings=True)[writing]
    return tuple(
        each
        for part in ("settings", "mappings", "aliases")
        for each in lacking(there.get(part, {}), wanted.get(part, {}))
    )


def _told(found: Iterable[Violation]) -> list[Outcome]:
    return [Outcome(f"{it.where}", Result(it.severity.value), f"{it.what}. {it.hint}") for it in found]
