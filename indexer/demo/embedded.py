"""A real Elasticsearch or OpenSearch on the loopback interface, for `indexer demo` and the tests. It stops when this process ends.

The server is started by its own script, which is the same in all versions. Its parent is a small shell script, the guard, which reads
a pipe from this process: however this process ends, the guard sees the end of the pipe and stops the server. The server refuses to
run as root; started by root, it runs as the user `nobody`.
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
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from indexer.demo.installation import DEFAULT, Distribution, Installation, Step, no_progress, prepare
from indexer.errors import EmbeddedFailed
from indexer.polling import status_of, until

FAST_START = ("-XX:TieredStopAtLevel=1", "-Xss4m")
"""Without the optimising compiler: ready after 6 s instead of 7.5 (measured, 9.1.5, 2 cores), but slower under load.

The stack is larger because frames are: an entry nested 850 deep overflowed the default of 1 MiB and stopped the server (measured).
"""
LOOPBACK = "127.0.0.1"
TLS = ("xpack.security.http.ssl.enabled", "plugins.security.ssl.http.enabled")
"""The setting that turns on TLS, of each product."""
USER = "nobody"
"""The user that the server runs as if this process runs as root."""

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
"""$0 is the directory to remove if this process is gone; the rest is the server's command. Leads its own process group."""

LOGGING = """
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""
"""All logs on standard output, where configuration errors and messages of Java are too."""


def log_errors(log: str, limit: int = 8) -> str:
    """The errors in a server's log without stack traces, then its last lines."""
    lines = [line[:300] for line in log.splitlines() if line.strip() and not line.startswith((" ", "\t"))]
    errors = [
        line
        for line in lines
        if re.search(r"\b(ERROR|FATAL)\b|Exception\b|^(Error|Unrecognized|Caused by)", line)
    ]
    return "\n".join(dict.fromkeys([*errors[:limit], *lines[-2:]])) or "(the log is empty)"


@dataclass(frozen=True, slots=True)
class Java:
    """Options of the Java runtime. `heap` in MiB."""

    heap: int = 512
    flags: Sequence[str] = FAST_START

    @property
    def options(self) -> tuple[str, ...]:
        """All of them."""
        return (f"-Xms{self.heap}m", f"-Xmx{self.heap}m", *self.flags)


