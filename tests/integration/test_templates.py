import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.request import urlopen

import orjson
import pytest
from elasticsearch import BadRequestError, Elasticsearch

from indexer.elastic.alias import NoAlias, write_index
from indexer.elastic.cluster import Cluster
from indexer.elastic.server import inspect_server
from indexer.errors import AliasIsIndex, NoWriteIndex
from indexer.settings import Connection
from indexer.setup.templates import Outcome, Result, install
from tests.support.taken import ANY, MANY_FIELDS, METADATA, MIXED_ARRAYS, OBJECTS, VALUES

SAFE_DEPTH = 500
"""Far deeper, an entry can overflow the server's stack and end it: see mappings/README.md."""

LONG = "payload", "queries", "query", "readRequest", "request", "sourceAsString"

ACCEPTED = {
    "string, then object": (OBJECTS, ['{"a":"x"}', '{"a":{"b":1}}']),
    "object, then string": (VALUES, ['{"a":{"b":1}}', '{"a":"x"}']),
    "number, then object": (OBJECTS, ['{"a":1}', '{"a":{"b":1}}']),
    "array with an object": (OBJECTS, ['{"a":"x"}', '{"a":["x",{"b":1}]}']),
    "dotted key beside its prefix": (VALUES, ['{"a":1,"a.b":2}']),
    "two dots": (VALUES, ['{"a..b":1}']),
    "a dot alone": (VALUES, ['{".":1}']),
    "a leading dot": (VALUES, ['{".a":1}']),
    "ip as an object": (OBJECTS, ['{"ip":{"v":4}}']),
    "date as an object": (OBJECTS, ['{"eventDate":{"day":1}}']),
    "long text as an object": (OBJECTS, ['{"request":{"a":{"b":1}}}', '{"queries":[{"q":"x"}]}']),
    "dotted timeline, then a string": (VALUES, ['{"timeline":{"TOPOLOGY.CREATED":1}}', '{"timeline":"x"}']),
    "nested deep": (VALUES, ['{"a":' * SAFE_DEPTH + "1" + "}" * SAFE_DEPTH]),
    "3,000 new fields": (MANY_FIELDS, [json.dumps({f"f{number}": number for number in range(3000)})]),
    "dotted timeline": (ANY, ['{"timeline":{"TOPOLOGY.CREATED":1,"TOPOLOGY.STARTED":2}}']),
    "number, then text": (ANY, ['{"a":200}', '{"a":"n/a"}']),
    "number, then boolean": (ANY, ['{"a":1}', '{"a":true}']),
    "boolean, then text and number": (ANY, ['{"a":true}', '{"a":"n/a"}', '{"a":1}']),
    "text, then boolean and number": (ANY, ['{"a":"x"}', '{"a":true}', '{"a":1.5}']),
    "number, then array of anything": (ANY, ['{"a":1}', '{"a":[1,"x",true,null]}']),
    "whole number, then fraction": (ANY, ['{"a":200}', '{"a":1.5}', '{"b":[1,1.5]}']),
    "integer beyond 64 bits": (ANY, ['{"a":1180591620717411303424}', '{"b":1}', '{"b":1e70}']),
    "number beyond a double": (ANY, ['{"a":1e400}', '{"b":1}', '{"b":-1e400}', '{"c":1%s}' % ("0" * 400)]),
    "text of 70,000 characters": (ANY, ['{"a":"%s"}' % ("漢" * 70_000), '{"b":["x","%s"]}' % ("y" * 70_000)]),
    "text of 1,024 characters outside the BMP": (ANY, ['{"a":"%s"}' % ("😀" * 1024)]),
    "long text of one word": (ANY, ['{"request":"%s"}' % ("x" * 200_000)]),
    "long text as something else": (ANY, ['{"payload":1}', '{"payload":[true,"x"]}', '{"payload":null}']),
    "ip that is none": (ANY, ['{"ip":"unknown"}', '{"ip":5}', '{"ip":"fe80::1%eth0"}', '{"ip":null}']),
    "ip list": (ANY, ['{"ip":["10.0.0.1","2001:db8::1","unknown"]}']),
    "date that is none": (ANY, ['{"eventDate":"yesterday"}', '{"eventDate":true}', '{"eventDate":["x"]}']),
    "nothing in it": (ANY, ["{}", '{"a":null}', '{"a":[]}', '{"a":[null]}', '{"b":[[1],[2,3]]}']),
    "escapes": (ANY, ['{"a":"\\u0000\\u00e9\\/\\ud83d\\ude00"}', '{"a":"\\ud800"}']),
    "names with odd characters": (ANY, ['{"*":1,"a b":1,"a/b":1,"ü":1}', '{"%s":1}' % ("k" * 5000)]),
}
REFUSED = {
    "empty field name": '{"":1}',
    "the same key twice": '{"a":1,"a":2}',
    "metadata as a field": '{"_id":"x"}',
    "the alias field as a field": '{"@timestamp":"2026-11-23"}',
    "mixed array in a new field": '{"a":[1,"x"]}',
    "cut in half": '{"a":',
    "not a number": '{"a":NaN}',
}
TAKEN = {"mixed array in a new field": MIXED_ARRAYS, "metadata as a field": METADATA}
"""Not refused by all."""


