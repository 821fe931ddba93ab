"""The commands: options become settings, settings one call, its result what a person sees. The only module that prints.

Everything but typer is imported where it is used: `indexer --help` has to be quick.
"""

import _thread
import os
import shlex
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from indexer import __version__
from indexer.errors import EXIT_FAILED, EXIT_REJECTED, Fatal, Stopped, Unreadable
from indexer.settings import DEFAULT_PATH, PREFIX, STANDARD_INPUT, Connection, Delivery, State, options, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from indexer.events import Events, Totals
    from indexer.show import Tabular

app = typer.Typer(
    name="indexer",
    help="Sends each entry of a Zoomdata activity log, unchanged and exactly once, to one Elasticsearch index.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
template = typer.Typer(
    help="Set up Elasticsearch: templates, lifecycle, first index and alias.", no_args_is_help=True
)
rejected = typer.Typer(help="Lines that Elasticsearch or the reader refused.", no_args_is_help=True)
app.add_typer(template, name="template")
app.add_typer(rejected, name="rejected")

Paths = Annotated[
    list[str] | None,
    typer.Argument(
        envvar=PREFIX + "PATHS",
        metavar="[PATH ...]",
        help=f"Log files, globs, or directories with *activity*.log* in them.  [default: {DEFAULT_PATH}]",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def main() -> None:
    """Run the command line; a Fatal becomes one sentence on standard error and its exit code."""
    try:
        app()
    except Fatal as error:
        print(f"indexer: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        print(f"indexer {__version__}")
        raise typer.Exit


@app.command()
@options
def run(
    connection: Connection,
    delivery: Delivery,
    state: State,
    paths: Paths = None,
    once: Annotated[
        bool, typer.Option("--once", help="Index what is there, .gz archives too, then stop.")
    ] = False,
) -> None:
    """Follow log files into Elasticsearch until stopped. With --once, '-' is standard input.

    Example: indexer run --elasticsearch-url https://es:9200 /opt/zoomdata/logs
    """
    from indexer import monitoring  # noqa: PLC0415
    from indexer.run import run as run_indexer  # noqa: PLC0415

    paths = paths or [DEFAULT_PATH]
    if STANDARD_INPUT in paths and not once:
        raise typer.BadParameter("standard input (-) needs --once")
    stop = _stop_on_signals()
    if not once:
        run_indexer(
            paths, connection, delivery, state, monitoring.Logs(monitoring.logger()), stop, once=False
        )
        return
    with _progress(paths) as listener:
        report = run_indexer(paths, connection, delivery, state, listener, stop, once=True)
    print(_told(report.totals))
    for path, reason in report.unreadable.items():
        raise Unreadable(path=path, reason=reason)
    if stop.is_set():
        raise Stopped
    if report.totals.rejected:
        raise typer.Exit(EXIT_REJECTED)


@app.command()
@options
def status(connection: Connection, state: State, paths: Paths = None, json: Json = False) -> None:
    """Show log files, offsets, lag, the indices behind the alias, and how many lines were rejected.

    Example: indexer status --json | jq '.logs[] | select(.lag > 0)'
    """
    from indexer.status import status as ask  # noqa: PLC0415

    _show(ask(paths or [DEFAULT_PATH], connection, state), json)


@app.command()
@options
def verify(
    connection: Connection,
    delivery: Delivery,
    state: State,
    paths: Paths = None,
    repair: Annotated[bool, typer.Option("--repair", help="Index what is missing.")] = False,
    json: Json = False,
) -> None:
    """Prove that each line of these files is in the index, unchanged and once. Exit code 0 only if so.

    Example: indexer verify /opt/zoomdata/logs
    """
    from indexer.cluster.verify import verify as compare  # noqa: PLC0415

    paths = paths or [DEFAULT_PATH]
    with _progress(paths, "Verifying", "warning") as listener:
        result = compare(paths, connection, delivery, state, listener, _stop_on_signals(), repair=repair)
    _show(result, json)
    if not result.agrees:
        if result.missing and not repair:
            again = shlex.join(["indexer", "verify", "--repair", *paths])
            print(f"To index what is missing, with the same options: {again}", file=sys.stderr)
        raise typer.Exit(EXIT_FAILED)


@app.command()
@options
def summary(connection: Connection, json: Json = False) -> None:
    """Show what users did: tables counted from the index.

    Example: indexer summary --elasticsearch-url http://localhost:9200
    """
    from indexer.cluster.client import connect, explained  # noqa: PLC0415
    from indexer.cluster.summary import summarise  # noqa: PLC0415

    with connect(connection) as client, explained(connection):
        _show(summarise(client, connection.alias), json)


@template.command("install")
@options
def template_install(connection: Connection) -> None:
    """Install the templates, the first index and the alias; again, to bring them up to date.

    Example: indexer template install --elasticsearch-url http://localhost:9200
    """
    from indexer.cluster.client import connect, explained, inspect_server  # noqa: PLC0415
    from indexer.cluster.templates import install  # noqa: PLC0415

    with connect(connection) as client, explained(connection):
        server = inspect_server(client)
        print(f"Elasticsearch {server}")
        for outcome in install(client, connection, server):
            print(
                f"  {outcome.result:<10} {outcome.what}" + (f": {outcome.detail}" if outcome.detail else "")
            )


@rejected.command("list")
@options
def rejected_list(
    connection: Connection,
    state: State,
    limit: Annotated[int, typer.Option(help="Show at most so many lines, the newest.", min=1)] = 50,
    json: Json = False,
) -> None:
    """List lines that were refused, with the reason; their bytes are kept.

    Example: indexer rejected list --json | jq -r '.lines[].reason' | sort | uniq -c
    """
    from indexer.rejected import listing  # noqa: PLC0415

    _show(listing(connection, state, limit), json)


@rejected.command("replay")
@options
def rejected_replay(connection: Connection, delivery: Delivery, state: State, json: Json = False) -> None:
    """Send refused lines again, after the template was mended; those that go in are removed from the list.

    Example: indexer rejected replay --elasticsearch-url http://localhost:9200
    """
    from indexer.rejected import replay  # noqa: PLC0415

    replayed = replay(connection, delivery, state, _stop_on_signals())
    _show(replayed, json)
    if replayed.still_rejected:
        raise typer.Exit(EXIT_REJECTED)


@app.command()
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
        entries, keep=keep, say=print, show=lambda result: _show(result, json=False), progress=_progress
    )


def _show(result: "Tabular", json: bool) -> None:
    from indexer import show  # noqa: PLC0415

    if json:
        print(show.as_json(result))
    else:
        from rich.console import Console  # noqa: PLC0415

        Console(color_system=None if plain() else "auto").print(show.tables(result))


def _told(totals: "Totals") -> str:
    return (
        f"{totals.read:,} lines read: {totals.created:,} created, {totals.duplicates:,} were there already, "
        f"{totals.rejected:,} rejected and kept, {totals.blank:,} blank."
    )


@contextmanager
def _progress(paths: "Sequence[str]", doing: str = "Indexing", level: str = "info") -> "Iterator[Events]":
    """Give the listener of a run that ends: a bar on a terminal, logs elsewhere."""
    from indexer import monitoring  # noqa: PLC0415
    from indexer.events import Broadcast  # noqa: PLC0415
    from indexer.progress import ProgressBar  # noqa: PLC0415
    from indexer.reading import files  # noqa: PLC0415

    if not sys.stderr.isatty():
        yield monitoring.Logs(monitoring.logger(level))
        return
    total = None if STANDARD_INPUT in paths else sum(facts.size for facts in files.find(paths))
    with ProgressBar(doing, total) as bar:
        yield Broadcast(bar, monitoring.Logs(monitoring.logger("warning")))


def _stop_on_signals() -> threading.Event:
    """Give the event that SIGTERM, SIGINT and SIGHUP set; a second of them ends the process at once."""
    stop = threading.Event()
    asked = False

    def end(number: int, _frame: object) -> None:
        nonlocal asked
        if asked:
            os._exit(128 + number)
        asked = True
        # From a thread: this one may have been interrupted in the event's own wait, which holds the event's lock.
        _thread.start_new_thread(stop.set, ())

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)
    return stop
