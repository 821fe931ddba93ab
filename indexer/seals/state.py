"""What the sealer remembers, in `seals/` of the state directory.

state.json             the fields of `SealState`: the log, its tree, how far it is stored and signed
leaves-<log>.jsonl     the leaves, a line each: the local copy of what is in the index
<log>.checkpoints      the signed checkpoints, one after the other
journal-<position>     what is delivered and not sealed yet (journal.py)
request                asks the running indexer to seal now
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import orjson

from indexer.seals.tree import Frontier, leaf_hash
from indexer.writing.checkpoint import write_durably

NAME = "state.json"
DIRECTORY = "seals"
REQUEST = "request"
CHECKPOINTS = ".checkpoints"


@dataclass(frozen=True, slots=True)
class SealState:
    """One seal log, and how far it is."""

    log: str
    """Its id: 16 hexadecimal digits."""
    key: str
    """The verifier key that it is signed with."""
    consumed: int = 0
    """Position in the journal up to which chunks are leaves."""
    tree: Frontier = field(default_factory=Frontier)
    bytes: int = 0
    """Size of the leaves in the local file."""
    stored: int = 0
    """Leaves that are in the index."""
    stored_bytes: int = 0
    """Their size in the local file."""
    signed: int = 0
    """Size of the newest checkpoint."""
    signed_bytes: int = 0
    """Size of its leaves in the local file."""
    note: str = ""
    """The newest checkpoint."""
    sealed: str = ""
    """When the newest leaves were made."""

    @property
    def complete(self) -> bool:
        """All leaves are in the index and signed."""
        return self.tree.size == self.stored == self.signed


def load(directory: Path) -> SealState | None:
    """Read the state; None if there is none, or it is damaged. Raises OSError."""
    try:
        stored: dict[str, Any] = orjson.loads((directory / NAME).read_bytes())
        tree = Frontier(stored["tree"]["size"], tuple(map(bytes.fromhex, stored["tree"]["hashes"])))
        state = SealState(**{it.name: stored[it.name] for it in fields(SealState)} | {"tree": tree})
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return state


def save(directory: Path, state: SealState) -> None:
    """Write the state durably. Raises OSError."""
    tree = {"size": state.tree.size, "hashes": [each.hex() for each in state.tree.hashes]}
    data = orjson.dumps(
        asdict(state) | {"tree": tree}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    )
    write_durably(directory / NAME, data)


def leaves_file(directory: Path, log: str) -> Path:
    """The local copy of a log's leaves."""
    return directory / f"leaves-{log}.jsonl"


def append(directory: Path, state: SealState, leaves: Iterable[bytes]) -> SealState:
    """Add leaves to the local file durably; return the state that includes them, not saved yet. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(leaves_file(directory, state.log), flags, 0o600), "wb") as file:
        file.truncate(state.bytes)  # what a crash has left behind belongs to no saved state
        file.seek(state.bytes)
        tree, size = state.tree, state.bytes
        for leaf in leaves:
            size += file.write(leaf + b"\n")
            tree = tree.append([leaf_hash(leaf)])
        file.flush()
        os.fsync(file.fileno())
    return replace(state, tree=tree, bytes=size)


def leaves(directory: Path, state: SealState, first: int, offset: int) -> Iterator[bytes]:
    """The leaves from number `first` on, which begins at `offset` of the local file. Raises OSError."""
    if first == state.tree.size:
        return
    with leaves_file(directory, state.log).open("rb") as file:
        file.seek(offset)
        for _ in range(first, state.tree.size):
            yield file.readline().removesuffix(b"\n")
