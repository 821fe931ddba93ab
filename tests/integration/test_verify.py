"""`indexer verify`: one defect in a good index is exactly what it finds, and it finds none in a good one."""

import gzip
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import zlib
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, cast

import orjson
import pytest
from elasticsearch import Elasticsearch

from indexer.elastic.alias import backing
from indexer.events import Events
from indexer.settings import Delivery, LogFiles, State
from indexer.verify import whole_index
from indexer.verify.checker import Repair
from indexer.verify.findings import SHOWN, Line, Verification
from indexer.verify.log_files import Verifier
from indexer.writing.bulk import Sender
from indexer.writing.target import Target
from tests.support.http_server import address, answer, relaying, serving
from tests.support.lab import LOG, Lab, joined, numbered, read_terminal, until
from tests.support.observed import Heard

if TYPE_CHECKING:
    from indexer.writing.dead_letters import DeadLetterStore

GARBAGE = b"not an object"
LINES = [*numbered(5), GARBAGE, b'{"n": 5.0, "user":"\\u00e9"}', b'{"n":', *numbered(5, start=10)]
"""Ten entries and more, a line that the reader refuses, one that Elasticsearch refuses."""
REFUSED = (GARBAGE, b'{"n":')
AGREES = {"read": len(LINES), "present": len(LINES) - 2, "rejected": 2}
NUMBER_FORMED = LINES[6]
FEW = 15
"""Requests besides pages of entries: for the product, the alias, a refresh, a point in time, the seals."""


def check(lab: Lab, *arguments: Path | str) -> dict[str, Any]:
    """`indexer verify --json`: its exit code says whether files and index agree. A scan gives the same result."""
    done = lab.command("verify", "--json", *(arguments or [lab.logs]))
    assert done.returncode in {0, 1}, done.stderr
    assert done.stdout, done.stderr
    result: dict[str, Any] = orjson.loads(done.stdout)
    assert result["agrees"] is (done.returncode == 0)
    if "--repair" not in arguments:
        assert orjson.loads(orjson.dumps(lab.verify(*arguments, scan=True))) == result
    return result


def compare(lab: Lab, *paths: Path | str, repair: bool = False, **how: Any) -> Verification:
    """`indexer verify` in this process, with another connection or state if one is given. A scan gives the same result."""
    fields = {name: how.pop(name) for name in ("connection", "state") if name in how}
    lab = replace(lab, **fields)
    if not repair and "scan" not in how:
        assert lab.verify(*paths, scan=True, **how) == lab.verify(*paths, scan=False, **how)
    return lab.verify(*paths, repair=repair, **how)


def counts(result: dict[str, Any] | Verification) -> dict[str, int]:
    """The numbers that are not 0; what was read is the sum of what became of it."""
    fields = orjson.loads(orjson.dumps(result))
    kinds = ("present", "missing", "different", "doubled", "rejected", "unfinished")
    assert fields["read"] == sum(fields[kind] for kind in kinds)
    return {name: fields[name] for name in ("read", *kinds, "repaired") if fields[name]}


def offset(line: bytes, lines: list[bytes] = LINES) -> int:
    """Where a line begins."""
    return sum(len(before) + 1 for before in lines[: lines.index(line)])


def identity(line: bytes, lines: list[bytes] = LINES, *, seed: int = 0) -> str:
    """A line's id, made the plain way."""
    return f"{zlib.crc32(lines[0], seed):08x}{offset(line, lines):012x}{zlib.crc32(line):08x}"


def put(client: Elasticsearch, index: str, documents: dict[str, bytes]) -> None:
    """Index some bytes as they are, over whatever is there."""
    lines = b"".join(
        b'{"index":{"_id":"%b"}}\n%b\n' % (identity.encode(), source)
        for identity, source in documents.items()
    )
    told = client.bulk(operations=lines, index=index, filter_path="errors")  # type: ignore[arg-type] # bytes: elastic/client.py
    assert told.body == b'{"errors":false}'


