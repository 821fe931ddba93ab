"""Kibana: its address and space."""

import re
from dataclasses import dataclass, field
from typing import Annotated

import typer

from indexer.settings.commandline import Panel, option


def _space(value: str | None) -> str | None:
    """Kibana's rule (its guide, "Spaces": the identifier is part of the URL)."""
    if value is not None and not re.fullmatch(r"[a-z0-9_-]+", value):
        raise typer.BadParameter(
            f"{value!r} is not the identifier of a space: it may contain only a-z, 0-9, _ and -"
        )
    return value


@dataclass(frozen=True, slots=True)
class Kibana:
    """The address of Kibana. Credentials and trusted certificates are those for Elasticsearch."""

    kibana_url: Annotated[str, option("URL", "Address of Kibana, with its base path if it has one.")] = field(
        default="http://localhost:5601", repr=False
    )  # it may contain a password
    space: Annotated[
        str | None,
        option("ID", "Kibana space.", Panel.KIBANA, callback=_space, show_default="the default space"),
    ] = None
