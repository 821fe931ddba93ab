"""ElastAlert 2 in an environment of its own: it pins an old client of Elasticsearch, which may not come near ours.

Made once for each list of requirements, in the cache directory of this user.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import platformdirs
import yaml

from indexer.demo.installation import RELEASES
from indexer.elastic.server import Product
from indexer.polling import until
from indexer.setup.plan import DEFAULT_ALIAS

RELEASE = "2.31.0"
"""The newest when this was written; it needs Python 3.12."""
OLDER_RELEASE = "2.19.0"
"""The newest for Python 3.11."""
RULES = Path(__file__).parents[2] / "mappings" / "alerts"
NAMES = sorted(file.stem for file in RULES.glob("*.yaml"))
CONFIGURATION = Path(__file__).parents[2] / "compose" / "elastalert.yaml"
CYCLE = 1
"""Seconds from look to look."""
PATIENCE = 90.0
"""Seconds."""
DELAY = ("query_delay: {minutes: 1}", "query_delay: {seconds: 2}")
"""As shipped, and as the tests have the patience for."""
PROGRAM = (
    "import random; random.randint = lambda low, high: low; random.uniform = lambda low, high: 0.0;"
    "from elastalert.elastalert import main; main()"
)
"""With rules that all begin at once and look each cycle, not at random moments around that."""
CREATE_INDEX = "from elastalert.create_index import main; main()"
UV = Path(sys.executable).with_name("uv")


def environment() -> Path:
    """Its Python. What pip is told on this machine is what it is installed with."""
    python, release = _python()
    requirement = f"elastalert2=={release}"
    name = hashlib.sha256(f"{requirement} {python}".encode()).hexdigest()[:16]
    made = platformdirs.user_cache_path("zoomdata-indexer") / "elastalert" / name
    if not (made / "complete").exists():
        # Two test runs may come here at once: each builds its own, and the last one stays.
        building = made.with_name(f"{name}.{os.getpid()}")
        subprocess.run([python, "-m", "venv", building], check=True)
        install: Sequence[str | Path] = [
            building / "bin" / "python",
            "-m",
            "pip",
            "install",
            "--quiet",
            requirement,
        ]
        subprocess.run(install, check=True, timeout=400)
        (building / "complete").touch()
        try:
            building.rename(made)
        except OSError:
            shutil.rmtree(building)
    return made / "bin" / "python"


def _python() -> tuple[str, str]:
    asked: list[str | Path] = [UV, "python", "find", "--no-project", "--system", ">=3.12"]
    found = subprocess.run(
        asked,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"UV_PYTHON_DOWNLOADS": "never"},
    )
    if found.returncode == 0:
        return found.stdout.strip(), RELEASE
    pyenv = Path.home() / ".pyenv" / "versions"
    newer = sorted(it for it in pyenv.glob("3.1[2-9].*/bin/python") if it.exists())
    return (str(newer[-1]), RELEASE) if newer else (sys.executable, OLDER_RELEASE)


def _told_version(version: str) -> Mapping[str, str]:
    """The test servers of Elasticsearch answer 405 to `GET /`, so it is told; each other server says it."""
    release = RELEASES.get(version)
    mute = release is not None and release.distribution.product is Product.ELASTICSEARCH
    return {"ES_VERSION": version} if mute else {}


@dataclass(frozen=True, slots=True)
class ElastAlert:
    """The shipped rules, each with its alerts written to a file, for a server and an alias."""

    python: Path
    directory: Path
    url: str
    version: str
    alias: str
    memory: str
    """The index in which it keeps what it told."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Variables of its environment that tell who it is."""
    ca_certs: Path | None = None

    def set_up(self) -> None:
        """Write rules and configuration, and make the index of its own."""
        rules = self.directory / "rules"
        rules.mkdir()
        for file in RULES.iterdir():
            command = orjson.dumps(["sh", "-c", f"cat >> '{self._told(file.stem)}'"]).decode()
            alert = f"\nalert: [command]\ncommand: {command}\npipe_match_json: true\n"
            shipped = file.read_text().replace(DEFAULT_ALIAS, self.alias).replace(*DELAY)
            (rules / file.name).write_text(shipped + (alert if file.suffix == ".yaml" else ""))
        configuration = yaml.safe_load(CONFIGURATION.read_text())
        own = {"rules_folder": str(rules), "run_every": {"seconds": CYCLE}, "writeback_index": self.memory}
        trust = {"ca_certs": self.ca_certs and str(self.ca_certs)}
        self._configuration.write_text(yaml.safe_dump(configuration | own | trust))
        create = self._command(CREATE_INDEX, "--index", self.memory, "--old-index", "")
        with self._log.open("wb") as log:
            subprocess.run(create, env=self._surroundings, stdout=log, stderr=log, check=True)

    @contextmanager
    def running(self) -> Iterator[None]:
        """It looks every few seconds, back as far as is configured at first, then from where it was."""
        with self._log.open("ab") as log:
            program = subprocess.Popen(
                self._command(PROGRAM, "--verbose"),
                env=self._surroundings,
                stdout=log,
                stderr=log,
                cwd=self.directory,
            )
        try:
            yield
            assert program.poll() is None, self._said()
        finally:
            program.terminate()
            program.wait(PATIENCE)
        assert "Traceback" not in self._said(), self._said()

    def look(self) -> None:
        """Wait until each rule has looked, having begun after this call."""
        wanted = {rule: self._looks(rule) + 2 for rule in NAMES}
        complete = until(lambda: all(self._looks(rule) >= looks for rule, looks in wanted.items()), PATIENCE)
        assert complete, self._said()

    def told(self, rule: str) -> list[dict[str, Any]]:
        """The entries that a rule raised an alert for, in order."""
        file = self._told(rule)
        lines = file.read_bytes().splitlines() if file.exists() else []
        return [match for line in lines for match in orjson.loads(line)]

    @property
    def _log(self) -> Path:
        return self.directory / "log"

    @property
    def _configuration(self) -> Path:
        return self.directory / "config.yaml"

    def _told(self, rule: str) -> Path:
        return self.directory / f"{rule}.told"

    def _said(self) -> str:
        return self._log.read_text()

    def _looks(self, rule: str) -> int:
        return self._said().count(f"Ran zoomdata-{rule} ")

    @property
    def _surroundings(self) -> dict[str, str]:
        server = urlsplit(self.url)
        # It would take a machine's own bundle for the configured one (measured).
        inherited = {name: value for name, value in os.environ.items() if not name.endswith("_CA_BUNDLE")}
        return inherited | {
            "ES_HOST": str(server.hostname),
            "ES_PORT": str(server.port),
            "LEARNT_UNTIL": (datetime.now(UTC) - timedelta(days=1)).isoformat(timespec="seconds"),
            **_told_version(self.version),
            **self.secrets,
        }

    def _command(self, program: str, *arguments: str) -> Sequence[str | Path]:
        return [self.python, "-c", program, "--config", self._configuration, *arguments]
