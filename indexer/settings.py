"""Every option once: its name, default, unit and help. The only module that reads the environment.

A command takes whole groups (`connection: Connection`); `options` spreads their fields into its command line.
Each option is also the environment variable `INDEXER_` + its name in capitals. Secrets are never options: each comes
from a variable (`INDEXER_PASSWORD`) or from a file that an option names (`--password-file`), so that none shows in a
list of processes.
"""

import functools
import inspect
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import platformdirs
import typer

from indexer.errors import Fatal

PREFIX = "INDEXER_"
DEFAULT_URL = "http://localhost:9200"
DEFAULT_PATH = "/opt/zoomdata/logs"
STANDARD_INPUT = "-"
"""The path that stands for it."""
MEBIBYTE = 1024 * 1024
R = TypeVar("R")


class SecretUnusable(Fatal):
    """A secret, or the file that should hold it, is not what it should be."""

    sentence = "Cannot use the secret in {where}: {reason}."
    cure = "Check {variable}, or {variable}_FILE and that file's permissions."


def secret(variable: str, file: Path | None) -> str | None:
    """Read a secret from its file (without the final line end) or else from its environment variable, if not empty.

    Raises SecretUnusable.
    """
    if file is None:
        return os.environ.get(PREFIX + variable) or None
    try:
        read = file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SecretUnusable(where=file, reason=reason, variable=PREFIX + variable) from None
    if not read:
        raise SecretUnusable(where=file, reason="it is empty", variable=PREFIX + variable)
    return read


def _source(variable: str, file: Path | None) -> str | None:
    """The option or variable that gives this secret, if one does."""
    if file is not None:
        return f"--{variable.lower().replace('_', '-')}-file"
    return PREFIX + variable if os.environ.get(PREFIX + variable) else None


def plain() -> bool:
    """Tell whether NO_COLOR is set (no-color.org): then nothing is coloured, nor bold or dim."""
    return bool(os.environ.get("NO_COLOR"))


@dataclass(frozen=True, slots=True)
class Connection:
    """Where Elasticsearch is, who we are there, and which alias is ours."""

    elasticsearch_url: Annotated[
        list[str],
        typer.Option(
            help="Address of Elasticsearch, with a path if it has one; repeat it for several nodes."
        ),
    ] = field(default_factory=lambda: [DEFAULT_URL], repr=False)  # it may hold a password
    username: Annotated[
        str | None, typer.Option(help="User; the password is INDEXER_PASSWORD or a file.")
    ] = None
    password_file: Annotated[Path | None, typer.Option(help="File that holds the password.")] = None
    api_key_file: Annotated[
        Path | None, typer.Option(help="File that holds an API key (or INDEXER_API_KEY).")
    ] = None
    bearer_token_file: Annotated[
        Path | None, typer.Option(help="File that holds a bearer token (or INDEXER_BEARER_TOKEN).")
    ] = None
    cloud_id: Annotated[str | None, typer.Option(help="Elastic Cloud id, in place of an address.")] = None
    ca_certs: Annotated[
        Path | None, typer.Option(help="File of CA certificates (PEM) to trust for https, and no others.")
    ] = None
    ca_fingerprint: Annotated[
        str | None,
        typer.Option(help="SHA-256 fingerprint, in hex, of the CA certificate to trust for https."),
    ] = None
    client_cert: Annotated[
        Path | None, typer.Option(help="File of a client certificate (PEM), with its key or without.")
    ] = None
    client_key: Annotated[Path | None, typer.Option(help="File of the client certificate's key (PEM).")] = (
        None
    )
    client_key_password_file: Annotated[
        Path | None,
        typer.Option(help="File that holds that key's password (or INDEXER_CLIENT_KEY_PASSWORD)."),
    ] = None
    request_timeout: Annotated[float, typer.Option(help="Seconds to wait for an answer.", min=0.1)] = 60.0
    alias: Annotated[str, typer.Option(help="Alias that entries are written to.")] = "zoomdata-activity"

    @property
    def password(self) -> str | None:
        """The password, read anew each time. Raises SecretUnusable."""
        return secret("PASSWORD", self.password_file)

    @property
    def api_key(self) -> str | None:
        """The API key, read anew each time. Raises SecretUnusable."""
        return secret("API_KEY", self.api_key_file)

    @property
    def bearer_token(self) -> str | None:
        """The bearer token, read anew each time. Raises SecretUnusable."""
        return secret("BEARER_TOKEN", self.bearer_token_file)

    @property
    def client_key_password(self) -> str | None:
        """The password of the client certificate's key, read anew each time. Raises SecretUnusable."""
        return secret("CLIENT_KEY_PASSWORD", self.client_key_password_file)

    @property
    def identities(self) -> dict[str, str]:
        """The kinds of credentials that are given, each with the option or variable that gives it."""
        password = _source("PASSWORD", self.password_file)
        given = {
            "user": "--username" if self.username else password,
            "API key": _source("API_KEY", self.api_key_file),
            "bearer token": _source("BEARER_TOKEN", self.bearer_token_file),
        }
        return {kind: source for kind, source in given.items() if source}

    @property
    def rejected(self) -> str:
        """The index that keeps rejected lines."""
        return f"{self.alias}-rejected"


