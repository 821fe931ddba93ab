"""The Authorization header, made from secrets that may be rotated at run time.

A secret's file is read when a client is built, and again when Elasticsearch refuses the credentials. So it does not matter
how the file is replaced (overwritten, renamed, a symlink changed, as Kubernetes does with mounted secrets): the next
refused request is sent once more with the new secret.
"""

import base64
import threading
from collections.abc import Callable

from indexer.errors import Fatal, WrongUsage
from indexer.settings import Connection, SecretUnusable


class Credentials:
    """The current Authorization header. May be used by several threads."""

    def __init__(self, connection: Connection, in_address: str | None = None) -> None:
        """`in_address` is the header for user:password@ in an address.

        Raises WrongUsage if several credentials are given, or incomplete ones; SecretUnusable.
        """
        given = connection.identities | ({"user in an address": "--elasticsearch-url"} if in_address else {})
        if len(given) > 1:
            ways = " and ".join(f"{source} ({kind})" for kind, source in given.items())
            raise WrongUsage(what=f"{ways} are both given", remedy="Give one of them")
        self._make = _maker(connection, in_address)
        self._lock = threading.Lock()
        self.header = self._make()

    def renewed(self, refused: str | None) -> bool:
        """Read the credentials again; whether they differ from those that were refused."""
        with self._lock:
            if self.header == refused:
                try:
                    self.header = self._make()
                except Fatal:  # the file may be being replaced; the refusal is reported
                    return False
            return self.header != refused


def identity_of(connection: Connection) -> str:
    """The user or kind of credentials, without reading a secret."""
    kinds = connection.identities
    if "user" in kinds:
        return f"user {connection.username!r}"
    if kinds:
        return f"the {next(iter(kinds))}"
    if connection.client_cert:
        return "the client certificate"
    return (
        "the user in the address"
        if any("@" in url for url in connection.elasticsearch_url)
        else ("a request without credentials")
    )


def remedy(connection: Connection) -> str:
    """What to do when Elasticsearch does not accept the credentials."""
    kinds = connection.identities
    if not kinds:
        return (
            "Set INDEXER_USERNAME with INDEXER_PASSWORD, or INDEXER_API_KEY, or INDEXER_BEARER_TOKEN; or name a file that"
            " holds the secret (INDEXER_…_FILE)"
        )
    kind, source = next(iter(kinds.items()))
    if kind == "user":
        return (
            "Check --username, and the password in INDEXER_PASSWORD or in the file that --password-file names"
        )
    return f"Check the {kind} given by {source}: it may be mistyped, expired, revoked or of another cluster"


def _maker(connection: Connection, in_address: str | None) -> Callable[[], str | None]:
    kinds = connection.identities
    if "API key" in kinds:
        return lambda: _api_key(_token("API_KEY", connection.api_key))
    if "bearer token" in kinds:
        return lambda: f"Bearer {_token('BEARER_TOKEN', connection.bearer_token)}"
    if "user" not in kinds:
        return lambda: in_address
    if not connection.username:
        raise WrongUsage(
            what=f"{kinds['user']} is a password without a user", remedy="Give --username as well"
        )
    if connection.password is None:
        raise WrongUsage(
            what="--username is given without a password",
            remedy="Give INDEXER_PASSWORD or --password-file as well",
        )
    return lambda: f"Basic {_base64(f'{connection.username}:{connection.password}')}"


def _api_key(key: str) -> str:
    """An API key as Elasticsearch shows it (`encoded`), or as id:key."""
    return f"ApiKey {_base64(key) if ':' in key else key}"


def _token(variable: str, value: str | None) -> str:
    """A secret that is sent as it is. Checked here, as the HTTP library would quote an invalid header in its error."""
    token = (value or "").strip()
    if not (token.isascii() and token.isprintable() and " " not in token and token):
        raise SecretUnusable(
            where=f"INDEXER_{variable}, or its file",
            reason="it has to be one word of ASCII letters, digits and signs",
            variable=f"INDEXER_{variable}",
        )
    return token


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
