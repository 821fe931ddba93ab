"""Rolling over and deleting old indices by ourselves: `indexer template rollover` and `indexer run --rollover`."""

import json
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from indexer.elastic.alias import write_index
from indexer.elastic.client import connect
from indexer.elastic.cluster import Cluster
from indexer.errors import NotInstalled
from indexer.settings import RolloverPolicy
from indexer.setup import rollover
from indexer.setup.rollover import CannotRollOver, RolloverResult, look, roll_over_if_due
from tests.integration.test_follow import writing
from tests.support.lab import LOG, Lab, joined, numbered, until

AT_ONCE = RolloverPolicy(rollover_age="1ms", retain="forever")
OLD_AT_ONCE = RolloverPolicy(rollover_age="365d", retain="1ms")


def index(lab: Lab, *numbers: int) -> list[str]:
    return [f"{lab.connection.alias}-{number:06}" for number in numbers]


def behind(lab: Lab) -> list[str]:
    return sorted(lab.client.indices.get_alias(name=lab.connection.alias))


@pytest.fixture
def filled(lab: Lab) -> Lab:
    """A laboratory with an entry in the write index."""
    lab.run(lab.log(joined(numbered(1))))
    lab.client.indices.refresh(index=lab.connection.alias)
    return lab


def test_an_index_that_is_old_or_large_enough_is_rolled_over(filled: Lab) -> None:
    """Either is enough; neither, and nothing happens; an empty one never does, however old."""
    turned = partial(roll_over_if_due, filled.cluster)
    assert turned(RolloverPolicy()) == RolloverResult()
    assert turned(RolloverPolicy(rollover_size="1b")).began == index(filled, 2)[0]
    assert turned(AT_ONCE) == RolloverResult()
    filled.run(filled.log(joined(numbered(2))))
    filled.client.indices.refresh(index=filled.connection.alias)
    assert turned(AT_ONCE) == RolloverResult(None, index(filled, 3)[0])
    assert behind(filled) == index(filled, 1, 2, 3)


def test_the_command_rolls_over_then_deletes_and_reports_it(filled: Lab) -> None:
    """What is printed first is what is then done; an index that is not behind the alias, or not ours, stays."""
    client, alias = filled.client, filled.connection.alias
    client.indices.rollover(alias=alias)
    client.index(index=alias, document={"user": "x"}, refresh=True)
    client.indices.create(index=f"{alias}-000000")
    client.indices.create(index=f"{alias}-restored", aliases={alias: {}})
    command = ["template", "rollover", "--rollover-age", "1ms", "--retain", "1ms"]
    printed = json.loads(filled.command(*command, "--dry-run", "--json").stdout)["requests"]
    assert [(it["method"], it["path"]) for it in printed] == [
        ("POST", f"/{alias}/_rollover/{alias}-000003"),
        ("PUT", f"/{alias}-000002/_block/write"),
        ("DELETE", f"/{alias}-000001"),
    ]
    assert behind(filled) == [*index(filled, 1, 2), f"{alias}-restored"]
    done = filled.command(*command)
    assert done.returncode == 0
    assert f"{alias}-000003 is the write index now." in done.stdout
    assert f"{alias}-000001 is deleted: its retention time has passed." in done.stdout
    assert behind(filled) == [*index(filled, 2, 3), f"{alias}-restored"]
    assert client.indices.exists(index=f"{alias}-000000")
    assert write_index(Cluster(client, filled.connection)) == index(filled, 3)[0]
    settings = client.indices.get_settings(index=f"{alias}-00000*", flat_settings=True)
    assert [name for name, held in settings.items() if "index.blocks.write" in held["settings"]] == index(
        filled, 2
    )
    assert json.loads(filled.command(*command, "--json").stdout)["deleted"] == index(filled, 2)


def test_an_index_within_its_retention_is_not_deleted(filled: Lab) -> None:
    """Its time counts from when the next one began, by the server's clock."""
    for _ in range(2):
        filled.client.indices.rollover(alias=filled.connection.alias)
    for retain in ("1h", "365d", "forever"):
        assert roll_over_if_due(filled.cluster, RolloverPolicy(retain=retain)) == RolloverResult()
    assert roll_over_if_due(filled.cluster, OLD_AT_ONCE).deleted == tuple(index(filled, 1, 2))
    assert behind(filled) == index(filled, 3)


