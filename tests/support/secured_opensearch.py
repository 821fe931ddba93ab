"""An OpenSearch with its security plugin and TLS, new certificates, and users of its internal database.

2.11.1 is the newest server on Maven Central that a published security plugin fits, whichever version the other tests run on.
"""

import os
import secrets
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest
import trustme
from elasticsearch import ApiError, Elasticsearch

from indexer.demo.embedded import Embedded
from indexer.demo.installation import cached, check, fetch
from indexer.elastic.server import Product
from indexer.polling import until
from tests.conftest import in_memory
from tests.support.secured_server import ADMIN, PATIENCE, SecuredServer, hashed, new_password

VERSION = "2.11.1"
PLUGIN = "opensearch-security"
"""The name of its artifact, and of its directory, which the server insists on."""
PLUGIN_VERSION = "2.11.1.0"
SHA256 = "d1a24ae716b34c52b8ac7d7d2b22c9af23460d571798a38a46788f1d0912a8ec"
SETTINGS: dict[str, Any] = {
    f"plugins.security.ssl.{layer}.{name}": value
    for layer in ("http", "transport")
    for name, value in (
        ("pemcert_filepath", "node.crt"),
        ("pemkey_filepath", "node.key"),
        ("pemtrustedcas_filepath", "ca.crt"),
    )
} | {
    "plugins.security.ssl.http.enabled": True,
    "plugins.security.ssl.transport.enforce_hostname_verification": False,
    "plugins.security.nodes_dn": ["*"],
    "plugins.security.allow_default_init_securityindex": True,
    "plugins.security.restapi.roles_enabled": ["all_access"],
}
BASIC = {
    "http_enabled": True,
    "order": 0,
    "http_authenticator": {"type": "basic", "challenge": True},
    "authentication_backend": {"type": "internal"},
}
"""Passwords of the internal database, by basic authentication."""
FILES: dict[str, tuple[str, dict[str, Any]]] = {
    "config": ("config", {"config": {"dynamic": {"authc": {"basic": BASIC}}}}),
    "internal_users": ("internalusers", {}),
    "roles": ("roles", {}),
    "roles_mapping": ("rolesmapping", {}),
    "action_groups": ("actiongroups", {}),
    "tenants": ("tenants", {}),
    "nodes_dn": ("nodesdn", {}),
    "whitelist": ("whitelist", {"config": {"enabled": False, "requests": {}}}),
    "allowlist": ("allowlist", {"config": {"enabled": False, "requests": {}}}),
    "audit": ("audit", {"config": {"enabled": False}}),
}
"""The files that the plugin reads at its first start, each with the kind that it calls itself."""


def plugin() -> Path:
    """The directory of the plugin, as `Embedded(plugins=...)` takes it; downloaded and verified once. Raises EmbeddedFailed."""

    def fill(tree: Path) -> None:
        repository = tree.parent / "repository"
        archive = fetch("org.opensearch.plugin", PLUGIN, PLUGIN_VERSION, "zip", repository)
        check(archive, SHA256)
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(tree / PLUGIN)

    return cached(f"{PLUGIN}-{PLUGIN_VERSION}", fill) / PLUGIN


@dataclass(slots=True)
class SecuredOpenSearch(SecuredServer):
    """An OpenSearch, with users of the plugin's internal database."""

    product = Product.OPENSEARCH

    def admit(self, name: str, *held: str, password: str | None = None) -> None:
        """Create or change a user with these roles, with a new password unless one is given."""
        self._passwords[name] = password or self._passwords.get(name) or new_password()
        self._put(
            "internalusers", name, {"password": self._passwords[name], "opendistro_security_roles": held}
        )

    def initialised(self) -> bool:
        """Whether the plugin has read its files: until then it answers 503."""
        with self.client(ADMIN) as client:
            try:
                return bool(client.cluster.health()["status"])
            except ApiError:
                return False

    def define(self, **bodies: dict[str, Any]) -> None:
        """Make roles, as bodies of `PUT _plugins/_security/api/roles/NAME`."""
        for name, body in bodies.items():
            self._put("roles", name, body)

    def prepare(self) -> None:
        """Write certificates and the plugin's files before the server starts: one user, no roles but those it comes with."""
        security = self.certify() / PLUGIN
        security.mkdir()
        self._passwords[ADMIN] = new_password()
        admin = {"hash": hashed(self._passwords[ADMIN]), "opendistro_security_roles": ["all_access"]}
        for file, (kind, content) in FILES.items():
            body = {"_meta": {"type": kind, "config_version": 2}} | content
            (security / f"{file}.yml").write_bytes(
                orjson.dumps(body | ({ADMIN: admin} if kind == "internalusers" else {}))
            )

    def _put(self, kind: str, name: str, body: dict[str, Any]) -> None:
        """As the admin, by the plugin's API; it is effective on all nodes when it answers (measured)."""
        path = f"/_plugins/_security/api/{kind}/{quote(name, safe='')}"
        headers = {"accept": "application/json", "content-type": "application/json"}
        with self.client(ADMIN) as client:
            client.perform_request("PUT", path, body=body, headers=headers)


@pytest.fixture(scope="session")
def secured_opensearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredOpenSearch]:
    """Started when the first test asks for it, whatever version the others run on."""
    if "JAVA_HOME" not in os.environ and shutil.which("java") is None:
        pytest.skip("no Java 17: apt-get install openjdk-17-jre-headless; .ci/run installs it")
    directory = Path(in_memory() or tempfile.gettempdir(), f"opensearch-{secrets.token_hex(8)}")
    server = Embedded(VERSION, directory=directory, settings=SETTINGS, plugins=[plugin()])
    made = SecuredOpenSearch(server, trustme.CA(), tmp_path_factory.mktemp("secured") / "ca.crt")
    try:
        made.prepare()
        with server:
            assert until(made.initialised, PATIENCE), "the plugin knows no users yet"
            yield made
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def opensearch_admin(secured_opensearch: SecuredOpenSearch) -> Iterator[Elasticsearch]:
    """A client that may do everything on it."""
    with secured_opensearch.client(ADMIN) as client:
        yield client
