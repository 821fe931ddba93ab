"""`indexer seal`: keys, and what is sealed."""

from pathlib import Path
from typing import Annotated

import typer

from indexer.cli.common import Json, progress, say, show, stop_on_signals
from indexer.errors import EXIT_FAILED, EXIT_REJECTED
from indexer.settings import Connection, Delivery, LogFiles, Seals, State, options


def key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The new private key.")],
    signed_by: Annotated[
        Path | None,
        typer.Option("--signed-by", metavar="PATH", help="The older private key that this one replaces."),
    ] = None,
) -> None:
    """Make a private key in FILE, for `indexer run`, and a public one in FILE.pub, for auditors.

    Example: indexer seal key /etc/zoomdata-indexer/seal.key
    """
    from indexer.seals import require_seals  # noqa: PLC0415

    require_seals()
    from indexer.seals.keys import PUBLIC, create_key  # noqa: PLC0415

    made = create_key(file, signed_by)
    say(f"{file} is the private key: give it to `indexer run --seal-key-file`, and to nobody else.")
    say(
        f"{file}{PUBLIC} is the public key: keep it elsewhere, too; `indexer verify --seals --public-key` needs it."
    )
    say(str(made))


@options
def now(
    connection: Connection,
    state: State,
    seals: Seals,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout",
            metavar="SECONDS",
            min=0.1,
            help="How long to wait for a running indexer, in seconds.",
        ),
    ] = 60.0,
) -> None:
    """Seal what is pending, whether an indexer is running on this state directory or not.

    A running indexer is asked to; without one, this command signs with --seal-key-file.

    Example: indexer seal now
    """
    from indexer.monitoring import Logs, logger  # noqa: PLC0415
    from indexer.seals import require_seals  # noqa: PLC0415

    require_seals()
    from indexer.seals.now import seal_now  # noqa: PLC0415

    events = Logs(logger("warning"))
    say(str(seal_now(connection, state, seals, events, stop_on_signals(), timeout)))


@options
def status(connection: Connection, state: State, seals: Seals, json: Json = False) -> None:
    """Show the seal log of this state directory: what is signed, what is pending, what the index has of it.

    Exit code 1 if a sealing is overdue, or the newest checkpoint or a leaf is missing from the index or an anchor.

    Example: indexer seal status --json | jq .overdue
    """
    from indexer.seals.status import seal_status  # noqa: PLC0415

    found = seal_status(connection, state, seals)
    show(found, json)
    if not found.well:
        raise typer.Exit(EXIT_FAILED)


@options
def prove(
    connection: Connection,
    identity: Annotated[
        str, typer.Argument(metavar="ID", help="The `_id` of an entry, or of a rejected line.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The file of the proof.")],
) -> None:
    """Write the proof of one entry: its bytes, its seal, and the way from there to a signed checkpoint.

    Example: indexer seal prove 5c2f0a1100000000000012ab34cd --out entry.json
    """
    from indexer.seals import require_seals  # noqa: PLC0415

    require_seals()
    from indexer.seals.proofs import write_proof  # noqa: PLC0415
    from indexer.verify.prove import prove as make  # noqa: PLC0415

    write_proof(out, make(connection, identity))
    say(
        f"{out} holds the proof: `indexer seal check {out} --public-key FILE` verifies it, without any server."
    )


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file of `indexer seal prove`.")],
    public_key: Annotated[
        list[Path],
        typer.Option("--public-key", metavar="FILE", help="The public key. Repeat it for several keys."),
    ],
) -> None:
    """Verify the proof of one entry, without access to the index or the log. Exit code 1 if it does not hold.

    Example: indexer seal check entry.json --public-key seal.key.pub
    """
    from indexer.seals import require_seals  # noqa: PLC0415

    require_seals()
    from indexer.seals.keys import read_verifiers  # noqa: PLC0415
    from indexer.seals.proofs import check_file  # noqa: PLC0415

    say(str(check_file(file, read_verifiers(public_key))))


@options
def adopt(
    connection: Connection,
    delivery: Delivery,
    state: State,
    seals: Seals,
    logs: LogFiles,
    json: Json = False,
) -> None:
    """Seal lines that were delivered before sealing was switched on, as far as their log files vouch for them.

    Sealed is what is in the index with the same bytes. Stop the indexer first. Exit code 3 if lines are left out.

    Example: indexer seal adopt --seal-key-file /etc/zoomdata-indexer/seal.key /opt/zoomdata/logs
    """
    from indexer.seals import require_seals  # noqa: PLC0415

    require_seals()
    from indexer.verify.adopt import Adoption  # noqa: PLC0415

    with progress(logs.paths, "Sealing", "warning") as listener:
        done = Adoption(connection, delivery, state, seals, listener, stop_on_signals()).adopt(logs)
    show(done, json)
    if done.left or done.unreadable:
        raise typer.Exit(EXIT_REJECTED)
