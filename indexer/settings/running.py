"""A run: its state, delivery and monitoring."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import platformdirs
import typer

from indexer.errors import StateUnusable
from indexer.settings.commandline import Panel, option

MEBIBYTE = 1024 * 1024
APPLICATION = "zoomdata-indexer"


def _default_state_dir() -> Path:
    """Below the user's home; not expanded for a uid without an entry in passwd, as on OpenShift."""
    try:
        return platformdirs.user_state_path(APPLICATION)
    except RuntimeError:
        return Path("~/.local/state") / APPLICATION


def _state_dir(value: Path) -> Path:
    """Expand `~`, which no shell does in an environment variable. Raises StateUnusable."""
    try:
        return value.expanduser()
    except RuntimeError:
        raise StateUnusable(path=value, reason="the home directory is unknown") from None


@dataclass(frozen=True, slots=True)
class State:
    """Where the indexer keeps its state."""

    state_dir: Annotated[
        Path, option("PATH", "Directory of the checkpoint and of rejected lines.", callback=_state_dir)
    ] = field(default_factory=_default_state_dir)


@dataclass(frozen=True, slots=True)
class Delivery:
    """How entries are read and sent. Sizes in bytes, times in seconds."""

    batch_bytes: Annotated[
        int, option("BYTES", "Maximum size of a bulk request, in bytes.", Panel.DELIVERY, min=1)
    ] = 5 * MEBIBYTE
    senders: Annotated[
        int, option("N", "Number of concurrent bulk requests.", Panel.DELIVERY, min=1, max=64)
    ] = 2
    max_line_bytes: Annotated[
        int,
        option(
            "BYTES",
            "Maximum length of a line, in bytes. A longer line is rejected and kept in a file of the state directory. "
            "The default fits a memory limit of 256 MB; each additional byte takes seven.",
            Panel.DELIVERY,
            min=1,
        ),
    ] = 10 * MEBIBYTE
    max_spool_bytes: Annotated[
        int,
        option(
            "BYTES",
            "Maximum size of the rejected lines in the state directory, in bytes. Above it, a log waits at a line that is "
            "longer than --max-line-bytes. The default fits a volume of 1 GiB.",
            Panel.DELIVERY,
            min=0,
        ),
    ] = 512 * MEBIBYTE
    poll_interval: Annotated[
        float, option("SECONDS", "Polling interval, in seconds.", Panel.DELIVERY, min=0.001)
    ] = 0.05


class LogLevel(StrEnum):
    """Severity of log messages."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def _address(value: str | None) -> str | None:
    """Only checked; `monitoring.http_server` parses it."""
    found = re.fullmatch(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:\[\]/]+):(\d{1,5})", value or "localhost:0")
    if found is None or int(found[1]) > 65535:
        raise typer.BadParameter(f"{value!r} is not HOST:PORT, such as 127.0.0.1:9464 or [::]:9464")
    return value


@dataclass(frozen=True, slots=True)
class Monitoring:
    """Metrics, health and logs of a running indexer."""

    monitoring_address: Annotated[
        str | None,
        option(
            "HOST:PORT",
            "Serve /metrics, /healthz, /readyz and /status at this address. Port 0 selects a free port. --once ignores "
            "the environment variable.",
            Panel.MONITORING,
            callback=_address,
        ),
    ] = None
    log_level: Annotated[
        LogLevel,
        option("LEVEL", "Minimum level of log messages: debug, info, warning or error.", Panel.MONITORING),
    ] = LogLevel.INFO
