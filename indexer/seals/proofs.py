"""The proof of one line: the entry's bytes, the leaf that has its digest, and the leaf's way to a signed checkpoint.

The file and the public key are enough to check it, without access to the index or to the log. Its `proof` is one of C2SP
(c2sp.org/tlog-proof): for that program, the data is the text of `leaf`.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from indexer.errors import Fatal
from indexer.reading.entries import ID_LENGTH, OFFSET, offset_of
from indexer.seals.heads import TreeHead
from indexer.seals.leaves import Chunk, read_leaf
from indexer.seals.lines import digest_of
from indexer.seals.notes import VerifierKey, open_note
from indexer.seals.tree import Hash, leaf_hash, root_of_path

VERSION = 1
_FORM = re.compile(
    r"c2sp\.org/tlog-proof@v1\n(?:extra [^\n]*\n)?index (?P<index>0|[1-9]\d{0,17})\n"
    r"(?P<path>(?:[A-Za-z0-9+/]{43}=\n){0,64})\n(?P<note>.+)",
    re.DOTALL,
)
_ID = re.compile(rf"[0-9a-f]{{{ID_LENGTH}}}")


def is_id(text: str) -> bool:
    """Tell whether a text may be the id of a line."""
    return _ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Proof:
    """What is handed to an auditor."""

    id: str
    entry: bytes
    """The bytes of the entry, or of the rejected line."""
    leaf: bytes
    index: int
    """The leaf's number in the seal log."""
    path: Sequence[Hash]
    note: str
    """The checkpoint."""

    def to_json(self) -> bytes:
        """The bytes of the file."""
        way = "".join(f"{base64.b64encode(each).decode()}\n" for each in self.path)
        stored = {
            "version": VERSION,
            "id": self.id,
            "entry": base64.b64encode(self.entry).decode(),
            "text": self.entry.decode(errors="replace"),
            "leaf": self.leaf.decode(),
            "proof": f"c2sp.org/tlog-proof@v1\nindex {self.index}\n{way}\n{self.note}",
        }
        return orjson.dumps(stored, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def from_json(cls, data: bytes) -> "Proof":
        """Read the bytes of the file; `text` is for people and is not read. Raises ValueError."""
        try:
            stored = orjson.loads(data)
            version = stored["version"]
            identity, leaf, proof = (str(stored[name]) for name in ("id", "leaf", "proof"))
            entry = base64.b64decode(stored["entry"], validate=True)
        except (ValueError, KeyError, TypeError):
            raise ValueError("it is not a proof") from None
        if version != VERSION:
            raise ValueError(f"it is of version {version}, and this program knows version {VERSION}")
        found = _FORM.fullmatch(proof)
        if found is None or not is_id(identity):
            raise ValueError("it is not a proof")
        try:
            path = [base64.b64decode(each, validate=True) for each in found["path"].split()]
        except binascii.Error:
            raise ValueError("it is not a proof") from None
        return cls(identity, entry, leaf.encode(), int(found["index"]), path, found["note"])


@dataclass(frozen=True, slots=True)
class Proven:
    """What a proof that holds says."""

    id: str
    path: str
    """The log file, as the indexer knew it."""
    generation: str
    offset: int
    size: int
    """Bytes of the entry."""
    sealed: str
    """When, ISO 8601."""
    key: str
    """The name of the key that signed it."""
    log: str
    leaf: int
    leaves: int

    def __str__(self) -> str:
        return (
            f"The proof holds: these {self.size:,} bytes were read from {self.path} (generation {self.generation}) at offset "
            f"{self.offset:,}, and sealed at {self.sealed} by the key {self.key}, as part of leaf {self.leaf:,} of {self.leaves:,} "
            f"of the seal log {self.log}."
        )


def check(proof: Proof, keys: Sequence[VerifierKey]) -> Proven:
    """Verify a proof offline. Raises ValueError, which says what does not hold."""
    text, key = open_note(proof.note, keys)
    head = TreeHead.parse(text)
    name, _, log = head.origin.rpartition("/")
    if name != key.name:
        raise ValueError(f"its checkpoint is of {head.origin}, and the key {key.name} does not sign for it")
    if root_of_path(leaf_hash(proof.leaf), proof.index, head.size, proof.path) != head.root:
        raise ValueError("its leaf is not under the signed checkpoint")
    try:
        chunk, sealed = read_leaf(proof.leaf)
    except ValueError as reason:
        raise ValueError(f"its leaf cannot be read: {reason}") from None
    generation, place = proof.id[: OFFSET.start], bytes.fromhex(proof.id[OFFSET.start :])
    if not isinstance(chunk, Chunk) or chunk.lines is None or chunk.file != generation:
        raise ValueError("its leaf is not about the file that the id names")
    if (place, digest_of(proof.entry)) not in chunk.lines:
        raise ValueError("the entry is not among the lines of its leaf, with these bytes and this id")
    return Proven(
        proof.id,
        chunk.path,
        generation,
        offset_of(proof.id),
        len(proof.entry),
        sealed,
        key.name,
        log,
        proof.index,
        head.size,
    )


class ProofFails(Fatal):
    """A proof does not hold, or is not a proof."""

    sentence = "The proof in {path} does not hold: {reason}."
    hint = "`indexer seal prove` makes a new one; give the key that was in use then with --public-key."


class ProofUnusable(Fatal):
    """The file of a proof cannot be read or written."""

    sentence = "Cannot use {path}: {reason}."
    hint = "Give another file."


def write_proof(path: Path, proof: Proof) -> None:
    """Write the file of a proof. Raises ProofUnusable."""
    try:
        path.write_bytes(proof.to_json())
    except OSError as error:
        raise ProofUnusable(path=path, reason=error.strerror or error) from None


def check_file(path: Path, keys: Sequence[VerifierKey]) -> Proven:
    """Verify the proof in a file. Raises ProofFails, ProofUnusable."""
    try:
        return check(Proof.from_json(path.read_bytes()), keys)
    except ValueError as reason:
        raise ProofFails(path=path, reason=reason) from None
    except OSError as error:
        raise ProofUnusable(path=path, reason=error.strerror or error) from None
