"""`indexer check` against a real server: each fault is made, and has to be found, with what depends on it left alone."""

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from indexer.check import check
from indexer.check.results import CheckResult, Level, Topic
from indexer.elastic import fields
from indexer.elastic.server import Feature, Product, Versions, inspect_server
from indexer.settings import Connection, Indices, Lifecycle, LogFiles
from tests.support.http_server import address, always, serving
from tests.support.lab import Lab, joined, numbered

CLUSTER = (
    Topic.PRIVILEGES,
    Topic.VERSION,
    Topic.TEMPLATE,
    Topic.ALIAS,
    Topic.INDEX,
    Topic.WRITE,
    Topic.LIFECYCLE,
    Topic.FIELDS,
    Topic.TYPES,
    Topic.SEALS,
)
"""What nothing can be said of without a server that answers."""


def found(lab: Lab, connection: Connection | None = None, **indices: Any) -> list[CheckResult]:
    """What `indexer check` finds."""
    return list(check(LogFiles([str(lab.logs)]), connection or lab.connection, Indices(**indices), lab.state))


def by_state(findings: list[CheckResult], state: Level) -> set[Topic]:
    """The topics of the findings that stand so."""
    return {it.topic for it in findings if it.state is state}


def wrong(findings: list[CheckResult]) -> set[Topic]:
    """The topics in which something is wrong."""
    return by_state(findings, Level.FAILED)


def of(findings: list[CheckResult], topic: Topic, state: Level) -> CheckResult:
    """The one finding of a topic that stands so."""
    (finding,) = (it for it in findings if (it.topic, it.state) == (topic, state))
    return finding


@contextlib.contextmanager
def deaf() -> Iterator[str]:
    """An address that refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_a_laboratory_in_order_has_nothing_wrong_and_is_left_as_it_was(lab: Lab) -> None:
    """One line each, in order; exit code 0; no entry, no new field, no state directory comes of it."""
    lab.log(joined(numbered(3)))
    mapping = lab.client.indices.get_mapping(index=lab.connection.alias).body
    done = lab.command("check", lab.logs)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    topics = [line[2:18].strip() for line in lines]
    assert list(dict.fromkeys(topics)) == list(Topic)
    assert {line[0] for line in lines} <= set("✓!–")
    told = orjson.loads(lab.command("check", "--json", lab.logs).stdout)
    assert told["fine"]
    assert [it["topic"] for it in told["findings"]] == topics
    assert lab.hits() == []
    assert lab.client.indices.get_mapping(index=lab.connection.alias).body == mapping
    assert not lab.state.state_dir.exists()


def test_a_server_without_security_is_said(lab: Lab) -> None:
    """A warning, and no privileges to look at; so is one that looks after no index, unless that is wanted so."""
    findings = found(lab)
    assert by_state(findings, Level.WARNING) >= {Topic.AUTHENTICATION, Topic.LOGS}
    assert by_state(findings, Level.NOT_TRIED) == {Topic.PRIVILEGES}
    if not inspect_server(lab.client).lifecycle:
        assert "--rollover" in of(findings, Topic.LIFECYCLE, Level.WARNING).cure
    assert of(found(lab, lifecycle=Lifecycle.NONE), Topic.LIFECYCLE, Level.OK)


def test_no_answer_leaves_the_rest_of_the_cluster_untried(bare: Lab) -> None:
    """The wrong port; what is on this machine is looked at all the same. Exit code 1."""
    bare.log(b"")
    with deaf() as url:
        findings = found(bare, replace(bare.connection, elasticsearch_url=[url]))
        done = bare.command("check", "--elasticsearch-url", url, bare.logs)
    assert wrong(findings) == {Topic.CONNECTION}
    assert by_state(findings, Level.NOT_TRIED) == {Topic.TLS, Topic.AUTHENTICATION, *CLUSTER}
    assert by_state(findings, Level.OK) == {Topic.CONFIGURATION, Topic.LOGS, Topic.STATE}
    assert done.returncode == 1
    assert "✗ connection" in done.stdout
    assert "--elasticsearch-url" in done.stdout


def test_one_of_two_addresses_is_enough(lab: Lab) -> None:
    """The other is a warning, and is not asked any further."""
    with deaf() as url:
        both = [url, *lab.connection.elasticsearch_url]
        findings = found(lab, replace(lab.connection, elasticsearch_url=both))
    assert wrong(findings) == set()
    assert url in of(findings, Topic.CONNECTION, Level.WARNING).what
    assert of(findings, Topic.WRITE, Level.OK)


def test_another_server_at_that_address_is_no_elasticsearch(bare: Lab) -> None:
    """A proxy's page, say."""
    with serving(always(200, b"<html>Welcome</html>")) as server:
        findings = found(bare, replace(bare.connection, elasticsearch_url=[address(server)]))
    assert wrong(findings) == {Topic.CONNECTION}
    assert "neither Elasticsearch nor OpenSearch" in of(findings, Topic.CONNECTION, Level.FAILED).what


