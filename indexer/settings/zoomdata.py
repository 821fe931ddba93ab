"""Zoomdata: where it is, who we are there, and who it is in Elasticsearch."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from indexer.settings.environment import secret


@dataclass(frozen=True, slots=True)
class Zoomdata:
    """Where Zoomdata (Composer) is, and who we are there."""

    zoomdata_url: Annotated[
        str,
        typer.Option(help="Address of Zoomdata; its context (/composer, /discovery) is found if not given."),
    ] = field(default="http://localhost:8080", repr=False)  # it may hold a password
    zoomdata_username: Annotated[
        str | None,
        typer.Option(help="User of Zoomdata; the password is INDEXER_ZOOMDATA_PASSWORD or a file."),
    ] = None
    zoomdata_password_file: Annotated[
        Path | None, typer.Option(help="File that holds that user's password.")
    ] = None
    zoomdata_ca_certs: Annotated[
        Path | None, typer.Option(help="File of CA certificates (PEM) to trust for Zoomdata, and no others.")
    ] = None

    @property
    def zoomdata_password(self) -> str | None:
        """The password. Raises SecretUnusable."""
        return secret("ZOOMDATA_PASSWORD", self.zoomdata_password_file)


@dataclass(frozen=True, slots=True)
class Reader:
    """How Zoomdata reaches Elasticsearch, and who it is there."""

    reader_url: Annotated[
        str | None,
        typer.Option(
            help="Address of Elasticsearch as Zoomdata reaches it: scheme://host:port,host:port/path."
            "  [default: --elasticsearch-url]"
        ),
    ] = None
    reader_username: Annotated[
        str | None,
        typer.Option(
            help="Elasticsearch user that Zoomdata gets, with the role <alias>-zoomdata; the password is "
            "INDEXER_READER_PASSWORD or a file."
        ),
    ] = None
    reader_password_file: Annotated[
        Path | None, typer.Option(help="File that holds that user's password.")
    ] = None

    @property
    def reader_password(self) -> str | None:
        """The password. Raises SecretUnusable."""
        return secret("READER_PASSWORD", self.reader_password_file)
