"""The commands beside `run` and `verify`: seal now, status, prove, check, adopt, and export. Each as it is typed."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from indexer.seals.keys import create_key
from indexer.seals.state import load
from indexer.settings import Seals
from tests.support.lab import LOG, Lab, joined, numbered, until

REFUSED = b'{"n":1,,}'
"""A line that Elasticsearch rejects."""


@pytest.fixture
def lab(lab: Lab) -> Lab:
    return lab.sealing()


def key(lab: Lab) -> Path:
    assert lab.seals.seal_key_file is not None
    return lab.seals.seal_key_file


def public_key(lab: Lab) -> Path:
    return key(lab).with_name("seal.key.pub")


def with_key(lab: Lab, *arguments: Path | str) -> subprocess.CompletedProcess[str]:
    return lab.command(*arguments, "--seal-key-file", key(lab))


def status(lab: Lab, *arguments: Path | str, code: int = 0, **how: Any) -> dict[str, Any]:
    done = lab.command("seal", "status", "--json", *arguments, **how)
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = orjson.loads(done.stdout)
    return found


def some_id(lab: Lab, number: int = 0) -> str:
    return sorted(lab.stored())[number]


def overwrite(lab: Lab, identity: str, entry: bytes) -> None:
    """As an administrator of Elasticsearch can."""
    index = lab.client.search(index=lab.connection.alias, query={"ids": {"values": [identity]}})
    where = index["hits"]["hits"][0]["_index"]
    lab.client.index(index=where, id=identity, document=orjson.loads(entry), refresh=True)


# ---- seal now


def test_now_seals_what_is_pending_in_a_running_indexer(lab: Lab) -> None:
    lab.log(joined(numbered(10)))
    with lab.following() as run:
        run.until_created(10)
        until(lambda: (found := load(lab.state.state_dir / "seals")) and found.complete and found.consumed)
        lab.append(numbered(5, 10))
        run.until_created(15)
        until(lambda: status(lab)["pending"] == 5)
        before = status(lab)
        done = lab.command("seal", "now")
        assert done.returncode == 0, done.stderr
        assert "Sealed by the running indexer at " in done.stdout
        after = status(lab)
    assert (before["running"], after["running"]) == (True, True)
    assert after["pending"] == 0
    assert after["signed"] == after["leaves"] > before["signed"]


def test_now_signs_itself_where_no_indexer_runs(lab: Lab) -> None:
    """It asserts that nothing has come, too, with the interval and retention of the newest head."""
    lab.log(joined(numbered(10)))
    replace(lab, seals=replace(lab.seals, seal_every="10m")).run()
    before = status(lab)
    done = with_key(lab, "seal", "now")
    assert done.returncode == 0, done.stderr
    assert f"seal log {before['log']} has {before['leaves'] + 1} leaves, all signed" in done.stdout
    assert (status(lab)["every"], status(lab)["log"]) == (600, before["log"])


def test_after_now_an_indexer_goes_on_with_the_same_log(lab: Lab) -> None:
    lab.log(joined(numbered(10)))
    lab.run()
    assert with_key(lab, "seal", "now").returncode == 0
    log = status(lab)["log"]
    lab.append(numbered(5, 10))
    lab.run()
    assert status(lab)["log"] == log
    assert status(lab)["pending"] == 0


def test_after_an_outage_all_is_sealed_in_one_go(lab: Lab) -> None:
    """What waited for the index of the seals, and what came since."""
    lab.log(joined(numbered(10)))
    lab.client.indices.put_settings(index=lab.connection.seals, settings={"index.blocks.write": True})
    lab.run()
    lab.append(numbered(5, 10))
    lab.run()
    waiting = status(lab, code=1)
    assert (waiting["signed"], waiting["pending"]) == (0, 5)
    lab.client.indices.put_settings(index=lab.connection.seals, settings={"index.blocks.write": None})
    assert with_key(lab, "seal", "now").returncode == 0
    found = status(lab)
    assert (found["pending"], found["signed"], found["log"]) == (0, found["leaves"], waiting["log"])


def test_now_needs_the_key_where_no_indexer_runs(lab: Lab) -> None:
    done = replace(lab, seals=Seals()).command("seal", "now")
    assert done.returncode == 2
    assert "Give the private key with --seal-key-file" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_now_leaves_the_state_of_another_user_alone(lab: Lab) -> None:
    """The indexer, which runs as that user, could not go on with it."""
    lab.log(joined(numbered(10)))
    lab.run()
    os.chown(lab.state.state_dir / "checkpoint.json", 12345, -1)
    before = (lab.state.state_dir / "seals" / "state.json").read_bytes()
    done = with_key(lab, "seal", "now")
    assert done.returncode == 1
    assert "belongs to user 12345" in done.stderr
    assert (lab.state.state_dir / "seals" / "state.json").read_bytes() == before


def test_now_says_that_a_running_indexer_does_not_seal(lab: Lab) -> None:
    with replace(lab, seals=replace(lab.seals, seal_key_file=None)).following() as run:
        run.until((lab.state.state_dir / "lock").exists)
        done = lab.command("seal", "now", "--timeout", "1")
    assert done.returncode == 1
    assert "has not sealed within 1 s. Was it started with --seal-key-file?" in done.stderr


# ---- seal status


def test_status_says_how_far_the_log_is(lab: Lab, tmp_path: Path) -> None:
    anchor = tmp_path / "anchor"
    anchor.mkdir()
    lab.log(joined(numbered(10)) + b"no entry\n")
    replace(lab, seals=replace(lab.seals, seal_anchor=anchor)).run()
    found = status(lab, "--seal-anchor", anchor)
    assert (found["pending"], found["overdue"], found["running"]) == (0, False, False)
    assert found["signed"] == found["leaves"] > 2
    assert found["index"] == {"missing": 0, "checkpoint": True, "reason": None}
    assert [Path(each["path"]).parent.name for each in found["anchors"]] == ["seals", "anchor"]
    assert all(each["newest"] for each in found["anchors"])
    (anchor / f"{found['log']}.checkpoints").write_text("")
    assert [each["newest"] for each in status(lab, "--seal-anchor", anchor, code=1)["anchors"]] == [
        True,
        False,
    ]


def test_status_counts_what_is_missing_in_the_index(lab: Lab) -> None:
    lab.log(joined(numbered(10)))
    lab.run()
    log = status(lab)["log"]
    lab.client.delete(index=lab.connection.seals, id=f"{log}-000000000001", refresh=True)
    assert status(lab, code=1)["index"]["missing"] == 1


def test_status_needs_the_state_directory_alone(lab: Lab) -> None:
    lab.log(joined(numbered(10)))
    lab.run()
    found = status(lab, environment={"INDEXER_ELASTICSEARCH_URL": "http://127.0.0.1:9"})
    assert found["index"]["missing"] is None
    assert found["index"]["reason"].startswith("Not looked at: No answer from the server")


def test_status_says_that_nothing_is_sealed(lab: Lab) -> None:
    done = lab.command("seal", "status")
    assert done.returncode == 1
    assert "There is no seal log in " in done.stderr


# ---- prove, check


@pytest.fixture
def proof(lab: Lab, tmp_path: Path) -> Path:
    """Of the third entry."""
    lab.log(joined(numbered(50)))
    lab.run()
    out = tmp_path / "proof.json"
    done = lab.command("seal", "prove", some_id(lab, 2), "--out", out)
    assert done.returncode == 0, done.stderr
    return out


def checked(lab: Lab, proof: Path, *keys: Path) -> subprocess.CompletedProcess[str]:
    """Without any server or state."""
    nowhere = {"INDEXER_ELASTICSEARCH_URL": "http://127.0.0.1:9", "INDEXER_STATE_DIR": "/nonexistent"}
    given = [each for one in keys or (public_key(lab),) for each in ("--public-key", one)]
    return lab.command("seal", "check", proof, *given, environment=nowhere)


def test_a_proof_holds_without_any_server(lab: Lab, proof: Path) -> None:
    done = checked(lab, proof)
    assert done.returncode == 0, done.stderr
    offset = 2 * len(joined(numbered(1)))
    assert "The proof holds: these " in done.stdout
    assert f"were read from {lab.logs / LOG}" in done.stdout
    assert f"at offset {offset:,}" in done.stdout
    assert orjson.loads(proof.read_bytes())["text"].encode() == numbered(3)[2]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"entry": "e30="}, "the entry is not among the lines of its leaf"),
        ({"id": "0" * 28}, "its leaf is not about the file that the id names"),
        ({"leaf": "{}"}, "its leaf is not under the signed checkpoint"),
        ({"proof": "c2sp.org/tlog-proof@v1\n"}, "it is not a proof"),
        ({"version": 2}, "it is of version 2"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_changed_proof_does_not_hold(lab: Lab, proof: Path, change: dict[str, Any], reason: str) -> None:
    proof.write_bytes(orjson.dumps(orjson.loads(proof.read_bytes()) | change))
    done = checked(lab, proof)
    assert done.returncode == 1
    assert f"does not hold: {reason}" in done.stderr


def test_another_key_does_not_prove(lab: Lab, proof: Path, tmp_path: Path) -> None:
    create_key(tmp_path / "other.key")
    done = checked(lab, proof, tmp_path / "other.key.pub")
    assert done.returncode == 1
    assert "none of the keys given has signed it" in done.stderr


def test_a_rejected_line_is_proven_too(lab: Lab, tmp_path: Path) -> None:
    """One that the reader rejected, and one that Elasticsearch did."""
    lab.log(joined([*numbered(3), b"no entry", REFUSED]))
    lab.run()
    lines = lab.rejected().lines
    assert len(lines) == 2
    for line in lines:
        out = tmp_path / f"{line.id}.json"
        done = lab.command("seal", "prove", line.id, "--out", out)
        assert done.returncode == 0, done.stderr
        assert checked(lab, out).returncode == 0


def test_an_entry_of_an_older_seal_log_is_proven(lab: Lab, tmp_path: Path) -> None:
    """State and key were lost since."""
    lab.log(joined(numbered(3)))
    lab.run()
    (lab.state.state_dir / "seals" / "state.json").unlink()
    lab.append(numbered(3, 3))
    lab.run()
    done = lab.command("seal", "prove", some_id(lab), "--out", tmp_path / "old.json")
    assert done.returncode == 0, done.stderr
    assert checked(lab, tmp_path / "old.json").returncode == 0


def test_what_is_not_sealed_is_not_proven(lab: Lab, tmp_path: Path) -> None:
    """A changed entry, an inserted one, none at all, and no id."""
    lab.log(joined(numbered(3)))
    lab.run()
    changed, inserted = some_id(lab), "0" * 28
    overwrite(lab, changed, b'{"n":7}')
    lab.client.index(index=lab.connection.alias, id=inserted, document={"n": 8}, refresh=True)
    for identity, code, reason in (
        (changed, 1, "it is sealed with other bytes than the index holds"),
        (inserted, 1, "it is in no seal"),
        ("f" * 28, 1, "There is no entry"),
        ("x", 2, "is not the id of an entry"),
    ):
        done = lab.command("seal", "prove", identity, "--out", tmp_path / "proof.json")
        assert done.returncode == code
        assert reason in done.stderr
    assert not (tmp_path / "proof.json").exists()


def test_a_damaged_seal_log_proves_nothing(lab: Lab, tmp_path: Path) -> None:
    lab.log(joined(numbered(3)))
    lab.run()
    lab.client.delete(index=lab.connection.seals, id=f"{status(lab)['log']}-000000000000", refresh=True)
    done = lab.command("seal", "prove", some_id(lab), "--out", tmp_path / "proof.json")
    assert done.returncode == 1
    assert "-000000000000 is missing" in done.stderr


# ---- export


def exported(lab: Lab, out: Path, code: int = 0, file: str | Path | None = None) -> dict[str, Any]:
    done = lab.command("export", "--file", file or lab.logs / LOG, "--out", out, "--json")
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = orjson.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    "content",
    [
        joined(numbered(3000)),
        joined([*numbered(3), b"no entry", REFUSED, *numbered(3, 3)]),
        joined(numbered(5)).replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + joined(numbered(5)),
        joined(numbered(5))[:-1],
    ],
    ids=["many", "rejected", "CRLF", "byte order mark", "no line end"],
)
def test_a_log_is_rebuilt_byte_for_byte(lab: Lab, tmp_path: Path, content: bytes) -> None:
    path = lab.log(content)
    lab.run()
    path.unlink()
    found = exported(lab, tmp_path / "out.log")
    assert found["byte_for_byte"] is True
    assert (tmp_path / "out.log").read_bytes() == content
    assert found["bytes"] == len(content)


def test_a_log_that_was_read_in_parts_is_rebuilt(lab: Lab, tmp_path: Path) -> None:
    """Also where a line was read before it had its end, and where a file was read again."""
    whole = joined(numbered(20))
    for end in (500, 777, len(whole)):
        lab.log(whole[:end])
        lab.run()
    (lab.state.state_dir / "checkpoint.json").unlink()
    lab.run()
    found = exported(lab, tmp_path / "out.log", code=0)
    assert found["byte_for_byte"] is True
    assert (tmp_path / "out.log").read_bytes() == whole


def test_a_log_of_many_leaves_is_rebuilt(lab: Lab, tmp_path: Path) -> None:
    """More than come in one answer, some about the same bytes."""
    for number in range(18):
        path = lab.append(numbered(1, number))
        lab.run()
    (lab.state.state_dir / "checkpoint.json").unlink()
    lab.run()
    content = path.read_bytes()
    assert exported(lab, tmp_path / "out.log")["byte_for_byte"] is True
    assert (tmp_path / "out.log").read_bytes() == content
    done = lab.command("seal", "prove", some_id(lab, 17), "--out", tmp_path / "proof.json")
    assert done.returncode == 0, done.stderr
    assert checked(lab, tmp_path / "proof.json").returncode == 0


def test_what_is_not_known_is_told(lab: Lab, tmp_path: Path) -> None:
    """Blank lines, what stood before an entry, a line that is gone, and one that was changed."""
    first, second, third, fourth, fifth = numbered(5)
    prefixed = b"2026-05-11 06:30:00,000 " + second
    lab.log(joined([first, b"", prefixed, third, fourth, fifth]))
    lab.run()
    ids = sorted(lab.stored())
    lab.client.delete(index=f"{lab.connection.alias}-000001", id=ids[2], refresh=True)
    overwrite(lab, ids[3], b'{"n":7}')
    found = exported(lab, tmp_path / "out.log", code=3)
    assert (tmp_path / "out.log").read_bytes() == joined([first, second, fifth])
    assert found["byte_for_byte"] is False
    assert [gap["reason"] for gap in found["first"]] == [
        "blank lines, or bytes that are not sealed",
        "bytes before the entry are not kept",
        "the line is sealed, and not in the index",
        "the line is sealed with other bytes than the index holds",
    ]
    assert found["gaps"] == 4
    assert found["first"][0] | {"reason": ""} == {
        "start": len(first) + 1,
        "end": len(first) + 2,
        "reason": "",
    }


def test_of_several_files_of_one_name_one_is_asked_for(lab: Lab, tmp_path: Path) -> None:
    lab.log(joined(numbered(3)))
    lab.run()
    (lab.logs / LOG).rename(lab.logs / f"{LOG}.1")
    lab.log(joined(numbered(3, 7)))
    lab.run()
    done = lab.command("export", "--file", lab.logs / LOG, "--out", tmp_path / "out.log")
    assert done.returncode == 1
    assert "was the name of several files: " in done.stderr
    assert f"(bytes 0 to {len(joined(numbered(3)))}, last sealed " in done.stderr
    exported(lab, tmp_path / "out.log", file=some_id(lab)[:8])
    assert (tmp_path / "out.log").read_bytes() in {joined(numbered(3)), joined(numbered(3, 7))}


def test_what_was_never_sealed_cannot_be_rebuilt(lab: Lab, tmp_path: Path) -> None:
    done = lab.command("export", "--file", "/no/such.log", "--out", tmp_path / "out.log")
    assert done.returncode == 1
    assert "Nothing of /no/such.log is sealed" in done.stderr
    assert not (tmp_path / "out.log").exists()


# ---- adopt


@pytest.fixture
def unsealed(lab: Lab) -> Lab:
    """With a log that was indexed before anything was sealed."""
    lab.log(joined([*numbered(1000), b"no entry", REFUSED, b""]))
    replace(lab, seals=replace(lab.seals, seal_key_file=None)).run()
    return lab


def adopted(lab: Lab, code: int = 0) -> dict[str, Any]:
    done = with_key(lab, "seal", "adopt", "--json", lab.logs)
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = orjson.loads(done.stdout)
    assert found.pop("unreadable") == {}
    assert found.pop("alias") == lab.connection.alias
    return found


def test_adopted_lines_are_sealed_once(unsealed: Lab, tmp_path: Path) -> None:
    """They can be proven then; what is sealed already is not sealed again."""
    assert adopted(unsealed) == {"read": 1002, "adopted": 1002, "sealed": 0, "left": 0}
    assert adopted(unsealed) == {"read": 1002, "adopted": 0, "sealed": 1002, "left": 0}
    assert unsealed.command("seal", "prove", some_id(unsealed, 500), "--out", tmp_path / "p").returncode == 0
    assert checked(unsealed, tmp_path / "p").returncode == 0
    exported(unsealed, tmp_path / "out.log", code=3)  # for the blank line
    assert (tmp_path / "out.log").read_bytes() == (unsealed.logs / LOG).read_bytes()[:-1]


def test_only_what_the_index_has_is_adopted(unsealed: Lab) -> None:
    ids = sorted(unsealed.stored())
    unsealed.client.delete(index=f"{unsealed.connection.alias}-000001", id=ids[2], refresh=True)
    overwrite(unsealed, ids[3], b'{"n":7}')
    assert adopted(unsealed, code=3) == {"read": 1002, "adopted": 1000, "sealed": 0, "left": 2}


def test_the_indexer_goes_on_after_an_adoption(unsealed: Lab) -> None:
    """In the same seal log."""
    adopted(unsealed)
    log = status(unsealed)["log"]
    unsealed.append(numbered(3, 2000))
    unsealed.run()
    assert (status(unsealed)["log"], status(unsealed)["pending"]) == (log, 0)
    assert adopted(unsealed) == {"read": 1005, "adopted": 0, "sealed": 1005, "left": 0}


def test_adopted_entries_are_told_to_have_been_there(unsealed: Lab) -> None:
    """The start counts them, and the leaf says how many of its entries were among those."""
    adopted(unsealed)
    unsealed.client.indices.refresh(index=unsealed.connection.seals)
    hits = unsealed.client.search(index=unsealed.connection.seals, size=100)["hits"]["hits"]
    leaves = {hit["_source"]["kind"]: hit["_source"] for hit in hits}
    assert leaves["start"]["before"][f"{unsealed.connection.alias}-000001"] == 1000
    lines = leaves["lines"]
    assert (lines["entries"], lines["rejected"], lines["duplicates"]) == (1001, 1, 1000)
    assert lines["index"] == f"{unsealed.connection.alias}-000001"


def test_adopted_entries_agree_with_their_seals(unsealed: Lab) -> None:
    adopted(unsealed)
    key = public_key(unsealed)
    done = unsealed.command("verify", "--seals", "--public-key", key, "--json")
    assert done.returncode == 0, done.stdout
    found = orjson.loads(done.stdout)
    names = ("read", "present", "rejected", "before_seals", "missing", "extra")
    assert [found[name] for name in names] == [1002, 1000, 2, 0, 0, 0]


def test_adoption_has_the_state_to_itself(unsealed: Lab) -> None:
    with unsealed.following() as run:
        run.until((unsealed.state.state_dir / "lock").exists)
        done = with_key(unsealed, "seal", "adopt", unsealed.logs)
    assert done.returncode == 1
    assert f"in use by process {os.getpid()}" in done.stderr
    assert "Stop that indexer" in done.stderr