@dataclass(frozen=True, slots=True)
class State:
    """Where the indexer keeps what it has to remember."""

    state_dir: Annotated[Path, typer.Option(help="Directory of the checkpoint.")] = field(
        default_factory=lambda: platformdirs.user_state_path("zoomdata-indexer")
    )


@dataclass(frozen=True, slots=True)
class Delivery:
    """How entries are read and sent."""

    batch_bytes: Annotated[int, typer.Option(help="Largest bulk request, in bytes.", min=1)] = 5 * MEBIBYTE
    senders: Annotated[int, typer.Option(help="Bulk requests under way at once.", min=1, max=64)] = 2
    max_line_bytes: Annotated[
        int, typer.Option(help="A longer line is rejected; Elasticsearch takes 100 MB by default.", min=1)
    ] = 100 * MEBIBYTE
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
            help="Serve /metrics, /healthz, /readyz and /status there; port 0 takes a free one.",
        ),
    ] = None
    log_level: Annotated[LogLevel, typer.Option(help="Say nothing that matters less.")] = LogLevel.INFO


class Lifecycle(StrEnum):
    """Who rolls the index over and deletes what is old."""

    AUTO = "auto"
    """Elasticsearch's index lifecycle management where the server has it."""
    NONE = "none"
    """Nobody, or `indexer template rollover`, or `indexer run --rollover`."""


FOREVER = "forever"
MILLISECONDS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
"""Units of a span of time (Elasticsearch guide, "API conventions: time units")."""


def milliseconds(span: str) -> int:
    """Read a span of time such as `30d`; one that is none is a typer.BadParameter."""
    found = re.fullmatch(r"([1-9]\d{0,8})(d|h|m|s|ms)", span)
    if found is None:
        raise typer.BadParameter(f"{span!r} is no span of time such as 30d, 12h, 90m or 45s")
    return int(found[1]) * MILLISECONDS[found[2]]


def _age(value: str | None) -> str | None:
    if value is not None:
        milliseconds(value)
    return value


def _retention(value: str) -> str | None:
    return value if value == FOREVER else _age(value)


def _size(value: str) -> str:
    """Checked only; Elasticsearch reads it (its guide, "API conventions: byte size units")."""
    if not re.fullmatch(r"[1-9]\d{0,8}(b|kb|mb|gb|tb|pb)", value):
        raise typer.BadParameter(f"{value!r} is no size such as 50gb or 800mb")
    return value


@dataclass(frozen=True, slots=True)
class Ageing:
    """When the write index gives way to the next one, and when an old one is deleted."""

    rollover_size: Annotated[
        str,
        typer.Option(
            "--rollover-size",
            "--max-size",
            callback=_size,
            help="Begin a new index when a primary shard of the last one is this large.",
        ),
    ] = "50gb"
    rollover_age: Annotated[
        str,
        typer.Option(
            "--rollover-age",
            "--max-age",
            callback=_age,
            help="Begin a new index when the last one is this old.",
        ),
    ] = "30d"
    retain: Annotated[
        str,
        typer.Option(
            callback=_retention, help="Delete an index so long after the next one began; or 'forever'."
        ),
    ] = "365d"

    @property
    def retained(self) -> int | None:
        """Milliseconds from the rollover to the deletion; None for ever."""
        return None if self.retain == FOREVER else milliseconds(self.retain)