@pytest.fixture
def good(lab: Lab) -> Lab:
    """A laboratory in which all is well: one log, indexed, its refused lines kept.

    The log is an hour old: of a live one, missing lines would be waited for.
    """
    log = lab.log(joined(LINES))
    os.utime(log, (time.time() - 3600,) * 2)
    totals = lab.run(log).totals
    assert (totals.created, totals.rejected) == (len(LINES) - 2, 2)
    return lab


def first_index(lab: Lab) -> str:
    return f"{lab.connection.alias}-000001"


def assert_only_defect(lab: Lab, kind: str, line: bytes, where: list[str]) -> None:
    """The command fails, and finds nothing but this."""
    result = check(lab)
    expected = AGREES | {"rejected" if line in REFUSED else "present": AGREES["present"] - 1, kind: 1}
    if line in REFUSED:
        expected["rejected"] = 1
    assert counts(result) == expected
    finding = {
        "kind": kind,
        "file": str(lab.logs / LOG),
        "offset": offset(line),
        "id": identity(line),
        "where": where,
    }
    assert result["findings"] == [finding]


# ---- one defect each


def test_a_good_index_has_no_finding(good: Lab) -> None:
    """Everything is there, unchanged, once; refused lines are kept."""
    result = check(good)
    assert counts(result) == AGREES
    assert (result["alias"], result["findings"], result["unreadable"]) == (good.connection.alias, [], {})


def test_a_missing_entry_is_found(good: Lab) -> None:
    """It was deleted."""
    good.client.delete(index=first_index(good), id=identity(LINES[3]))
    assert_only_defect(good, "missing", LINES[3], [])


def test_an_altered_entry_is_found(good: Lab) -> None:
    """A field was set."""
    good.client.update(index=first_index(good), id=identity(LINES[2]), doc={"user": "nobody"})
    assert_only_defect(good, "different", LINES[2], [first_index(good)])


@pytest.mark.parametrize(
    "source",
    [
        NUMBER_FORMED.replace(b"5.0", b"5"),
        NUMBER_FORMED.replace(b": ", b":"),
        NUMBER_FORMED + b" ",
        b" " + NUMBER_FORMED,
        NUMBER_FORMED.replace(b"\\u00e9", "é".encode()),
    ],
    ids=["1.0 as 1", "a blank less inside", "a blank behind", "a blank in front", "another escape"],
)
def test_an_entry_altered_in_its_bytes_alone_is_found(good: Lab, source: bytes) -> None:
    """To a JSON parser it is the same."""
    put(good.client, first_index(good), {identity(NUMBER_FORMED): source})
    assert_only_defect(good, "different", NUMBER_FORMED, [first_index(good)])


def test_a_doubled_entry_is_found(good: Lab) -> None:
    """It is in two backing indices, as a careless replay after a rollover leaves it."""
    good.client.indices.rollover(alias=good.connection.alias)
    put(good.client, good.connection.alias, {identity(LINES[0]): LINES[0]})
    assert_only_defect(good, "doubled", LINES[0], [first_index(good), f"{good.connection.alias}-000002"])


@pytest.mark.parametrize("line", REFUSED, ids=["refused by the reader", "refused by Elasticsearch"])
def test_a_rejected_line_that_is_not_kept_is_found(good: Lab, line: bytes) -> None:
    """Its copy was deleted."""
    good.client.delete(index=good.connection.rejected, id=identity(line))
    assert_only_defect(good, "missing", line, [])


def test_a_rejected_line_kept_with_other_bytes_is_found(good: Lab) -> None:
    """What is kept is not what stands in the file."""
    good.client.update(index=good.connection.rejected, id=identity(GARBAGE), doc={"bytes": "AAAA"})
    assert_only_defect(good, "different", GARBAGE, [good.connection.rejected])


