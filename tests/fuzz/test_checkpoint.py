"""A changed checkpoint is read as it stands, or is damaged; nothing in between."""

import tempfile
from contextlib import suppress
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import StateUnusable
from indexer.events import Totals
from indexer.reading.identity import HEAD, FileRecord
from indexer.writing.checkpoint import NAME, Checkpoint, StateDirectory, Unsupported
from tests.fuzz.foreign import corpus, foreign

VALUES = [
    "null",
    "0",
    "-1",
    "1.5",
    "1e99",
    '""',
    '"x"',
    "[]",
    "{}",
    "true",
    str(2**63),
    str(2**64),
    '"\\u0000"',
    "\\",
    "[[",
    '"files":',
]
STORED = foreign("checkpoints", st.sampled_from(VALUES).map(str.encode))


def again(checkpoint: Checkpoint) -> Checkpoint:
    """Written and read back."""
    return Checkpoint.from_json(checkpoint.to_json(datetime.now(UTC)))


def assert_usable(checkpoint: Checkpoint) -> None:
    """What it says is of the kinds that it promises, and can be written again."""
    assert again(checkpoint) == replace(checkpoint, files=list(checkpoint.files))
    stored: list[Totals | FileRecord] = [checkpoint.totals, *checkpoint.files]
    for each in stored:
        for item in fields(each):
            assert isinstance(getattr(each, item.name), item.type)  # type: ignore[arg-type]
    for record in checkpoint.files:
        assert isinstance(record, FileRecord)
        assert 0 <= record.head <= HEAD
        assert 0 <= record.offset < 2**63
    assert isinstance(checkpoint.totals, Totals)
    assert all(
        isinstance(it, str | None) for it in (checkpoint.cluster, checkpoint.alias, checkpoint.write_index)
    )


@given(STORED)
def test_a_checkpoint_is_usable_or_damaged(data: bytes) -> None:
    """Only what is declared is raised."""
    with suppress(ValueError, Unsupported):
        assert_usable(Checkpoint.from_json(data))


@given(STORED)
def test_a_state_directory_is_used_or_said_to_be_unusable(data: bytes) -> None:
    """A damaged checkpoint is put aside with its bytes, and the state begins anew."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / NAME).write_bytes(data)
        with StateDirectory(directory) as state:
            try:
                checkpoint, damaged = state.load()
            except StateUnusable:
                assert (directory / NAME).read_bytes() == data
                return
            assert_usable(checkpoint)
            kept = directory / ("checkpoint.damaged.json" if damaged else NAME)
            assert kept.read_bytes() == data
            state.save(checkpoint)
            assert state.load() == (again(checkpoint), False)


@pytest.mark.parametrize("name", corpus("checkpoints"))
def test_the_corpus_is_read(name: str) -> None:
    """The sound ones are used, the others are damaged or of a version of the future."""
    data = corpus("checkpoints")[name]
    if name in {"version-1.json", "version-2.json", "nothing-known.json"}:
        assert_usable(Checkpoint.from_json(data))
    else:
        with pytest.raises((ValueError, Unsupported)):
            Checkpoint.from_json(data)
