"""Seals of whatever bytes: taken for what they say, or refused in a sentence; nothing that was not signed is ever proven."""

import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.elastic.failures import InvalidAnswer
from indexer.errors import Fatal
from indexer.seals.heads import TreeHead
from indexer.seals.keys import read_verifiers
from indexer.seals.leaves import read_leaf
from indexer.seals.notes import VerifierKey, open_note
from indexer.seals.proofs import Proof, check, check_file
from indexer.seals.state import SealState, load
from indexer.verify.by_id import Document, documents
from tests.fuzz.foreign import corpus, foreign

VALUES = [
    *(
        "null",
        "0",
        "-1",
        "1.5",
        "1e999",
        '""',
        '"x"',
        "[]",
        "{}",
        "true",
        str(2**63),
        str(2**64),
        '"\\u0000"',
        "[[",
    ),
    *(
        '"kind":"lines"',
        '"kind":[]',
        "+",
        "\n",
        "\n\n",
        "\n\n— a b\n",
        "— ",
        "=",
        "\u2028",
        "c2sp.org/tlog-proof@v1\n",
        "index ",
    ),
]
BYTES = foreign("seals", st.sampled_from(VALUES).map(str.encode))
TEXTS = BYTES.map(lambda data: data.decode(errors="replace"))
KEY = VerifierKey.parse(corpus("seals")["key.pub"].decode())
PROOF = corpus("seals")["proof.json"]
LEAVES = ("start.json", "lines.json", "lost.json", "head.json")


@given(BYTES)
def test_a_leaf_is_read_as_it_would_be_written_or_refused(data: bytes) -> None:
    """What is read can be written, and is the same then."""
    with suppress(ValueError):
        leaf, sealed = read_leaf(data)
        assert read_leaf(leaf.leaf(sealed)) == (leaf, sealed)


@given(TEXTS)
def test_a_note_is_opened_or_refused(text: str) -> None:
    """Only the text that was signed comes out."""
    with suppress(ValueError):
        assert open_note(text, [KEY])[0] == corpus("seals")["note.txt"].decode().partition("\n\n")[0] + "\n"


@pytest.mark.parametrize("parse", [VerifierKey.parse, TreeHead.parse], ids=["key", "head"])
@given(text=TEXTS)
def test_a_key_or_head_is_read_or_refused(parse: Callable[[str], Any], text: str) -> None:
    with suppress(ValueError):
        found = parse(text)
        again = found.text if isinstance(found, TreeHead) else str(found)
        assert text.strip().startswith(again.strip())


@given(BYTES)
def test_a_proof_holds_for_what_was_signed_alone(data: bytes) -> None:
    """A changed one that holds proves the same bytes under the same id."""
    with suppress(ValueError):
        proof = Proof.from_json(data)
        check(proof, [KEY])
        assert (proof.id, proof.entry) == (Proof.from_json(PROOF).id, Proof.from_json(PROOF).entry)


@given(BYTES)
def test_files_are_used_or_said_to_be_unusable(data: bytes) -> None:
    """A public key, a proof, and the state, which begins anew."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "state.json"
        path.write_bytes(data)
        with suppress(Fatal):
            read_verifiers([path])
        with suppress(Fatal):
            check_file(path, [KEY])
        state = load(path.parent)
        assert state is None or all(hasattr(state, each.name) for each in fields(SealState))


@given(st.lists(st.binary(max_size=12), max_size=4), BYTES, st.integers(0, 500))
def test_an_answer_is_split_at_its_hits(sources: list[bytes], data: bytes, at: int) -> None:
    """Or refused; whatever the entries contain, and wherever it is changed."""
    name = b"0123456789abcdef"
    ids = [b"%028d" % number for number in range(len(sources))]
    form = b'{"_index":"i","_id":"%b","_score":null,"_source":%b,"sort":[0],"matched_queries":["%b"]}'
    hits = b",".join(form % (identity, source, name) for identity, source in zip(ids, sources, strict=True))
    head = b'{"took":1,"hits":{"total":{"value":%d,"relation":"eq"},"max_score":null,"hits":['
    answer = head % len(sources) + hits + b"]}}"
    assert documents(answer, name, ids) == [
        Document(identity, "i", source) for identity, source in zip(ids, sources, strict=True)
    ]
    with suppress(InvalidAnswer):
        assert {found.id for found in documents(answer[:at] + data + answer[at:], name, ids)} <= set(ids)


@pytest.mark.parametrize("name", corpus("seals"))
def test_the_corpus_is_read(name: str) -> None:
    """Each as what it is."""
    data = corpus("seals")[name]
    if name in LEAVES:
        leaf, sealed = read_leaf(data)
        assert leaf.leaf(sealed) == data
    elif name == "proof.json":
        assert check(Proof.from_json(data), [KEY]).leaves == 4
    elif name == "note.txt":
        assert TreeHead.parse(open_note(data.decode(), [KEY])[0]).size == 4
    elif name == "state.json":
        with tempfile.TemporaryDirectory() as directory:
            (Path(directory) / name).write_bytes(data)
            assert load(Path(directory)) is not None
    else:
        assert str(KEY) == data.decode().strip()
