"""What happens to an indexer that seals, in the long run: what is a fault is found, and what is none is not."""

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from indexer.seals import sealer, sealing, state, store
from indexer.seals.journal import Journal
from indexer.seals.keys import create_key, read_signer
from indexer.seals.leaves import checkpoint_document, now
from indexer.settings import RolloverPolicy, Seals, State
from indexer.verify import sealed_index
from indexer.verify.seal_findings import Kind, SealVerification
from tests.integration.test_sealed_index import counts, inserted, last, remove
from tests.integration.test_sealing import leaves
from tests.support.lab import Lab, joined, numbered
from tests.support.real_faults.disk import small_disk


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed_index, "AGAIN_AFTER", 0.1)


@pytest.fixture
def unsealed(lab: Lab) -> Lab:
    """100 entries, and no seal."""
    lab.install()
    lab.log(joined(numbered(100)))
    lab.run()
    return lab


@pytest.fixture
def lab(lab: Lab) -> Lab:
    lab.install()
    return lab


@pytest.fixture
def sealed(lab: Lab) -> Lab:
    """100 entries, sealed."""
    lab = lab.sealing()
    lab.log(joined(numbered(100)))
    lab.run()
    return lab


def more(lab: Lab, count: int = 100) -> None:
    """Deliver more entries."""
    start = len(lab.hits())
    lab.append(numbered(count, start=start))
    lab.run()


def agreed(lab: Lab, *anchors: Path, **kinds: int) -> SealVerification:
    """What `verify --seals` says, which has to agree."""
    result = lab.verify_seals(*anchors)
    assert (counts(result), result.problems) == ({Kind(kind): count for kind, count in kinds.items()}, ())
    assert result.agrees
    return result


def reasons(lab: Lab) -> list[str]:
    """Why each seal log was begun."""
    return [
        leaf["reason"]
        for leaf in sorted(leaves(lab), key=lambda it: str(it["sealed"]))
        if leaf["kind"] == "start"
    ]


# ---- seal logs begin


def test_a_lost_state_leaves_a_gap_that_is_visible(sealed: Lab) -> None:
    shutil.rmtree(sealed.state.state_dir)
    more(sealed)
    result = agreed(sealed, present=200)
    assert reasons(sealed) == ["new", "state lost"]
    assert len(result.logs) == 2


def test_a_log_that_a_later_one_names_cannot_be_removed(sealed: Lab) -> None:
    first = last(sealed, "start")[0]["_id"][:16]
    shutil.rmtree(sealed.state.state_dir)
    more(sealed)
    seals = [hit for kind in ("start", "lines", "head", "checkpoint") for hit in last(sealed, kind, 100)]
    remove(sealed, [hit for hit in seals if hit["_id"].startswith(first)])
    result = sealed.verify_seals()
    assert not result.agrees
    assert any(first in problem and "is not in the index" in problem for problem in result.problems)


def test_yesterdays_state_begins_another_log(sealed: Lab, tmp_path: Path) -> None:
    """Its log was continued since: no two checkpoints of a log contradict each other."""
    shutil.copytree(sealed.state.state_dir, tmp_path / "backup")
    more(sealed)
    shutil.rmtree(sealed.state.state_dir)
    shutil.copytree(tmp_path / "backup", sealed.state.state_dir)
    more(sealed)
    agreed(sealed, sealed.state.state_dir, tmp_path / "backup", present=300)
    assert reasons(sealed) == ["new", "state older than the index"]


def test_a_key_that_replaces_another(sealed: Lab, tmp_path: Path) -> None:
    """Both public keys verify it; the older one alone does not."""
    older = sealed.seals.seal_key_file
    assert older is not None
    newer = tmp_path / "newer.key"
    create_key(newer, older)
    rotated = replace(sealed, seals=Seals(seal_key_file=newer))
    more(rotated)
    public = [Path(f"{key}.pub") for key in (older, newer)]
    result = rotated.verify_seals(keys=public)
    assert (counts(result), result.problems, result.agrees) == ({Kind.PRESENT: 200}, (), True)
    assert reasons(rotated) == ["new", "key changed"]
    assert not rotated.verify_seals(keys=public[:1]).agrees


