"""`indexer seal status`: how far the seal log of a state directory is."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from indexer.elastic.cluster import Cluster, connected
from indexer.errors import Fatal, StateUnusable
from indexer.events import overdue_after
from indexer.seals import journal, store
from indexer.seals import state as states
from indexer.seals.state import SealState
from indexer.settings import Connection, Seals, State
from indexer.show import Table
from indexer.writing import checkpoint
from indexer.writing.target import ASKED_AT_ONCE, IndexUnavailable, delivered

ENDLESS = 2**63


class NotSealing(Fatal):
    """The state directory has no seal log."""

    sentence = "There is no seal log in {path}."
    hint = "`indexer run --seal-key-file` begins one; `indexer seal key` makes the key."


@dataclass(frozen=True, slots=True)
class Anchor:
    """A file outside the index to which checkpoints are written."""

    path: Path
    newest: bool
    """It has the newest checkpoint."""


@dataclass(frozen=True, slots=True)
class IndexCopy:
    """What the index holds of the seal log."""

    missing: int | None
    """Signed leaves that are not there; None if that is not known."""
    checkpoint: bool | None
    """It has the newest checkpoint."""
    reason: str | None = None
    """Why it is not known."""

    @property
    def complete(self) -> bool:
        """Nothing is known to be missing."""
        return not self.missing and self.checkpoint is not False


@dataclass(frozen=True, slots=True)
class SealStatus:
    """A seal log, and how far it is."""

    log: str
    key: str
    """The name of the key."""
    leaves: int
    signed: int
    """Leaves under the newest checkpoint."""
    sealed: datetime | None
    """When that was signed; None before the first one."""
    age: timedelta | None
    every: timedelta
    """Between two sealings."""
    overdue: bool
    pending: int
    """Lines that are delivered and not sealed."""
    running: bool
    """An indexer uses the state directory."""
    index: IndexCopy
    anchors: tuple[Anchor, ...]

    @property
    def well(self) -> bool:
        """Nothing is overdue, and nothing is missing from the index or an anchor."""
        return not self.overdue and self.index.complete and all(anchor.newest for anchor in self.anchors)

    def tables(self) -> Iterable[Table]:
        """For people to read."""
        rows = (
            ("key", self.key),
            ("leaves", self.leaves),
            ("signed", self.signed),
            ("newest checkpoint", self.sealed),
            ("its age", self.age),
            ("sealed every", self.every),
            ("overdue", self.overdue),
            ("lines pending", self.pending),
            ("indexer running", self.running),
        )
        yield Table(f"Seal log {self.log}", ("What", "Value"), rows, "")
        copy = self.index
        missing = ("leaves missing", copy.missing), ("newest checkpoint", copy.checkpoint)
        told = missing if copy.reason is None else ()
        yield Table("In the index", ("What", "Value"), told, copy.reason or "")
        where = tuple((str(anchor.path), anchor.newest) for anchor in self.anchors)
        yield Table("Anchors", ("File", "Newest checkpoint"), where, "")


def seal_status(connection: Connection, state: State, seals: Seals) -> SealStatus:
    """Look at the state directory, and at the index if the cluster answers. Raises NotSealing, StateUnusable."""
    directory = state.state_dir / states.DIRECTORY
    try:
        found = states.load(directory)
        if found is None:
            raise NotSealing(path=state.state_dir)
        head = states.newest_head(directory, found)
        pending = _pending(directory, found, checkpoint.read(state.state_dir))
    except OSError as error:
        raise StateUnusable(path=state.state_dir, reason=error.strerror or error) from None
    every = timedelta(seconds=head.every if head else seals.interval)
    sealed = datetime.fromisoformat(found.sealed) if found.signed else None
    age = datetime.now(UTC) - sealed if sealed else None
    return SealStatus(
        log=found.log,
        key=found.key.partition("+")[0],
        leaves=found.tree.size,
        signed=found.signed,
        sealed=sealed,
        age=age,
        every=every,
        overdue=age is None or age.total_seconds() > overdue_after(every.total_seconds()),
        pending=pending,
        running=checkpoint.in_use(state.state_dir),
        index=_copy(connection, found),
        anchors=tuple(_anchor(each, found) for each in (directory, seals.seal_anchor) if each),
    )


def _pending(directory: Path, state: SealState, delivery: checkpoint.Checkpoint | None) -> int:
    """Lines in the journal that may be sealed. Raises OSError."""
    end = ENDLESS if delivery is None or delivery.journal is None else delivery.journal
    try:
        chunks = journal.read(directory, state.consumed, end, ENDLESS)
        return sum(chunk.entries + chunk.rejected for chunk, _ in chunks if chunk is not None)
    except FileNotFoundError:  # sealed meanwhile
        return 0


def _copy(connection: Connection, state: SealState) -> IndexCopy:
    try:
        with connected(connection) as cluster:
            return _looked_up(cluster, state)
    except (Fatal, IndexUnavailable) as reason:
        return IndexCopy(None, None, f"Not looked at: {reason}")


def _looked_up(cluster: Cluster, state: SealState) -> IndexCopy:
    index, missing = [cluster.connection.seals], 0
    for start in range(0, state.signed, ASKED_AT_ONCE):
        numbers = range(start, min(start + ASKED_AT_ONCE, state.signed))
        ids = [store.leaf_id(state.log, number).encode() for number in numbers]
        missing += len(ids) - len(delivered(cluster.client, index, ids))
    newest = store.checkpoint_id(state.log, state.signed).encode()
    return IndexCopy(missing, bool(delivered(cluster.client, index, [newest])))


def _anchor(directory: Path, state: SealState) -> Anchor:
    path = directory / f"{state.log}{states.CHECKPOINTS}"
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - len(state.note.encode())))
            newest = file.read() == state.note.encode()
    except OSError:
        newest = False
    return Anchor(path, newest)