def test_many_defects_are_counted_and_the_first_few_told(good: Lab) -> None:
    """Of each kind, in the order of the file."""
    lines = numbered(3000, start=1000)
    log = good.log(joined(lines), "many-activity.log")
    good.run(log)
    put(good.client, good.connection.alias, {identity(line, lines): line + b" " for line in lines[:1000]})
    for line in lines[2990:]:
        good.client.delete(index=first_index(good), id=identity(line, lines))
    result = compare(good, log)
    assert counts(result) == {"read": 3000, "present": 1990, "different": 1000, "missing": 10}
    told = [(finding.kind.value, finding.offset) for finding in result.findings]
    assert told == [("missing", offset(line, lines)) for line in lines[2990 : 2990 + SHOWN]] + [
        ("different", offset(line, lines)) for line in lines[:SHOWN]
    ]


def test_more_copies_than_one_answer_holds_are_all_found(lab: Lab) -> None:
    """A search gives 10,000 hits at most."""
    lines = numbered(3500)
    lab.run(lab.log(joined(lines)))
    for _ in range(2):
        lab.client.indices.rollover(alias=lab.connection.alias)
        put(lab.client, lab.connection.alias, {identity(line, lines): line for line in lines[1:]})
    result = compare(lab)
    assert counts(result) == {"read": 3500, "present": 1, "doubled": 3499}
    assert {len(finding.where) for finding in result.findings} == {3}


# ---- lines in the state directory


def kept_files(lab: Lab) -> list[Path]:
    return sorted((lab.state.state_dir / "rejected").glob("*.line"))


@pytest.fixture
def local(lab: Lab) -> Lab:
    """A laboratory whose index of rejected lines takes none, so that they are kept in the state directory."""
    lab.client.indices.put_settings(index=lab.connection.rejected, settings={"index.blocks.write": True})
    lab.run(lab.log(joined(LINES)))
    assert len(kept_files(lab)) == 2
    return lab


def test_a_rejected_line_in_the_state_directory_is_kept(local: Lab) -> None:
    """It is accounted for where the state directory is at hand, and missing where it is not."""
    assert counts(check(local)) == AGREES
    elsewhere = compare(local, state=State(local.logs / "elsewhere"))
    assert counts(elsewhere) == {"read": len(LINES), "present": AGREES["present"], "missing": 2}


def test_a_rejected_line_altered_in_the_state_directory_is_found(local: Lab) -> None:
    """Its file there has other bytes."""
    (local.state.state_dir / "rejected" / f"{identity(GARBAGE)}.line").write_bytes(GARBAGE + b"!")
    assert_only_defect(local, "different", GARBAGE, [str(local.state.state_dir)])


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_a_line_too_long_to_hold_is_compared_too(lab: Lab, end: bytes) -> None:
    """By its checksum: kept it is rejected, altered it is different, deleted it is missing."""
    long = b'{"n":1,"payload":"' + b"long " * 200_000 + b'"}'
    lab.log(end.join([b'{"n":0}', long, b'{"n":2}', b""]))
    lab.run(max_line_bytes=1000)
    good = {"read": 3, "present": 2, "rejected": 1}
    assert counts(compare(lab, max_line_bytes=1000)) == good
    (path,) = kept_files(lab)
    path.write_bytes(path.read_bytes().replace(b"long", b"wrong", 1))
    assert counts(compare(lab, max_line_bytes=1000)) == {"read": 3, "present": 2, "different": 1}
    path.unlink()
    path.with_suffix(".json").unlink()
    result = compare(lab, max_line_bytes=1000, repair=True)
    assert counts(result) == {"read": 3, "present": 2, "missing": 1}
    assert not result.agrees


@pytest.mark.parametrize("limit", [20, 1000], ids=["too long", "short enough"])
def test_a_rejected_line_that_was_delivered_since_is_present(lab: Lab, limit: int) -> None:
    """`indexer rejected replay` takes it out of the rejected ones, whatever the reader would say of it now."""
    lab.log(joined([b'{"n":0}', b'{"n":1,"payload":"not short"}']))
    lab.run(max_line_bytes=20)
    assert counts(compare(lab, max_line_bytes=limit)) == {"read": 2, "present": 1, "rejected": 1}
    assert lab.command("rejected", "replay").returncode == 0
    assert counts(compare(lab, max_line_bytes=limit)) == {"read": 2, "present": 2}


