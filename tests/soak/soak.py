"""Random faults against a real Elasticsearch: `make soak MINUTES=5 SEED=1`.

One thread plays a Zoomdata that writes and rotates its log in every way, an operator who kills, stops and starts the
indexer, and a cluster that rolls over, loses its node and comes back. After each round all faults end, the indexer
drains, and the alias must hold exactly the lines written, each once and unchanged. A seed repeats a run's decisions (not
its timing). Exit code 0 only if every round agrees.
"""

import argparse
import gzip
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Self

import orjson
from elasticsearch import Elasticsearch

from indexer.cluster.client import connect, inspect_server
from indexer.cluster.templates import install
from indexer.demo.embedded import Embedded
from indexer.settings import Connection

ROUND = 25
"""Steps between two comparisons."""


def digest(line: bytes) -> bytes:
    """Stands for a line, with its end for people to read."""
    return line[-40:] + blake2b(line, digest_size=8).hexdigest().encode()


class Zoomdata:
    """Writes a log, and rotates it."""

    def __init__(self, directory: Path, chance: random.Random) -> None:
        self.directory = directory
        self.written: Counter[bytes] = Counter()
        """Digests: the lines themselves would fill the memory."""
        self._chance = chance
        self._live = directory / "zoomdata-activity.log"
        self._file = self._live.open("ab", buffering=0)
        self._number = 0
        self._lines = 0

    def append(self) -> None:
        """Write some lines, cut into writes anywhere."""
        lines = [self._line() for _ in range(self._chance.choice([1, 3, 200, 3000]))]
        data = b"".join(line + b"\n" for line in lines)
        while data:
            size = self._chance.choice([7, 1000, 100_000, 1_000_000])
            self._file.write(data[:size])
            data = data[size:]
        self.written.update(map(digest, lines))

    def append_slowly(self) -> None:
        """Write half a line, and the rest a while later."""
        line = self._line()
        half = self._chance.randrange(1, len(line))
        self._file.write(line[:half])
        time.sleep(self._chance.uniform(0, 0.5))
        self._file.write(line[half:] + b"\n")
        self.written[digest(line)] += 1

    def rename(self) -> Path:
        """Rotate as logback does."""
        rotated = self._rotated()
        self._live.rename(rotated)
        self._file.close()
        self._file = self._live.open("ab", buffering=0)
        self.append()
        return rotated

    def compress(self) -> None:
        """Rotate and gzip."""
        rotated = self.rename()
        archive = rotated.with_name(rotated.name + ".gz")
        with rotated.open("rb") as plain, gzip.open(archive, "wb", compresslevel=1) as packed:
            shutil.copyfileobj(plain, packed)
        rotated.unlink()

    def copy_and_truncate(self) -> None:
        """Rotate as logrotate does with copytruncate."""
        if self._live.stat().st_size:
            shutil.copyfile(self._live, self._rotated())
            self._file.truncate(0)
            self.append()

    def rename_often(self) -> None:
        """Rotate several times within a second."""
        for _ in range(4):
            self.rename()
            time.sleep(0.1)

    def _rotated(self) -> Path:
        self._number += 1
        return self.directory / f"zoomdata-activity.log.{self._number}"

    def _line(self) -> bytes:
        self._lines += 1
        entry = {
            "eventDate": time.strftime("%Y-%m-%d %H:%M:%S.000", time.gmtime()),
            "user": self._chance.choice(["ann", "bob", "čeněk"]),
            "activityType": self._chance.choice(["VIS_DATA", "REQUEST", "AUTHENTICATION"]),
            "payload": "x" * self._chance.choice([0, 10, 500, 3000]),
            "number": self._lines,
        }
        return orjson.dumps(entry)


