import json
import subprocess
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import unquote

import pytest

import indexer
from indexer.elastic.alias import EXISTING
from indexer.elastic.server import Product, Server
from indexer.settings import Connection, Indices, Lifecycle
from indexer.setup import roles
from indexer.setup.compare import Difference, differences, lacking, leaves
from indexer.setup.ism import offer
from indexer.setup.plan import Body, Call, Kind, Request, as_curl, directory, left_out, plan
from indexer.setup.rollover import rollover_call

FILES = directory(Path(indexer.__file__).parent)
NEW = Server(version=(9, 1, 5), lifecycle=True)
BARE = Server(version=(9, 1, 5), lifecycle=False)
OLD = Server(version=(7, 17, 28), lifecycle=False)
OPENSEARCH = Server(version=(2, 19, 6), lifecycle=False, product=Product.OPENSEARCH)
DEFAULT = Connection()
ANOTHER = Connection(alias="audit")


def from_file(name: str) -> Body:
    body: Body = json.loads((FILES / f"{name}.json").read_text(encoding="utf-8"))
    return body


def bodies(server: Server, connection: Connection = DEFAULT) -> dict[str, Body]:
    return {request.path: request.body for request in plan(server, connection)}


def test_everything_a_template_names_is_sent_before_it() -> None:
    """An admin can send the requests from top to bottom."""
    assert [f"{request.call.method} {request.call.path}" for request in plan(NEW, DEFAULT)] == [
        "PUT /_ilm/policy/zoomdata-activity",
        "PUT /_component_template/zoomdata-activity-settings",
        "PUT /_component_template/zoomdata-activity-mappings",
        "PUT /_component_template/zoomdata-activity-lifecycle",
        "PUT /_component_template/zoomdata-activity-views",
        "PUT /_index_template/zoomdata-activity",
        "PUT /_index_template/zoomdata-activity-rejected",
        "PUT /_index_template/zoomdata-activity-seals",
        "PUT /zoomdata-activity-rejected",
        "PUT /zoomdata-activity-seals",
        "PUT /zoomdata-activity-000001",
    ]


def test_the_files_are_what_is_sent_to_a_server_that_can_do_everything() -> None:
    """Putting the files by hand and installing them come to the same."""
    sent = bodies(NEW)
    assert sent["/_ilm/policy/zoomdata-activity"] == from_file("lifecycle")
    assert sent["/_component_template/zoomdata-activity-settings"] == from_file("settings")
    assert sent["/_component_template/zoomdata-activity-mappings"] == from_file("mappings")
    assert sent["/_component_template/zoomdata-activity-lifecycle"] == from_file("lifecycle-settings")
    assert sent["/_component_template/zoomdata-activity-views"] == from_file("views")
    assert sent["/_index_template/zoomdata-activity"] == from_file("template")
    assert sent["/_index_template/zoomdata-activity-rejected"] == from_file("rejected")
    assert sent["/_index_template/zoomdata-activity-seals"] == from_file("seals")


def test_no_file_is_forgotten() -> None:
    """Each file of mappings/ is sent, but for the roles, which are a command of their own, a phase that is a part, and what OpenSearch needs or is offered."""
    sent = list(bodies(NEW).values())
    unsent = [file.stem for file in FILES.glob("*.json") if from_file(file.stem) not in sent]
    others = {"roles", "roles-opensearch", "warm", "existing", "ism", "ism-warm", "ism-settings"}
    assert set(unsent) <= others


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


@pytest.mark.parametrize(
    ("server", "indices", "why"),
    [
        (BARE, Indices(), "this server has no index lifecycle management"),
        (NEW, Indices(lifecycle=Lifecycle.NONE), "--lifecycle none"),
    ],
    ids=["server without it", "not wanted"],
)
def test_without_lifecycle_management_nothing_speaks_of_it(
    server: Server, indices: Indices, why: str
) -> None:
    """A server without it refuses the settings too; what does its work instead is said."""
    sent = {request.path: request.body for request in plan(server, DEFAULT, indices)}
    assert "lifecycle" not in json.dumps(sent)
    told = left_out(server, indices)
    assert list(told) == ["lifecycle policy"]
    assert told["lifecycle policy"].startswith(why)
    assert "indexer template rollover" in told["lifecycle policy"]