def kinds(outcomes: list[Outcome]) -> dict[str, Result]:
    return {outcome.what: outcome.result for outcome in outcomes if outcome.result is not Result.LEFT_OUT}


def set_up(client: Elasticsearch, connection: Connection) -> list[Outcome]:
    return install(Cluster(client, connection))


def send(client: Elasticsearch, index: str, lines: list[str]) -> list[dict[str, Any]]:
    """Send lines in one bulk request and give back each one's answer; they can be searched afterwards."""
    body: Any = "".join(
        f'{{"create":{{"_id":"{number}"}}}}\n{line}\n' for number, line in enumerate(lines)
    ).encode()
    answer = client.bulk(
        index=index, operations=body, require_alias=True, refresh=True, filter_path="errors,items"
    )
    answered: Any = answer.body
    items = orjson.loads(answered) if isinstance(answered, bytes) else answered
    return [item["create"] for item in items["items"]]


def source(connection: Connection, answer: dict[str, Any]) -> bytes:
    """The stored entry as the server sends it: the client would parse it."""
    url = f"{connection.elasticsearch_url[0]}/{answer['_index']}/_source/{answer['_id']}"
    with urlopen(url) as response:
        content: bytes = response.read()
    return content


def found(client: Elasticsearch, connection: Connection, query: dict[str, Any]) -> set[str]:
    answer = client.search(index=connection.alias, query=query)
    return {hit["_id"] for hit in answer["hits"]["hits"]}


def test_install_creates_all_of_it_and_a_second_run_changes_nothing(
    client: Elasticsearch, connection: Connection
) -> None:
    """Each thing is created once, and said to be unchanged from then on."""
    first, second = kinds(set_up(client, connection)), kinds(set_up(client, connection))
    assert {f"index {connection.alias}-000001", f"index template {connection.alias}"} <= first.keys()
    assert set(first.values()) == {Result.CREATED}
    assert second == dict.fromkeys(first, Result.UNCHANGED)


def test_the_first_index_takes_what_is_written_to_the_alias(
    client: Elasticsearch, connection: Connection
) -> None:
    """The alias has a write index, made with the template, and one node is enough for it to be green."""
    set_up(client, connection)
    assert write_index(Cluster(client, connection)) == f"{connection.alias}-000001"
    settings = client.indices.get_settings(index=connection.alias, flat_settings=True)
    assert settings[f"{connection.alias}-000001"]["settings"]["index.codec"] == "best_compression"
    health = client.cluster.health(index=f"{connection.alias}*", wait_for_status="green", timeout="30s")
    assert health["status"] == "green"


def test_what_was_changed_by_hand_is_put_back(client: Elasticsearch, connection: Connection) -> None:
    """Only what differs from the files is sent again."""
    before = set_up(client, connection)
    name = f"{connection.alias}-settings"
    client.cluster.put_component_template(
        name=name,
        template={"settings": {"index.refresh_interval": "77s", "index.number_of_shards": 3}},
        meta={"managed_by": "zoomdata-indexer"},
    )
    expected = dict.fromkeys(kinds(before), Result.UNCHANGED) | {f"component template {name}": Result.UPDATED}
    assert kinds(set_up(client, connection)) == expected
    assert set(kinds(set_up(client, connection)).values()) == {Result.UNCHANGED}