def test_two_indexers_on_one_alias_have_a_log_each(sealed: Lab, tmp_path: Path) -> None:
    other = replace(sealed, state=State(tmp_path / "other"), logs=tmp_path / "others")
    other.logs.mkdir()
    other.log(joined(numbered(100, start=100)))
    other.run()
    more(sealed)
    assert len(agreed(sealed, present=300).logs) == 2


# ---- what is older than the seals


def test_entries_that_are_older_than_the_seals_are_counted(unsealed: Lab) -> None:
    more(unsealed.sealing())
    agreed(unsealed.sealing(), present=100, before_seals=100)


def test_an_insertion_among_older_entries_is_found_by_the_count(unsealed: Lab) -> None:
    lab = unsealed.sealing()
    more(lab)
    inserted(lab)
    result = lab.verify_seals()
    assert (result.before_seals, result.extra, result.agrees) == (100, 1, False)


def test_a_deletion_among_older_entries_is_found_by_the_count(unsealed: Lab) -> None:
    lab = unsealed.sealing()
    more(lab)
    remove(lab, [hit for hit in lab.hits(source=True) if hit["_source"]["n"] == 7])
    result = lab.verify_seals()
    assert not result.agrees
    assert result.problems == (
        f"1 entries of {lab.connection.alias}-000001 are missing that are older than the seals.",
    )


def test_sealing_that_was_switched_off_for_a_while_is_visible(sealed: Lab) -> None:
    """What was delivered meanwhile counts as older than the seals that follow."""
    more(replace(sealed, seals=Seals()))
    more(sealed)
    agreed(sealed, present=200, before_seals=100)
    assert reasons(sealed) == ["new", "switched off"]
    inserted(sealed)
    result = sealed.verify_seals()
    assert (result.extra, result.agrees) == (1, False)


# ---- what else happens to entries


def test_after_replay_and_repair_it_agrees(lab: Lab) -> None:
    """A line that was refused is sealed as it was read, wherever it is now."""
    index = f"{lab.connection.alias}-000001"
    lab.client.indices.put_mapping(index=index, dynamic="strict", properties={"n": {"type": "double"}})
    lab = lab.sealing()
    lab.log(joined([*numbered(99), b'{"n":99,"amount":"x"}']))
    lab.run()
    agreed(lab, present=99, rejected=1)
    lab.client.indices.rollover(alias=lab.connection.alias)
    assert lab.command("rejected", "replay").returncode == 0
    agreed(lab, present=100)
    remove(lab, [hit for hit in lab.hits(source=True) if hit["_source"]["n"] == 7])
    assert not lab.verify_seals().agrees
    assert lab.verify(repair=True).agrees
    agreed(lab, present=100)


@pytest.mark.parametrize(
    ("retain", "kind", "says"),
    [
        ("1s", Kind.EXPIRED, ""),
        ("30d", Kind.MISSING, "was deleted early"),
        (None, Kind.MISSING, "was deleted early"),
    ],
    ids=["after its retention", "before", "without a retention"],
)
def test_an_index_that_is_gone(lab: Lab, retain: str | None, kind: Kind, says: str) -> None:
    lab = lab.sealing("1s")
    policy = RolloverPolicy(retain=retain) if retain else None
    with lab.following(rollover_policy=policy) as following:
        lab.append(numbered(100))
        following.until_created(100)
        following.until(lambda: any(lines for _, lines, *_ in following.heard.of("sealed")))
        lab.client.indices.rollover(alias=lab.connection.alias)
        time.sleep(1.1)
        lab.client.indices.delete(index=f"{lab.connection.alias}-000001", ignore_unavailable=True)
        lab.append(numbered(100, start=100))
        following.until_created(200)
    result = lab.verify_seals()
    assert counts(result) == {Kind.PRESENT: 100, kind: 100}
    assert [says in problem for problem in result.problems] == ([True] if says else [])
    assert result.agrees == (kind is Kind.EXPIRED)


