"""`indexer seal now`: seals what is pending, whether an indexer runs on the state directory or not."""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from indexer.elastic.cluster import connected
from indexer.errors import Fatal, StateInUse, StateUnusable, Stopped
from indexer.events import Events
from indexer.seals import state as states
from indexer.seals.leaves import now
from indexer.seals.offline import open_log
from indexer.seals.state import SealState
from indexer.settings import Connection, Seals, State
from indexer.writing.checkpoint import StateDirectory, in_use

LOOK_EVERY = 0.1
"""Seconds between two looks whether the indexer has sealed."""


class NotSealedInTime(Fatal):
    """The running indexer does not seal."""

    sentence = "The indexer that uses {path} has not sealed within {seconds} s."
    hint = (
        "Was it started with --seal-key-file? Its log says why a sealing fails; it seals as soon as it can."
    )


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealing that was asked for."""

    log: str
    leaves: int
    sealed: str
    """When, ISO 8601."""
    by_indexer: bool
    """By the running indexer."""

    def __str__(self) -> str:
        who = " by the running indexer" if self.by_indexer else ""
        return f"Sealed{who} at {self.sealed}: seal log {self.log} has {self.leaves:,} leaves, all signed."


def seal_now(
    connection: Connection,
    state: State,
    seals: Seals,
    events: Events,
    stop: threading.Event,
    seconds: float,
) -> Sealed:
    """Seal what is pending; a running indexer gets `seconds` for it. Raises NotSealedInTime, Stopped, Fatal."""
    directory = state.state_dir
    asked, deadline = now(), time.monotonic() + seconds
    while time.monotonic() < deadline:
        if in_use(directory):
            _ask(directory)
        else:
            with suppress(StateInUse):  # an indexer has just started
                return _seal_here(connection, directory, seals, events)
        if stop.wait(LOOK_EVERY):
            raise Stopped
        done = _load(directory)
        if done is not None and done.signed == done.tree.size and done.sealed > asked:
            return _result(done, by_indexer=True)
    raise NotSealedInTime(path=directory, seconds=f"{seconds:g}")


def _seal_here(connection: Connection, directory: Path, seals: Seals, events: Events) -> Sealed:
    with StateDirectory(directory) as state, connected(connection) as cluster:
        open_log(cluster, state, seals, events).seal()
        done = _load(directory)
    if done is None:
        raise StateUnusable(path=directory, reason=f"its {states.DIRECTORY}/{states.NAME} is damaged")
    return _result(done, by_indexer=False)


def _ask(directory: Path) -> None:
    """Ask the running indexer, again if it has answered another one. Raises StateUnusable."""
    try:
        with suppress(FileNotFoundError):  # it has not begun a seal log
            (directory / states.DIRECTORY / states.REQUEST).touch(mode=0o600)
    except OSError as error:
        raise StateUnusable(path=directory, reason=error.strerror) from None


def _load(directory: Path) -> SealState | None:
    try:
        return states.load(directory / states.DIRECTORY)
    except OSError as error:
        raise StateUnusable(path=directory, reason=error.strerror) from None


def _result(done: SealState, *, by_indexer: bool) -> Sealed:
    return Sealed(done.log, done.signed, done.sealed, by_indexer)
