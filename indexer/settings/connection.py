"""Elasticsearch: where it is, and who we are there."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from indexer.settings.environment import secret, source

DEFAULT_URL = "http://localhost:9200"
PLAIN = re.compile(r"""[^\s\\/*?"<>|,#:]+""")
"""Characters of a name on the server (Elasticsearch guide, "Create index API"); any other may stand for more than one."""
ALIAS_BYTES = 200
"""Of the 255 that a name may have: the rest is for the names made of it (`-rejected`, `-000001`, views, …)."""


def _alias(name: str) -> str:
    """An index's name: what is made, deleted and asked for under it is named after it. Else a typer.BadParameter."""
    if (
        not (PLAIN.fullmatch(name) and name.isprintable())
        or name != name.lower()
        or name[0] in "-_+"
        or name in {".", ".."}
        or len(name.encode()) > ALIAS_BYTES
    ):
        raise typer.BadParameter(
            f"{name!a} cannot name an index: it has to be in lower case, of at most {ALIAS_BYTES} bytes, without blanks and "
            """any of \\ / * ? " < > | , # : and must not begin with - _ +"""
        )
    return name


@dataclass(frozen=True, slots=True)
class Connection:
    """Where Elasticsearch is, who we are there, and which alias is ours."""

    elasticsearch_url: Annotated[
        list[str],
        typer.Option(
            help="Address of Elasticsearch, with a path if it has one; repeat it for several nodes."
        ),
    ] = field(default_factory=lambda: [DEFAULT_URL], repr=False)  # it may hold a password
    username: Annotated[
        str | None, typer.Option(help="User; the password is INDEXER_PASSWORD or a file.")
    ] = None
    password_file: Annotated[Path | None, typer.Option(help="File that holds the password.")] = None
    api_key_file: Annotated[
        Path | None, typer.Option(help="File that holds an API key (or INDEXER_API_KEY).")
    ] = None
    bearer_token_file: Annotated[
        Path | None, typer.Option(help="File that holds a bearer token (or INDEXER_BEARER_TOKEN).")
    ] = None
    cloud_id: Annotated[str | None, typer.Option(help="Elastic Cloud id, in place of an address.")] = None
    ca_certs: Annotated[
        Path | None, typer.Option(help="File of CA certificates (PEM) to trust for https, and no others.")
    ] = None
    ca_fingerprint: Annotated[
        str | None,
        typer.Option(help="SHA-256 fingerprint, in hex, of the CA certificate to trust for https."),
    ] = None
    client_cert: Annotated[
        Path | None, typer.Option(help="File of a client certificate (PEM), with its key or without.")
    ] = None
    client_key: Annotated[Path | None, typer.Option(help="File of the client certificate's key (PEM).")] = (
        None
    )
    client_key_password_file: Annotated[
        Path | None,
        typer.Option(help="File that holds that key's password (or INDEXER_CLIENT_KEY_PASSWORD)."),
    ] = None
    request_timeout: Annotated[float, typer.Option(help="Seconds to wait for an answer.", min=0.1)] = 60.0
    alias: Annotated[str, typer.Option(callback=_alias, help="Alias that entries are written to.")] = (
        "zoomdata-activity"
    )

    @property
    def password(self) -> str | None:
        """The password, read anew each time. Raises SecretUnusable."""
        return secret("PASSWORD", self.password_file)

    @property
    def api_key(self) -> str | None:
        """The API key, read anew each time. Raises SecretUnusable."""
        return secret("API_KEY", self.api_key_file)

    @property
    def bearer_token(self) -> str | None:
        """The bearer token, read anew each time. Raises SecretUnusable."""
        return secret("BEARER_TOKEN", self.bearer_token_file)

    @property
    def client_key_password(self) -> str | None:
        """The password of the client certificate's key, read anew each time. Raises SecretUnusable."""
        return secret("CLIENT_KEY_PASSWORD", self.client_key_password_file)

    @property
    def identities(self) -> dict[str, str]:
        """The kinds of credentials that are given, each with the option or variable that gives it."""
        password = source("PASSWORD", self.password_file)
        given = {
            "user": "--username" if self.username else password,
            "API key": source("API_KEY", self.api_key_file),
            "bearer token": source("BEARER_TOKEN", self.bearer_token_file),
        }
        return {kind: source for kind, source in given.items() if source}

    @property
    def secret_files(self) -> list[Path]:
        """The files that hold secrets."""
        files = (
            self.password_file,
            self.api_key_file,
            self.bearer_token_file,
            self.client_cert,  # with its key in it
            self.client_key,
            self.client_key_password_file,
        )
        return [file for file in files if file is not None]

    @property
    def rejected(self) -> str:
        """The index that keeps rejected lines."""
        return f"{self.alias}-rejected"
