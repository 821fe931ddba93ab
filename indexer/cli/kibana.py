"""`indexer kibana`: dashboards, saved searches and alerts over the index."""

import re
from typing import Annotated

import typer

from indexer.cli.common import Json, say, show, stop_on_signals
from indexer.cli.streams import write_data
from indexer.errors import WrongUsage
from indexer.settings import Connection, Kibana, Panel, options


def _version(value: str | None) -> str | None:
    """A version such as 8.19 or 9.1.5, from 7.17 on."""
    if value is not None:
        found = re.fullmatch(r"(\d{1,3})\.(\d{1,3})(\.\d{1,3})?", value)
        if not found or (int(found[1]), int(found[2])) < (7, 17):
            raise typer.BadParameter(
                f"{value!r} is not a version of Kibana from 7.17 on, such as 8.19 or 9.1.5"
            )
    return value


@options
def install(
    connection: Connection,
    kibana: Kibana,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Change nothing. Print the file that Kibana would import, for a manual import."
        ),
    ] = False,
    kibana_version: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION",
            rich_help_panel=Panel.KIBANA,
            help="With --dry-run: the version of Kibana that the file is for. It has another form before 8.19.",
            callback=_version,
            show_default="the newest",
        ),
    ] = None,
    alerts: Annotated[
        bool,
        typer.Option(
            "--alerts",
            rich_help_panel=Panel.KIBANA,
            help="Also create alert rules for deletions, failed log-ins and large exports. They miss entries that arrive"
            " late; those of ElastAlert 2 do not.",
        ),
    ] = False,
    export_rows: Annotated[
        int,
        typer.Option(
            metavar="N",
            rich_help_panel=Panel.KIBANA,
            help="With --alerts: number of rows above which an export is reported.",
            min=0,
        ),
    ] = 1_000_000,
    json: Json = False,
) -> None:
    """Install or update data views, saved searches and four dashboards in Kibana 7.17 or later, in the form for its version.

    Waits up to five minutes for a Kibana that is starting.

    Example: indexer kibana install --kibana-url https://kibana.example:5601 --space audit --alerts
    """
    from indexer.kibana.install import install as install_dashboards  # noqa: PLC0415

    if dry_run:
        _print_objects(connection, kibana, kibana_version, export_rows if alerts else None)
        return
    if kibana_version:
        raise WrongUsage(
            what="--kibana-version is for --dry-run; an installation asks the server",
            remedy="Leave it out, or add --dry-run",
        )
    done = install_dashboards(
        connection,
        kibana,
        alerts=alerts,
        export_rows=export_rows,
        tell=lambda line: say(line, error=True),
        stopping=stop_on_signals,
    )
    show(done, json)


def _print_objects(
    connection: Connection, kibana: Kibana, version: str | None, export_rows: int | None
) -> None:
    """Print the file to import; on standard error, unless `export_rows` is None, the rules to create."""
    from indexer.kibana.dashboards import saved_objects  # noqa: PLC0415
    from indexer.kibana.install import naming  # noqa: PLC0415
    from indexer.kibana.rules import rules  # noqa: PLC0415
    from indexer.kibana.saved_objects import MODERN, ndjson  # noqa: PLC0415
    from indexer.show import as_json  # noqa: PLC0415

    names = naming(connection, kibana)
    form = tuple(map(int, version.split("."))) if version else MODERN
    write_data(ndjson(saved_objects(names, form)).decode().removesuffix("\n"))
    made_for = "8.19 or later" if form >= MODERN else "7.17 or later, in the form for versions before 8.19"
    say(
        f"Nothing was changed. This file is for Kibana {made_for}. To import it:"
        " Stack Management, Saved Objects, Import.",
        error=True,
    )
    if export_rows is None:
        return
    say("These rules miss entries that arrive late; the rules for ElastAlert 2 do not.", error=True)
    for rule in rules(names, export_rows):
        say(f"POST /api/alerting/rule/{rule.id}", error=True)
        for line in as_json(rule.with_connector("ID OF A SERVER LOG CONNECTOR")).splitlines():
            say(line, error=True)
