"""Sources in Zoomdata: data entity, existing and missing fields, and the marker."""

from typing import Any

import pytest

from indexer.settings import Zoomdata
from indexer.zoomdata.api import Api
from indexer.zoomdata.source_install import SourceInstaller
from indexer.zoomdata.sources import (
    SourceSpec,
    connection_and_entity,
    connection_name,
    data_entity,
    extra_fields,
    is_managed,
    marker,
    missing_fields,
    native_field,
    original_name,
    source_body,
    time_field,
    with_time_bar,
)
from tests.support.zoomdata_stand_in import StandIn, as_described

ALL = SourceSpec("logs", "logs")
VIS = SourceSpec("logs.vis", "logs", "VIS", frozenset({"eventDate", "user", "timeline.A"}))
DESCRIBED = [as_described(name) for name in ("eventDate", "user", "ip", "timeline", "user.raw", "type")]


def held(*names: str, **more: Any) -> list[dict[str, Any]]:
    return [native_field(as_described(name), "e") | more for name in names]


def test_a_source_reads_the_alias_or_the_view_that_zoomdata_lists() -> None:
    """Before the connection exists, the alias or view is assumed to be listed."""
    for listed in (["x", "logs", "logs.vis"], None):
        for spec in (ALL, VIS):
            entity = data_entity("c1", spec, listed)
            assert entity is not None
            assert entity["index"] == {"connectionId": "c1", "collections": [spec.name]}
            assert entity["type"] == "INDEX"


def test_without_aliases_everything_is_read_by_a_pattern_and_a_view_cannot_be() -> None:
    """The pattern excludes rejected lines and seals; a pattern cannot replace a view."""
    listed = ["logs-000001", "logs-rejected", "logs-seals"]
    entity = data_entity("c1", ALL, listed)
    assert entity is not None
    assert entity["index"] == {"connectionId": "c1", "patternType": "NATIVE", "pattern": "logs-0*"}
    assert data_entity("c1", VIS, listed) is None
    assert data_entity("c1", ALL, ["logs-rejected", "logs-seals", "other-000001"]) is None


def test_a_source_over_the_alias_leaves_the_fields_to_zoomdata() -> None:
    """A source over a view has the fields of its type, with their sub-fields and parent objects."""
    entity = {"id": "entries"}
    assert "nativeFields" not in source_body(ALL, entity, DESCRIBED)["storage"]["dataEntities"][0]
    body = source_body(VIS, entity, DESCRIBED)
    fields = body["storage"]["dataEntities"][0]["nativeFields"]
    assert [original_name(it) for it in fields] == ["eventDate", "user", "timeline", "user.raw"]
    assert {it["origin"]["nativeOrigin"]["dataEntityId"] for it in fields} == {"entries"}
    assert (body["name"], body["storage"]["joins"]) == ("logs.vis", [])
    assert "entries of type VIS" in body["description"]


def test_a_field_is_known_by_its_name_in_elasticsearch() -> None:
    """Zoomdata's own name may differ."""
    told = as_described("eventDate")
    assert told["name"] == "eventdate"
    assert original_name(told) == original_name(native_field(told, "e")) == "eventDate"
    assert original_name({"name": "plain"}) == "plain"


@pytest.mark.parametrize("kind", ["ATTRIBUTE", "TEXT", "NUMBER", "DATE", None])
def test_the_time_is_a_field_that_zoomdata_calls_a_time(kind: str | None) -> None:
    """As described, and as a field of a source."""
    told = as_described("eventDate", "TIME")
    other = as_described("eventDate") | {"type": kind}
    assert time_field([*held("user"), told]) == time_field([native_field(told, "e")]) == "eventdate"
    assert time_field([other]) is time_field([native_field(other, "e")]) is None
    assert time_field(held("lastModifiedDate")) is None


@pytest.mark.parametrize("kind", ["TIME", "ATTRIBUTE"])
def test_a_time_bar_is_only_on_a_time(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the source has none, and a note tells why."""
    monkeypatch.setenv("INDEXER_ZOOMDATA_PASSWORD", "s3cret")
    there = StandIn(lists=["logs"], describes=lambda _: [as_described("eventDate", kind)])
    there.admit("admin", "s3cret")
    there.connections["c1"] = {}
    notes: list[str] = []
    with there.serving() as url, Api(Zoomdata(url, "admin")) as api:
        made = SourceInstaller(api.discover(), "logs", notes).install(ALL, "c1", ["logs"], None)
    assert made is not None
    (settings,) = there.settings.values()
    assert settings["timebar"]["enabled"] is (kind == "TIME")
    assert notes == (
        [] if kind == "TIME" else ["logs has no time bar: Zoomdata finds no time in a field eventDate"]
    )


def test_only_new_fields_are_missing() -> None:
    """For a source of a type, only fields of the type."""
    assert [original_name(it) for it in missing_fields(ALL, DESCRIBED, held("eventDate", "user"))] == [
        "ip",
        "timeline",
        "user.raw",
        "type",
    ]
    assert [original_name(it) for it in missing_fields(VIS, DESCRIBED, held("eventDate", "user.raw"))] == [
        "user",
        "timeline",
    ]
    assert missing_fields(VIS, DESCRIBED, held("eventDate", "user", "timeline", "user.raw")) == []


def test_fields_that_a_type_lacks_are_reported() -> None:
    """Except fields that are hidden or derived in Zoomdata."""
    derived = held("mine")[0] | {"origin": {"type": "DERIVED"}}
    assert extra_fields(VIS, [*held("user", "ip", "type"), *held("secret", visible=False), derived]) == [
        "ip",
        "type",
    ]
    assert extra_fields(ALL, held("ip")) == []


def test_the_time_bar_is_set_once() -> None:
    """Other settings and a range chosen by people are kept."""
    fresh = with_time_bar({"x": 1, "timebar": {"enabled": False, "player": {"a": 1}}}, "eventdate")
    assert fresh == {
        "x": 1,
        "timebar": {
            "enabled": True,
            "player": {"a": 1},
            "timeField": "eventdate",
            "from": "+$end_of_data_-1_week",
            "to": "+$end_of_data",
        },
    }
    chosen = {"timebar": {"enabled": True, "timeField": "eventdate", "from": "+$start_of_data", "to": "now"}}
    assert with_time_bar(chosen, "eventdate") is None
    assert with_time_bar(chosen, "other") is not None
    assert with_time_bar({}, "eventdate") is not None


@pytest.mark.parametrize("other", ["logs2", "log", "logs.vis", "my-logs"])
def test_the_marker_of_another_alias_is_ignored(other: str) -> None:
    """Two installations in one Zoomdata are independent."""
    assert is_managed({"description": ALL.description}, "logs")
    assert is_managed({"description": f"somebody wrote more. {marker('logs')}"}, "logs")
    assert not is_managed({"description": SourceSpec(other, other).description}, "logs")
    assert not is_managed({"description": None}, "logs")
    assert connection_name(other) != connection_name("logs")


def test_the_connection_of_a_source() -> None:
    """For an index and for other entities; None if it is unknown."""
    body = source_body(ALL, data_entity("c1", ALL, None) or {}, [])
    assert connection_and_entity(body) == ("c1", "entries")
    assert connection_and_entity({"storage": {"dataEntities": [{"id": "x", "connectionId": "c2"}]}}) == (
        "c2",
        "x",
    )
    assert connection_and_entity({}) == (None, "entries")
