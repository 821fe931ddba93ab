"""TLS: what is trusted, what is not and what is said then, on a real server of this machine's own."""

import contextlib
import datetime
import hashlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import elastic_transport
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from indexer.elastic.client import connect, translate
from indexer.elastic.tls import CertificateUnusable
from indexer.errors import NotSecure, WrongUsage
from indexer.kibana.api import Api, KibanaNotSecure
from indexer.settings import Connection, Kibana
from tests.support.guarded import Guarded, server_context

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
NO_ANSWER = (elastic_transport.ConnectionTimeout, elastic_transport.ConnectionError)


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    """The CA of the cluster."""
    return trustme.CA()


@pytest.fixture
def ca_file(ca: trustme.CA, tmp_path: Path) -> Path:
    """Its certificate."""
    path = tmp_path / "ca.crt"
    ca.cert_pem.write_to_path(path)
    return path


@contextlib.contextmanager
def serving(leaf: trustme.LeafCert, **how: Any) -> Iterator[Guarded]:
    with Guarded(server_context(leaf, **how)) as server:
        yield server


def ask(connection: Connection) -> None:
    with connect(connection) as client:
        client.info()


def refused(connection: Connection) -> str:
    """What is said of a connection that is not secure."""
    with pytest.raises(elastic_transport.TlsError) as caught:
        ask(connection)
    said = translate(caught.value, connection)
    assert isinstance(said, NotSecure)
    return str(said)


def fingerprint(ca: trustme.CA) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(ca.cert_pem.bytes().decode())).hexdigest()


# ---- whom we trust


def test_a_ca_file_is_trusted(ca: trustme.CA, ca_file: Path) -> None:
    """By name and by IP address, with a path."""
    with serving(ca.issue_cert("localhost", "127.0.0.1")) as server:
        for host in ("localhost", "127.0.0.1"):
            ask(Connection([f"{server.url(host)}/es"], ca_certs=ca_file))
    assert [path for path, _ in server.seen] == ["/es/", "/es/"]


def test_a_ca_file_says_all_that_is_trusted(
    ca: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With another CA's file, a CA that the whole system trusts is not: the connection is to one cluster."""
    other, everybody = tmp_path / "other.crt", tmp_path / "everybody.crt"
    trustme.CA().cert_pem.write_to_path(other)
    ca.cert_pem.write_to_path(everybody)
    monkeypatch.setenv("SSL_CERT_FILE", str(everybody))
    with serving(ca.issue_cert("127.0.0.1")) as server:
        ask(Connection([server.url()]))
        assert "its certificate is not trusted: " in refused(Connection([server.url()], ca_certs=other))


def test_a_fingerprint_is_trusted(ca: trustme.CA) -> None:
    """Of the CA, with colons and in capitals, or of the server's own certificate; several nodes at once."""
    leaf = ca.issue_cert("127.0.0.1")
    own = hashlib.sha256(ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())).hexdigest()
    written = ":".join(fingerprint(ca)[i : i + 2] for i in range(0, 64, 2)).upper()
    with serving(leaf, ca=ca) as one, serving(ca.issue_cert("127.0.0.1"), ca=ca) as other:
        ask(Connection([one.url()], ca_fingerprint=own))
        with connect(Connection([one.url(), other.url()], ca_fingerprint=written)) as client:
            for _ in range(4):
                client.info()
    assert len(other.seen) == 2