# ---- clean ones


def test_a_live_last_line_without_line_end_is_not_missing(good: Lab) -> None:
    """Its writer may complete it; in a rotated file it is missing."""
    log = good.logs / LOG
    with log.open("ab") as file:
        file.write(b'{"n":')
    assert counts(check(good)) == AGREES | {"read": len(LINES) + 1, "unfinished": 1}
    log.rename(log.with_name(LOG + ".1"))
    assert counts(check(good)) == AGREES | {"read": len(LINES) + 1, "missing": 1}


def test_an_indexed_last_line_without_line_end_is_present(lab: Lab) -> None:
    """A one-shot run has taken it."""
    lab.run(lab.log(b'{"n":0}\n{"n":1}'))
    assert counts(check(lab)) == {"read": 2, "present": 2}


def test_a_rotated_or_compressed_file_is_still_the_same(good: Lab) -> None:
    """Its entries have the ids that they had."""
    log = good.logs / LOG
    rotated = log.rename(log.with_name(LOG + ".1"))
    assert counts(check(good)) == AGREES
    good.log(gzip.compress(rotated.read_bytes()), LOG + ".2.gz")
    rotated.unlink()
    assert counts(check(good)) == AGREES


def test_a_file_under_several_names_is_compared_once(good: Lab) -> None:
    """Linked, copied, compressed, and named twice."""
    log = good.logs / LOG
    os.link(log, good.logs / (LOG + ".1"))
    shutil.copy(log, good.logs / (LOG + ".2"))
    good.log(gzip.compress(log.read_bytes()), LOG + ".3.gz")
    assert counts(check(good, good.logs, log, good.logs / (LOG + ".2"))) == AGREES


def alike(*numbers: int) -> list[list[bytes]]:
    """Logs that begin with the same line and go on otherwise."""
    return [[b'{"n":0}', *numbered(50, start=number)] for number in numbers]


def test_files_that_begin_alike_are_told_apart_whatever_order_they_came_in(lab: Lab) -> None:
    """The index knows them under numbers that were given in the order in which a live indexer met them."""
    names = [f"{letter}-activity.log" for letter in "abcdef"]
    paths = [
        lab.log(joined(lines), name)
        for name, lines in zip(names, alike(100, 200, 300, 400, 500, 600), strict=True)
    ]
    for path in reversed(paths):
        lab.run(path)
    assert counts(compare(lab)) == {"read": 306, "present": 306}
    for path in paths:
        assert counts(compare(lab, path)) == {"read": 51, "present": 51}


def test_files_that_go_on_alike_for_long_are_told_apart(lab: Lab) -> None:
    """By what they hold further on."""
    common = numbered(6000)
    one, other = (
        lab.log(joined([*common, *numbered(3000, start)]), name)
        for name, start in (("a-activity.log", 10_000), ("b-activity.log", 20_000))
    )
    lab.run(other)
    lab.run(one)
    assert counts(compare(lab)) == {"read": 18_000, "present": 18_000}


def test_a_file_of_which_nothing_is_indexed_does_not_hide_behind_one_that_begins_alike(lab: Lab) -> None:
    """All of it is missing, but for the first line, which is one with the other's; repaired, both are there."""
    first, second = alike(100, 200)
    lab.log(joined(first), "a-activity.log")
    lab.run(lab.log(joined(second), "b-activity.log"))
    result = compare(lab, repair=True)
    assert counts(result) == {"read": 102, "present": 52, "missing": 50, "repaired": 50}
    assert sorted(lab.entries()) == sorted({*first, *second})
    assert counts(compare(lab)) == {"read": 102, "present": 102}


def test_files_of_refused_lines_alone_are_told_apart_too(lab: Lab) -> None:
    """They are known where rejected lines are kept."""
    one, other = (
        lab.log(b"the same\n" + line, name) for name, line in (("a.log", b"x\n"), ("b.log", b"y\n"))
    )
    lab.run(other)
    lab.run(one)
    lab.client.indices.refresh(index=lab.connection.rejected)
    assert counts(compare(lab, one, other)) == {"read": 4, "rejected": 4}


