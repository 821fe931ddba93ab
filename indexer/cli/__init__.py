"""The commands: options become settings, settings one call, its result what a person sees. The only package that prints.

Everything but typer is imported where it is used: `indexer --help` has to be quick.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from indexer import __version__
from indexer.cli import check, kibana, rejected, report, roles, run, streams, template, zoomdata
from indexer.cli.common import say
from indexer.errors import Fatal
from indexer.escaping import printable


class _Commands(typer.core.TyperGroup):
    """Shows what was typed as it can be shown: a shell's `*` makes options of the names of files."""

    def make_context(self, *args: Any, **more: Any) -> Any:
        """Read the command line."""
        with _printable_errors():
            return super().make_context(*args, **more)

    def invoke(self, *args: Any) -> Any:
        """Read the command's own options and do it."""
        with _printable_errors():
            return super().invoke(*args)


@contextmanager
def _printable_errors() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if hasattr(error, "format_message") and hasattr(error, "message"):  # one that typer shows
            error.message = printable(error.message)
        raise


app = typer.Typer(
    cls=_Commands,
    name="indexer",
    help="Sends each entry of a Zoomdata activity log, unchanged and exactly once, to one Elasticsearch index.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_template = typer.Typer(
    help="Set up Elasticsearch: templates, lifecycle, first index and alias.", no_args_is_help=True
)
_kibana = typer.Typer(help="Dashboards, saved searches and alerts in Kibana.", no_args_is_help=True)
_zoomdata = typer.Typer(help="Zoomdata's connection to the index, and what it logs.", no_args_is_help=True)
_rejected = typer.Typer(help="Lines that Elasticsearch or the reader refused.", no_args_is_help=True)

for command in (run.run, run.status, run.verify, run.summary):
    app.command()(command)
app.add_typer(_template, name="template")
_template.command()(template.install)
_template.command("show")(template.show_)
for command in (template.diff, template.remove, template.rollover, template.views, roles.roles):
    _template.command()(command)
app.add_typer(_rejected, name="rejected")
_rejected.command("list")(rejected.list_)
_rejected.command()(rejected.replay)
app.add_typer(_kibana, name="kibana")
_kibana.command("install")(kibana.install)
app.add_typer(_zoomdata, name="zoomdata")
for command in (zoomdata.connect, zoomdata.remove, zoomdata.logging):
    _zoomdata.command()(command)
app.command()(report.report)
app.command()(check.check)
app.command()(run.demo)


def main() -> None:
    """Run the command line; a Fatal becomes one sentence on standard error and its exit code."""
    streams.prepare()
    try:
        code = _run()
        sys.stdout.flush()  # Python itself would do so at its end, and turn a failure into 120
    except streams.CannotPrint as error:
        code = _say(error)
        streams.discard_output()
    sys.exit(code)


def _run() -> str | int | None:
    try:
        app()
    except SystemExit as end:
        return end.code
    except streams.CannotPrint:
        raise
    except Fatal as error:
        return _say(error)
    return None


def _say(error: Fatal) -> int:
    say(f"indexer: {error}", error=True)
    return error.exit_code


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        say(f"indexer {__version__}")
        raise typer.Exit
