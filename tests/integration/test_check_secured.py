"""`indexer check` and the shipped roles on a server with security and TLS: who we are, and what we may do."""

from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from elasticsearch import BadRequestError, Elasticsearch

from indexer.check import check
from indexer.check.results import CheckResult, Level, Topic
from indexer.elastic.client import connect
from indexer.elastic.cluster import Cluster
from indexer.settings import Connection, Indices, LogFiles
from indexer.settings import State as Directory
from indexer.setup.requests import send
from indexer.setup.roles import calls
from indexer.setup.templates import install
from tests.support.secured import Secured
from tests.support.secured_server import ADMIN

ALIAS = "checked-activity"
ROLES = ("setup", "writer", "replayer", "reader", "zoomdata")


@pytest.fixture(scope="module")
def people(secured: Secured, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Connection]:
    """A connection for the user of each role, on a server where all is installed; and for one who may do nothing."""
    secrets = tmp_path_factory.mktemp("secrets")
    users = secured.people(ALIAS) | {"nobody": "nobody", ADMIN: ADMIN}
    secured.admit("nobody")
    given = {end: secured.connection(user, ALIAS, secrets / end) for end, user in users.items()}
    with connect(given["setup"]) as client:
        install(Cluster(client, given["setup"]))
    return given


def found(connection: Connection, directory: Path) -> list[CheckResult]:
    """What `indexer check` finds."""
    return list(check(LogFiles([str(directory)]), connection, Indices(), Directory(directory)))


def of(findings: list[CheckResult], topic: Topic) -> CheckResult:
    """The first finding of a topic."""
    return next(it for it in findings if it.topic is topic)


def wrong(findings: list[CheckResult]) -> set[Topic]:
    """The topics in which something is wrong."""
    return {it.topic for it in findings if it.state is Level.FAILED}


def test_the_writer_has_all_that_is_needed(people: dict[str, Connection], tmp_path: Path) -> None:
    """Nothing is wrong; what he may not look at is said to be left out, with the privilege that it takes."""
    findings = found(people["writer"], tmp_path)
    assert wrong(findings) == set()
    assert of(findings, Topic.TLS).state is Level.OK
    assert f"{ALIAS}-writer" in of(findings, Topic.AUTHENTICATION).what
    assert of(findings, Topic.PRIVILEGES).state is Level.OK
    assert of(findings, Topic.WRITE).state is Level.OK
    hidden = {it.topic: it.what for it in findings if it.state is Level.NOT_TRIED}
    assert hidden.keys() == {Topic.TEMPLATE, Topic.FIELDS, Topic.TYPES}
    assert "manage_index_templates" in hidden[Topic.TEMPLATE]
    assert "read" in hidden[Topic.FIELDS]
    assert of(findings, Topic.SEALS).state is Level.OK


@pytest.mark.parametrize(
    ("who", "lacks"),
    [("reader", "create_doc"), ("setup", "create_doc"), ("zoomdata", "create_doc"), ("nobody", "monitor")],
)
def test_who_may_not_write_is_told_what_is_missing(
    people: dict[str, Connection], tmp_path: Path, who: str, lacks: str
) -> None:
    """And which role has it."""
    findings = found(people[who], tmp_path)
    finding = of(findings, Topic.PRIVILEGES)
    assert finding.state is Level.FAILED
    assert lacks in finding.what
    assert f"{ALIAS}-writer" in finding.cure
    assert wrong(findings) <= {Topic.PRIVILEGES, Topic.ALIAS, Topic.WRITE}


def test_who_may_do_everything_sees_everything(people: dict[str, Connection], tmp_path: Path) -> None:
    """No step is left out, and all roles are covered."""
    findings = found(people[ADMIN], tmp_path)
    assert wrong(findings) == set()
    assert {it.topic for it in findings if it.state is Level.NOT_TRIED} == set()
    assert all(f"{ALIAS}-{end}" in of(findings, Topic.PRIVILEGES).what for end in ROLES)


def test_a_wrong_password_is_a_matter_of_authentication(
    people: dict[str, Connection], tmp_path: Path
) -> None:
    """Connection and TLS are in order; no password shows."""
    secret = tmp_path / "secret"
    secret.write_text("wr0ng-password")
    findings = found(replace(people["writer"], password_file=secret), tmp_path)
    assert wrong(findings) == {Topic.AUTHENTICATION}
    assert of(findings, Topic.TLS).state is Level.OK
    assert of(findings, Topic.PRIVILEGES).state is Level.NOT_TRIED
    assert not any("wr0ng-password" in it.what + it.cure for it in findings)


def test_a_certificate_of_another_authority_is_a_matter_of_tls(
    people: dict[str, Connection], tmp_path: Path
) -> None:
    """Somebody answers; nothing is sent to him."""
    other = tmp_path / "other.crt"
    trustme.CA().cert_pem.write_to_path(other)
    findings = found(replace(people["writer"], ca_certs=other), tmp_path)
    assert wrong(findings) == {Topic.TLS}
    assert of(findings, Topic.CONNECTION).state is Level.OK
    assert of(findings, Topic.AUTHENTICATION).state is Level.NOT_TRIED


def test_a_real_server_takes_the_bodies_of_the_roles(admin: Elasticsearch) -> None:
    """Each gets as far as the index of roles, which these servers cannot make; a misspelt privilege does not."""
    requests = calls(ALIAS)
    assert len(requests) == len(ROLES)
    for call in requests:
        with pytest.raises(BadRequestError, match="Unknown filter type"):
            send(admin, call)
    assert requests[0].body is not None
    misspelt = replace(requests[0], body=requests[0].body | {"cluster": ["monitr"]})
    with pytest.raises(BadRequestError, match=r"unknown cluster privilege \[monitr\]"):
        send(admin, misspelt)
