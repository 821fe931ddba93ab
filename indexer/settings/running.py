"""A run: what it reads, remembers, sends and tells."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import platformdirs
import typer

from indexer.errors import StateUnusable

DEFAULT_PATH = "/opt/zoomdata/logs"
MEBIBYTE = 1024 * 1024


APPLICATION = "zoomdata-indexer"


def _default_state_dir() -> Path:
    """Below the user's home, unexpanded if there is none: a uid without an entry in passwd, as OpenShift gives it."""
    try:
        return platformdirs.user_state_path(APPLICATION)
    except RuntimeError:
        return Path("~/.local/state") / APPLICATION


def _state_dir(value: Path) -> Path:
    """With its `~` expanded, which no shell does in an environment variable. Raises StateUnusable."""
    try:
        return value.expanduser()
    except RuntimeError:
        raise StateUnusable(path=value, reason="no such home directory is known") from None


@dataclass(frozen=True, slots=True)
class State:
    """Where the indexer keeps what it has to remember."""

    state_dir: Annotated[Path, typer.Option(callback=_state_dir, help="Directory of the checkpoint.")] = (
        field(default_factory=_default_state_dir)
    )


@dataclass(frozen=True, slots=True)
class Delivery:
    """How entries are read and sent."""

    batch_bytes: Annotated[int, typer.Option(help="Largest bulk request, in bytes.", min=1)] = 5 * MEBIBYTE
    senders: Annotated[int, typer.Option(help="Bulk requests under way at once.", min=1, max=64)] = 2
    max_line_bytes: Annotated[
        int,
        typer.Option(
            help="A longer line is kept as rejected, in a file of the state directory. "
            "The default fits a memory limit of 256 MB; each byte more takes seven.",
            min=1,
        ),
    ] = 10 * MEBIBYTE
    max_spool_bytes: Annotated[
        int,
        typer.Option(
            help="Bytes of rejected lines in the state directory above which a log waits with a line that is longer than "
            "--max-line-bytes. The default fits a volume of 1 GiB.",
            min=0,
        ),
    ] = 512 * MEBIBYTE
    poll_interval: Annotated[
        float, typer.Option(help="Seconds between looks at the log files.", min=0.001)
    ] = 0.05


class LogLevel(StrEnum):
    """From when on something is said."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def _address(value: str | None) -> str | None:
    """Checked only: `monitoring.server` takes it apart."""
    found = re.fullmatch(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:\[\]/]+):(\d{1,5})", value or "localhost:0")
    if found is None or int(found[1]) > 65535:
        raise typer.BadParameter(f"{value!r} is no HOST:PORT such as 127.0.0.1:9464 or [::]:9464")
    return value


@dataclass(frozen=True, slots=True)
class Monitoring:
    """What a running indexer tells of itself."""

    monitoring_address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            callback=_address,
            help="Serve /metrics, /healthz, /readyz and /status there; port 0 takes a free one. With --once, "
            "only if it stands on the command line.",
        ),
    ] = None
    log_level: Annotated[LogLevel, typer.Option(help="Say nothing that matters less.")] = LogLevel.INFO