def forged(ca: trustme.CA) -> bytes:
    """Certificates and key of somebody who only has the CA's certificate, which is public: his own names that as its issuer."""
    public = x509.load_pem_x509_certificate(ca.cert_pem.bytes())
    identifier = public.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")]))
        .issuer_name(public.subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return leaf.public_bytes(serialization.Encoding.PEM) + ca.cert_pem.bytes() + private


@pytest.mark.parametrize("by", ["ca_certs", "ca_fingerprint"])
def test_a_copy_of_the_trusted_certificate_lets_nobody_in(
    ca: trustme.CA, ca_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """Whoever shows the CA's certificate has to be certified by it, and is sent nothing otherwise; by Kibana's client either."""
    monkeypatch.setenv("INDEXER_API_KEY", "s3cret")
    pem = tmp_path / "forged.pem"
    pem.write_bytes(forged(ca))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with Guarded(context) as server:
        url = server.url("localhost")
        trust: dict[str, Any] = {by: ca_file if by == "ca_certs" else fingerprint(ca)}
        said = refused(Connection([url], **trust))
        with (
            Api(Connection(**trust), Kibana(kibana_url=url)) as kibana,
            pytest.raises(KibanaNotSecure) as also,
        ):
            kibana.version()
    assert "its certificate is not trusted: certificate signature failure" in said
    assert "its certificate is not trusted: certificate signature failure" in str(also.value)
    assert server.seen == []


# ---- what is wrong, and what to do


def other_name(ca: trustme.CA) -> trustme.LeafCert:
    return ca.issue_cert("elsewhere.example")


def expired(ca: trustme.CA) -> trustme.LeafCert:
    return ca.issue_cert("127.0.0.1", not_before=NOW - 2 * DAY, not_after=NOW - DAY)


def too_early(ca: trustme.CA) -> trustme.LeafCert:
    return ca.issue_cert("127.0.0.1", not_before=NOW + DAY, not_after=NOW + 2 * DAY)


def somebody_elses(_: trustme.CA) -> trustme.LeafCert:
    return trustme.CA().issue_cert("127.0.0.1")


@pytest.mark.parametrize(
    ("leaf", "wrong", "hint"),
    [
        (
            other_name,
            "IP address mismatch, certificate is not valid for '127.0.0.1'",
            "a name of its certificate",
        ),
        (expired, "certificate has expired", "Renew it on the server"),
        (too_early, "certificate is not yet valid", "the clocks of both machines"),
        (somebody_elses, "unable to get local issuer certificate", "with --ca-certs (INDEXER_CA_CERTS)"),
    ],
)
def test_a_certificate_that_is_not_in_order_is_said(
    leaf: Any, wrong: str, hint: str, ca: trustme.CA, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which fault it is, and what to do; nothing was sent, and no secret is in the sentence."""
    monkeypatch.setenv("INDEXER_BEARER_TOKEN", "s3cret")
    with serving(leaf(ca)) as server:
        said = refused(Connection([server.url()], ca_certs=ca_file))
    assert f"its certificate is not trusted: {wrong}" in said
    assert hint in said
    assert "s3cret" not in said
    assert server.seen == []


def test_another_fingerprint_is_said(ca: trustme.CA) -> None:
    """With those that the server shows, to compare."""
    with serving(ca.issue_cert("127.0.0.1"), ca=ca) as server:
        said = refused(Connection([server.url()], ca_fingerprint="ab" * 32))
    assert f"no certificate that it presents has the SHA-256 fingerprint {'ab' * 32}; presented are " in said
    assert fingerprint(ca) in said
    assert "Check --ca-fingerprint" in said


@pytest.mark.parametrize("pinned", [None, "ab" * 32])
def test_a_server_without_tls_is_said(pinned: str | None) -> None:
    """https:// on a port that speaks http."""
    with Guarded() as server:
        said = refused(Connection([server.url().replace("http:", "https:")], ca_fingerprint=pinned))
    assert "the server does not speak TLS" in said
    assert "Use http://" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"ca_certs": Path("ca"), "ca_fingerprint": "ab" * 32},
            "--ca-certs and --ca-fingerprint are both given",
        ),
        ({"ca_fingerprint": "ab" * 20}, "is not a SHA-256 fingerprint"),
        ({"client_key": Path("key")}, "--client-key is given without a certificate"),
        (
            {"elasticsearch_url": ["http://h:1"], "ca_certs": Path("ca")},
            "--ca-certs is given, and http://h:1 is not https",
        ),
    ],
)
def test_options_that_contradict_each_other_are_wrong_usage(options: dict[str, Any], said: str) -> None:
    """Above all trust that would be given for nothing, since the address is not https."""
    with pytest.raises(WrongUsage, match=said):
        connect(Connection(**{"elasticsearch_url": ["https://h:1"]} | options))


def test_a_file_that_holds_no_certificate_is_said(tmp_path: Path, ca: trustme.CA) -> None:
    """With the option, the file and the reason."""
    url, empty, leaf = ["https://h:1"], tmp_path / "empty", tmp_path / "leaf"
    empty.touch()
    leaf.write_bytes(ca.issue_cert("x").cert_chain_pems[0].bytes())
    with pytest.raises(CertificateUnusable, match=r"Cannot use --ca-certs .*missing: No such file"):
        connect(Connection(url, ca_certs=tmp_path / "missing"))
    with pytest.raises(CertificateUnusable, match=r"Cannot use --ca-certs .*empty: no certificate"):
        connect(Connection(url, ca_certs=empty))
    with pytest.raises(CertificateUnusable, match=r"Cannot use --client-cert .*leaf: "):
        connect(Connection(url, client_cert=leaf))


# ---- who we are


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def demanding(request: pytest.FixtureRequest, ca: trustme.CA) -> Iterator[Guarded]:
    """A server that wants a client certificate of the CA; with TLS 1.3 it says so when we think that we are in already."""
    context = server_context(ca.issue_cert("127.0.0.1"), ca=ca)
    ca.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = request.param
    with Guarded(context) as server:
        yield server


def certificate(leaf: trustme.LeafCert, path: Path) -> Path:
    path.write_bytes(leaf.private_key_and_cert_chain_pem.bytes())
    return path