def test_a_wrong_local_clock_deletes_nothing(filled: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is the time that the server tells."""
    filled.client.indices.rollover(alias=filled.connection.alias)
    monkeypatch.setattr(time, "time", lambda: 10.0**12)
    assert roll_over_if_due(filled.cluster, RolloverPolicy(retain="1h")).deleted == ()


def test_concurrent_rollovers_create_one_index(filled: Lab) -> None:
    """As the indexers of several Zoomdata nodes do; each of them succeeds."""
    together = threading.Barrier(4)

    def one(_: int) -> RolloverResult:
        with connect(filled.connection) as client:
            together.wait()
            return roll_over_if_due(Cluster(client, filled.connection), AT_ONCE)

    with ThreadPoolExecutor(4) as pool:
        turned = list(pool.map(one, range(4)))
    assert behind(filled) == index(filled, 1, 2)
    assert {it.began for it in turned} <= {None, index(filled, 2)[0]}
    assert index(filled, 2)[0] in {it.began for it in turned}


def test_an_alias_that_cannot_roll_over_says_why(filled: Lab) -> None:
    """The name of the next index is taken: entries go on into the old one, and the sentence names it."""
    filled.client.indices.create(index=index(filled, 2)[0])
    with pytest.raises(
        CannotRollOver, match=rf"{index(filled, 1)[0]}.*{index(filled, 2)[0]}.* already exists"
    ):
        roll_over_if_due(filled.cluster, AT_ONCE)
    done = filled.command("template", "rollover", "--rollover-age", "1ms")
    assert done.returncode == 1
    assert "cannot roll over" in done.stderr


def test_without_an_alias_there_is_nothing_to_roll_over(bare: Lab) -> None:
    """Nor is one made."""
    with pytest.raises(NotInstalled):
        look(bare.cluster, AT_ONCE)


# ---- indexer run --rollover


@pytest.fixture
def frequent_rollover(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look all the time instead of every few minutes."""
    monkeypatch.setattr(rollover, "EVERY", 0.05)


@pytest.mark.usefixtures("frequent_rollover")
def test_a_running_indexer_rolls_over_and_indexes_each_entry_once(lab: Lab) -> None:
    """Several indices later each entry is there, in one of them."""
    lines = numbered(3000)
    with lab.following(rollover_policy=AT_ONCE, batch_bytes=5_000) as indexing:

        def rolled_over(times: int) -> bool:
            return len(indexing.heard.of("index_begun")) >= times

        for turns in (1, 2, 3):
            with writing(lab.logs / LOG, lines[1000 * (turns - 1) : 1000 * turns]):
                indexing.until_created(1000 * turns - 500)
                lab.client.indices.refresh(index=lab.connection.alias)
                indexing.until(partial(rolled_over, turns))
        indexing.until_created(len(lines))
    assert lab.numbers() == list(range(len(lines)))
    begun = [name for (name,) in indexing.heard.of("index_begun")]
    assert begun == index(lab, *range(2, 2 + len(begun)))


@pytest.mark.usefixtures("frequent_rollover")
def test_a_running_indexer_deletes_what_is_old(filled: Lab) -> None:
    """And goes on writing into the new index."""
    filled.client.indices.rollover(alias=filled.connection.alias)
    with filled.following(rollover_policy=OLD_AT_ONCE, batch_bytes=5_000) as indexing:
        indexing.until(lambda: indexing.heard.of("index_deleted"))
        filled.log(joined(numbered(5)))
        indexing.until_created(4)
    assert indexing.heard.of("index_deleted") == [(index(filled, 1)[0],)]
    assert behind(filled) == index(filled, 2)


@pytest.mark.usefixtures("frequent_rollover")
def test_a_rollover_that_fails_is_said_and_holds_nothing_up(filled: Lab) -> None:
    """Entries go on into the old index; once the way is free it rolls over."""
    in_the_way = index(filled, 2)[0]
    filled.client.indices.create(index=in_the_way)
    with filled.following(rollover_policy=AT_ONCE, batch_bytes=5_000) as indexing:
        indexing.until(lambda: indexing.heard.of("rollover_failed"))
        filled.log(joined(numbered(5)))
        indexing.until_created(4)
        filled.client.indices.delete(index=in_the_way)
        indexing.until(lambda: indexing.heard.of("index_begun"))
    assert in_the_way in indexing.heard.of("rollover_failed")[0][0]
    assert behind(filled) == index(filled, 1, 2)


@pytest.mark.usefixtures("frequent_rollover")
def test_the_rollover_loop_survives_unexpected_errors(filled: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """An invalid answer or a bug is logged, and the next try rolls over. Faked: no server here gives either."""
    real = roll_over_if_due
    errors = [KeyError("_all"), StopIteration(), ZeroDivisionError("ours")]

    def failing(*how: Any) -> RolloverResult:
        if errors:
            raise errors.pop(0)
        return real(*how)

    monkeypatch.setattr(rollover, "roll_over_if_due", failing)
    with filled.following(rollover_policy=AT_ONCE, batch_bytes=5_000) as indexing:
        indexing.until(lambda: indexing.heard.of("index_begun"))
    said = [sentence for (sentence,) in indexing.heard.of("rollover_failed")]
    for sentence, what in zip(said[:2], ("KeyError '_all'", "StopIteration"), strict=True):
        assert f"its answer is not of the expected form: {what}" in sentence
    assert said[2:] == ["Unexpected: ZeroDivisionError: ours."]


def test_an_index_that_cannot_be_deleted_holds_back_no_other(filled: Lab) -> None:
    """A read-only index is reported, the others are deleted, and it is deleted once it is writable."""
    client, alias = filled.client, filled.connection.alias
    for _ in range(2):
        client.indices.rollover(alias=alias)
    oldest = index(filled, 1)[0]
    client.indices.put_settings(index=oldest, settings={"index.blocks.read_only": True})
    done = filled.command("template", "rollover", "--rollover-age", "365d", "--retain", "1ms")
    assert done.returncode == 1
    assert oldest in done.stderr
    assert behind(filled) == index(filled, 1, 3)
    client.indices.put_settings(index=oldest, settings={"index.blocks.read_only": None})
    assert roll_over_if_due(Cluster(client, filled.connection), OLD_AT_ONCE).deleted == (oldest,)


def test_an_index_without_an_assigned_shard_is_rolled_over(filled: Lab) -> None:
    """Its number of entries is unknown: its age is enough, and the next index takes entries again."""
    nowhere = {"index.routing.allocation.include._name": "nowhere"}
    filled.client.indices.rollover(
        alias=filled.connection.alias, settings=nowhere, wait_for_active_shards="0"
    )
    assert roll_over_if_due(filled.cluster, AT_ONCE).began == index(filled, 3)[0]


@pytest.mark.usefixtures("frequent_rollover")
def test_the_indexer_rolls_over_once_lifecycle_management_stops(
    filled: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That it manages the indices is logged once; when it stops, the indexer does. Faked: the server has no ILM."""
    managed = [RolloverResult(managed="policy")] * 5
    real = roll_over_if_due
    monkeypatch.setattr(rollover, "roll_over_if_due", lambda *how: managed.pop() if managed else real(*how))
    with filled.following(rollover_policy=AT_ONCE, batch_bytes=5_000) as indexing:
        indexing.until(lambda: indexing.heard.of("index_begun"))
    assert indexing.heard.of("rollover_managed") == [("policy",)]


def test_the_command_rolls_over_at_its_start(filled: Lab) -> None:
    """It does not wait for the first few minutes to pass."""
    with filled.process("run", "--rollover", "--rollover-age", "1ms", filled.logs, stderr=subprocess.DEVNULL):
        until(lambda: behind(filled) == index(filled, 1, 2))


def test_rolling_over_is_for_an_indexer_that_follows(lab: Lab) -> None:
    """With --once it is wrong usage, which says what to use."""
    done = lab.command("run", "--once", "--rollover", lab.logs)
    assert done.returncode == 2
    assert "indexer template rollover" in " ".join(done.stderr.replace("│", "").split())
