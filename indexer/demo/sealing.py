"""The part of `indexer demo` about seals: an entry is altered, and found without the log."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from indexer.elastic.cluster import connected
from indexer.seals import NoSeals, require_seals
from indexer.settings import Connection, Seals, State

if TYPE_CHECKING:
    from indexer.verify.seal_findings import SealVerification

FORGED = {"activityType": "USER", "user": "nobody"}


def new_key(directory: Path, say: Callable[[str], None]) -> Seals:
    """Seal with a new key in a directory; with none if the extra is missing, which is said. Raises KeyExists, KeyUnusable."""
    try:
        require_seals()
    except NoSeals as missing:
        say(f"Nothing is sealed: {missing}")
        return Seals()
    from indexer.seals.keys import create_key  # noqa: PLC0415 - it needs the extra

    key = directory / "seal.key"
    create_key(key)
    return Seals(seal_key_file=key)


def show_seals(
    log: Path, connection: Connection, state: State, seals: Seals, say: Callable[[str], None]
) -> None:
    """Verify the index without its log, alter an entry, find it, and put it back. Raises Fatal."""
    if seals.seal_key_file is None:
        return
    aside = log.rename(log.with_name("taken-away"))
    started = time.monotonic()
    good = _verify(connection, state, seals.seal_key_file)
    seconds = time.monotonic() - started
    say(
        f"The log is taken away. Verified from the seals alone in {seconds:.1f} s: {good.present:,} of {good.read:,} "
        f"lines are indexed once and unchanged; {good.rejected:,} are rejected lines."
    )
    with connected(connection) as cluster:
        hit = cluster.client.search(index=cluster.alias, size=1, sort="_doc", source=False)["hits"]["hits"][0]
        cluster.client.index(index=hit["_index"], id=hit["_id"], document=FORGED)
        say(f"An entry is altered through {cluster.server.product}'s API, and the seals show which:")
        for finding in _verify(connection, state, seals.seal_key_file).findings:
            say(f"  {finding.kind}: {finding.file}, offset {finding.offset:,}, id {finding.id}")
            cluster.client.index(
                index=finding.where[0], id=finding.id, document=_entry(aside, finding.offset)
            )
    aside.rename(log)
    agrees = _verify(connection, state, seals.seal_key_file).agrees
    say(
        f"It is put back, and so is the log: index and seals {'agree again' if agrees else 'still differ'}.\n"
    )


def _verify(connection: Connection, state: State, key: Path) -> "SealVerification":
    from indexer.seals.keys import PUBLIC, read_verifiers  # noqa: PLC0415 - it needs the extra
    from indexer.verify.sealed_index import SealVerifier  # noqa: PLC0415

    keys = read_verifiers([key.with_name(key.name + PUBLIC)])
    return SealVerifier(connection, state, keys, (), lambda *_: None, threading.Event()).verify()


def _entry(log: Path, offset: int) -> dict[str, Any]:
    """The entry at an offset; the sample was written by orjson, as the client writes it, so its bytes are the same."""
    with log.open("rb") as file:
        file.seek(offset)
        entry: dict[str, Any] = orjson.loads(file.readline())
    return entry
