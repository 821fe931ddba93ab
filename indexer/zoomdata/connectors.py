"""Choosing one of Zoomdata's connectors (`GET /connection/types`) and filling in its parameters. Sends nothing.

The API description has the form of the list; neither the names of the connectors nor the keys of their parameters are documented.
A connector is recognised by a word in its name or storage type (`WORDS`), a parameter by the end of its key or label.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from indexer.elastic.server import Product, Server
from indexer.errors import WrongUsage

Json = dict[str, Any]
Version = tuple[int, ...]

DOCUMENTED = {Product.ELASTICSEARCH: "7.0 to 7.17 and 8.1 to 8.17", Product.OPENSEARCH: "2.0 to 2.17"}
"""Versions of each product in the vendor's documentation ("Manage the Elasticsearch Connector", whose list of connectors ends at 8.3, and
"Manage the OpenSearch Connector", 26.3)."""
WORDS = {"opensearch": Product.OPENSEARCH, "elastic": Product.ELASTICSEARCH}
"""The first word that a connector has tells its product."""
MASK = "********"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a connector."""

    key: str
    label: str
    required: bool

    def __str__(self) -> str:
        return f"{self.key} ({self.label})" if self.label else self.key


@dataclass(frozen=True, slots=True)
class Connector:
    """A connection type of Zoomdata."""

    product: Product
    id: str
    name: str
    storage: str
    """Its subStorageType."""
    type: str | None
    """What the connection's `type` has to be."""
    oldest: Version | None
    newest: Version | None
    """The range of the product's versions; None if unknown."""
    parameters: tuple[Parameter, ...]

    @property
    def major(self) -> int | None:
        """The major version of the product, from the range or the name."""
        named = re.search(r"\d+", f"{self.name} {self.storage}")
        return self.oldest[0] if self.oldest else int(named[0]) if named else None

    def supports(self, server: Version) -> bool:
        """Whether the version is in the range; 7.17 includes all of 7.17.x."""
        if self.oldest is None or self.newest is None:
            return False
        return self.oldest <= server[: len(self.oldest)] and server[: len(self.newest)] <= self.newest

    def __str__(self) -> str:
        if self.oldest and self.newest:
            return f"{self.name} for {_dotted(self.oldest)} to {_dotted(self.newest)}"
        return self.name


@dataclass(frozen=True, slots=True)
class Access:
    """How Zoomdata reaches the server."""

    address: str
    """scheme://host:port,host:port/path."""
    cluster: str
    user: str | None
    password: str | None = field(repr=False)


def connectors_for(product: Product, types: Iterable[Json]) -> list[Connector]:
    """The connection types for a product."""
    return [
        Connector(
            product,
            str(each.get("id")),
            str(each.get("name")),
            str(each.get("subStorageType")),
            each.get("type"),
            _version(each.get("minSupportedVersion")),
            _version(each.get("maxSupportedVersion")),
            tuple(_parameter(it) for it in each.get("parameters") or ()),
        )
        for each in types
        if _product(each) is product
    ]


def best_connector(available: Iterable[Connector], server: Version) -> Connector | None:
    """The connector that supports this version, else one for its major version, else one for the latest earlier version.

    None if all are for later versions.
    """
    usable = [it for it in available if it.supports(server) or (it.major or 0) <= server[0]]
    return max(usable, key=lambda it: (it.supports(server), it.major or 0, it.oldest or ()), default=None)


def version_note(chosen: Connector, server: Server) -> str | None:
    """A note if the connector does not support this version."""
    if chosen.supports(server.version):
        return None
    documented = DOCUMENTED[server.product]
    if chosen.oldest is None or chosen.newest is None:
        return (
            f"Zoomdata does not tell for which versions its connector {chosen} is made (documented: {documented}): whether it "
            f"supports {server} is unknown"
        )
    return f"Zoomdata's connector is not made for {server} ({chosen}; documented: {documented}): it may work, but is not supported"


def fill_parameters(
    chosen: Connector, access: Access, given: Mapping[str, str]
) -> tuple[list[Json], list[Parameter]]:
    """The parameters with their values, and the required parameters without a value.

    given   values by key, which have precedence. Raises WrongUsage for a key that the connector does not have.
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
        # If two parameters seem to mean the same, neither is filled in.
        unique = meaning is not None and meanings.count(meaning) == 1
        value = given.get(parameter.key, known[meaning] if meaning is not None and unique else None)
        if value is not None:
            filled.append({"key": parameter.key, "value": value, "systemAccess": False})
        elif parameter.required:
            missing.append(parameter)
    return filled, missing


def without(text: str, secret: str | None) -> str:
    """A text of Zoomdata's for display, without this secret."""
    return text.replace(secret, "…") if secret else text


def mask_secrets(body: Any, secret: str | None) -> Any:
    """A body for display: this secret, and every value whose key names a secret, are masked."""
    match body:
        case {"key": str(key), "value": value} if value == secret or _SECRET.search(key):
            return body | {"value": MASK}
        case dict():
            return {key: mask_secrets(value, secret) for key, value in body.items()}
        case list():
            return [mask_secrets(each, secret) for each in body]
    return body


def _meaning(parameter: Parameter) -> str | None:
    """The field of Access that a parameter stands for; None if that is uncertain."""
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


def _product(body: Json) -> Product | None:
    """The product that a connection type is for; the storage type may be ELASTIC_SEARCH, or the name "Open Search"."""
    told = re.sub("[ _-]", "", f"{body.get('name')} {body.get('subStorageType')}".lower())
    return next((product for word, product in WORDS.items() if word in told), None)


def _parameter(body: Json) -> Parameter:
    return Parameter(str(body.get("key")), str(body.get("label") or ""), bool(body.get("required")))


def _version(text: object) -> Version | None:
    """The leading numbers of a version: 8.x is 8."""
    numbers = re.match(r"\d+(?:\.\d+)*", str(text or ""))
    return tuple(map(int, numbers[0].split("."))) if numbers else None


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))
