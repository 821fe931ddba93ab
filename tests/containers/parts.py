"""What `compose/test.yaml` is given: a server to build, and secrets made just now."""

import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

import bcrypt
import orjson
import trustme

from indexer.demo.embedded import FAST_START, LOGGING
from indexer.demo.installation import prepare
from indexer.settings import Connection
from indexer.setup.roles import roles

VERSION = "9.5.0"
"""Of the server, as its distribution can be had; compose/compose.yaml has a newer patch."""
USERS = {"setup": ("setup",), "writer": ("writer",), "reader": ("reader",), "wrong": ()}
"""Users, each with the last part of the names of its roles."""
SETTINGS = {
    "cluster.name": "containers",
    "discovery.type": "single-node",
    "network.host": "0.0.0.0",
    "xpack.security.enabled": True,
    "xpack.security.http.ssl.enabled": True,
    "xpack.security.http.ssl.key": "node.key",
    "xpack.security.http.ssl.certificate": "node.crt",
    "cluster.routing.allocation.disk.threshold_enabled": False,  # a test machine's disk may be almost full
}


@dataclass(frozen=True, slots=True)
class Secrets:
    """A directory that holds each secret in a file: passwords by the user's name, the authority as `ca.crt`."""

    directory: Path

    def password(self, user: str) -> str:
        """The password of a user."""
        return (self.directory / user).read_text()

    def connection(self, user: str, port: int) -> Connection:
        """How the tests themselves talk to the server."""
        return Connection(
            elasticsearch_url=[f"https://127.0.0.1:{port}"],
            username=user,
            password_file=self.directory / user,
            ca_certs=self.directory / "ca.crt",
        )


def make_secrets(directory: Path) -> Secrets:
    """Make certificates, passwords and the server's list of users.

    The directory is closed to others; the files are open, for in containers they are read by users of other numbers.
    """
    directory.mkdir(mode=0o700)
    authority = trustme.CA()
    node = authority.issue_cert("elasticsearch", "localhost", "127.0.0.1")
    files = {
        "ca.crt": authority.cert_pem.bytes(),
        "node.key": node.private_key_pem.bytes(),
        "node.crt": b"".join(pem.bytes() for pem in node.cert_chain_pems),
    }
    passwords = {user: secrets.token_hex(16).encode() for user in USERS}
    hashes = {user: bcrypt.hashpw(word, bcrypt.gensalt(4, b"2a")) for user, word in passwords.items()}
    files["users"] = b"".join(b"%s:%s\n" % (user.encode(), hashed) for user, hashed in hashes.items())
    alias = Connection().alias
    members = "".join(f"{alias}-{role}:{user}\n" for user, names in USERS.items() for role in names)
    files["users_roles"] = members.encode()
    for name, content in (files | passwords).items():
        (directory / name).write_bytes(content)
        (directory / name).chmod(0o644)
    return Secrets(directory)


def make_server(directory: Path) -> None:
    """Make the build context of `elasticsearch.Dockerfile`."""
    installation = prepare(VERSION)
    shutil.copytree(installation.server, directory / "server", symlinks=True)
    shutil.copytree(installation.java, directory / "java", symlinks=True)
    config = directory / "config"
    config.mkdir(parents=True)
    (config / "elasticsearch.yml").write_bytes(orjson.dumps(SETTINGS))  # JSON is YAML
    # The server reads this file role by role, each from the beginning of a line (measured), and JSON is YAML.
    bodies = roles(Connection().alias).items()
    (config / "roles.yml").write_bytes(
        b"".join(b"%s: %s\n" % (name.encode(), orjson.dumps(body)) for name, body in bodies)
    )
    (config / "jvm.options").write_text("\n".join(("-Xms512m", "-Xmx512m", *FAST_START)) + "\n")
    (config / "log4j2.properties").write_text(LOGGING)
    shutil.copy(Path(__file__).with_name("elasticsearch.Dockerfile"), directory / "Dockerfile")
