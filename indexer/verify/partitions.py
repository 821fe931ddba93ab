"""Comparing any number of records on two sides in bounded memory: they are spread over a file by id, then compared in parts.

A record is an id (14 bytes: that of an entry, in binary) and a value of a fixed size. The last bytes of an id are a checksum,
so that the parts are of about the same size: a million records, if there are a billion.
"""

import tempfile
from array import array
from binascii import unhexlify
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from os import SEEK_END
from typing import Self

from indexer.errors import Fatal

ID_SIZE = 14
"""Bytes of an id."""
PARTS = 1024
BUFFERED = 8 * 1024 * 1024
"""Bytes of records that are written at once."""


class NoRoom(Fatal):
    """The temporary directory is full or cannot be used."""

    sentence = "Cannot use a temporary file in {path}: {reason}."
    hint = "Name a writable directory with more room in the variable TMPDIR."


def to_binary(ids: Sequence[bytes]) -> bytes | None:
    """Ids of entries as binary, joined; None if one of them is not the id of an entry: 28 hexadecimal digits, in lower case."""
    joined = b"".join(ids)
    try:
        binary = unhexlify(joined)
    except ValueError:
        return None
    regular = binary.hex().encode() == joined and set(map(len, ids)) <= {2 * ID_SIZE}
    return binary if regular else None


class Records:
    """Records of one side, in a temporary file. A context manager: the exit deletes them.

    Each method raises NoRoom if the file cannot be used.
    """

    def __init__(self, value_size: int) -> None:
        self.count = 0
        self._size = ID_SIZE + value_size
        self._buffers = [bytearray() for _ in range(PARTS)]
        self._buffered = 0
        self._blocks = [array("Q") for _ in range(PARTS)]
        """Of each part, the offset and size of its blocks in the file, in turns."""
        self._last: tuple[int, dict[bytes, list[bytes]]] | None = None
        with _using_file():
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed on exit

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Delete them."""
        with suppress(OSError):  # on a full disk: what is not written yet
            self._file.close()

    def add(self, ids: bytes, values: Sequence[bytes]) -> None:
        """Add records; `ids` are joined."""
        buffers = self._buffers
        for start, value in zip(range(0, len(ids), ID_SIZE), values, strict=True):
            identity = ids[start : start + ID_SIZE]
            buffers[(identity[12] & 3) << 8 | identity[13]] += identity + value
        self.count += len(values)
        self._buffered += len(values) * self._size
        if self._buffered >= BUFFERED:
            self._write()

    def holds(self, identity: bytes) -> bool:
        """Tell whether there is a record with this id; ids that are asked for one after the other are best of one part."""
        number = part_of(identity)
        if self._last is None or self._last[0] != number:
            self._last = number, self.part(number)
        return identity in self._last[1]

    def part(self, number: int) -> dict[bytes, list[bytes]]:
        """The values of each id in a part, of which there are PARTS."""
        data = b"".join([*self._read(number), self._buffers[number]])
        size, found = self._size, dict[bytes, list[bytes]]()
        for start in range(0, len(data), size):
            found.setdefault(data[start : start + ID_SIZE], []).append(data[start + ID_SIZE : start + size])
        return found

    def _write(self) -> None:
        with _using_file():
            offset = self._file.seek(0, SEEK_END)
            for blocks, buffer in zip(self._blocks, self._buffers, strict=True):
                blocks.extend((offset, len(buffer)))
                offset += self._file.write(buffer)
                buffer.clear()
            self._file.flush()
        self._buffered = 0

    def _read(self, number: int) -> Iterator[bytes]:
        blocks = self._blocks[number]
        with _using_file():
            for offset, size in zip(blocks[::2], blocks[1::2], strict=True):
                self._file.seek(offset)
                yield self._file.read(size)


def part_of(identity: bytes) -> int:
    """The number of the part that an id belongs to."""
    return (identity[12] & 3) << 8 | identity[13]


@contextmanager
def _using_file() -> Iterator[None]:
    """Raises NoRoom."""
    try:
        yield
    except OSError as error:
        raise NoRoom(
            path=tempfile.tempdir or "the temporary directory", reason=error.strerror or error
        ) from None


Part = Mapping[bytes, Sequence[bytes]]
"""The values of each id."""


def parts(expected: Records, found: Records) -> Iterator[tuple[Part, Part]]:
    """The records of both sides, part by part: all of an id are in the same one. Raises NoRoom."""
    return ((expected.part(number), found.part(number)) for number in range(PARTS))
