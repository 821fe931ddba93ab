"""`indexer seal prove`: the proof of one line, made from the index alone."""

from indexer.elastic.client import connect
from indexer.elastic.cluster import Cluster, connected
from indexer.errors import Fatal, WrongUsage
from indexer.reading.entries import OFFSET, offset_of
from indexer.seals import lookup, store
from indexer.seals.heads import TreeHead
from indexer.seals.lines import digest_of
from indexer.seals.lookup import FoundLeaf, SealsDamaged
from indexer.seals.proofs import Proof, is_id
from indexer.seals.tree import inclusion_path, leaf_hash, root_of_path
from indexer.settings import Connection
from indexer.verify.by_id import Documents
from indexer.verify.scan import LARGEST_DOCUMENT


class NoSuchEntry(Fatal):
    """No document has that id."""

    sentence = "There is no entry {id} behind {alias!r}, and no rejected line in {rejected}."
    hint = "Its id is the `_id` of the document, 28 hexadecimal digits."


class NotSealed(Fatal):
    """An entry that is in no signed seal, or not with these bytes."""

    sentence = "No proof of {id}: {reason}."
    hint = "{hint}"


def prove(connection: Connection, identity: str) -> Proof:
    """Make the proof of an entry, or of a rejected line that the index keeps. Raises NoSuchEntry, NotSealed, Fatal."""
    if not is_id(identity):
        raise WrongUsage(
            what=f"{identity!r} is not the id of an entry", remedy="It has 28 hexadecimal digits"
        )
    with (
        connected(connection, expects=lookup.EXPECTS) as cluster,
        connect(connection, raw=True, expects=LARGEST_DOCUMENT) as raw,
    ):
        documents, ids = Documents(cluster, raw), [identity.encode()]
        copies = [it.data for it in documents.entries(ids) or documents.rejected(ids)]
        if not copies:
            raise NoSuchEntry(id=identity, alias=cluster.alias, rejected=connection.rejected)
        lookup.refresh(cluster)
        try:
            entry, leaf = _sealed(cluster, identity, copies)
            return _proof(cluster, identity, entry, leaf)
        except store.NotStored as reason:
            raise NotSealed(id=identity, reason=f"the seals cannot be read: {reason}", hint="") from None


def _sealed(cluster: Cluster, identity: str, copies: list[bytes]) -> tuple[bytes, FoundLeaf]:
    """The copy that is sealed, and the newest leaf that has its digest. Raises NotSealed."""
    file, offset = identity[: OFFSET.start], offset_of(identity)
    place = bytes.fromhex(identity[OFFSET.start :])
    by_digest = {digest_of(copy): copy for copy in copies}
    sealed = {
        (leaf.sealed, digest): leaf
        for leaf in lookup.leaves_of(cluster, file, offset, offset)
        for its_place, digest in leaf.chunk.lines or ()
        if its_place == place
    }
    held = [key for key in sealed if key[1] in by_digest]
    if held:
        newest = max(held)
        return by_digest[newest[1]], sealed[newest]
    if sealed:
        reason = "it is sealed with other bytes than the index holds"
        raise NotSealed(id=identity, reason=reason, hint="`indexer verify --seals` says what else differs.")
    raise NotSealed(id=identity, reason="it is in no seal", hint="`indexer seal now` seals what is pending.")


def _proof(cluster: Cluster, identity: str, entry: bytes, found: FoundLeaf) -> Proof:
    """The proof under the newest checkpoint of the leaf's log. Raises NotSealed, SealsDamaged, NotStored."""
    checkpoint = store.newest_checkpoints(cluster).get(found.log)
    if checkpoint is None:
        raise NotSealed(id=identity, reason="its seal is not signed yet", hint="`indexer seal now` signs it.")
    note = str(checkpoint["note"])
    try:
        head = TreeHead.parse(note.rpartition("\n\n")[0] + "\n")
    except ValueError:
        raise SealsDamaged(index=cluster.connection.seals, reason="a checkpoint cannot be read") from None
    if found.number >= head.size:
        raise NotSealed(id=identity, reason="its seal is not signed yet", hint="`indexer seal now` signs it.")
    hashes = map(leaf_hash, lookup.leaves_in_order(cluster, found.log, head.size))
    path = inclusion_path(hashes, found.number, head.size)
    if root_of_path(leaf_hash(found.data), found.number, head.size, path) != head.root:
        reason = f"the leaves of {found.log} are not those that its newest checkpoint signs"
        raise SealsDamaged(index=cluster.connection.seals, reason=reason)
    return Proof(identity, entry, found.data, found.number, path, note)
