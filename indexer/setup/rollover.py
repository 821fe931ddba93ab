"""Rolling the alias over and deleting old indices: what lifecycle management does, for servers without it.

The write index is rolled over when it is old or large enough. An index is deleted when its retention time has passed since
it was rolled over. That moment is the creation date of the next index behind the alias; lifecycle management uses the same
moment (`rollover_info`), but not every server returns it. If indices in between are missing, an index is kept longer, never
shorter. Never deleted: the write index, an index that is not behind the alias or not named after it, and one without a
later one behind the alias.

A rolled over index is blocked for writing: a late request must not create a second copy of an entry there, after other
senders have looked for it in vain.
"""

import re
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
from indexer.elastic.server import Feature
from indexer.errors import Fatal
from indexer.events import Events
from indexer.polling import repeat
from indexer.settings import Connection, RolloverPolicy
from indexer.setup.plan import Body, Call


class CannotRollOver(Fatal):
    """The next index cannot be created."""

    sentence = "The alias {alias!r} on {url} cannot roll over from {index!r}: {reason}."
    hint = "Fix that, then run the command again; until then entries go into the old index."


EVERY = 300.0
"""Seconds between two runs; lifecycle management has ten minutes (`indices.lifecycle.poll_interval`)."""
POLICIES = ("index.lifecycle.name", "index.plugins.index_state_management.rollover_alias")
"""The setting of an index that lifecycle management manages, and of one that OpenSearch's plugin rolls over (ism.py)."""
BLOCK = "index.blocks.write"
SHARDS = "index.number_of_shards"
CLOCKLESS = {400, 403, 404, 405, 410}
"""The status of a server that does not return its time."""


@dataclass(frozen=True, slots=True)
class RolloverPlan:
    """What has to be done now."""

    alias: str
    managed: str | None
    """The lifecycle policy that already manages the write index."""
    write: str
    due: bool
    """The write index has to be rolled over."""
    expired: tuple[str, ...]
    """Indices to delete, oldest first."""
    writable: tuple[str, ...]
    """Rolled over indices that are not blocked for writing yet."""
    shards: int | None = None
    """As for `conditions`."""

    def calls(self, rollover_policy: RolloverPolicy) -> list[Call]:
        """The requests, in order."""
        rolling = (
            [rollover_call(self.alias, self.write, conditions(rollover_policy, self.shards))]
            if self.due
            else []
        )
        blocking = [Call("PUT", f"/{quote(index)}/_block/write") for index in self.to_block]
        return rolling + blocking + [Call("DELETE", f"/{quote(index)}") for index in self.expired]

    @property
    def to_block(self) -> list[str]:
        """Indices to block for writing."""
        return [*self.writable, *([self.write] if self.due else [])]


@dataclass(frozen=True, slots=True)
class RolloverResult:
    """What was done."""

    managed: str | None = None
    began: str | None = None
    """The new write index."""
    deleted: tuple[str, ...] = ()

    def sentences(self) -> Iterator[str]:
        """For people to read."""
        if self.managed is not None:
            yield f"Nothing to do: the server's lifecycle policy {self.managed} manages the indices."
            return
        if self.began is not None:
            yield f"{self.began} is the write index now."
        yield from (f"{index} is deleted: its retention time has passed." for index in self.deleted)
        if self.began is None and not self.deleted:
            yield "Nothing to do: no index is old or large enough."


def expired(created: Mapping[str, int], write: str, alias: str, now: int, retained: int | None) -> list[str]:
    """Decide which indices behind the alias to delete, oldest first.

    created   when each was created; like `now` in milliseconds since 1970.
    retained  milliseconds to keep an index after its rollover; None: never delete.
    """
    chain = sorted((index for index in created if is_ours(index, alias)), key=number)
    if retained is None:
        return []
    return [index for index, after in pairwise(chain) if index != write and created[after] + retained <= now]


def conditions(rollover_policy: RolloverPolicy, shards: int | None = None) -> Body:
    """When to roll over (Elasticsearch guide, "Rollover API"): if any condition is met.

    shards  how many primary shards the size is multiplied by, on a server that looks at all of them together
            (`Feature.SHARD_SIZE`).
    """
    age, size = rollover_policy.rollover_age, rollover_policy.rollover_size
    if shards is None:
        return {"max_age": age, "max_primary_shard_size": size}
    whole = re.sub(r"^\d+", lambda it: str(int(it[0]) * shards), size)
    return {"max_age": age, "max_size": whole}


def rollover_call(alias: str, write: str, when: Body | None = None) -> Call:
    """The request that rolls over this index and no other: sent twice, the second is rejected."""
    target = next_index(write)
    path = f"/{quote(alias)}/_rollover" + (f"/{quote(target)}" if target else "")
    return Call("POST", path, {"conditions": when} if when else None)


