"""`indexer seal adopt`: seals lines that were delivered before anything was sealed, as far as their log still vouches for them.

The files are read as `verify` reads them. Sealed are the lines that are behind the alias with the same bytes, or among the
rejected lines, and that no leaf has yet. They become leaves of this state directory's seal log; what differs stays unsealed.
"""

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple
from zlib import crc32

from indexer.elastic.alias import place as age_order
from indexer.elastic.client import connect
from indexer.elastic.cluster import connected
from indexer.errors import Stopped
from indexer.events import Events
from indexer.reading import files
from indexer.reading.entries import OFFSET
from indexer.reading.tail import Tail
from indexer.seals import lookup
from indexer.seals.leaves import Chunk
from indexer.seals.lines import Lines, digest_of
from indexer.seals.offline import OfflineLog, open_log
from indexer.seals.recorder import Recorder
from indexer.settings import Connection, Delivery, LogFiles, Seals, State
from indexer.show import Table
from indexer.verify.by_id import Documents
from indexer.writing.checkpoint import StateDirectory
from indexer.writing.spool import DeadLetterFiles

AT_ONCE = 16
"""Chunks that are looked up together: some 4 MB of lines."""


@dataclass(frozen=True, slots=True)
class Adopted:
    """The result; `read` is the sum of the next three."""

    alias: str
    read: int = 0
    """Lines that are not blank."""
    adopted: int = 0
    sealed: int = 0
    """Lines that were sealed already."""
    left: int = 0
    """Lines that are not in the index with the same bytes: `indexer verify` names them."""
    unreadable: dict[str, str] = field(default_factory=dict)
    """Files that could not be read to their end, with the reason."""

    def __add__(self, other: "Adopted") -> "Adopted":
        return Adopted(
            self.alias,
            self.read + other.read,
            self.adopted + other.adopted,
            self.sealed + other.sealed,
            self.left + other.left,
            self.unreadable | other.unreadable,
        )

    def tables(self) -> Iterable[Table]:
        """For people to read."""
        names = ("read", "adopted", "sealed", "left")
        rows = tuple((name, int(getattr(self, name))) for name in names)
        yield Table(f"Lines of the files sealed for {self.alias}", ("What", "Lines"), rows, "")
        if self.unreadable:
            yield Table("Not read to the end", ("File", "Reason"), tuple(self.unreadable.items()), "")


@dataclass(frozen=True, slots=True)
class Adoption:
    """`indexer seal adopt` with its settings."""

    connection: Connection
    delivery: Delivery
    state: State
    seals: Seals
    events: Events
    stop: threading.Event

    def adopt(self, logs: LogFiles) -> Adopted:
        """Seal the lines of some log files. Raises StateInUse while an indexer runs, and Fatal."""
        scope = logs.scope(self.connection, self.state)
        files.require(logs.paths, scope)
        expects = 2 * (self.delivery.batch_bytes + self.delivery.max_line_bytes) + lookup.EXPECTS
        with (
            StateDirectory(self.state.state_dir) as state,
            connected(self.connection, expects=expects) as cluster,
            connect(self.connection, raw=True, expects=expects) as raw,
        ):
            log = open_log(cluster, state, self.seals, self.events)
            log.seal()  # so that all that is sealed already is in the index
            lookup.refresh(cluster)
            cluster.client.options(ignore_status=403).indices.refresh(index=cluster.alias)
            witness = _Witness(Documents(cluster, raw), DeadLetterFiles(state.directory))
            limit = self.delivery.max_line_bytes
            tail = Tail(logs.paths, [], limit=limit, once=True, events=self.events, scope=scope)
            tail.pause = self._go_on
            tail.scan()
            total = self._adopt(tail, log, witness)
        return total + Adopted(self.connection.alias, unreadable=tail.failures)

    def _go_on(self) -> None:
        if self.stop.is_set():
            raise Stopped

    def _adopt(self, tail: Tail, log: OfflineLog, witness: "_Witness") -> Adopted:
        total = Adopted(self.connection.alias)
        for group in _groups(tail):
            self._go_on()
            vouched, counts = witness.vouched(group)
            total += counts
            if vouched:
                log.deliver(vouched)
        if total.adopted:
            log.seal()
        return total


