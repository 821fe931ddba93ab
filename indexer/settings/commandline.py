"""Groups of settings become options of a command."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

from indexer.settings.environment import PREFIX

R = TypeVar("R")


def options(command: Callable[..., R]) -> Callable[..., R]:
    """Spread each parameter that is a settings group into one option per field of the group.

    The wrapped function gets the whole groups, so that a command names what it needs and nothing twice.
    """
    hints = get_type_hints(command, include_extras=True)
    groups = {name: kind for name, kind in hints.items() if is_dataclass(kind) and isinstance(kind, type)}
    own = [p.replace(annotation=hints[p.name]) for p in inspect.signature(command).parameters.values()]
    spread = [p for p in own if p.name not in groups]
    for group in groups.values():
        spread += [_parameter(group, item.name) for item in fields(group)]

    @functools.wraps(command)
    def wrapper(**given: Any) -> R:
        whole = {
            name: kind(**{f.name: given.pop(f.name) for f in fields(kind)}) for name, kind in groups.items()
        }
        return command(**given, **whole)

    wrapper.__signature__ = inspect.Signature(spread)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in spread}
    return wrapper


def _parameter(group: type, name: str) -> inspect.Parameter:
    hint = get_type_hints(group, include_extras=True)[name]
    described: Any = hint.__metadata__[0]
    described.envvar = PREFIX + name.upper()
    default = getattr(group(), name)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)
