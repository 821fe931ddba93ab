"""Which of Zoomdata's connectors, and what to fill into its parameters: decided from what `GET /connection/types` tells.

Neither the connectors' names nor the keys of their parameters are documented. So a connector is one whose name or storage
type says "elastic", and a parameter is known by what its key or its label ends in.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from indexer.errors import WrongUsage

Json = dict[str, Any]
Version = tuple[int, ...]

DOCUMENTED = "7.0 to 7.17 and 8.1 to 8.17"
"""The servers that the vendor's documentation names ("Manage the Elasticsearch Connector", 26.3); its list of connectors ends at 8.3."""
MASK = "********"


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something that a connector wants to know."""

    key: str
    label: str
    required: bool

    def __str__(self) -> str:
        return f"{self.key} ({self.label})" if self.label else self.key


@dataclass(frozen=True, slots=True)
class Connector:
    """One of Zoomdata's connection types."""

    id: str
    name: str
    storage: str
    """Its subStorageType."""
    oldest: Version | None
    newest: Version | None
    """Of the servers that it is for; None where that is not told."""
    parameters: tuple[Parameter, ...]

    @property
    def major(self) -> int | None:
        """The server's major version that it is for, by its range or its name."""
        named = re.search(r"\d+", f"{self.name} {self.storage}")
        return self.oldest[0] if self.oldest else int(named[0]) if named else None

    def holds(self, server: Version) -> bool:
        """The server is in its range; 7.17 holds all of 7.17.x."""
        if self.oldest is None or self.newest is None:
            return False
        return self.oldest <= server[: len(self.oldest)] and server[: len(self.newest)] <= self.newest

    def __str__(self) -> str:
        if self.oldest and self.newest:
            return f"{self.name} for {_dotted(self.oldest)} to {_dotted(self.newest)}"
        return self.name


@dataclass(frozen=True, slots=True)
class Access:
    """What Zoomdata needs to reach Elasticsearch."""

    address: str
    """scheme://host:port,host:port/path."""
    cluster: str
    user: str | None
    password: str | None = field(repr=False)


def connectors(types: Iterable[Json]) -> list[Connector]:
    """Those that are for Elasticsearch."""
    return [
        Connector(
            str(each.get("id")),
            str(each.get("name")),
            str(each.get("subStorageType")),
            _version(each.get("minSupportedVersion")),
            _version(each.get("maxSupportedVersion")),
            tuple(_parameter(it) for it in each.get("parameters") or ()),
        )
        for each in types
        if "elastic" in f"{each.get('name')} {each.get('subStorageType')}".lower().replace(" ", "")
    ]


def choose(there: Iterable[Connector], server: Version) -> Connector | None:
    """The one for this server, else the next best: of its major version, else for the latest earlier one; None if all are for later."""
    usable = [it for it in there if it.holds(server) or (it.major or 0) <= server[0]]
    return max(usable, key=lambda it: (it.holds(server), it.major or 0, it.oldest or ()), default=None)


def doubt(chosen: Connector, server: Version) -> str | None:
    """What to say of a connector that is not for this server; None if it is."""
    if chosen.holds(server):
        return None
    return (
        f"Elasticsearch {_dotted(server)} is none that Zoomdata's connector is for ({chosen}; documented are {DOCUMENTED}): it may "
        "work, and nobody promises that"
    )


def fill(chosen: Connector, access: Access, given: Mapping[str, str]) -> tuple[list[Json], list[Parameter]]:
    """The parameters with their values, and those that are required and have none.

    given   by key, set by hand; these go first. Raises WrongUsage for one that the connector has not.
    """
    keys = [it.key for it in chosen.parameters]
    for key in given:
        if key not in keys:
            raise WrongUsage(
                what=f"The connector {chosen.name} has no parameter {key!r}",
                remedy=f"It has {', '.join(keys)}",
            )
    meanings = [_meaning(it) for it in chosen.parameters]
    known = {
        "address": access.address,
        "cluster": access.cluster,
        "user": access.user,
        "password": access.password,
    }
    filled, missing = [], []
    for parameter, meaning in zip(chosen.parameters, meanings, strict=True):
        sure = (
            meaning is not None and meanings.count(meaning) == 1
        )  # of two that mean the same, neither is guessed
        value = given.get(parameter.key, known[meaning] if meaning is not None and sure else None)
        if value is not None:
            filled.append({"key": parameter.key, "value": value, "systemAccess": False})
        elif parameter.required:
            missing.append(parameter)
    return filled, missing


def masked(body: Any, secret: str | None) -> Any:
    """A body as it may be shown: without this secret, and without any value whose key says that it is one."""
    match body:
        case {"key": str(key), "value": value} if value == secret or _SECRET.search(key):
            return body | {"value": MASK}
        case dict():
            return {key: masked(value, secret) for key, value in body.items()}
        case list():
            return [masked(each, secret) for each in body]
    return body


def _meaning(parameter: Parameter) -> str | None:
    """What a parameter asks for: the name of a field of Access; None if that is not sure."""
    for text in (parameter.key, parameter.label):
        words = re.sub(r"[^a-z]", "", text.lower())
        if re.search(r"proxy|store|aws|ssh|kerberos|sniff", words):
            return None
        for meaning, ends in _ENDS.items():
            if words.endswith(ends):
                return meaning
    return None


_SECRET = re.compile("pass|pwd|secret|token|credential|private|api_?key", re.IGNORECASE)
_ENDS = {
    "password": ("password",),
    "user": ("username", "user", "login"),
    "cluster": ("clustername", "cluster"),
    "address": ("connectionstring", "url", "uri", "hosts", "nodes"),
}


def _parameter(told: Json) -> Parameter:
    return Parameter(str(told.get("key")), str(told.get("label") or ""), bool(told.get("required")))


def _version(told: object) -> Version | None:
    """The numbers of a version up to the first part that is none: 8.x is 8."""
    numbers = re.match(r"\d+(?:\.\d+)*", str(told or ""))
    return tuple(map(int, numbers[0].split("."))) if numbers else None


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))
