"""The interface of each product's security: who a user is, where roles are, what switches it on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from indexer.elastic.server import Product

ABSENT = [400, 404, 405]
"""The status of these paths if security is off (measured on 7.17.28, 8.19.16 and 9.1.5, and on OpenSearch 2.11.1)."""


@dataclass(frozen=True, slots=True)
class User:
    """An authenticated user."""

    name: str
    roles: tuple[str, ...]
    realm: str = ""
    """Of Elasticsearch alone."""

    def __str__(self) -> str:
        of = f" of realm {self.realm}" if self.realm else ""
        return f"user {self.name!r}{of}, with the roles: {', '.join(self.roles) or 'none'}"


@dataclass(frozen=True, slots=True)
class Interface:
    """The paths of a product, and its own words."""

    whoami: str
    """GET: the user of the request; needs no privilege."""
    user: Callable[[Mapping[str, Any]], User]
    """The user in its answer."""
    roles: str
    """GET and PUT, with the name of a role."""
    enable: str
    """What switches security on."""
    tells_privileges: bool
    """Users may ask which privileges they have."""


def _of_elasticsearch(answer: Mapping[str, Any]) -> User:
    realm = answer.get("authentication_realm", {}).get("name", "unknown")
    return User(answer["username"], tuple(answer.get("roles", ())), realm)


def _of_opensearch(answer: Mapping[str, Any]) -> User:
    return User(answer["user_name"], tuple(answer.get("roles", ())))


INTERFACES = {
    Product.ELASTICSEARCH: Interface(
        "/_security/_authenticate",
        _of_elasticsearch,
        "/_security/role/",
        "xpack.security.enabled",
        tells_privileges=True,
    ),
    Product.OPENSEARCH: Interface(
        "/_plugins/_security/authinfo",
        _of_opensearch,
        "/_plugins/_security/api/roles/",
        "the plugin opensearch-security, with plugins.security.disabled: false",
        tells_privileges=False,
    ),
}