class Embedded:
    """One server. A context manager: started on entry, stopped on exit.

    directory    of configuration, data and log, which are kept; None for a temporary one. Files that exist in its
                 `config` (users, certificates) are kept.
    parent       where a temporary directory is created.
    settings     override the defaults in its file of settings; None removes a default.
    plugins      directories of additional plugins.
    """

    def __init__(
        self,
        version: str = DEFAULT,
        *,
        directory: Path | None = None,
        parent: Path | None = None,
        settings: Mapping[str, Any] | None = None,
        java: Java = Java(),
        plugins: Sequence[Path] = (),
        on_step: Step = no_progress,
    ) -> None:
        self.version = version
        self.directory = directory or Path(parent or tempfile.gettempdir(), f"server-{secrets.token_hex(8)}")
        self.port = 0
        """Chosen by the system at the first start, and kept."""
        self.pid = 0
        """The server's process id, known when it is ready."""
        self._temporary = directory is None
        self._settings = dict(settings or {})
        self._java = java
        self._account = pwd.getpwnam(USER) if os.geteuid() == 0 else None
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
        """The server's URL."""
        scheme = "https" if any(self._settings.get(it) for it in TLS) else "http"
        return f"{scheme}://{LOOPBACK}:{self.port}"

    @property
    def log(self) -> Path:
        """The log since the last launch."""
        return self.directory / "server.log"

    @property
    def stop_command(self) -> str:
        """The command that stops it after `keep`."""
        return f"kill {self.pid}"

    def start(self, timeout: float = 120.0) -> Self:
        """Launch the server and wait until it is ready, at most `timeout` seconds. Raises EmbeddedFailed."""
        try:
            self.launch()
            self.wait(timeout)
        except BaseException:
            self.stop()
            raise
        return self

    def launch(self) -> None:
        """Launch the server without waiting: the nodes of a cluster wait for each other. Raises EmbeddedFailed."""
        installation = prepare(self.version, self._on_step)
        self._on_step(f"Starting {installation.release}")
        self._write_files(installation.release.distribution)
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
        """Wait until the cluster health is at least yellow. Raises EmbeddedFailed, with the errors in the log."""
        if not until(lambda: self._ended() or self._ready(), timeout):
            raise self._failed(f"it is not ready after {timeout:g} s")
        if self._ended():
            raise self._failed("it exited")
        self.pid = int((self.directory / "pid").read_text())

    def stop(self) -> None:
        """Stop the server, after ten seconds with SIGKILL, and remove a temporary directory. Idempotent."""
        self._halt()
        if self._temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    def kill(self) -> None:
        """Send SIGKILL. `restart` starts it again on the same data, `stop` cleans up."""
        guard = self._guard
        if guard is not None:
            os.killpg(guard.pid, signal.SIGKILL)
            guard.wait()
            until(lambda: status_of(self.url, "/") is None, timeout=10)

    def restart(self, timeout: float = 120.0) -> Self:
        """Stop the server if it is running, and start it on the same data and port. Raises EmbeddedFailed."""
        self._halt()
        return self.start(timeout)

    def keep(self) -> None:
        """Leave the server running when this process ends; `stop_command` stops it, and removes a temporary directory."""
        self._change_owner()
        self._order(b"keep\n")
        self._guard, self._temporary = None, False

    @property
    def _scratch(self) -> Path:
        return self.directory if self._temporary else self.directory / "tmp"

    def _write_files(self, distribution: Distribution) -> None:
        """Create the directories and the configuration files."""
        config = self.directory / "config"
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        config.mkdir(exist_ok=True)
        (self.directory / "tmp").mkdir(exist_ok=True)
        for stale in ("pid", "logs/http.ports"):
            (self.directory / stale).unlink(missing_ok=True)
        options = (f"-Djava.io.tmpdir={self.directory / 'tmp'}", *distribution.flags, *self._java.options)
        (config / "jvm.options").write_text("\n".join(options) + "\n")
        (config / "log4j2.properties").write_text(LOGGING)
        # JSON is YAML.
        (config / f"{distribution.name}.yml").write_bytes(orjson.dumps(self._all_settings(distribution)))
        self._change_owner()

    def _change_owner(self) -> None:
        """Make the user that the server runs as the owner of all files."""
        if self._account is not None:
            for directory, folders, names in os.walk(self.directory):
                for path in (directory, *(os.path.join(directory, name) for name in (*folders, *names))):  # noqa: PTH118 - a name
                    with contextlib.suppress(FileNotFoundError):  # a running server deletes files
                        os.lchown(path, self._account.pw_uid, self._account.pw_gid)

    def _all_settings(self, distribution: Distribution) -> dict[str, Any]:
        defaults = {
            **distribution.settings,
            "cluster.name": "embedded",
            "node.name": "embedded",
            "node.portsfile": True,
            "discovery.type": "single-node",
            "network.host": LOOPBACK,
            "http.port": self.port,
            "transport.port": 0,
            "path.data": str(self.directory / "data"),
            "path.logs": str(self.directory / "logs"),
            # Otherwise an almost full disk, as on test machines, makes every index read-only.
            "cluster.routing.allocation.disk.threshold_enabled": False,
        }
        return {name: value for name, value in (defaults | self._settings).items() if value is not None}

    def _command(self, installation: Installation) -> tuple[Path | str, ...]:
        name = installation.release.distribution.name
        return (installation.server / "bin" / name, "-p", self.directory / "pid")

    def _environment(self, installation: Installation) -> dict[str, str]:
        """The complete environment: JAVA_HOME or ES_JAVA_OPTS of this process are not meant for the server."""
        prefix = installation.release.distribution.prefix
        return {
            "PATH": os.defpath,
            f"{prefix}_JAVA_HOME": str(installation.java),
            f"{prefix}_PATH_CONF": str(self.directory / "config"),
            f"{prefix}_TMPDIR": str(self.directory / "tmp"),
        }

    def _ready(self) -> bool:
        ports = self.directory / "logs" / "http.ports"
        if not ports.exists():
            return False
        self.port = int(ports.read_text().split()[0].rpartition(":")[2])
        # 401: security is enabled, and the server is ready.
        return status_of(self.url, "/_cluster/health?wait_for_status=yellow&timeout=1s") in {200, 401}

    def _ended(self) -> bool:
        return self._guard is None or self._guard.poll() is not None

    def _order(self, order: bytes) -> None:
        """Send an order to the guard, and close the pipe. The guard may have ended already."""
        if self._guard is not None and self._guard.stdin is not None:
            with contextlib.suppress(BrokenPipeError), self._guard.stdin as pipe:
                pipe.write(order)

    def _halt(self) -> None:
        if self._guard is not None:
            self._order(b"stop\n")
            self._guard.wait()
            self._guard = None

    def _failed(self, reason: str) -> EmbeddedFailed:
        errors = " | ".join(log_errors(self.log.read_text(encoding="utf-8", errors="replace")).splitlines())
        return EmbeddedFailed(reason=reason, hint=f"Its log has: {errors}")
