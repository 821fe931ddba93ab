"""A server with security and TLS, new certificates, and users of the file realm."""

import hashlib
import secrets
import shutil
import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bcrypt
import orjson
import pytest
import trustme
from elasticsearch import ApiError, Elasticsearch

from indexer.demo.embedded import Embedded
from indexer.elastic.client import connect
from indexer.polling import until
from indexer.settings import Connection
from indexer.setup.roles import roles
from tests.conftest import in_memory

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
ADMIN = "admin"
PATIENCE = 30.0
"""Seconds to wait until the server knows a user."""


@dataclass(slots=True)
class Secured:
    """A secured server, its CA and its users. A changed user is effective when the method returns."""

    server: Embedded
    ca: trustme.CA
    ca_file: Path
    _passwords: dict[str, str] = field(default_factory=dict)
    _roles: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _bodies: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Its address, by which its certificate names it."""
        return self.server.url

    @property
    def fingerprint(self) -> str:
        """The SHA-256 fingerprint of its CA's certificate."""
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.ca_file.read_text())).hexdigest()

    def admit(self, name: str, *held: str, password: str | None = None) -> None:
        """Create or change a user with these roles, with a new password unless one is given."""
        self._passwords[name] = password or self._passwords.get(name) or f"s3cret-{secrets.token_hex(8)}"
        self._roles[name] = held
        self._write()
        assert until(lambda: self._known(name), PATIENCE), f"{name} is not known"

    def define(self, **bodies: dict[str, Any]) -> None:
        """Make roles, as bodies of `PUT _security/role/NAME`."""
        self._bodies |= bodies
        self._write()

    def people(self, alias: str) -> dict[str, str]:
        """Create a user for each shipped role of this alias; return their names by the role's short name."""
        self.define(**roles(alias))
        names = {role.removeprefix(f"{alias}-"): role for role in roles(alias)}
        for role in names.values():
            self.admit(role, role)
        return names

    def connection(self, user: str, alias: str, secret: Path) -> Connection:
        """Settings to connect as this user, with the password in a file."""
        secret.write_text(self._passwords[user] + "\n")
        return Connection([self.url], username=user, password_file=secret, ca_certs=self.ca_file, alias=alias)

    def password(self, user: str) -> str:
        """The password of a user."""
        return self._passwords[user]

    def prepare(self) -> None:
        """Write certificates and users before the server starts."""
        config = self.server.directory / "config"
        config.mkdir(parents=True)
        leaf = self.ca.issue_cert("127.0.0.1")
        chain = b"".join(part.bytes() for part in (*leaf.cert_chain_pems, self.ca.cert_pem))
        (config / "node.crt").write_bytes(chain)
        leaf.private_key_pem.write_to_path(config / "node.key")
        self.ca.cert_pem.write_to_path(config / "ca.crt")
        self.ca.cert_pem.write_to_path(self.ca_file)
        self._passwords[ADMIN], self._roles[ADMIN] = f"s3cret-{secrets.token_hex(8)}", ("superuser",)
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
            "users": "".join(f"{name}:{_hash(given)}\n" for name, given in self._passwords.items()),
            "users_roles": "".join(f"{role}:{','.join(names)}\n" for role, names in holders.items()),
        }
        config = self.server.directory / "config"
        for file, content in lines.items():
            fresh = config / f"{file}.new"
            fresh.write_text(content)
            fresh.rename(config / file)

    def _known(self, name: str) -> bool:
        """Whether the server accepts the password, and knows exactly these roles."""
        trust = ssl.create_default_context(cafile=str(self.ca_file))
        me = (name, self._passwords[name])
        with Elasticsearch(self.url, basic_auth=me, ssl_context=trust) as client:
            try:
                return set(client.security.authenticate()["roles"]) == set(self._roles[name])
            except ApiError:
                return False


def _hash(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4, prefix=b"2a")).decode()


@pytest.fixture(scope="session")
def secured(elasticsearch_version: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """The secured server of this run, started when the first test asks for it."""
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
