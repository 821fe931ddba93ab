"""What the commands share: --json, printing results, progress, signals."""

import _thread
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from indexer.cli.streams import write_data
from indexer.escaping import printable
from indexer.reading.files import STANDARD_INPUT
from indexer.settings import plain

if TYPE_CHECKING:
    from indexer.events import Events
    from indexer.show import Tabular
    from indexer.status.watch import Moment


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


class Server(StrEnum):
    """A product as it is typed; the names are those of Product."""

    ELASTICSEARCH = "elasticsearch"
    OPENSEARCH = "opensearch"


def on_command_line(context: typer.Context, option: str) -> bool:
    """Whether an option was given on the command line, not by the environment or its default."""
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


def say(line: str, *, error: bool = False) -> None:
    """Print one line of text on standard output or error; control characters are escaped."""
    print(printable(line), file=sys.stderr if error else sys.stdout, flush=True)


def show(result: "Tabular", json: bool) -> None:
    """Print a result as tables or as one JSON object."""
    from indexer import show as tables  # noqa: PLC0415

    if json:
        write_data(tables.as_json(result))
    else:
        from rich.console import Console  # noqa: PLC0415

        Console(color_system=None if plain() else "auto").print(tables.tables(result))


def follow(moments: "Iterable[Moment]", json: bool) -> None:
    """Print each moment: a table that is redrawn on a terminal, elsewhere a line or a JSON object."""
    from rich.console import Console  # noqa: PLC0415
    from rich.live import Live  # noqa: PLC0415

    from indexer import show as tables  # noqa: PLC0415

    if json or not sys.stdout.isatty():
        for moment in moments:
            if json:
                write_data(tables.as_json(moment, in_one_line=True))
            else:
                say(moment.line())
        return
    console = Console(color_system=None if plain() else "auto")
    with Live(console=console, auto_refresh=False) as live:
        for moment in moments:
            live.update(tables.tables(moment), refresh=True)


@contextmanager
def progress(paths: Sequence[str], doing: str = "Indexing", level: str = "info") -> Iterator["Events"]:
    """Give the listener for a command that ends by itself: a progress bar on a terminal, elsewhere logs."""
    from indexer import monitoring  # noqa: PLC0415
    from indexer.cli.progress_bar import ProgressBar  # noqa: PLC0415
    from indexer.events import Broadcast  # noqa: PLC0415
    from indexer.reading import files  # noqa: PLC0415

    if not sys.stderr.isatty():
        yield Broadcast(monitoring.Logs(monitoring.logger(level)))
        return
    total = None if STANDARD_INPUT in paths else sum(facts.size for facts in files.find(paths).found)
    with ProgressBar(doing, total) as bar:
        yield Broadcast(bar, monitoring.Logs(monitoring.logger("warning")))


@contextmanager
def counting(doing: str) -> "Iterator[Callable[[int, int], None]]":
    """Give the listener for documents read, so many of so many: a progress bar on a terminal, elsewhere nothing."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import MofNCompleteColumn, Progress  # noqa: PLC0415

    console = Console(stderr=True, color_system=None if plain() else "auto")
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(doing, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def stop_on_signals() -> threading.Event:
    """Give the event that SIGTERM, SIGINT and SIGHUP set. A second signal ends the process at once.

    An ignored SIGHUP stays ignored, for `nohup`.
    """
    stop = threading.Event()
    asked = False

    def end(number: int, _frame: object) -> None:
        nonlocal asked
        if asked:
            os._exit(128 + number)
        asked = True
        # In a new thread: this one may have been interrupted in the event's own wait, which holds its lock.
        _thread.start_new_thread(stop.set, ())

    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    for number in (signal.SIGTERM, signal.SIGINT, *(() if ignored else (signal.SIGHUP,))):
        signal.signal(number, end)
    return stop
