"""Lines as they are sealed: of each, its place in the file, its checksum and its digest; packed into columns.

Columns, and offsets as differences, because Elasticsearch compresses them: a line takes 21 bytes on its disk (measured).
"""

import base64
import binascii
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

DIGEST = 16
"""Bytes of a line's SHA-256 that are kept: nobody finds another line with the same."""
PLACE = 10
"""Bytes of an id behind the generation: 6 of the offset, 4 of the checksum."""
_OFFSET = 6
_WIDTH = PLACE + DIGEST
_ID = 14
_GENERATION = _ID - PLACE
_plain = sha256()


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of a part of a file, entries and the reader's rejected ones, in the order of their offsets."""

    blocks: tuple[str, ...] = ()
    """Base64 of 26 columns each: the first byte of each line, the second, ….

    A line is the difference of its offset to that of the line before (to 0, for the first one of a block), the checksum of
    its id, and its digest.
    """
    count: int = 0

    @classmethod
    def of(cls, ids: Sequence[bytes], data: Iterable[bytes]) -> "Lines":
        """The lines with these ids, 28 hexadecimal digits each, and these bytes; all of one file, in order."""
        return cls.joined(ids, b"".join(map(full_digest, data)))

    @classmethod
    def joined(cls, ids: Sequence[bytes], digests: bytes) -> "Lines":
        """The lines with these ids and digests, which may be longer than they are kept."""
        if not ids:
            return cls()
        rows, width = bytes.fromhex(b"".join(ids).decode()), len(digests) // len(ids)
        offsets = int.from_bytes(_columns_of(rows, _ID, range(_GENERATION, _GENERATION + _OFFSET)))
        steps = offsets - (offsets >> 8 * _OFFSET)  # of all lines at once
        differences = steps.to_bytes(_OFFSET * len(ids))
        columns = [differences[k::_OFFSET] for k in range(_OFFSET)]
        columns += [rows[k::_ID] for k in range(_GENERATION + _OFFSET, _ID)]
        columns += [digests[k::width] for k in range(DIGEST)]
        return cls((base64.b64encode(b"".join(columns)).decode(),), len(ids))

    @classmethod
    def parse(cls, blocks: Iterable[str]) -> "Lines":
        """Lines as a leaf has them. Raises ValueError."""
        known = tuple(blocks)
        return cls(known, sum(len(_decoded(block)) // _WIDTH for block in known))

    def __add__(self, other: "Lines") -> "Lines":
        return Lines(self.blocks + other.blocks, self.count + other.count)

    def ids(self, generation: int) -> bytes:
        """The ids, 14 bytes a line."""
        prefix = generation.to_bytes(_GENERATION)
        return b"".join(_ids_of(_decoded(block), prefix) for block in self.blocks)

    @property
    def digests(self) -> bytes:
        """The digests, 16 bytes a line."""
        return b"".join(_digests_of(_decoded(block)) for block in self.blocks)

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        """Each line's place, and its digest."""
        ids, digests = self.ids(0), self.digests
        for at in range(self.count):
            yield ids[at * _ID + _GENERATION : (at + 1) * _ID], digests[at * DIGEST : (at + 1) * DIGEST]


def _decoded(block: str) -> bytes:
    """Raises ValueError."""
    try:
        data = base64.b64decode(block, validate=True)
    except (binascii.Error, TypeError):
        raise ValueError("its lines are not base64") from None
    if len(data) % _WIDTH:
        raise ValueError("its lines are incomplete")
    return data


def _ids_of(data: bytes, prefix: bytes) -> bytes:
    count = len(data) // _WIDTH
    steps = _rows_of(data[: count * _OFFSET], count)
    offset, ids = 0, bytearray(_ID * count)
    sums = bytearray()
    for at in range(0, len(steps), _OFFSET):
        offset = (offset + int.from_bytes(steps[at : at + _OFFSET])) % (1 << 8 * _OFFSET)
        sums += offset.to_bytes(_OFFSET)
    for k, byte in enumerate(prefix):
        ids[k::_ID] = bytes([byte]) * count
    for k in range(_OFFSET):
        ids[_GENERATION + k :: _ID] = sums[k::_OFFSET]
    for k in range(_OFFSET, PLACE):
        ids[_GENERATION + k :: _ID] = data[k * count : (k + 1) * count]
    return bytes(ids)


def _digests_of(data: bytes) -> bytes:
    count = len(data) // _WIDTH
    return _rows_of(data[count * PLACE :], count)


def _columns_of(rows: bytes, width: int, kept: range) -> bytes:
    """Of rows of `width` bytes, the bytes `kept` of each."""
    short = bytearray(len(rows) // width * len(kept))
    for at, column in enumerate(kept):
        short[at :: len(kept)] = rows[column::width]
    return bytes(short)


def _rows_of(columns: bytes, count: int) -> bytes:
    """Columns of `count` bytes each, as rows."""
    width = len(columns) // count if count else 0
    rows = bytearray(len(columns))
    for k in range(width):
        rows[k::width] = columns[k * count : (k + 1) * count]
    return bytes(rows)


def full_digest(data: bytes) -> bytes:
    """SHA-256; a copy of a fresh hash costs less than a new one (measured)."""
    digest = _plain.copy()
    digest.update(data)
    return digest.digest()


def digest_of(data: bytes) -> bytes:
    """The digest of a line's bytes."""
    return full_digest(data)[:DIGEST]
