"""The files of a state directory as 0.1 wrote them, to the byte; its checkpoint is in test_checkpoint.py."""

from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from indexer.monitoring import discovery
from indexer.writing.spool import DeadLetter, DeadLetterFiles
from tests.support.http_server import address, answer, serving

ID = "2facfee5000000000018ce59b312"
LINE = b"no entry \xff"
DESCRIPTION = b"""{
  "@timestamp": "2026-11-23T06:36:08.907+00:00",
  "file": "/opt/zoomdata/logs/zoomdata-activity.log",
  "offset": 24,
  "type": "not_an_object",
  "reason": "the line is no JSON object: it does not begin with {",
  "size": 10,
  "text": "no entry \xef\xbf\xbd"
}"""
"""Written by `LocalRejects.keep` of 0.1."""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory with one rejected line."""
    directory = tmp_path / "rejected"
    directory.mkdir()
    (directory / f"{ID}.line").write_bytes(LINE)
    (directory / f"{ID}.json").write_bytes(DESCRIPTION)
    return tmp_path


def test_rejected_lines_are_listed_read_and_removed(state: Path) -> None:
    """What `indexer rejected list` and `replay` need of them."""
    files = DeadLetterFiles(state)
    assert list(files.list()) == [
        DeadLetter(
            id=ID,
            rejected="2026-11-23T06:36:08.907+00:00",
            file="/opt/zoomdata/logs/zoomdata-activity.log",
            offset=24,
            type="not_an_object",
            reason="the line is no JSON object: it does not begin with {",
            size=10,
            where="file",
            text="no entry \ufffd",
        )
    ]
    assert files.line(ID) == LINE
    files.remove(ID)
    assert list((state / "rejected").iterdir()) == []


def test_the_address_of_a_running_indexer_is_read(tmp_path: Path) -> None:
    """`status` asks it there."""
    asked: list[str] = []

    def respond(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        answer(handler, 200, b"{}")

    with serving(respond) as server:
        announced = b'{"address":"%s","instance":"abc"}\n' % address(server).encode()
        (tmp_path / "monitoring.json").write_bytes(announced)
        assert discovery.ask(tmp_path) is None, "it is another instance that answers"
    assert asked == ["/status"]
