"""OpenSearch's security plugin on a real server: each task with exactly its role, under TLS; roles in the plugin's form."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from elasticsearch import AuthorizationException, Elasticsearch

from indexer.check import check
from indexer.check.results import CheckResult, Level, Topic
from indexer.elastic.client import connect
from indexer.elastic.cluster import Cluster
from indexer.elastic.server import Product
from indexer.seals.keys import create_key
from indexer.settings import Indices, LogFiles, State
from indexer.setup.roles import install, roles
from indexer.setup.templates import Foreign, Result
from tests.support.lab import joined, numbered
from tests.support.secured_opensearch import SecuredOpenSearch
from tests.support.secured_server import ADMIN, Company, company_of, waits_until_it_may

BROKEN = b'{"n":1,"n":2}'
"""The server refuses it: the same key twice."""
ACCEPT = {"accept": "application/json"}


@pytest.fixture
def company(
    secured_opensearch: SecuredOpenSearch, opensearch_admin: Elasticsearch, tmp_path: Path
) -> Iterator[Company]:
    with company_of(secured_opensearch, opensearch_admin, tmp_path) as company:
        yield company


def test_each_role_is_enough_for_its_task_and_for_no_other(company: Company) -> None:
    """Set-up, writing, rolling over, replaying and reading with the shipped roles; who lacks a permission is told which."""
    lab, alias = company.lab, company.lab.connection.alias
    log = lab.log(joined([*numbered(300), BROKEN, b"no entry at all"]))

    company.does("setup", "template", "install")
    assert "created" not in company.does("setup", "template", "install")
    company.does("setup", "template", "show")
    company.does("setup", "template", "diff")

    indexed = company.command(company.people["writer"], "run", "--once", log)
    assert (indexed.returncode, indexed.stderr.count("refused")) == (3, 0), indexed.stderr
    assert "302 lines read: 300 created" in indexed.stdout
    lab.client.indices.refresh(index=f"{alias}-rejected")
    assert lab.client.count(index=f"{alias}-rejected")["count"] == 2  # and not in files, for want of a right

    company.secured.admit("keeper", company.people["writer"], company.people["replayer"])
    replayed = company.command("keeper", "rejected", "replay", "--json")
    assert (replayed.returncode, '"still_rejected": 2' in replayed.stdout) == (3, True), replayed.stderr

    lab.client.indices.refresh(index=f"{alias}*")
    rolled = company.does("setup", "template", "rollover", "--rollover-age", "1s", "--retain", "1d")
    assert f"{alias}-000002 is the write index now." in rolled
    lost = replace(company, lab=replace(lab, state=State(company.directory / "other-state")))
    again = lost.command(company.people["writer"], "run", "--once", log)
    assert "302 lines read: 0 created, 300 were there already" in again.stdout, again.stderr

    lab.client.indices.refresh(index=f"{alias}*")
    assert '"agrees": true' in company.does("reader", "verify", "--json", log)
    reader = replace(lab, connection=company.connection(company.people["reader"]))
    assert reader.verify(log, scan=True).agrees
    assert '"rejected": 2' in company.does("reader", "status", "--json", log)
    assert "VIS" in company.does("reader", "summary")
    assert "duplicate" in company.does("reader", "rejected", "list").lower()

    on_alias = f" is missing on {alias}."
    refused = (
        f"refuses user '{company.people['setup']}': the index permission indices:data/read/search{on_alias}"
    )
    assert refused in company.may_not("setup", "summary")
    assert f"indices:data/read/search{on_alias}" in company.may_not("writer", "summary")
    assert "the cluster permission cluster:admin/component_template/get is missing." in company.may_not(
        "writer", "template", "install"
    )
    assert "the cluster permission cluster:monitor/main is missing." in company.may_not(
        "reader", "template", "install"
    )
    removed = company.does("setup", "template", "remove", "--delete-data", "--confirm", alias)
    assert f"removed    index {alias}-seals" in removed


def test_a_line_that_goes_in_now_is_taken_off_the_list_by_the_replayer(company: Company) -> None:
    """With the writer's role beside its own; the writer alone deletes nothing."""
    lab, alias = company.lab, company.lab.connection.alias
    company.does("setup", "template", "install")
    lab.client.indices.put_settings(
        index=f"{alias}-000001", settings={"index.mapping.total_fields.limit": 60}
    )
    wide = b'{"eventDate":"2026-05-11 06:30:00.000",%s}' % b",".join(b'"f%d":1' % it for it in range(100))
    log = lab.log(joined([*numbered(3), wide]))
    assert company.command(company.people["writer"], "run", "--once", log).returncode == 3
    lab.client.indices.put_settings(
        index=f"{alias}-000001", settings={"index.mapping.total_fields.limit": 2000}
    )
    assert f"indices:data/read/search is missing on {alias}" in company.may_not(
        "writer", "rejected", "replay"
    )
    company.secured.admit("keeper", company.people["writer"], company.people["replayer"])
    replayed = company.command("keeper", "rejected", "replay", "--json")
    assert (replayed.returncode, '"still_rejected": 0' in replayed.stdout) == (0, True), replayed.stderr
    lab.client.indices.refresh(index=f"{alias}*")
    assert lab.client.count(index=f"{alias}-rejected")["count"] == 0
    assert lab.client.count(index=alias)["count"] == 4


