"""`indexer template`: the commands of a cluster admin."""

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from indexer.cli.common import Json, say, show
from indexer.cli.streams import write_data
from indexer.errors import EXIT_FAILED
from indexer.settings import Connection, Indices, RolloverPolicy, options

if TYPE_CHECKING:
    from indexer.elastic.server import Server
    from indexer.setup.plan import Call
    from indexer.setup.templates import Outcome

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Change nothing; print the requests that would be sent.")
]
USE = (
    "Nothing was changed. To send these requests, set ES to the address and pipe them to a shell: "
    "| ES=https://es:9200 sh -s -- --user elastic"
)

OFFERED = "#ISM "
"""What a line of shell begins with that is not sent."""
SELECT = f"To send it to a server that has the plugin: … | sed -n 's/^{OFFERED}//p' | ES=https://es:9200 sh -s -- --user elastic"


@options
def install(
    connection: Connection,
    indices: Indices,
    dry_run: DryRun = False,
    rollover: Annotated[
        bool,
        typer.Option("--rollover", help="Roll over to a new index, so that changes take effect at once."),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace what somebody else or a newer version has installed.")
    ] = False,
    json: Json = False,
) -> None:
    """Install or update the lifecycle policy, templates, first index and alias.

    Example: indexer template install --retain 90d --dry-run
    """
    from indexer.elastic.cluster import connected  # noqa: PLC0415
    from indexer.setup import ism, templates  # noqa: PLC0415

    with connected(connection) as cluster:
        if dry_run:
            sent = templates.calls(cluster, indices, force=force, rollover=rollover)
            _print_calls(sent, json, ism.offer(cluster.server, connection, indices))
            return
        outcomes = templates.install(cluster, indices, force=force, rollover=rollover)
        _print_outcomes(cluster.server, outcomes, json)
    templates.require_invariants(outcomes, connection.alias)


@options
def show_(connection: Connection, indices: Indices, json: Json = False) -> None:
    """Show what is installed, field by field.

    Example: indexer template show --json | jq '.things[] | select(.kind == "lifecycle policy").body'
    """
    from indexer.elastic.cluster import connected  # noqa: PLC0415
    from indexer.setup import inventory, templates  # noqa: PLC0415

    with connected(connection) as cluster:
        show(inventory.inventory(cluster, templates.examine(cluster, indices)), json)


@options
def diff(connection: Connection, indices: Indices, json: Json = False) -> None:
    """Compare what is installed with what these options would install. Exit code 1 if there are differences.

    Example: indexer template diff --retain 90d
    """
    from indexer.elastic.cluster import connected  # noqa: PLC0415
    from indexer.setup import inventory, templates  # noqa: PLC0415

    with connected(connection) as cluster:
        comparison = inventory.compare(templates.examine(cluster, indices))
    show(comparison, json)
    if not comparison.equal:
        raise typer.Exit(EXIT_FAILED)


@options
def remove(
    connection: Connection,
    dry_run: DryRun = False,
    delete_data: Annotated[
        bool,
        typer.Option(
            "--delete-data", help="Delete the indices too, with all entries, rejected lines and seals."
        ),
    ] = False,
    confirm: Annotated[
        str | None,
        typer.Option(metavar="ALIAS", help="The alias, to confirm --delete-data without a prompt."),
    ] = None,
    json: Json = False,
) -> None:
    """Remove the templates and the policy. Entries are kept, unless --delete-data is given.

    Example: indexer template remove --dry-run
    """
    from indexer.elastic.cluster import connected  # noqa: PLC0415
    from indexer.setup import removal  # noqa: PLC0415

    if delete_data and not dry_run:
        _confirm(connection.alias, confirm)
    with connected(connection) as cluster:
        if dry_run:
            _print_calls(removal.calls(cluster, data=delete_data), json)
        else:
            _print_outcomes(cluster.server, removal.remove(cluster, data=delete_data), json)


@options
def views(connection: Connection, dry_run: DryRun = False, json: Json = False) -> None:
    """Create a view for each activity type in the index: an alias such as zoomdata-activity.authentication.

    Needs the privileges of the roles setup and reader.

    Example: indexer template views
    """
    from indexer.elastic.cluster import connected  # noqa: PLC0415
    from indexer.setup import view_install  # noqa: PLC0415

    with connected(connection) as cluster:
        if dry_run:
            _print_calls(view_install.look(cluster).calls, json)
        else:
            show(view_install.add(cluster), json)


@options
def rollover(
    connection: Connection, rollover_policy: RolloverPolicy, dry_run: DryRun = False, json: Json = False
) -> None:
    """Roll over and delete old indices, on servers without lifecycle management. For cron.

    Example: indexer template rollover --rollover-age 7d --rollover-size 30gb --retain 90d
    """
    from indexer.elastic.cluster import connected  # noqa: PLC0415
    from indexer.setup.rollover import look, roll_over_if_due  # noqa: PLC0415
    from indexer.show import as_json  # noqa: PLC0415

    with connected(connection) as cluster:
        if dry_run:
            _print_calls(look(cluster, rollover_policy).calls(rollover_policy), json)
            return
        result = roll_over_if_due(cluster, rollover_policy)
    if json:
        write_data(as_json(result))
    else:
        for sentence in result.sentences():
            say(sentence)


def _print_outcomes(server: "Server", outcomes: Iterable["Outcome"], json: bool) -> None:
    from indexer.show import as_json  # noqa: PLC0415

    if json:
        write_data(as_json({"server": str(server), "outcomes": outcomes}))
        return
    say(f"{server}")
    for outcome in outcomes:
        say(f"  {outcome.result:<10} {outcome.what}" + (f": {outcome.detail}" if outcome.detail else ""))
        for change in outcome.changes:
            say(f"               {change}")


def _print_calls(calls: Sequence["Call"], json: bool, offered: Sequence["Call"] = ()) -> None:
    """As lines of shell, or as JSON. What is offered are comments: a shell does not send it."""
    from indexer.setup.ism import NOTE  # noqa: PLC0415
    from indexer.setup.plan import as_curl  # noqa: PLC0415
    from indexer.show import as_json  # noqa: PLC0415

    if json:
        offer = {"offered": {"note": NOTE, "requests": offered}} if offered else {}
        write_data(as_json({"requests": calls, **offer}))
        return
    for call in calls:
        write_data(as_curl(call))
    if offered:
        write_data(f"# {NOTE}\n# {SELECT}")
    for call in offered:
        write_data(OFFERED + as_curl(call))
    say(USE if calls else "Nothing to change.", error=True)


def _confirm(alias: str, confirmed: str | None) -> None:
    """Ask for the alias. Any other input is wrong usage."""
    if confirmed is None and sys.stdin.isatty():
        confirmed = typer.prompt(
            f"All entries and seals will be deleted. Type the alias ({alias}) to continue"
        )
    if confirmed != alias:
        raise typer.BadParameter(f"--delete-data has to be confirmed with the alias: --confirm {alias}")
