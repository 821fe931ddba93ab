"""`indexer verify --seals`: the index against its seals, without the log files.

First the seal logs are read and verified, then the alias is scanned: every sealed line was in the index before. Sealed lines
and entries meet in parts on disk (partitions.py). Entries without a seal may belong to a file that is new: its seal is made
within seconds, so the seals are read once more for them.
"""

import base64
import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from indexer.elastic.alias import backing
from indexer.elastic.client import connect
from indexer.elastic.cluster import Cluster, connected
from indexer.elastic.failures import reading_answer
from indexer.errors import Stopped
from indexer.seals.lines import DIGEST, digest_of
from indexer.seals.notes import VerifierKey
from indexer.settings import Connection, State
from indexer.verify.found import Found
from indexer.verify.partitions import PARTS, Records, to_binary
from indexer.verify.scan import Page, Scan
from indexer.verify.seal_findings import DEFECTS, SEALED, Kind, SealedLog, SealVerification
from indexer.verify.seal_judge import Judge
from indexer.verify.seal_logs import SealLog, SealReader, check_logs

ANSWER = 32 * 1024 * 1024
"""Bytes of an answer, at most; what is larger is asked for in smaller pages."""
AGAIN_AFTER = 10.0
"""Seconds until seals are read again that were in flight."""
NUMBER = 4
"""Bytes of the number of a part in a record."""

Watch = Callable[[int, int], None]
"""Called with how many documents are read, of how many."""


@dataclass(frozen=True, slots=True)
class SealVerifier:
    """`indexer verify --seals` with its settings."""

    connection: Connection
    state: State
    keys: Sequence[VerifierKey]
    anchors: Sequence[str]
    """Notes that are kept elsewhere."""
    watch: Watch
    stop: threading.Event

    def verify(self) -> SealVerification:
        """Compare the alias with its seals. Raises Fatal."""
        with (
            connected(self.connection) as cluster,
            connect(self.connection, raw=True, expects=ANSWER) as raw,
            Records(DIGEST + NUMBER) as sealed,
            Found() as found,
            Records(DIGEST) as kept,
        ):
            return Audit(self, cluster, Scan(cluster, raw, self.stop), sealed, found, kept).carry_out()


class Audit:
    """One verification."""

    def __init__(
        self, how: SealVerifier, cluster: Cluster, scan: Scan, sealed: Records, found: Found, kept: Records
    ) -> None:
        self._how = how
        self._cluster = cluster
        self._scan = scan
        self._sealed = sealed
        self._found = found
        self._kept = kept
        self._done = 0
        self._total = 0

    def carry_out(self) -> SealVerification:
        """Read the seals, then the entries; compare."""
        names = (self._cluster.connection.seals, self._cluster.alias, self._cluster.connection.rejected)
        self._total = sum(map(self._count, names))
        logs, reader, problems = self._read_seals(self._add_sealed)
        found = self._found
        indices = backing(self._cluster).indices
        self._read(self._cluster.alias, found.add)
        self._read(self._cluster.connection.rejected, self._add_kept)
        judge = Judge(logs, reader.parts, indices, found.index_of, self._locally, datetime.now(UTC))
        judge.foreign(found.foreign, found.foreigners)
        for number in range(PARTS):
            if self._how.stop.is_set():
                raise Stopped
            judge.compare(self._sealed.part(number), found.records.part(number), self._kept.part(number))
        if judge.unknown:
            logs, problems = self._look_again(judge)
        problems += judge.settle(self._cluster.connection.rejected)
        return self._result(judge, logs, problems)

    def _count(self, index: str) -> int:
        with reading_answer():
            return int(self._cluster.client.options(ignore_status=404).count(index=index).get("count", 0))

    def _read(self, index: str, take: Callable[[Page], object]) -> None:
        """Read an index with all that it holds by now: what was sealed before is found in what is read after it."""
        if not self._cluster.client.indices.exists(index=index):
            return
        self._cluster.client.indices.refresh(index=index)
        for page in self._scan.pages(index):
            take(page)
            self._done += len(page.ids)
            self._how.watch(self._done, max(self._done, self._total))

    # ---- the seals

    def _read_seals(
        self, sink: Callable[[int, bytes, bytes], None]
    ) -> tuple[Mapping[str, SealLog], SealReader, list[str]]:
        reader = SealReader(sink)
        self._read(self._cluster.connection.seals, reader.read)
        problems = check_logs(reader.logs, self._how.keys, self._cluster.alias, self._how.anchors)
        problems += [f"{it} in {self._cluster.connection.seals} is no seal." for it in reader.foreign]
        if not reader.logs:
            problems.append(f"There are no seals in {self._cluster.connection.seals}.")
        return reader.logs, reader, problems

    def _add_sealed(self, part: int, ids: bytes, digests: bytes) -> None:
        number = part.to_bytes(NUMBER)
        self._sealed.add(ids, [digests[at : at + DIGEST] + number for at in range(0, len(digests), DIGEST)])

    def _look_again(self, judge: Judge) -> tuple[Mapping[str, SealLog], list[str]]:
        """Read the seals once more, for entries without one."""
        if self._how.stop.wait(AGAIN_AFTER):
            raise Stopped
        wanted = {it.id for it in judge.unknown}
        since: dict[bytes, tuple[bytes, int]] = {}

        def sink(part: int, ids: bytes, digests: bytes) -> None:
            size = len(ids) // (len(digests) // DIGEST) if digests else 1
            for row in range(len(digests) // DIGEST):
                if (identity := ids[row * size : (row + 1) * size]) in wanted:
                    since[identity] = digests[row * DIGEST : (row + 1) * DIGEST], part

        logs, reader, problems = self._read_seals(sink)
        parts = reader.parts
        signed = {
            identity: digest
            for identity, (digest, part) in since.items()
            if parts[part].number < logs[parts[part].log].signed
        }
        judge.sealed_since(signed, logs)
        return logs, problems

    # ---- the entries

    def _add_kept(self, page: Page) -> None:
        for identity, source in zip(page.ids, page.sources, strict=True):
            ids = to_binary([identity])
            with reading_answer():
                data = base64.b64decode(orjson.loads(source)["bytes"])
            if ids is not None:
                self._kept.add(ids, [digest_of(data)])

    def _locally(self, identity: str) -> bytes | None:
        """The digest of a line that is kept in the state directory of this machine."""
        try:
            with (self._how.state.state_dir / "rejected" / f"{identity}.line").open("rb") as file:
                return hashlib.file_digest(file, "sha256").digest()[:DIGEST]
        except OSError:
            return None

    # ---- the result

    def _result(self, judge: Judge, logs: Mapping[str, SealLog], problems: Sequence[str]) -> SealVerification:
        counts = judge.counts
        own = [f"Seal log {log.id}: {problem}." for log in logs.values() for problem in log.problems]
        return SealVerification(
            self._cluster.alias,
            read=sum(counts[kind] for kind in SEALED),
            **{kind.value: counts[kind] for kind in Kind},
            checkpoints=sum(log.checkpoints for log in logs.values()),
            logs=tuple(
                SealedLog(log.id, log.signed, log.checkpoints, log.newest[1] if log.newest else None)
                for log in sorted(logs.values(), key=lambda it: it.id)
            ),
            problems=(*own, *problems),
            findings=tuple(finding for kind in DEFECTS for finding in judge.findings[kind]),
        )