@pytest.mark.parametrize(
    ("version", "missing"),
    [
        ((7, 17, 28), {"subobjects", "ignore_dynamic_beyond_limit", "@custom"}),
        ((8, 2, 3), {"subobjects", "ignore_dynamic_beyond_limit", "@custom"}),
        ((8, 3, 0), {"ignore_dynamic_beyond_limit", "@custom"}),
        ((8, 6, 2), {"ignore_dynamic_beyond_limit", "@custom"}),
        ((8, 7, 0), {"ignore_dynamic_beyond_limit"}),
        ((8, 13, 4), {"ignore_dynamic_beyond_limit"}),
        ((8, 14, 0), set()),
        ((9, 1, 5), set()),
    ],
)
def test_what_a_version_lacks_is_left_out_and_said(version: tuple[int, int, int], missing: set[str]) -> None:
    """Nothing that the server would refuse is sent, and nothing is left out in silence."""
    server = Server(version=version, lifecycle=True)
    sent = json.dumps(bodies(server))
    parts = "subobjects", "ignore_dynamic_beyond_limit", "@custom"
    assert {name for name in parts if name not in sent} == missing
    told = left_out(server)
    assert {name for name in parts if any(name in what for what in told)} == missing
    assert len(told) == len(missing)


def test_what_opensearch_lacks_is_left_out_and_said() -> None:
    """It refuses each of them (measured on 2.19.6); that no other version would do is said, too."""
    sent = json.dumps(bodies(OPENSEARCH))
    parts = "subobjects", "ignore_dynamic_beyond_limit", "@custom", "allow_auto_create"
    assert not [name for name in parts if name in sent]
    told = left_out(OPENSEARCH)
    assert {name for name in parts if any(name in what for what in told)} == set(parts)
    reasons = [why for what, why in told.items() if what != Kind.POLICY]
    assert all(why.startswith("OpenSearch does not have it: ") for why in reasons)
    assert len(told) == len(parts) + 1


def test_on_opensearch_each_index_has_an_alias_of_its_own() -> None:
    """Its component is sent before the template, which names it; the lifecycle's are not sent."""
    component = f"zoomdata-activity{EXISTING}"
    sent = bodies(OPENSEARCH)
    assert sent[f"/_component_template/{component}"] == from_file("existing")
    assert sent["/_index_template/zoomdata-activity"]["composed_of"] == [
        "zoomdata-activity-settings",
        "zoomdata-activity-mappings",
        component,
        "zoomdata-activity-views",
    ]
    assert list(sent).index(f"/_component_template/{component}") < list(sent).index(
        "/_index_template/zoomdata-activity"
    )
    assert not [path for path in sent if "lifecycle" in path or "_ilm" in path]


@pytest.mark.parametrize("server", [NEW, BARE, OLD])
def test_where_a_template_forbids_auto_creation_no_alias_is_needed(server: Server) -> None:
    """One name for each index is enough there."""
    assert EXISTING not in json.dumps(bodies(server))
    assert bodies(server)["/_index_template/zoomdata-activity"]["allow_auto_create"] is False


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
        ("zoomdata-activity-seals", False),
        ("zoomdata-activity-test-000001", False),
        ("zoomdata-activity", False),
        ("zoomdata-000001", False),
        ("zoomdata-activity2-000001", False),
    ],
)
def test_the_template_is_for_the_rolled_over_indices_alone(index: str, caught: bool) -> None:  # noqa: FBT001
    """Neither the rejected lines nor the seals nor another alias get its mapping."""
    patterns = bodies(NEW)["/_index_template/zoomdata-activity"]["index_patterns"]
    assert any(fnmatch(index, pattern) for pattern in patterns) is caught


def test_an_entry_is_kept_as_it_came_and_safe_when_acknowledged() -> None:
    """The source is the stored one, no pipeline touches it, and the translog is synced for each request."""
    sent = json.dumps(bodies(NEW))
    assert "_source" not in sent
    assert "synthetic" not in sent
    assert "pipeline" not in sent
    for path in ("_component_template/zoomdata-activity-settings", "_index_template/zoomdata-activity-seals"):
        settings = bodies(NEW)[f"/{path}"]["template"]["settings"]
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
        "template": {"settings": {"index": {"a": {"b": "false"}, "c": "2000", "d": ["y"]}, "more": {}}},
        "version": 1,
    }
    assert differences(nested, flat) == ()
    assert differences(other, flat) == (
        Difference("template.settings.index.a.b", "false", "true"),
        Difference("template.settings.index.d", '["y"]', '["x"]'),
        Difference("template.settings.more", "{}", None),
    )


