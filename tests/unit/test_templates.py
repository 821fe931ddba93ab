import json
from fnmatch import fnmatch
from pathlib import Path

import pytest

import indexer
from indexer.cluster import templates
from indexer.cluster.client import Server
from indexer.cluster.templates import Kind, Result, comparable, directory, left_out, plan
from indexer.settings import Connection

FILES = directory(Path(indexer.__file__).parent)
NEW = Server(version=(9, 1, 5), lifecycle=True)
BARE = Server(version=(9, 1, 5), lifecycle=False)
OLD = Server(version=(7, 17, 28), lifecycle=False)
DEFAULT = Connection()
ANOTHER = Connection(alias="audit")


def from_file(name: str) -> templates.Body:
    body: templates.Body = json.loads((FILES / f"{name}.json").read_text(encoding="utf-8"))
    return body


def bodies(server: Server, connection: Connection = DEFAULT) -> dict[str, templates.Body]:
    return {request.path: request.body for request in plan(server, connection)}


def test_everything_a_template_names_is_sent_before_it() -> None:
    """An admin can send the requests from top to bottom."""
    assert [f"{request.method} {request.path}" for request in plan(NEW, DEFAULT)] == [
        "PUT /_ilm/policy/zoomdata-activity",
        "PUT /_component_template/zoomdata-activity-settings",
        "PUT /_component_template/zoomdata-activity-mappings",
        "PUT /_component_template/zoomdata-activity-lifecycle",
        "PUT /_index_template/zoomdata-activity",
        "PUT /_index_template/zoomdata-activity-rejected",
        "PUT /zoomdata-activity-rejected",
        "PUT /zoomdata-activity-000001",
    ]


def test_the_files_are_what_is_sent_to_a_server_that_can_do_everything() -> None:
    """Putting the files by hand and installing them come to the same."""
    sent = bodies(NEW)
    assert sent["/_ilm/policy/zoomdata-activity"] == from_file("lifecycle")
    assert sent["/_component_template/zoomdata-activity-settings"] == from_file("settings")
    assert sent["/_component_template/zoomdata-activity-mappings"] == from_file("mappings")
    assert sent["/_component_template/zoomdata-activity-lifecycle"] == from_file("lifecycle-settings")
    assert sent["/_index_template/zoomdata-activity"] == from_file("template")
    assert sent["/_index_template/zoomdata-activity-rejected"] == from_file("rejected")


def test_no_file_is_forgotten() -> None:
    """Each file of mappings/ is sent."""
    sent = list(bodies(NEW).values())
    assert [file.name for file in FILES.glob("*.json") if from_file(file.stem) not in sent] == []


def test_another_alias_takes_the_place_of_the_default_everywhere() -> None:
    """No name of the default alias is left, and the rest is the same."""
    default, another = (
        [(request.path, json.dumps(request.body)) for request in plan(NEW, connection)]
        for connection in (DEFAULT, ANOTHER)
    )
    expected = [
        (path.replace(DEFAULT.alias, "audit"), body.replace(DEFAULT.alias, "audit")) for path, body in default
    ]
    assert another == expected


def test_without_lifecycle_management_nothing_speaks_of_it() -> None:
    """A server without it refuses the settings too."""
    assert "lifecycle" not in json.dumps(bodies(BARE))
    assert [(it.what, it.result) for it in left_out(BARE, DEFAULT)] == [
        ("lifecycle policy zoomdata-activity", Result.LEFT_OUT)
    ]
    assert "will not roll over" in left_out(BARE, DEFAULT)[0].detail


@pytest.mark.parametrize(
    ("version", "missing"),
    [
        ((7, 17, 28), {"subobjects", "ignore_dynamic_beyond_limit"}),
        ((8, 2, 3), {"subobjects", "ignore_dynamic_beyond_limit"}),
        ((8, 3, 0), {"ignore_dynamic_beyond_limit"}),
        ((8, 13, 4), {"ignore_dynamic_beyond_limit"}),
        ((8, 14, 0), set()),
        ((9, 1, 5), set()),
    ],
)
def test_what_a_version_lacks_is_left_out_and_said(version: tuple[int, int, int], missing: set[str]) -> None:
    """Nothing that the server would refuse is sent, and nothing is left out in silence."""
    server = Server(version=version, lifecycle=True)
    sent = json.dumps(bodies(server))
    assert {name for name in ("subobjects", "ignore_dynamic_beyond_limit") if name not in sent} == missing
    assert {it.what.split(" ")[-1].split(".")[-1] for it in left_out(server, DEFAULT)} == missing


def test_leaving_something_out_changes_nothing_else() -> None:
    """What is left for an old server is the file without those two."""
    settings, mappings = from_file("settings"), from_file("mappings")
    del settings["template"]["settings"]["index.mapping.total_fields.ignore_dynamic_beyond_limit"]
    del mappings["template"]["mappings"]["subobjects"]
    assert bodies(OLD)["/_component_template/zoomdata-activity-settings"] == settings
    assert bodies(OLD)["/_component_template/zoomdata-activity-mappings"] == mappings


@pytest.mark.parametrize(
    ("index", "caught"),
    [
        ("zoomdata-activity-000001", True),
        ("zoomdata-activity-012345", True),
        ("zoomdata-activity-rejected", False),
        ("zoomdata-activity-test-000001", False),
        ("zoomdata-activity", False),
        ("zoomdata-000001", False),
        ("zoomdata-activity2-000001", False),
    ],
)
def test_the_template_is_for_the_rolled_over_indices_alone(index: str, caught: bool) -> None:  # noqa: FBT001
    """Neither the rejected lines nor another alias get its mapping."""
    patterns = bodies(NEW)["/_index_template/zoomdata-activity"]["index_patterns"]
    assert any(fnmatch(index, pattern) for pattern in patterns) is caught


def test_an_entry_is_kept_as_it_came_and_safe_when_acknowledged() -> None:
    """The source is the stored one, no pipeline touches it, and the translog is synced for each request."""
    sent = json.dumps(bodies(NEW))
    assert "_source" not in sent
    assert "synthetic" not in sent
    assert "pipeline" not in sent
    settings = bodies(NEW)["/_component_template/zoomdata-activity-settings"]["template"]["settings"]
    assert settings["index.translog.durability"] == "request"


def test_everything_says_whose_it_is() -> None:
    """An admin who finds one of them on the server learns where it comes from."""
    for request in plan(NEW, DEFAULT):
        meta = request.body.get("policy", request.body).get("_meta", {})
        assert request.kind is Kind.INDEX or meta["managed_by"] == "zoomdata-indexer"


def test_settings_compare_equal_in_whatever_form_the_server_gives_them() -> None:
    """Flat or nested, numbers and booleans as text or not."""
    flat = {"template": {"settings": {"index.a.b": True, "index.c": 2000, "index.d": ["x"]}}, "version": 1}
    nested = {
        "version": 1,
        "template": {"settings": {"index": {"a": {"b": "true"}, "c": "2000", "d": ["x"]}}},
    }
    other = {
        "template": {"settings": {"index": {"a": {"b": "false"}, "c": "2000", "d": ["x"]}}},
        "version": 1,
    }
    assert comparable(flat) == comparable(nested)
    assert comparable(flat) != comparable(other)


def test_the_files_are_found_inside_the_package_first_and_else_beside_it(tmp_path: Path) -> None:
    """An installed wheel has them inside; a source tree beside."""
    package = tmp_path / "indexer"
    package.mkdir()
    assert directory(package) == tmp_path / "mappings"
    (package / "mappings").mkdir()
    assert directory(package) == package / "mappings"
