"""A stage: threads of which only one runs at a time, from one pause to the next, when it is told to.

What programs do with threads, a queue, a condition, a lock, a stop and a clock becomes a sequence of steps that a test
chooses: any order can be had, and the same choices give the same run. `Stage.threading`, `.queue` and `.time` stand in
for the modules of these names. Time passes only when nobody has anything else to do, or when a test says so; then
whoever is on his way to the index (`HASTE`) is there within `PROMPT`: the grace period counts on that.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

EPOCH = 1_800_000_000.0
"""Seconds since 1970 when the clock begins."""
HASTE = frozenset({"question", "told", "request"})
"""Pauses between a look at the alias and the index that takes an entry."""
PROMPT = 3.0
"""Seconds that this may take: less than `GRACE` without `LOOK_EVERY`."""
Ready = Callable[[], bool]


def _always() -> bool:
    return True


class Killed(BaseException):
    """Ends an actor where it stands, as SIGKILL would."""


class Actor:
    """A thread of a program, at a pause or at its end."""

    def __init__(self, stage: "Stage", target: Callable[[], object], name: str, owner: object) -> None:
        self.name = name
        self.owner = owner
        """The program that it is a part of."""
        self.at = "start"
        """Where it pauses."""
        self.until: float | None = None
        """When it goes on by itself."""
        self.since = 0.0
        """Since when it has been in flight to the index."""
        self.done = False
        self.failure: BaseException | None = None
        self._ready: Ready = _always
        self._killed = False
        self._stage = stage
        self._target = target
        self._go = threading.Lock()
        self._go.acquire()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def able(self) -> bool:
        """It has something to do."""
        return not self.done and (self._ready() or (self.until is not None and self._stage.now >= self.until))

    @property
    def hastes(self) -> bool:
        """It is in flight to the index."""
        return not self.done and self.at in HASTE

    def start(self) -> None:
        """Take part from now on: it begins with its first step."""
        self._stage.actors.append(self)

    def step(self) -> None:
        """Run to the next pause, or to the end."""
        self._stage.current = self
        self._go.release()
        self._stage.turn.acquire()
        self._stage.current = None

    def kill(self) -> None:
        """End it where it is."""
        self._killed = True
        while not self.done:
            self.step()

    def pause(self, at: str, ready: Ready, until: float | None) -> None:
        """Let others run; called by this thread itself. Raises Killed."""
        if at in HASTE and self.at not in HASTE:
            self.since = self._stage.now
        self.at, self._ready, self.until = at, ready, until
        self._stage.turn.release()
        self._go.acquire()
        if self._killed:
            raise Killed

    def _run(self) -> None:
        self._go.acquire()
        try:
            if not self._killed:
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
        self.current: Actor | None = None
        """Whose step it is."""
        self.turn = threading.Lock()
        self.turn.acquire()
        self.threading = SimpleNamespace(
            Thread=self._thread,
            Condition=partial(_Condition, self),
            Lock=partial(_Lock, self),
            Event=threading.Event,
        )
        self.queue = SimpleNamespace(SimpleQueue=partial(_Queue, self))
        self.time = SimpleNamespace(monotonic=self.clock, time=lambda: EPOCH + self.now)

    def _thread(self, *, target: Callable[[], object], name: str, daemon: bool) -> Actor:
        assert daemon, "it would hold up the end of the process"
        assert self.current is not None
        return Actor(self, target, name, self.current.owner)

    def clock(self) -> float:
        """Seconds."""
        return self.now

    def pause(self, at: str, ready: Ready = _always, until: float | None = None) -> None:
        """Stop here, if an actor is running: others may go on before. Raises Killed."""
        if self.current is not None:
            self.current.pause(at, ready, until)

    def able(self) -> list[Actor]:
        """Those that have something to do."""
        return [actor for actor in self.actors if actor.able]

    def run(self, until: Ready, order: "Order", most: int) -> bool:
        """Let all go on in turns, until something is so; tell whether it is."""
        for _ in range(most):
            if until():
                return True
            if not self._round(order) and (self.able() or not self._pass(float("inf"))):
                break
        return until()

    def elapse(self, seconds: float, order: "Order") -> None:
        """Let time pass, and those in the order go on meanwhile; the others only as far as they are in haste."""
        end = self.now + seconds
        for _ in range(20000):
            if self.now >= end:
                return
            late = [actor for actor in self.actors if actor.hastes and self.now >= actor.since + PROMPT]
            for actor in late:
                while actor.hastes and actor.able:
                    actor.step()
            if not self._round(order):
                self._pass(end)
        raise AssertionError("it does not come to rest")

    def _round(self, order: "Order") -> bool:
        some = False
        for actor in order(self.able()):
            if actor.able:
                actor.step()
                some = True
        self.check()
        return some

    def _pass(self, most: float) -> bool:
        """Let time pass until something happens; tell whether anything does."""
        moment = min([most, *self._moments()])
        if moment == float("inf"):
            return False
        self.now = max(self.now, moment)
        return True

    def _moments(self) -> Iterator[float]:
        for actor in self.actors:
            if not actor.done:
                if actor.until is not None and actor.until > self.now:
                    yield actor.until
                if actor.hastes:
                    yield actor.since + PROMPT

    def check(self) -> None:
        """Raise what an actor failed with."""
        for actor in self.actors:
            if actor.failure is not None:
                raise actor.failure

    def kill(self, owner: object) -> None:
        """End all actors of a program where they are."""
        for actor in self.actors:
            if actor.owner is owner:
                actor.kill()
        self.actors = [actor for actor in self.actors if actor.owner is not owner]


def newest_first(able: list[Actor]) -> list[Actor]:
    """The one that came last goes first."""
    return able[::-1]


def oldest_first(able: list[Actor]) -> list[Actor]:
    """The reader goes first."""
    return able


def readers_alone(able: list[Actor]) -> list[Actor]:
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
    """A condition whose every wait is a pause, until it is so or the time is over."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass

    def wait_for(self, predicate: Ready, timeout: float) -> bool:
        assert timeout >= 0
        self._stage.pause("condition", predicate, self._stage.now + timeout)
        return predicate()

    def notify_all(self) -> None:
        pass


class _Lock:
    """A lock at which whoever finds it taken pauses."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._taken = False

    def __enter__(self) -> None:
        if self._taken:
            self._stage.pause("lock", lambda: not self._taken)
        self._taken = True

    def __exit__(self, *_: object) -> None:
        self._taken = False


class Stop(threading.Event):
    """A stop at which whoever waits for it pauses, until it is set or the time is over."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage

    def wait(self, timeout: float | None = None) -> bool:
        """Pause; tell whether it is set by then."""
        assert timeout is not None, "a wait without end"
        self._stage.pause("wait", self.is_set, self._stage.now + timeout)
        return self.is_set()
