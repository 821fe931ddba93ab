"""Lines as they are sealed: of each, its place in the file, its checksum and its digest; packed into columns.

Columns, and offsets as differences, because Elasticsearch compresses them: a line takes 21 bytes on its disk (measured).
"""

import base64
import binascii
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate, chain
from operator import sub

DIGEST = 16
"""Bytes of a line's SHA-256 that are kept: nobody finds another line with the same."""
PLACE = 10
"""Bytes of an id behind the generation: 6 of the offset, 4 of the checksum."""
_WIDTH = PLACE + DIGEST
_ID = 14
_OFFSET = 6
_NUMBER = 8
"""Bytes of a number in an array."""
_SHA256 = 32
_plain = sha256()


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a part of a file, entries and the reader's rejected ones, in the order of their offsets."""

    places: bytes = b""
    """10 bytes a line: offset and checksum, as in its id."""
    digests: bytes = b""
    """16 bytes a line."""

    @property
    def count(self) -> int:
        """Number of lines."""
        return len(self.digests) // DIGEST

    @classmethod
    def of(cls, ids: Sequence[bytes], data: Iterable[bytes]) -> "Lines":
        """The lines with these ids, 28 hexadecimal digits each, and these bytes; all of one file."""
        return cls.joined(ids, b"".join(map(full_digest, data)))

    @classmethod
    def joined(cls, ids: Sequence[bytes], digests: bytes) -> "Lines":
        """The lines with these ids and whole SHA-256 digests."""
        rows = bytes.fromhex(b"".join(ids).decode())
        return cls(
            _shortened(rows, _ID, slice(_ID - PLACE, _ID)), _shortened(digests, _SHA256, slice(DIGEST))
        )

    def __add__(self, other: "Lines") -> "Lines":
        return Lines(self.places + other.places, self.digests + other.digests)

    def pack(self) -> str:
        """Base64 of 26 columns: the first byte of each line, the second, ….

        A line is the difference of its offset to that of the line before (to 0, for the first one), the checksum and the
        digest.
        """
        offsets = _numbers(self.places)
        steps = _bytes(array("Q", map(sub, offsets, chain((0,), offsets))))
        columns = [steps[k::_NUMBER] for k in range(_NUMBER - _OFFSET, _NUMBER)]
        columns += [self.places[k::PLACE] for k in range(_OFFSET, PLACE)]
        columns += [self.digests[k::DIGEST] for k in range(DIGEST)]
        return base64.b64encode(b"".join(columns)).decode()

    @classmethod
    def unpack(cls, packed: str) -> "Lines":
        """Read what `pack` made. Raises ValueError."""
        try:
            data = base64.b64decode(packed, validate=True)
        except binascii.Error:
            raise ValueError("its lines are not base64") from None
        count, rest = divmod(len(data), _WIDTH)
        if rest:
            raise ValueError("its lines are incomplete")
        places, digests = bytearray(count * PLACE), bytearray(count * DIGEST)
        for k in range(PLACE):
            places[k::PLACE] = data[k * count : (k + 1) * count]
        offsets = list(accumulate(_numbers(places)))
        if offsets and offsets[-1] >= 1 << 8 * _OFFSET:
            raise ValueError("its offsets are too large")
        numbers = _bytes(array("Q", offsets))
        for k in range(_OFFSET):
            places[k::PLACE] = numbers[_NUMBER - _OFFSET + k :: _NUMBER]
        for k in range(DIGEST):
            digests[k::DIGEST] = data[(PLACE + k) * count : (PLACE + k + 1) * count]
        return cls(bytes(places), bytes(digests))

    def ids(self, generation: int) -> bytes:
        """The ids, 14 bytes a line."""
        rows = bytearray(self.count * _ID)
        for k, byte in enumerate(generation.to_bytes(_ID - PLACE)):
            rows[k::_ID] = bytes([byte]) * self.count
        for k in range(PLACE):
            rows[_ID - PLACE + k :: _ID] = self.places[k::PLACE]
        return bytes(rows)

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        """Each line's place and digest."""
        for at in range(self.count):
            yield (
                self.places[at * PLACE : (at + 1) * PLACE],
                self.digests[at * DIGEST : (at + 1) * DIGEST],
            )


def _numbers(places: bytes | bytearray) -> "array[int]":
    """The first six bytes of each place, as a number."""
    wide = bytearray(len(places) // PLACE * _NUMBER)
    for k in range(_OFFSET):
        wide[_NUMBER - _OFFSET + k :: _NUMBER] = places[k::PLACE]
    return _swapped(array("Q", bytes(wide)))


def _bytes(numbers: "array[int]") -> bytes:
    return _swapped(numbers).tobytes()


def _swapped(numbers: "array[int]") -> "array[int]":
    """Between the machine's order of bytes and the one of ids."""
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


def full_digest(data: bytes) -> bytes:
    """SHA-256; a copy of a fresh hash costs less than a new one (measured)."""
    digest = _plain.copy()
    digest.update(data)
    return digest.digest()


def digest_of(data: bytes) -> bytes:
    """The digest of a line's bytes."""
    return full_digest(data)[:DIGEST]


def _shortened(rows: bytes, width: int, kept: slice) -> bytes:
    """Of rows of `width` bytes, the bytes `kept` of each."""
    columns = range(width)[kept]
    short = bytearray(len(rows) // width * len(columns))
    for at, column in enumerate(columns):
        short[at :: len(columns)] = rows[column::width]
    return bytes(short)
