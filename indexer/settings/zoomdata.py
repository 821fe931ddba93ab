"""Zoomdata: its address, our credentials there, and its credentials in Elasticsearch."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from indexer.settings.commandline import Panel, option
from indexer.settings.environment import secret


@dataclass(frozen=True, slots=True)
class Zoomdata:
    """The address of Zoomdata (Composer), and our credentials there."""

    zoomdata_url: Annotated[
        str,
        option(
            "URL", "Address of Zoomdata. Its context path (/composer, /discovery) is detected if not given."
        ),
    ] = field(default="http://localhost:8080", repr=False)  # it may contain a password
    zoomdata_username: Annotated[
        str | None,
        option(
            "NAME",
            "Zoomdata user. The password comes from INDEXER_ZOOMDATA_PASSWORD or a file.",
            Panel.ZOOMDATA,
        ),
    ] = None
    zoomdata_password_file: Annotated[
        Path | None, option("PATH", "File that contains the password of the Zoomdata user.", Panel.ZOOMDATA)
    ] = None
    zoomdata_ca_certs: Annotated[
        Path | None,
        option(
            "PATH",
            "File that contains the CA certificates (PEM) to trust for Zoomdata, and no others.",
            Panel.ZOOMDATA,
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
        option(
            "URL",
            "Address of Elasticsearch as Zoomdata reaches it: scheme://host:port,host:port/path.",
            Panel.READER,
            show_default="--elasticsearch-url",
        ),
    ] = None
    reader_username: Annotated[
        str | None,
        option(
            "NAME",
            "Elasticsearch user that Zoomdata logs in as, with the role <alias>-zoomdata. The password comes from "
            "INDEXER_READER_PASSWORD or a file.",
            Panel.READER,
        ),
    ] = None
    reader_password_file: Annotated[
        Path | None,
        option("PATH", "File that contains the password of that Elasticsearch user.", Panel.READER),
    ] = None

    @property
    def reader_password(self) -> str | None:
        """The password. Raises SecretUnusable."""
        return secret("READER_PASSWORD", self.reader_password_file)
