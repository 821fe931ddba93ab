"""Elasticsearch's lifecycle management looks after the indices: its parser reads our policies, its rules are carried out.

The server is a real one with the stand-in of `tests/support/lifecycle_plugin`, which looks at the indices once a second.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import indexer
from indexer.check import check
from indexer.check.results import Level, Topic
from indexer.elastic.server import inspect_server
from indexer.settings import Indices, Lifecycle, LogFiles, RolloverPolicy
from indexer.setup import plan
from indexer.setup.removal import remove
from indexer.setup.rollover import roll_over_if_due
from indexer.setup.templates import NotAccepted, Outcome, Result, install
from indexer.status.status import status
from tests.conftest import TestServer, in_memory
from tests.support.lab import Lab, numbered, until
from tests.support.lifecycle_plugin.build import managed

POLICY = "lifecycle policy"


@pytest.fixture(scope="module")
def server(lifecycle_management: None, elasticsearch_version: str) -> Iterator[TestServer]:
    """A server with lifecycle management, in place of the run's own."""
    with managed(elasticsearch_version, in_memory()) as embedded:
        yield TestServer(embedded.url, elasticsearch_version)


def installed(lab: Lab, indices: Indices | None = None) -> dict[str, Outcome]:
    """`indexer template install`: what it says, by the thing it says it of; of the policy, without its name."""
    outcomes = install(lab.cluster, indices)
    return {outcome.what.removesuffix(f" {lab.connection.alias}"): outcome for outcome in outcomes}


def policy(lab: Lab) -> Any:
    """The policy as the server gives it."""
    return lab.client.ilm.get_lifecycle(name=lab.connection.alias)[lab.connection.alias]["policy"]


def behind(lab: Lab) -> list[str]:
    """The indices behind the alias, oldest first."""
    return sorted(lab.client.indices.get_alias(name=lab.connection.alias))


def settings(lab: Lab, index: str) -> Any:
    """The settings of an index."""
    return lab.client.indices.get_settings(index=index, flat_settings=True)[index]["settings"]


@pytest.mark.parametrize(
    "indices",
    [
        Indices(),
        Indices(retain="forever"),
        Indices(retain="90d", warm_after="7d", rollover_size="800mb", rollover_age="12h"),
        Indices(retain="45s", rollover_size="1tb", rollover_age="90m", shards=2, replicas=0),
    ],
    ids=["defaults", "forever", "warm", "short"],
)
def test_elasticsearch_accepts_the_policy_that_the_options_make(bare: Lab, indices: Indices) -> None:
    """Its parser reads the policy and gives back what was asked for; the same once more changes nothing."""
    assert inspect_server(bare.client).lifecycle
    assert installed(bare, indices)[POLICY].result is Result.CREATED
    phases = policy(bare)["phases"]
    assert phases["hot"]["actions"]["rollover"] == {
        "max_age": indices.rollover_age,
        "max_primary_shard_size": indices.rollover_size,
    }
    assert phases.get("delete", {}).get("min_age", "forever") == indices.retain
    assert phases.get("warm", {}).get("min_age") == indices.warm_after
    (first,) = behind(bare)
    assert settings(bare, first)["index.lifecycle.name"] == bare.connection.alias
    assert settings(bare, first)["index.lifecycle.rollover_alias"] == bare.connection.alias
    again = {outcome.result for outcome in installed(bare, indices).values()}
    assert again <= {Result.UNCHANGED, Result.LEFT_OUT}


