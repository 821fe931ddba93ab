"""The demo's download through a proxy that re-signs TLS, as those of companies do. It never leaves this machine."""

import contextlib
import hashlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
import urllib3.util.ssl_

from indexer.demo.installation import fetch
from indexer.errors import EmbeddedFailed

CONTENT = b"a server"
ARTIFACT = ("org.example", "server", "1.0", "zip")


class Resigning(socketserver.ThreadingTCPServer):
    """Answers for each host, with a certificate that it signs itself."""

    daemon_threads = True

    def __init__(self) -> None:
        self.ca = trustme.CA()
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), Tunnel)

    @property
    def address(self) -> str:
        """What HTTPS_PROXY says."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class Tunnel(socketserver.StreamRequestHandler):
    """One CONNECT, and a request in it."""

    server: Resigning

    def handle(self) -> None:
        """Sign, then answer."""
        host = self.rfile.readline().split()[1].decode().partition(":")[0]
        while self.rfile.readline().strip():
            pass
        self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.ca.issue_cert(host).configure_cert(context)
        with contextlib.suppress(ssl.SSLError), context.wrap_socket(self.connection, server_side=True) as tls:
            self._answer(tls)

    def _answer(self, tls: socket.socket) -> None:
        path = tls.recv(65536).split()[1].decode()
        self.server.asked.append(path)
        bodies = {".zip": CONTENT, ".sha1": hashlib.sha1(CONTENT).hexdigest().encode()}
        body = bodies.get(Path(path).suffix)
        status = "200 OK" if body else "404 Not Found"
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body or b'')}\r\nConnection: close\r\n\r\n"
        tls.sendall(head.encode() + (body or b""))


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Resigning]:
    """A proxy that all downloads of this test go through; nobody trusts it yet, and the home has no Maven repository."""
    for name in (
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "NO_PROXY",
        "no_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with Resigning() as made:
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, made.address)
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield made
        made.shutdown()


def trust(proxy: Resigning, path: Path) -> str:
    """A file with the proxy's CA."""
    proxy.ca.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_what_the_system_trusts_is_trusted(
    proxy: Resigning, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy's CA is among the system's, as OpenSSL finds them, or in the file that the hint names."""
    monkeypatch.setenv(variable, trust(proxy, tmp_path / "ca.pem"))
    assert fetch(*ARTIFACT, tmp_path / "repository").read_bytes() == CONTENT
    assert any(path.endswith("server-1.0.zip") for path in proxy.asked)


def test_an_unknown_ca_is_refused_and_the_hint_says_what_to_set(proxy: Resigning, tmp_path: Path) -> None:
    """One sentence that names the variable; nothing was asked of the proxy."""
    with pytest.raises(EmbeddedFailed, match=r"CERTIFICATE_VERIFY_FAILED.* in REQUESTS_CA_BUNDLE\.$"):
        fetch(*ARTIFACT, tmp_path / "repository")
    assert proxy.asked == []


def own_contexts() -> set[str]:
    """Where the classes come from with which TLS is set up."""
    return {ssl.SSLContext.__module__, urllib3.util.ssl_.SSLContext.__module__}


def test_nothing_but_the_download_trusts_the_system_so(
    proxy: Resigning, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it came or failed: TLS to Elasticsearch is that of the standard library afterwards."""
    with pytest.raises(EmbeddedFailed):
        fetch(*ARTIFACT, tmp_path / "repository")
    assert own_contexts() == {"ssl"}
    monkeypatch.setenv("SSL_CERT_FILE", trust(proxy, tmp_path / "ca.pem"))
    fetch(*ARTIFACT, tmp_path / "repository")
    assert own_contexts() == {"ssl"}