def test_an_alias_that_has_rolled_over_is_left_as_it_is(
    client: Elasticsearch, connection: Connection
) -> None:
    """The next index has the template too, and the first is not made again when it is gone."""
    set_up(client, connection)
    client.indices.rollover(alias=connection.alias)
    client.indices.delete(index=f"{connection.alias}-000001")
    assert set(kinds(set_up(client, connection)).values()) == {Result.UNCHANGED}
    assert write_index(Cluster(client, connection)) == f"{connection.alias}-000002"
    properties = client.indices.get_mapping(index=connection.alias)[f"{connection.alias}-000002"]["mappings"]
    assert properties["properties"]["ip"] == {"type": "ip"}


def test_indexers_that_install_at_the_same_time_do_not_disturb_each_other(
    client: Elasticsearch, connection: Connection
) -> None:
    """All of them succeed, and one of them has made the first index."""
    with ThreadPoolExecutor(6) as pool:
        runs = [kinds(run) for run in pool.map(lambda _: set_up(client, connection), range(6))]
    made = [run[f"index {connection.alias}-000001"] for run in runs]
    assert sorted(made) == [Result.CREATED] + [Result.UNCHANGED] * 5


def test_an_index_under_the_alias_s_name_stops_the_installation(
    client: Elasticsearch, connection: Connection
) -> None:
    """It is said before anything is sent."""
    client.indices.create(index=connection.alias)
    with pytest.raises(AliasIsIndex, match=connection.alias):
        set_up(client, connection)
    assert not client.indices.exists_index_template(name=connection.alias)


def test_an_alias_without_a_write_index_stops_the_installation(
    client: Elasticsearch, connection: Connection
) -> None:
    """Which of several indices takes entries is not ours to guess."""
    for number in (1, 2):
        client.indices.create(index=f"{connection.alias}-00000{number}", aliases={connection.alias: {}})
    with pytest.raises(NoWriteIndex, match=f"{connection.alias}-000001, {connection.alias}-000002"):
        set_up(client, connection)


def test_a_first_index_without_its_alias_stops_the_installation(
    client: Elasticsearch, connection: Connection
) -> None:
    """A snapshot restored without aliases is not taken for an installation."""
    client.indices.create(index=f"{connection.alias}-000001")
    with pytest.raises(NoAlias, match="POST _aliases"):
        set_up(client, connection)


def test_the_only_index_of_an_alias_is_its_write_index(client: Elasticsearch, connection: Connection) -> None:
    """As Elasticsearch has it, unless that index says no."""
    assert write_index(Cluster(client, connection)) is None
    name = f"{connection.alias}-000001"
    client.indices.create(index=name, aliases={connection.alias: {}})
    assert write_index(Cluster(client, connection)) == name
    client.indices.put_alias(index=name, name=connection.alias, is_write_index=False)
    with pytest.raises(NoWriteIndex):
        write_index(Cluster(client, connection))


@pytest.mark.parametrize("case", ACCEPTED)
def test_awkward_entries_are_accepted_and_kept_byte_for_byte(
    client: Elasticsearch, connection: Connection, case: str
) -> None:
    """On a server that lacks what a case needs, whatever is refused says why, and the rest goes in."""
    set_up(client, connection)
    by, lines = ACCEPTED[case]
    answers = send(client, connection.alias, lines)
    accepted = [number for number, answer in enumerate(answers) if answer["status"] == 201]
    if inspect_server(client).among(by):
        assert accepted == list(range(len(lines))), answers
    else:
        assert len(accepted) < len(lines)
        assert all(answer["status"] in {201, 400} for answer in answers)
    for number in accepted:
        assert source(connection, answers[number]) == lines[number].encode()


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_entry_does_not_hold_back_its_neighbours(
    client: Elasticsearch, connection: Connection, case: str
) -> None:
    """It is answered 400, for itself alone, unless this server takes it."""
    set_up(client, connection)
    answers = send(client, connection.alias, ['{"user":"before"}', REFUSED[case], '{"user":"after"}'])
    taken = inspect_server(client).among(TAKEN.get(case, {}))
    assert [answer["status"] for answer in answers] == [201, 201 if taken else 400, 201]


