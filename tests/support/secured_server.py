"""What the secured servers of both products have in common: certificates, users, and the people of a company."""

import hashlib
import secrets
import ssl
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, ClassVar

import bcrypt
import trustme
from cryptography.hazmat.primitives import serialization
from elasticsearch import Elasticsearch

from indexer.demo.embedded import Embedded
from indexer.elastic.client import connect
from indexer.elastic.server import Product
from indexer.events import Fault
from indexer.settings import Connection, State
from indexer.setup.roles import roles
from tests.conftest import delete_all
from tests.support.lab import Lab, joined, numbered

ADMIN = "admin"
PATIENCE = 30.0
"""Seconds to wait until the server knows a user."""


@dataclass(slots=True)
class SecuredServer(ABC):
    """A server with security and TLS, its CA and its users. A changed user is effective when the method returns."""

    product: ClassVar[Product]
    server: Embedded
    ca: trustme.CA
    ca_file: Path
    _passwords: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Its address, by which its certificate names it."""
        return self.server.url

    @property
    def fingerprint(self) -> str:
        """The SHA-256 fingerprint of its CA's certificate."""
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.ca_file.read_text())).hexdigest()

    @abstractmethod
    def admit(self, name: str, *held: str, password: str | None = None) -> None:
        """Create or change a user with these roles, with a new password unless one is given."""

    @abstractmethod
    def define(self, **bodies: dict[str, Any]) -> None:
        """Make roles, as the bodies with which the product's API makes them."""

    def people(self, alias: str) -> dict[str, str]:
        """Create a user for each shipped role of this alias; return their names by the role's short name."""
        shipped = roles(alias, self.product)
        self.define(**shipped)
        names = {role.removeprefix(f"{alias}-"): role for role in shipped}
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

    def certify(self) -> Path:
        """Write the certificates, before the server starts; the directory that they are in."""
        config = self.server.directory / "config"
        config.mkdir(parents=True)
        leaf = self.ca.issue_cert("127.0.0.1")
        chain = b"".join(part.bytes() for part in (*leaf.cert_chain_pems, self.ca.cert_pem))
        (config / "node.crt").write_bytes(chain)
        (config / "node.key").write_bytes(_pkcs8(leaf.private_key_pem.bytes()))
        for file in (config / "ca.crt", self.ca_file):
            self.ca.cert_pem.write_to_path(file)
        return config

    def client(self, user: str) -> Elasticsearch:
        """A client as this user."""
        return connect(self.connection(user, "none", self.ca_file.with_name(f"{user}.password")))


def new_password() -> str:
    """A password that nobody knows."""
    return f"s3cret-{secrets.token_hex(8)}"


def hashed(password: str) -> str:
    """Its bcrypt hash, quickly made."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4, prefix=b"2a")).decode()


def _pkcs8(key: bytes) -> bytes:
    """A private key in the one form that OpenSearch's plugin reads, too."""
    form = serialization.PrivateFormat.PKCS8
    loaded = serialization.load_pem_private_key(key, None)
    return loaded.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


@dataclass(frozen=True, slots=True)
class Company:
    """People with the shipped roles for an alias of the test's own, and a laboratory in which the writer works."""

    secured: SecuredServer
    lab: Lab
    people: dict[str, str]
    """The user of each role."""
    directory: Path

    def connection(self, user: str) -> Connection:
        """As that user."""
        return self.secured.connection(user, self.lab.connection.alias, self.directory / user)

    def as_one(self, task: str) -> Elasticsearch:
        """A client of whoever holds the role of that task."""
        return connect(self.connection(self.people[task]))

    def command(self, user: str, *arguments: Path | str) -> CompletedProcess[str]:
        """The real command as that user."""
        it = self.connection(user)
        return self.lab.command(
            *arguments,
            environment={
                "INDEXER_USERNAME": str(it.username),
                "INDEXER_PASSWORD_FILE": str(it.password_file),
                "INDEXER_CA_CERTS": str(it.ca_certs),
            },
        )

    def does(self, task: str, *arguments: Path | str) -> str:
        """What the command prints for whoever holds the role of that task; it succeeds."""
        done = self.command(self.people[task], *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def may_not(self, task: str, *arguments: Path | str) -> str:
        """The sentence that he is told instead."""
        done = self.command(self.people[task], *arguments)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr.splitlines()[-1]


def waits_until_it_may(company: Company, looker: dict[str, Any], *, at_the_start: str, later: str) -> None:
    """The writer without rights at the start and in the middle: says which are missing, and loses and doubles nothing.

    looker        a role that finds the alias and sends requests, and adds nothing
    at_the_start  what is missing without any role
    later         what is missing with that role
    """
    lab, secured, me = company.lab, company.secured, company.people["writer"]
    company.does("setup", "template", "install")
    lab.log(joined(numbered(100)))
    secured.admit(me)
    with lab.following() as running:
        running.until(lambda: running.heard.of("waiting"))
        assert f"refuses user '{me}': {at_the_start}" in running.heard.of("waiting")[0][0]
        secured.admit(me, me)
        running.until_created(100)
        secured.define(looker=looker)
        secured.admit(me, "looker")
        lab.append(numbered(100, 100))
        running.until(lambda: running.heard.of("delivery_failed"))
        fault, detail, _ = running.heard.of("delivery_failed")[0]
        assert fault is Fault.REFUSED
        assert later in detail
        secured.admit(me, me)
        running.until_created(200)
    assert lab.numbers() == list(range(200))


@contextmanager
def company_of(secured: SecuredServer, admin: Elasticsearch, directory: Path) -> Iterator[Company]:
    """People for an alias of its own; whatever bears its name is deleted afterwards."""
    alias = f"t{secrets.token_hex(6)}-activity"
    people = secured.people(alias)
    connection = secured.connection(people["writer"], alias, directory / "writer")
    lab = Lab(connection, admin, directory / "logs", State(directory / "state"))
    lab.logs.mkdir()
    yield Company(secured, lab, people, directory)
    delete_all(admin, f"{alias}*")
