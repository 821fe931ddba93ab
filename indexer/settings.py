"""Every option once: its name, default, unit and help. The only module that reads the environment.

A command takes whole groups (`connection: Connection`); `options` spreads their fields into its command line.
Each option is also the environment variable `INDEXER_` + its name in capitals. Secrets are never options: they
come from `INDEXER_PASSWORD` and `INDEXER_API_KEY`, or from files named by the options `--password-file` and
`--api-key-file`, so that none shows in a list of processes.
"""

import functools
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
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


class SecretUnreadable(Fatal):
    """A file that should hold a secret cannot be read."""

    sentence = "Cannot read the secret file {path}: {reason}."
    cure = "Check {variable}_FILE and the file's permissions."


def secret(variable: str, file: Path | None) -> str | None:
    """Read a secret from its file (without the final line end) or else from its environment variable, if not empty.

    Raises SecretUnreadable.
    """
    if file is None:
        return os.environ.get(PREFIX + variable) or None
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SecretUnreadable(path=file, reason=reason, variable=PREFIX + variable) from None


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
    ca_certs: Annotated[Path | None, typer.Option(help="File of CA certificates to trust for https.")] = None
    request_timeout: Annotated[float, typer.Option(help="Seconds to wait for an answer.", min=0.1)] = 60.0
    alias: Annotated[str, typer.Option(help="Alias that entries are written to.")] = "zoomdata-activity"

    @property
    def password(self) -> str | None:
        """The password, read anew each time. Raises SecretUnreadable."""
        return secret("PASSWORD", self.password_file)

    @property
    def api_key(self) -> str | None:
        """The API key, read anew each time. Raises SecretUnreadable."""
        return secret("API_KEY", self.api_key_file)

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