def test_more_entries_than_one_answer_holds_are_compared(lab: Lab) -> None:
    """In several indices, of which the file knows nothing."""
    log = lab.logs / LOG
    for start in range(0, 12_000, 4000):
        lab.append(numbered(4000, start))
        lab.run(log)
        lab.client.indices.rollover(alias=lab.connection.alias)
    assert counts(check(lab)) == {"read": 12_000, "present": 12_000}


def test_what_agrees_is_compared_in_few_requests(lab: Lab) -> None:
    """One search for all lines; nothing is asked for one by one."""
    lab.run(lab.log(joined([*numbered(2000), b'{"n":2000,"eventDate":"never"}'])))
    asked: list[str] = []
    relay = relaying(lab.connection.elasticsearch_url[0])

    def listen(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path.partition("?")[0].rpartition("/")[2])
        relay(handler)

    with serving(listen) as server:
        behind = replace(lab.connection, elasticsearch_url=[address(server)])
        result = compare(lab, connection=behind, scan=False)
        assert asked.count("_search") == 1
        assert len(asked) <= FEW
        asked.clear()
        assert compare(lab, connection=behind, scan=True) == result
    assert counts(result) == {"read": 2001, "present": 2001}
    assert asked.count("_search") <= 6
    assert len(asked) - asked.count("_search") <= FEW


def test_entries_with_ignored_fields_are_compared(lab: Lab) -> None:
    """Elasticsearch names the fields that it could not index in each hit, before the entry."""
    lines = [
        b'{"n":0,"eventDate":"never","ip":"unknown","responseCode":"n/a"}',
        b'{"n":1,"duration":"\\"}],\\"_source\\":{","eventDate":"2026-13-45"}',
        *numbered(2),
    ]
    lab.run(lab.log(joined(lines)))
    assert sum("_ignored" in hit for hit in lab.hits()) == 2
    assert counts(check(lab)) == {"read": 4, "present": 4}
    put(lab.client, first_index(lab), {identity(lines[0], lines): lines[0].replace(b"never", b"ever!")})
    assert counts(check(lab)) == {"read": 4, "present": 3, "different": 1}


def test_entries_that_look_like_hits_are_compared(lab: Lab) -> None:
    """Whatever of an answer's own words an entry holds, it is an entry."""
    lines = [
        b'{"n":0,"request":"{\\"_index\\":\\"x\\",\\"_id\\":\\"y\\",\\"_source\\":{}}"}',
        b'{"n":1,"source":{"_index":"x","_id":"y","_score":null,"_source":{"a":1},"sort":[0]}}',
        b'{"n":2,"hits":{"total":{"value":1,"relation":"eq"},"max_score":null,"hits":[]}}',
        b'{"n":3,"payload":"}},{\\"_index\\":\\"x\\"]}"}',
    ]
    lab.run(lab.log(joined(lines)))
    assert counts(check(lab)) == {"read": 4, "present": 4}
    put(lab.client, first_index(lab), {identity(lines[1], lines): lines[1].replace(b'"a":1', b'"a":2')})
    assert counts(check(lab)) == {"read": 4, "present": 3, "different": 1}


def test_entries_of_many_megabytes_are_compared(lab: Lab) -> None:
    """Each in a request of its own."""
    lines = [b'{"n":%d,"payload":"%b"}' % (number, b"0123456789 " * 800_000) for number in range(3)]
    lab.run(lab.log(joined(lines)))
    assert counts(check(lab)) == {"read": 3, "present": 3}


