"""Random faults against a real Elasticsearch: `make soak MINUTES=5 SEED=1`.

One thread plays a Zoomdata that writes and rotates its log in every way, people who rewrite, shrink and restore it, an
operator who kills, stops and starts two indexers, loses and sets back their states and repairs beside them, and a cluster
that rolls over, loses its node or its seals and comes back. After each round all faults end, the indexers drain, and the
alias must hold exactly the lines written, each once and unchanged; of those that somebody cut off, no more than one copy.
Then both seal, and the alias must agree with its seals; what was cut off before it was sealed may be without a seal. A
seed repeats a run's decisions (not its timing). Exit code 0 only if every round agrees.
"""

import argparse
import gzip
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import IO, Self

import orjson
from elasticsearch import Elasticsearch

from indexer.demo.embedded import Embedded
from indexer.elastic.client import connect
from indexer.elastic.cluster import Cluster
from indexer.seals.keys import PUBLIC, create_key, read_verifiers
from indexer.settings import Connection, State
from indexer.setup.templates import install
from indexer.verify.sealed_index import SealVerifier

ROUND = 25
"""Steps between two comparisons."""
SEAL_EVERY = "10s"


def digest(line: bytes) -> bytes:
    """Stands for a line, with its end for people to read."""
    return line[-40:] + blake2b(line, digest_size=8).hexdigest().encode()


def digests(path: Path) -> set[bytes]:
    """All lines of a file that have an end."""
    return set(map(digest, path.read_bytes().split(b"\n")[:-1]))


