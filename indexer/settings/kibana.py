"""Kibana: where it is."""

import re
from dataclasses import dataclass, field
from typing import Annotated

import typer


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