def test_the_writer_seals_and_the_reader_verifies(company: Company) -> None:
    """What was there before is counted, and older seals are found after the state is lost, although nothing refreshes an index."""
    lab, alias, client = company.lab, company.lab.connection.alias, company.lab.client
    company.does("setup", "template", "install")
    never = {"index.refresh_interval": "-1"}  # but when somebody asks for it
    client.indices.put_settings(index=f"{alias}*", settings=never)
    earlier = lab.log(joined([*numbered(10), BROKEN]), "earlier.log")
    assert company.command(company.people["writer"], "run", "--once", earlier).returncode == 3
    log, key = lab.log(joined([*numbered(30), BROKEN])), company.directory / "seal.key"
    create_key(key)
    lost = replace(company, lab=replace(lab, state=State(company.directory / "other-state")))
    for who in (company, lost):
        done = who.command(who.people["writer"], "run", "--once", "--seal-key-file", key, log)
        assert (done.returncode, "fail" in done.stderr) == (3, False), done.stderr
    client.indices.refresh(index=f"{alias}-seals")
    starts = client.search(index=f"{alias}-seals", query={"exists": {"field": "reason"}})["hits"]["hits"]
    before = {hit["_source"]["reason"]: hit["_source"] for hit in starts}
    assert before.keys() == {"new", "state lost"}
    assert before["new"]["before"] == {f"{alias}-000001": 10, f"{alias}-rejected": 1}
    assert before["state lost"]["previous"]
    verified = company.does("reader", "verify", "--seals", "--public-key", f"{key}.pub", "--json")
    assert '"agrees": true' in verified
    assert '"present": 30' in verified
    assert '"log"' in company.does("reader", "status", "--json")
    company.does("reader", "report", "--out", company.directory / "report.html")


UPDATES: tuple[Callable[[Elasticsearch, str], object], ...] = (
    lambda it, index: it.update(index=index, id="one", doc={"n": 2}),
    lambda it, index: it.delete(index=index, id="one"),
    lambda it, index: it.indices.put_settings(index=index, settings={"index.blocks.write": True}),
    lambda it, index: it.indices.delete(index=index),
)


def test_nobody_but_set_up_deletes(company: Company) -> None:
    """The writer may overwrite a document: the plugin has no permission that adds alone, as `create_doc` does elsewhere."""
    alias, index = company.lab.connection.alias, f"{company.lab.connection.alias}-000001"
    company.does("setup", "template", "install")
    company.lab.client.index(index=index, id="one", document={"n": 1}, refresh=True)
    for task in ("writer", "reader", "replayer"):
        with company.as_one(task) as client:
            for what in UPDATES:
                with pytest.raises(AuthorizationException):
                    what(client, index)
    with company.as_one("writer") as writer:
        assert writer.index(index=index, id="one", document={"n": 2})["result"] == "updated"
        with pytest.raises(AuthorizationException):
            writer.search(index=alias)
    with company.as_one("setup") as setup, pytest.raises(AuthorizationException):
        setup.search(index=alias)
    with company.as_one("reader") as reader, pytest.raises(AuthorizationException):
        reader.index(index=index, id="two", document={"n": 1})


def test_set_up_rolls_over_no_alias_but_its_own(company: Company) -> None:
    """Although the plugin requires the permission for rollovers on all indices."""
    client, other = company.lab.client, f"other-{company.lab.connection.alias}"
    company.does("setup", "template", "install")
    client.indices.create(index=f"{other}-000001", aliases={other: {"is_write_index": True}})
    try:
        with company.as_one("setup") as setup:
            with pytest.raises(AuthorizationException, match="indices:monitor/stats"):
                setup.indices.rollover(alias=other)
            assert setup.indices.rollover(alias=company.lab.connection.alias)["rolled_over"]
    finally:
        client.indices.delete(index=f"{other}-*")


