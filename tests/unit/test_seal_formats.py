"""The formats of the seals, byte for byte, as mappings/seals.md writes them down: whoever reads them years later relies on it."""

import base64
import hashlib
import re
import zlib
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from indexer.seals.heads import TreeHead
from indexer.seals.journal import Journal
from indexer.seals.leaves import Chunk, Head, Start, checkpoint_document, read_leaf
from indexer.seals.lines import Lines
from indexer.seals.notes import InvalidNote, Signer, VerifierKey, open_note
from indexer.seals.proofs import Proof, check
from indexer.seals.state import SealState, load, save
from indexer.seals.store import checkpoint_id, leaf_id
from indexer.seals.tree import EMPTY, Frontier, inclusion_path, leaf_hash

PAGE = (Path(__file__).parents[2] / "mappings" / "seals.md").read_text(encoding="utf-8")

SIGNER = Signer.of("zoomdata-indexer/00000000", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
KEY = "zoomdata-indexer/00000000+66ff3f4e+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
LOG = "0123456789abcdef"
SEALED = "2026-11-29T09:00:00.000Z"
ENTRIES = [b'{"n":1}', b'{"n":2}', b'{"n":3}']
IDS = [b"d44b3b7e000000000000d44b3b7e", b"d44b3b7e000000000008ff6668bd", b"d44b3b7e000000000010e67d59fc"]
LINES = Lines.of(IDS, ENTRIES)
PACKED = (
    "AAAAAAAAAAAAAAAAAAAAAAgI1P/mS2Z9O2hZfr38KzYh/TNdFHnd9HRVPS9nF4DK/LUlfBuQ6tvvJJLU4AbqkVcQepqbiPdOeXVWtEnL"
)
START = Start(LOG, "0.2.0", "zoomdata-activity", "new", {"zoomdata-activity-000001": 7}, [])
CHUNK = Chunk("d44b3b7e", "/logs/activity.log", 0, 24, 3, 0, 0, LINES, 0, "zoomdata-activity-000001")
LOST = Chunk("d44b3b7e", "/logs/activity.log", 24, 32, 0, 0, 0, None)
HEAD = Head(3600, "400d", {"d44b3b7e": 32})
LEAVES = [
    (
        b'{"v":1,"kind":"start","log":"0123456789abcdef","version":"0.2.0","alias":"zoomdata-activity","reason":"new",'
        b'"before":{"zoomdata-activity-000001":7},"previous":[],"sealed":"2026-11-29T09:00:00.000Z"}'
    ),
    b'{"v":1,"kind":"lines","file":"d44b3b7e","path":"/logs/activity.log","from":0,"to":24,"entries":3,"rejected":0,'
    b'"blank":0,"duplicates":0,"index":"zoomdata-activity-000001","lines":["%b"],"sealed":"2026-11-29T09:00:00.000Z"}'
    % PACKED.encode(),
    b'{"v":1,"kind":"lost","file":"d44b3b7e","path":"/logs/activity.log","from":24,"to":32,"sealed":"2026-11-29T09:00:00.000Z"}',
    b'{"v":1,"kind":"head","every":3600,"retain":"400d","open":{"d44b3b7e":32},"sealed":"2026-11-29T09:00:00.000Z"}',
]
HASHES = [
    "5f50bb9a220ff6851d48a3e6d8d667772b3b4c73aa7ccb495d55c1e9284de698",
    "dd89878d2909e8a477c0e44b9df4ee6e76cffde827d0b40c85104e93d04d53b2",
    "934dc6d3e6908f8040628cf2530e112894c612a753ab77633b3e590245a1a86e",
    "48438e38a9b8107181f3d0b4f17aec9ef9fa0858f8d066c3c1d9552dab47097d",
]
NOTE = """\
zoomdata-indexer/00000000/0123456789abcdef
4
2KFzM+AveSaOOJpyPp+kSBzfo8rJPzaj3STb8q6VZ0s=

— zoomdata-indexer/00000000 Zv8/Tt8BmAfv/qrezpVz3PO08bCLmP5HhlLzeFQ5JNvqwqSPzpN4qzO0xo7gaYvk3d9UsZl2HjTI5md441b4wwlGpwk=
"""
PROOF = f"""\
c2sp.org/tlog-proof@v1
index 1
X1C7miIP9oUdSKPm2NZndys7THOqfMtJXVXB6ShN5pg=
8D2KXWOuia6s69ZIlh36d6MoBRhl9El5wMlnEMr6P4A=

{NOTE}"""

LOGGED = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""Leaves and roots that the implementations of Certificate Transparency are tested with."""


def test_lines_are_packed_by_columns() -> None:
    """Offsets as differences, checksums and digests; a byte of each line at a time."""
    steps = [(0).to_bytes(6), (8).to_bytes(6), (8).to_bytes(6)]
    digests = [hashlib.sha256(entry).digest()[:16] for entry in ENTRIES]
    places = [bytes.fromhex(each[8:].decode()) for each in IDS]
    rows = [step + place[6:] + digest for step, place, digest in zip(steps, places, digests, strict=True)]
    assert base64.b64decode(PACKED) == bytes(chain.from_iterable(zip(*rows, strict=True)))
    assert LINES.blocks == (PACKED,) == tuple(orjson.loads(LEAVES[1])["lines"])
    assert list(LINES) == list(zip(places, digests, strict=True))
    assert Lines.parse([PACKED]) == LINES


@pytest.mark.parametrize(
    ("value", "leaf"),
    list(zip([START, CHUNK, LOST, HEAD], LEAVES, strict=True)),
    ids=["start", "lines", "lost", "head"],
)
def test_a_leaf_is_written_so_and_read_again(value: Start | Chunk | Head, leaf: bytes) -> None:
    assert value.leaf(SEALED) == leaf
    assert read_leaf(leaf) == (value, SEALED)


def test_leaves_and_nodes_are_hashed_as_in_rfc_6962() -> None:
    leaves = [leaf_hash(bytes.fromhex(each)) for each in LOGGED]
    assert [Frontier().append(leaves[:size]).root.hex() for size in range(1, 9)] == ROOTS
    assert Frontier().root == EMPTY == hashlib.sha256().digest()


def test_the_tree_of_the_example() -> None:
    hashes = list(map(leaf_hash, LEAVES))
    assert [each.hex() for each in hashes] == HASHES
    assert (
        TreeHead(f"{SIGNER.key.name}/{LOG}", 4, Frontier().append(hashes).root).text
        == NOTE.partition("\n\n")[0] + "\n"
    )


def test_a_checkpoint_is_signed_so() -> None:
    text = NOTE.partition("\n\n")[0] + "\n"
    assert str(SIGNER.key) == KEY
    assert SIGNER.sign(text) == NOTE
    assert open_note(NOTE, [VerifierKey.parse(KEY)]) == (text, SIGNER.key)
    assert orjson.loads(checkpoint_document(LOG, 4, 3600, NOTE, SEALED)) == {
        "v": 1,
        "kind": "checkpoint",
        "log": LOG,
        "size": 4,
        "every": 3600,
        "note": NOTE,
        "sealed": SEALED,
    }


def test_the_note_of_the_specification_is_opened() -> None:
    """That of c2sp.org/signed-note."""
    key = VerifierKey.parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
    note = (
        "This is an example message.\n\n"
        "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
    )
    assert open_note(note, [SIGNER.key, key]) == ("This is an example message.\n", key)
    with pytest.raises(InvalidNote, match=r"its signature by example\.com/foo is not valid"):
        open_note(note.replace("example message", "example massage"), [key])
    with pytest.raises(InvalidNote, match="none of the keys given has signed it"):
        open_note(note, [SIGNER.key])


def test_documents_have_these_ids() -> None:
    assert leaf_id(LOG, 3) == "0123456789abcdef-000000000003"
    assert checkpoint_id(LOG, 4) == "0123456789abcdef-000000000004-checkpoint"


def test_a_proof_is_written_so_and_holds() -> None:
    hashes = list(map(leaf_hash, LEAVES))
    proof = Proof(IDS[1].decode(), ENTRIES[1], LEAVES[1], 1, inclusion_path(hashes, 1, 4), NOTE)
    assert orjson.loads(proof.to_json()) == {
        "version": 1,
        "id": IDS[1].decode(),
        "entry": "eyJuIjoyfQ==",
        "text": '{"n":2}',
        "leaf": LEAVES[1].decode(),
        "proof": PROOF,
    }
    assert Proof.from_json(proof.to_json()) == proof
    proven = check(proof, [SIGNER.key])
    assert (proven.path, proven.offset, proven.sealed, proven.key) == (
        "/logs/activity.log",
        8,
        SEALED,
        "zoomdata-indexer/00000000",
    )


def proven(number: int = 1, **change: Any) -> Proof:
    """The proof of a leaf of the example, with the second entry, changed."""
    path = inclusion_path(map(leaf_hash, LEAVES), number, 4)
    return replace(Proof(IDS[1].decode(), ENTRIES[1], LEAVES[number], number, path, NOTE), **change)


FOREIGN = SIGNER.sign(TreeHead("somebody/else", 4, Frontier().append(map(leaf_hash, LEAVES)).root).text)
ALIEN = Signer.of(SIGNER.key.name, Ed25519PrivateKey.from_private_bytes(bytes(32))).sign("x\n1\ny\n")


@pytest.mark.parametrize(
    ("proof", "reason"),
    [
        (proven(entry=ENTRIES[0]), "the entry is not among the lines of its leaf"),
        (proven(id=IDS[1][:-1].decode() + "0"), "the entry is not among the lines of its leaf"),
        (proven(id="0" + IDS[1][1:].decode()), "its leaf is not about the file that the id names"),
        (proven(number=2), "its leaf is not about the file that the id names"),
        (proven(number=3), "its leaf is not about the file that the id names"),
        (proven(leaf=LEAVES[1] + b" "), "its leaf is not under the signed checkpoint"),
        (proven(index=0), "its leaf is not under the signed checkpoint"),
        (proven(index=4), "its leaf is not under the signed checkpoint"),
        (proven(path=[]), "its leaf is not under the signed checkpoint"),
        (
            proven(note=NOTE.replace("\n4\n", "\n5\n")),
            "its signature by zoomdata-indexer/00000000 is not valid",
        ),
        (proven(note=FOREIGN), "its checkpoint is of somebody/else"),
        (proven(note=SIGNER.sign("text\n")), "it is not a checkpoint"),
        (proven(note=ALIEN), "none of the keys given has signed it"),
        (proven(note="x"), "it is not a signed note"),
    ],
    ids=lambda value: "" if isinstance(value, Proof) else value,
)
def test_a_changed_proof_does_not_hold(proof: Proof, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check(proof, [SIGNER.key])


def test_journal_and_state_are_written_so(tmp_path: Path) -> None:
    journal = Journal(tmp_path, None, 0)
    journal.append([CHUNK])
    (file,) = tmp_path.iterdir()
    assert file.name == "journal-0000000000000000"
    checksum, leaf = file.read_bytes().removesuffix(b"\n").split(b" ", 1)
    assert int(checksum, 16) == zlib.crc32(leaf)
    stored: dict[str, Any] = orjson.loads(leaf)
    assert stored | {"sealed": SEALED} == orjson.loads(LEAVES[1])
    state = SealState(
        LOG, KEY, 5, Frontier().append(map(leaf_hash, LEAVES)), 600, 4, 600, 4, 600, NOTE, SEALED
    )
    save(tmp_path, state)
    assert load(tmp_path) == state
    assert set(orjson.loads((tmp_path / "state.json").read_bytes())) == set(SealState.__slots__)


def test_the_page_has_this_example() -> None:
    """And no other: each leaf, hash, note and key on it is one of these."""
    shown = [leaf.decode() for leaf in LEAVES]
    for each in (
        *shown,
        *HASHES,
        *NOTE.strip().split("\n"),
        KEY,
        PACKED,
        *PROOF.split("\n"),
        *SealState.__slots__,
    ):
        assert each in PAGE, each
    assert re.findall(r'^ *(\{"v":1.*\})$', PAGE, re.MULTILINE) == shown
    fields = {name for leaf in LEAVES for name in orjson.loads(leaf)}
    assert [name for name in sorted(fields) if f"| `{name}` |" not in PAGE] == []
