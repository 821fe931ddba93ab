"""`indexer zoomdata`: Zoomdata's connection to the index, and the activity types that it logs."""

from typing import TYPE_CHECKING, Annotated

import typer

from indexer.cli.common import Json, say, show
from indexer.cli.streams import write_data
from indexer.errors import Fatal
from indexer.settings import Connection, Panel, Reader, Zoomdata, options

if TYPE_CHECKING:
    from indexer.show import Tabular
    from indexer.zoomdata.api import Api

DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Change nothing. Print the requests that would be sent, with secrets masked."
    ),
]


@options
def connect(
    connection: Connection,
    zoomdata: Zoomdata,
    reader: Reader,
    views: Annotated[
        bool,
        typer.Option(
            "--views",
            rich_help_panel=Panel.ZOOMDATA,
            help="Also create a source for each activity type, with only its fields.",
        ),
    ] = False,
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            rich_help_panel=Panel.ZOOMDATA,
            help="Parameter of Zoomdata's connector. Can be repeated.",
        ),
    ] = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Create or update a connection and sources for the index in Zoomdata 6.9 or later.

    Example: indexer zoomdata connect --zoomdata-url https://zoomdata:8443 --zoomdata-username admin --reader-username zoomdata --views
    """
    from indexer.elastic.cluster import connected  # noqa: PLC0415
    from indexer.zoomdata.api import Api  # noqa: PLC0415
    from indexer.zoomdata.connect import connect as connect_zoomdata  # noqa: PLC0415
    from indexer.zoomdata.connectors import without  # noqa: PLC0415

    parameters = dict(_pair(each) for each in parameter or ())
    with connected(connection) as cluster, Api(zoomdata, dry=dry_run) as api:
        try:
            done = connect_zoomdata(cluster, api, reader, parameters, views=views)
        except Fatal:
            for warning in api.warnings:  # what was done in spite of them stays
                say(without(warning, reader.reader_password), error=True)
            raise
        _show(api, done, json, reader.reader_password)


@options
def remove(connection: Connection, zoomdata: Zoomdata, dry_run: DryRun = False, json: Json = False) -> None:
    """Remove the sources and the connection that `connect` created, except those that a dashboard uses.

    Example: indexer zoomdata remove --dry-run
    """
    from indexer.zoomdata import remove  # noqa: PLC0415
    from indexer.zoomdata.api import Api  # noqa: PLC0415

    with Api(zoomdata, dry=dry_run) as api:
        _show(api, remove.remove(api, connection.alias), json)


@options
def logging(
    zoomdata: Zoomdata,
    on: Annotated[
        list[str] | None, typer.Option("--on", metavar="TYPE,…", help="Activity types to log, or all.")
    ] = None,
    off: Annotated[
        list[str] | None, typer.Option("--off", metavar="TYPE,…", help="Activity types not to log, or all.")
    ] = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Show which activity types Zoomdata logs, and switch them on or off, as its user supervisor.

    Example: indexer zoomdata logging --zoomdata-username supervisor --on all --off UPLOAD
    """
    from indexer.zoomdata import activities  # noqa: PLC0415
    from indexer.zoomdata.api import SUPERVISOR, Api  # noqa: PLC0415

    with Api(zoomdata, SUPERVISOR, dry=dry_run) as api:
        _show(api, activities.switch(api, _types(on), _types(off)), json)


def _show(api: "Api", result: "Tabular", json: bool, secret: str | None = None) -> None:
    """Show the result; of a dry run, the requests too, without this secret."""
    from indexer.show import as_json  # noqa: PLC0415
    from indexer.zoomdata.connectors import mask_secrets  # noqa: PLC0415

    if not api.dry:
        show(result, json)
        return
    calls = [
        {"method": it.method, "url": api.url + it.path, "body": mask_secrets(it.body, secret)}
        for it in api.planned
    ]
    if json:
        write_data(as_json({"requests": calls, "result": result}))
        return
    for call in calls:
        say(f"{call['method']} {call['url']}")
        if call["body"] is not None:
            write_data(as_json(call["body"]))
    show(result, json)
    say("Nothing was changed." if calls else "Nothing would be changed.", error=True)


def _types(given: list[str] | None) -> list[str]:
    """The types in upper case, except `all`."""
    names = (each.strip() for text in given or () for each in text.split(","))
    return ["all" if each.lower() == "all" else each.upper() for each in names if each]


def _pair(given: str) -> tuple[str, str]:
    key, equals, value = given.partition("=")
    if not (key and equals):
        raise typer.BadParameter(f"--parameter {given!r} is not KEY=VALUE")
    return key, value