def test_long_texts_are_found_by_word_and_by_phrase(client: Elasticsearch, connection: Connection) -> None:
    """A quoted KQL phrase is a match_phrase: it needs positions."""
    set_up(client, connection)
    sql, words = "select a from sales order by region", "by region, order of sales"
    send(client, connection.alias, [json.dumps({field: text}) for field in LONG for text in (sql, words)])
    for number, field in enumerate(LONG):
        one, other = str(2 * number), str(2 * number + 1)
        assert found(client, connection, {"match": {field: "region"}}) == {one, other}
        assert found(client, connection, {"match_phrase": {field: "order by region"}}) == {one}


def test_texts_can_be_grouped_by(client: Elasticsearch, connection: Connection) -> None:
    """Zoomdata and Kibana group by keywords, also in a field nobody has foreseen, and by booleans."""
    set_up(client, connection)
    send(client, connection.alias, ['{"new":"x y"}', '{"new":"x y"}', '{"new":"z"}', '{"disabled":true}'])
    aggs = {field: {"terms": {"field": field}} for field in ("new", "disabled")}
    buckets = client.search(index=connection.alias, size=0, aggs=aggs)["aggregations"]
    assert {it["key"]: it["doc_count"] for it in buckets["new"]["buckets"]} == {"x y": 2, "z": 1}
    assert [it["key"] for it in buckets["disabled"]["buckets"]] == ["true"]


def test_a_number_keeps_its_fraction_whatever_came_first(
    client: Elasticsearch, connection: Connection
) -> None:
    """A `long` would take 1.5 for 1."""
    set_up(client, connection)
    send(client, connection.alias, ['{"duration":200}', '{"duration":1.5}', '{"duration":"n/a"}'])
    assert found(client, connection, {"range": {"duration": {"gt": 1.2, "lt": 1.8}}}) == {"1"}
    aggs = {"total": {"sum": {"field": "duration"}}}
    assert client.search(index=connection.alias, aggs=aggs)["aggregations"]["total"]["value"] == 201.5


def test_dates_are_found_in_every_form_that_tools_ask_in(
    client: Elasticsearch, connection: Connection
) -> None:
    """The log's own form, without milliseconds, ISO 8601 and epoch milliseconds; `@timestamp` is the same field."""
    set_up(client, connection)
    moments = (
        '"2026-11-23 17:00:00.500"',
        '"2026-11-23 17:00:00"',
        '"2026-11-23T17:00:00.5Z"',
        "1795453200500",
    )
    send(client, connection.alias, [f'{{"eventDate":{moment}}}' for moment in moments])
    for field in ("eventDate", "@timestamp"):
        for edge in ("2026-11-23 17:00:00.400", "2026-11-23T17:00:00.400Z", "2026-11-23T17:00:00.400+00:00"):
            assert found(client, connection, {"range": {field: {"gt": edge}}}) == {"0", "2", "3"}
    assert found(client, connection, {"range": {"eventDate": {"lt": 1795453200400}}}) == {"1"}


def test_only_the_alias_s_own_indices_get_the_template(client: Elasticsearch, connection: Connection) -> None:
    """An index that merely begins alike has Elasticsearch's own defaults."""
    set_up(client, connection)
    for end in ("-test-000001", "2-000001"):
        client.indices.create(index=connection.alias + end)
        mapping = client.indices.get_mapping(index=connection.alias + end)
        assert mapping[connection.alias + end]["mappings"] == {}


def test_a_rejected_line_is_kept_with_all_there_is_to_know(
    client: Elasticsearch, connection: Connection
) -> None:
    """The index has a fixed form: a field that is not in it is refused."""
    set_up(client, connection)
    rejected = {
        "@timestamp": "2026-11-23T17:00:00.000Z",
        "file": "/opt/zoomdata/logs/zoomdata-activity.log",
        "offset": 2**40,
        "type": "document_parsing_exception",
        "reason": "failed to parse " + "x" * 70_000,
        "bytes": "eyJhIjo=",
        "size": 5,
        "text": '{"a":' + "漢" * 1000,
    }
    client.create(index=connection.rejected, id="1", document=rejected, refresh=True)
    assert client.get_source(index=connection.rejected, id="1").body == rejected
    answer = client.search(index=connection.rejected, query={"match_phrase": {"reason": "failed to parse"}})
    assert answer["hits"]["total"]["value"] == 1
    with pytest.raises(BadRequestError, match="strict_dynamic_mapping_exception"):
        client.create(index=connection.rejected, id="2", document=rejected | {"more": 1})
