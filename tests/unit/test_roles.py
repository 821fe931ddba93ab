"""The roles that are shipped: named after the alias, and about nothing else."""

import pytest

from indexer.settings import Connection
from indexer.setup.plan import OURS, Body
from indexer.setup.roles import calls, roles

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
