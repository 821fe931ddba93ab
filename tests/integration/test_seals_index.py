"""The index of the seals: what it takes, that it is no index of entries, and what `status` and `check` say about it."""

from datetime import UTC, datetime, timedelta

import orjson
import pytest
from elasticsearch import BadRequestError

from indexer.check import check
from indexer.check.results import CheckResult, Level, Topic
from indexer.elastic.alias import backing
from indexer.elastic.last_seals import LastSeal, last_seals
from indexer.settings import Indices, LogFiles, RolloverPolicy
from indexer.setup.rollover import look
from indexer.show import as_json
from tests.support import seal_documents as documents
from tests.support.lab import Lab, joined, numbered
from tests.support.seal_documents import LOG, checkpoint, checkpoint_id, create, leaf_id

NOW = datetime.now(UTC).replace(microsecond=0)
OTHER = "fedcba9876543210"
EACH = {
    leaf_id(0): documents.start(NOW),
    leaf_id(1): documents.lines("/logs/a.log", NOW, 0, 2**40, entries=5522, rejected=2, blank=1),
    leaf_id(2): documents.lost("/logs/a.log", NOW, 2**40, 2**40 + 7),
    leaf_id(3): documents.head(NOW),
    leaf_id(4): documents.head(NOW, retain=None),
    checkpoint_id(5): checkpoint(NOW, 5),
    leaf_id(5): documents.start(NOW, OTHER, reason="state lost", previous=(documents.note(5),)),
}
"""A document of each kind."""


def ago(**time: float) -> datetime:
    return NOW - timedelta(**time)


def put(lab: Lab, *checkpoints: documents.Document, **more: documents.Document) -> None:
    """Write signed checkpoints, and other documents by their ids; they can be searched afterwards."""
    named = {checkpoint_id(it["size"], it["log"]): it for it in checkpoints} | more
    assert set(create(lab.client, lab.connection.seals, named, refresh=True)) == {201}


def found(lab: Lab) -> list[CheckResult]:
    """What `indexer check` says about the seals."""
    results = check(LogFiles([str(lab.logs)]), lab.connection, Indices(), lab.state)
    return [it for it in results if it.topic is Topic.SEALS]


def test_each_kind_is_kept_byte_for_byte(lab: Lab) -> None:
    """At once by its id; no document is replaced, and a field that is not of a seal is refused."""
    index = lab.connection.seals
    assert set(create(lab.client, index, EACH)) == {201}
    for id_, body in EACH.items():
        assert lab.source(index, id_) == orjson.dumps(body)
    assert set(create(lab.client, index, EACH)) == {409}
    with pytest.raises(BadRequestError, match="strict_dynamic_mapping_exception"):
        lab.client.create(index=index, id="more", document=documents.head(NOW) | {"more": 1})


def test_it_is_no_index_of_entries(lab: Lab) -> None:
    """Neither the alias nor its views, neither rollover nor `verify` know it; it has no lifecycle."""
    log = lab.log(joined(numbered(3)))
    lab.run(log)
    assert set(create(lab.client, lab.connection.seals, EACH, refresh=True)) == {201}
    assert lab.numbers() == [0, 1, 2]
    assert backing(lab.cluster).indices == (f"{lab.connection.alias}-000001",)
    assert lab.client.indices.get_alias(index=lab.connection.seals)[lab.connection.seals]["aliases"] == {}
    settings = lab.client.indices.get_settings(index=lab.connection.seals, flat_settings=True)
    held = settings[lab.connection.seals]["settings"]
    assert held["index.codec"] == "best_compression"
    assert not any("lifecycle" in name for name in held)
    lab.client.indices.rollover(alias=lab.connection.alias)
    planned = look(lab.cluster, RolloverPolicy(retain="1ms"))
    assert planned.expired == (f"{lab.connection.alias}-000001",)
    assert lab.verify(log).agrees
    assert orjson.loads(lab.command("summary", "--json").stdout)["entries"] == 3
    assert orjson.loads(lab.command("status", "--json").stdout)["rejected"] == 0


