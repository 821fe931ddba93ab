"""The indices behind the alias: what they are like, and how they age."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer


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
class RolloverPolicy:
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
class Indices(RolloverPolicy):
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