def test_a_role_on_a_view_sees_the_whole_index(company: Company) -> None:
    """A filtered alias limits what is asked for through it, and nothing else: the plugin takes it for its indices."""
    alias, client = company.lab.connection.alias, company.lab.client
    company.does("setup", "template", "install")
    for number, kind in enumerate(("VIS", "ACCOUNT")):
        client.index(index=alias, id=f"{number}", document={"activityType": kind}, refresh=True)
    view = {"index_patterns": [f"{alias}.vis"], "allowed_actions": ["indices:data/read/search"]}
    limited = view | {"index_patterns": [f"{alias}-0*"], "dls": '{"term":{"activityType":"VIS"}}'}
    for name, group, seen in (("viewer", view, 2), ("limited", limited, 1)):
        company.secured.define(**{f"{alias}-{name}": {"index_permissions": [group]}})
        company.secured.admit(name, f"{alias}-{name}")
        with connect(company.connection(name)) as as_viewer:
            assert as_viewer.search(index=f"{alias}.vis")["hits"]["total"]["value"] == 1
            assert as_viewer.search(index=f"{alias}-000001")["hits"]["total"]["value"] == seen


def test_who_may_do_nothing_gets_one_sentence(company: Company) -> None:
    """With the missing permission, although he may not even ask what the server is; an old password is another one."""
    lab = company.lab
    company.does("setup", "template", "install")
    log = lab.log(joined(numbered(3)))
    company.secured.admit("nobody")
    for arguments in (["summary"], ["run", "--once", log], ["verify", log], ["template", "install"]):
        told = company.command("nobody", *arguments)
        assert (told.returncode, "Traceback" in told.stderr) == (1, False)
        assert "refuses user 'nobody': the " in told.stderr.splitlines()[-1]
        assert " is missing" in told.stderr.splitlines()[-1]
    told = company.command("nobody", "template", "roles", "--install")
    assert "refuses user 'nobody': No permission to access REST API" in told.stderr
    company.secured.admit("nobody", company.people["reader"], password="an0ther-s3cret")
    told = company.command("nobody", "summary")
    assert told.returncode == 0, told.stderr
    company.secured.admit("nobody", company.people["reader"], password="a-th1rd-s3cret")
    refused = lab.command(
        "summary",
        environment={
            "INDEXER_USERNAME": "nobody",
            "INDEXER_PASSWORD_FILE": str(company.directory / "nobody"),
            "INDEXER_CA_CERTS": str(company.secured.ca_file),
        },
    )
    assert refused.returncode == 1
    assert "does not accept user 'nobody'" in refused.stderr
    assert "s3cret" not in refused.stderr


def test_a_permission_that_is_missing_for_each_entry_is_named(company: Company) -> None:
    """Such a request succeeds, and its answer holds a refusal for each entry."""
    log = company.lab.log(joined(numbered(3)))
    company.does("setup", "template", "install")
    company.does("writer", "run", "--once", log)
    reader = company.people["reader"]
    role = f"/_plugins/_security/api/roles/{reader}"
    with company.secured.client(ADMIN) as admin:
        shipped = admin.perform_request("GET", role, headers={"accept": "application/json"}).body[reader]
    may = [
        {**each, "allowed_actions": [it for it in each["allowed_actions"] if "mget" not in it]}
        for each in shipped["index_permissions"]
    ]
    company.secured.define(
        blind={"cluster_permissions": shipped["cluster_permissions"], "index_permissions": may}
    )
    company.secured.admit("blind", "blind")
    told = company.command(
        "blind", "verify", company.lab.log(joined(numbered(5)))
    )  # two are looked for by id
    assert told.returncode == 1
    assert "the index permission indices:data/read/mget[shard] is missing" in told.stderr


def test_run_waits_until_it_may_and_goes_on(company: Company) -> None:
    """Without rights at the start and in the middle it says which are missing, and loses and doubles nothing."""
    looking = {
        "index_patterns": [f"{company.lab.connection.alias}*"],
        "allowed_actions": ["indices:admin/aliases/get"],
    }
    waits_until_it_may(
        company,
        {"cluster_permissions": ["indices:data/write/bulk"], "index_permissions": [looking]},
        at_the_start="the index permission indices:admin/aliases/get",
        later="the index permissions indices:data/write/index, indices:data/write/bulk[s] are missing",
    )


# ---- check


def found(company: Company, user: str) -> list[CheckResult]:
    """What `indexer check` finds as this user."""
    directory = company.directory / "checked"
    directory.mkdir(exist_ok=True)
    logs = LogFiles([str(directory)])
    return list(check(logs, company.connection(user), Indices(), State(directory)))


