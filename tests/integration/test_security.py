"""Security and TLS on a real server: each task with exactly its role, rights that come and go, secrets that change."""

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import orjson
import pytest
from elasticsearch import AuthorizationException, Elasticsearch

from indexer.elastic.client import connect, translate_errors
from indexer.errors import NotSecure, Unreachable
from indexer.seals.keys import create_key
from indexer.settings import Connection, State
from tests.support import seal_documents as documents
from tests.support.guarded import Guarded
from tests.support.http_server import address, relaying, serving
from tests.support.lab import Lab, joined, numbered
from tests.support.secured import Secured
from tests.support.secured_server import Company, company_of, waits_until_it_may

CHANGES: tuple[Callable[[Elasticsearch, str], object], ...] = (
    lambda it, index: it.index(
        index=index, id=documents.leaf_id(0), document=documents.head(datetime.now(UTC))
    ),
    lambda it, index: it.update(index=index, id=documents.leaf_id(0), doc={"every": 1}),
    lambda it, index: it.delete(index=index, id=documents.leaf_id(0)),
    lambda it, index: it.indices.put_settings(index=index, settings={"index.blocks.write": True}),
    lambda it, index: it.indices.delete(index=index),
)
"""What changes or deletes seals."""
BROKEN = b'{"n":1,"n":2}'
"""Elasticsearch refuses it: the same key twice."""


@pytest.fixture
def company(secured: Secured, admin: Elasticsearch, tmp_path: Path) -> Iterator[Company]:
    with company_of(secured, admin, tmp_path) as company:
        yield company


def test_each_role_is_enough_for_its_task_and_for_no_other(company: Company) -> None:
    """Set-up, writing, replaying and reading with the shipped roles; who lacks a privilege is told which, and where."""
    lab, alias = company.lab, company.lab.connection.alias
    log = lab.log(joined([*numbered(300), BROKEN, b"no entry at all"]))

    company.does("setup", "template", "install")
    assert "created" not in company.does("setup", "template", "install")

    indexed = company.command(company.people["writer"], "run", "--once", log)
    assert (indexed.returncode, indexed.stderr.count("refused")) == (3, 0), indexed.stderr
    assert "302 lines read: 300 created" in indexed.stdout
    assert "302 lines read: 0 created, 300 were there already" in _afresh(company, log)

    lab.client.indices.refresh(index=f"{alias}*")
    assert '"agrees": true' in company.does("reader", "verify", "--json", log)
    reader = replace(lab, connection=company.connection(company.people["reader"]))
    assert reader.verify(log, scan=True).agrees
    assert '"rejected": 2' in company.does("reader", "status", "--json", log)
    assert "VIS" in company.does("reader", "summary")
    assert "duplicate" in company.does("reader", "rejected", "list").lower()

    on_alias = f" is missing on {alias}"
    company.secured.admit("keeper", company.people["writer"], company.people["replayer"])
    replayed = company.command("keeper", "rejected", "replay", "--json")
    assert (replayed.returncode, '"still_rejected": 2' in replayed.stdout) == (3, True), replayed.stderr

    refused = f"refuses user '{company.people['setup']}': one of the index privileges read, all{on_alias}"
    assert refused in company.may_not("setup", "summary")
    assert f"read, all{on_alias}" in company.may_not("writer", "summary")
    may_not = company.may_not(
        "writer", "template", "install"
    )  # the first that he is refused is a HEAD, without words
    assert f"view_index_metadata, manage, all is missing on {alias}-rejected" in may_not
    may_not = company.may_not("reader", "template", "install")
    assert "one of the cluster privileges monitor, manage, all is missing, for cluster:monitor/" in may_not
    company.secured.admit("nobody")
    for arguments in (["summary"], ["run", "--once", log], ["verify", log], ["template", "install"]):
        told = company.command("nobody", *arguments)
        assert told.returncode == 1
        assert "refuses user 'nobody': " in told.stderr
        assert "privilege" in told.stderr
        assert "is missing" in told.stderr


