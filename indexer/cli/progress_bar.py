"""A progress bar of the bytes read, for commands that end by themselves."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from indexer.events import Events, Fault, Totals
from indexer.settings import plain


class ProgressBar(Events):
    """A listener that draws a progress bar on standard error, if that is a terminal."""

    def __init__(self, doing: str, total: int | None) -> None:
        """`total`: bytes on disk, None if unknown."""
        self._console = Console(stderr=True, color_system=None if plain() else "auto")
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task(doing, total=total, note="")
        self._entries = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def block_read(self, path: str, size: int) -> None:
        """Advance the bar."""
        self._progress.update(self._task, advance=size)

    def entries_scanned(self, count: int, total: int) -> None:
        """Show how far the index was read."""
        self._progress.update(self._task, note=f"{count:,} of {total:,} entries of the index")

    def batch_acknowledged(self, totals: Totals, seconds: float) -> None:
        """Show the number of lines."""
        self._entries += totals.read
        self._progress.update(self._task, note=f"{self._entries:,} lines")

    def delivery_failed(self, fault: Fault, detail: str, wait: float) -> None:
        """Show the fault that delays the delivery."""
        self._progress.update(self._task, note=f"waiting: {fault.value}")
