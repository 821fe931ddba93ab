"""`indexer kibana`: dashboards, saved searches and alerts over the index."""

from typing import Annotated

import typer

from indexer.cli.common import Json, say, show
from indexer.cli.streams import write_data
from indexer.settings import Connection, Kibana, Panel, options


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
    alerts: Annotated[
        bool,
        typer.Option(
            "--alerts",
            rich_help_panel=Panel.KIBANA,
            help="Also create alert rules for deletions, failed log-ins and large exports.",
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
    """Install or update data views, saved searches and four dashboards in Kibana 7.17 or later.

    Example: indexer kibana install --kibana-url https://kibana.example:5601 --space audit --alerts
    """
    from indexer.kibana.install import install as install_dashboards  # noqa: PLC0415

    if dry_run:
        _print_objects(connection, kibana, export_rows if alerts else None)
    else:
        show(install_dashboards(connection, kibana, alerts=alerts, export_rows=export_rows), json)


def _print_objects(connection: Connection, kibana: Kibana, export_rows: int | None) -> None:
    """Print the file to import; on standard error, unless `export_rows` is None, the rules to create."""
    from indexer.kibana.dashboards import saved_objects  # noqa: PLC0415
    from indexer.kibana.install import naming  # noqa: PLC0415
    from indexer.kibana.rules import rules  # noqa: PLC0415
    from indexer.kibana.saved_objects import ndjson  # noqa: PLC0415
    from indexer.show import as_json  # noqa: PLC0415

    names = naming(connection, kibana)
    write_data(ndjson(saved_objects(names)).decode().removesuffix("\n"))
    say(
        "Nothing was changed. To import this file in Kibana: Stack Management, Saved Objects, Import.",
        error=True,
    )
    for rule in () if export_rows is None else rules(names, export_rows):
        say(f"POST /api/alerting/rule/{rule.id}", error=True)
        for line in as_json(rule.with_connector("ID OF A SERVER LOG CONNECTOR")).splitlines():
            say(line, error=True)
