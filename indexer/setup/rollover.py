"""Rolling the alias over to a new index and deleting old ones: what lifecycle management does, for servers without it.

The index that is written gives way to the next one when it is old or large enough; an index is deleted when the time to
keep it has passed since it gave way. When that was, the creation date of the next index behind the alias tells: lifecycle
management goes by the same moment (`rollover_info`), but not every server shows it. Should indices in between be gone, one is
kept longer, never shorter. Never deleted: the write index, an index that is not behind the alias or does not bear its
name, and one with no later one behind the alias.

An index that has given way takes no more entries: a request that comes late, when others have looked there already and
found nothing, must not create a second copy.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import quote

import elasticsearch
from elasticsearch import Elasticsearch

from indexer.elastic.alias import backing, is_ours, next_index, number, write_index
from indexer.elastic.cluster import Cluster, connected
from indexer.elastic.failures import reason_of
from indexer.errors import Fatal
from indexer.events import Events
from indexer.polling import repeat
from indexer.settings import Connection, RolloverPolicy
from indexer.setup.plan import Body, Call


class CannotRollOver(Fatal):
    """The next index cannot be made."""

    sentence = "The alias {alias!r} on {url} cannot roll over from {index!r}: {reason}."
    hint = "Mend that, then run the command again; until then entries go on into the old index."


EVERY = 300.0
"""Seconds between looks; lifecycle management looks every ten minutes (`indices.lifecycle.poll_interval`)."""
POLICY = "index.lifecycle.name"
BLOCK = "index.blocks.write"
CLOCKLESS = {400, 403, 404, 405, 410}
"""What a server answers that does not tell us the time."""


@dataclass(frozen=True, slots=True)
class RolloverPlan:
    """What there is to do now."""

    alias: str
    managed: str | None
    """The lifecycle policy that does it already."""
    writing: str
    due: bool
    """The write index has to give way."""
    expired: tuple[str, ...]
    """Indices to delete, oldest first."""
    writable: tuple[str, ...]
    """Indices that have given way and still take entries."""

    def calls(self, rollover_policy: RolloverPolicy) -> list[Call]:
        """It as requests, in order."""
        rolling = [rollover_call(self.alias, self.writing, conditions(rollover_policy))] if self.due else []
        blocking = [Call("PUT", f"/{quote(index)}/_block/write") for index in self.to_block]
        return rolling + blocking + [Call("DELETE", f"/{quote(index)}") for index in self.expired]

    @property
    def to_block(self) -> list[str]:
        """Indices that are to take no more entries once this is done."""
        return [*self.writable, *([self.writing] if self.due else [])]


@dataclass(frozen=True, slots=True)
class RolloverResult:
    """What was done."""

    managed: str | None = None
    began: str | None = None
    """The index that takes entries from now on."""
    deleted: tuple[str, ...] = ()

    def sentences(self) -> Iterator[str]:
        """For people to read."""
        if self.managed is not None:
            yield f"Nothing to do: the server's lifecycle management does it (policy {self.managed})."
            return
        if self.began is not None:
            yield f"{self.began} takes entries from now on."
        yield from (f"{index} was old enough, and is deleted." for index in self.deleted)
        if self.began is None and not self.deleted:
            yield "Nothing is old or large enough yet."


def expired(
    created: Mapping[str, int], writing: str, alias: str, now: int, retained: int | None
) -> list[str]:
    """Decide which indices behind the alias to delete, oldest first.

    created   when each of them was created, and `now`, in milliseconds since 1970.
    retained  milliseconds that each is kept once it gave way to the next one; None for ever.
    """
    chain = sorted((index for index in created if is_ours(index, alias)), key=number)
    if retained is None:
        return []
    return [
        index for index, after in pairwise(chain) if index != writing and created[after] + retained <= now
    ]


def conditions(rollover_policy: RolloverPolicy) -> Body:
    """When to roll over (Elasticsearch guide, "Rollover API"); one of them is enough."""
    return {"max_age": rollover_policy.rollover_age, "max_primary_shard_size": rollover_policy.rollover_size}


def rollover_call(alias: str, writing: str, when: Body | None = None) -> Call:
    """The request that lets a certain index give way, and no other: sent twice, it is refused the second time."""
    target = next_index(writing)
    path = f"/{quote(alias)}/_rollover" + (f"/{quote(target)}" if target else "")
    return Call("POST", path, {"conditions": when} if when else None)


def roll_over(cluster: Cluster, writing: str, when: Body | None = None) -> str | None:
    """Let `writing` give way, if it is due; the index that takes entries instead, also if somebody else was quicker.

    None if it is not due. Raises CannotRollOver and what the client raises.
    """
    target = next_index(writing)
    try:
        answer = cluster.client.indices.rollover(alias=cluster.alias, new_index=target, conditions=when)
    except elasticsearch.BadRequestError as error:
        now = write_index(cluster)
        if now != writing:
            return now
        raise _cannot(cluster, writing, reason_of(error)) from None
    return str(answer["new_index"]) if answer["rolled_over"] else None


def _cannot(cluster: Cluster, index: str, reason: str) -> CannotRollOver:
    return CannotRollOver(alias=cluster.alias, url=cluster.url, index=index, reason=reason)


def look(cluster: Cluster, rollover_policy: RolloverPolicy) -> RolloverPlan:
    """Find out what there is to do. Raises NotInstalled, AliasIsIndex, NoWriteIndex and what the client raises."""
    client, alias, writing = cluster.client, cluster.alias, backing(cluster).write
    wanted = ["index.creation_date", POLICY, BLOCK]
    answer = client.indices.get_settings(index=alias, name=wanted, flat_settings=True)
    settings = {index: held["settings"] for index, held in answer.items()}
    if writing not in settings:
        raise _cannot(cluster, writing, "the alias was moved to another index just now")
    policy = settings[writing].get(POLICY)
    if policy is not None:
        return RolloverPlan(alias, policy, writing, due=False, expired=(), writable=())
    created = {index: int(held["index.creation_date"]) for index, held in settings.items()}
    old = expired(created, writing, alias, _now(client), rollover_policy.retained)
    due = _is_due(client, alias, writing, conditions(rollover_policy))
    writable = [
        index
        for index, held in settings.items()
        if index not in {writing, *old} and is_ours(index, alias) and held.get(BLOCK) != "true"
    ]
    return RolloverPlan(alias, None, writing, due, tuple(old), tuple(sorted(writable)))


def roll_over_if_due(cluster: Cluster, rollover_policy: RolloverPolicy) -> RolloverResult:
    """Do what there is to do. Safe when several do it at once. Raises CannotRollOver, and as `look` does."""
    client, found = cluster.client, look(cluster, rollover_policy)
    if found.managed is not None:
        return RolloverResult(managed=found.managed)
    began = roll_over(cluster, found.writing, conditions(rollover_policy)) if found.due else None
    for index in [index for index in found.to_block if began is not None or index != found.writing]:
        client.options(ignore_status=404).indices.add_block(index=index, block="write")
    refused = [error for index in found.expired if (error := _refusal(client, index)) is not None]
    if refused:
        raise refused[0]
    return RolloverResult(None, began, found.expired)


def _refusal(client: Elasticsearch, index: str) -> elasticsearch.ApiError | None:
    """Delete an index; what keeps that one (a block, a snapshot being taken) does not keep the others."""
    try:
        client.options(ignore_status=404).indices.delete(index=index)
    except elasticsearch.ApiError as error:
        return error
    return None


def _is_due(client: Elasticsearch, alias: str, writing: str, when: Body) -> bool:
    """An empty index is not, as with lifecycle management (`indices.lifecycle.rollover.only_if_has_documents`).

    While its primary shard is nowhere, nobody tells how much is in it: the conditions decide.
    """
    stats = client.indices.stats(index=writing, metric="docs", filter_path="_all.primaries.docs.count")
    if stats and not stats["_all"]["primaries"]["docs"]["count"]:
        return False
    try:
        answer = client.indices.rollover(alias=alias, conditions=when, dry_run=True)
    except elasticsearch.BadRequestError:
        return True  # the rollover itself tells what is in the way, or that somebody else was quicker
    return any(answer["conditions"].values())


def _now(client: Elasticsearch) -> int:
    """The server's time if it tells, else ours: a clock that goes wrong here must not cost anybody an index."""
    try:
        stats = client.nodes.stats(node_id="_local", metric="http", filter_path="nodes.*.timestamp")
    except elasticsearch.ApiError as error:
        if error.status_code not in CLOCKLESS:
            raise
        return int(time.time() * 1000)
    told = [node["timestamp"] for node in stats.get("nodes", {}).values()]
    return int(told[0] if told else time.time() * 1000)


def start_rollover_loop(
    connection: Connection, rollover_policy: RolloverPolicy, events: Events, stop: threading.Event
) -> None:
    """Begin to look again and again, in a thread of its own, until `stop`. What fails is told and tried again.

    Where the server does this already, that is told once, and the look goes on: it may do so no more tomorrow.
    """
    managed: str | None = None

    def work() -> None:
        nonlocal managed
        with connected(connection) as cluster:
            result = roll_over_if_due(cluster, rollover_policy)
        if result.began is not None:
            events.index_begun(result.began)
        for index in result.deleted:
            events.index_deleted(index)
        if result.managed not in {None, managed}:
            events.rollover_managed(str(result.managed))
        managed = result.managed

    repeat("rollover", work, EVERY, events.rollover_failed, stop).start()
