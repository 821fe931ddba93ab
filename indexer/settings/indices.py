"""The indices behind the alias: their settings, rollover and retention."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer

from indexer.settings.commandline import Panel, option


class Lifecycle(StrEnum):
    """Who rolls the index over and deletes old indices."""

    AUTO = "auto"
    """Elasticsearch's index lifecycle management, if the server has it."""
    NONE = "none"
    """`indexer run --rollover`, `indexer template rollover`, or nobody."""


FOREVER = "forever"
MILLISECONDS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
"""Milliseconds per time unit (Elasticsearch guide, "API conventions: time units")."""


def milliseconds(span: str) -> int:
    """Parse a duration such as `30d`. Raises typer.BadParameter."""
    found = re.fullmatch(r"([1-9]\d{0,8})(d|h|m|s|ms)", span)
    if found is None:
        raise typer.BadParameter(f"{span!r} is not a duration such as 30d, 12h, 90m or 45s")
    return int(found[1]) * MILLISECONDS[found[2]]


def age(value: str | None) -> str | None:
    """Only checked; Elasticsearch parses it. Raises typer.BadParameter."""
    if value is not None:
        milliseconds(value)
    return value


def _retention(value: str) -> str | None:
    return value if value == FOREVER else age(value)


def _size(value: str) -> str:
    """Only checked; Elasticsearch parses it (its guide, "API conventions: byte size units")."""
    if not re.fullmatch(r"[1-9]\d{0,8}(b|kb|mb|gb|tb|pb)", value):
        raise typer.BadParameter(f"{value!r} is not a size such as 50gb or 800mb")
    return value


@dataclass(frozen=True, slots=True)
class RolloverPolicy:
    """When the alias rolls over to a new index, and when an old index is deleted."""

    rollover_size: Annotated[
        str,
        option(
            "SIZE",
            "Roll over when a primary shard of the write index reaches this size.",
            Panel.LIFECYCLE,
            callback=_size,
        ),
    ] = "50gb"
    rollover_age: Annotated[
        str,
        option("DURATION", "Roll over when the write index reaches this age.", Panel.LIFECYCLE, callback=age),
    ] = "30d"
    retain: Annotated[
        str,
        option(
            "DURATION",
            "How long to keep an index after it was rolled over, such as 365d, or 'forever'.",
            Panel.LIFECYCLE,
            callback=_retention,
        ),
    ] = "365d"

    @property
    def retained(self) -> int | None:
        """Milliseconds from the rollover to the deletion; None means forever."""
        return None if self.retain == FOREVER else milliseconds(self.retain)


@dataclass(frozen=True, slots=True)
class Indices(RolloverPolicy):
    """Settings and lifecycle of the indices behind the alias."""

    warm_after: Annotated[
        str | None,
        option(
            "DURATION",
            "How long after its rollover to merge an index into one segment and lower its recovery priority, "
            "such as 7d.",
            Panel.LIFECYCLE,
            callback=age,
        ),
    ] = None
    lifecycle: Annotated[
        Lifecycle,
        option(
            "auto|none",
            "auto: use the server's index lifecycle management, if it has it. none: do not use it.",
            Panel.LIFECYCLE,
        ),
    ] = Lifecycle.AUTO
    shards: Annotated[
        int, option("N", "Number of primary shards of an index.", Panel.INDEX, min=1, max=1024)
    ] = 1
    replicas: Annotated[
        int | None,
        option(
            "N",
            "Number of replicas of each shard.",
            Panel.INDEX,
            show_default="1 as soon as there are two nodes",
            min=0,
            max=100,
        ),
    ] = None

    def __post_init__(self) -> None:
        """Raises typer.BadParameter if two options contradict each other."""
        if self.warm_after and self.retained and milliseconds(self.warm_after) >= self.retained:
            raise typer.BadParameter(
                f"--warm-after {self.warm_after} has to be less than --retain {self.retain}"
            )
