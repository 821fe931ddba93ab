"""Standard input."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from indexer.reading.sources import StdinSource
from tests.support.rotation import FIRST, HALF, SECOND, THIRD
from tests.unit.conftest import Reader, append, expected


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Puts bytes into standard input and closes it."""

    def pipe(data: bytes) -> None:
        out, into = os.pipe()
        real = StdinSource.__init__

        def opened(self: StdinSource) -> None:
            real(self)
            self._descriptor = out

        monkeypatch.setattr(StdinSource, "__init__", opened)
        os.write(into, data)
        os.close(into)

    return pipe


@pytest.mark.parametrize("content", [FIRST, FIRST + HALF, b"", HALF])
def test_standard_input_is_read_to_its_end(piped: Callable[[bytes], None], content: bytes) -> None:
    """Its last line needs no line end, and nothing of it is remembered."""
    piped(content)
    reader = Reader(Path("-"), once=True)
    reader.look()
    assert reader.tail.exhausted
    assert reader.delivered == expected(content)
    assert reader.tail.records() == []


def test_standard_input_may_begin_like_a_known_file(
    piped: Callable[[bytes], None], reader: Reader, logs: Path, log: Path
) -> None:
    """It cannot be read twice, so it is compared with none; what the index has of it is asked for by its ids."""
    append(log, FIRST)
    reader.look()
    append(log, SECOND)
    piped(FIRST + SECOND + THIRD)
    reader._patterns = ["-", str(logs)]
    reader.restart(once=True)
    reader.look()
    assert reader.tail.exhausted
    assert reader.delivered == expected(FIRST + SECOND + THIRD)
