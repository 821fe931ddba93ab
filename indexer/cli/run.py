"""The commands about log files and what became of them: run, status, verify, summary, demo."""

import shlex
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from indexer.cli.common import (
    FollowSymlinks,
    Json,
    Paths,
    follow,
    on_command_line,
    progress,
    say,
    show,
    stop_on_signals,
)
from indexer.errors import EXIT_FAILED, EXIT_REJECTED, Stopped, Unreadable
from indexer.reading.files import STANDARD_INPUT
from indexer.settings import (
    DEFAULT_PATH,
    PREFIX,
    Connection,
    Delivery,
    Monitoring,
    RolloverPolicy,
    State,
    options,
)

if TYPE_CHECKING:
    from indexer.events import Totals


@options
def run(
    context: typer.Context,
    connection: Connection,
    delivery: Delivery,
    state: State,
    monitoring: Monitoring,
    rollover_policy: RolloverPolicy,
    paths: Paths = None,
    once: Annotated[
        bool, typer.Option("--once", help="Index what is there, archives too, then stop.")
    ] = False,
    rollover: Annotated[
        bool,
        typer.Option(
            "--rollover",
            envvar=PREFIX + "ROLLOVER",
            help="Roll over and delete old indices too, where the server has no lifecycle management.",
        ),
    ] = False,
    follow_symlinks: FollowSymlinks = False,
) -> None:
    """Follow log files into Elasticsearch until stopped. With --once, '-' is standard input.

    Example: indexer run --elasticsearch-url https://es:9200 /opt/zoomdata/logs
    """
    from indexer.monitoring import Logs, logger  # noqa: PLC0415
    from indexer.run import run as run_indexer  # noqa: PLC0415

    paths = paths or [DEFAULT_PATH]
    if STANDARD_INPUT in paths and not once:
        raise typer.BadParameter("standard input (-) needs --once")
    if rollover and once:
        raise typer.BadParameter("--rollover is for following; with --once, use `indexer template rollover`")
    stop = stop_on_signals()
    if once:
        # An address from the environment is that of the indexer that follows there, such as in the same container.
        if not on_command_line(context, "monitoring_address"):
            monitoring = replace(monitoring, monitoring_address=None)
        _once(paths, connection, delivery, state, monitoring, stop, follow_symlinks)
        return
    run_indexer(
        paths,
        connection,
        delivery,
        state,
        Logs(logger(monitoring.log_level)),
        stop,
        once=False,
        rollover_policy=rollover_policy if rollover else None,
        monitoring=monitoring,
        follow_symlinks=follow_symlinks,
    )


def _once(
    paths: Sequence[str],
    connection: Connection,
    delivery: Delivery,
    state: State,
    monitoring: Monitoring,
    stop: threading.Event,
    follow_symlinks: bool,
) -> None:
    from indexer.run import run as run_indexer  # noqa: PLC0415

    with progress(paths, level=monitoring.log_level) as listener:
        report = run_indexer(
            paths,
            connection,
            delivery,
            state,
            listener,
            stop,
            once=True,
            monitoring=monitoring,
            follow_symlinks=follow_symlinks,
        )
    say(_told(report.totals))
    if report.unreadable:
        raise Unreadable(files="; ".join(f"{path}: {reason}" for path, reason in report.unreadable.items()))
    if stop.is_set():
        raise Stopped
    if report.totals.rejected:
        raise typer.Exit(EXIT_REJECTED)


@options
def status(
    connection: Connection,
    state: State,
    paths: Paths = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Look again and again; where nothing can be drawn, a line each time."),
    ] = False,
    interval: Annotated[
        float, typer.Option(envvar=PREFIX + "INTERVAL", help="Seconds between looks.", min=0.1)
    ] = 1.0,
    follow_symlinks: FollowSymlinks = False,
    json: Json = False,
) -> None:
    """Show log files, offsets, lag, the indices behind the alias, and how many lines were rejected.

    Example: indexer status --json | jq '.logs[] | select(.lag > 0)'
    """
    paths = paths or [DEFAULT_PATH]
    if watch:
        from indexer.status.watch import looking, moments  # noqa: PLC0415

        with looking(paths, connection, state, follow_symlinks=follow_symlinks) as look:
            follow(moments(look, stop_on_signals(), interval), json)
        return
    from indexer.status.status import status as ask  # noqa: PLC0415

    show(ask(paths, connection, state, follow_symlinks=follow_symlinks), json)


@options
def verify(
    connection: Connection,
    delivery: Delivery,
    state: State,
    paths: Paths = None,
    repair: Annotated[bool, typer.Option("--repair", help="Index what is missing.")] = False,
    follow_symlinks: FollowSymlinks = False,
    json: Json = False,
) -> None:
    """Prove that each line of these files is in the index, unchanged and once. Exit code 0 only if so.

    Example: indexer verify /opt/zoomdata/logs
    """
    from indexer.verify.log_files import Verifier  # noqa: PLC0415

    paths = paths or [DEFAULT_PATH]
    with progress(paths, "Verifying", "warning") as listener:
        verifier = Verifier(connection, delivery, state, listener, stop_on_signals())
        result = verifier.verify(paths, repair=repair, follow_symlinks=follow_symlinks)
    show(result, json)
    if not result.agrees:
        if result.missing and not repair:
            again = shlex.join(["indexer", "verify", "--repair", *paths])
            say(f"To index what is missing, with the same options: {again}", error=True)
        raise typer.Exit(EXIT_FAILED)


@options
def summary(connection: Connection, json: Json = False) -> None:
    """Show what users did: tables counted from the index.

    Example: indexer summary --elasticsearch-url http://localhost:9200
    """
    from indexer.elastic.cluster import connected  # noqa: PLC0415
    from indexer.status.summary import summarise  # noqa: PLC0415

    with connected(connection) as cluster:
        show(summarise(cluster.client, cluster.alias), json)


@options
def demo(
    entries: Annotated[int, typer.Option(help="Entries in the sample log.", min=100)] = 20_000,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the server running, and say how to stop it.")
    ] = False,
) -> None:
    """Try all of it: an embedded Elasticsearch, a sample log, its entries indexed, and what is in them.

    Example: indexer demo --keep
    """
    from indexer.demo.demonstration import demonstrate  # noqa: PLC0415

    demonstrate(
        entries, keep=keep, say=print, show=lambda result: show(result, json=False), progress=progress
    )


def _told(totals: "Totals") -> str:
    return (
        f"{totals.read:,} lines read: {totals.created:,} created, {totals.duplicates:,} were there already, "
        f"{totals.rejected:,} rejected and kept, {totals.blank:,} blank."
    )
