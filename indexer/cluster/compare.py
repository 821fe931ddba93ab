"""Two bodies, field by field. Knows no server."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from indexer.cluster.plan import Body


@dataclass(frozen=True, slots=True)
class Difference:
    """A field with other values here and there; None where it is absent."""

    path: str
    installed: str | None
    shipped: str | None

    def __str__(self) -> str:
        installed, shipped = (
            "(none)" if value is None else value for value in (self.installed, self.shipped)
        )
        return f"{self.path}: {installed} → {shipped}"


def leaves(body: Body) -> dict[str, str]:
    """Each field's value as text, under its whole path.

    Servers answer settings nested or flat, and numbers and booleans as text or not: all of that comes to the same.
    """
    return dict(_leaves(body, "")) if body else {}


def differences(installed: Body, shipped: Body) -> tuple[Difference, ...]:
    """The fields that differ, by path. What else a server adds to the top level of `installed` is not ours to judge."""
    here = leaves({key: value for key, value in installed.items() if key in shipped})
    there = leaves(shipped)
    return tuple(
        Difference(path, here.get(path), there.get(path))
        for path in sorted(here.keys() | there.keys())
        if here.get(path) != there.get(path)
    )


def lacking(held: Body, wanted: Body) -> tuple[Difference, ...]:
    """The fields of `wanted` that `held` has not, or has with other values; it may have more."""
    here = leaves(held)
    return tuple(
        Difference(path, here.get(path), value)
        for path, value in sorted(leaves(wanted).items())
        if here.get(path) != value
    )


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    match value:
        case None:
            return
        case dict() if value:
            for key, below in value.items():
                yield from _leaves(below, f"{path}.{key}" if path else key)
        case [dict(), *_]:
            for number, below in enumerate(value):
                yield from _leaves(below, f"{path}[{number}]")
        case str():
            yield path, value
        case [*_]:
            yield path, orjson.dumps([_text(each) for each in value]).decode()
        case _:
            yield path, _text(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
