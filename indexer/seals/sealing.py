"""Sealing beside the delivery: chunks go into the journal with each checkpoint, and a thread of its own seals them.

Sealed is every `every` seconds, also if nothing came; when much is pending; soon after lines were read that do not lie behind
what the newest head announces, so that an audit can tell them from inserted ones; when `indexer seal now` asks for it; and at the end.
"""

import threading
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from indexer.errors import Fatal
from indexer.events import Events
from indexer.reading.batch import ReadBatch
from indexer.seals.leaves import Chunk
from indexer.seals.recorder import Recorder
from indexer.seals.sealer import Sealer
from indexer.seals.store import NotStored
from indexer.writing.checkpoint import Checkpoint

LOOK_EVERY = 0.5
"""Seconds between two looks whether a sealing is due."""
SOON = 5.0
"""Seconds between two sealings for such lines, at least."""
MUCH = 8 * 1024 * 1024
"""Bytes of the journal that are sealed without waiting: some 200,000 lines."""
MOST_HELD = 100_000
"""Lines that are held in the memory while the journal cannot be written: beyond them, digests are given up."""
LONGEST_WAIT = 60.0
"""Seconds between two tries of a sealing that fails, at most."""


class Sealing:
    """What the pipeline and the delivery know of the seals: `chunk`, `add`, `sync` and `saved` belong to their thread."""

    def __init__(self, sealer: Sealer, events: Events, every: float) -> None:
        """`every` are the seconds between two sealings."""
        self._sealer = sealer
        self._events = events
        self._every = every
        self._recorder = Recorder()
        self._held: list[Chunk] = []
        self._soon = 0
        """Position in the journal up to which there are lines that no head has announced."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="sealer", daemon=True)
        self._sealed_at = time.monotonic() - _seconds_since(sealer.sealed)
        self._failures = 0

    def start(self) -> None:
        """Begin; a new log counts what is in the indices before anything is delivered."""
        self._events.sealing(self._every)
        with suppress(
            NotStored, OSError, Fatal
        ):  # then later: what is delivered meanwhile counts as older than the seals
            self._sealer.prepare()
        self._thread.start()

    def finish(self, seconds: float) -> None:
        """End, with a last sealing; wait for it, but not longer. Nothing is lost if it fails: the next run seals it."""
        self._ended.set()
        self._thread.join(seconds)

    # ---- the delivery's side

    def chunk(self, read: ReadBatch) -> Chunk:
        """The chunk of some lines that were read."""
        return self._recorder.chunk(read)

    def add(self, chunk: Chunk) -> None:
        """A chunk is delivered."""
        self._held.append(chunk)

    def sync(self) -> int:
        """Write what is delivered into the journal; return the position for the checkpoint. Raises OSError."""
        if self._held:
            try:
                self._sealer.journal.append(self._held)
            except OSError:
                self._give_up_digests()
                raise
            if any(it.start < self._sealer.announced.get(it.file, it.end + 1) for it in self._held):
                self._soon = self._sealer.journal.end
            self._held = []
        return self._sealer.journal.end

    def saved(self, checkpoint: Checkpoint) -> None:
        """The checkpoint with the position of the last `sync` is written."""
        self._sealer.saved(checkpoint)

    def _give_up_digests(self) -> None:
        if sum(chunk.lines.count for chunk in self._held if chunk.lines) > MOST_HELD:
            self._held = [replace(chunk, lines=None) for chunk in self._held]

    # ---- the thread

    def _work(self) -> None:
        while not self._ended.wait(LOOK_EVERY):
            if self._due() and not self._try():
                self._ended.wait(min(LONGEST_WAIT, 2.0**self._failures))
        self._try()

    def _due(self) -> bool:
        since = time.monotonic() - self._sealed_at
        return (
            since >= self._every
            or self._sealer.pending >= MUCH
            or (since >= SOON and self._sealer.consumed < self._soon <= self._sealer.delivered)
            or self._sealer.asked()
        )

    def _try(self) -> bool:
        """Seal; tell whether it succeeded."""
        try:
            self._sealer.seal()
        except (NotStored, Fatal) as error:
            reason = str(error)
        except OSError as error:
            reason = error.strerror or str(error)
        except Exception as error:  # noqa: BLE001 - nothing ends this thread
            reason = f"unexpected: {type(error).__name__}: {error}"
        else:
            self._failures = 0
            self._sealed_at = time.monotonic()
            return True
        self._failures += 1
        self._events.sealing_failed(reason, min(LONGEST_WAIT, 2.0**self._failures))
        return False


def _seconds_since(sealed: str) -> float:
    """Seconds since a time in a leaf; endless if there is none."""
    return (
        max(0.0, (datetime.now(UTC) - datetime.fromisoformat(sealed)).total_seconds())
        if sealed
        else float("inf")
    )
