"""`indexer run`: connects reading, writing, the pipeline and monitoring, and runs them."""

import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

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
from indexer.seals import require_seals
from indexer.seals.sealer import Sealer
from indexer.seals.sealing import Sealing
from indexer.settings import FOREVER, Connection, Delivery, LogFiles, Monitoring, RolloverPolicy, Seals, State
from indexer.setup.rollover import start_rollover_loop
from indexer.writing import checkpoint
from indexer.writing.bulk import Sender
from indexer.writing.checkpoint import Checkpoint
from indexer.writing.dead_letters import dead_letter_store
from indexer.writing.spool import DeadLetterFiles
from indexer.writing.target import Target

PROBE_EVERY = 2.0
"""Seconds between probes of a cluster that is not ready."""
LAST_SEALING = 2.0
LAST_SEALING_ONCE = 60.0
"""Seconds that a last sealing may take after a signal, and at the end of `--once`."""
PROBE_TIMEOUT = 4.0
"""Seconds for the answer to a probe, at most: a stop waits as long."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What to index, where to, and how."""

    logs: LogFiles
    connection: Connection
    state: State
    delivery: Delivery = field(default_factory=Delivery)
    once: bool = False
    """Index the existing log files, then stop."""
    rollover_policy: RolloverPolicy | None = None
    """Roll the alias over and delete old indices."""
    monitoring: Monitoring | None = None
    seals: Seals = field(default_factory=Seals)


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did."""

    totals: Totals
    unreadable: dict[str, str]
    """Files that could not be read to their end, with the reason."""


def run(options: RunOptions, events: Events, stop: threading.Event) -> Report:
    """Index log files until `stop` is set, or (`once`) the existing ones. Raises Fatal.

    Without `once` it waits for a cluster that cannot be reached or is not set up, and reports that to `events`.
    """
    logs, connection, once = options.logs, options.connection, options.once
    scope = logs.scope(connection, options.state)
    if once:
        files.require(logs.paths, scope)
    _raise_file_limit()
    with (
        checkpoint.StateDirectory(options.state.state_dir) as state,
        connect(connection) as client,
        _monitored(options, state, events) as broadcast,
    ):
        for each in checkpoint.open_to_others(state.directory):
            broadcast.state_open_to_others(each)
        cluster = Cluster(client, connection)
        alias = _wait_for_alias(cluster, broadcast, stop, once=once)
        if alias is None:
            return Report(Totals(), {})
        start = _start(state, cluster, broadcast)
        broadcast.connected(start.cluster, alias.write)
        if options.rollover_policy is not None:
            start_rollover_loop(connection, options.rollover_policy, broadcast, stop)
        if not once and not files.find(logs.paths, scope).found:
            broadcast.waiting(f"No log file at {', '.join(map(globbing.as_text, logs.paths))} yet.")
        limits = options.delivery
        spool = DeadLetterFiles(state.directory, limits.max_spool_bytes)
        spool.sweep(state)
        tail = Tail(
            logs.paths,
            start.files,
            limit=limits.max_line_bytes,
            once=once,
            events=broadcast,
            scope=scope,
            spool=spool,
        )
        target = Target(cluster, alias, start.write_index)
        sender = Sender(client, target, broadcast, stop)
        with _sealed(options, cluster, state, start, broadcast) as sealing:
            pipeline = Pipeline(
                tail=tail,
                sender=sender,
                dead_letters=dead_letter_store(cluster, sender, spool, limits.batch_bytes, broadcast, stop),
                delivery=delivering.Delivery(tail, target, state, start, broadcast, sealing),
                events=broadcast,
                batch_bytes=limits.batch_bytes,
                senders=limits.senders,
                sealing=sealing,
            )
            totals = pipeline.run(stop, limits.poll_interval, once=once) - start.totals
        broadcast.stopped(totals)
        return Report(totals, tail.failures if once else {})


@contextmanager
def _sealed(
    options: RunOptions,
    cluster: Cluster,
    state: checkpoint.StateDirectory,
    start: Checkpoint,
    events: Events,
) -> Iterator[Sealing | None]:
    """Yield what seals; None without a key. After a run that did not fail, it seals once more.

    Raises NoSeals, KeyUnusable, StateUnusable.
    """
    settings = options.seals
    if settings.seal_key_file is None:
        yield None
        return
    require_seals()
    from indexer.seals.keys import read_signer  # noqa: PLC0415 - it costs time and some megabytes

    signer = read_signer(settings.seal_key_file)
    policy = options.rollover_policy
    retain = policy.retain if policy and policy.retain != FOREVER else None
    every, anchor = settings.interval, settings.seal_anchor
    try:
        sealer = Sealer(
            cluster, state.directory, signer, events, start, every=every, retain=retain, anchor=anchor
        )
    except OSError as error:
        raise StateUnusable(path=state.directory, reason=error.strerror) from None
    sealing = Sealing(sealer, events, every)
    sealing.start()
    yield sealing
    sealing.finish(LAST_SEALING_ONCE if options.once else LAST_SEALING)


@contextmanager
def _monitored(options: RunOptions, state: checkpoint.StateDirectory, events: Events) -> Iterator[Events]:
    """Yield the listener for all events; with an address, metrics and health are served. Raises CannotListen."""
    address = options.monitoring.monitoring_address if options.monitoring else None
    if address is None:
        yield Broadcast(events)
        return
    from indexer.monitoring.service import monitored  # noqa: PLC0415 - it costs time and some megabytes

    with monitored(address, options.connection, state.directory, events) as broadcast:
        yield broadcast


def _raise_file_limit() -> None:
    """Each log is held open while it is read, so that its deletion loses nothing."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _wait_for_alias(cluster: Cluster, events: Events, stop: threading.Event, *, once: bool) -> Backing | None:
    if not once:
        seconds = min(cluster.connection.request_timeout, PROBE_TIMEOUT)
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
            stop.wait(PROBE_EVERY)
    return None


def _start(state: checkpoint.StateDirectory, cluster: Cluster, events: Events) -> Checkpoint:
    """The checkpoint to go on from. Raises StateUnusable if it belongs to another cluster or alias."""
    alias, uuid = cluster.alias, _cluster_uuid(cluster.client)
    found, damaged = state.load()
    if damaged:
        aside = state.directory / checkpoint.DAMAGED
        reason = f"it was damaged and is now {aside}; all logs are read again"
        events.checkpoint_failed(str(state.directory), reason)
    for ours, theirs, what in ((alias, found.alias, "alias"), (uuid, found.cluster, "cluster")):
        if ours is not None and theirs is not None and ours != theirs:
            reason = f"its checkpoint belongs to {what} {theirs!r}, and this is {ours!r}"
            raise StateUnusable(path=state.directory, reason=reason)
    return replace(found, cluster=uuid or found.cluster, alias=alias)


def _cluster_uuid(client: Elasticsearch) -> str | None:
    """The cluster's uuid, if the user may read it."""
    try:
        prompt = client.options(request_timeout=PROBE_TIMEOUT)
        with reading_answer():
            uuid = prompt.cluster.state(metric="version", filter_path="cluster_uuid").get("cluster_uuid")
    except (elasticsearch.ApiError, elastic_transport.TransportError):
        return None
    return str(uuid) if uuid else None
