"""Signed notes and verifier keys of C2SP (c2sp.org/signed-note), with Ed25519 (RFC 8032).

A note is a text that ends in a line feed, an empty line, and a line for each signature: `— <key name> <base64>`, of the
key's id (4 bytes) and the signature. A verifier key is `<key name>+<key id, hex>+<base64 of 0x01 and the public key>`.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = b"\1"
_NAME = re.compile(r"[^\s+]+")
_KEY = re.compile(r"(?P<name>[^\s+]+)\+[0-9a-f]{8}\+(?P<data>[A-Za-z0-9+/]{44})")
_WITHOUT_CONTROLS = dict.fromkeys(it for it in range(0x20) if chr(it) != "\n")
_SIGNATURE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+=*)")
MOST_SIGNATURES = 100
"""More are not looked at."""


class InvalidNote(ValueError):  # noqa: N818 - a fact about a note
    """A note that no known key has signed, or that is not a note; the message says why."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key and its name."""

    name: str
    public: bytes
    """32 bytes."""

    @property
    def id(self) -> bytes:
        """4 bytes; with the name, they identify the key."""
        return sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{_base64(ED25519 + self.public)}"

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Read a verifier key. Raises ValueError."""
        found = _KEY.fullmatch(text.strip())
        if found is not None and is_name(found["name"]):
            key = cls(found["name"], base64.b64decode(found["data"])[1:])
            if str(key) == text.strip():
                return key
        raise ValueError("it is not the verifier key of an Ed25519 key")

    def verify(self, text: str, signature: bytes) -> bool:
        """Tell whether this key has signed a text."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key and its name."""

    key: VerifierKey
    _private: Ed25519PrivateKey

    @classmethod
    def of(cls, name: str, private: Ed25519PrivateKey) -> "Signer":
        """A signer with its verifier key."""
        return cls(VerifierKey(name, private.public_key().public_bytes_raw()), private)

    def sign(self, text: str) -> str:
        """Return the note of a text, which ends in a line feed."""
        signature = _base64(self.key.id + self._private.sign(text.encode()))
        return f"{text}\n— {self.key.name} {signature}\n"


def is_name(text: str) -> bool:
    """Tell whether a text may be the name of a key."""
    return _NAME.fullmatch(text) is not None and text.isprintable()  # no half surrogate pair, either


def open_note(note: str, keys: Sequence[VerifierKey]) -> tuple[str, VerifierKey]:
    """Return a note's text, and the first of these keys that has signed it. Raises InvalidNote."""
    text, blank, signatures = note.rpartition("\n\n")
    if not blank or not signatures.endswith("\n") or note != note.translate(_WITHOUT_CONTROLS):
        raise InvalidNote("it is not a signed note")
    text += "\n"
    known = {(key.name, key.id): key for key in keys}
    signed_by = None
    for line in signatures[:-1].split("\n")[:MOST_SIGNATURES]:
        found = _SIGNATURE.fullmatch(line)
        if found is None:
            raise InvalidNote("it is not a signed note")
        try:
            data = base64.b64decode(found[2], validate=True)
        except binascii.Error:
            raise InvalidNote("it is not a signed note") from None
        key = known.get((found[1], data[:4]))
        if key is None:
            continue
        if not key.verify(text, data[4:]):
            raise InvalidNote(f"its signature by {key.name} is not valid")
        signed_by = signed_by or key
    if signed_by is None:
        raise InvalidNote("none of the keys given has signed it")
    return text, signed_by


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