@dataclass(frozen=True, slots=True)
class Indices(Ageing):
    """What the indices behind the alias are like, and what becomes of them."""

    warm_after: Annotated[
        str | None,
        typer.Option(
            callback=_age,
            help="So long after the next one began, merge an index to one segment and recover it after newer ones.",
        ),
    ] = None
    lifecycle: Annotated[
        Lifecycle,
        typer.Option(help="auto: by the server's lifecycle management, if it has that. none: without it."),
    ] = Lifecycle.AUTO
    shards: Annotated[int, typer.Option(help="Primary shards of an index.", min=1, max=1024)] = 1
    replicas: Annotated[
        int | None,
        typer.Option(
            help="Copies of each shard.  [default: one as soon as there are two nodes]", min=0, max=100
        ),
    ] = None

    def __post_init__(self) -> None:
        """Two options that contradict each other are a typer.BadParameter."""
        if self.warm_after and self.retained and milliseconds(self.warm_after) >= self.retained:
            raise typer.BadParameter(
                f"--warm-after {self.warm_after} has to be less than --retain {self.retain}"
            )


def _space(value: str | None) -> str | None:
    """Kibana's own rule (its guide, "Spaces": the identifier becomes part of the address)."""
    if value is not None and not re.fullmatch(r"[a-z0-9_-]+", value):
        raise typer.BadParameter(f"{value!r} is no identifier of a space: those have only a-z, 0-9, _ and -")
    return value


@dataclass(frozen=True, slots=True)
class Kibana:
    """Where Kibana is; who we are there, and whom we trust, is as for Elasticsearch."""

    kibana_url: Annotated[str, typer.Option(help="Address of Kibana, with its base path if it has one.")] = (
        field(default="http://localhost:5601", repr=False)
    )  # it may hold a password
    space: Annotated[
        str | None,
        typer.Option(
            metavar="ID", callback=_space, help="Kibana space to work in.  [default: the default space]"
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class Zoomdata:
    """Where Zoomdata (Composer) is, and who we are there."""

    zoomdata_url: Annotated[
        str,
        typer.Option(help="Address of Zoomdata; its context (/composer, /discovery) is found if not given."),
    ] = field(default="http://localhost:8080", repr=False)  # it may hold a password
    zoomdata_username: Annotated[
        str | None,
        typer.Option(help="User of Zoomdata; the password is INDEXER_ZOOMDATA_PASSWORD or a file."),
    ] = None
    zoomdata_password_file: Annotated[
        Path | None, typer.Option(help="File that holds that user's password.")
    ] = None
    zoomdata_ca_certs: Annotated[
        Path | None, typer.Option(help="File of CA certificates (PEM) to trust for Zoomdata, and no others.")
    ] = None

    @property
    def zoomdata_password(self) -> str | None:
        """The password. Raises SecretUnusable."""
        return secret("ZOOMDATA_PASSWORD", self.zoomdata_password_file)


@dataclass(frozen=True, slots=True)
class Reader:
    """How Zoomdata reaches Elasticsearch, and who it is there."""

    reader_url: Annotated[
        str | None,
        typer.Option(
            help="Address of Elasticsearch as Zoomdata reaches it: scheme://host:port,host:port/path."
            "  [default: --elasticsearch-url]"
        ),
    ] = None
    reader_username: Annotated[
        str | None,
        typer.Option(
            help="Elasticsearch user that Zoomdata gets, with the role <alias>-zoomdata; the password is "
            "INDEXER_READER_PASSWORD or a file."
        ),
    ] = None
    reader_password_file: Annotated[
        Path | None, typer.Option(help="File that holds that user's password.")
    ] = None

    @property
    def reader_password(self) -> str | None:
        """The password. Raises SecretUnusable."""
        return secret("READER_PASSWORD", self.reader_password_file)


def options(command: Callable[..., R]) -> Callable[..., R]:
    """Spread each parameter that is a settings group into one option per field of the group.

    The wrapped function gets the whole groups, so that a command names what it needs and nothing twice.
    """
    hints = get_type_hints(command, include_extras=True)
    groups = {name: kind for name, kind in hints.items() if is_dataclass(kind) and isinstance(kind, type)}
    own = [p.replace(annotation=hints[p.name]) for p in inspect.signature(command).parameters.values()]
    spread = [p for p in own if p.name not in groups]
    for group in groups.values():
        spread += [_parameter(group, item.name) for item in fields(group)]

    @functools.wraps(command)
    def wrapper(**given: Any) -> R:
        whole = {
            name: kind(**{f.name: given.pop(f.name) for f in fields(kind)}) for name, kind in groups.items()
        }
        return command(**given, **whole)

    wrapper.__signature__ = inspect.Signature(spread)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in spread}
    return wrapper


def _parameter(group: type, name: str) -> inspect.Parameter:
    hint = get_type_hints(group, include_extras=True)[name]
    described: Any = hint.__metadata__[0]
    described.envvar = PREFIX + name.upper()
    default = getattr(group(), name)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)
