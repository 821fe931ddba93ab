"""The indexers on a stage: their real parts, put together as `indexer/run.py` and `indexer/cluster/log_files.py` do.

They die and start again as told; all share the files and the cluster, and each has a state of its own.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from indexer import delivery, pipeline
from indexer.delivery import Delivery
from indexer.elastic.alias import backing
from indexer.errors import Stopped
from indexer.events import Events, Recognition, Totals
from indexer.pipeline import Pipeline
from indexer.reading import identity, log, reader
from indexer.reading.files import FileFacts
from indexer.reading.sources import FileSource, open_log
from indexer.reading.tail import Tail
from indexer.seals import journal, sealer, sealing, state
from indexer.seals.notes import Signer
from indexer.seals.sealer import Sealer
from indexer.seals.sealing import Sealing
from indexer.settings import Connection
from indexer.verify import log_files
from indexer.verify.checker import Checker, Repair, portions
from indexer.verify.findings import Held, Line
from indexer.verify.lookup import Lookup
from indexer.writing import bulk, checkpoint, target
from indexer.writing.bulk import Sender
from indexer.writing.dead_letters import DeadLetterStore
from indexer.writing.spool import DeadLetterFiles
from indexer.writing.target import Target, delivered
from tests.model.audit import HEAD, Audit
from tests.model.stage import EPOCH, Actor, Order, Stage, Stop
from tests.support.fakes import FakeElasticsearch

BLOCK, TAIL = 100, 80
"""Bytes; real ones are so large that no short history would have a second block."""
BATCH, LONGEST_LINE = 150, 150
SENDERS = 2
POLL = 0.5
EVERY = 1e6
"""Seconds between sealings: a history says when one is due."""


@dataclass(frozen=True, slots=True)
class World:
    """What all indexers have in common."""

    stage: Stage
    server: FakeElasticsearch
    audit: Audit
    watched: Sequence[Path]
    signer: Signer | None
    """Signs what is delivered."""

    def prepare(self, patch: pytest.MonkeyPatch) -> None:
        """Put the stage in the place of threads and time, and sizes in the place of large ones."""
        stage = self.stage
        for module, name, value in (
            (delivery, "threading", stage.threading),
            (delivery, "time", stage.time),
            (pipeline, "threading", stage.threading),
            (pipeline, "queue", stage.queue),
            (pipeline, "time", stage.time),
            (target, "threading", stage.threading),
            (bulk, "time", stage.time),
            (log_files, "time", stage.time),
            (reader, "time", stage.time),
            (reader, "BLOCK", BLOCK),
            (log, "open_log", self._open),
            (identity, "HEAD", HEAD),
            (identity, "TAIL", TAIL),
            (os, "fsync", lambda _descriptor: None),
            (os, "fdatasync", lambda _descriptor: None),
            (sealer, "threading", stage.threading),
            (sealing, "threading", stage.threading),
            (sealing, "time", stage.time),
            (sealer, "now", self._now),
            (journal, "now", self._now),
            (state, "append", self._durable(state.append)),
            (state, "save", self._durable(state.save)),
            (journal.Journal, "append", self._durable(journal.Journal.append)),
            (Sealing, "_work", self._when_due()),
        ):
            patch.setattr(module, name, value)

    def _now(self) -> str:
        time = datetime.fromtimestamp(EPOCH + self.stage.now, UTC)
        return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _durable(self, change: Callable[..., Any]) -> Callable[..., Any]:
        """One may die before and after it."""

        def changed(*given: Any) -> Any:
            self.stage.pause("change")
            result = change(*given)
            self.stage.pause("changed")
            return result

        return changed

    def _when_due(self) -> Callable[[Sealing], None]:
        """What a sealer does: a history says when."""

        def work(its: Sealing) -> None:
            assert self.stage.current is not None
            subject = cast("Subject", self.stage.current.owner)
            while True:
                self.stage.pause("seal", lambda: subject.sealing_is_due)
                subject.sealing_is_due = False
                its._try()

        return work

    def _open(self, facts: FileFacts) -> FileSource:
        source = open_log(facts)
        if self.stage.current is None:
            return source
        windows = cast("Subject", self.stage.current.owner).windows
        close = source.close

        def close_and_forget() -> None:
            windows.remove(source)
            close()

        source.close = close_and_forget  # type: ignore[method-assign]
        windows.append(source)
        return source


class Subject:
    """An indexer that runs, or does not; what it leaves on disk, and whether that is true."""

    def __init__(self, world: World, state: Path) -> None:
        self.state = state
        self.windows: list[FileSource] = []
        """The files that it holds open."""
        self.totals = Totals()
        """What it has counted since its state began."""
        self.created = 0
        """How many entries it was told of that they are created."""
        self.blurred = False
        """It need not know of all of them: an answer was lost with it, or a checkpoint."""
        self.looked = float("-inf")
        """When it last looked at the alias."""
        self.once = False
        """It reads what there is, and ends."""
        self.sealing_is_due = False
        self.notes: list[str] = []
        """The checkpoints that it has handed out."""
        self._world = world
        self._stage = world.stage
        self._stop = Stop(world.stage)
        self._pipeline: Pipeline | None = None
        self._tail: Tail | None = None
        self._reader: Actor | None = None
        self._ending: Callable[[], None] = lambda: None
        world.audit.states.add(state)

    @property
    def runs(self) -> bool:
        """It was started, and did not end."""
        return self._reader is not None and not self._reader.done

    @property
    def follows(self) -> bool:
        """It runs, and waits for more."""
        return self.runs and not self.once

    @property
    def opened(self) -> set[int]:
        """The inodes that it holds open."""
        return {source.status().st_ino for source in self.windows} if self.runs else set()

    @property
    def idle(self) -> bool:
        """It waits for more to read, and nothing is in flight; or it is at its end."""
        if not self.runs:
            return True
        if any(
            it.owner is self and it.name == "sealer" and (it.at != "seal" or it.able)
            for it in self._stage.actors
        ):
            return False
        if self.once or self._pipeline is None or self._tail is None or self._reader is None:
            return False
        return self._reader.at == "wait" and self._tail.idle and not self._pipeline._delivery.in_flight

    # ---- its life

    def start(self, *, once: bool = False) -> None:
        """Start `indexer run`; it does nothing before the stage lets it."""
        self._start(lambda: self._run(once=once), once=once)

    def repair(self) -> None:
        """Start `indexer verify --repair`."""
        self._start(self._repair, once=True)

    def stop(self, order: Order) -> None:
        """Stop it as SIGTERM does; what senders have not done by the time its reader ends is left undone."""
        self._stop.set()
        assert self._stage.run(lambda: not self.runs, order, 2000), "it does not stop"
        self.kill()

    def kill(self) -> None:
        """End it where it stands, as SIGKILL does."""
        self._stage.kill(self)
        for source in list(self.windows):
            source.close()
        self._ending()
        self._reader = None

    def checkpoint_written(self) -> None:
        """It says that its checkpoint is on disk."""
        self._world.audit.checkpoint(self.state)
        self._stage.pause("checkpoint")

    # ---- its parts

    def _start(self, run: Callable[[], None], *, once: bool) -> None:
        self.kill()  # what is left of it
        self._stop, self.once = Stop(self._stage), once
        self._pipeline = self._tail = None
        self._reader = Actor(self._stage, run, "reader", self)
        self._reader.start()

    def _run(self, *, once: bool) -> None:
        held = checkpoint.StateDirectory(self.state)
        self._ending = self._let_go(held)
        cluster, events = self._world.server.cluster, Listener(self)
        client, behind = cluster.client, backing(cluster)
        start, _ = held.load()
        self._tail = self._follow(start.files, events, once=once)
        target = Target(cluster, behind, start.write_index, clock=self._stage.clock)
        sealing = self._sealing(held, start, events)
        self._pipeline = Pipeline(
            tail=self._tail,
            sender=Sender(client, target, events, self._stop),
            dead_letters=self._rejects(events),
            delivery=Delivery(self._tail, target, held, start, events, sealing),
            events=events,
            batch_bytes=BATCH,
            senders=SENDERS,
            sealing=sealing,
        )
        self.totals = start.totals
        self._pipeline.run(self._stop, POLL, once=once)
        self.told()

    def _sealing(
        self, held: checkpoint.StateDirectory, start: checkpoint.Checkpoint, events: Events
    ) -> Sealing | None:
        if self._world.signer is None:
            return None
        its = Sealer(
            self._world.server.cluster,
            held.directory,
            self._world.signer,
            events,
            start,
            every=EVERY,
            retain="400d",
        )
        made = Sealing(its, events, EVERY)
        made.start()
        return made

    def told(self) -> None:
        """Take over what it has counted."""
        if self._pipeline is not None:
            self.totals = self._pipeline._delivery.totals

    def _repair(self) -> None:
        cluster, events = self._world.server.cluster, Listener(self)
        target = Target(cluster, backing(cluster), None, clock=self._stage.clock)
        repair = Repair(Sender(cluster.client, target, events, self._stop), self._rejects(events))
        checker = Checker(cast("Lookup", Found(self._world)), repair, self._stop)
        tail = self._follow([], events, once=True)
        tail.scan()
        with suppress(Stopped):
            for portion in portions(log_files._lines(tail), BATCH):
                checker.check(portion)
            checker.look_again()

    def _follow(self, known: Sequence[identity.FileRecord], events: Events, *, once: bool) -> Tail:
        paths = [str(path) for path in self._world.watched]
        return Tail(paths, known, limit=LONGEST_LINE, once=once, events=events, clock=self._stage.clock)

    def _rejects(self, events: Events) -> DeadLetterStore:
        self.state.mkdir(exist_ok=True)
        server = self._world.server
        local = DeadLetterFiles(self.state)
        return DeadLetterStore(
            server.client, f"{server.alias}-rejected", local, limit=BATCH, events=events, stop=self._stop
        )

    def _let_go(self, held: checkpoint.StateDirectory) -> Callable[[], None]:
        def end() -> None:
            held.close()
            self._ending = lambda: None

        return end


@dataclass(frozen=True, slots=True)
class Found:
    """Stands in for `Lookup`: the fake cluster has no searches."""

    world: World
    alias: str = Connection().alias

    def entries(self, lines: Sequence[Line]) -> list[Held]:
        """Find all copies of some entries."""
        cluster = self.world.server.cluster
        ids = [line.id for line in lines]
        return [
            Held(identity, index, same=True)
            for index in backing(cluster).indices
            for identity in sorted(delivered(cluster.client, [index], ids))
        ]

    now = entries

    def rejected(self, lines: Iterable[Line]) -> list[Held]:
        """Find what is kept of some lines as rejected."""
        kept = self.world.audit.kept()
        return [Held(line.id, "", same=True) for line in lines if line.id.decode() in kept]


class Listener(Events):
    """Pauses wherever the reader tells something."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    def file_found(self, path: str, recognition: Recognition, offset: int) -> None:
        """Pause."""
        self._subject._stage.pause(f"{recognition} {Path(path).name}@{offset}")

    def block_read(self, path: str, size: int) -> None:
        """Pause."""
        self._subject._stage.pause("block")

    def batch_acknowledged(self, counts: Totals, seconds: float) -> None:
        """Keep what is counted."""
        self._subject.told()

    def sealed(self, leaves: int, lines: int, size: int, note: str) -> None:
        """Keep the checkpoint."""
        self._subject.notes.append(note)

    def checkpoint_written(self) -> None:
        """Hold it against what is delivered, and pause."""
        self._subject.checkpoint_written()
