"""A laboratory for `indexer run`: an alias of the test's own, a directory of logs, a state directory, a command line."""

import base64
import contextlib
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Self
from urllib.request import urlopen

import orjson
from elasticsearch import Elasticsearch

from indexer.elastic.client import connect
from indexer.elastic.cluster import Cluster
from indexer.events import Broadcast, Events
from indexer.run import Report, RunOptions, run
from indexer.seals.keys import create_key, read_verifiers
from indexer.settings import Connection, Delivery, LogFiles, Monitoring, RolloverPolicy, Seals, State
from indexer.setup.templates import install
from indexer.verify.findings import Verification
from indexer.verify.log_files import Verifier
from indexer.verify.seal_findings import SealVerification
from indexer.verify.seal_logs import anchors_in
from indexer.verify.sealed_index import SealVerifier
from indexer.writing.replay import Listing, listing
from tests.support.observed import Heard

PATIENCE = 60.0
"""Seconds after which a test gives up waiting; a busy machine needs many of them."""
LOG = "zoomdata-activity.log"
Paths = Sequence[Path | str]


def until(condition: Callable[[], object]) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


def numbered(count: int, start: int = 0) -> list[bytes]:
    """`count` different entries."""
    return [
        b'{"eventDate":"2026-05-11 06:30:00.000","activityType":"VIS","n":%d}' % number
        for number in range(start, start + count)
    ]


def joined(lines: Sequence[bytes]) -> bytes:
    """The content of a log of these lines."""
    return b"".join(line + b"\n" for line in lines)


class Following:
    """`indexer run` without `--once`, in a thread. A context manager: the exit stops it, and raises what it raised."""

    def __init__(self, work: Callable[[Events, threading.Event], Report], *listeners: Events) -> None:
        self.heard = Heard()
        self.report: Report | None = None
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._listener = Broadcast(self.heard, *listeners)
        self._thread = threading.Thread(target=self._follow, args=(work,), daemon=True)

    def _follow(self, work: Callable[[Events, threading.Event], Report]) -> None:
        try:
            self.report = work(self._listener, self._stop)
        except BaseException as failure:  # noqa: BLE001 - raised again where it is waited for
            self._failure = failure

    def until(self, condition: Callable[[], object]) -> None:
        """Wait until it holds. Raises the error if the run ends with one."""
        until(lambda: self._failure or condition())
        if self._failure:
            raise self._failure

    def until_created(self, count: int) -> None:
        """Wait until `count` entries are created."""
        self.until(lambda: self.heard.totals.created >= count)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the run does not stop"
        if self._failure:
            raise self._failure


def held(connection: Connection) -> Counter[bytes]:
    """What the alias holds, byte for byte, with the number of copies of each; for entries of one level."""
    with connect(connection, raw=True) as client:
        client.indices.refresh(index=connection.alias)
        answer: bytes = client.search(index=connection.alias, size=10_000, sort="_doc").body
    found = Counter(re.findall(rb'"_source":(\{[^{}]*\})', answer))
    assert b'"value":%d,"relation":"eq"' % found.total() in answer, answer[:300]
    return found


def read_terminal(terminal: int) -> bytes:
    """The next bytes of a pseudo-terminal; none at its end."""
    try:
        return os.read(terminal, 65536)
    except OSError:  # its other end is closed
        return b""


