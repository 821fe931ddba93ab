"""The roles that are shipped: named after the alias, and about nothing else."""

import pytest

from indexer.elastic.server import Product
from indexer.settings import Connection
from indexer.setup.plan import OURS, Body
from indexer.setup.roles import FORMS, calls, roles

ALIAS = Connection().alias


@pytest.mark.parametrize("alias", [ALIAS, "other", 'a"b', "größe"])
def test_roles_are_named_after_the_alias_and_about_its_indices(alias: str) -> None:
    """A role that reached further would be worth more to a thief."""
    ends = ("setup", "writer", "replayer", "reader", "zoomdata")
    assert list(roles(alias)) == [f"{alias}-{end}" for end in ends]
    for body in roles(alias).values():
        names = {name for group in body["indices"] for name in group["names"]}
        assert names <= {alias, f"{alias}.*", f"{alias}-0*", f"{alias}-rejected", f"{alias}-seals"}
        assert body["metadata"]["managed_by"] == OURS


def allowed(role: Body) -> set[str]:
    """All that a role for OpenSearch's plugin allows on indices."""
    return {action for group in role["index_permissions"] for action in group["allowed_actions"]}


@pytest.mark.parametrize("alias", [ALIAS, 'a"b', "größe"])
def test_the_roles_for_opensearch_are_the_same_five(alias: str) -> None:
    """Named alike, with our mark, and about the same indices, but for a rollover: the plugin requires that on all."""
    ours = roles(alias, Product.OPENSEARCH)
    assert list(ours) == list(roles(alias))
    for body in ours.values():
        assert FORMS[Product.OPENSEARCH].ours(body)
        groups = [(set(it["index_patterns"]), it["allowed_actions"]) for it in body["index_permissions"]]
        reach = {name for names, actions in groups if actions != ["indices:admin/rollover"] for name in names}
        assert reach <= {alias, f"{alias}.*", f"{alias}-0*", f"{alias}-rejected", f"{alias}-seals"}


@pytest.mark.parametrize(
    "description",
    [None, "", f"of {OURS}", f"Managed by {OURS}-2: x", f"Not Managed by {OURS}: x"],
)
def test_a_role_without_our_mark_is_somebody_elses(description: str | None) -> None:
    """On OpenSearch the mark is the beginning of the description."""
    assert not FORMS[Product.OPENSEARCH].ours({} if description is None else {"description": description})


def test_on_opensearch_too_only_who_needs_it_may_read_change_or_delete() -> None:
    """Nobody has all; the writer searches no entry and deletes nothing, the reader writes nothing."""
    ours = {name.removeprefix(f"{ALIAS}-"): it for name, it in roles(ALIAS, Product.OPENSEARCH).items()}
    shipped = {name: body for name, body in ours.items() if name != "zoomdata"}
    deletes, writes = {"indices:data/write/delete", "indices:admin/delete"}, "indices:data/write/index"
    assert {name for name, it in shipped.items() if allowed(it) & deletes} == {"setup", "replayer"}
    assert {name for name, it in shipped.items() if writes in allowed(it)} == {"writer"}
    entries, *_ = ours["writer"]["index_permissions"]
    assert not any("read/search" in it for it in entries["allowed_actions"])
    assert not any("data/" in it for it in allowed(ours["setup"]))
    for body in shipped.values():
        actions = allowed(body) | set(body["cluster_permissions"])
        assert {it for it in actions if "*" in it} <= {"indices:admin/refresh*"}
        assert not any(":admin/opendistro" in it or "securityconfig" in it for it in actions)


def held(role: Body) -> set[str]:
    """All its index privileges."""
    return {privilege for group in role["indices"] for privilege in group["privileges"]}


def test_only_who_needs_it_may_read_change_or_delete() -> None:
    """The writer adds and reads no entry, the reader changes none; only the replayer deletes, and rejected lines alone."""
    ours = {name.removeprefix(f"{ALIAS}-"): body for name, body in roles(ALIAS).items()}
    counts = {"indices:admin/refresh*", "indices:monitor/stats*"}
    entries, rejected, seals = ours["writer"]["indices"]
    assert set(entries["privileges"]) == {
        "create_doc",
        "indices:data/read/mget*",
        "view_index_metadata",
        *counts,
    }
    assert set(rejected["privileges"]) == {"create_doc", *counts}
    assert seals == {
        "names": [f"{ALIAS}-seals"],
        "privileges": ["create_doc", "indices:admin/refresh*", "read"],
    }
    assert ours["writer"]["cluster"] == ["monitor", "read_ilm"]
    assert held(ours["reader"]) == {"indices:admin/refresh*", "read", "monitor", "view_index_metadata"}
    assert held(ours["setup"]) == {"manage"}
    (kept,) = ours["replayer"]["indices"]
    assert (kept["names"], kept["privileges"]) == ([f"{ALIAS}-rejected"], ["delete", "read"])
    assert all("manage_security" not in body["cluster"] for body in ours.values())


def test_only_the_writer_adds_documents_and_overwrites_none() -> None:
    """`create_doc` is the one privilege that adds and cannot change; nobody has one that includes more."""
    adds = {"all", "create", "create_doc", "index", "write"}
    holders = {name: held(body) & adds for name, body in roles(ALIAS).items()}
    assert {name: may for name, may in holders.items() if may} == {f"{ALIAS}-writer": {"create_doc"}}
    actions = {it for body in roles(ALIAS).values() for it in held(body) if "*" in it}
    assert actions == {"indices:data/read/mget*", "indices:admin/refresh*", "indices:monitor/stats*"}
    assert not {"all", "manage", "manage_security"} & {
        it for body in roles(ALIAS).values() for it in body["cluster"]
    }


def test_each_role_goes_to_a_path_of_its_own() -> None:
    """The name is quoted, so that it cannot be another path."""
    requests = calls("a/b c")
    assert [it.path for it in requests][:2] == [
        "/_security/role/a%2Fb%20c-setup",
        "/_security/role/a%2Fb%20c-writer",
    ]
    assert {it.method for it in requests} == {"PUT"}
    (first, *_) = calls("a/b c", Product.OPENSEARCH)
    assert first.path == "/_plugins/_security/api/roles/a%2Fb%20c-setup"