def test_a_broken_policy_is_refused_with_what_is_wrong_in_it(
    bare: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An admin who misspells an option in mappings/ reads which one, and nothing else was installed."""
    mappings = tmp_path / "mappings"
    shutil.copytree(plan.directory(Path(indexer.__file__).parent), mappings)
    file = mappings / "lifecycle.json"
    file.write_text(file.read_text().replace("delete_searchable_snapshot", "delete_searchable_snapshots"))
    monkeypatch.setattr(plan, "directory", lambda _: mappings)
    with pytest.raises(
        NotAccepted, match=r"the lifecycle policy .*unknown field \[delete_searchable_snapshots\]"
    ):
        installed(bare)
    alias = bare.connection.alias
    assert alias not in bare.client.ilm.get_lifecycle()
    assert not bare.client.cluster.exists_component_template(name=f"{alias}-settings")
    assert not bare.client.indices.get(index=f"{alias}*")


def test_the_index_rolls_over_several_times_under_a_running_indexer(lab: Lab) -> None:
    """Whatever is written meanwhile is in one of the indices, once and unchanged; status shows the policy of each."""
    smaller = policy(lab)
    smaller["phases"]["hot"]["actions"]["rollover"] = {"max_docs": 50}
    lab.client.ilm.put_lifecycle(name=lab.connection.alias, policy={"phases": smaller["phases"]})
    written: list[bytes] = []

    def write() -> bool:
        """A little more each time; what was indexed counts once it is refreshed."""
        indices = len(behind(lab))
        if len(written) < 2000 * indices:  # on and on, unless a rollover is very late
            new = numbered(20, start=len(written))
            lab.append(new)
            written.extend(new)
        lab.client.indices.refresh(index=lab.connection.alias)
        return indices > 2

    lab.append([])
    with lab.following(batch_bytes=2000) as following:
        following.until(write)
        following.until(lambda: following.heard.totals.read == len(written))
    found = lab.verify()
    assert (found.agrees, found.present) == (True, len(written)), found
    assert lab.client.count(index=lab.connection.alias)["count"] == len(written)
    before = behind(lab)  # the server rolls over once more when it likes
    shown = status(LogFiles([str(lab.logs)]), lab.connection, lab.state).indices
    assert {index.index for index in shown} >= set(before)
    assert {index.lifecycle for index in shown} == {lab.connection.alias}
    assert sum(index.entries > 0 for index in shown) > 1


def test_an_old_index_becomes_warm_and_is_deleted(lab: Lab) -> None:
    """Counted from the rollover. The indexer goes on; verify finds missing what was deleted with the index.

    The seals name the policy's retention: to them it has expired.
    """
    lab = lab.sealing("1s")
    old, new = numbered(200), numbered(100, start=200)
    lab.append(old)
    alias = lab.connection.alias
    with lab.following() as following:
        following.until_created(200)
        (oldest,) = behind(lab)
        assert installed(lab, Indices(warm_after="1s", retain="1d"))[POLICY].result is Result.UPDATED
        lab.client.indices.rollover(alias=alias)
        until(lambda: settings(lab, oldest).get("index.priority") == "50")
        assert lab.verify().agrees
        assert installed(lab, Indices(retain="1s"))[POLICY].result is Result.UPDATED
        until(lambda: oldest not in behind(lab))
        lab.append(new)
        following.until_created(300)
    assert following.heard.of("delivery_failed") == []
    assert behind(lab) == [f"{alias}-000002"]
    found = lab.verify()
    assert (found.agrees, found.missing, found.present) == (False, 200, 100)
    sealed = lab.verify_seals()
    assert (sealed.agrees, sealed.expired, sealed.present, sealed.problems) == (True, 200, 100, ())


def test_the_policy_goes_only_once_no_index_needs_it(lab: Lab) -> None:
    """As long as it does, what would do its work without it has nothing to do, and removing leaves it; then it goes."""
    what = f"{POLICY} {lab.connection.alias}"
    assert roll_over_if_due(lab.cluster, RolloverPolicy(retain="1s")).managed == lab.connection.alias
    kept = {it.what: it for it in remove(lab.cluster, data=False)}
    assert kept[what].result is Result.KEPT
    assert "in use by one or more indices" in kept[what].detail
    gone = {it.what: it.result for it in remove(lab.cluster, data=True)}
    assert gone[what] is Result.REMOVED
    assert lab.connection.alias not in lab.client.ilm.get_lifecycle()


def test_lifecycle_none_leaves_lifecycle_management_out(bare: Lab) -> None:
    """Where an admin does not want it, neither a policy nor a setting of it is installed."""
    installed(bare, Indices(lifecycle=Lifecycle.NONE))
    assert bare.connection.alias not in bare.client.ilm.get_lifecycle()
    assert not [name for name in settings(bare, behind(bare)[0]) if name.startswith("index.lifecycle")]


def test_check_tells_which_index_nobody_looks_after(lab: Lab) -> None:
    """All is in order as it is installed; an index without a policy stays for ever, and a warning says so."""

    def looked_after() -> list[tuple[Level, str]]:
        found = check(LogFiles([str(lab.logs)]), lab.connection, Indices(), lab.state)
        return [(it.state, it.what) for it in found if it.topic is Topic.LIFECYCLE]

    assert looked_after() == [(Level.OK, f"policy {lab.connection.alias} manages 1 index")]
    lab.client.indices.rollover(alias=lab.connection.alias)
    first = behind(lab)[0]
    lab.client.indices.put_settings(index=first, settings={"index.lifecycle.name": None})
    assert looked_after() == [(Level.WARNING, f"no lifecycle policy manages {first}")]