def test_it_is_shown_compared_and_made_again(lab: Lab) -> None:
    """Its template and itself; what was changed is put back."""
    index, client = lab.connection.seals, lab.client
    shown = lab.command("template", "show").stdout
    assert shown.count(f"{index} ") >= 2
    client.indices.put_index_template(name=index, index_patterns=[index], priority=500)
    client.indices.delete(index=index)
    differing = lab.command("template", "diff", "--json")
    told = {it["what"]: it["missing"] for it in orjson.loads(differing.stdout)["deviations"]}
    assert (differing.returncode, told) == (1, {f"index template {index}": False, f"index {index}": True})
    assert lab.command("template", "install", "--force").returncode == 0
    assert lab.command("template", "diff").returncode == 0
    assert client.indices.get_mapping(index=index)[index]["mappings"]["dynamic"] == "strict"


def test_sealing_does_not_make_it(lab: Lab) -> None:
    """Switched on before `template install`, or after a deletion: sealing says what to do, and afterwards seals all."""
    index, client, sealing = lab.connection.seals, lab.client, lab.sealing()
    for count in (3, 6):
        client.indices.delete(index=index)
        client.indices.delete_index_template(name=index)
        lab.append(numbered(3, start=count - 3))
        with sealing.following() as running:
            running.until_created(3)
            running.until(lambda running=running: running.heard.of("sealing_failed"))  # type: ignore[misc]
        reason, _ = running.heard.of("sealing_failed")[0]
        assert reason == f"there is no index {index}: run `indexer template install`"
        assert not client.indices.exists(index=index)
        lab.install()
        sealing.run()
        assert client.indices.get_mapping(index=index)[index]["mappings"]["dynamic"] == "strict"
        result = sealing.verify_seals()
        assert (result.present, result.agrees) == (count, True)


def test_the_newest_signed_checkpoint_of_each_seal_log_is_found(lab: Lab) -> None:
    """A seal log that a newer one names as its previous one is over; without the index there is nothing."""
    index = lab.connection.seals
    assert last_seals(lab.client, index) == ()
    put(lab, *(checkpoint(ago(hours=9 - n), n, every=60) for n in range(1, 6)))
    assert last_seals(lab.client, index) == (LastSeal(LOG, ago(hours=4), 60, 5),)
    put(lab, checkpoint(ago(minutes=3), 2, OTHER))
    both = (LastSeal(OTHER, ago(minutes=3), 3600, 2), LastSeal(LOG, ago(hours=4), 60, 5))
    assert last_seals(lab.client, index) == both
    put(lab, **{leaf_id(0, OTHER): documents.start(NOW, OTHER, previous=(documents.note(5),))})
    assert last_seals(lab.client, index) == both[:1]
    lab.client.indices.delete(index=index)
    assert last_seals(lab.client, index) == ()


def test_check_says_how_old_the_seals_are(lab: Lab) -> None:
    """None are no fault, and how to begin is said; overdue ones are a warning for each seal log."""
    started = datetime.now(UTC)  # not NOW: the ages count, and this test may be the last of many
    half_an_hour = started - timedelta(minutes=30)
    (none,) = found(lab)
    assert (none.state, "indexer seal key" in none.what) == (Level.OK, True)
    put(lab, checkpoint(half_an_hour, 7, OTHER), checkpoint(half_an_hour, 9, every=600))
    recent, overdue = sorted(found(lab), key=lambda it: it.state is Level.WARNING)
    assert (recent.state, overdue.state) == (Level.OK, Level.WARNING)
    assert f"seal log {OTHER} was sealed 3" in recent.what
    assert f"seal log {LOG} was sealed 3" in overdue.what
    assert "it is due each 10 min" in overdue.what
    assert "--seal-key-file" in overdue.cure
    put(lab, checkpoint(started - timedelta(minutes=18), 10, every=600))
    assert {it.state for it in found(lab)} == {Level.OK}


def test_status_says_when_was_sealed(lab: Lab) -> None:
    """As it is in the index, whether an indexer runs or not."""
    assert orjson.loads(lab.command("status", "--json").stdout)["seals"] == []
    assert "Nothing is sealed." in lab.command("status").stdout
    put(lab, checkpoint(ago(days=1), 7))
    (told,) = orjson.loads(lab.command("status", "--json").stdout)["seals"]
    assert told == orjson.loads(as_json(LastSeal(LOG, ago(days=1), 3600, 7)))
    shown = lab.command("status").stdout
    assert LOG in shown
    assert "overdue" in shown