def test_https_to_a_server_without_it_is_a_matter_of_tls(bare: Lab) -> None:
    """The server's certificate is not trusted."""
    url = bare.connection.elasticsearch_url[0].replace("http:", "https:")
    findings = found(bare, replace(bare.connection, elasticsearch_url=[url]))
    assert wrong(findings) == {Topic.TLS}
    assert of(findings, Topic.CONNECTION, Level.OK)
    assert by_state(findings, Level.NOT_TRIED) == {Topic.AUTHENTICATION, *CLUSTER}


def test_settings_that_make_no_sense_are_the_first_thing(bare: Lab) -> None:
    """Nothing is asked then."""
    findings = found(bare, replace(bare.connection, elasticsearch_url=["nonsense"]))
    assert wrong(findings) == {Topic.CONFIGURATION}
    assert Topic.CONNECTION in by_state(findings, Level.NOT_TRIED)


def test_what_is_not_installed_is_said_with_the_command(bare: Lab) -> None:
    """Template and alias; what needs them is not tried."""
    findings = found(bare)
    assert wrong(findings) == {Topic.TEMPLATE, Topic.ALIAS}
    assert "indexer template install" in of(findings, Topic.ALIAS, Level.FAILED).cure
    assert {Topic.INDEX, Topic.WRITE, Topic.FIELDS, Topic.TYPES, Topic.SEALS} <= by_state(
        findings, Level.NOT_TRIED
    )


def test_a_template_that_drifted_is_said_field_by_field(lab: Lab) -> None:
    """A harmless change is a warning; one that breaks a promise is wrong, in the next index and not yet in this one."""
    name = f"{lab.connection.alias}-settings"
    held = lab.client.cluster.get_component_template(name=name)["component_templates"][0]
    body = {key: held["component_template"][key] for key in ("template", "version", "_meta")}
    body["template"]["settings"]["index"]["refresh_interval"] = "17s"
    lab.client.cluster.put_component_template(name=name, **body)
    findings = found(lab)
    assert wrong(findings) == set()
    assert "refresh_interval: 17s → 5s" in of(findings, Topic.TEMPLATE, Level.WARNING).what
    body["template"]["settings"]["index"]["mapping"]["ignore_malformed"] = "false"
    lab.client.cluster.put_component_template(name=name, **body)
    findings = found(lab)
    assert wrong(findings) == {Topic.TEMPLATE}
    assert "ignore_malformed" in of(findings, Topic.TEMPLATE, Level.FAILED).what


def test_an_index_in_place_of_the_alias_is_said(lab: Lab) -> None:
    """The alias was deleted, and a plain index made under its name."""
    lab.client.indices.delete_alias(index=f"{lab.connection.alias}-000001", name=lab.connection.alias)
    lab.client.indices.create(index=lab.connection.alias)
    findings = found(lab)
    assert wrong(findings) == {Topic.ALIAS}
    assert "is an index" in of(findings, Topic.ALIAS, Level.FAILED).what
    assert Topic.WRITE in by_state(findings, Level.NOT_TRIED)


@pytest.mark.parametrize("block", ["write", "read_only", "read_only_allow_delete"])
def test_a_write_index_that_takes_no_entries_is_found_by_the_write_test(lab: Lab, block: str) -> None:
    """Blocked by hand, or by a disk that is full."""
    index = f"{lab.connection.alias}-000001"
    lab.client.indices.put_settings(index=index, settings={f"index.blocks.{block}": True})
    try:
        findings = found(lab)
    finally:
        lab.client.indices.put_settings(index=index, settings={f"index.blocks.{block}": None})
    assert Topic.WRITE in wrong(findings)
    assert wrong(findings) <= {Topic.WRITE, Topic.INDEX}
    assert "block" in of(findings, Topic.WRITE, Level.FAILED).cure
    assert wrong(found(lab)) == set()


def test_a_closed_write_index_is_found_by_the_write_test(lab: Lab) -> None:
    """As is one without a primary shard: whatever refuses every entry."""
    lab.client.indices.close(index=f"{lab.connection.alias}-000001")
    assert Topic.WRITE in wrong(found(lab))


def test_an_index_made_without_the_template_is_said(bare: Lab) -> None:
    """It takes entries, and refuses those that the promised one would not."""
    bare.install()
    index = f"{bare.connection.alias}-000002"
    bare.client.indices.rollover(
        alias=bare.connection.alias,
        settings={"index.mapping.ignore_malformed": False},
    )
    findings = found(bare)
    assert wrong(findings) == {Topic.INDEX}
    finding = of(findings, Topic.INDEX, Level.FAILED)
    assert index in finding.what
    assert "--rollover" in finding.cure
    assert of(findings, Topic.WRITE, Level.OK)


