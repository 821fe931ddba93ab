"""Views: which name a type's view has, which aliases are views of ours, and which types get one."""

import orjson
import pytest

from indexer.settings import Connection
from indexer.setup.plan import Kind, plan, views_name
from indexer.setup.views import LONGEST, assigned, name_of, type_of, view_of, views_in
from tests.unit.test_templates import ANOTHER, DEFAULT, FILES, NEW

SHIPPED = orjson.loads((FILES / "views.json").read_bytes())["template"]["aliases"]
DOCUMENTED = [
    "ACCOUNT",
    "AUTHENTICATION",
    "SOURCE",
    "VIS_COMMAND",
    "VIS_DATA",
    "VIS",
    "VIS_DEF",
    "CHART",
    "RAW_DATA_EXPORT",
    "RAW_DATA_EXPORT_CSV",
    "UPLOAD",
    "USER",
    "RDD",
    "RDD_CACHE",
    "GROUP",
    "BOOKMARK",
    "SECURITY_KEY",
    "OAUTH_CLIENT",
    "OAUTH_TOKEN",
    "REQUEST",
    "TOPOLOGY",
    "TOPOLOGY_PERFORMANCE",
]
"""The vendor's "Activities Log Reference Sheet"."""


def component(connection: Connection = DEFAULT, **met: object) -> dict[str, object]:
    """The aliases that are installed."""
    for request in plan(NEW, connection, met=met):
        if request.kind is Kind.COMPONENT and request.name == views_name(connection.alias):
            aliases: dict[str, object] = request.body["template"]["aliases"]
            return aliases
    raise AssertionError("there is no component template with views")


def test_each_documented_type_has_its_view() -> None:
    """The file holds what the code makes of a type's name, and no other."""
    assert {name_of(DEFAULT.alias, each): view_of(each) for each in DOCUMENTED} == SHIPPED


def test_views_follow_the_alias_and_take_part_in_the_template() -> None:
    """Another alias has views of its own, and the index template is made of them too."""
    assert "audit.authentication" in component(ANOTHER)
    assert not any(name.startswith(DEFAULT.alias) for name in component(ANOTHER))
    (template,) = (it for it in plan(NEW, DEFAULT) if it.kind is Kind.TEMPLATE and it.name == DEFAULT.alias)
    assert views_name(DEFAULT.alias) in template.body["composed_of"]


def test_a_view_met_later_stays_and_replaces_none_that_is_shipped() -> None:
    """What was added on the server is part of the plan; a shipped one is as it is shipped."""
    met = {"zoomdata-activity.new": view_of("NEW"), "zoomdata-activity.vis": view_of("Vis")}
    assert component(DEFAULT, **met) == SHIPPED | {"zoomdata-activity.new": view_of("NEW")}


@pytest.mark.parametrize(
    "odd",
    [
        "",
        " ",
        "A B",
        "A/B",
        "a\\b",
        "A*",
        "A?",
        'A"',
        "A<B>",
        "A|B",
        "A,B",
        "A#B",
        "A:B",
        "A\n",
        "A\u200b",
        "A" * 300,
    ],
)
def test_what_no_alias_may_be_called_has_no_view(odd: str) -> None:
    """Elasticsearch would refuse the name, or nobody could read it."""
    assert name_of("activity", odd) is None


@pytest.mark.parametrize(
    "fine", ["VIS", "vis-2.0", "Größe", "活動", "A_B+C%", "x" * (LONGEST - len("activity."))]
)
def test_other_names_are_written_in_lower_case(fine: str) -> None:
    """Nothing but the case is changed."""
    assert name_of("activity", fine) == f"activity.{fine.lower()}"


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"filter": {"term": {"activityType": "VIS"}}},
        {"filter": {"term": {"status": "VIS"}}, "is_write_index": False},
        {"filter": {"term": {"activityType": 1}}, "is_write_index": False},
        view_of("VIS") | {"index_routing": "1"},
        {"filter": {"bool": {"must": []}}, "is_write_index": False},
    ],
)
def test_an_alias_of_another_form_is_no_view_of_ours(other: dict[str, object]) -> None:
    """Somebody's own alias is told by what it is, not by its name."""
    assert type_of(other) is None
    assert views_in({"activity.vis": other}, "activity") == {}


def test_a_view_under_another_name_is_none_of_ours() -> None:
    """Neither one of another alias nor one that somebody called otherwise."""
    aliases = {name: view_of("VIS") for name in ("activity.vis", "activity.visuals", "other.vis")}
    assert views_in(aliases, "activity") == {"activity.vis": view_of("VIS")}


def test_types_get_the_views_that_are_missing() -> None:
    """One that is there is not made again; one that cannot be called so is told."""
    known = {"a.vis": view_of("VIS")}
    fresh, without = assigned({"VIS": 9, "NEW": 3, "A/B": 2}, known, "a")
    assert fresh == {"a.new": view_of("NEW")}
    assert list(without) == ["A/B"]


def test_of_types_that_differ_in_case_one_has_the_view() -> None:
    """The known one, else the most frequent: the others are told whose view it is."""
    fresh, without = assigned({"vis": 9, "VIS": 1, "New": 2, "NEW": 5}, {"a.vis": view_of("VIS")}, "a")
    assert fresh == {"a.new": view_of("NEW")}
    assert without == {"vis": "a.vis is the view of VIS", "New": "a.new is the view of NEW"}
