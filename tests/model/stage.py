"""A stage: threads of which only one runs at a time, from one pause to the next, when it is told to.

What a program does with threads, a queue, a condition, a stop and a clock becomes a sequence of steps that a test
chooses: any order can be had, and the same choices give the same run. `Stage.threading`, `.queue` and `.time` stand in
for the modules of these names.
"""

import queue
import threading
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

EPOCH = 1_800_000_000.0
"""Seconds since 1970 when the clock begins."""
Ready = Callable[[], bool]


def _always() -> bool:
    return True


class Killed(BaseException):
    """Ends an actor where it stands, as SIGKILL would."""


class Actor:
    """A thread of the program, at a pause or at its end."""

    def __init__(self, stage: "Stage", target: Callable[[], object], name: str) -> None:
        self.name = name
        self.at = "start"
        """Where it pauses."""
        self.ready: Ready = _always
        self.done = False
        self.failure: BaseException | None = None
        self._stage = stage
        self._target = target
        self._go = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def start(self) -> None:
        """Take part from now on: it begins with its first step."""
        self._stage.actors.append(self)

    def step(self) -> None:
        """Run to the next pause, or to the end."""
        self._go.release()
        self._stage.turn.acquire()

    def pause(self, at: str, ready: Ready) -> None:
        """Let others run; called by this thread itself. Raises Killed."""
        self.at, self.ready = at, ready
        self._stage.turn.release()
        self._go.acquire()
        if self._stage.killing:
            raise Killed

    def _run(self) -> None:
        self._go.acquire()
        try:
            if not self._stage.killing:
                self._target()
        except Killed:
            pass
        except BaseException as failure:  # noqa: BLE001 - shown by the test
            self.failure = failure
        self.done = True
        self._stage.turn.release()


class Stage:
    """All actors, and their clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.actors: list[Actor] = []
        self.turn = threading.Semaphore(0)
        self.killing = False
        self.threading = SimpleNamespace(
            Thread=self._thread,
            Condition=partial(_Condition, self),
            Event=threading.Event,
        )
        self.queue = SimpleNamespace(SimpleQueue=partial(_Queue, self))
        self.time = SimpleNamespace(monotonic=self.clock, time=lambda: EPOCH + self.now)

    def _thread(self, *, target: Callable[[], object], name: str, daemon: bool) -> Actor:
        assert daemon, "it would hold up the end of the process"
        return Actor(self, target, name)

    def clock(self) -> float:
        """Seconds; they pass only when a test says so."""
        return self.now

    def pause(self, at: str, ready: Ready = _always) -> None:
        """Stop here, if an actor is running: others may go on before. Raises Killed."""
        current = threading.current_thread()
        for actor in self.actors:
            if actor._thread is current:
                actor.pause(at, ready)

    def able(self) -> list[Actor]:
        """Those that have something to do."""
        return [actor for actor in self.actors if not actor.done and actor.ready()]

    def run(self, until: Ready, order: "Order", most: int) -> bool:
        """Let all go on in turns, until something is so; tell whether it is."""
        for _ in range(most):
            if until():
                return True
            for actor in order(self.able()):
                if not actor.done and actor.ready():
                    actor.step()
            self.check()
        return until()

    def check(self) -> None:
        """Raise what an actor failed with."""
        for actor in self.actors:
            if actor.failure is not None:
                raise actor.failure

    def kill(self) -> None:
        """End all actors where they are."""
        self.killing = True
        for actor in self.actors:
            while not actor.done:
                actor.step()
        self.killing = False
        self.actors = []


def newest_first(able: list[Actor]) -> list[Actor]:
    """The one that came last goes first."""
    return able[::-1]


def oldest_first(able: list[Actor]) -> list[Actor]:
    """The reader goes first."""
    return able


def reader_alone(able: list[Actor]) -> list[Actor]:
    """No sender gets on."""
    return [actor for actor in able if actor.name == "reader"]


def one_sender(able: list[Actor]) -> list[Actor]:
    """Only the last sender gets on."""
    return [actor for actor in able if actor.name != "reader"][-1:]


Order = Callable[[list[Actor]], list[Actor]]
"""Which of those that are able to go on do, and in which order."""


class _Queue:
    """A queue at which whoever takes from it pauses."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._items: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def put(self, item: Any) -> None:
        self._items.put(item)

    def get(self) -> Any:
        self._stage.pause("queue", lambda: not self._items.empty())
        return self._items.get_nowait()


class _Condition:
    """A condition whose every wait is one pause: what is waited for may be so by then, or the time be over."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass

    def wait_for(self, predicate: Ready, timeout: float) -> bool:
        assert timeout >= 0
        self._stage.pause("condition")
        return predicate()

    def notify_all(self) -> None:
        pass


class Stop(threading.Event):
    """A stop at which whoever waits for it pauses."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage

    def wait(self, timeout: float | None = None) -> bool:
        """Pause once; tell whether it is set by then."""
        assert timeout is not None, "a wait without end"
        self._stage.pause("wait")
        return self.is_set()
