"""Sources in Zoomdata: what they read, which fields they have and lack, and which of them are ours."""

from typing import Any

import pytest

from indexer.zoomdata.sources import (
    Wanted,
    beyond,
    connection_name,
    entity,
    is_ours,
    lacking,
    mark,
    native,
    original,
    reads,
    source,
    time_field,
    with_time_bar,
)
from tests.support.zoomdata_stand_in import as_described

ALL = Wanted("logs", "logs")
VIS = Wanted("logs.vis", "logs", "VIS", frozenset({"eventDate", "user", "timeline.A"}))
DESCRIBED = [as_described(name) for name in ("eventDate", "user", "ip", "timeline", "user.raw", "type")]


def held(*names: str, **more: Any) -> list[dict[str, Any]]:
    return [native(as_described(name), "e") | more for name in names]


def test_a_source_reads_the_alias_or_the_view_that_zoomdata_lists() -> None:
    """Before it can be known what it lists, the alias is taken."""
    for listed in (["x", "logs", "logs.vis"], None):
        for wanted in (ALL, VIS):
            reading = entity("c1", wanted, listed)
            assert reading is not None
            assert reading["index"] == {"connectionId": "c1", "collections": [wanted.name]}
            assert reading["type"] == "INDEX"


def test_without_aliases_everything_is_read_by_a_pattern_and_a_view_cannot_be() -> None:
    """The pattern leaves out rejected lines; a filter cannot be had by a pattern."""
    listed = ["logs-000001", "logs-rejected"]
    reading = entity("c1", ALL, listed)
    assert reading is not None
    assert reading["index"] == {"connectionId": "c1", "patternType": "NATIVE", "pattern": "logs-0*"}
    assert entity("c1", VIS, listed) is None
    assert entity("c1", ALL, ["logs-rejected", "other-000001"]) is None


def test_a_source_over_everything_leaves_the_fields_to_zoomdata() -> None:
    """One over a view has its own fields alone: also sub-fields and the object that a field is in."""
    reading = {"id": "entries"}
    assert "nativeFields" not in source(ALL, reading, DESCRIBED)["storage"]["dataEntities"][0]
    body = source(VIS, reading, DESCRIBED)
    fields = body["storage"]["dataEntities"][0]["nativeFields"]
    assert [original(it) for it in fields] == ["eventDate", "user", "timeline", "user.raw"]
    assert {it["origin"]["nativeOrigin"]["dataEntityId"] for it in fields} == {"entries"}
    assert (body["name"], body["storage"]["joins"]) == ("logs.vis", [])
    assert "entries of type VIS" in body["description"]


def test_a_field_is_known_by_its_name_in_elasticsearch() -> None:
    """Zoomdata may call it otherwise."""
    told = as_described("eventDate")
    assert told["name"] == "eventdate"
    assert original(told) == original(native(told, "e")) == "eventDate"
    assert original({"name": "plain"}) == "plain"
    assert time_field([*held("user"), native(told, "e")]) == "eventdate"
    assert time_field(held("user")) is None


def test_only_fields_that_have_appeared_since_are_lacking() -> None:
    """Those of the type, if the source is for one."""
    assert [original(it) for it in lacking(ALL, DESCRIBED, held("eventDate", "user"))] == [
        "ip",
        "timeline",
        "user.raw",
        "type",
    ]
    assert [original(it) for it in lacking(VIS, DESCRIBED, held("eventDate", "user.raw"))] == [
        "user",
        "timeline",
    ]
    assert lacking(VIS, DESCRIBED, held("eventDate", "user", "timeline", "user.raw")) == []


def test_fields_that_a_type_has_not_are_told() -> None:
    """Unless they are hidden, or made in Zoomdata itself."""
    derived = held("mine")[0] | {"origin": {"type": "DERIVED"}}
    assert beyond(VIS, [*held("user", "ip", "type"), *held("secret", visible=False), derived]) == [
        "ip",
        "type",
    ]
    assert beyond(ALL, held("ip")) == []


def test_the_time_bar_is_set_once() -> None:
    """What else is set stays; a span that people chose stays too."""
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
def test_the_mark_of_another_alias_is_not_ours(other: str) -> None:
    """Two installations in one Zoomdata leave each other alone."""
    assert is_ours({"description": ALL.description}, "logs")
    assert is_ours({"description": f"somebody wrote more. {mark('logs')}"}, "logs")
    assert not is_ours({"description": Wanted(other, other).description}, "logs")
    assert not is_ours({"description": None}, "logs")
    assert connection_name(other) != connection_name("logs")


def test_a_source_tells_through_which_connection_it_reads() -> None:
    """In the form of an index, or of another entity; none if it is not said."""
    body = source(ALL, entity("c1", ALL, None) or {}, [])
    assert reads(body) == ("c1", "entries")
    assert reads({"storage": {"dataEntities": [{"id": "x", "connectionId": "c2"}]}}) == ("c2", "x")
    assert reads({}) == (None, "entries")