def test_seals_are_added_by_the_writer_and_read_by_the_reader(company: Company) -> None:
    """The writer gets and finds what it added; nobody but set-up may change or delete them."""
    alias, index = company.lab.connection.alias, company.lab.connection.seals
    company.does("setup", "template", "install")
    now = datetime.now(UTC)
    seals = {
        documents.leaf_id(0): documents.head(now),
        documents.checkpoint_id(1): documents.checkpoint(now, 1),
    }
    with company.as_one("writer") as writer:
        assert documents.create(writer, index, seals) == [201, 201]
        assert documents.create(writer, index, seals) == [409, 409]
        got = writer.mget(index=index, ids=[*seals, "none"])["docs"]
        assert [it["found"] for it in got] == [True, True, False]
        assert got[0]["_source"] == seals[documents.leaf_id(0)]
        for what in CHANGES:
            with pytest.raises(AuthorizationException):
                what(writer, index)
    company.lab.client.indices.refresh(index=index)
    with company.as_one("reader") as reader:
        point = reader.open_point_in_time(index=index, keep_alive="1m")["id"]
        scanned = reader.search(pit={"id": point}, sort="_shard_doc")["hits"]["hits"]
        assert {hit["_id"]: hit["_source"] for hit in scanned} == seals
        reader.close_point_in_time(id=point)
        for what in CHANGES:
            with pytest.raises(AuthorizationException):
                what(reader, index)
        with pytest.raises(AuthorizationException):
            reader.create(index=index, id="new", document={})
    assert documents.LOG in company.does("reader", "status")
    with company.as_one("setup") as setup, pytest.raises(AuthorizationException):
        setup.search(index=index)
    removed = company.does("setup", "template", "remove", "--delete-data", "--confirm", alias)
    assert f"removed    index {index}" in removed


def test_the_writer_may_seal(company: Company) -> None:
    """Count what is there, find the seals of a state that is lost, add new ones; and search no entry."""
    lab, client = company.lab, company.lab.client
    company.does("setup", "template", "install")
    never = {"index.refresh_interval": "-1"}  # but when somebody asks for it
    client.indices.put_settings(index=f"{lab.connection.alias}*", settings=never)
    log, key = lab.log(joined([*numbered(30), BROKEN])), company.directory / "seal.key"
    create_key(key)
    lost = replace(company, lab=replace(lab, state=State(company.directory / "other-state")))
    for reason, who in (("new", company), ("state lost", lost)):
        done = who.command(who.people["writer"], "run", "--once", "--seal-key-file", key, log)
        assert done.returncode == 3, done.stderr
        client.indices.refresh(index=lab.connection.seals)
        starts = client.search(index=lab.connection.seals, query={"term": {"reason": reason}})["hits"]["hits"]
        (start,) = (hit["_source"] for hit in starts)
        assert bool(start["previous"]) is (reason == "state lost")
        assert start["before"] == ({} if start["previous"] else dict.fromkeys(start["before"], 0))
    (newest,) = orjson.loads(company.does("reader", "status", "--json"))["seals"]
    assert newest["log"] == start["log"]
    lab.append(numbered(30, start=30))
    lost.command(company.people["writer"], "run", "--once", "--seal-key-file", key, log)
    verified = company.does("reader", "verify", "--seals", "--public-key", f"{key}.pub", "--json")
    assert '"agrees": true' in verified
    assert '"present": 60' in verified
    with company.as_one("writer") as writer, pytest.raises(AuthorizationException):
        writer.search(index=lab.connection.alias)


def _afresh(company: Company, log: Path) -> str:
    """Index the log with a new state directory, as after a lost one: the writer asks which ids are there already."""
    lost = replace(company.lab, state=State(company.directory / "other-state"))
    again = replace(company, lab=lost).command(company.people["writer"], "run", "--once", log)
    assert again.returncode == 3, again.stderr
    return again.stdout


def test_run_waits_until_it_may_and_goes_on(company: Company) -> None:
    """Without rights at the start and in the middle it says which are missing, and loses and doubles nothing."""
    waits_until_it_may(
        company,
        {"indices": [{"names": [f"{company.lab.connection.alias}*"], "privileges": ["view_index_metadata"]}]},
        at_the_start="one of the index privileges view_index_metadata",
        later="one of the index privileges create_doc",
    )


def test_a_rotated_password_needs_no_restart(company: Company) -> None:
    """First the file, then the server, as rotation goes: nothing is refused, nothing is lost, nothing is there twice."""
    lab, secured, me = company.lab, company.secured, company.people["writer"]
    company.does("setup", "template", "install")
    lab.log(joined(numbered(50)))
    password_file = lab.connection.password_file
    assert password_file is not None
    with lab.following() as running:
        running.until_created(50)
        for number, password in enumerate(("first-s3cret", "second-s3cret"), 1):
            fresh = password_file.with_suffix(".new")
            fresh.write_text(password)
            fresh.rename(password_file)
            secured.admit(me, me, password=password)
            lab.append(numbered(50, 50 * number))
            running.until_created(50 * (number + 1))
        assert running.heard.of("delivery_failed") == []
    assert lab.numbers() == list(range(150))


