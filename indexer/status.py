"""`indexer status`: what the state directory and the cluster say of the delivery."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from elasticsearch import AuthorizationException, Elasticsearch

from indexer.cluster import fields as counting
from indexer.cluster.client import connect, explained, shown
from indexer.cluster.fields import Fields, Ignored
from indexer.errors import Fatal
from indexer.events import Totals
from indexer.reading import files
from indexer.settings import Connection, State
from indexer.show import Cell, Share, Table
from indexer.writing import checkpoint
from indexer.writing.replay import backing


@dataclass(frozen=True, slots=True)
class LogStatus:
    """A log file. Offsets, sizes and lag in bytes; of an archive, the lag is not known before it is read."""

    path: str
    state: str
    """following, finished, waiting (found, not read yet), or gone."""
    delivered: int
    size: int | None
    lag: int | None


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """An index behind the alias, or the one of rejected lines."""

    index: str
    writing: bool
    entries: int
    bytes: int
    lifecycle: str | None
    """The policy that it is under, if any."""


@dataclass(frozen=True, slots=True)
class Status:
    """All that is known without reading a log."""

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
    """Of the write index, against its limit; None if it could not be asked."""
    ignored: Ignored | None = None
    """Entries with values that no search finds; None if they could not be counted (it takes `read`)."""

    def tables(self) -> Iterable[Table]:
        """For people to read."""
        done = self.totals
        counts: tuple[tuple[Cell, ...], ...] = (
            ("read", done.read),
            ("created", done.created),
            ("duplicates", done.duplicates),
            ("rejected", done.rejected),
            ("blank", done.blank),
        )
        yield Table("Lines, since this state directory began", ("What", "Lines"), counts, "")
        logs = tuple((log.path, log.state, log.delivered, log.size, log.lag) for log in self.logs)
        nothing = f"No log file was read yet with the state directory {self.state_dir}."
        yield Table("Log files", ("File", "State", "Delivered", "Size", "Lag"), logs, nothing)
        indices = tuple((i.index, i.writing, i.entries, i.bytes, i.lifecycle or "none") for i in self.indices)
        columns = ("Index", "Written", "Entries", "Bytes", "Lifecycle")
        yield Table(f"Behind the alias {self.alias}", columns, indices, self.problem or "No index.")
        if self.fields is not None:
            yield Table("Fields", ("What", "Count", "Of", "Share"), tuple(self._growth(self.fields)), "")

    def _growth(self, fields: Fields) -> Iterator[tuple[Cell, ...]]:
        used = Share(fields.mapped, fields.limit)
        yield f"mapped in {fields.index}, of its limit", fields.mapped, fields.limit, used
        if self.ignored is not None:
            entries = sum(index.entries for index in self.indices)
            share = Share(self.ignored.entries, entries)
            yield "entries with values that searches do not find", self.ignored.entries, entries, share


def status(paths: Iterable[str], connection: Connection, state: State) -> Status:
    """Look at the files, the state directory and the cluster. Raises StateUnusable; an unreachable cluster is said."""
    remembered = checkpoint.read(state.state_dir) or checkpoint.Checkpoint()
    logs = list(_logs(paths, remembered))
    kept = len(list((state.state_dir / "rejected").glob("*.json")))
    known = Status(connection.alias, str(state.state_dir), remembered.totals, tuple(logs), (), None, None)
    try:
        with connect(connection) as client, explained(connection):
            return _with_cluster(known, client, connection, kept)
    except Fatal as reason:
        return replace(known, problem=str(reason))


def _logs(paths: Iterable[str], remembered: checkpoint.Checkpoint) -> Iterable[LogStatus]:
    known = {record.key: record for record in remembered.files}
    found = {
        facts.key: facts for facts in files.find([*paths, *(record.path for record in remembered.files)])
    }
    for key, facts in found.items():
        record = known.get(key)
        offset = record.offset if record else 0
        finished = record is not None and record.ended and record.size == facts.size
        lag = 0 if finished else None if facts.archive else max(0, facts.size - offset)
        yield LogStatus(
            facts.name,
            "finished" if finished else "following" if record else "waiting",
            offset,
            facts.size,
            lag,
        )
    for key, record in known.items():
        if key not in found:
            yield LogStatus(record.path, "gone", record.offset, None, max(0, record.size - record.offset))


def _with_cluster(known: Status, client: Elasticsearch, connection: Connection, kept: int) -> Status:
    """Add what the cluster says. Raises Fatal, or what the client raises."""
    behind = backing(client, connection.alias, shown(connection))
    stats = client.indices.stats(
        index=f"{connection.alias}*", metric="docs,store", filter_path="indices.*.primaries"
    ).get("indices", {})
    settings = client.indices.get_settings(
        index=",".join(behind.indices), name="index.lifecycle.name", flat_settings=True
    )
    indices = tuple(
        IndexStatus(
            name,
            name == behind.write,
            stats[name]["primaries"]["docs"]["count"],
            stats[name]["primaries"]["store"]["size_in_bytes"],
            settings.get(name, {}).get("settings", {}).get("index.lifecycle.name"),
        )
        for name in behind.indices
        if name in stats
    )
    rejected = stats.get(connection.rejected, {}).get("primaries", {}).get("docs", {}).get("count", 0)
    ignored = None
    with suppress(AuthorizationException):  # it takes more than all before
        ignored = counting.ignored(client, connection.alias)
    fields = counting.fields(client, behind.write)
    return replace(known, indices=indices, rejected=rejected + kept, fields=fields, ignored=ignored)
