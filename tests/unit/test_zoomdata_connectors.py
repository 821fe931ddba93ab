"""Zoomdata's connectors: choosing one by version, filling in parameters, masking secrets."""

from dataclasses import replace
from typing import Any

import pytest

from indexer.elastic.server import Product, Server, Version
from indexer.errors import WrongUsage
from indexer.zoomdata.connections import connection_body
from indexer.zoomdata.connectors import (
    MASK,
    Access,
    Connector,
    best_connector,
    connectors_for,
    fill_parameters,
    mask_secrets,
    version_note,
)
from tests.support.zoomdata_stand_in import PARAMETERS, TYPES, connector

ACCESS = Access("https://es:9200", "log-cluster", "zoomdata", "s3cret")
SEVEN, EIGHT = connectors_for(Product.ELASTICSEARCH, TYPES)
(TWO,) = connectors_for(Product.OPENSEARCH, TYPES)


def elasticsearch(*version: int) -> Server:
    return Server((version[0], version[1], version[2]), lifecycle=True)


def opensearch(*version: int) -> Server:
    return replace(elasticsearch(*version), product=Product.OPENSEARCH)


def with_parameters(*parameters: dict[str, Any]) -> Connector:
    (made,) = connectors_for(
        Product.ELASTICSEARCH, [connector("8.0", "8.1", "8.17", parameters=list(parameters))]
    )
    return made


def parameter(key: str, label: str = "", *, required: bool = True) -> dict[str, Any]:
    return {"key": key, "label": label, "required": required}


def values(chosen: Connector, **given: str) -> dict[str, Any]:
    return {it["key"]: it["value"] for it in fill_parameters(chosen, ACCESS, given)[0]}


def test_a_connector_is_known_by_its_name_or_its_storage_type() -> None:
    """Connectors of other products are ignored; "opensearch" has precedence over "elastic"."""
    told = [
        {"id": 1, "name": "Elasticsearch 8", "subStorageType": "X"},
        {"id": 2, "name": "Search", "subStorageType": "ELASTIC_SEARCH_7_0"},
        {"id": 3, "name": "Elastic Search", "subStorageType": "Y"},
        {"id": 4, "name": "OpenSearch", "subStorageType": "X"},
        {"id": 5, "name": "Search", "subStorageType": "OPEN_SEARCH"},
        {"id": 6, "name": "Elasticsearch and OpenSearch", "subStorageType": "Y"},
        {"id": 7, "name": "Solr", "subStorageType": "SOLR"},
    ]
    assert [it.id for it in connectors_for(Product.OPENSEARCH, told)] == ["4", "5", "6"]
    assert [it.id for it in connectors_for(Product.ELASTICSEARCH, told)] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("server", "expected", "doubtful"),
    [
        ((7, 0, 0), SEVEN, False),
        ((7, 17, 28), SEVEN, False),
        ((8, 0, 1), EIGHT, True),
        ((8, 1, 0), EIGHT, False),
        ((8, 17, 9), EIGHT, False),
        ((8, 19, 16), EIGHT, True),
        ((9, 1, 5), EIGHT, True),
        ((6, 8, 23), None, None),
    ],
)
def test_the_connector_is_chosen_by_the_servers_version(
    server: tuple[int, int, int],
    expected: Connector | None,
    doubtful: bool | None,  # noqa: FBT001
) -> None:
    """One that supports the version, else the next best with a note; never one for later versions only."""
    chosen = best_connector([EIGHT, SEVEN], server)
    assert chosen == expected
    if chosen is not None:
        assert bool(version_note(chosen, elasticsearch(*server))) is doubtful


@pytest.mark.parametrize(
    ("version", "doubtful"),
    [((2, 0, 0), False), ((2, 17, 1), False), ((2, 18, 0), True), ((2, 19, 6), True), ((3, 1, 0), True)],
)
def test_opensearch_is_documented_to_2_17(version: Version, doubtful: bool) -> None:  # noqa: FBT001
    """A note names a later version; one before 2 has no connector."""
    server = opensearch(*version)
    assert best_connector([TWO], version) == TWO
    note = version_note(TWO, server)
    assert (note is not None and f"not made for {server} (" in note) is doubtful
    assert best_connector([TWO], (1, 3, 0)) is None


def test_an_opensearch_connector_without_number_or_range_is_taken_with_a_note() -> None:
    """Its name and its range are not documented."""
    (it,) = connectors_for(Product.OPENSEARCH, [{"id": "a", "name": "OpenSearch"}])
    assert best_connector([it], (2, 17, 0)) == it
    assert "whether it supports OpenSearch 2.17.0 is unknown" in str(version_note(it, opensearch(2, 17, 0)))


def test_a_connector_of_an_earlier_version_has_a_note() -> None:
    """For 8.x the one for 7.x may work, with a note."""
    assert best_connector([SEVEN], (8, 3, 0)) == SEVEN
    assert "is not supported" in str(version_note(SEVEN, elasticsearch(8, 3, 0)))
    assert best_connector([EIGHT], (7, 17, 0)) is None