@dataclass(frozen=True, slots=True)
class Lab:
    """What a test of `indexer run` works with."""

    connection: Connection
    client: Elasticsearch
    logs: Path
    state: State
    seals: Seals = field(default_factory=Seals)

    @property
    def cluster(self) -> Cluster:
        """For what sets a server up."""
        return Cluster(self.client, self.connection)

    def log(self, content: bytes, name: str = LOG) -> Path:
        """Write a log file."""
        path = self.logs / name
        path.write_bytes(content)
        return path

    def append(self, lines: Sequence[bytes], name: str = LOG) -> Path:
        """Write some lines to the end of a log."""
        path = self.logs / name
        with path.open("ab") as file:
            file.write(joined(lines))
        return path

    def run(self, *paths: Path | str, **delivery: Any) -> Report:
        """`indexer run --once`."""
        return self.follow(paths, delivery, Events(), threading.Event(), once=True)

    def following(
        self,
        *paths: Path | str,
        listeners: Sequence[Events] = (),
        rollover_policy: RolloverPolicy | None = None,
        monitoring: Monitoring | None = None,
        **delivery: Any,
    ) -> Following:
        """`indexer run`."""
        also: dict[str, Any] = {"rollover_policy": rollover_policy, "monitoring": monitoring}
        work = partial(self.follow, paths, {"poll_interval": 0.01} | delivery, once=False, **also)
        return Following(work, *listeners)

    def follow(
        self, paths: Paths, delivery: dict[str, Any], events: Events, stop: threading.Event, **how: Any
    ) -> Report:
        """Call what the command calls."""
        named = [str(path) for path in paths] or [str(self.logs)]
        logs, delivery_options = LogFiles(named), Delivery(**delivery)
        options = RunOptions(logs, self.connection, self.state, delivery_options, seals=self.seals, **how)
        return run(options, events, stop)

    def verify(
        self, *paths: Path | str, repair: bool = False, scan: bool | None = None, **delivery: Any
    ) -> Verification:
        """`indexer verify`, in this process; `scan` is that of the Verifier."""
        named = [str(path) for path in paths] or [str(self.logs)]
        verifier = Verifier(self.connection, Delivery(**delivery), self.state, Events(), threading.Event())
        return verifier.verify(LogFiles(named), repair=repair, scan=scan)

    def sealing(self, every: str = "1h") -> "Lab":
        """The same laboratory, with a key: what is delivered is sealed."""
        key = self.state.state_dir.parent / "seal.key"
        if not key.exists():
            create_key(key)
        return replace(self, seals=Seals(seal_key_file=key, seal_every=every))

    def verify_seals(
        self, *anchors: Path, keys: Sequence[Path] = (), state: Path | None = None
    ) -> SealVerification:
        """`indexer verify --seals`, in this process; `state` is that of the machine that verifies, another one by default."""
        assert self.seals.seal_key_file is not None
        public = keys or [self.seals.seal_key_file.with_name(f"{self.seals.seal_key_file.name}.pub")]
        elsewhere = State(state or self.state.state_dir.parent / "elsewhere")
        stop = threading.Event()
        return SealVerifier(
            self.connection, elsewhere, read_verifiers(public), anchors_in(anchors), lambda *_: None, stop
        ).verify()

    def install(self) -> None:
        """`indexer template install`."""
        install(self.cluster)

    def stored(self) -> dict[str, bytes]:
        """Each entry behind the alias by its id, byte for byte as the server gives it."""
        return {hit["_id"]: self.source(hit["_index"], hit["_id"]) for hit in self.hits()}

    def entries(self) -> list[bytes]:
        """The entries behind the alias, those of one file in their order there."""
        return [entry for _, entry in sorted(self.stored().items())]

    def numbers(self) -> list[int]:
        """The field `n` of all entries behind the alias, sorted."""
        return sorted(hit["_source"]["n"] for hit in self.hits(source=True))

    def hits(self, *, source: bool = False) -> list[dict[str, Any]]:
        """Every document behind the alias, twice if it is there twice."""
        self.client.indices.refresh(index=self.connection.alias)
        answer = self.client.search(index=self.connection.alias, size=10_000, source=source)
        hits: list[dict[str, Any]] = answer["hits"]["hits"]
        assert answer["hits"]["total"] == {"value": len(hits), "relation": "eq"}
        return hits

    def source(self, index: str, identity: str) -> bytes:
        """A document as the server gives it; the client would parse it."""
        with urlopen(f"{self.connection.elasticsearch_url[0]}/{index}/_source/{identity}") as response:
            return bytes(response.read())

    def rejected(self) -> Listing:
        """`indexer rejected list`."""
        return listing(self.connection, self.state, 10_000)

    def rejected_bytes(self) -> dict[bytes, str]:
        """The bytes of each rejected line that the index keeps, with its type."""
        return {
            base64.b64decode(orjson.loads(self.source(self.connection.rejected, line.id))["bytes"]): line.type
            for line in self.rejected().lines
            if line.where == "index"
        }

    def command(self, *arguments: Path | str, **how: Any) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        with self.process(*arguments, **{"stdin": subprocess.DEVNULL} | how) as process:
            stdout, stderr = process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    @contextlib.contextmanager
    def process(
        self, *arguments: Path | str, environment: dict[str, str] | None = None, **how: Any
    ) -> Iterator[subprocess.Popen[str]]:
        """The command as a process, with this laboratory's options; killed on exit if it still runs."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("INDEXER_")} | {
            "INDEXER_ELASTICSEARCH_URL": self.connection.elasticsearch_url[0],
            "INDEXER_ALIAS": self.connection.alias,
            "INDEXER_STATE_DIR": str(self.state.state_dir),
        }
        if self.seals.seal_key_file is not None:
            ours["INDEXER_SEAL_KEY_FILE"] = str(self.seals.seal_key_file)
            ours["INDEXER_SEAL_EVERY"] = self.seals.seal_every
        with subprocess.Popen(
            [sys.executable, "-m", "indexer", *map(str, arguments)],
            env=ours | (environment or {}),
            text=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | how,
        ) as process:
            try:
                yield process
            finally:
                process.kill()