def test_an_index_that_is_written_and_sealed_agrees_all_the_time(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes after the newest seal is told from an insertion; so is a file that has just begun."""
    monkeypatch.setattr(sealing, "SOON", 0.5)
    monkeypatch.setattr(sealed_index, "AGAIN_AFTER", 5.0)
    lab = lab.sealing()
    unsealed = 0
    with lab.following() as following:
        for number in range(6):
            name = f"zoomdata-activity-{number // 2}.log"
            lab.append(numbered(50, start=50 * number), name)
            following.until_created(50 * (number + 1))
            result = lab.verify_seals()
            assert (result.problems, result.findings) == ((), ())
            assert result.present + result.unsealed == 50 * (number + 1)
            unsealed += result.unsealed
    assert unsealed > 0
    agreed(lab, present=300)


# ---- what happens to seals


def test_an_old_checkpoint_that_is_signed_again_does_not_look_new(sealed: Lab) -> None:
    """Somebody with the key removes the newest seals and signs what is left."""
    lab = replace(sealed, seals=replace(sealed.seals, seal_every="1s"))
    more(lab)
    assert lab.seals.seal_key_file is not None
    signer = read_signer(lab.seals.seal_key_file)
    (newest,) = last(lab, "checkpoint")
    log, note = newest["_source"]["log"], newest["_source"]["note"]
    document = checkpoint_document(
        log, newest["_source"]["size"], 1, signer.sign(note.partition("\n\n")[0] + "\n"), now()
    )
    time.sleep(2.1)
    store.create(lab.cluster, [(newest["_id"].replace("-checkpoint", "") + "1-checkpoint", document)])
    result = lab.verify_seals()
    assert not result.agrees
    assert any("older than 2 intervals" in problem for problem in result.problems)


def test_a_seals_index_that_was_lost_is_filled_again(sealed: Lab) -> None:
    """The leaves are in the state directory, too."""
    sealed.client.indices.delete(index=sealed.connection.seals)
    sealed.install()
    assert not sealed.verify_seals().agrees
    more(sealed)
    agreed(sealed, sealed.state.state_dir, present=200)
    assert reasons(sealed) == ["new"]


def test_a_seals_index_that_takes_nothing_holds_nothing_up(sealed: Lab) -> None:
    index = sealed.connection.seals
    sealed.client.indices.put_settings(index=index, settings={"index.blocks.write": True})
    with sealed.following() as following:
        sealed.append(numbered(100, start=100))
        following.until_created(100)
        following.until(lambda: following.heard.of("sealing_failed"))
        sealed.client.indices.put_settings(index=index, settings={"index.blocks.write": False})
    agreed(sealed, present=200)


class Killed(BaseException):
    """As if the process ended here."""


STEPS: list[tuple[Any, str]] = [
    (Journal, "append"),
    (state, "append"),
    (state, "save"),
    (store, "create"),
    (sealer, "_append"),
    (Journal, "drop"),
]


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("owner", "step"), STEPS, ids=[step for _, step in STEPS])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_end_at_any_step_of_sealing_loses_and_doubles_nothing(
    sealed: Lab, monkeypatch: pytest.MonkeyPatch, owner: Any, step: str, *, late: bool, times: int
) -> None:
    """A process that is killed there, once or twice in a row; a real kill -9 at random moments: test_kill.py."""
    real: Callable[..., Any] = getattr(owner, step)

    def killed(*arguments: Any, **named: Any) -> Any:
        if late:
            real(*arguments, **named)
        raise Killed

    for _ in range(times):
        sealed.append(numbered(10, start=len(sealed.hits())))
        with monkeypatch.context() as patch:
            patch.setattr(owner, step, killed)
            try:
                sealed.run()
            except Killed:
                assert step == "append"  # the journal's, which the delivery calls
    more(sealed, 10)
    read = agreed(sealed, sealed.state.state_dir, present=100 + 10 * (times + 1))
    assert read.read == 100 + 10 * (times + 1)
    sealed_lines = [leaf["entries"] for leaf in leaves(sealed) if leaf["kind"] == "lines"]
    assert sum(sealed_lines) == read.read


def test_a_full_disk_delays_sealing_and_nothing_else(lab: Lab, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        lab = replace(lab.sealing(), state=State(disk.root / "state"))
        with lab.following(batch_bytes=2000) as following:
            lab.append(numbered(100))
            following.until_created(100)
            disk.fill()
            lab.append(numbered(900, start=100))
            following.until_created(1000)
            following.until(lambda: following.heard.of("checkpoint_failed"))
            disk.make_room()
            lab.append(numbered(1, start=1000))
            following.until_created(1001)
    agreed(lab, present=1001)
