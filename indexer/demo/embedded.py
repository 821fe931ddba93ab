"""A real Elasticsearch on this machine, for `indexer demo` and the tests: one server, on loopback, gone when we are gone.

The server is started by its own script, the one door that is the same in all versions. Between it and us stands a small
`sh`, the guard, which holds the other end of a pipe of ours: however this process ends, the guard sees the end of the pipe
and ends the server. Elasticsearch refuses to run as root; for root it runs as another user.
"""

import contextlib
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from indexer.demo.installation import DEFAULT, Installation, Step, prepare, unheard
from indexer.errors import EmbeddedFailed
from indexer.polling import status_of, until

FAST_START = ("-XX:TieredStopAtLevel=1", "-Xss4m")
"""Without the optimising compiler: ready after 6 s instead of 7.5 (measured, 9.1.5, 2 cores), and slower under load.

Its frames are larger, too: an entry nested 850 deep overflowed the usual stack of 1 MiB, which ends a server (measured).
"""
LOOPBACK = "127.0.0.1"

GUARD = """
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{
    read -r order
    [ "$order" = stop ] || touch "$0/unowned"
    [ "$order" = keep ] || { kill "$server"; sleep 10; kill -KILL 0; }
} <&3 &
wait "$server"
[ -e "$0/unowned" ] && rm -rf "$0"
kill -KILL 0
"""
"""$0 is what to remove if we are no longer there to do it, the rest the server's command. Leads a process group of its own."""

LOGGING = """
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""
"""One log, on standard output: configuration errors and Java's own complaints end there too."""


def complaints(log: str, limit: int = 8) -> str:
    """What a server that did not start has to say: the errors in its log without stack traces, then its last lines."""
    lines = [line[:300] for line in log.splitlines() if line.strip() and not line.startswith((" ", "\t"))]
    wrong = [
        line
        for line in lines
        if re.search(r"\b(ERROR|FATAL)\b|Exception\b|^(Error|Unrecognized|Caused by)", line)
    ]
    return "\n".join(dict.fromkeys([*wrong[:limit], *lines[-2:]])) or "(its log is empty)"