def roll_over(cluster: Cluster, write: str, when: Body | None = None) -> str | None:
    """Roll over `write`, if the conditions are met; returns the new write index, also if somebody else rolled over first.

    None if they are not met. Raises CannotRollOver and what the client raises.
    """
    target = next_index(write)
    try:
        answer = cluster.client.indices.rollover(alias=cluster.alias, new_index=target, conditions=when)
    except elasticsearch.BadRequestError as error:
        now = write_index(cluster)
        if now != write:
            return now
        raise _cannot(cluster, write, reason_of(error)) from None
    return str(answer["new_index"]) if answer["rolled_over"] else None


def _cannot(cluster: Cluster, index: str, reason: str) -> CannotRollOver:
    return CannotRollOver(alias=cluster.alias, url=cluster.url, index=index, reason=reason)


def managed_by(settings: Body) -> str | None:
    """The value of that of POLICIES which an index has; None if nothing but this program rolls it over."""
    return next((str(settings[name]) for name in POLICIES if name in settings), None)


def look(cluster: Cluster, rollover_policy: RolloverPolicy) -> RolloverPlan:
    """Find out what has to be done. Raises NotInstalled, AliasIsIndex, NoWriteIndex and what the client raises."""
    client, alias, write = cluster.client, cluster.alias, backing(cluster).write
    wanted = ["index.creation_date", *POLICIES, BLOCK, SHARDS]
    answer = client.indices.get_settings(index=alias, name=wanted, flat_settings=True)
    settings = {index: held["settings"] for index, held in answer.items()}
    if write not in settings:
        raise _cannot(cluster, write, "the alias was moved to another index just now")
    policy = managed_by(settings[write])
    if policy is not None:
        return RolloverPlan(alias, policy, write, due=False, expired=(), writable=())
    created = {index: int(held["index.creation_date"]) for index, held in settings.items()}
    old = expired(created, write, alias, _now(client), rollover_policy.retained)
    shards = None if cluster.server.has(Feature.SHARD_SIZE) else int(settings[write][SHARDS])
    due = _is_due(client, alias, write, conditions(rollover_policy, shards))
    writable = [
        index
        for index, held in settings.items()
        if index not in {write, *old} and is_ours(index, alias) and held.get(BLOCK) != "true"
    ]
    return RolloverPlan(alias, None, write, due, tuple(old), tuple(sorted(writable)), shards)


def roll_over_if_due(cluster: Cluster, rollover_policy: RolloverPolicy) -> RolloverResult:
    """Do what has to be done. Several processes may do it at once. Raises CannotRollOver, and as `look` does."""
    client, found = cluster.client, look(cluster, rollover_policy)
    if found.managed is not None:
        return RolloverResult(managed=found.managed)
    began = roll_over(cluster, found.write, conditions(rollover_policy, found.shards)) if found.due else None
    for index in [index for index in found.to_block if began is not None or index != found.write]:
        client.options(ignore_status=404).indices.add_block(index=index, block="write")
    refused = [error for index in found.expired if (error := _refusal(client, index)) is not None]
    if refused:
        raise refused[0]
    return RolloverResult(None, began, found.expired)


def _refusal(client: Elasticsearch, index: str) -> elasticsearch.ApiError | None:
    """Delete an index; return the error (a block, a running snapshot), so that the others are deleted first."""
    try:
        client.options(ignore_status=404).indices.delete(index=index)
    except elasticsearch.ApiError as error:
        return error
    return None


def _is_due(client: Elasticsearch, alias: str, write: str, when: Body) -> bool:
    """Whether the write index has to be rolled over; never if it is empty, as with lifecycle management.

    (`indices.lifecycle.rollover.only_if_has_documents`.) Without a primary shard its size is unknown: the conditions decide.
    """
    stats = client.indices.stats(index=write, metric="docs", filter_path="_all.primaries.docs.count")
    if stats and not stats["_all"]["primaries"]["docs"]["count"]:
        return False
    try:
        answer = client.indices.rollover(alias=alias, conditions=when, dry_run=True)
    except elasticsearch.BadRequestError:
        return True  # the rollover itself will report the reason, or that somebody else rolled over first
    return any(answer["conditions"].values())


def _now(client: Elasticsearch) -> int:
    """The server's time if it returns it, else ours: a wrong clock on this machine must not delete an index."""
    try:
        stats = client.nodes.stats(node_id="_local", metric="http", filter_path="nodes.*.timestamp")
    except elasticsearch.ApiError as error:
        if error.status_code not in CLOCKLESS:
            raise
        return int(time.time() * 1000)
    times = [node["timestamp"] for node in stats.get("nodes", {}).values()]
    return int(times[0] if times else time.time() * 1000)


def start_rollover_loop(
    connection: Connection, rollover_policy: RolloverPolicy, events: Events, stop: threading.Event
) -> None:
    """Start the rollover loop in a background thread, until `stop`. Failures are logged and retried.

    If the server's lifecycle management manages the index, that is logged once, and the loop goes on: it may be removed.
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
