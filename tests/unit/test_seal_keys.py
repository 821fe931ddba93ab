"""Key files: who may read them, what is never overwritten, and what is said of a file that is no key."""

import importlib.util
import os
import resource
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from indexer.demo.sealing import new_key, show_seals
from indexer.seals.keys import KeyExists, KeyUnusable, create_key, read_signer, read_verifiers
from indexer.seals.notes import open_note
from indexer.settings import Connection, State


def test_a_key_is_its_owners_alone(tmp_path: Path) -> None:
    """Whatever the umask allows; the public one may be read by anybody."""
    before = os.umask(0)
    try:
        create_key(tmp_path / "key")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"key": 0o600, "key.pub": 0o644}


def test_a_key_signs_and_its_public_one_verifies(tmp_path: Path) -> None:
    made = create_key(tmp_path / "key")
    signer = read_signer(tmp_path / "key")
    (verifier,) = read_verifiers([tmp_path / "key.pub"])
    assert made == signer.key == verifier
    assert open_note(signer.sign("text\n"), [verifier]) == ("text\n", verifier)
    assert (tmp_path / "key").read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----\n")


@pytest.mark.parametrize("there", ["key", "key.pub"])
@pytest.mark.parametrize("how", ["file", "dangling link", "link"])
def test_nothing_is_overwritten(tmp_path: Path, there: str, how: str) -> None:
    """No link is followed, and no half pair is left."""
    path, elsewhere = tmp_path / there, tmp_path / "elsewhere"
    if how == "file":
        path.write_text("before")
    else:
        path.symlink_to(elsewhere)
    if how == "link":
        elsewhere.write_text("before")
    found = set(tmp_path.iterdir())
    with pytest.raises(KeyExists, match=f"{there} exists. Give another file"):
        create_key(tmp_path / "key")
    assert set(tmp_path.iterdir()) == found
    assert how == "dangling link" or path.read_text() == "before"
    assert elsewhere.exists() == (how == "link")


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """So that the command can be repeated."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(KeyUnusable, match="File too large"):
            create_key(tmp_path / "key")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_a_new_key_signed_by_the_old_one(tmp_path: Path) -> None:
    """Is taken with it, in any order, and not without it."""
    old = create_key(tmp_path / "old")
    new = create_key(tmp_path / "new", signed_by=tmp_path / "old")
    paths = [tmp_path / "new.pub", tmp_path / "old.pub"]
    assert read_verifiers(paths) == [new, old]
    assert read_verifiers(paths[::-1]) == [old, new]
    with pytest.raises(
        KeyUnusable, match=r"new\.pub: none of the keys given has signed it; give the older key, too"
    ):
        read_verifiers(paths[:1])


def test_a_changed_signed_key_is_not_taken(tmp_path: Path) -> None:
    """Another key in its place."""
    create_key(tmp_path / "old")
    create_key(tmp_path / "new", signed_by=tmp_path / "old")
    other = create_key(tmp_path / "other")
    signed = (tmp_path / "new.pub").read_text()
    (tmp_path / "new.pub").write_text(f"{other}\n\n" + signed.partition("\n\n")[2])
    with pytest.raises(KeyUnusable, match="is not valid; give the older key, too"):
        read_verifiers([tmp_path / "new.pub", tmp_path / "old.pub"])


def pem(encryption: KeySerializationEncryption) -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is not a private key in PEM without a password"),
        (pem(BestAvailableEncryption(b"secret")), "it is not a private key in PEM without a password"),
        (pem(NoEncryption())[:60], "it is not a private key in PEM without a password"),
        (
            generate_private_key(SECP256R1()).private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
            ),
            "it is not an Ed25519 key",
        ),
    ],
    ids=["empty", "password", "cut", "other kind"],
)
def test_what_is_no_private_key_is_said_to_be_none(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(KeyUnusable, match=f"Cannot use the key file {tmp_path / 'key'}: {reason}"):
        read_signer(tmp_path / "key")


@pytest.mark.parametrize("content", [b"", b"x", b"a+b+c\n", b"\xff\n", b"zoomdata-indexer/0+00000000+AQ==\n"])
def test_what_is_no_public_key_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key.pub").write_bytes(content)
    with pytest.raises(KeyUnusable, match=r"key\.pub: it is not a verifier key"):
        read_verifiers([tmp_path / "key.pub"])


def test_a_missing_key_is_said_to_be_missing(tmp_path: Path) -> None:
    for read in (read_signer, lambda path: read_verifiers([path])):
        with pytest.raises(KeyUnusable, match="No such file or directory"):
            read(tmp_path / "none")
    with pytest.raises(KeyUnusable, match="No such file or directory"):
        create_key(tmp_path / "none" / "key")


def test_the_demo_says_that_it_cannot_seal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra it makes no key, says so, and goes on without seals."""
    said: list[str] = []
    assert new_key(tmp_path, said.append).seal_key_file == tmp_path / "seal.key"
    assert not said
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    without = new_key(tmp_path, said.append)
    show_seals(tmp_path / "log", Connection(), State(state_dir=tmp_path), without, said.append)
    assert len(said) == 1
    assert "pip install 'zoomdata-indexer[seal]'" in said[0]
