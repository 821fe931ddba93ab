"""The Merkle tree of RFC 6962, section 2.1, with SHA-256. Sizes and indices count leaves, from 0."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

EMPTY = sha256(b"").digest()
"""The root of a tree without leaves."""
Hash = bytes
"""32 bytes."""


def leaf_hash(data: bytes) -> Hash:
    """The hash of a leaf."""
    return sha256(b"\0" + data).digest()


def node_hash(left: Hash, right: Hash) -> Hash:
    """The hash of an inner node."""
    return sha256(b"\1" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """All that is needed of a tree to append to it: its size, and the root of each perfect subtree, largest first."""

    size: int = 0
    hashes: tuple[Hash, ...] = ()

    def append(self, leaves: Iterable[Hash]) -> "Frontier":
        """The tree with more leaves."""
        size, hashes = self.size, list(self.hashes)
        for leaf in leaves:
            hashes.append(leaf)
            for _ in range(_trailing_ones(size)):
                right, left = hashes.pop(), hashes.pop()
                hashes.append(node_hash(left, right))
            size += 1
        return Frontier(size, tuple(hashes))

    @property
    def root(self) -> Hash:
        """The hash of the whole tree."""
        if not self.hashes:
            return EMPTY
        *rest, root = self.hashes
        for left in reversed(rest):
            root = node_hash(left, root)
        return root


def inclusion_path(leaves: Sequence[Hash], index: int) -> list[Hash]:
    """The siblings of a leaf's ancestors, from its own upwards (section 2.1.1)."""
    if len(leaves) < 2:
        return []
    half = _split(len(leaves))
    if index < half:
        return [*inclusion_path(leaves[:half], index), _root(leaves[half:])]
    return [*inclusion_path(leaves[half:], index - half), _root(leaves[:half])]


def root_of_path(leaf: Hash, index: int, size: int, path: Sequence[Hash]) -> Hash | None:
    """The root of the tree of `size` leaves that a path leads to; None if it is not a path of that place."""
    if size < 2 or not path:
        return leaf if index == 0 and size == 1 and not path else None
    half, *below, sibling = _split(size), *path
    if index < half:
        left = root_of_path(leaf, index, half, below)
        return left and node_hash(left, sibling)
    right = root_of_path(leaf, index - half, size - half, below)
    return right and node_hash(sibling, right)


def _root(leaves: Sequence[Hash]) -> Hash:
    return Frontier().append(leaves).root


def _split(size: int) -> int:
    """The largest power of two that is smaller than `size`, which is 2 at least."""
    return 1 << (size - 1).bit_length() - 1


def _trailing_ones(number: int) -> int:
    return (number ^ (number + 1)).bit_length() - 1