class Embedded:
    """One server. A context manager: started on entry, stopped on exit.

    directory    where its configuration, data and log are, and stay; None for a temporary one. What lies in its
                 `config` already (users, certificates) is left there.
    parent       where a temporary directory is made.
    settings     of `elasticsearch.yml`, over the defaults here; None takes a default away.
    heap         MiB.
    jvm_options  further options of Java.
    user         whom it runs as if we are root.
    plugins      directories of plugins that it has besides its own modules.
    """

    def __init__(
        self,
        version: str = DEFAULT,
        *,
        directory: Path | None = None,
        parent: Path | None = None,
        settings: Mapping[str, Any] | None = None,
        heap: int = 512,
        jvm_options: Sequence[str] = FAST_START,
        user: str = "nobody",
        plugins: Sequence[Path] = (),
        on_step: Step = unheard,
    ) -> None:
        self.version = version
        self.directory = directory or Path(
            parent or tempfile.gettempdir(), f"elasticsearch-{secrets.token_hex(8)}"
        )
        self.port = 0
        """Chosen by the system at the first start, kept at the next ones."""
        self.pid = 0
        """The server's process, known when it is ready."""
        self._temporary = directory is None
        self._settings = dict(settings or {})
        self._jvm_options = (f"-Xms{heap}m", f"-Xmx{heap}m", *jvm_options)
        self._account = pwd.getpwnam(user) if os.geteuid() == 0 else None
        self._plugins = plugins
        self._on_step = on_step
        self._guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Its address."""
        scheme = "https" if self._settings.get("xpack.security.http.ssl.enabled") else "http"
        return f"{scheme}://{LOOPBACK}:{self.port}"

    @property
    def log(self) -> Path:
        """What it has written since it was last launched."""
        return self.directory / "elasticsearch.log"

    @property
    def stop_command(self) -> str:
        """What a person types to end it once it is left running."""
        return f"kill {self.pid}"

    def start(self, timeout: float = 120.0) -> Self:
        """Launch it and wait until it is ready, at most `timeout` seconds. Raises EmbeddedFailed."""
        try:
            self.launch()
            self.wait(timeout)
        except BaseException:
            self.stop()
            raise
        return self

    def launch(self) -> None:
        """Launch it and return at once, as the nodes of one cluster wait for each other. Raises EmbeddedFailed."""
        installation = prepare(self.version, self._on_step)
        self._on_step(f"Starting Elasticsearch {self.version}")
        self._lay_out()
        installation = installation.extended(self.directory / "home", self._plugins)
        account = self._account
        with self.log.open("wb") as log:
            self._guard = subprocess.Popen(
                ["sh", "-c", GUARD, self._scratch, *self._command(installation)],
                env=self._environment(installation),
                cwd=self.directory,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=account and account.pw_uid,
                group=account and account.pw_gid,
                extra_groups=account and [],
            )

    def wait(self, timeout: float = 120.0) -> None:
        """Wait until its cluster's health is at least yellow. Raises EmbeddedFailed, with its log's last words."""
        if not until(lambda: self._ended() or self._ready(), timeout):
            raise self._failed(f"it is not ready after {timeout:g} s")
        if self._ended():
            raise self._failed("it stopped by itself")
        self.pid = int((self.directory / "pid").read_text())

    def stop(self) -> None:
        """Stop it in good order, within ten seconds or else by force; remove a temporary directory. Can be repeated."""
        self._halt()
        if self._temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    def kill(self) -> None:
        """End it with SIGKILL, as a power cut would; `restart` finds its data, `stop` cleans up."""
        guard = self._guard
        if guard is not None:
            os.killpg(guard.pid, signal.SIGKILL)
            guard.wait()
            until(lambda: status_of(self.url, "/") is None, timeout=10)

    def restart(self, timeout: float = 120.0) -> Self:
        """Stop it, if it runs, and start it again on the same data and port. Raises EmbeddedFailed."""
        self._halt()
        return self.start(timeout)

    def keep(self) -> None:
        """Let it outlive this process, until `stop_command`; a temporary directory goes with it."""
        self._hand_over()
        self._order(b"keep\n")
        self._guard, self._temporary = None, False

    @property
    def _scratch(self) -> Path:
        return self.directory if self._temporary else self.directory / "tmp"

    def _lay_out(self) -> None:
        """Make the directory, its configuration and its files as a fresh start needs them."""
        config = self.directory / "config"
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        config.mkdir(exist_ok=True)
        (self.directory / "tmp").mkdir(exist_ok=True)
        for stale in ("pid", "logs/http.ports"):
            (self.directory / stale).unlink(missing_ok=True)
        java = (f"-Djava.io.tmpdir={self.directory / 'tmp'}", *self._jvm_options)
        (config / "jvm.options").write_text("\n".join(java) + "\n")
        (config / "log4j2.properties").write_text(LOGGING)
        # JSON is YAML.
        (config / "elasticsearch.yml").write_bytes(orjson.dumps(self._all_settings()))
        self._hand_over()

    def _hand_over(self) -> None:
        """Give all files to the user that the server runs as."""
        if self._account is not None:
            for directory, folders, names in os.walk(self.directory):
                for path in (directory, *(os.path.join(directory, name) for name in (*folders, *names))):  # noqa: PTH118 - a name
                    with contextlib.suppress(
                        FileNotFoundError
                    ):  # a server that runs deletes files of its own
                        os.lchown(path, self._account.pw_uid, self._account.pw_gid)

    def _all_settings(self) -> dict[str, Any]:
        defaults = {
            "cluster.name": "embedded",
            "node.name": "embedded",
            "node.portsfile": True,
            "discovery.type": "single-node",
            "network.host": LOOPBACK,
            "http.port": self.port,
            "transport.port": 0,
            "path.data": str(self.directory / "data"),
            "path.logs": str(self.directory / "logs"),
            "xpack.security.enabled": False,
            # Else an almost full disk, as test machines have them, makes every index read-only.
            "cluster.routing.allocation.disk.threshold_enabled": False,
        }
        return {name: value for name, value in (defaults | self._settings).items() if value is not None}

    def _command(self, installation: Installation) -> tuple[Path | str, ...]:
        return (installation.server / "bin" / "elasticsearch", "-p", self.directory / "pid")

    def _environment(self, installation: Installation) -> dict[str, str]:
        """Nothing of ours: a JAVA_HOME or ES_JAVA_OPTS here is not meant for it."""
        return {
            "PATH": os.defpath,
            "ES_JAVA_HOME": str(installation.java),
            "ES_PATH_CONF": str(self.directory / "config"),
            "ES_TMPDIR": str(self.directory / "tmp"),
        }

    def _ready(self) -> bool:
        ports = self.directory / "logs" / "http.ports"
        if not ports.exists():
            return False
        self.port = int(ports.read_text().split()[0].rpartition(":")[2])
        # With security on it asks who we are, which it can only do when it is up.
        return status_of(self.url, "/_cluster/health?wait_for_status=yellow&timeout=1s") in {200, 401}

    def _ended(self) -> bool:
        return self._guard is None or self._guard.poll() is not None

    def _order(self, order: bytes) -> None:
        """Tell the guard, and close the pipe. A guard that is gone already hears nothing, which is fine."""
        if self._guard is not None and self._guard.stdin is not None:
            with contextlib.suppress(BrokenPipeError), self._guard.stdin as pipe:
                pipe.write(order)

    def _halt(self) -> None:
        if self._guard is not None:
            self._order(b"stop\n")
            self._guard.wait()
            self._guard = None

    def _failed(self, reason: str) -> EmbeddedFailed:
        said = " | ".join(complaints(self.log.read_text(encoding="utf-8", errors="replace")).splitlines())
        return EmbeddedFailed(reason=reason, hint=f"Its log says: {said}")
