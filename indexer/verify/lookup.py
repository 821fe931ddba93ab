"""Looking up lines in all indices behind the alias and among the rejected lines."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from elasticsearch import Elasticsearch

from indexer.elastic.cluster import Cluster
from indexer.errors import StateUnusable
from indexer.settings import State
from indexer.verify.by_id import Document, Documents
from indexer.verify.findings import Held, Line
from indexer.writing.spool import DeadLetterFiles


@dataclass(frozen=True, slots=True)
class Lookup:
    """The indices behind the alias, and the rejected lines. May be used by several threads.

    Each method raises Fatal, or what the client raises.
    """

    cluster: Cluster
    raw: Elasticsearch
    """Returns answers as bytes."""
    state: State

    @property
    def alias(self) -> str:
        """The write alias."""
        return self.cluster.alias

    def refresh(self) -> None:
        """Make indexed entries searchable; without that privilege, unsearchable ones are requested by id."""
        self.cluster.client.options(ignore_status=403).indices.refresh(index=self.alias)

    def entries(self, lines: Sequence[Line]) -> list[Held]:
        """All copies of some entries, searchable or not."""
        wanted = {line.id: line for line in lines}
        return [_compared(wanted, found) for found in self._documents.entries(list(wanted))]

    def now(self, lines: Sequence[Line]) -> list[Held]:
        """All copies of some lines, searchable or not; sends a request for each copy."""
        wanted = {line.id: line for line in lines}
        return [_compared(wanted, found) for found in self._documents.now(list(wanted))]

    def rejected(self, lines: Sequence[Line]) -> list[Held]:
        """What is stored of some lines as rejected. Raises StateUnusable."""
        return [*self._in_files(lines), *self._in_index(lines)]

    def _in_files(self, lines: Sequence[Line]) -> Iterator[Held]:
        directory = self.state.state_dir
        local = DeadLetterFiles(directory)
        try:
            for line in lines:
                identity = line.id.decode()
                checksum = local.checksum(identity)
                if checksum is None:
                    continue
                same = checksum == line.checksum if line.data is None else local.line(identity) == line.data
                yield Held(line.id, str(directory), same)
        except OSError as error:
            raise StateUnusable(path=directory, reason=error.strerror or error) from None

    def _in_index(self, lines: Sequence[Line]) -> Iterator[Held]:
        short = {line.id: line for line in lines if line.data is not None}
        for found in self._documents.rejected(list(short)):
            yield _compared(short, found)

    @property
    def _documents(self) -> Documents:
        return Documents(self.cluster, self.raw)


def _compared(lines: Mapping[bytes, Line], found: Document) -> Held:
    return Held(found.id, found.where, lines[found.id].is_same(found.data))
