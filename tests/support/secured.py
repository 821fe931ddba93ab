"""A server with security and TLS, new certificates, and users of the file realm."""

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
import trustme
from elasticsearch import ApiError, Elasticsearch

from indexer.demo.embedded import Embedded
from indexer.demo.installation import RELEASES
from indexer.elastic.client import connect
from indexer.elastic.server import Product
from indexer.polling import until
from tests.conftest import in_memory
from tests.support.secured_server import ADMIN, PATIENCE, SecuredServer, hashed, new_password

SETTINGS = {
    "xpack.security.enabled": True,
    "xpack.security.http.ssl.enabled": True,
    "xpack.security.http.ssl.key": "node.key",
    "xpack.security.http.ssl.certificate": "node.crt",
    "xpack.security.http.ssl.certificate_authorities": ["ca.crt"],
    "xpack.security.http.ssl.client_authentication": "optional",
    # How soon changed users, roles and passwords take effect; 5 s by default.
    "resource.reload.interval.high": "100ms",
}


@dataclass(slots=True)
class Secured(SecuredServer):
    """An Elasticsearch, with users of the file realm."""

    product = Product.ELASTICSEARCH
    _roles: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _bodies: dict[str, dict[str, Any]] = field(default_factory=dict)

    def admit(self, name: str, *held: str, password: str | None = None) -> None:
        """Create or change a user with these roles, with a new password unless one is given."""
        self._passwords[name] = password or self._passwords.get(name) or new_password()
        self._roles[name] = held
        self._write()
        assert until(lambda: self._known(name), PATIENCE), f"{name} is not known"

    def define(self, **bodies: dict[str, Any]) -> None:
        """Make roles, as bodies of `PUT _security/role/NAME`."""
        self._bodies |= bodies
        self._write()

    def prepare(self) -> None:
        """Write certificates and users before the server starts."""
        self.certify()
        self._passwords[ADMIN], self._roles[ADMIN] = new_password(), ("superuser",)
        self._write()

    def _write(self) -> None:
        """Write the server's files, roles first: a user of a missing role has no privileges."""
        bodies = (
            f"{name}:\n"
            + "".join(f"  {key}: {orjson.dumps(value).decode()}\n" for key, value in body.items())
            for name, body in self._bodies.items()
        )
        holders: dict[str, list[str]] = {}
        for name, held in self._roles.items():
            for role in held:
                holders.setdefault(role, []).append(name)
        lines = {
            "roles.yml": "".join(bodies),
            "users": "".join(f"{name}:{hashed(given)}\n" for name, given in self._passwords.items()),
            "users_roles": "".join(f"{role}:{','.join(names)}\n" for role, names in holders.items()),
        }
        config = self.server.directory / "config"
        for file, content in lines.items():
            fresh = config / f"{file}.new"
            fresh.write_text(content)
            fresh.rename(config / file)

    def _known(self, name: str) -> bool:
        """Whether the server accepts the password, and knows exactly these roles."""
        with self.client(name) as client:
            try:
                return set(client.security.authenticate()["roles"]) == set(self._roles[name])
            except ApiError:
                return False


@pytest.fixture(scope="session")
def secured(elasticsearch_version: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """The secured server of this run, started when the first test asks for it."""
    if RELEASES[elasticsearch_version].distribution.product is Product.OPENSEARCH:
        pytest.skip(
            "no security plugin is published for OpenSearch 2.17.0 and 2.19.6 (Maven Central); with 2.11.1 it is in test_opensearch_security"
        )
    directory = Path(in_memory() or tempfile.gettempdir(), f"elasticsearch-{secrets.token_hex(8)}")
    server = Embedded(elasticsearch_version, directory=directory, settings=SETTINGS)
    made = Secured(server, trustme.CA(), tmp_path_factory.mktemp("secured") / "ca.crt")
    try:
        made.prepare()
        with server:
            yield made
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def admin(secured: Secured, tmp_path: Path) -> Iterator[Elasticsearch]:
    """A client that may do everything on it."""
    with connect(secured.connection(ADMIN, "none", tmp_path / "admin")) as client:
        yield client