def test_entries_that_no_search_sees_yet_are_present(lab: Lab) -> None:
    """Searches are made to see them, or they are asked for by id where the right to do so is lacking."""
    lab.client.indices.put_settings(index=lab.connection.alias, settings={"index.refresh_interval": -1})
    lab.run(lab.log(joined(LINES)))
    url = lab.connection.elasticsearch_url[0]
    relay = relaying(url)

    def without_refresh(handler: BaseHTTPRequestHandler) -> None:
        if handler.path.endswith("/_refresh"):
            refusal = {"error": {"type": "security_exception", "reason": "unauthorized"}, "status": 403}
            answer(handler, 403, orjson.dumps(refusal), content_type="application/json")
        else:
            relay(handler)

    def seen() -> int:
        return int(lab.client.count(index=lab.connection.alias)["count"])

    assert seen() == 0
    with serving(without_refresh) as server:
        restricted = replace(lab.connection, elasticsearch_url=[address(server)])
        assert counts(compare(lab, connection=restricted)) == AGREES
    assert seen() == 0
    assert counts(check(lab)) == AGREES
    assert seen() == AGREES["present"]


# ---- a scan of the whole alias


@pytest.fixture
def damaged(lab: Lab, request: pytest.FixtureRequest) -> Lab:
    """Logs in three indices with random damage of every kind, and entries that the logs do not have."""
    random = Random(request.param)
    logs = [[*numbered(700, start=1000 * number), GARBAGE, b'{"n":'] for number in range(3)]
    for number, lines in enumerate(logs):
        log = lab.log(joined(lines), f"{number}-activity.log")
        os.utime(log, (time.time() - random.choice([0, 3600]),) * 2)
        lab.run(log)
        lab.client.indices.rollover(alias=lab.connection.alias)
    indices = [f"{lab.connection.alias}-{number:06}" for number in range(1, 5)]
    for lines, index in zip(logs, indices, strict=False):
        for line in random.sample(lines[:-2], 60):
            name = identity(line, lines)
            match random.randrange(4):
                case 0:
                    lab.client.delete(index=index, id=name)
                case 1:
                    put(lab.client, index, {name: line + b" "})
                case 2:
                    put(lab.client, random.choice(indices), {name: line})
                case 3:
                    put(lab.client, random.choice(indices), {name[:-1] + "g": line, "f" + name[1:]: line})
        put(lab.client, lab.connection.alias, {identity(lines[-2], lines): b"{}"})
        if random.random() < 0.5:
            lab.client.delete(index=lab.connection.rejected, id=identity(lines[-1], lines))
    lab.append([b'{"n":7}'], "2-activity.log").open("ab").write(b'{"n":8}')
    return lab


@pytest.mark.parametrize("damaged", range(3), indirect=True)
def test_a_scan_finds_the_same_as_looking_up(damaged: Lab) -> None:
    """Of every kind of damage; also of one of the files alone, and of files with which no entry agrees."""
    found = compare(damaged)
    assert min(found.missing, found.different, found.doubled, found.unfinished) > 0
    compare(damaged, damaged.logs / "1-activity.log")
    other = damaged.log(joined([b"{}", *numbered(100)]), "other-activity.log")
    assert compare(damaged, other).missing == 101


@pytest.mark.parametrize("damaged", [0], indirect=True)
def test_a_repair_after_a_scan_is_that_of_looking_up(damaged: Lab) -> None:
    """What is missing is indexed, and nothing else."""
    found = compare(damaged)
    repaired = compare(damaged, scan=True, repair=True)
    assert (repaired.missing, repaired.repaired) == (found.missing, found.missing)
    again = compare(damaged)
    assert (again.missing, again.different, again.doubled) == (0, found.different, found.doubled)


