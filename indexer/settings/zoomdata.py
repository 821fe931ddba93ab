"""Zoomdata: its address, our credentials there, and its credentials in Elasticsearch."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from indexer.settings.commandline import Panel
from indexer.settings.environment import secret


@dataclass(frozen=True, slots=True)
class Zoomdata:
    """The address of Zoomdata (Composer), and our credentials there."""

    zoomdata_url: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="Address of Zoomdata. Its context path (/composer, /discovery) is detected if not given.",
        ),
    ] = field(default="http://localhost:8080", repr=False)  # it may contain a password
    zoomdata_username: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            rich_help_panel=Panel.ZOOMDATA,
            help="Zoomdata user. The password comes from INDEXER_ZOOMDATA_PASSWORD or a file.",
        ),
    ] = None
    zoomdata_password_file: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            rich_help_panel=Panel.ZOOMDATA,
            help="File that contains the password of the Zoomdata user.",
        ),
    ] = None
    zoomdata_ca_certs: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            rich_help_panel=Panel.ZOOMDATA,
            help="File that contains the CA certificates (PEM) to trust for Zoomdata, and no others.",
        ),
    ] = None

    @property
    def zoomdata_password(self) -> str | None:
        """The password. Raises SecretUnusable."""
        return secret("ZOOMDATA_PASSWORD", self.zoomdata_password_file)


@dataclass(frozen=True, slots=True)
class Reader:
    """How Zoomdata connects to Elasticsearch."""

    reader_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            rich_help_panel=Panel.READER,
            help="Address of Elasticsearch as Zoomdata reaches it: scheme://host:port,host:port/path."
            "  [default: --elasticsearch-url]",
        ),
    ] = None
    reader_username: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            rich_help_panel=Panel.READER,
            help="Elasticsearch user that Zoomdata logs in as, with the role <alias>-zoomdata. The password comes from "
            "INDEXER_READER_PASSWORD or a file.",
        ),
    ] = None
    reader_password_file: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            rich_help_panel=Panel.READER,
            help="File that contains the password of that Elasticsearch user.",
        ),
    ] = None

    @property
    def reader_password(self) -> str | None:
        """The password. Raises SecretUnusable."""
        return secret("READER_PASSWORD", self.reader_password_file)
