"""`indexer run`: log files into Elasticsearch."""

import os
import threading
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from indexer.cli.common import on_command_line, progress, say, stop_on_signals
from indexer.errors import EXIT_REJECTED, Stopped, Unreadable
from indexer.reading.files import STANDARD_INPUT
from indexer.settings import (
    PREFIX,
    Connection,
    Delivery,
    LogFiles,
    Monitoring,
    Panel,
    RolloverPolicy,
    Seals,
    State,
    options,
)

if TYPE_CHECKING:
    from indexer.run import Report


@options
def run(
    context: typer.Context,
    connection: Connection,
    state: State,
    logs: LogFiles,
    delivery: Delivery,
    monitoring: Monitoring,
    rollover_policy: RolloverPolicy,
    seals: Seals,
    once: Annotated[
        bool, typer.Option("--once", help="Index the existing log files, archives included, then stop.")
    ] = False,
    rollover: Annotated[
        bool,
        typer.Option(
            "--rollover",
            envvar=PREFIX + "ROLLOVER",
            rich_help_panel=Panel.LIFECYCLE,
            help="Roll over and delete old indices, for a server without index lifecycle management.",
        ),
    ] = False,
) -> None:
    """Follow log files and index their entries until stopped. With --once, '-' is standard input.

    Exit code 3 if --once rejected lines.

    Example: indexer run --elasticsearch-url https://es:9200 /opt/zoomdata/logs
    """
    from indexer.monitoring import Logs, logger  # noqa: PLC0415
    from indexer.monitoring.systemd import supervised  # noqa: PLC0415
    from indexer.run import RunOptions  # noqa: PLC0415
    from indexer.run import run as run_indexer  # noqa: PLC0415

    if STANDARD_INPUT in logs.paths and not once:
        raise typer.BadParameter("standard input (-) needs --once")
    if rollover and once:
        raise typer.BadParameter(
            "--rollover cannot be used with --once; use `indexer template rollover` instead"
        )
    stop = stop_on_signals()
    level = monitoring.log_level
    if once and not on_command_line(context, "monitoring_address"):
        # In the environment it is the address of the indexer that follows, such as in the same container.
        monitoring = replace(monitoring, monitoring_address=None)
    policy = rollover_policy if rollover else None
    chosen = RunOptions(logs, connection, state, delivery, once, policy, monitoring, seals)
    with progress(logs.paths, level=level) if once else nullcontext(Logs(logger(level))) as listener:
        report = run_indexer(chosen, supervised(listener, os.environ), stop)
    if once:
        _conclude(report, stop)


def _conclude(report: "Report", stop: threading.Event) -> None:
    """Print what was done. Raises Unreadable, Stopped, or typer.Exit if lines were rejected."""
    done = report.totals
    say(
        f"{done.read:,} lines read: {done.created:,} created, {done.duplicates:,} were there already, "
        f"{done.rejected:,} rejected and kept, {done.blank:,} blank."
    )
    if report.unreadable:
        raise Unreadable(files="; ".join(f"{path}: {reason}" for path, reason in report.unreadable.items()))
    if stop.is_set():
        raise Stopped
    if done.rejected:
        raise typer.Exit(EXIT_REJECTED)
