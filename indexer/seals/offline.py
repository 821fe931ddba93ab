"""The seal log of a state directory that no indexer uses: opened and sealed by a command."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from indexer.elastic.cluster import Cluster
from indexer.errors import Fatal, StateUnusable, WrongUsage
from indexer.events import Events
from indexer.seals import state as states
from indexer.seals import store
from indexer.seals.keys import read_signer
from indexer.seals.leaves import Chunk
from indexer.seals.sealer import Sealer
from indexer.settings import Seals
from indexer.writing.checkpoint import NAME, Checkpoint, StateDirectory


class SealingFailed(Fatal):
    """Nothing could be sealed now."""

    sentence = "Nothing was sealed: {reason}."
    hint = "Nothing is lost; run the same command again."


class OtherUser(Fatal):
    """What this process writes could not be read by the indexer."""

    sentence = "The state in {path} belongs to user {uid}, who could not go on with what user {mine} writes."
    hint = "Run this command as that user."


@dataclass(slots=True)
class OfflineLog:
    """A seal log whose state directory this process has locked."""

    _state: StateDirectory
    _checkpoint: Checkpoint
    _sealer: Sealer

    def deliver(self, chunks: Sequence[Chunk]) -> None:
        """Add chunks to what is pending, durably. Raises StateUnusable."""
        with _usable(self._state):
            self._sealer.journal.append(chunks)
        self.save()

    def save(self) -> None:
        """Write the position of the journal into the checkpoint. Raises StateUnusable."""
        with _usable(self._state):
            self._checkpoint = replace(self._checkpoint, journal=self._sealer.journal.end)
            self._state.save(self._checkpoint)
        self._sealer.saved(self._checkpoint)

    def seal(self) -> None:
        """Seal all that is pending. Raises SealingFailed, StateUnusable, Fatal."""
        try:
            with _usable(self._state):
                self._sealer.seal()
        except store.NotStored as reason:
            raise SealingFailed(reason=reason) from None


def open_log(cluster: Cluster, state: StateDirectory, seals: Seals, events: Events) -> OfflineLog:
    """Open the seal log, or begin one. Raises WrongUsage, KeyUnusable, StateUnusable, OtherUser, SealingFailed."""
    if seals.seal_key_file is None:
        what = f"No indexer uses {state.directory}, so this command has to sign itself"
        raise WrongUsage(what=what, remedy="Give the private key with --seal-key-file")
    signer = read_signer(seals.seal_key_file)
    found, _ = state.load()
    if found.alias not in {None, cluster.alias}:
        reason = f"its checkpoint belongs to alias {found.alias!r}, and this is {cluster.alias!r}"
        raise StateUnusable(path=state.directory, reason=reason)
    with _usable(state):
        _require_owner(state)
        known = states.load(state.directory / states.DIRECTORY)
        head = states.newest_head(state.directory / states.DIRECTORY, known) if known else None
        try:
            sealer = Sealer(
                cluster,
                state.directory,
                signer,
                events,
                found,
                every=head.every if head else seals.interval,
                retain=store.retention(cluster) or (head.retain if head else None),
                anchor=seals.seal_anchor,
            )
            sealer.prepare()
        except store.NotStored as reason:
            raise SealingFailed(reason=reason) from None
    log = OfflineLog(state, replace(found, alias=cluster.alias), sealer)
    log.save()
    return log


def _require_owner(state: StateDirectory) -> None:
    """Raises OtherUser, OSError."""
    written = state.directory / NAME
    if written.exists() and written.stat().st_uid != os.geteuid():
        raise OtherUser(path=state.directory, uid=written.stat().st_uid, mine=os.geteuid())


@contextmanager
def _usable(state: StateDirectory) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StateUnusable(path=state.directory, reason=error.strerror or error) from None
