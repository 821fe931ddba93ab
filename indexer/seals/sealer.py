"""Sealing in a running indexer: chunks become leaves, leaves go into the index, and a checkpoint is signed over them.

A sealing has four steps, and each is durable before the next begins, so that a crash repeats a step and never half of one:

    extend  all chunks that the checkpoint of the delivery covers become leaves in the local file, then a head
    store   the leaves are created in the index; the first one alone, because it tells whether this log was continued by
            somebody else (a state directory restored from a backup, or copied): then a new log begins
    sign    the checkpoint is signed, created in the index, and appended to the anchors
    drop    the chunks are removed from the journal

Leaves are signed once they are in the index, so no two checkpoints of a log ever contradict each other. A step that fails is
tried again; the delivery neither waits for it nor notices.
"""

import os
import secrets
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import indexer
from indexer.elastic.cluster import Cluster
from indexer.events import Events
from indexer.seals import state as states
from indexer.seals import store
from indexer.seals.heads import TreeHead
from indexer.seals.journal import Journal
from indexer.seals.leaves import Head, Start, checkpoint_document, now
from indexer.seals.state import SealState
from indexer.writing.checkpoint import Checkpoint

if TYPE_CHECKING:
    from indexer.seals.notes import Signer

MOST_LINES = 8192
"""Lines of a leaf, about."""
AT_ONCE = 256 * 1024
"""Bytes of the journal that become leaves together: what sealing takes of the memory."""


