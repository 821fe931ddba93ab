"""`indexer status`: the state of the delivery, from the running indexer or the checkpoint, and from the cluster."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from elasticsearch import AuthorizationException

from indexer.elastic import fields as counting
from indexer.elastic.alias import backing
from indexer.elastic.cluster import Cluster, connected
from indexer.elastic.fields import Fields, Ignored
from indexer.elastic.last_seals import LastSeal, last_seals
from indexer.errors import Fatal
from indexer.events import Totals
from indexer.monitoring import discovery
from indexer.monitoring.discovery import RunningIndexer
from indexer.monitoring.sealing import Sealing
from indexer.reading import files
from indexer.reading.files import Scope
from indexer.settings import Connection, LogFiles, State
from indexer.show import Cell, Share, Table
from indexer.writing import checkpoint

STATS = (
    "indices.*.primaries.docs,indices.*.primaries.store,indices.*.primaries.segments.index_writer_memory_in_bytes,"
    "indices.*.shards.*.routing.primary,indices.*.shards.*.seq_no.max_seq_no"
)


@dataclass(frozen=True, slots=True)
class LogStatus:
    """A log file. Offsets, sizes and lag in bytes."""

    path: str
    state: str
    """following, finished, waiting (found, not read yet), or gone."""
    delivered: int
    size: int | None
    lag: int | None
    """None for an archive that was not read yet."""
    lag_seconds: float | None = None
    """Seconds since the oldest undelivered byte was found; only a running indexer knows it."""


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """An index behind the alias."""

    index: str
    writing: bool
    entries: int
    """As of the last refresh."""
    unsearchable: int
    """Entries since the last refresh: acknowledged, but not found by searches yet. An upper limit if some were deleted."""
    bytes: int
    lifecycle: str | None
    """Name of its lifecycle policy."""


@dataclass(frozen=True, slots=True)
class Status:
    """The state of the delivery, without reading a log."""

    alias: str
    state_dir: str
    totals: Totals
    logs: tuple[LogStatus, ...]
    indices: tuple[IndexStatus, ...]
    rejected: int | None
    """Rejected lines that are kept, in the index and in files."""
    problem: str | None
    """Why the cluster could not be asked."""
    fields: Fields | None = None
    """Mapped fields of the write index and their limit; None if the cluster could not be asked."""
    ignored: Ignored | None = None
    """Entries with ignored values; None without the privilege `read`."""
    seals: tuple[LastSeal, ...] | None = None
    """The newest signed checkpoints; None without the privilege `read`, or if the cluster could not be asked."""
    running: RunningIndexer | None = None
    """The indexer that runs with this state directory and answers: then totals and logs are its own."""
    indexer_problem: str | None = None
    """Why an indexer that should run does not: it announced its address and was not stopped, but has ended."""

    @property
    def well(self) -> bool:
        """Whether the cluster answers, and the indexer too if one should run."""
        return self.problem is None and self.indexer_problem is None

    def tables(self) -> Iterable[Table]:
        """The tables for a terminal."""
        yield from self._indexer()
        done = self.totals
        counts: tuple[tuple[Cell, ...], ...] = (
            ("read", done.read),
            ("created", done.created),
            ("duplicates", done.duplicates),
            ("rejected", done.rejected),
            ("blank", done.blank),
        )
        yield Table("Lines since this state directory was created", ("What", "Lines"), counts, "")
        logs = tuple(
            (log.path, log.state, log.delivered, log.size, log.lag, _span(log.lag_seconds))
            for log in self.logs
        )
        nothing = f"No log file was read yet with the state directory {self.state_dir}."
        yield Table("Log files", ("File", "State", "Delivered", "Size", "Lag", "For"), logs, nothing)
        indices = tuple((i.index, i.writing, i.entries, i.bytes, i.lifecycle or "none") for i in self.indices)
        columns = ("Index", "Written", "Entries", "Bytes", "Lifecycle")
        yield Table(f"Behind the alias {self.alias}", columns, indices, self.problem or "No index.")
        fresh = tuple((it.index, it.unsearchable) for it in self.indices if it.unsearchable)
        if fresh:
            yield Table(
                "Not searchable yet, until the next refresh", ("Index", "More entries, at most"), fresh, ""
            )
        if self.seals is not None:
            yield _seals(self.seals, datetime.now(UTC))
        if self.fields is not None:
            yield Table("Fields", ("What", "Count", "Of", "Share"), tuple(self._growth(self.fields)), "")

    def _indexer(self) -> Iterator[Table]:
        it = self.running
        rows: tuple[tuple[Cell, ...], ...] = ()
        if it is not None:
            times = _span(it.uptime), _span(it.acknowledged), _span(it.checkpoint)
            sealed = _sealed(it.sealing)
            rows = ((it.ready, *times, sealed, it.batches, it.bytes, it.retries),)
        columns = ("Ready", "Up", "Acknowledged", "Checkpoint", "Sealed", "In flight", "Bytes", "Retries")
        reason = self.indexer_problem or "No indexer serves its status (`indexer run --monitoring-address`)."
        nothing = f"{reason} The numbers are those of the last checkpoint."
        yield Table("The running indexer", columns, rows, nothing)
        if it is not None and it.problems:
            yield Table("Not ready", ("Why",), tuple((problem,) for problem in it.problems), "")

    def _growth(self, fields: Fields) -> Iterator[tuple[Cell, ...]]:
        used = Share(fields.mapped, fields.limit)
        yield f"mapped in {fields.index}, of its limit", fields.mapped, fields.limit, used
        if self.ignored is not None:
            entries = sum(index.entries for index in self.indices)
            share = Share(self.ignored.entries, entries)
            what = f"entries with {self.ignored.values} that searches do not find"
            yield what, self.ignored.entries, entries, share


def _sealed(sealing: Sealing | None) -> Cell:
    """When the running indexer sealed last."""
    if sealing is None:
        return "off"
    return "not yet" if sealing.age is None else _span(sealing.age)


def _seals(seals: Iterable[LastSeal], now: datetime) -> Table:
    rows = tuple(
        (it.log, it.sealed, _span(it.every), it.size, "overdue" if it.overdue(now) else "in time")
        for it in seals
    )
    nothing = "Nothing is sealed. `indexer run --seal-key-file FILE` seals."
    return Table("Seals", ("Seal log", "Last sealed (UTC)", "Due each", "Leaves", "State"), rows, nothing)


def _span(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def status(logs: LogFiles, connection: Connection, state: State) -> Status:
    """Look at the files, the state directory, the indexer and the cluster. Raises StateUnusable."""
    return with_cluster(local_status(logs, connection, state), connection, state)


def local_status(logs: LogFiles, connection: Connection, state: State) -> Status:
    """The status without the cluster. Raises StateUnusable."""
    remembered = checkpoint.read(state.state_dir) or checkpoint.Checkpoint()
    found = {log.path: log for log in _logs(logs.paths, remembered, logs.scope(connection, state))}
    totals = remembered.totals
    announced = discovery.announced(state.state_dir)
    it = discovery.ask(state.state_dir)
    problem = None
    if it is not None:
        found |= {
            path: LogStatus(path, "following", log.delivered, log.size, log.lag, log.lag_seconds)
            for path, log in it.logs.items()
        }
        totals = it.totals or totals
    elif (
        announced
        and discovery.announced(state.state_dir) == announced  # else it has just stopped
        and not checkpoint.in_use(state.state_dir)  # else it cannot be reached from here: another container
    ):
        problem = (
            f"The indexer at {announced.address} does not answer, and was not stopped. Start it again; if none should run, "
            f"delete {state.state_dir / discovery.NAME}."
        )
    return Status(
        connection.alias,
        str(state.state_dir),
        totals,
        tuple(found[path] for path in sorted(found)),
        indices=(),
        rejected=None,
        problem=None,
        running=it,
        indexer_problem=problem,
    )


def with_cluster(known: Status, connection: Connection, state: State) -> Status:
    """Add what the cluster reports, or why it does not."""
    kept = len(list((state.state_dir / "rejected").glob("*.json")))
    try:
        with connected(connection) as cluster:
            return _with_cluster(known, cluster, kept)
    except Fatal as reason:
        return replace(known, problem=str(reason))


def _logs(paths: Iterable[str], remembered: checkpoint.Checkpoint, scope: Scope) -> Iterable[LogStatus]:
    known = {record.key: record for record in remembered.files}
    found = {
        facts.key: facts
        for facts in files.find([*paths, *(record.path for record in remembered.files)], scope).found
    }
    for key, facts in found.items():
        record = known.get(key)
        offset = record.offset if record else 0
        finished = record is not None and record.ended and record.size == facts.size
        lag = 0 if finished else None if facts.archive else max(0, facts.size - offset)
        state = "finished" if finished else "following" if record else "waiting"
        yield LogStatus(facts.name, state, offset, facts.size, lag)
    for key, record in known.items():
        if key not in found:
            yield LogStatus(record.path, "gone", record.offset, None, max(0, record.size - record.offset))


def _unsearchable(stats: Mapping[str, Any]) -> int:
    """Entries since the last refresh; 0 if the index writer's memory is empty, that is, all of them are in segments.

    Each operation of a primary shard has a number and belongs to a document or a deleted one; merges drop the latter
    (measured on 7.17.28, 8.19.16 and 9.1.5).
    """
    if not stats["primaries"]["segments"]["index_writer_memory_in_bytes"]:
        return 0
    copies = (copy for copies in stats.get("shards", {}).values() for copy in copies)
    operations = sum(it["seq_no"]["max_seq_no"] + 1 for it in copies if it["routing"]["primary"])
    docs = stats["primaries"]["docs"]
    return int(max(0, operations - docs["count"] - docs["deleted"]))


def _with_cluster(known: Status, cluster: Cluster, kept: int) -> Status:
    """Add what the cluster says. Raises Fatal, or what the client raises."""
    client, connection, behind = cluster.client, cluster.connection, backing(cluster)
    stats: dict[str, Any] = {}
    # By name: a pattern may match indices that this user may not read.
    for name in (connection.alias, connection.rejected):
        answer = client.options(ignore_status=404).indices.stats(
            index=name, metric="docs,store,segments", level="shards", filter_path=STATS
        )
        stats |= answer.get("indices", {})
    settings = client.indices.get_settings(
        index=",".join(behind.indices), name="index.lifecycle.name", flat_settings=True
    )
    indices = tuple(
        IndexStatus(
            name,
            name == behind.write,
            stats[name]["primaries"]["docs"]["count"],
            _unsearchable(stats[name]),
            stats[name]["primaries"]["store"]["size_in_bytes"],
            settings.get(name, {}).get("settings", {}).get("index.lifecycle.name"),
        )
        for name in behind.indices
        if name in stats
    )
    rejected = stats.get(connection.rejected, {}).get("primaries", {}).get("docs", {}).get("count", 0)
    ignored = seals = None
    with suppress(AuthorizationException):  # they need one more privilege
        ignored = counting.ignored(cluster)
        seals = last_seals(client, connection.seals)
    fields = counting.fields(client, behind.write)
    return replace(
        known, indices=indices, rejected=rejected + kept, fields=fields, ignored=ignored, seals=seals
    )
