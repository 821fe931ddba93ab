"""Histories: steps drawn at random from a seed, each with all that it needs to know, so that any of them can be left out.

Steps that are not possible at the moment do nothing. Each history does without some kinds of steps: then others follow
each other more closely. The same seed gives the same history wherever it is played.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

Draw = Callable[[random.Random], Any]
Method = TypeVar("Method", bound=Callable[..., None])
LEFT_OUT = 0.4
"""The part of the kinds of steps that a history does without."""


class World(Protocol):
    """What a history is played in; its methods marked with `step` are the steps."""

    def begin(self) -> None:
        """Make ready."""

    def end(self) -> None:
        """Hold against what has to be."""

    def close(self) -> None:
        """Clear up."""


def one(*values: Any) -> Draw:
    """One of these."""
    return lambda chance: chance.choice(values)


def some(least: int, most: int, *values: Any) -> Draw:
    """Several of these."""
    return lambda chance: chance.choices(values, k=chance.randint(least, most))


def MAYBE(chance: random.Random) -> bool:  # noqa: N802 - a value among the others
    """One or the other."""
    return chance.random() < 0.5


def step(weight: float, **arguments: Draw) -> Callable[[Method], Method]:
    """Mark a method as a step: how often it is taken, and what its arguments are drawn from."""

    def mark(method: Method) -> Method:
        method.step = weight, arguments  # type: ignore[attr-defined]
        return method

    return mark


@dataclass(frozen=True, slots=True)
class Step:
    """A method to call."""

    name: str
    arguments: dict[str, Any]

    def __str__(self) -> str:
        given = ", ".join(
            f"{name}={getattr(value, '__name__', repr(value))}" for name, value in self.arguments.items()
        )
        return f"machine.{self.name}({given})"


History = Sequence[Step]


def drawn(kind: type[World], seed: int, length: int) -> History:
    """Draw a history."""
    chance = random.Random(seed)
    steps = {name: getattr(kind, name).step for name in dir(kind) if hasattr(getattr(kind, name), "step")}
    names = [name for name in steps if chance.random() >= LEFT_OUT] or list(steps)
    weights = [steps[name][0] for name in names]
    return [
        Step(name, {key: draw(chance) for key, draw in steps[name][1].items()})
        for name in chance.choices(names, weights, k=length)
    ]


def play(kind: type[World], history: History) -> AssertionError | None:
    """Let it happen; return what is not as it should be."""
    world = kind()
    try:
        world.begin()
        for taken in history:
            getattr(world, taken.name)(**taken.arguments)
        world.end()
    except AssertionError as failure:
        return failure
    finally:
        world.close()
    return None


def shortest(kind: type[World], history: History) -> History:
    """Leave out of a history that fails whatever it fails without."""
    size = len(history) // 2
    while size:
        start = 0
        while start < len(history):
            shorter = [*history[:start], *history[start + size :]]
            if play(kind, shorter) is not None:
                history = shorter
            else:
                start += size
        size //= 2
    return history


def described(history: History) -> str:
    """The history as a program."""
    return "\n".join(map(str, history))