class Zoomdata:
    """Writes a log, and rotates it; and all that others do to it."""

    def __init__(self, directory: Path, chance: random.Random) -> None:
        self.directory = directory
        self.written: Counter[bytes] = Counter()
        """Digests: the lines themselves would fill the memory."""
        self.cut: set[bytes] = set()
        """What was cut off; whether that was read before, no one can tell."""
        self._backup = directory.parent / "backup"
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

    # ---- what others do to it

    def truncate(self) -> None:
        """Cut it to nothing, without a copy."""
        with self._changing():
            self._file.truncate(0)
        self.append()

    def shrink(self) -> None:
        """Take some bytes off its end, and write them again (`truncate -s -1`, `echo >> log`)."""
        data = self._live.read_bytes()
        size = min(len(data), self._chance.choice([1, 1, 20, 5000]))
        os.truncate(self._live, len(data) - size)
        self._pause()
        self._file.write(data[len(data) - size :])

    def lose_lines(self) -> None:
        """Take some lines off its end."""
        with self._changing():
            lines = self._live.read_bytes().splitlines(keepends=True)
            os.truncate(self._live, len(b"".join(lines[: -self._chance.choice([1, 50])])))

    def edit(self) -> None:
        """Change its last line, as `sed -i` does."""
        with self._changing():
            *lines, _ = self._live.read_bytes().splitlines(keepends=True) or [b""]
            last = self._line()
            self._replace(b"".join(lines) + last + b"\n")
            self.written[digest(last)] += 1

    def write_itself(self) -> None:
        """Write its own bytes again: into it, or into another file in its place."""
        self._put(self._live.read_bytes())

    def back_up(self) -> None:
        """Keep a copy."""
        shutil.copyfile(self._live, self._backup)

    def restore(self) -> None:
        """Bring the copy back: in the place of the log, or beside it."""
        if not self._backup.exists():
            return
        data = self._backup.read_bytes()
        if self._chance.random() < 0.3:
            beside = self._rotated()
            with beside.open("wb") as file:
                self._write_in_parts(file, data)
            self.cut -= digests(beside)
        else:
            with self._changing():
                self._put(data)

    def _put(self, data: bytes) -> None:
        if self._chance.random() < 0.4:
            self._replace(data)
        else:
            self._file.truncate(0)
            self._write_in_parts(self._file, data)

    def _replace(self, data: bytes) -> None:
        other = self.directory / ".other"
        other.write_bytes(data)
        other.replace(self._live)
        self._file.close()
        self._file = self._live.open("ab", buffering=0)

    def _write_in_parts(self, file: IO[bytes], data: bytes) -> None:
        """Slowly enough that some of it may be read before the rest is there."""
        first = self._chance.randrange(len(data) + 1)
        file.write(data[:first])
        file.flush()
        self._pause()
        file.write(data[first:])

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Note what is no longer there afterwards."""
        before = digests(self._live)
        yield
        after = digests(self._live)
        self.cut = (self.cut | before) - after

    def _pause(self) -> None:
        time.sleep(self._chance.choice([0, 0.1, 1.5]))

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

    def __init__(self, connection: Connection, logs: Path, state: Path, key: Path) -> None:
        self._logs = str(logs)
        self._where = ["--alias", connection.alias, "--state-dir", str(state), "--request-timeout", "5"]
        self._where += ["--elasticsearch-url", connection.elasticsearch_url[0]]
        self._seals = ["--seal-key-file", str(key), "--seal-every", SEAL_EVERY]
        self._state = state
        self._log = (state.parent / "indexer.log").open("ab")
        self._process: subprocess.Popen[bytes] | None = None
        self._others: list[subprocess.Popen[bytes]] = []
        self._checkpoint = state / "checkpoint.json"
        self._old = state.parent / f"{state.name}.old"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for process in self._others:
            process.kill()
            process.wait()
        self._log.close()

    def start(self) -> None:
        """Start it, if it does not run."""
        if self._process is None or self._process.poll() is not None:
            self._process = self._begin("run", *self._where, *self._seals, self._logs)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._end(signal.SIGKILL)

    def terminate(self) -> None:
        """End it with SIGTERM; it has to be gone within ten seconds."""
        self._end(signal.SIGTERM)

    def keep_state(self) -> None:
        """Keep a copy of what it remembers."""
        with suppress(FileNotFoundError):
            shutil.copyfile(self._checkpoint, self._old)

    def set_state_back(self) -> None:
        """Let it remember what it once remembered."""
        if self._old.exists():
            self.kill()
            shutil.copyfile(self._old, self._checkpoint)
            self.start()

    def lose_state(self) -> None:
        """Let it remember nothing."""
        self.kill()
        self._checkpoint.unlink(missing_ok=True)
        self.start()

    def repair(self) -> None:
        """Run `verify --repair` beside it."""
        self._others.append(self._begin("verify", "--repair", *self._where, self._logs))

    def seal(self) -> None:
        """Seal what it has delivered, if it ever was there."""
        if (self._state / "seals").exists():
            process = self._begin("seal", "now", *self._where, *self._seals)
            assert process.wait(timeout=90) == 0, "it does not seal"

    @property
    def repairs(self) -> bool:
        """Such a run is not at its end."""
        self._others = [process for process in self._others if process.poll() is None]
        return bool(self._others)

    def _begin(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "indexer", *arguments]
        return subprocess.Popen(command, stdout=self._log, stderr=self._log)

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
        zoomdata = Zoomdata(logs, chance)
        key = scratch / "seal.key"
        create_key(key)
        operator, other = (
            Operator(connection, logs, scratch / state, key) for state in ("state", "other-state")
        )
        with connect(connection) as client, operator, other:
            install(Cluster(client, connection))

            def roll_over() -> None:
                """As an administrator does, or as `indexer run`: then the old index takes no more entries."""
                with suppress(Exception):
                    old = client.indices.rollover(alias=connection.alias)["old_index"]
                    if chance.random() < 0.5:
                        client.indices.add_block(index=old, block="write")

            def lose_seals() -> None:
                """For a while there is not even an index of them."""
                client.options(ignore_status=404).indices.delete(index=connection.seals)
                time.sleep(chance.choice([0, 1, 3]))
                install(Cluster(client, connection))

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
                zoomdata.truncate: 1,
                zoomdata.shrink: 3,
                zoomdata.lose_lines: 2,
                zoomdata.edit: 3,
                zoomdata.write_itself: 3,
                zoomdata.back_up: 4,
                zoomdata.restore: 4,
                operator.start: 15,
                operator.kill: 10,
                operator.terminate: 4,
                operator.keep_state: 4,
                operator.set_state_back: 3,
                operator.lose_state: 2,
                operator.repair: 2,
                other.start: 5,
                other.kill: 3,
                other.terminate: 2,
                roll_over: 5,
                lose_seals: 1,
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
                if not (
                    settled(zoomdata, (operator, other), client, connection.alias, say)
                    and sealed(zoomdata, (operator, other), client, connection, key, say)
                ):
                    names = " ".join(getattr(step, "__name__", "?") for step in steps)
                    say(f"round {number} of seed {seed} does not agree; its steps: {names}; see {scratch}")
                    return False
                say(f"round {number}: {zoomdata.written.total():,} lines, each once and sealed")
    shutil.rmtree(scratch)
    return True


def settled(
    zoomdata: Zoomdata,
    operators: Sequence[Operator],
    client: Elasticsearch,
    alias: str,
    say: Callable[[str], None],
) -> bool:
    """Let the indexers drain, then compare what is written with what is indexed."""
    operators[0].start()
    deadline = time.monotonic() + 90
    while True:
        repairs = [operator for operator in operators if operator.repairs]
        found = Counter(indexed(client, alias))
        missing, unexpected = zoomdata.written - found, found - zoomdata.written
        for cut in zoomdata.cut:
            missing.pop(cut, None)
        if not (missing or unexpected or repairs):
            return True
        if time.monotonic() > deadline:
            say(
                f"missing {missing.total()}: {list(missing)[:2]}, too many {unexpected.total()}: "
                f"{list(unexpected)[:2]}{', and a repair goes on' if repairs else ''}"
            )
            return False
        time.sleep(0.5)


def sealed(
    zoomdata: Zoomdata,
    operators: Sequence[Operator],
    client: Elasticsearch,
    connection: Connection,
    key: Path,
    say: Callable[[str], None],
) -> bool:
    """Let the indexers seal, then compare what is sealed with what is indexed."""
    for operator in operators:
        operator.seal()
    keys = read_verifiers([key.with_name(key.name + PUBLIC)])
    nowhere = State(state_dir=key.with_name("nowhere"))
    result = SealVerifier(connection, nowhere, keys, (), lambda *_: None, threading.Event()).verify()
    cut = sum(line in zoomdata.cut for line in indexed(client, connection.alias))
    defects = result.missing + result.different + result.doubled
    if result.checkpoints and not (result.problems or defects) and result.extra <= cut:
        return True
    say(str(result))
    return False


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else secrets.randbelow(10**6)
    print(f"seed {seed}", flush=True)
    sys.exit(0 if soak(given.minutes, seed, lambda text: print(text, flush=True)) else 1)
