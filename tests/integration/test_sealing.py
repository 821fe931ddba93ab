"""Sealing in a running indexer, against a real server. What the seals are good for: test_sealed_index.py."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.support.lab import Lab, joined, numbered


@pytest.fixture
def lab(lab: Lab) -> Lab:
    lab.install()
    return lab.sealing()


def public_key(lab: Lab) -> Path:
    assert lab.seals.seal_key_file is not None
    return lab.seals.seal_key_file.with_name("seal.key.pub")


def documents(lab: Lab) -> dict[str, bytes]:
    """The seals, byte for byte, by id."""
    lab.client.indices.refresh(index=lab.connection.seals)
    hits = lab.client.search(index=lab.connection.seals, size=10_000, source=False)["hits"]["hits"]
    return {
        hit["_id"]: lab.source(lab.connection.seals, hit["_id"])
        for hit in sorted(hits, key=lambda hit: hit["_id"])
    }


def leaves(lab: Lab) -> list[dict[str, Any]]:
    """The leaves, parsed, in order."""
    return [
        orjson.loads(data)
        for identity, data in documents(lab).items()
        if not identity.endswith("-checkpoint")
    ]


def root(hashes: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, as it is written there."""
    if len(hashes) == 1:
        return hashes[0]
    half = 1
    while half * 2 < len(hashes):
        half *= 2
    return hashlib.sha256(b"\1" + root(hashes[:half]) + root(hashes[half:])).digest()


def checked_by_the_book(lab: Lab) -> int:
    """Check the newest checkpoint with nothing of the product; return its size."""
    found = documents(lab)
    newest = max(identity for identity in found if identity.endswith("-checkpoint"))
    log = newest[:16]
    text, _, signature = orjson.loads(found[newest])["note"].rpartition("\n\n")
    origin, size, encoded = text.split("\n")
    name, key_id, public = public_key(lab).read_text().strip().split("+", 2)
    key = base64.b64decode(public)
    assert key[:1] == b"\1"
    assert hashlib.sha256(name.encode() + b"\n" + key).hexdigest()[:8] == key_id
    assert origin == f"{name}/{log}"
    dash, signer, data = signature.strip().split(" ")
    assert (dash, signer, base64.b64decode(data)[:4].hex()) == ("—", name, key_id)
    Ed25519PublicKey.from_public_bytes(key[1:]).verify(base64.b64decode(data)[4:], f"{text}\n".encode())
    hashes = [hashlib.sha256(b"\0" + found[f"{log}-{number:012d}"]).digest() for number in range(int(size))]
    assert root(hashes) == base64.b64decode(encoded)
    return int(size)


def test_what_is_delivered_is_sealed(lab: Lab) -> None:
    lab.log(b"no entry\n" + joined(numbered(1000)) + b"\n\n")
    lab.run()
    start, *empty, lines, head = leaves(lab)
    assert all(leaf["kind"] == "head" for leaf in empty)  # one, if the run takes longer than a look
    assert (start["kind"], start["reason"], start["before"]) == (
        "start",
        "new",
        {f"{lab.connection.alias}-000001": 0, lab.connection.rejected: 0},
    )
    assert (lines["kind"], lines["entries"], lines["rejected"], lines["blank"]) == ("lines", 1000, 1, 2)
    assert (head["kind"], head["every"]) == ("head", 3600)
    assert checked_by_the_book(lab) == 3 + len(empty)
