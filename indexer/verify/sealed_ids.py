"""What seals tell of entries that are in no log file: whether they were read once, or put into the index by somebody.

Only the ids in the leaves count here, not the signatures: those are for `verify --seals`.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from indexer.elastic.cluster import Cluster
from indexer.verify.partitions import Records
from indexer.verify.scan import Scan
from indexer.verify.seal_logs import SealReader


class SealedIds:
    """The ids in the leaves of an alias, which are read when the first ones are asked for."""

    def __init__(self, cluster: Cluster, scan: Scan, records: Records) -> None:
        self._cluster = cluster
        self._scan = scan
        self._records = records
        self._spans: dict[int, tuple[int, int]] | None = None
        """From where to where the file of each generation is sealed; without those of which digests were lost."""

    def __call__(self, ids: Sequence[bytes]) -> Collection[bytes]:
        """Of some ids, those that a leaf names or that no leaf can tell of. Raises NoRoom and what the client raises."""
        if self._spans is None:
            self._spans = self._read() if ids else None
        return {identity for identity in ids if self._may_be(bytes.fromhex(identity.decode()))}

    def _may_be(self, identity: bytes) -> bool:
        start, end = (self._spans or {}).get(int.from_bytes(identity[:4]), (0, 0))
        return not start <= int.from_bytes(identity[4:10]) < end or self._records.holds(identity)

    def _read(self) -> dict[int, tuple[int, int]]:
        reader = SealReader(lambda _, ids, __: self._records.add(ids, [b""] * (len(ids) // 14)))
        for page in self._scan.pages(self._cluster.connection.seals):
            reader.read(page)
        spans: dict[int, tuple[int, int]] = {}
        for part in reader.parts:
            start, end = spans.get(part.file, (part.start, part.end))
            spans[part.file] = min(start, part.start), max(end, part.end)
        for part in reader.parts:
            if part.lost:
                spans.pop(part.file, None)
        return spans


@contextmanager
def sealed_ids(cluster: Cluster, scan: Scan) -> Iterator[SealedIds | None]:
    """Yield them; None if the alias has no seals. Raises what the client raises."""
    if not cluster.client.indices.exists(index=cluster.connection.seals):
        yield None
        return
    cluster.client.options(ignore_status=403).indices.refresh(index=cluster.connection.seals)
    with Records(0) as records:
        yield SealedIds(cluster, scan, records)
