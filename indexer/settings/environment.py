"""The environment: the only module that reads it."""

import os
import shlex
from pathlib import Path

import typer

from indexer.errors import Fatal

PREFIX = "INDEXER_"


class SecretUnusable(Fatal):
    """A secret file cannot be read, is empty or is not UTF-8."""

    sentence = "Cannot use the secret in {where}: {reason}."
    hint = "Check {variable}, or {variable}_FILE and that file's permissions."


def secret(variable: str, file: Path | None) -> str | None:
    """Read a secret from its file, without the final line end, or from its environment variable. Empty is None.

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


def source(variable: str, file: Path | None) -> str | None:
    """The option or variable that sets this secret, if any."""
    if file is not None:
        return f"--{variable.lower().replace('_', '-')}-file"
    return PREFIX + variable if os.environ.get(PREFIX + variable) else None


def paths_in_environment() -> list[str]:
    """The paths in INDEXER_PATHS, split and quoted as in a shell. Raises typer.BadParameter for an open quote."""
    given = os.environ.get(PREFIX + "PATHS", "")
    try:
        return shlex.split(given)
    except ValueError as error:
        reason = str(error).lower()
        raise typer.BadParameter(f"{PREFIX}PATHS {given!r}: {reason}; quote it as in a shell") from None


def plain() -> bool:
    """Whether NO_COLOR is set (no-color.org): no colours, no bold or dim text."""
    return bool(os.environ.get("NO_COLOR"))