def test_what_a_server_adds_beside_our_fields_is_no_difference() -> None:
    """A newer server tells when it was made; all else beside them was put there by somebody."""
    assert differences({"version": 1, "created_date_millis": 7, "composed_of": []}, {"version": 1}) == ()
    assert differences({"version": 1, "priority": 7}, {"version": 1}) == (Difference("priority", "7", None),)
    assert differences({}, {"version": 1}) == (Difference("version", None, "1"),)


def test_objects_in_a_list_are_compared_field_by_field() -> None:
    """One changed dynamic template is one line to read."""
    held = {"t": [{"a": {"type": "long"}}, {"b": {"type": "long"}}]}
    ours = {"t": [{"a": {"type": "long"}}, {"b": {"type": "double"}}]}
    assert differences(held, ours) == (Difference("t[1].b.type", "long", "double"),)


def test_an_index_may_have_more_than_its_template() -> None:
    """Fields that entries brought, and settings that Elasticsearch made, are not lacking; others are."""
    held = {"a": 1, "b": {"c": 1, "d": 2}}
    assert lacking(held, {"b": {"d": "2"}}) == ()
    assert lacking(held, {"b": {"d": 3, "e": 4}}) == (
        Difference("b.d", "2", "3"),
        Difference("b.e", None, "4"),
    )


# ---- options


def changed(indices: Indices) -> set[tuple[str, str | None, str | None]]:
    """What options change in what is sent."""
    return {
        (it.path, it.installed, it.shipped)
        for default, request in zip(plan(NEW, DEFAULT), plan(NEW, DEFAULT, indices), strict=True)
        for it in differences(default.body, request.body)
    }


PHASES = "policy.phases"
SETTINGS = "template.settings.index"


@pytest.mark.parametrize(
    ("indices", "changes"),
    [
        (
            Indices(rollover_size="1gb", rollover_age="7d"),
            {
                (f"{PHASES}.hot.actions.rollover.max_primary_shard_size", "50gb", "1gb"),
                (f"{PHASES}.hot.actions.rollover.max_age", "30d", "7d"),
            },
        ),
        (Indices(retain="90d"), {(f"{PHASES}.delete.min_age", "365d", "90d")}),
        (
            Indices(retain="forever"),
            {
                (f"{PHASES}.delete.min_age", "365d", None),
                (f"{PHASES}.delete.actions.delete.delete_searchable_snapshot", "true", None),
            },
        ),
        (
            Indices(warm_after="2d"),
            {
                (f"{PHASES}.warm.min_age", None, "2d"),
                (f"{PHASES}.warm.actions.forcemerge.max_num_segments", None, "1"),
                (f"{PHASES}.warm.actions.set_priority.priority", None, "50"),
            },
        ),
        (Indices(shards=3), {(f"{SETTINGS}.number_of_shards", "1", "3")}),
        (
            Indices(replicas=2),
            {
                (f"{SETTINGS}.auto_expand_replicas", "0-1", "false"),
                (f"{SETTINGS}.number_of_replicas", None, "2"),
            },
        ),
    ],
    ids=["rollover", "retain", "retain forever", "warm", "shards", "replicas"],
)
def test_an_option_replaces_a_single_value(
    indices: Indices, changes: set[tuple[str, str | None, str | None]]
) -> None:
    """All else is as in the files."""
    assert changed(indices) == changes


@pytest.mark.parametrize("name", [DEFAULT.rejected, DEFAULT.seals])
def test_rejected_lines_and_seals_get_as_many_copies_as_the_entries(name: str) -> None:
    """The number of replicas is for all; shards are for the entries alone."""
    sent = plan(NEW, DEFAULT, Indices(replicas=2, shards=3))
    template = leaves(next(it.body for it in sent if (it.kind, it.name) == (Kind.TEMPLATE, name)))
    assert template[f"{SETTINGS}.number_of_replicas"] == "2"
    assert template[f"{SETTINGS}.auto_expand_replicas"] == "false"
    assert template[f"{SETTINGS}.number_of_shards"] == "1"


