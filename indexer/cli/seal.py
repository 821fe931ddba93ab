"""`indexer seal`: keys, and what is sealed."""

from pathlib import Path
from typing import Annotated

import typer

from indexer.cli.common import say


def key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The new private key.")],
    signed_by: Annotated[
        Path | None,
        typer.Option("--signed-by", metavar="PATH", help="The older private key that this one replaces."),
    ] = None,
) -> None:
    """Make a private key in FILE, for `indexer run`, and a public one in FILE.pub, for whoever verifies.

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
