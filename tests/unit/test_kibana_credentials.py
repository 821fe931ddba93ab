"""Credentials and TLS trust of Kibana are those of Elasticsearch."""

import hashlib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from indexer.kibana import install as installing
from indexer.kibana.api import KibanaNotSecure, KibanaUnauthenticated
from indexer.kibana.dashboards import saved_objects
from indexer.kibana.install import Installed
from indexer.kibana.saved_objects import Naming
from indexer.settings import Connection, Kibana
from tests.support.kibana_stand_in import StandIn

ALL = saved_objects(Naming(), (8, 19))
SECRET = "s3cret-of-elastic"


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """A stand-in that knows one user, and an environment without secrets."""
    for name in ("PASSWORD", "API_KEY", "BEARER_TOKEN"):
        monkeypatch.delenv(f"INDEXER_{name}", raising=False)
    made = StandIn()
    made.admit("elastic", SECRET)
    return made


@pytest.fixture
def url(stand_in: StandIn) -> Iterator[str]:
    """Its address."""
    with stand_in.serving() as address:
        yield address


def install(url: str, **options: Any) -> Installed:
    """Install with these options."""
    return installing.install(
        Connection(**{"request_timeout": 5.0} | options), Kibana(url), alerts=False, export_rows=500
    )


@pytest.mark.parametrize(
    ("variable", "value", "header"),
    [
        ("API_KEY", "abc:def", "ApiKey YWJjOmRlZg=="),
        ("API_KEY", "YWJjOmRlZg==", "ApiKey YWJjOmRlZg=="),
        ("BEARER_TOKEN", "token", "Bearer token"),
    ],
)
def test_credentials(
    stand_in: StandIn, url: str, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, header: str
) -> None:
    """Keys and tokens are sent as for Elasticsearch."""
    monkeypatch.setenv(f"INDEXER_{variable}", value)
    stand_in.may = {header: True}
    assert install(url).objects == len(ALL)


def test_user_in_the_address(url: str) -> None:
    """A user in Kibana's URL is used, and is in no message."""
    done = install(url.replace("//", f"//elastic:{SECRET}@"))
    assert done.objects == len(ALL)
    assert SECRET not in str(done)
    with pytest.raises(KibanaUnauthenticated) as raised:
        install(url.replace("//", "//elastic:wrong-one@"))
    assert "wrong-one" not in str(raised.value)


def test_a_user_in_the_address_may_have_quoted_signs(stand_in: StandIn, url: str) -> None:
    """Percent-encoded, as in Elasticsearch's URL."""
    stand_in.admit("jürgen", "p@ss:w/ord")
    assert install(url.replace("//", "//j%C3%BCrgen:p%40ss:w%2Ford@")).objects == len(ALL)


def test_tls(stand_in: StandIn, tmp_path: Path) -> None:
    """A private CA is trusted by its file or fingerprint, and not without either."""
    stand_in.open = True
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own = ca.issue_cert("localhost").private_key_and_cert_chain_pem
    own.write_to_path(str(tmp_path / "kibana.pem"))
    ca.cert_pem.write_to_path(
        str(tmp_path / "kibana.pem"), append=True
    )  # a fingerprint picks from what is shown
    context.load_cert_chain(tmp_path / "kibana.pem")
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    with stand_in.serving(context) as url:
        assert install(url, ca_certs=tmp_path / "ca.pem").objects == len(ALL)
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(ca.cert_pem.bytes().decode())).hexdigest()
        assert install(url, ca_fingerprint=digest).objects == len(ALL)
        untrusted = "its certificate is not trusted: self-signed certificate in certificate chain"
        others: list[tuple[dict[str, Any], str]] = [
            ({"ca_certs": tmp_path / "other.pem"}, untrusted),
            ({}, untrusted),
            ({"ca_fingerprint": "ab" * 32}, "no certificate that it presents has the SHA-256 fingerprint"),
        ]
        for trusted, reason in others:
            with pytest.raises(KibanaNotSecure, match=rf": {reason}.*--ca-certs .*--ca-fingerprint"):
                install(url, **trusted)
