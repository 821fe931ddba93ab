"""Elasticsearch: its address, and our credentials there."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from indexer.settings.commandline import Panel, option
from indexer.settings.environment import secret, source

DEFAULT_URL = "http://localhost:9200"
PLAIN = re.compile(r"""[^\s\\/*?"<>|,#:]+""")
"""Characters of an index name (Elasticsearch guide, "Create index API"). Others may make it a pattern or a list."""
ALIAS_BYTES = 200
"""Maximum length. Index names have at most 255 bytes; the rest is for suffixes (`-rejected`, `-seals`, `-000001`, views, …)."""


def _alias(name: str) -> str:
    """Raises typer.BadParameter if the name cannot be the name of an index."""
    if (
        not (PLAIN.fullmatch(name) and name.isprintable())
        or name != name.lower()
        or name[0] in "-_+"
        or name in {".", ".."}
        or len(name.encode()) > ALIAS_BYTES
    ):
        raise typer.BadParameter(
            f"{name!a} is not a valid index name: it must be in lower case, have at most {ALIAS_BYTES} bytes, contain no blank "
            """and none of \\ / * ? " < > | , # : and not start with - _ +"""
        )
    return name


@dataclass(frozen=True, slots=True)
class Connection:
    """The address of Elasticsearch, our credentials there, and our alias."""

    elasticsearch_url: Annotated[
        list[str],
        option(
            "URL",
            "Address of Elasticsearch, with its path if it has one. Repeat the option for several nodes.",
        ),
    ] = field(default_factory=lambda: [DEFAULT_URL], repr=False)  # it may contain a password
    username: Annotated[
        str | None,
        option(
            "NAME", "User name. The password comes from INDEXER_PASSWORD or a file.", Panel.AUTHENTICATION
        ),
    ] = None
    password_file: Annotated[
        Path | None, option("PATH", "File that contains the password.", Panel.AUTHENTICATION)
    ] = None
    api_key_file: Annotated[
        Path | None,
        option("PATH", "File that contains an API key, instead of INDEXER_API_KEY.", Panel.AUTHENTICATION),
    ] = None
    bearer_token_file: Annotated[
        Path | None,
        option(
            "PATH",
            "File that contains a bearer token, instead of INDEXER_BEARER_TOKEN.",
            Panel.AUTHENTICATION,
        ),
    ] = None
    cloud_id: Annotated[
        str | None, option("ID", "Elastic Cloud ID, instead of an address.", Panel.ELASTICSEARCH)
    ] = None
    ca_certs: Annotated[
        Path | None,
        option("PATH", "File that contains the CA certificates (PEM) to trust, and no others.", Panel.TLS),
    ] = None
    ca_fingerprint: Annotated[
        str | None, option("HEX", "SHA-256 fingerprint of the CA certificate to trust.", Panel.TLS)
    ] = None
    client_cert: Annotated[
        Path | None,
        option("PATH", "File that contains a client certificate (PEM), with or without its key.", Panel.TLS),
    ] = None
    client_key: Annotated[
        Path | None, option("PATH", "File that contains the key of the client certificate (PEM).", Panel.TLS)
    ] = None
    client_key_password_file: Annotated[
        Path | None,
        option(
            "PATH",
            "File that contains the password of that key, instead of INDEXER_CLIENT_KEY_PASSWORD.",
            Panel.TLS,
        ),
    ] = None
    request_timeout: Annotated[
        float, option("SECONDS", "Request timeout, in seconds.", Panel.ELASTICSEARCH, min=0.1)
    ] = 60.0
    alias: Annotated[
        str, option("NAME", "Alias that entries are written to.", Panel.ELASTICSEARCH, callback=_alias)
    ] = "zoomdata-activity"

    @property
    def password(self) -> str | None:
        """The password, read again on each access. Raises SecretUnusable."""
        return secret("PASSWORD", self.password_file)

    @property
    def api_key(self) -> str | None:
        """The API key, read again on each access. Raises SecretUnusable."""
        return secret("API_KEY", self.api_key_file)

    @property
    def bearer_token(self) -> str | None:
        """The bearer token, read again on each access. Raises SecretUnusable."""
        return secret("BEARER_TOKEN", self.bearer_token_file)

    @property
    def client_key_password(self) -> str | None:
        """The password of the client certificate's key, read again on each access. Raises SecretUnusable."""
        return secret("CLIENT_KEY_PASSWORD", self.client_key_password_file)

    @property
    def identities(self) -> dict[str, str]:
        """The kinds of credentials that are set, each with the option or variable that sets it."""
        password = source("PASSWORD", self.password_file)
        given = {
            "user": "--username" if self.username else password,
            "API key": source("API_KEY", self.api_key_file),
            "bearer token": source("BEARER_TOKEN", self.bearer_token_file),
        }
        return {kind: source for kind, source in given.items() if source}

    @property
    def secret_files(self) -> list[Path]:
        """The files that contain secrets."""
        files = (
            self.password_file,
            self.api_key_file,
            self.bearer_token_file,
            self.client_cert,  # it may contain the key
            self.client_key,
            self.client_key_password_file,
        )
        return [file for file in files if file is not None]

    @property
    def rejected(self) -> str:
        """The index that keeps rejected lines."""
        return f"{self.alias}-rejected"

    @property
    def seals(self) -> str:
        """The index that keeps the seals."""
        return f"{self.alias}-seals"
