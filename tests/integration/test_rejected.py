"""Rejected lines: kept with their bytes, listed, and sent again once the mapping is fixed."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from indexer.writing import dead_letters
from tests.support.lab import LOG, Lab, joined, numbered, until
from tests.support.real_faults.actions import page, short_by_one, status, truncated
from tests.support.real_faults.laboratory import FaultyLab, behind_proxy
from tests.support.real_faults.proxy import Action, Answer, CarryOut, Request, Rule, carried_out

LINES = [b'{"n":0}', b'{"n":1,"user":"x"}', b"not an object", b'{"n":2}', b'{"n":', b'{"n":3}']
"""Good and bad ones; the second is refused by a mapping in which `user` is a number and nothing else."""


def make_strict(lab: Lab, *, user: str) -> None:
    """From the next index on, `user` is of this type, and a value that is none is refused."""
    lab.client.cluster.put_component_template(
        name=f"{lab.connection.alias}-mappings",
        template={"mappings": {"properties": {"user": {"type": user}}}},
    )
    lab.client.cluster.put_component_template(
        name=f"{lab.connection.alias}-settings",
        template={"settings": {"index.mapping.ignore_malformed": False}},
    )
    lab.client.indices.rollover(alias=lab.connection.alias)


@pytest.fixture
def rejecting(lab: Lab) -> Lab:
    """A laboratory with rejected lines of three kinds: from the reader, from the mapping, from the parser."""
    make_strict(lab, user="long")
    totals = lab.run(lab.log(joined(LINES))).totals
    assert (totals.read, totals.created, totals.rejected) == (6, 3, 3)
    return lab


def local_files(lab: Lab) -> dict[str, bytes]:
    """The bytes of the lines that the state directory keeps, by id."""
    return {path.stem: path.read_bytes() for path in (lab.state.state_dir / "rejected").glob("*.line")}


def test_a_rejected_line_is_kept_with_its_description(rejecting: Lab) -> None:
    """Its bytes, its file, its offset, its type and its reason; the others are indexed."""
    listing = rejecting.rejected()
    kept = {line.offset: line for line in listing.lines}
    offsets = [sum(len(line) + 1 for line in LINES[:number]) for number in (1, 2, 4)]
    assert listing.total == 3
    assert sorted(kept) == offsets
    assert [kept[offset].text.encode() for offset in offsets] == [LINES[1], LINES[2], LINES[4]]
    assert {line.file for line in listing.lines} == {str(rejecting.logs / LOG)}
    assert "user" in kept[offsets[0]].reason
    assert kept[offsets[1]].type == "not_an_object"
    assert rejecting.rejected_bytes().keys() == {LINES[1], LINES[2], LINES[4]}
    assert rejecting.numbers() == [0, 2, 3]


def test_a_run_with_rejected_lines_ends_with_3_and_says_how_many(lab: Lab) -> None:
    """Done, and something is to be looked at."""
    done = lab.command("run", "--once", lab.log(b'not an object\n{"a":1}\n'))
    assert done.returncode == 3
    assert "2 lines read: 1 created, 0 were there already, 1 rejected and kept" in done.stdout


def test_the_list_is_a_table_or_an_object(rejecting: Lab) -> None:
    """The table shows file and reason; the object all of it."""
    shown = rejecting.command("rejected", "list", environment={"COLUMNS": "250"}).stdout
    assert "Rejected lines: 3" in shown
    assert "begin with {" in shown
    told = orjson.loads(rejecting.command("rejected", "list", "--json", "--limit", "2").stdout)
    assert (told["total"], len(told["lines"])) == (3, 2)
    assert told["lines"][0].keys() >= {"id", "file", "offset", "type", "reason", "text", "where"}


def test_replay_before_the_mapping_is_fixed_changes_nothing(rejecting: Lab) -> None:
    """Each is refused again and stays, once."""
    replayed = rejecting.command("rejected", "replay", "--json")
    assert replayed.returncode == 3, replayed.stderr
    assert orjson.loads(replayed.stdout) == {"delivered": 0, "already_there": 0, "still_rejected": 3}
    assert rejecting.rejected().total == 3


def test_replay_after_the_mapping_is_fixed_delivers_under_the_original_id(rejecting: Lab) -> None:
    """Lines that are indexed now are removed from the list, and the others stay."""
    wanted = next(line.id for line in rejecting.rejected().lines if "user" in line.reason)
    make_strict(rejecting, user="keyword")
    replayed = rejecting.command("rejected", "replay", "--json")
    assert replayed.returncode == 3, replayed.stderr
    assert orjson.loads(replayed.stdout) == {"delivered": 1, "already_there": 0, "still_rejected": 2}
    assert rejecting.stored()[wanted] == LINES[1]
    assert rejecting.rejected_bytes().keys() == {LINES[2], LINES[4]}
    assert rejecting.command("rejected", "replay").returncode == 3
    assert rejecting.numbers() == [0, 1, 2, 3]


def test_replay_of_nothing_is_done_at_once(lab: Lab) -> None:
    """There need not be a rejected line."""
    assert lab.command("rejected", "replay").returncode == 0
    assert "No line is rejected." in lab.command("rejected", "list").stdout


def test_an_entry_rejected_and_delivered_since_is_there_once(rejecting: Lab) -> None:
    """A replay after the log was read again with the fixed mapping finds it there already."""
    make_strict(rejecting, user="keyword")
    (rejecting.state.state_dir / "checkpoint.json").unlink()
    assert rejecting.run(rejecting.logs / LOG).totals.created == 1
    replayed = orjson.loads(rejecting.command("rejected", "replay", "--json").stdout)
    assert (replayed["delivered"], replayed["already_there"]) == (0, 1)
    assert rejecting.numbers() == [0, 1, 2, 3]


@pytest.mark.parametrize("length", [20, 2_000_000], ids=["short", "of many blocks"])
def test_a_line_over_the_limit_lands_in_the_state_directory(lab: Lab, length: int) -> None:
    """With its bytes; the others are indexed, and a replay delivers it once the server takes it."""
    long = b'{"n":1,"payload":"' + b"long " * (length // 5) + b'"}'
    totals = lab.run(lab.log(joined([b'{"n":0}', long, b'{"n":2}'])), max_line_bytes=20).totals
    assert (totals.read, totals.created, totals.rejected) == (3, 2, 1)
    (kept,) = lab.rejected().lines
    assert (kept.type, kept.where, kept.offset, kept.size) == ("line_too_long", "file", 8, len(long))
    assert local_files(lab) == {kept.id: long}
    assert lab.command("rejected", "replay").returncode == 0
    assert lab.stored()[kept.id] == long
    assert lab.rejected().total == 0
    assert local_files(lab) == {}


def test_a_line_that_the_rejected_index_refuses_goes_to_a_file(lab: Lab) -> None:
    """A write block on it holds nothing up."""
    lab.client.indices.put_settings(index=lab.connection.rejected, settings={"index.blocks.write": True})
    totals = lab.run(lab.log(joined(LINES))).totals
    assert (totals.created, totals.rejected) == (4, 2)
    assert sorted(local_files(lab).values()) == sorted([LINES[2], LINES[4]])
    assert {line.where for line in lab.rejected().lines} == {"file"}


def test_a_missing_rejected_index_is_made_anew_by_its_template(lab: Lab) -> None:
    """An admin may delete it to have it empty; its mapping stays fixed."""
    lab.client.indices.delete(index=lab.connection.rejected)
    assert lab.run(lab.log(joined(LINES))).totals.rejected == 2
    assert lab.rejected_bytes().keys() == {LINES[2], LINES[4]}
    (made,) = lab.client.indices.get_mapping(index=lab.connection.rejected).values()
    assert made["mappings"]["dynamic"] == "strict"


def test_where_no_index_is_made_by_itself_rejected_lines_go_to_files(lab: Lab) -> None:
    """A missing index is no reason to wait; the files are listed and replayed like the rest."""
    lab.client.indices.delete(index=lab.connection.rejected)
    setting = "action.auto_create_index"
    lab.client.cluster.put_settings(persistent={setting: f"-{lab.connection.rejected},+*"})
    try:
        totals = lab.run(lab.log(joined(LINES))).totals
    finally:
        lab.client.cluster.put_settings(persistent={setting: None})
    assert (totals.created, totals.rejected) == (4, 2)
    assert sorted(local_files(lab).values()) == sorted([LINES[2], LINES[4]])
    assert lab.rejected().total == 2
    assert orjson.loads(lab.command("rejected", "replay", "--json").stdout)["still_rejected"] == 2


def test_a_line_rejected_twice_is_kept_once(lab: Lab) -> None:
    """Reading a log again adds nothing to the list."""
    log = lab.log(joined(LINES))
    lab.run(log)
    (lab.state.state_dir / "checkpoint.json").unlink()
    assert lab.run(log).totals.rejected == 2
    assert lab.rejected().total == 2


def test_many_rejected_lines_are_all_kept_and_replayed(lab: Lab) -> None:
    """More than one question or one request holds."""
    make_strict(lab, user="long")
    lines = [b'{"n":%d,"user":"x"}' % number for number in range(2500)]
    assert (
        lab.run(lab.log(joined([*numbered(3, start=9000), *lines])), batch_bytes=20_000).totals.rejected
        == 2500
    )
    make_strict(lab, user="keyword")
    assert lab.command("rejected", "replay", "--batch-bytes", "20000").returncode == 0
    assert lab.numbers() == [*range(2500), 9000, 9001, 9002]
    assert lab.rejected().total == 0


def test_lines_that_cannot_be_deleted_stay_listed_and_are_named(rejecting: Lab) -> None:
    """They were delivered; the next replay finds that out, and takes them off."""
    make_strict(rejecting, user="keyword")
    rejecting.client.indices.add_block(index=rejecting.connection.rejected, block="write")
    done = rejecting.command("rejected", "replay")
    assert done.returncode == 1
    assert "stay on the list" in done.stderr
    assert "blocked" in done.stderr
    assert rejecting.rejected().total == 3
    rejecting.client.indices.put_settings(
        index=rejecting.connection.rejected, settings={"index.blocks.write": None}
    )
    replayed = orjson.loads(rejecting.command("rejected", "replay", "--json").stdout)
    assert replayed == {"delivered": 0, "already_there": 1, "still_rejected": 2}
    assert rejecting.rejected().total == 2


# ---- what is kept is removed only once it is taken


@pytest.fixture
def fixed(rejecting: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyLab]:
    """Behind a proxy, with a mapping that takes one of the three rejected lines."""
    make_strict(rejecting, user="keyword")
    with behind_proxy(rejecting, monkeypatch) as faulty:
        yield faulty


def fetched(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Rule:
    """Change what is answered for each document that is fetched by its id from the index of rejected lines."""

    def action(request: Request, carry_out: CarryOut) -> Answer:
        answer = carry_out(request)
        told = orjson.loads(answer.body)
        return replace(answer, body=orjson.dumps({"docs": [change(doc) for doc in told["docs"]]}))

    return lambda request: action if "-rejected/_mget" in request.path else carried_out


def failed(doc: dict[str, Any]) -> dict[str, Any]:
    error = {"type": "no_shard_available_action_exception", "reason": "the shard is away"}
    return {"_index": doc["_index"], "_id": doc["_id"], "error": error}


def without_bytes(doc: dict[str, Any]) -> dict[str, Any]:
    return doc | {"_source": {}}


def cut(doc: dict[str, Any]) -> dict[str, Any]:
    return doc | {"_source": {"bytes": doc["_source"]["bytes"][:4]}}


@pytest.mark.parametrize("change", [failed, without_bytes, cut])
def test_lines_whose_bytes_cannot_be_fetched_stay(
    fixed: FaultyLab, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    """They are neither sent nor deleted, and the command fails with their number; later they are sent."""
    before = fixed.rejected_bytes()
    fixed.proxy.rule = fetched(change)
    done = fixed.command("rejected", "replay")
    assert done.returncode == 1
    assert "3 rejected lines cannot be read, and stay on the list" in done.stderr
    assert "Traceback" not in done.stderr
    assert fixed.rejected_bytes() == before
    assert fixed.numbers() == [0, 2, 3]
    fixed.proxy.rule = lambda _: carried_out
    assert fixed.command("rejected", "replay").returncode == 3
    assert fixed.numbers() == [0, 1, 2, 3]


def test_one_line_that_cannot_be_fetched_holds_back_no_other(fixed: FaultyLab) -> None:
    """The others are sent, and taken off the list."""
    before = fixed.rejected_bytes()
    text = next(line.id for line in fixed.rejected().lines if line.text.startswith("not"))
    fixed.proxy.rule = fetched(lambda doc: failed(doc) if doc["_id"] == text else doc)
    done = fixed.command("rejected", "replay")
    assert (done.returncode, "the shard is away. Of the others 1 are in the index" in done.stderr) == (
        1,
        True,
    )
    assert fixed.rejected_bytes().keys() == before.keys() - {LINES[1]}
    assert fixed.numbers() == [0, 1, 2, 3]


@pytest.mark.parametrize("answer_to_deletion", [page, truncated, short_by_one, status(503)])
def test_lines_whose_deletion_is_not_confirmed_stay_listed(
    fixed: FaultyLab, answer_to_deletion: Action
) -> None:
    """No traceback, whatever answers; the next replay finds them in the index."""
    fixed.proxy.rule = lambda request: (
        answer_to_deletion if "-rejected/_bulk" in request.path else carried_out
    )
    done = fixed.command("rejected", "replay")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert done.stderr.count("\n") <= 2, done.stderr
    fixed.proxy.rule = lambda _: carried_out
    assert fixed.command("rejected", "replay").returncode == 3
    assert fixed.rejected_bytes().keys() == {LINES[2], LINES[4]}
    assert fixed.numbers() == [0, 1, 2, 3]


def remove(path: Path) -> None:
    path.unlink()


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("damage", [remove, cut_short], ids=["gone", "cut"])
def test_a_damaged_file_stays_and_is_named(lab: Lab, damage: Callable[[Path], None]) -> None:
    """What is not the line that was kept is not sent in its place; the other file is."""
    long = [b'{"n":%d,"payload":"long"}' % number for number in (1, 2)]
    lab.run(lab.log(joined([b'{"n":0}', *long])), max_line_bytes=20)
    ids = {data: identity for identity, data in local_files(lab).items()}
    directory = lab.state.state_dir / "rejected"
    damage(directory / f"{ids[long[0]]}.line")
    done = lab.command("rejected", "replay")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert f"1 rejected lines cannot be read, and stay on the list: {ids[long[0]]}" in done.stderr
    assert lab.numbers() == [0, 2]
    assert [kept.id for kept in lab.rejected().lines] == [ids[long[0]]]


# ---- the index of rejected lines is not well, and the alias is


def red(lab: Lab) -> None:
    """No node may have it."""
    lab.client.indices.delete(index=lab.connection.rejected)
    nowhere = {"index.routing.allocation.require._name": "nowhere"}
    lab.client.indices.create(
        index=lab.connection.rejected, settings=nowhere, wait_for_active_shards=0, timeout="1s"
    )


def flooded(lab: Lab) -> None:
    """As a disk that is nearly full leaves it: the server answers 429."""
    block = {"index.blocks.read_only_allow_delete": True}
    lab.client.indices.put_settings(index=lab.connection.rejected, settings=block)


def closed(lab: Lab) -> None:
    lab.client.indices.close(index=lab.connection.rejected)


@pytest.mark.parametrize("fault", [red, flooded, closed])
def test_a_failing_index_of_rejected_lines_holds_nothing_up(
    lab: Lab, fault: Callable[[Lab], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their lines are in files, entries go on, and the next rejected line is not waited for."""
    fault(lab)
    monkeypatch.setattr(dead_letters, "PROMPT", 6.0)
    lab.log(joined([*LINES, *numbered(500, start=10)]))
    with lab.following(batch_bytes=2000) as following:
        following.until(lambda: following.heard.totals.read == 506)
        lab.append([b"no entry either", *numbered(1, start=1000)])
        following.until(lambda: following.heard.totals.read == 508)
    totals = following.heard.totals
    assert (totals.created, totals.rejected) == (505, 3)
    assert sorted(local_files(lab).values()) == sorted([LINES[2], LINES[4], b"no entry either"])


# ---- what a crash leaves of a line that is too long


def test_only_the_owner_removes_incomplete_lines(lab: Lab) -> None:
    """Other commands leave it while it is written; after a crash the next run removes it if its log is gone."""
    log = lab.log(joined(numbered(1)) + b'{"payload":"' + b"x" * 100_000)
    parts = lab.state.state_dir / "rejected"

    def there() -> list[Path]:
        return list(parts.glob("*.part"))

    with lab.process("run", "--max-line-bytes", "200", lab.logs, stderr=subprocess.DEVNULL) as process:
        until(there)
        for other in (("run", "--once", lab.logs), ("rejected", "list"), ("rejected", "replay")):
            lab.command(*other)
            assert there(), other
        process.kill()
        process.wait()
    log.unlink()
    lab.log(joined(numbered(1, start=1)))
    assert lab.command("run", "--once", lab.logs).returncode == 0
    assert there() == []