def test_the_server_is_trusted_by_its_ca_alone(company: Company, secured: Secured, tmp_path: Path) -> None:
    """By file or fingerprint, with a client certificate or without; a wrong CA, name or scheme is said as what it is."""
    it = company.connection(company.people["reader"])
    own = tmp_path / "own"
    own.write_bytes(secured.ca.issue_cert("indexer").private_key_and_cert_chain_pem.bytes())
    pinned = replace(it, ca_certs=None, ca_fingerprint=secured.fingerprint)
    for good in (it, pinned, replace(it, client_cert=own), replace(pinned, client_cert=own)):
        with connect(good) as client:
            assert client.security.authenticate()["username"] == it.username

    wrong_ca = tmp_path / "wrong.crt"
    wrong_ca.write_bytes(type(secured.ca)().cert_pem.bytes())
    by_name = [secured.url.replace("127.0.0.1", "localhost")]
    without_tls = [secured.url.replace("https:", "http:")]
    for bad, kind, said in (
        (replace(it, ca_certs=wrong_ca), NotSecure, "with --ca-certs"),
        (replace(it, ca_certs=None), NotSecure, "with --ca-certs"),
        (replace(pinned, ca_fingerprint="ab" * 32), NotSecure, secured.fingerprint),
        (replace(it, elasticsearch_url=by_name), NotSecure, "not valid for 'localhost'"),
        (replace(it, ca_certs=None, elasticsearch_url=without_tls), Unreachable, "does it require https"),
    ):
        with connect(bad) as client, pytest.raises(kind, match=said), translate_errors(bad):
            client.security.authenticate()


def test_no_secret_is_ever_shown(tmp_path: Path) -> None:
    """Whatever fails, neither what a command prints nor what it leaves behind holds the password, the key or the token."""
    secret = "s3cret-s3cret"
    log, state = tmp_path / "a.log", tmp_path / "state"
    log.write_bytes(joined(numbered(3)))
    with Guarded() as guarded:
        guarded.admits = "nobody"
        url = guarded.url()
        ways = (
            {"INDEXER_ELASTICSEARCH_URL": url.replace("//", f"//me:{secret}@")},
            {"INDEXER_ELASTICSEARCH_URL": f"http://me:{secret}/@127.0.0.1:1"},
            {"INDEXER_USERNAME": "me", "INDEXER_PASSWORD": secret},
            {"INDEXER_API_KEY": secret},
            {"INDEXER_API_KEY": f"{secret} {secret}"},
            {"INDEXER_API_KEY": secret, "INDEXER_BEARER_TOKEN": secret},
            {"INDEXER_ELASTICSEARCH_URL": url.replace("http:", "https:"), "INDEXER_BEARER_TOKEN": secret},
        )
        commands = (
            ["run", "--once", log],
            ["verify", log],
            ["check", log],
            ["template", "install"],
            ["status", log],
        )
        lab = Lab(Connection([url]), connect(Connection([url])), tmp_path, State(state))

        def run(way: dict[str, str], command: list[Path | str]) -> str:
            done = lab.command(*command, environment=way)
            return done.stdout + done.stderr

        with ThreadPoolExecutor(2) as pool:
            told = list(pool.map(run, ways, itertools.cycle(commands)))
        lab.client.close()
    assert all(told)
    assert not [text for text in told if secret in text or "Traceback" in text]
    assert guarded.authorizations().count(f"ApiKey {secret}") > 0
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in kept if secret.encode() in path.read_bytes()]


def test_a_path_and_several_addresses(lab: Lab) -> None:
    """Behind a proxy that has Elasticsearch under a path, beside an address that nobody answers at."""
    onward = relaying(lab.connection.elasticsearch_url[0])

    def under_a_path(handler: BaseHTTPRequestHandler) -> None:
        assert handler.path.startswith("/team/es/")
        handler.path = handler.path.removeprefix("/team/es")
        onward(handler)

    log = lab.log(joined(numbered(200)))
    with serving(under_a_path) as proxy, serving(under_a_path) as other:
        behind = replace(
            lab.connection, elasticsearch_url=[f"{address(it)}/team/es/" for it in (proxy, other)]
        )
        with replace(lab, connection=behind).following(batch_bytes=1000) as running:
            running.until_created(200)
        done = replace(lab, connection=behind).command("verify", log)
        assert done.returncode == 0, done.stderr
    assert lab.numbers() == list(range(200))