def of(findings: list[CheckResult], topic: Topic) -> CheckResult:
    """The first finding of a topic."""
    return next(it for it in findings if it.topic is topic)


def wrong(findings: list[CheckResult]) -> set[Topic]:
    """The topics in which something is wrong."""
    return {it.topic for it in findings if it.state is Level.FAILED}


def test_check_says_who_we_are_and_tries_what_cannot_be_asked(company: Company) -> None:
    """The plugin does not tell what a user may do; the write test does, and names what is missing."""
    company.does("setup", "template", "install")
    findings = found(company, company.people["writer"])
    assert wrong(findings) == set()
    assert of(findings, Topic.TLS).state is Level.OK
    writer = company.people["writer"]
    assert of(findings, Topic.AUTHENTICATION).what == f"user {writer!r}, with the roles: {writer}"
    assert of(findings, Topic.PRIVILEGES).state is Level.OK
    assert of(findings, Topic.WRITE).state is Level.OK
    assert of(findings, Topic.SEALS).state is Level.OK
    hidden = {it.topic: it.what for it in findings if it.state is Level.NOT_TRIED}
    assert hidden.keys() == {Topic.TEMPLATE, Topic.FIELDS, Topic.TYPES}
    assert "cluster:admin/component_template/get" in hidden[Topic.TEMPLATE]

    company.secured.admit("nobody")
    findings = found(company, "nobody")
    assert of(findings, Topic.AUTHENTICATION).state is Level.OK
    assert of(findings, Topic.PRIVILEGES).state is Level.NOT_TRIED
    assert f"{company.lab.connection.alias}-writer" in of(findings, Topic.PRIVILEGES).what
    assert wrong(findings) == {Topic.ALIAS}
    assert "indices:admin/aliases/get" in of(findings, Topic.ALIAS).what

    company.secured.admit("half", company.people["setup"])
    findings = found(company, "half")
    assert wrong(findings) == {Topic.WRITE}
    assert "indices:data/write/bulk" in of(findings, Topic.WRITE).what

    findings = found(company, ADMIN)
    assert {it.topic for it in findings if it.state is Level.NOT_TRIED} == {Topic.PRIVILEGES}
    assert wrong(findings) == set()


def test_a_wrong_password_is_a_matter_of_authentication(company: Company) -> None:
    """Connection and TLS are in order; no password shows."""
    secret = company.directory / "secret"
    secret.write_text("wr0ng-password")
    connection = replace(company.lab.connection, password_file=secret)
    findings = list(
        check(LogFiles([str(secret.parent)]), connection, Indices(), State(company.directory / "none"))
    )
    assert wrong(findings) - {Topic.LOGS, Topic.STATE} == {Topic.AUTHENTICATION}
    assert of(findings, Topic.TLS).state is Level.OK
    assert not any("wr0ng-password" in it.what + it.cure for it in findings)


# ---- roles


def test_roles_are_created_then_left_alone_then_brought_up_to_date(
    secured_opensearch: SecuredOpenSearch, tmp_path: Path
) -> None:
    """By the command, which finds the product out; a role of somebody else is not replaced unless that is wanted."""
    connection = secured_opensearch.connection(ADMIN, "installed-activity", tmp_path / "admin")

    def results(*, force: bool = False) -> list[Result]:
        with connect(connection) as client:
            return [it.result for it in install(Cluster(client, connection), force=force)]

    shipped = roles(connection.alias, Product.OPENSEARCH)
    assert results() == [Result.CREATED] * 5
    assert results() == [Result.UNCHANGED] * 5
    changed = f"{connection.alias}-writer"
    secured_opensearch.define(**{changed: shipped[changed] | {"cluster_permissions": ["cluster:monitor/*"]}})
    assert results().count(Result.UPDATED) == 1
    assert held(secured_opensearch, changed)["cluster_permissions"] == shipped[changed]["cluster_permissions"]
    secured_opensearch.define(
        **{changed: {"description": "of zoomdata-indexer, by hand", "cluster_permissions": []}}
    )
    with pytest.raises(Foreign, match=f"role {changed}"):
        results()
    assert held(secured_opensearch, changed)["cluster_permissions"] == []
    assert results(force=True).count(Result.UPDATED) == 1


def held(secured: SecuredOpenSearch, role: str) -> dict[str, object]:
    """A role as the server has it."""
    with secured.client(ADMIN) as client:
        answer = client.perform_request("GET", f"/_plugins/_security/api/roles/{role}", headers=ACCEPT)
        body: dict[str, object] = answer.body[role]
        return body
