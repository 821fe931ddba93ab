"""Seals: what was read, signed, so that an index can be verified without the log. The formats are in mappings/seals.md.

lines.py, leaves.py       what is sealed, and its bytes
tree.py, heads.py         the Merkle tree, and what a checkpoint says of it
notes.py, keys.py         signatures and key files; they need the extra `seal`
recorder.py, journal.py   what is read becomes chunks, kept until they are sealed
sealing.py, sealer.py     when, and how; state.py remembers it, store.py puts it into the index
"""

import importlib.util

from indexer.errors import Fatal


class NoSeals(Fatal):
    """The extra `seal` is not installed."""

    sentence = "Seals need the package cryptography, which is not installed."
    hint = "pip install 'zoomdata-indexer[seal]'"


def require_seals() -> None:
    """Raises NoSeals."""
    if importlib.util.find_spec("cryptography") is None:
        raise NoSeals
