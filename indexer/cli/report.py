"""`indexer report`: the dashboards as one HTML page."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from indexer.cli.common import say
from indexer.settings import PREFIX, Connection, milliseconds, options

if TYPE_CHECKING:
    from indexer.report.queries import Period

MOMENT = "TIME"
END_OF_DAY = timedelta(days=1) - timedelta(milliseconds=1)


@options
def report(
    connection: Connection,
    out: Annotated[
        Path, typer.Option(envvar=PREFIX + "OUT", metavar="PATH", help="HTML file to write.", dir_okay=False)
    ],
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            envvar=PREFIX + "FROM",
            metavar=MOMENT,
            help="Start of the period, such as 2026-05-31 or 2026-05-31T08:30; UTC by default.",
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            envvar=PREFIX + "TO",
            metavar=MOMENT,
            help="End of the period; a date includes that day.  [default: now]",
        ),
    ] = None,
    last: Annotated[
        str,
        typer.Option(
            envvar=PREFIX + "LAST", metavar="DURATION", help="Without --from: length of the period."
        ),
    ] = "7d",
) -> None:
    """Write the charts and tables of the dashboards to one HTML page. It can be read without Kibana and network.

    Example: indexer report --out week.html --last 7d
    """
    from indexer.report.report import write  # noqa: PLC0415

    written = write(connection, _period(from_, to, last), out)
    say(f"{written.file} ({written.size / 1e6:.1f} MB): {written.entries:,} entries. Open it in a browser.")


def _period(start: str | None, end: str | None, last: str) -> "Period":
    from indexer.report.queries import Period  # noqa: PLC0415

    until = _moment(end, of_day=END_OF_DAY) if end else datetime.now(UTC)
    length = timedelta(milliseconds=milliseconds(last))
    try:
        since = _moment(start) if start else until - length
    except OverflowError:
        raise typer.BadParameter(f"--last {last} is too long") from None
    if since >= until:
        raise typer.BadParameter("--from has to be before --to")
    return Period(since, until)


def _moment(text: str, of_day: timedelta = timedelta(0)) -> datetime:
    """Parse ISO 8601. A date alone is its first moment plus `of_day`."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a time such as 2026-05-31 or 2026-05-31T08:30") from None
    if len(text) <= len("2026-05-31"):
        read += of_day
    try:
        return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
    except OverflowError:
        raise typer.BadParameter(f"{text!r} is out of range in UTC") from None
