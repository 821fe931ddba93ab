"""Seals: with which key, and how often."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from indexer.settings.commandline import Panel, option
from indexer.settings.indices import age, milliseconds


@dataclass(frozen=True, slots=True)
class Seals:
    """How what is delivered is sealed."""

    seal_key_file: Annotated[
        Path | None,
        option(
            "PATH",
            "Private key of `indexer seal key`: what is delivered is sealed with it, so that the index can be verified "
            "without the log files.",
            Panel.SEALS,
        ),
    ] = None
    seal_every: Annotated[
        str, option("TIME", "Time between two sealings, such as 1h or 10m.", Panel.SEALS, callback=age)
    ] = "1h"
    seal_anchor: Annotated[
        Path | None,
        option(
            "PATH",
            "Directory to which each signed checkpoint is written, too: on another disk, it shows if the newest seals are "
            "removed.",
            Panel.SEALS,
        ),
    ] = None

    @property
    def interval(self) -> float:
        """Seconds between two sealings."""
        return milliseconds(self.seal_every) / 1000
