"""Compares two request bodies field by field. Sends no request."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from indexer.setup.plan import Body

OF_THE_SERVER = {"created_date", "created_date_millis", "modified_date", "modified_date_millis"}
"""Fields that newer servers add to a template; a request cannot set them (measured on 9.5.0)."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A field whose values differ; None where it is absent."""

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

    Servers return settings nested or flat, and numbers and booleans as text or not: these are equal here. A null is left out.
    """
    return {path: value for path, value in _leaves(body, "") if value is not None} if body else {}


def differences(installed: Body, shipped: Body) -> tuple[Difference, ...]:
    """The fields that differ, by path, except those that the server added to `installed`."""
    held = _fields({key: value for key, value in installed.items() if key in shipped or _counts(key, value)})
    wanted = _fields(shipped)
    return tuple(
        Difference(path, held.get(path), wanted.get(path))
        for path in sorted(held.keys() | wanted.keys())
        if held.get(path) != wanted.get(path)
    )


def lacking(held: Body, wanted: Body) -> tuple[Difference, ...]:
    """The fields of `wanted` that `held` lacks or has with other values; it may have more."""
    found = leaves(held)
    return tuple(
        Difference(path, found.get(path), value)
        for path, value in sorted(leaves(wanted).items())
        if found.get(path) != value
    )


def _fields(body: Body) -> dict[str, str]:
    """As `leaves`, with nulls: in a template, null unsets what another one sets."""
    return {path: "null" if value is None else value for path, value in (_leaves(body, "") if body else ())}


def _counts(key: str, value: Any) -> bool:
    """Servers return a missing list of components as an empty one."""
    return key not in OF_THE_SERVER and value not in ([], {})


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str | None]]:
    match value:
        case None:
            yield path, None
        case dict() if value:
            for key, below in value.items():
                yield from _leaves(below, f"{path}.{key}" if path else key)
        case [dict(), *_]:
            for number, below in enumerate(value):
                yield from _leaves(below, f"{path}[{number}]")
        case str():
            yield path, value
        case [*_]:
            yield path, _text([_text(each) for each in value])
        case _:
            yield path, _text(value)


def _text(value: Any) -> str:
    """As JSON, of any size: an admin's `_meta` may hold numbers of a hundred digits."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