def test_without_room_or_with_too_much_left_all_lines_are_looked_up(
    good: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The result is the same."""
    good.client.delete(index=first_index(good), id=identity(LINES[3]))
    expected = compare(good)
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(good.logs / "none"))
        assert compare(good, scan=True) == expected
    monkeypatch.setattr(whole_index, "MOST_LEFT", 2)
    assert compare(good, scan=True) == expected


def test_a_file_that_is_gone_after_the_scan_is_not_called_good(good: Lab) -> None:
    """Lines of it that were still to be looked up are not passed over."""
    relay = relaying(good.connection.elasticsearch_url[0])

    def remove(handler: BaseHTTPRequestHandler) -> None:
        if handler.command == "DELETE":  # the point in time
            (good.logs / LOG).unlink()
        relay(handler)

    good.log(b'{"n":"other"}\n', "other-activity.log")
    with serving(remove) as server:
        behind = replace(good.connection, elasticsearch_url=[address(server)])
        result = compare(good, connection=behind, scan=True)
    assert not result.agrees
    assert "2 of its lines were gone" in result.unreadable[str(good.logs / LOG)]
    assert result.present == AGREES["present"]


def test_without_seals_nothing_is_said_of_entries_that_no_file_has(good: Lab) -> None:
    """Where there are seals: test_sealed_index.py."""
    inserted = identity(LINES[3])[:20] + "00000000"
    put(good.client, first_index(good), {inserted: b"{}", "0" * 28: b"{}", "own": b"{}"})
    assert compare(good).agrees


def test_many_lines_are_scanned_for_and_few_are_looked_up(good: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the size of the files beside that of the alias; a listener hears how far the scan is."""
    heard = Heard()
    verifier = Verifier(good.connection, Delivery(), good.state, heard, threading.Event())
    logs = LogFiles([str(good.logs)])
    assert counts(verifier.verify(logs)) == AGREES
    assert heard.of("entries_scanned") == []
    monkeypatch.setattr(whole_index, "FEW", -1)
    monkeypatch.setattr(whole_index, "LINE_BYTES", 10)
    assert counts(verifier.verify(logs)) == AGREES
    assert heard.of("entries_scanned")[-1] == (AGREES["present"],) * 2
    assert sum(size for _, size in heard.of("block_read")) == 2 * (good.logs / LOG).stat().st_size


# ---- repair


def test_a_repair_indexes_what_is_missing_and_nothing_else(good: Lab) -> None:
    """Entries, rejected lines, a line that was never sent; after it, files and index agree."""
    good.client.indices.rollover(alias=good.connection.alias)
    good.append([b'{"n":99}'])
    before = good.stored()
    for line in LINES[2:5]:
        good.client.delete(index=first_index(good), id=identity(line))
    for line in REFUSED:
        good.client.delete(index=good.connection.rejected, id=identity(line))
    result = check(good, "--repair", good.logs)
    read = len(LINES) + 1
    assert counts(result) == {"read": read, "present": len(LINES) - 5, "missing": 6, "repaired": 6}
    assert result["agrees"] is True
    assert counts(check(good)) == {"read": read, "present": read - 2, "rejected": 2}
    assert sorted(good.stored().values()) == sorted([*before.values(), b'{"n":99}'])
    assert good.rejected_bytes().keys() == set(REFUSED)


def test_a_repair_leaves_alone_what_is_different_or_doubled(good: Lab) -> None:
    """Which of them is right is not for a program to say; the command fails."""
    good.client.update(index=first_index(good), id=identity(LINES[2]), doc={"user": "nobody"})
    good.client.indices.rollover(alias=good.connection.alias)
    put(good.client, good.connection.alias, {identity(LINES[0]): LINES[0]})
    before = good.hits(source=True)
    result = check(good, "--repair", good.logs)
    assert counts(result) == AGREES | {"present": AGREES["present"] - 2, "different": 1, "doubled": 1}
    assert good.hits(source=True) == before


def test_a_repair_of_what_was_delivered_meanwhile_doubles_nothing(good: Lab) -> None:
    """By an indexer that runs at the same time, into an index that is no longer written."""
    good.client.indices.rollover(alias=good.connection.alias)
    target = Target(good.cluster, backing(good.cluster), None)
    sender = Sender(good.client, target, Events(), threading.Event())
    delivered = Line(identity(LINES[0]).encode(), LINES[0], LOG, 0, None, final=True)
    assert Repair(sender, cast("DeadLetterStore", None))([delivered]) == 1
    assert counts(check(good)) == AGREES


def test_a_log_that_was_never_indexed_is_repaired_whole(lab: Lab) -> None:
    """Even where the state directory does not exist."""
    lab.log(joined(LINES))
    assert check(lab, "--repair", lab.logs)["repaired"] == len(LINES)
    assert counts(check(lab)) == AGREES
    assert lab.entries() == [line for line in LINES if line not in REFUSED]


# ---- what a person sees


def test_a_person_reads_numbers_and_places_and_what_to_type(good: Lab) -> None:
    """A table of counts, file and offset of each finding, the command that repairs; no progress bar in a pipe."""
    clean = good.command("verify", good.logs)
    assert (clean.returncode, clean.stderr) == (0, "")
    assert "present" in clean.stdout
    good.client.delete(index=first_index(good), id=identity(LINES[3]))
    done = good.command("verify", good.logs, environment={"COLUMNS": "300"})
    assert done.returncode == 1
    assert f"{good.logs / LOG}:{offset(LINES[3])}" in done.stdout
    assert done.stderr == (
        f"To index the missing lines, with the same options: indexer verify --repair {good.logs}\n"
    )


def test_a_terminal_shows_a_progress_bar(good: Lab) -> None:
    """It is drawn on standard error; what can be read by a program stays clean."""
    ours, theirs = os.openpty()
    with good.process("verify", "--json", good.logs, stderr=theirs, environment={"TERM": "xterm"}) as process:
        os.close(theirs)
        drawn = b""
        while block := read_terminal(ours):
            drawn += block
        os.close(ours)
        stdout, _ = process.communicate()
    assert process.returncode == 0
    assert b"Verifying" in drawn
    assert b"bytes" in drawn
    assert counts(orjson.loads(stdout)) == AGREES


def test_an_interrupt_ends_it_with_a_sentence(lab: Lab) -> None:
    """What was not compared is not called good."""
    lab.run(lab.log(joined(numbered(3000))))
    asked, go_on = threading.Event(), threading.Event()
    relay = relaying(lab.connection.elasticsearch_url[0])

    def hold_searches(handler: BaseHTTPRequestHandler) -> None:
        if handler.path.partition("?")[0].endswith("/_search"):
            asked.set()
            go_on.wait()
        relay(handler)

    with serving(hold_searches) as server:
        where = ["--elasticsearch-url", address(server), "--batch-bytes", "1000"]
        with lab.process("verify", *where, lab.logs) as process:
            until(asked.is_set)
            process.send_signal(signal.SIGINT)
            go_on.set()
            stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (1, "")
    assert stderr.startswith("indexer: Stopped before the end.")


def test_without_the_alias_it_says_what_to_do(bare: Lab) -> None:
    """There is nothing to compare with."""
    bare.log(b"{}\n")
    done = bare.command("verify", bare.logs)
    assert done.returncode == 1
    assert "template install" in done.stderr


# ---- what cannot be read


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (gzip.compress(joined(numbered(1000)))[:-20], "cut short"),
        (b"\x1f\x8bno archive\n", "not a sound gzip"),
    ],
    ids=["cut", "no archive"],
)
def test_an_archive_that_cannot_be_read_to_its_end_fails(good: Lab, content: bytes, reason: str) -> None:
    """What was not read is not called good; the rest is compared."""
    archive = good.log(content, LOG + ".1.gz")
    result = check(good)
    assert result["agrees"] is False
    assert result["present"] >= AGREES["present"]  # its first lines are those of the log
    assert list(result["unreadable"]) == [str(archive)]
    assert reason in result["unreadable"][str(archive)]
    shown: subprocess.CompletedProcess[str] = good.command(
        "verify", good.logs, environment={"COLUMNS": "300"}
    )
    assert str(archive) in shown.stdout


def test_a_file_that_cannot_be_read_fails(good: Lab) -> None:
    """Here a file that gives no byte to anyone."""
    unreadable = good.logs / "unreadable-activity.log"
    unreadable.symlink_to("/proc/self/mem")
    result = check(good)
    assert result["agrees"] is False
    assert list(result["unreadable"]) == [str(unreadable)]
    assert counts(result) == AGREES
