"""The write alias and its indices: which of them takes entries now, and what the next one is called."""

import re
from dataclasses import dataclass
from typing import Any

import elasticsearch

from indexer.elastic.cluster import Cluster
from indexer.elastic.failures import reading_answer
from indexer.errors import AliasIsIndex, Fatal, NotInstalled, NoWriteIndex

FIRST = "-000001"
"""The end of the first index's name; each rollover adds one (Elasticsearch guide, "Rollover")."""
NAMED = 5
"""How many of the newest indices an error names."""


class NoAlias(Fatal):
    """The first index exists and the alias does not: a restored snapshot, or an alias that was removed."""

    sentence = "The index {index!r} exists on {url}, and no alias {alias!r}."
    hint = "Add the alias to its indices, with is_write_index on the newest (POST _aliases), or delete them."


EXISTING = "-existing"
"""The end of the name of an index's own alias: see `Backing.address`."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a bulk request goes."""

    name: str
    is_alias: bool = False
    """The name has to be an alias: it creates no index."""


@dataclass(frozen=True, slots=True)
class Backing:
    """The indices behind the alias, oldest first."""

    write: str
    indices: tuple[str, ...]
    own: frozenset[str] = frozenset()
    """Those with an alias of their own."""

    def address(self, index: str) -> Address:
        """How to write to one of these indices.

        To write to a deleted index must not create it anew, outside the alias. Its template forbids that, or gives it an
        alias of its own, which is deleted with it (`Feature.AUTO_CREATION`).
        """
        return Address(index + EXISTING, is_alias=True) if index in self.own else Address(index)


def backing(cluster: Cluster) -> Backing:
    """Look up the alias. Raises NotInstalled, AliasIsIndex, NoWriteIndex and what the client raises."""
    found = find_backing(cluster)
    if found is None:
        raise NotInstalled(alias=cluster.alias, url=cluster.url)
    return found


def write_index(cluster: Cluster) -> str | None:
    """The index that entries go into; None without an alias. Raises as `find_backing` does."""
    found = find_backing(cluster)
    return found.write if found else None


def find_backing(cluster: Cluster) -> Backing | None:
    """Look up the alias; None if it does not exist. Raises AliasIsIndex, NoWriteIndex and what the client raises."""
    held = indices_of(cluster)
    alias, indices = cluster.alias, sorted(held, key=place)
    if not held:
        if cluster.client.indices.exists(index=alias):  # an index of that name, or a data stream
            raise AliasIsIndex(alias=alias, url=cluster.url)
        return None
    with reading_answer():
        own = frozenset(it for it in indices if it + EXISTING in held[it])
        write = [it for it in indices if held[it][alias].get("is_write_index", len(held) == 1) is True]
    if not write:
        named = indices if len(indices) <= NAMED else ["…", *indices[-NAMED:]]
        raise NoWriteIndex(alias=alias, url=cluster.url, indices=", ".join(named))
    return Backing(write[0], tuple(indices), own)


def indices_of(cluster: Cluster) -> dict[str, Any]:
    """The indices behind the alias, each with its aliases: this one, and its own. Raises what the client raises.

    Without `index` the request is about all indices of the server: OpenSearch's security plugin refuses that to whoever has
    rights on some only (measured on 2.11.1).
    """
    alias = cluster.alias
    try:
        answer = cluster.client.indices.get_alias(index=alias, name=[alias, f"{alias}-*{EXISTING}"])
    except elasticsearch.NotFoundError:
        return {}
    with reading_answer():
        return {index: its["aliases"] for index, its in answer.items() if alias in its["aliases"]}


def place(index: str) -> tuple[int, str]:
    """Where an index stands in the order of rollovers: the number that an index's name ends in, or 0, and its name."""
    found = re.fullmatch(r".*-(\d{6,})", index)
    return (int(found[1]) if found else 0, index)


def require_alias(cluster: Cluster) -> str | None:
    """The write index; None if there is neither the alias nor the first index.

    Raises NoAlias, and as `find_backing` does.
    """
    first = cluster.alias + FIRST
    exists = cluster.client.indices.exists(index=first)  # before the alias: one request creates both
    write = write_index(cluster)
    if write is None and exists:
        raise NoAlias(index=first, alias=cluster.alias, url=cluster.url)
    return write


def next_index(index: str) -> str | None:
    """The name that a rollover gives the next index (Elasticsearch guide, "Rollover API"); None if this has no number."""
    stem, dash, digits = index.rpartition("-")
    return f"{stem}-{int(digits) + 1:06}" if dash and digits.isascii() and digits.isdecimal() else None


def is_ours(index: str, alias: str) -> bool:
    """Tell whether an index is named as a rollover of the alias names it."""
    return re.fullmatch(re.escape(alias) + r"-[0-9]{6,}", index) is not None


def number(index: str) -> int:
    """The number that the name of such an index ends in."""
    return int(index.rpartition("-")[2])
