"""`indexer run`: everything that is needed is checked or waited for, put together, run, and let go."""

import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import elastic_transport
import elasticsearch
from elasticsearch import Elasticsearch

from indexer import delivery as delivering
from indexer.elastic.alias import Backing, backing
from indexer.elastic.client import connect, translate_errors
from indexer.elastic.cluster import Cluster
from indexer.elastic.failures import reading_answer
from indexer.errors import Fatal, StateUnusable
from indexer.events import Broadcast, Events, Totals
from indexer.pipeline import Pipeline
from indexer.reading import files, globbing
from indexer.reading.tail import Tail
from indexer.settings import Connection, Delivery, LogFiles, Monitoring, RolloverPolicy, State
from indexer.setup.rollover import start_rollover_loop
from indexer.writing import checkpoint
from indexer.writing.bulk import Sender
from indexer.writing.checkpoint import Checkpoint
from indexer.writing.dead_letters import PROMPT, DeadLetterStore
from indexer.writing.spool import DeadLetterFiles
from indexer.writing.target import Target

ASK_AGAIN = 2.0
"""Seconds between looks whether a cluster that is not ready has become so."""
ANSWERED_WITHIN = 4.0
"""Seconds for an answer to such a look, at most: a stop waits as long."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did."""

    totals: Totals
    unreadable: dict[str, str]
    """Files that could not be read to their end, with the reason."""


def run(
    logs: LogFiles,
    connection: Connection,
    delivery: Delivery,
    state: State,
    events: Events,
    stop: threading.Event,
    *,
    once: bool,
    rollover_policy: RolloverPolicy | None = None,
    monitoring: Monitoring | None = None,
) -> Report:
    """Index log files until `stop` is set, or (`once`) what is there. Raises Fatal.

    Without `once` it waits for a cluster that is not there or not set up, and says so to `events`. With `ageing` it
    rolls the alias over and deletes old indices as well; with an address in `monitoring` it can be watched there.
    """
    scope = logs.scope(connection, state)
    if once:
        files.require(logs.paths, scope)
    _allow_many_files()
    with (
        checkpoint.StateDirectory(state.state_dir) as held,
        connect(connection) as client,
        _watched(monitoring, connection, held, events) as told,
    ):
        for each in checkpoint.open_to_others(held.directory):
            told.state_open_to_others(each)
        cluster = Cluster(client, connection)
        behind = _wait_for_alias(cluster, told, stop, once=once)
        if behind is None:
            return Report(Totals(), {})
        start = _start(held, client, connection, told)
        told.connected(start.cluster, behind.write)
        if rollover_policy is not None:
            start_rollover_loop(connection, rollover_policy, told, stop)
        if not files.find(logs.paths, scope).found and not once:
            told.waiting(f"No log file at {', '.join(map(globbing.as_text, logs.paths))} yet.")
        local = DeadLetterFiles(held.directory, delivery.max_spool_bytes)
        local.sweep(held)
        tail = Tail(
            logs.paths,
            start.files,
            limit=delivery.max_line_bytes,
            once=once,
            events=told,
            scope=scope,
            spool=local,
        )
        target = Target(cluster, behind, start.write_index)
        sender = Sender(client, target, told, stop)
        pipeline = Pipeline(
            tail=tail,
            sender=sender,
            dead_letters=_dead_letters(client, connection, delivery, local, told, stop, sender),
            delivery=delivering.Delivery(tail, target, held, start, told),
            events=told,
            batch_bytes=delivery.batch_bytes,
            senders=delivery.senders,
        )
        totals = pipeline.run(stop, delivery.poll_interval, once=once) - start.totals
        told.stopped(totals)
        return Report(totals, tail.failures if once else {})


def _dead_letters(
    client: Elasticsearch,
    connection: Connection,
    delivery: Delivery,
    local: DeadLetterFiles,
    events: Events,
    stop: threading.Event,
    sender: Sender,
) -> DeadLetterStore:
    prompt = client.options(request_timeout=min(connection.request_timeout, PROMPT))
    return DeadLetterStore(
        prompt, connection.rejected, local, delivery.batch_bytes, events, stop, sender.accepts_probe
    )


@contextmanager
def _watched(
    monitoring: Monitoring | None, connection: Connection, held: checkpoint.StateDirectory, events: Events
) -> Iterator[Events]:
    """Give the listener to tell; with an address, what it is told can be seen there. Raises CannotListen."""
    if monitoring is None or monitoring.monitoring_address is None:
        yield Broadcast(events)
        return
    from indexer.monitoring.service import monitored  # noqa: PLC0415 - it costs a while and some megabytes

    with monitored(monitoring.monitoring_address, connection, held.directory, events) as told:
        yield told


def _allow_many_files() -> None:
    """Each log being read is held open, so that its deletion loses nothing."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _wait_for_alias(cluster: Cluster, events: Events, stop: threading.Event, *, once: bool) -> Backing | None:
    if not once:
        seconds = min(cluster.connection.request_timeout, ANSWERED_WITHIN)
        connection = replace(cluster.connection, request_timeout=seconds)
        cluster = Cluster(cluster.client.options(request_timeout=seconds), connection)
    while not stop.is_set():
        try:
            with translate_errors(cluster.connection):
                return backing(cluster)
        except Fatal as reason:
            if once or not reason.retryable:
                raise
            events.waiting(str(reason))
            stop.wait(ASK_AGAIN)
    return None


def _start(
    held: checkpoint.StateDirectory, client: Elasticsearch, connection: Connection, events: Events
) -> Checkpoint:
    """The checkpoint to go on from. Raises StateUnusable if it speaks of another cluster or alias."""
    cluster = _cluster(client)
    found, damaged = held.load()
    if damaged:
        aside = held.directory / checkpoint.DAMAGED
        events.checkpoint_failed(
            str(held.directory), f"it was damaged, and is now {aside}; all logs are read anew"
        )
    for ours, theirs, what in ((connection.alias, found.alias, "alias"), (cluster, found.cluster, "cluster")):
        if ours is not None and theirs is not None and ours != theirs:
            reason = f"its checkpoint speaks of {what} {theirs!r}, and this is {ours!r}"
            raise StateUnusable(path=held.directory, reason=reason)
    return Checkpoint(
        cluster or found.cluster, connection.alias, found.write_index, found.totals, found.files
    )


def _cluster(client: Elasticsearch) -> str | None:
    """The cluster's uuid, if we may know it."""
    try:
        prompt = client.options(request_timeout=ANSWERED_WITHIN)
        with reading_answer():
            uuid = prompt.cluster.state(metric="version", filter_path="cluster_uuid").get("cluster_uuid")
    except (elasticsearch.ApiError, elastic_transport.TransportError):
        return None
    return str(uuid) if uuid else None
