"""Groups of settings become options of a command, and options stand in panels of its help."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import Any, TypeVar, get_type_hints

import typer

from indexer.settings.environment import PREFIX

R = TypeVar("R")


class Panel(StrEnum):
    """The panels of `--help`, in their order. An option without one is in the first panel: what most users need."""

    KIBANA = "Kibana"
    ZOOMDATA = "Zoomdata"
    READER = "Zoomdata's access to Elasticsearch"
    AUTHENTICATION = "Authentication"
    ELASTICSEARCH = "Elasticsearch"
    TLS = "TLS"
    LOG_FILES = "Log files"
    DELIVERY = "Delivery"
    INDEX = "Index"
    LIFECYCLE = "Lifecycle"
    SEALS = "Seals"
    MONITORING = "Monitoring"


def option(metavar: str, help: str, panel: Panel | None = None, **more: Any) -> Any:  # noqa: A002 - typer's word
    """An option with a value, in a panel of `--help`."""
    return typer.Option(metavar=metavar, help=help, rich_help_panel=panel, **more)


def options(command: Callable[..., R]) -> Callable[..., R]:
    """Replace each parameter that is a settings group by one option per field of the group.

    The command itself receives whole groups.
    """
    hints = get_type_hints(command, include_extras=True)
    groups = {name: kind for name, kind in hints.items() if is_dataclass(kind) and isinstance(kind, type)}
    own = [
        p.replace(annotation=hints[p.name], kind=p.KEYWORD_ONLY)
        for p in inspect.signature(command).parameters.values()
    ]
    spread = [p for p in own if p.name not in groups]
    for group in groups.values():
        spread += [_parameter(group, item.name) for item in fields(group)]
    spread.sort(key=_panel)

    @functools.wraps(command)
    def wrapper(**given: Any) -> R:
        whole = {
            name: kind(**{f.name: given.pop(f.name) for f in fields(kind)}) for name, kind in groups.items()
        }
        return command(**given, **whole)

    wrapper.__signature__ = inspect.Signature(spread)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in spread}
    return wrapper


def _panel(parameter: inspect.Parameter) -> int:
    """The position of the parameter's panel in `--help`."""
    described = getattr(parameter.annotation, "__metadata__", (None,))[0]
    panel = getattr(described, "rich_help_panel", None)
    return [None, *Panel].index(panel)


def _parameter(group: type, name: str) -> inspect.Parameter:
    hint = get_type_hints(group, include_extras=True)[name]
    described: Any = hint.__metadata__[0]
    described.envvar = PREFIX + name.upper()
    default = getattr(group(), name)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)