class Sealer:
    """One seal log. `seal` may be called by one thread while another one calls `saved`."""

    def __init__(
        self,
        cluster: Cluster,
        directory: Path,
        signer: "Signer",
        events: Events,
        start: Checkpoint,
        *,
        every: float,
        retain: str | None = None,
        anchor: Path | None = None,
    ) -> None:
        """Open the log in a state directory. Raises OSError.

        start    the checkpoint that the delivery goes on from
        every    seconds between sealings
        retain   how long an index is kept, if lifecycle management does not decide it
        anchor   a directory to which checkpoints are written, too
        """
        self._cluster = cluster
        self._directory = directory / states.DIRECTORY
        self._directory.mkdir(mode=0o700, exist_ok=True)
        self._signer = signer
        self._events = events
        self._every = every
        self._retain = retain
        self._anchors = [self._directory, *([anchor] if anchor else [])]
        self._state = states.load(self._directory)
        self._reason = self._reason_to_begin(start)
        self.journal = Journal(self._directory, start.journal, self.consumed)
        self.delivered = self.journal.end if start.journal is None else start.journal
        """The journal's position that the checkpoint of the delivery covers."""
        self._open: Mapping[str, int] = _open_files(start)
        self.announced: Mapping[str, int] = {}
        """The files that the newest head says are not read to their end, as in `Head.open`."""
        self._lines = 0
        """Lines that became leaves since the last checkpoint."""
        self._lock = threading.Lock()

    def _reason_to_begin(self, start: Checkpoint) -> str:
        """Why a new log has to begin; empty if the one of the state goes on."""
        if self._state is None:
            return "state lost"
        if self._state.key != str(self._signer.key):
            return "key changed"
        return "switched off" if start.journal is None and start.totals.read else ""

    # ---- the delivery's side

    def saved(self, checkpoint: Checkpoint) -> None:
        """The checkpoint of the delivery is saved: what it covers may be sealed."""
        with self._lock:
            self.delivered, self._open = checkpoint.journal or 0, _open_files(checkpoint)

    @property
    def consumed(self) -> int:
        """The journal's position up to which all is sealed."""
        return self._state.consumed if self._state else 0

    @property
    def pending(self) -> int:
        """Bytes of the journal that may be sealed."""
        return max(0, self.delivered - self.consumed)

    @property
    def sealed(self) -> str:
        """When the newest checkpoint was signed, ISO 8601; empty if there is none."""
        return self._state.sealed if self._state and self._state.signed else ""

    def asked(self) -> bool:
        """Tell whether `indexer seal now` waits for a sealing; it is answered by the next one."""
        return (self._directory / states.REQUEST).exists()

    # ---- sealing

    def prepare(self) -> None:
        """Before anything is delivered: begin a new log, if one has to, with what it finds. Raises NotStored, OSError."""
        if self._reason:
            self._begun(self._reason)

    def seal(self) -> None:
        """Seal what is pending, and assert that there is nothing else. Raises NotStored, OSError, Fatal."""
        state = self._begun(self._reason) if self._reason or self._state is None else self._state
        if not state.complete and state.tree.size > 1:  # an earlier sealing was interrupted
            state = self._finished(state)
        self._finished(self._extended(state))
        (self._directory / states.REQUEST).unlink(missing_ok=True)

    def _finished(self, state: SealState) -> SealState:
        """Store, sign and drop what was extended."""
        state = self._sign(self._stored(state))
        self.journal.drop(state.consumed)
        return state

    def _begun(self, reason: str) -> SealState:
        """Begin a new log; what is not signed yet goes into it."""
        old = self._state
        previous = store.newest_checkpoints(self._cluster)
        if reason == "state lost" and not previous:
            reason = "new"
        before: Mapping[str, int] = {}
        if not previous or reason == "switched off":
            before = store.counts(self._cluster)
        log = secrets.token_hex(8)
        # Not later than the leaves that it takes over.
        sealed = old.sealed if old and not old.complete else now()
        start = Start(
            log,
            indexer.__version__,
            self._cluster.alias,
            reason,
            before,
            [it["note"] for it in previous.values()],
        )
        state = SealState(log, str(self._signer.key), old.consumed if old else 0, sealed=sealed)
        leaves = states.leaves(self._directory, old, old.signed, old.signed_bytes) if old else iter(())
        unsigned = islice(leaves, 0 if old and old.signed else 1, None)  # a start begins its own log alone
        state = states.append(self._directory, state, chain([start.leaf(sealed)], unsigned))
        self._save(state)
        self._reason = ""
        return state

    def _extended(self, state: SealState) -> SealState:
        """Make leaves of the chunks that may be sealed, and a head."""
        retain = self._retain or store.retention(self._cluster)
        with self._lock:
            end, open_files = self.delivered, self._open
        sealed = max(now(), state.sealed)  # a clock may be set back; a log's times never are
        lines = 0

        def leaves() -> Iterator[bytes]:
            nonlocal lines
            for chunk in self.journal.joined(state.consumed, end, AT_ONCE, MOST_LINES):
                lines += chunk.lines.count if chunk.lines is not None else 0
                yield chunk.leaf(sealed)
            yield Head(round(self._every), retain, open_files).leaf(sealed)

        extended = states.append(self._directory, state, leaves())
        extended = replace(extended, consumed=max(state.consumed, end), sealed=sealed)
        self._save(extended)
        self.announced = open_files
        self._lines += lines
        return extended

    def _stored(self, state: SealState) -> SealState:
        """Create the leaves in the index that are not there.

        An index that does not exist is never created by a leaf: without its template it would get a mapping of its own.
        """
        # The first leaf, too: an index that was lost while leaves were created holds the later ones again.
        ends = {store.leaf_id(state.log, number) for number in (0, max(0, state.stored - 1))}
        if len(store.fetch(self._cluster, sorted(ends))) < len(ends):
            state = replace(state, stored=0, stored_bytes=0)  # the index was lost; its leaves are here
        leaves = states.leaves(self._directory, state, state.stored, state.stored_bytes)
        numbered = (
            (store.leaf_id(state.log, number), leaf) for number, leaf in enumerate(leaves, state.stored)
        )
        for group in store.bodies(numbered):
            if not store.create(self._cluster, group):  # somebody has continued this log
                return self._stored(self._begun("state older than the index"))
            size = sum(len(leaf) + 1 for _, leaf in group)
            # Not saved yet: after a crash they are created once more, which changes nothing.
            self._state = state = replace(
                state, stored=state.stored + len(group), stored_bytes=state.stored_bytes + size
            )
        return state

    def _sign(self, state: SealState) -> SealState:
        """Sign a checkpoint over all leaves, and hand it to everybody."""
        head = TreeHead(f"{self._signer.key.name}/{state.log}", state.tree.size, state.tree.root)
        note = self._signer.sign(head.text)
        document = checkpoint_document(state.log, head.size, round(self._every), note, state.sealed)
        store.create(self._cluster, [(store.checkpoint_id(state.log, head.size), document)])
        signed = replace(state, signed=head.size, signed_bytes=state.bytes, note=note)
        self._save(signed)
        lines, self._lines = self._lines, 0
        self._events.sealed(head.size - state.signed, lines, head.size, note)
        for anchor in self._anchors:
            try:
                _append(anchor / f"{state.log}{states.CHECKPOINTS}", note)
            except OSError as error:  # the checkpoint is in the index, and the next one is tried here again
                reason = f"cannot write the checkpoint to {anchor}: {error.strerror or error}"
                self._events.sealing_failed(reason, self._every)
        return signed

    def _save(self, state: SealState) -> None:
        states.save(self._directory, state)
        self._state = state


def _open_files(checkpoint: Checkpoint) -> dict[str, int]:
    """The files that are not read to their end, each with the offset up to which it is delivered, by generation."""
    return {f"{it.generation:08x}": it.offset for it in checkpoint.files if not it.ended}


def _append(path: Path, note: str) -> None:
    """Add a checkpoint to a file durably. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o644), "w", encoding="utf-8") as file:
        file.write(note)
        file.flush()
        os.fsync(file.fileno())
