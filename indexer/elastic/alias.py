"""The write alias: which index takes entries now, and what the next one is called."""

import re
from typing import Any

from elasticsearch import Elasticsearch

from indexer.elastic.client import display_url
from indexer.errors import AliasIsIndex, Fatal
from indexer.settings import Connection

FIRST = "-000001"
"""The end of the first index's name; each rollover adds one (Elasticsearch guide, "Rollover")."""


class NoWriteIndex(Fatal):
    """The alias holds several indices, and which of them takes entries is not set."""

    sentence = "The alias {alias!r} on {url} has no write index among {indices}."
    hint = "Set is_write_index on the newest of them (POST _aliases)."


class NoAlias(Fatal):
    """The first index is there and the alias is not: a restored snapshot, or an alias that was removed."""

    sentence = "The index {index!r} exists on {url}, and no alias {alias!r}."
    hint = "Add the alias to its indices, with is_write_index on the newest (POST _aliases), or delete them."


def write_index(client: Elasticsearch, connection: Connection) -> str | None:
    """The index that entries sent to the alias go into; None without an alias.

    Raises AliasIsIndex, NoWriteIndex and what the client raises.
    """
    alias = connection.alias
    answer = client.options(ignore_status=404).indices.get_alias(index=alias)
    if answer.meta.status == 404:
        return None
    holders: dict[str, dict[str, Any]] = {name: held["aliases"].get(alias) for name, held in answer.items()}
    if None in holders.values():  # an index of that name, or a data stream
        raise AliasIsIndex(alias=alias, url=display_url(connection))
    writing = [name for name, how in holders.items() if how.get("is_write_index", len(holders) == 1)]
    if not writing:
        raise NoWriteIndex(alias=alias, url=display_url(connection), indices=", ".join(sorted(holders)))
    return writing[0]


def must_be_installed(client: Elasticsearch, connection: Connection) -> str | None:
    """The write index; None if there is neither alias nor first index.

    Raises NoAlias, AliasIsIndex, NoWriteIndex and what the client raises.
    """
    first = connection.alias + FIRST
    there = client.indices.exists(index=first)  # asked first: both are made in one step
    writing = write_index(client, connection)
    if writing is None and there:
        raise NoAlias(index=first, alias=connection.alias, url=display_url(connection))
    return writing


def next_index(index: str) -> str | None:
    """The name that a rollover gives the next index (Elasticsearch guide, "Rollover API"); None if this has no number."""
    beginning, dash, digits = index.rpartition("-")
    return f"{beginning}-{int(digits) + 1:06}" if dash and digits.isascii() and digits.isdecimal() else None


def is_ours(index: str, alias: str) -> bool:
    """Tell whether an index bears the alias's name and a number, as those that a rollover makes."""
    return re.fullmatch(re.escape(alias) + r"-[0-9]{6,}", index) is not None


def number(index: str) -> int:
    """The number that the name of such an index ends in."""
    return int(index.rpartition("-")[2])