def test_a_client_certificate_lets_us_in(
    demanding: Guarded, ca: trustme.CA, ca_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file or two, a key with a password, a CA file or a fingerprint."""
    leaf = ca.issue_cert("indexer")
    chain, key, locked = tmp_path / "chain", tmp_path / "key", tmp_path / "locked"
    chain.write_bytes(b"".join(part.bytes() for part in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(key)
    private = serialization.load_pem_private_key(leaf.private_key_pem.bytes(), None)
    sealed = serialization.BestAvailableEncryption(b"s3cret")
    locked.write_bytes(
        private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealed)
    )
    one = Connection([demanding.url()], ca_certs=ca_file, client_cert=certificate(leaf, tmp_path / "both"))
    ask(one)
    ask(replace(one, ca_certs=None, ca_fingerprint=fingerprint(ca)))
    ask(replace(one, client_cert=chain, client_key=key))
    with pytest.raises(CertificateUnusable):
        connect(replace(one, client_cert=chain, client_key=locked))
    monkeypatch.setenv("INDEXER_CLIENT_KEY_PASSWORD", "s3cret")
    ask(replace(one, client_cert=chain, client_key=locked))
    assert len(demanding.seen) == 4


def test_without_a_client_certificate_we_are_told_so(
    demanding: Guarded, ca_file: Path, request: pytest.FixtureRequest
) -> None:
    """What the server does not accept is ours; with TLS 1.3 it may merely hang up."""
    connection = Connection([demanding.url()], ca_certs=ca_file)
    with pytest.raises(elastic_transport.ConnectionError) as caught:
        ask(connection)
    said = str(translate(caught.value, connection))
    assert "--client-cert" in said or "1.3" in request.node.name
    assert "https://127.0.0.1" in said
    assert demanding.seen == []


def test_renewed_certificates_need_no_restart(demanding: Guarded, ca: trustme.CA, tmp_path: Path) -> None:
    """Both the CAs to trust and our own: what fails is read anew, and the next request goes through."""
    file, mine = tmp_path / "ca.crt", tmp_path / "mine"
    trustme.CA().cert_pem.write_to_path(file)
    connection = Connection(
        [demanding.url()], ca_certs=file, client_cert=certificate(expired(ca), mine), request_timeout=5
    )
    with connect(connection) as client:
        for fix in (
            lambda: ca.cert_pem.write_to_path(file),
            lambda: certificate(ca.issue_cert("indexer"), mine),
        ):
            for _ in range(2):  # nothing has changed, nothing is read
                with pytest.raises(elastic_transport.ConnectionError):
                    client.info()
            fix()
        with pytest.raises(elastic_transport.ConnectionError):
            client.info()
        client.info()
    assert len(demanding.seen) == 1


def test_a_server_that_never_shakes_hands_holds_up_nobody() -> None:
    """Finding the certificate for a fingerprint takes no longer than a request may."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        connection = Connection([url], ca_fingerprint="ab" * 32, request_timeout=0.2)
        with pytest.raises(elastic_transport.ConnectionTimeout) as caught:
            ask(connection)
    assert "timed out after 0.2 s" in str(translate(caught.value, connection))


def test_a_server_that_is_not_there_is_said() -> None:
    """With a fingerprint, too, that is no fault of TLS."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"https://127.0.0.1:{gone.getsockname()[1]}"
    connection = Connection([url], ca_fingerprint="ab" * 32)
    with pytest.raises(elastic_transport.ConnectionError) as caught:
        ask(connection)
    assert str(translate(caught.value, connection)).startswith(f"No answer from the server at {url} ([Errno ")


@pytest.mark.parametrize("takes", [True, False])
def test_a_server_that_takes_its_time_over_tls_holds_up_nobody(
    ca: trustme.CA, ca_file: Path, *, takes: bool
) -> None:
    """The timeout is for the whole answer, and for taking the whole request: it does not begin again with each record."""
    over = threading.Event()

    def serve() -> None:
        with contextlib.suppress(OSError):
            plain, _ = listening.accept()
            with server_context(ca.issue_cert("127.0.0.1")).wrap_socket(
                plain, server_side=True
            ) as connection:
                if takes:
                    while b"\r\n\r\n" not in connection.recv(1_000_000):
                        pass
                    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                while not over.wait(0.05):
                    if takes:
                        connection.sendall(b"x")
                    else:
                        connection.recv(16 * 1024)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        url = f"https://127.0.0.1:{listening.getsockname()[1]}"
        connection = Connection([url], ca_certs=ca_file, request_timeout=0.5)
        started = time.monotonic()
        with connect(connection) as client, pytest.raises(NO_ANSWER):
            client.perform_request(
                "GET" if takes else "POST",
                "/_bulk",
                headers={"accept": "application/json", "content-type": "application/x-ndjson"},
                body=None if takes else b" " * 50_000_000,
            )
        assert time.monotonic() - started < 20
        over.set()
        thread.join()
