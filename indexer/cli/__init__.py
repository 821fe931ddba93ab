"""The commands: options become settings, settings one call, its result output. The only package that prints.

Everything but typer is imported where it is used, so that `indexer --help` is quick.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from indexer import __version__
from indexer.cli import (
    check,
    demo,
    kibana,
    rejected,
    report,
    roles,
    run,
    seal,
    status,
    streams,
    summary,
    template,
    verify,
    zoomdata,
)
from indexer.cli.common import say
from indexer.errors import Fatal
from indexer.escaping import printable


class _Command(typer.core.TyperCommand):
    def get_params(self, *args: Any) -> Any:
        """The parameters, as the help shows them."""
        return _without_types(super().get_params(*args))


class _Commands(typer.core.TyperGroup):
    def get_params(self, *args: Any) -> Any:
        """The parameters, as the help shows them."""
        return _without_types(super().get_params(*args))

    def make_context(self, *args: Any, **more: Any) -> Any:
        """Parse the command line."""
        with _printable_errors():
            return super().make_context(*args, **more)

    def invoke(self, *args: Any) -> Any:
        """Parse the options of the command and call it."""
        with _printable_errors():
            return super().invoke(*args)


def _without_types(parameters: list[Any]) -> list[Any]:
    """Without `<bool>` for flags and `<list[str]>` for arguments in the help; other options have a metavar."""
    for parameter in parameters:
        if parameter.param_type_name == "argument":
            parameter.display_type_rich = lambda **_: None
        elif parameter.is_flag:
            parameter.metavar = ""
    return parameters


@contextmanager
def _printable_errors() -> Iterator[None]:
    """Escape what was typed in messages about it: with a shell's `*`, file names may be taken for options."""
    try:
        yield
    except Exception as error:
        if hasattr(error, "format_message") and hasattr(error, "message"):  # one that typer prints
            error.message = printable(error.message)
        raise


def _group(description: str, **settings: Any) -> typer.Typer:
    return typer.Typer(cls=_Commands, help=description, no_args_is_help=True, **settings)


app = _group(
    "Sends each entry of a Zoomdata activity log, unchanged and exactly once, to one Elasticsearch index.",
    name="indexer",
    add_completion=False,
    pretty_exceptions_enable=False,
)
_template = _group("Set up Elasticsearch: templates, lifecycle policy, first index and alias.")
_rejected = _group("Lines that Elasticsearch or the reader rejected.")
_seal = _group("Seals: signed proof of what was delivered.")
_kibana = _group("Dashboards, saved searches and alerts in Kibana.")
_zoomdata = _group("Zoomdata's connection to the index, and the activity types that it logs.")

_COMMANDS = {
    app: {
        "run": run.run,
        "status": status.status,
        "verify": verify.verify,
        "summary": summary.summary,
        "report": report.report,
        "check": check.check,
        "demo": demo.demo,
    },
    _template: {
        "install": template.install,
        "show": template.show_,
        "diff": template.diff,
        "remove": template.remove,
        "rollover": template.rollover,
        "views": template.views,
        "roles": roles.roles,
    },
    _rejected: {"list": rejected.list_, "replay": rejected.replay},
    _seal: {"key": seal.key},
    _kibana: {"install": kibana.install},
    _zoomdata: {"connect": zoomdata.connect, "remove": zoomdata.remove, "logging": zoomdata.logging},
}
for _to, _named in _COMMANDS.items():
    for _name, _function in _named.items():
        _to.command(_name, cls=_Command)(_function)
for _name, _to in {
    "template": _template,
    "rejected": _rejected,
    "seal": _seal,
    "kibana": _kibana,
    "zoomdata": _zoomdata,
}.items():
    app.add_typer(_to, name=_name)


def main() -> None:
    """Run the command line. A Fatal becomes one line on standard error and its exit code."""
    streams.prepare()
    try:
        code = _run()
        sys.stdout.flush()  # Python would do so at exit, and turn a failure into exit code 120
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
