"""Key files: the private key in PEM (PKCS 8, RFC 5958), readable for its owner alone; the public one, a verifier key, in FILE.pub.

A key's name is made of the key itself: `zoomdata-indexer/<8 hexadecimal digits>`. The file of a key that replaces an older
one may be a signed note: the new verifier key, signed by the old one.
"""

import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from indexer.errors import Fatal
from indexer.seals.notes import InvalidNote, Signer, VerifierKey, open_note

PUBLIC = ".pub"
MOST_BYTES = 64 * 1024
"""No key file is larger."""


class KeyUnusable(Fatal):
    """A key file is missing, unreadable or not a key."""

    sentence = "Cannot use the key file {path}: {reason}."
    hint = "`indexer seal key FILE` makes a private key, and FILE.pub for auditors."


class KeyExists(Fatal):
    """A key is never overwritten: what it has signed could not be verified any more."""

    sentence = "{path} exists."
    hint = "Give another file: what a key has signed can only be verified with that key."


def create_key(path: Path, signed_by: Path | None = None) -> VerifierKey:
    """Make a key pair, in `path` (mode 0600) and `path`.pub; the public one signed by an older private key, if given.

    Raises KeyExists, KeyUnusable.
    """
    public = path.with_name(path.name + PUBLIC)
    older = read_signer(signed_by) if signed_by is not None else None
    for each in (path, public):
        if each.exists():
            raise KeyExists(path=each)
    private = Ed25519PrivateKey.generate()
    signer = _signer(private)
    line = f"{signer.key}\n"
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write(path, pem, 0o600)
    try:
        _write(public, (older.sign(line) if older else line).encode(), 0o644)
    except Fatal:
        path.unlink()  # else the command could not be repeated
        raise
    return signer.key


def read_signer(path: Path) -> Signer:
    """Read a private key. Raises KeyUnusable."""
    try:
        private = load_pem_private_key(_read(path), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyUnusable(path=path, reason="it is not a private key in PEM without a password") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyUnusable(path=path, reason="it is not an Ed25519 key")
    return _signer(private)


def read_verifiers(paths: Sequence[Path]) -> list[VerifierKey]:
    """Read public keys; one signed by another of them is checked. Raises KeyUnusable."""
    keys: list[VerifierKey] = []
    notes: dict[Path, str] = {}
    for path in paths:
        try:
            text = _read(path).decode()
            keys.append(VerifierKey.parse(text.partition("\n")[0]))
        except ValueError:
            raise KeyUnusable(path=path, reason="it is not a verifier key") from None
        if "\n\n" in text:
            notes[path] = text
    for path, note in notes.items():
        try:
            open_note(note, keys)
        except InvalidNote as reason:
            raise KeyUnusable(path=path, reason=f"{reason}; give the older key, too") from None
    return keys


def _signer(private: Ed25519PrivateKey) -> Signer:
    digest = sha256(private.public_key().public_bytes_raw()).hexdigest()
    return Signer.of(f"zoomdata-indexer/{digest[:8]}", private)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES)
    except OSError as error:
        raise KeyUnusable(path=path, reason=error.strerror) from None


def _write(path: Path, data: bytes, mode: int) -> None:
    """Write a new file durably, or leave none. Raises KeyExists, KeyUnusable."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            path.unlink()
            raise
    except FileExistsError:
        raise KeyExists(path=path) from None
    except OSError as error:
        raise KeyUnusable(path=path, reason=error.strerror) from None
