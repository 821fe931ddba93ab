"""`indexer verify` in one of its two ways: verifying.py (look-up|scan) URL STATE LOG."""

import sys
import threading
from pathlib import Path

from indexer.events import Events
from indexer.settings import Connection, Delivery, LogFiles, State
from indexer.verify.log_files import Verifier


def main(way: str, url: str, state: str, log: str) -> None:
    connection = Connection(elasticsearch_url=[url])
    verifier = Verifier(connection, Delivery(), State(Path(state)), Events(), threading.Event())
    result = verifier.verify(LogFiles([log]), scan=way == "scan")
    assert result.agrees, result


if __name__ == "__main__":
    main(*sys.argv[1:])