class _Read(NamedTuple):
    """Lines that were read together."""

    chunk: Chunk
    refused: frozenset[bytes]
    """The ids of those that the reader rejects."""


def _groups(tail: Tail) -> Iterator[list[_Read]]:
    """The lines of all files, some chunks at a time."""
    recorder = Recorder()
    group: list[_Read] = []
    while not tail.exhausted:
        for read in tail.read():
            refused = [*(it.id for it in read.entries.rejections), *(it.id for it in read.fragments if it.id)]
            group.append(_Read(recorder.chunk(read), frozenset(map(str.encode, refused))))
            tail.acknowledge(read.position)
            if len(group) >= AT_ONCE:
                yield group
                group = []
    yield group


@dataclass(frozen=True, slots=True)
class _Witness:
    """Tells which lines are where they should be, and not sealed yet."""

    documents: Documents
    local: DeadLetterFiles
    """Rejected lines in the state directory."""

    def vouched(self, group: Sequence[_Read]) -> tuple[list[Chunk], Adopted]:
        """What of some chunks may be sealed, and how many lines are. Raises Fatal, OSError, and what the client raises."""
        chunks = [read.chunk for read in group]
        wanted = {
            f"{chunk.file}{place.hex()}".encode(): digest
            for chunk in chunks
            for place, digest in chunk.lines or ()
        }
        sealed = self._sealed(chunks)
        left = [identity for identity in wanted if identity not in sealed]
        copies = [it for it in self.documents.entries(left) if digest_of(it.data) == wanted[it.id]]
        entries = {it.id: it.where for it in copies}
        absent = [identity for identity in left if identity not in entries]
        kept = {it.id for it in self.documents.rejected(absent) if digest_of(it.data) == wanted[it.id]}
        kept |= {identity for identity in absent if self._in_file(identity.decode())}
        found = [part for read in group if (part := _part(read, entries, kept)) is not None]
        adopted = len(entries) + len(kept)
        alias = self.documents.cluster.alias
        return found, Adopted(alias, len(wanted), adopted, len(wanted) - len(left), len(left) - adopted)

    def _sealed(self, chunks: Sequence[Chunk]) -> set[bytes]:
        """The ids of lines that a leaf has already. Raises SealsDamaged, and what the client raises."""
        spans: dict[str, tuple[int, int]] = {}
        for chunk in chunks:
            start, end = spans.get(chunk.file, (chunk.start, chunk.end))
            spans[chunk.file] = min(start, chunk.start), max(end, chunk.end)
        return {
            f"{file}{place.hex()}".encode()
            for file, (start, end) in spans.items()
            for leaf in lookup.leaves_of(self.documents.cluster, file, start, end)
            for place, _ in leaf.chunk.lines or ()
        }

    def _in_file(self, identity: str) -> bool:
        """Tell whether a rejected line is in the state directory, with the checksum of its id. Raises OSError."""
        checksum, expected = self.local.checksum(identity), int(identity[OFFSET.stop :], 16)
        return checksum is not None and expected in {checksum, crc32(b"\r", checksum)}


def _part(read: _Read, entries: Mapping[bytes, str], kept: Collection[bytes]) -> Chunk | None:
    """A chunk with those of its lines that are vouched for; None if it has none."""
    chunk, ids = read.chunk, []
    digests = bytearray()
    for place, digest in chunk.lines or ():
        identity = f"{chunk.file}{place.hex()}".encode()
        if identity in entries or identity in kept:
            ids.append(identity)
            digests += digest
    if not ids:
        return None
    indices = [entries[identity] for identity in ids if identity in entries]
    rejected = len(read.refused.intersection(ids))
    return replace(
        chunk,
        entries=len(ids) - rejected,
        rejected=rejected,
        lines=Lines.joined(ids, bytes(digests)),
        duplicates=len(indices),
        index=min(indices, key=age_order, default=""),
    )
