"""Log files: which ones to read."""

from dataclasses import dataclass, field
from typing import Annotated

import typer

from indexer.reading.files import Scope
from indexer.settings.commandline import Panel
from indexer.settings.connection import Connection
from indexer.settings.environment import paths_in_environment
from indexer.settings.running import State

DEFAULT_PATH = "/opt/zoomdata/logs"


def _paths(context: typer.Context, parameter: typer.CallbackParam, given: list[str]) -> list[str]:
    """The variable may be quoted as in a shell; typer only splits it at blanks."""
    source = context.get_parameter_source(parameter.name or "")
    if source is not None and source.name == "ENVIRONMENT":
        return paths_in_environment() or [DEFAULT_PATH]
    return given


@dataclass(frozen=True, slots=True)
class LogFiles:
    """Which log files to read."""

    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH",
            callback=_paths,
            help="Log files, globs, or directories that contain *activity*.log* files. In the variable, quote blanks as in "
            "a shell.",
        ),
    ] = field(default_factory=lambda: [DEFAULT_PATH])
    follow_symlinks: Annotated[
        bool,
        typer.Option(
            "--follow-symlinks",
            rich_help_panel=Panel.LOG_FILES,
            help="Also read log files outside the given directories that symbolic links lead to.",
        ),
    ] = False

    def scope(self, connection: Connection, state: State) -> Scope:
        """Which of the files that the paths name may be read."""
        return Scope.of(
            self.paths,
            follow_symlinks=self.follow_symlinks,
            state=state.state_dir,
            secrets=connection.secret_files,
        )