def test_replicas_that_can_diverge_are_said(lab: Lab) -> None:
    """On the versions that have the fault, and only with replicas."""

    def warned() -> list[str]:
        return [it.what for it in found(lab) if (it.topic, it.state) == (Topic.INDEX, Level.WARNING)]

    assert warned() == []
    index = f"{lab.connection.alias}-000001"
    settings = {"index.auto_expand_replicas": False, "index.number_of_replicas": 1}
    lab.client.indices.put_settings(index=index, settings=settings)
    server = inspect_server(lab.client)
    faulty = (9, 5, 0) <= server.version < (9, 5, 3)
    told = f"under load, replicas of {index} can lose entries on {server}"
    assert warned() == [told] * faulty


def test_fields_are_counted_as_the_server_counts_them(lab: Lab) -> None:
    """The count is the smallest limit that the server accepts; at it, what becomes of new fields depends on the version."""
    lab.run(lab.log(b'{"a":{"b":1,"c":{"d":"x"}},"user":"u","new":true}\n'))
    index = f"{lab.connection.alias}-000001"
    counted = fields.fields(lab.client, index)
    assert counted.limit == 2000
    mappings = lab.client.indices.get_mapping(index=index)[index]["mappings"]
    mappings["properties"]["multi"] = {"type": "keyword", "fields": {"text": {"type": "text"}}}
    assert fields.count(mappings) == counted.mapped + 2

    def accepted(limit: int) -> bool:
        settings = {"index.mapping.total_fields.limit": limit}
        tried = lab.client.options(ignore_status=400).indices.create(
            index=f"{lab.connection.alias}-tried", settings=settings, mappings=mappings
        )
        lab.client.options(ignore_status=404).indices.delete(index=f"{lab.connection.alias}-tried")
        return tried.meta.status == 200

    assert [accepted(fields.count(mappings) + more) for more in (-1, 0)] == [False, True]
    lab.client.indices.put_settings(
        index=index, settings={"index.mapping.total_fields.limit": counted.mapped}
    )
    findings = found(lab)
    ignores = inspect_server(lab.client).has(Feature.FIELDS_BEYOND_LIMIT)
    assert wrong(findings) == (set() if ignores else {Topic.FIELDS})
    assert of(findings, Topic.FIELDS, Level.WARNING if ignores else Level.FAILED)


NAMES_IGNORED: Versions = {Product.ELASTICSEARCH: ((8, 15, 0), None)}
IGNORED = {
    Product.ELASTICSEARCH: ("values", 3, {"ip": 2, "duration": 1, "user": 1}),
    Product.OPENSEARCH: ("malformed values", 2, {"ip": 2, "duration": 1}),
}
"""Which values are counted as ignored, and of VALUES: the entries with one, and those of each field."""
VALUES = [
    b'{"ip":"unknown","duration":"n/a"}',
    b'{"ip":"unknown"}',
    b'{"ip":"::1"}',
    b'{"user":"%b"}' % (b"u" * 1025),
]


def test_check_and_status_count_entries_with_ignored_values(lab: Lab) -> None:
    """How many, and where the server can tell, in which fields."""
    lab.run(lab.log(joined(VALUES)))
    lab.client.indices.refresh(index=lab.connection.alias)
    told = orjson.loads(lab.command("status", "--json", lab.logs).stdout)
    values, entries, by_field = IGNORED[lab.cluster.product]
    named = by_field if inspect_server(lab.client).among(NAMES_IGNORED) else None
    assert told["ignored"] == {"entries": entries, "fields": named, "values": values}
    assert told["fields"]["limit"] == 2000
    assert told["fields"]["mapped"] == fields.fields(lab.client, f"{lab.connection.alias}-000001").mapped
    assert any(f"{entries} entries have {values}" in it.what for it in found(lab) if it.topic is Topic.FIELDS)
    shown = lab.command("status", environment={"COLUMNS": "200"}).stdout
    assert f"entries with {values} that searches do not find" in shown


def test_types_that_no_dashboard_shows_are_said(lab: Lab) -> None:
    """With the number of their entries: in lower case, as the vendor's sheets spell them, and unknown."""
    lab.run(
        lab.log(
            b'{"activityType":"user","a":1}\n{"activityType":"user"}\n{"activityType":"NEW"}\n{"activityType":"VIS"}\n'
        )
    )
    lab.client.indices.refresh(index=lab.connection.alias)
    warned = [it.what for it in found(lab) if (it.topic, it.state) == (Topic.TYPES, Level.WARNING)]
    assert [("USER" in it, "'user' (2 entries)" in it, "'NEW' (1 entry)" in it) for it in warned] == [
        (True, True, False),
        (False, False, True),
    ]
