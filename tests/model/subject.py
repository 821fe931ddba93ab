"""The indexer on a stage: its real parts, put together as `indexer/run.py` does, dying and starting again as told."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from indexer.writing.replay import backing

from indexer import pipeline
from indexer.events import Events, Recognition, Totals
from indexer.pipeline import Pipeline
from indexer.reading import identity, log
from indexer.reading.files import FileFacts
from indexer.reading.tail import Tail
from indexer.reading.windows import PlainFile, open_log
from indexer.writing import checkpoint
from indexer.writing.bulk import Sender
from indexer.writing.rejects import LocalRejects, Rejects
from tests.fakes import FakeElasticsearch
from tests.model.audit import Audit
from tests.model.stage import Actor, Order, Stage, Stop

BLOCK, HEAD, TAIL = 100, 40, 40
"""Bytes; real ones are so large that no short history would have a second block."""
BATCH, RESERVED, LONGEST_LINE = 150, 600, 150
SENDERS = 2
POLL = 0.05


class Subject:
    """An indexer that runs, or does not; what it leaves on disk, and whether that is true."""

    def __init__(
        self,
        stage: Stage,
        server: FakeElasticsearch,
        audit: Audit,
        watched: Sequence[Path],
        patch: pytest.MonkeyPatch,
    ) -> None:
        self.directory = audit.state
        self._stage = stage
        self._server = server
        self._audit = audit
        self._watched = watched
        self._windows: list[PlainFile] = []
        self._held: checkpoint.State | None = None
        self._stop = Stop(stage)
        self._pipeline: Pipeline | None = None
        self._tail: Tail | None = None
        for module, name, value in (
            (pipeline, "threading", stage.threading),
            (pipeline, "queue", stage.queue),
            (pipeline, "time", stage.time),
            (pipeline, "RESERVED", RESERVED),
            (log, "time", stage.time),
            (log, "BLOCK", BLOCK),
            (log, "open_log", self._open),
            (identity, "HEAD", HEAD),
            (identity, "TAIL", TAIL),
            (os, "fsync", lambda _descriptor: None),
        ):
            patch.setattr(module, name, value)

    @property
    def runs(self) -> bool:
        """It was started, and did not end."""
        return self._held is not None

    @property
    def opened(self) -> set[int]:
        """The inodes that it holds open."""
        return {window.status().st_ino for window in self._windows}

    @property
    def idle(self) -> bool:
        """It waits for more to read, and nothing is on its way."""
        reader = next((actor for actor in self._stage.actors if actor.name == "reader"), None)
        assert self._pipeline is not None
        assert self._tail is not None
        return (
            reader is not None and reader.at == "wait" and self._tail.idle and not self._pipeline._under_way
        )

    @property
    def totals(self) -> Totals:
        """What it counted since its state began."""
        assert self._pipeline is not None
        return self._pipeline._totals

    def start(self) -> None:
        """Start it; it does nothing before the stage lets it."""
        self._stop = Stop(self._stage)
        self._held = checkpoint.State(self.directory)
        start, _ = self._held.load()
        client, alias, events = self._server.client, self._server.alias, Listener(self)
        self._tail = Tail(
            [str(path) for path in self._watched],
            start.files,
            limit=LONGEST_LINE,
            once=False,
            events=events,
            clock=self._stage.clock,
        )
        rejects = Rejects(
            client,
            f"{alias}-rejected",
            local=LocalRejects(self.directory),
            limit=BATCH,
            events=events,
            stop=self._stop,
        )
        self._pipeline = Pipeline(
            tail=self._tail,
            sender=Sender(client, alias, backing(client, alias, "").write, events, self._stop),
            rejects=rejects,
            state=self._held,
            start=start,
            events=events,
            batch_bytes=BATCH,
            senders=SENDERS,
        )
        run, stop = self._pipeline.run, self._stop
        Actor(self._stage, lambda: run(stop, POLL, once=False), "reader").start()

    def stop(self, order: Order) -> None:
        """Stop it as SIGTERM does; what senders have not done by the time its reader ends is left undone."""
        self._stop.set()
        (reader,) = [actor for actor in self._stage.actors if actor.name == "reader"]
        assert self._stage.run(lambda: reader.done, order, 2000), "it does not stop"
        self._end()

    def die(self) -> None:
        """End it as SIGKILL does."""
        self._end()

    def pause(self, at: str) -> None:
        """Let the test decide what happens now."""
        self._stage.pause(at)

    def written(self) -> None:
        """It says that its checkpoint is on disk."""
        self._audit.checkpoint()
        self._stage.pause("checkpoint")

    def _end(self) -> None:
        self._stage.kill()
        for window in list(self._windows):
            window.close()
        if self._held is not None:
            self._held.close()
        self._held = self._tail = self._pipeline = None

    def _open(self, facts: FileFacts) -> PlainFile:
        window = open_log(facts)
        close = window.close

        def close_and_forget() -> None:
            self._windows.remove(window)
            close()

        window.close = close_and_forget  # type: ignore[method-assign]
        self._windows.append(window)
        return window


class Listener(Events):
    """Pauses wherever the reader tells something."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    def file_found(self, path: str, recognition: Recognition, offset: int) -> None:
        """Pause."""
        self._subject.pause(f"{recognition} {Path(path).name}@{offset}")

    def block_read(self, path: str, size: int) -> None:
        """Pause."""
        self._subject.pause("block")

    def checkpoint_written(self) -> None:
        """Hold it against what is delivered, and pause."""
        self._subject.written()