def test_seals_outlive_the_entries() -> None:
    """Their index has no lifecycle, and every field of a seal is in its mapping: any other is rejected."""
    (body,) = (it.body for it in plan(NEW, DEFAULT) if (it.kind, it.name) == (Kind.TEMPLATE, DEFAULT.seals))
    assert "lifecycle" not in json.dumps(body)
    assert body["template"]["mappings"]["dynamic"] == "strict"
    assert body["index_patterns"] == [DEFAULT.seals]


@pytest.mark.parametrize(
    ("version", "exists", "named"),
    [((9, 1, 5), False, True), ((8, 6, 2), False, False), ((8, 6, 2), True, True)],
)
def test_an_admin_s_own_component_is_the_last_and_so_wins(
    version: tuple[int, int, int],
    exists: bool,  # noqa: FBT001
    named: bool,  # noqa: FBT001
) -> None:
    """Servers that take no name of what does not exist are told of it once it does."""
    sent = plan(Server(version=version, lifecycle=True), DEFAULT, custom=exists)
    template = next(it.body for it in sent if it.path == "/_index_template/zoomdata-activity")
    assert (template["composed_of"][-1] == "zoomdata-activity@custom") is named
    assert ("ignore_missing_component_templates" in template) is (version >= (8, 7, 0))


def test_a_request_as_a_line_of_shell_survives_every_quote() -> None:
    """Body and path come through a shell as they are; credentials may be added."""
    body = {"it's": 'a "b" $HOME `id` \\ \n é'}
    line = as_curl(Call("PUT", Request(Kind.TEMPLATE, 'a$b`c"d e', {}).path, body))
    done = subprocess.run(
        ["sh", "-c", 'ES=http://es; curl() { printf "%s\\0" "$@"; }; ' + line, "sh", "--user", "me"],
        capture_output=True,
        check=True,
    )
    arguments = done.stdout.decode().split("\0")
    assert arguments[:4] == ["-fsS", "--user", "me", "-X"]
    assert unquote(arguments[5]) == 'http://es/_index_template/a$b`c"d e'
    assert json.loads(arguments[-2]) == body


@pytest.mark.parametrize(
    "alias", ["a$(reboot)b", "a`id`b", "it's", "a$home;id&b", "a'$(id)'b", "a%24b", "a{x}b!", "~a"]
)
def test_nothing_in_a_name_is_carried_out_by_the_shell(alias: str, tmp_path: Path) -> None:
    """Each line that --dry-run prints for an alias that may be chosen: one curl with these arguments, and nothing else."""
    it = Connection(alias=alias)
    sent = [request.call for request in plan(NEW, it)] + roles.calls(alias) + offer(OPENSEARCH, it, Indices())
    sent += [
        rollover_call(alias, f"{alias}-000001"),
        Call("DELETE", Request(Kind.INDEX, it.rejected, {}).path),
    ]
    lines = "\n".join(as_curl(call) for call in sent)
    shell = 'ES=http://es; curl() { printf "%s\\0" "$@"; printf "\\0"; }; ' + lines
    done = subprocess.run(
        ["/bin/sh", "-euc", shell, "sh"],
        capture_output=True,
        check=True,
        cwd=tmp_path,
        env={"PATH": "/nowhere"},
    )
    assert not done.stderr
    commands = [each.split("\0") for each in done.stdout.decode().removesuffix("\0\0").split("\0\0")]
    assert len(commands) == len(sent)
    for arguments, call in zip(commands, sent, strict=True):
        assert arguments[:4] == ["-fsS", "-X", call.method, f"http://es{call.path}"]
        assert alias in unquote(arguments[3])
        assert (json.loads(arguments[-1]) if call.body is not None else None) == call.body


def test_the_files_are_found_inside_the_package_first_and_else_beside_it(tmp_path: Path) -> None:
    """An installed wheel has them inside; a source tree beside."""
    package = tmp_path / "indexer"
    package.mkdir()
    assert directory(package) == tmp_path / "mappings"
    (package / "mappings").mkdir()
    assert directory(package) == package / "mappings"
