"""What a scan finds, as records: of each entry its id, the digest of its bytes and its index."""

from typing import Self

from indexer.seals.lines import DIGEST, digest_of
from indexer.verify.partitions import Records, to_binary
from indexer.verify.scan import Page

INDEX_SIZE = 4
"""Bytes of the number of an index."""
NAMED = 1000
"""Documents whose id is not that of an entry that are named."""


class Found:
    """Collects pages. A context manager: the exit deletes the records.

    A value of `records` is a digest and the number of an index; `index_of` has its name.
    """

    def __init__(self) -> None:
        """Raises NoRoom."""
        self.records = Records(DIGEST + INDEX_SIZE)
        self.foreign = 0
        """Documents whose id is not that of an entry: somebody's own."""
        self.foreigners: list[tuple[str, str]] = []
        """The first of them, by index and id."""
        self._names: list[str] = []
        self._numbers: dict[bytes, bytes] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.records.close()

    @property
    def count(self) -> int:
        """Documents."""
        return self.records.count + self.foreign

    def add(self, page: Page) -> None:
        """Add all hits of a page. Raises NoRoom."""
        ids = to_binary(page.ids)
        if ids is None:
            page = self._entries(page)
            ids = to_binary(page.ids) or b""
        numbers = [self._numbers.get(index) or self._number(index) for index in page.indices]
        values = [digest + index for digest, index in zip(map(digest_of, page.sources), numbers, strict=True)]
        self.records.add(ids, values)

    def index_of(self, value: bytes) -> str:
        """The index of a record."""
        return self._names[int.from_bytes(value[DIGEST:])]

    def _number(self, index: bytes) -> bytes:
        number = self._numbers[index] = len(self._names).to_bytes(INDEX_SIZE)
        self._names.append(index.decode(errors="replace"))
        return number

    def _entries(self, page: Page) -> Page:
        """A page without foreign documents, which are counted."""
        kept = Page([], [], [])
        for index, identity, source in zip(*page, strict=True):
            if to_binary([identity]) is None:
                self.foreign += 1
                if len(self.foreigners) < NAMED:
                    self.foreigners.append((_text(index), _text(identity)))
            else:
                for column, value in zip(kept, (index, identity, source), strict=True):
                    column.append(value)
        return kept


def _text(name: bytes) -> str:
    return name.decode(errors="replace")
