"""TLS: trusted CAs, the client certificate, and what to do when TLS fails.

A server's certificate and its name are always verified; that cannot be switched off. The client library's own
`ssl_assert_fingerprint` is not used: it disables verification and compares the fingerprint with every certificate that the
server presents, so that a server is accepted that presents a copy of the (public) CA certificate beside one of its own
(measured, elastic-transport 8.19.0). Here the fingerprint only selects the certificate to trust from those presented; the
chain to it is then verified as with a CA file.
"""

import contextlib
import hashlib
import re
import socket
import ssl
import sys
import threading
from pathlib import Path
from typing import Any

import certifi

from indexer.errors import Fatal, WrongUsage
from indexer.settings import Connection

OPTIONS = ("ca_certs", "ca_fingerprint", "client_cert", "client_key")


class CertificateUnusable(Fatal):
    """A file of certificates or of a key cannot be used."""

    sentence = "Cannot use {option} {path}: {reason}."
    hint = "Give a PEM file that this user can read; a key with a password needs INDEXER_CLIENT_KEY_PASSWORD."


class NoSuchFingerprint(ssl.SSLError):
    """No certificate that the server presents has the fingerprint."""


class Tls:
    """The TLS context of all connections to one cluster, rebuilt when its files change. May be used by several threads."""

    def __init__(self, connection: Connection) -> None:
        """Raise CertificateUnusable, SecretUnusable, or WrongUsage if options contradict each other."""
        self._connection = connection
        self._fingerprint = _fingerprint(connection)
        if connection.client_key and not connection.client_cert:
            raise WrongUsage(
                what="--client-key is given without a certificate", remedy="Give --client-cert as well"
            )
        self._anchor: bytes | None = None
        self._lock = threading.Lock()
        self._files = self._state_of_files()
        self.context = self._build()

    def find_anchor(self, host: str, port: int, timeout: float | None) -> None:
        """Before the first connection: find the certificate with the given fingerprint, if any, and trust it.

        A separate handshake is made for it, in which nothing is sent. Raises OSError, ssl.SSLError.
        """
        if self._fingerprint is None or self._anchor is not None:
            return
        with self._lock:
            if self._anchor is None:
                presented = _presented(host, port, timeout, self._load_own(_unverified()))
                digests = {hashlib.sha256(certificate).hexdigest(): certificate for certificate in presented}
                if self._fingerprint not in digests:
                    raise NoSuchFingerprint(
                        f"no certificate that it presents has the SHA-256 fingerprint {self._fingerprint}; presented are "
                        + ", ".join(digests)
                    )
                self.context.load_verify_locations(cadata=digests[self._fingerprint])
                self._anchor = digests[self._fingerprint]

    def renewed(self, failed: ssl.SSLContext) -> bool:
        """Whether there is another context than the one that failed; changed files are read again."""
        with self._lock:
            if self.context is failed:
                files = self._state_of_files()
                if files == self._files:
                    return False
                try:
                    self.context = self._build()
                except Fatal:  # they may be being replaced
                    return False
                self._files = files
            return True

    def _build(self) -> ssl.SSLContext:
        given = self._connection
        # Not create_default_context: since Python 3.13 it rejects CAs without a key usage, which Elastic's own tools create.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a trusted certificate need not be a root
        if self._anchor is not None:
            context.load_verify_locations(cadata=self._anchor)
        elif given.ca_certs is not None:
            with _usable("--ca-certs", given.ca_certs):
                context.load_verify_locations(given.ca_certs)
        elif self._fingerprint is None:
            context.load_default_certs()
            context.load_verify_locations(
                certifi.where()
            )  # for systems without CAs, such as small containers
        return self._load_own(context)

    def _load_own(self, context: ssl.SSLContext) -> ssl.SSLContext:
        given = self._connection
        if given.client_cert is not None:
            # Without a password OpenSSL would prompt for it.
            password = given.client_key_password or ""
            with _usable("--client-cert", given.client_cert):
                context.load_cert_chain(given.client_cert, given.client_key, password)
        return context

    def _state_of_files(self) -> list[Any]:
        paths = (self._connection.ca_certs, self._connection.client_cert, self._connection.client_key)
        state: list[Any] = []
        for path in paths:
            with contextlib.suppress(OSError):
                facts = path.stat() if path else None
                state.append(facts and (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns))
        return state


@contextlib.contextmanager
def _usable(option: str, path: Path) -> Any:
    try:
        yield
    except ssl.SSLError as error:
        reason = (error.reason or "it contains no certificate").lower().replace("_", " ")
        raise CertificateUnusable(option=option, path=path, reason=reason) from None
    except OSError as error:
        raise CertificateUnusable(option=option, path=path, reason=error.strerror or error) from None


def _fingerprint(connection: Connection) -> str | None:
    given = connection.ca_fingerprint
    if given is None:
        return None
    if connection.ca_certs is not None:
        raise WrongUsage(what="--ca-certs and --ca-fingerprint are both given", remedy="Give one of them")
    digest = given.replace(":", "").lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise WrongUsage(
            what=f"--ca-fingerprint {given} is not a SHA-256 fingerprint",
            remedy="It has 64 hexadecimal digits: `openssl x509 -fingerprint -sha256 -noout -in ca.crt` prints it",
        )
    return digest


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _presented(host: str, port: int, timeout: float | None, context: ssl.SSLContext) -> list[bytes]:
    """The certificates that a server presents, as DER."""
    with (
        socket.create_connection((host, port), timeout) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        if sys.version_info >= (3, 13):
            return list(secure.get_unverified_chain())
        # Private before 3.13; it exists since 3.10.
        chain = secure._sslobj.get_unverified_chain()  # type: ignore[attr-defined] # noqa: SLF001
        return [ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in chain]


_TRUST = (
    "Give the certificate of the CA that signed it with --ca-certs (INDEXER_CA_CERTS), or that certificate's SHA-256 "
    "fingerprint with --ca-fingerprint"
)
_CLOCK = "Renew it on the server; if it is valid, check the clocks of both machines"
_NAME = "Use a name of its certificate in --elasticsearch-url, or give the server a certificate for this name"
_REMEDIES = {9: _CLOCK, 10: _CLOCK, 18: _TRUST, 19: _TRUST, 20: _TRUST, 21: _TRUST, 62: _NAME, 64: _NAME}
"""By OpenSSL's verification error (x509_vfy.h, X509_V_ERR_…)."""
_OURS = "Check --client-cert and --client-key: the server requires a valid certificate of a CA that it trusts"


def describe(error: BaseException) -> tuple[str, str]:
    """What is wrong, and what to do about it."""
    if isinstance(error, NoSuchFingerprint):
        return str(
            error.args[0]
        ), "Check --ca-fingerprint; the server has to present its CA's certificate with its own"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}", _REMEDIES.get(
            error.verify_code, _TRUST
        )
    reason = str(getattr(error, "reason", None) or error).lower().replace("_", " ")
    if "alert" in reason and ("certificate" in reason or "unknown ca" in reason):
        return f"it rejects the client certificate: {reason}", _OURS
    if reason in {"wrong version number", "record layer failure", "http request"}:
        return f"the server does not speak TLS ({reason})", "Use http://, or another port"
    return reason, "Check its log; if it requires a client certificate, give one with --client-cert"