def test_without_a_range_the_version_is_that_of_the_name_with_a_note() -> None:
    """The API description has the range, but it may be missing in answers."""
    seven, eight = connectors_for(
        Product.ELASTICSEARCH,
        [{"id": "a", "name": "Elasticsearch 7.0"}, {"id": "b", "name": "x", "subStorageType": "ELASTIC_8_0"}],
    )
    assert best_connector([seven, eight], (7, 17, 28)) == seven
    assert best_connector([seven, eight], (8, 3, 0)) == eight
    assert "documented: 7.0 to 7.17 and 8.1 to 8.17" in str(version_note(seven, elasticsearch(7, 17, 28)))


def test_a_range_may_end_in_anything() -> None:
    """8.x is all of 8; anything else is no range."""
    (it,) = connectors_for(Product.ELASTICSEARCH, [connector("8.0", "8.0", "8.x")])
    assert it.supports((8, 19, 16))
    (it,) = connectors_for(Product.ELASTICSEARCH, [connector("8.0", "any", "")])
    assert (it.oldest, it.newest, it.supports((8, 19, 16))) == (None, None, False)


def test_parameters_are_known_by_their_keys_and_labels() -> None:
    """Address, cluster name, user and password; others stay empty."""
    assert values(with_parameters(*PARAMETERS)) == {
        "ES_CONNECTION_STRING": "https://es:9200",
        "CLUSTER_NAME": "log-cluster",
        "USER_NAME": "zoomdata",
        "PASSWORD": "s3cret",
    }
    by_label = with_parameters(
        parameter("P1", "Connection string"),
        parameter("P2", "Cluster"),
        parameter("P3", "User name"),
        parameter("P4", "Password"),
    )
    assert list(values(by_label).values()) == ["https://es:9200", "log-cluster", "zoomdata", "s3cret"]


def test_each_parameter_is_sent_as_the_interface_wants_it() -> None:
    """Key, value and systemAccess."""
    filled, missing = fill_parameters(with_parameters(parameter("URL")), ACCESS, {})
    assert filled == [{"key": "URL", "value": "https://es:9200", "systemAccess": False}]
    assert missing == []


@pytest.mark.parametrize(
    "key",
    ["PROXY_PASSWORD", "TRUSTSTORE_PASSWORD", "AWS_USER", "SSH_USER", "MAGIC", "KEYSTORE_URL", "SNIFF_NODES"],
)
def test_unknown_parameters_are_not_filled_in(key: str) -> None:
    """A required parameter of unknown meaning is reported as missing."""
    filled, missing = fill_parameters(with_parameters(parameter(key, "Something")), ACCESS, {})
    assert filled == []
    assert [str(it) for it in missing] == [f"{key} (Something)"]


def test_ambiguous_parameters_are_not_filled_in() -> None:
    """Unless one is given."""
    twice = with_parameters(parameter("MAIN_URL"), parameter("OTHER_URL", required=False))
    assert fill_parameters(twice, ACCESS, {})[1][0].key == "MAIN_URL"
    assert values(twice, MAIN_URL="https://x:1") == {"MAIN_URL": "https://x:1"}


def test_the_type_of_the_connection_is_that_of_its_connector() -> None:
    """It differs from connector to connector."""
    for chosen, type_ in ((SEVEN, "EDC_7.0"), (EIGHT, "EDC_8.0")):
        body = connection_body(chosen, ACCESS, {}, "logs")
        assert (body["type"], body["connectionTypeId"]) == (type_, chosen.id)


def test_given_values_have_precedence_and_must_exist() -> None:
    """An unknown key is wrong usage; the error lists the known keys."""
    chosen = with_parameters(*PARAMETERS)
    assert values(chosen, CLUSTER_NAME="other", AWS_REGION="eu")["CLUSTER_NAME"] == "other"
    with pytest.raises(WrongUsage, match=r"no parameter 'CLUSTER'.*ES_CONNECTION_STRING, CLUSTER_NAME"):
        fill_parameters(chosen, ACCESS, {"CLUSTER": "x"})


def test_without_a_user_there_is_none() -> None:
    """An optional user stays empty, a required one is missing."""
    nobody = Access("http://es:9200", "c", None, None)
    optional, _ = fill_parameters(with_parameters(*PARAMETERS), nobody, {})
    assert {it["key"] for it in optional} == {"ES_CONNECTION_STRING", "CLUSTER_NAME"}
    _, missing = fill_parameters(with_parameters(parameter("USER_NAME")), nobody, {})
    assert [it.key for it in missing] == ["USER_NAME"]


@pytest.mark.parametrize(
    "key",
    ["PASSWORD", "password", "PWD", "CLIENT_SECRET", "ACCESS_TOKEN", "API_KEY", "apikey", "PRIVATE_KEY"],
)
def test_secrets_are_masked(key: str) -> None:
    """By the key of the parameter, at any depth of a body."""
    shown = mask_secrets({"a": [{"allParameters": [{"key": key, "value": "s3cret"}]}]}, None)
    assert "s3cret" not in str(shown)
    assert shown["a"][0]["allParameters"][0]["value"] == MASK


def test_the_password_is_masked_under_any_key_and_the_rest_is_shown() -> None:
    """The key of the parameter may have any name."""
    body = {
        "allParameters": [{"key": "X", "value": "s3cret"}, {"key": "USER_NAME", "value": "zoomdata"}],
        "n": 1,
    }
    shown = mask_secrets(body, "s3cret")
    assert shown == {
        "allParameters": [{"key": "X", "value": MASK}, {"key": "USER_NAME", "value": "zoomdata"}],
        "n": 1,
    }
    assert "s3cret" not in repr(ACCESS)