class Operator:
    """Runs the indexer."""

    def __init__(self, connection: Connection, logs: Path, state: Path) -> None:
        self._command = [
            sys.executable,
            "-m",
            "indexer",
            "run",
            "--alias",
            connection.alias,
            "--state-dir",
            str(state),
        ]
        self._command += [
            "--request-timeout",
            "5",
            "--elasticsearch-url",
            connection.elasticsearch_url[0],
            str(logs),
        ]
        self._log = (state.parent / "indexer.log").open("ab")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._log.close()

    def start(self) -> None:
        """Start it, if it does not run."""
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(self._command, stderr=self._log)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._end(signal.SIGKILL)

    def terminate(self) -> None:
        """End it with SIGTERM; it has to be gone within ten seconds."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(timeout=10)


def indexed(client: Elasticsearch, alias: str) -> Iterator[bytes]:
    """The digest of every entry behind the alias."""
    client.indices.refresh(index=alias)
    after = None
    while True:
        query = {
            "size": 5000,
            "sort": [{"number": {"order": "asc", "unmapped_type": "double"}}, {"_index": "asc"}],
            "track_total_hits": False,
        }
        answer = client.search(index=alias, **query, **({"search_after": after} if after else {}))  # type: ignore[arg-type]
        hits = answer["hits"]["hits"]
        for hit in hits:
            yield digest(orjson.dumps(hit["_source"]))  # written by orjson, so written alike
        if not hits:
            return
        after = hits[-1]["sort"]


def soak(minutes: float, seed: int, say: Callable[[str], None]) -> bool:
    """Run for some minutes; tell whether everything written was indexed once in every round."""
    chance = random.Random(seed)
    scratch = Path(tempfile.mkdtemp(prefix="soak-"))
    logs = scratch / "logs"
    logs.mkdir()
    with Embedded() as server:
        connection = Connection(elasticsearch_url=[server.url], alias=f"soak-{secrets.token_hex(4)}")
        zoomdata, operator = Zoomdata(logs, chance), Operator(connection, logs, scratch / "state")
        with connect(connection) as client, operator:
            install(client, connection, inspect_server(client))

            def roll_over() -> None:
                with suppress(Exception):
                    client.indices.rollover(alias=connection.alias)

            def lose_node() -> None:
                server.kill()
                zoomdata.append()
                server.restart()

            actions = {
                zoomdata.append: 20,
                zoomdata.append_slowly: 5,
                zoomdata.rename: 6,
                zoomdata.compress: 3,
                zoomdata.copy_and_truncate: 4,
                zoomdata.rename_often: 1,
                operator.start: 15,
                operator.kill: 10,
                operator.terminate: 4,
                roll_over: 5,
                lose_node: 0.6,
            }
            end = time.monotonic() + 60 * minutes
            number = 0
            while time.monotonic() < end:
                number += 1
                steps = chance.choices(list(actions), list(actions.values()), k=ROUND)
                for step in steps:
                    step()
                    time.sleep(chance.choice([0, 0.01, 0.1, 0.5]))
                if not settled(zoomdata, operator, client, connection.alias, say):
                    names = " ".join(getattr(step, "__name__", "?") for step in steps)
                    say(f"round {number} of seed {seed} does not agree; its steps: {names}; see {scratch}")
                    return False
                say(f"round {number}: {zoomdata.written.total():,} lines, each once")
    shutil.rmtree(scratch)
    return True


def settled(
    zoomdata: Zoomdata,
    operator: Operator,
    client: Elasticsearch,
    alias: str,
    say: Callable[[str], None],
) -> bool:
    """Let the indexer drain, then compare what is written with what is indexed."""
    operator.start()
    deadline = time.monotonic() + 60
    while True:
        found = Counter(indexed(client, alias))
        if found == zoomdata.written:
            return True
        if time.monotonic() > deadline:
            missing, doubled = zoomdata.written - found, found - zoomdata.written
            say(
                f"missing {missing.total()}: {list(missing)[:2]}, too many {doubled.total()}: {list(doubled)[:2]}"
            )
            return False
        time.sleep(0.5)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else secrets.randbelow(10**6)
    print(f"seed {seed}", flush=True)
    sys.exit(0 if soak(given.minutes, seed, lambda text: print(text, flush=True)) else 1)
