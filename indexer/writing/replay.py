"""What of a batch is in the alias already, across rollovers.

An id is unique within one backing index only: sent again after a rollover, an entry would be created a second time.
So whatever may have been sent before is first looked for in each index that it may have gone into, and then sent to
the write index by its own name, not through the alias: should it roll over in between, that index still knows which
ids it holds.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from elasticsearch import Elasticsearch, NotFoundError

from indexer.errors import AliasIsIndex, NotInstalled

ASKED_AT_ONCE = 10_000
"""Ids in one request: some 400 kB."""
GONE = "index_not_found_exception"


class Unknown(Exception):  # noqa: N818 - an answer, not an error
    """An index that cannot be asked now, with its reason."""


@dataclass(frozen=True, slots=True)
class Backing:
    """The indices behind the alias, oldest first."""

    write: str
    indices: tuple[str, ...]

    def may_hold(self, since: str | None) -> list[str]:
        """All but the write index that may hold what was sent when `since` was the write index, or later.

        If `since` is not known or no longer there, that is all others. Only names with the same beginning have an order:
        an index of another name, or of none that ends in a rollover number, is never left out.
        """
        name, oldest = _place(since) if since and since in self.indices else ("", 0)

        def older(index: str) -> bool:
            its_name, number = _place(index)
            return its_name == name and number < oldest

        return [index for index in self.indices if index != self.write and not older(index)]


def _place(index: str) -> tuple[str, int]:
    """What an index's name begins with, and the rollover number that it ends in, or 0."""
    found = re.fullmatch(r"(.*)-(\d{6,})", index)
    return (found[1], int(found[2])) if found else (index, 0)


def backing(client: Elasticsearch, alias: str, url: str) -> Backing:
    """Ask what is behind the alias. Raises NotInstalled, AliasIsIndex, or what the client raises."""
    try:
        found = client.indices.get_alias(name=alias)
    except NotFoundError:
        if client.indices.exists(index=alias):
            raise AliasIsIndex(alias=alias, url=url) from None
        raise NotInstalled(alias=alias, url=url) from None
    indices = sorted(found, key=lambda index: (_place(index)[1], index))
    write = [index for index in indices if found[index]["aliases"][alias].get("is_write_index")]
    if not write and len(indices) == 1:
        write = indices
    if not write:
        raise NotInstalled(alias=alias, url=url)
    return Backing(write[0], tuple(indices))


def delivered(client: Elasticsearch, indices: Sequence[str], ids: Sequence[bytes]) -> set[bytes]:
    """Ask which of some ids these indices hold, as of now (a get by id sees what no search sees yet).

    Raises Unknown, or what the client raises; an index that is gone by now holds nothing.
    """
    known: set[bytes] = set()
    for index in indices:
        for start in range(0, len(ids), ASKED_AT_ONCE):
            some = [identity.decode() for identity in ids[start : start + ASKED_AT_ONCE]]
            answer = client.mget(
                index=index, ids=some, source=False, filter_path="docs._id,docs.found,docs.error.type"
            )
            for doc in answer["docs"]:
                if doc.get("found"):
                    known.add(doc["_id"].encode())
                elif doc.get("error", {}).get("type", GONE) != GONE:
                    raise Unknown(f"{index} does not tell what it holds: {doc['error']['type']}")
    return known
