"""`indexer run --once`: what is in the files is in the index, unchanged, once."""

import gzip
import shutil
from pathlib import Path

import pytest

from indexer.elastic.server import inspect_server
from indexer.settings import State
from indexer.writing.checkpoint import NAME
from tests.support.lab import LOG, Lab, joined, numbered
from tests.support.taken import ANY, DEEP_ARRAYS

AWKWARD = {
    "a fraction of zero": '{"a":1.0}',
    "an exponent": '{"a":1e5,"b":1E+5}',
    "minus zero": '{"a":-0,"b":-0.0}',
    "an integer beyond a double": '{"a":12345678901234567890}',
    "an integer beyond 64 bits": '{"a":1180591620717411303424}',
    "a number beyond a double": '{"a":1e400,"b":-1e400,"c":1e-400}',
    "many digits": '{"a":0.1000000000000000055511151231257827021181583404541015625}',
    "an escaped letter": r'{"a":"\u00e9","b":"\u00E9","c":"é"}',
    "an escaped slash": r'{"a":"\/","b":"/"}',
    "an escaped emoji": r'{"a":"\ud83d\ude00"}',
    "escaped control characters": r'{"a":"\u0000\u0007\t\n\r\"\\\b\f"}',
    "half a surrogate pair": r'{"a":"\ud800"}',
    "keys out of order": '{"z":1,"a":2,"m":3}',
    "blanks inside": '{ "a" :\t1 ,  "b" : [ 1 , 2 ] }',
    "blanks in front": '   \t{"a":1}',
    "blanks behind": '{"a":1}  ',
    "nothing": "{}",
    "nulls": '{"a":null,"b":[null],"object":{"d":null}}',
    "empty values": '{"a":"","b":[],"object":{}}',
    "values that look alike": '{"a":1,"b":1.0,"c":"1","d":true,"e":"true"}',
    "a very long string": '{"a":"' + "x" * 300_000 + '"}',
    "a very long request": '{"request":"' + '{\\"a\\":1},' * 30_000 + '"}',
    "emoji": '{"a":"😀👩‍👩‍👧‍👦"}',
    "right to left": '{"user":"שלום","userFullName":"محمد \u202eabc"}',
    "other scripts": '{"user":"Ωμέγα 東京 ไทย हिन्दी"}',
    "line separators of Unicode": '{"a":"\u2028\u2029\u0085"}',
    "deep objects": '{"deep":' * 15 + "{}" + "}" * 15,
    "deep arrays": '{"a":' + "[" * 50 + "1" + "]" * 50 + "}",
    "dotted names": '{"timeline":{"TOPOLOGY.CREATED":1,"VIS_DATA.SUCCEEDED":2},"x.y":1}',
}
NOT_BY_ALL = {"deep arrays": DEEP_ARRAYS}


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_an_entry_comes_back_byte_for_byte(lab: Lab, end: bytes) -> None:
    """`_source` is the line without its line end, whatever is in it; what a server refuses is kept with its bytes."""
    server = inspect_server(lab.client)
    lines = {name: line.encode() for name, line in AWKWARD.items()}
    taken = {name: line for name, line in lines.items() if server.among(NOT_BY_ALL.get(name, ANY))}
    totals = lab.run(lab.log(b"".join(line + end for line in lines.values()))).totals
    assert set(lab.rejected_bytes()) == set(lines.values()) - set(taken.values())
    assert dict(zip(taken, lab.entries(), strict=True)) == taken
    assert (totals.created, totals.read) == (len(taken), len(lines))


def test_lines_of_many_megabytes_are_entries_like_any_other(lab: Lab) -> None:
    """A line larger than a block and a batch is indexed whole, and so are its neighbours.

    9 MB, since a server with as small a heap as ours refuses 16 MB for ever (measured: status 429, four times its size).
    """
    lines = [b'{"n":1}', b'{"payload":"%s"}' % (b"0123456789 " * 800_000), b'{"n":2}']
    report = lab.run(lab.log(joined(lines)))
    assert report.totals.created == 3
    assert lab.entries() == lines


def test_the_same_line_twice_is_two_entries(lab: Lab) -> None:
    """Two lines with the same bytes are two events."""
    lab.run(lab.log(joined([b'{"a":1}'] * 3)))
    assert lab.entries() == [b'{"a":1}'] * 3


def test_a_last_line_without_line_end_is_an_entry(lab: Lab) -> None:
    """A run that ends takes the last line as it is."""
    lab.run(lab.log(b'{"a":1}\n{"a":2}'))
    assert lab.entries() == [b'{"a":1}', b'{"a":2}']


def test_a_last_line_that_is_completed_later_is_indexed_as_it_then_is(lab: Lab) -> None:
    """A line that was cut when it was first tried is read again; the cut one is a rejection."""
    log = lab.log(b'{"a":1}\n{"a":')
    first = lab.run(log).totals
    log.write_bytes(b'{"a":1}\n{"a":2}\n')
    second = lab.run(log).totals
    assert (first.created, first.rejected, second.created, second.rejected) == (1, 1, 1, 0)
    assert lab.entries() == [b'{"a":1}', b'{"a":2}']


def test_running_again_sends_nothing(lab: Lab) -> None:
    """What the state says is delivered is not even read."""
    log = lab.log(joined(numbered(100)))
    first, second = lab.run(log).totals, lab.run(log).totals
    assert (first.created, second.read) == (100, 0)
    assert lab.numbers() == list(range(100))


def test_without_its_state_everything_is_a_duplicate(lab: Lab) -> None:
    """Ids are made of the file alone, so a second delivery changes nothing."""
    log = lab.log(joined(numbered(100)))
    lab.run(log)
    (lab.state.state_dir / NAME).unlink()
    again = lab.run(log).totals
    assert (again.read, again.duplicates) == (100, 100)
    assert lab.numbers() == list(range(100))


def test_a_damaged_checkpoint_is_put_aside_and_duplicates_nothing(lab: Lab) -> None:
    """Files are read anew, and what is there already is recognised."""
    log = lab.log(joined(numbered(10)))
    lab.run(log)
    (lab.state.state_dir / NAME).write_bytes(b'{"version":1,"tot')
    assert lab.run(log).totals.duplicates == 10
    assert (lab.state.state_dir / "checkpoint.damaged.json").read_bytes() == b'{"version":1,"tot'
    assert lab.numbers() == list(range(10))


def test_without_its_state_after_a_rollover_nothing_is_there_twice(lab: Lab) -> None:
    """All indices behind the alias are asked what they hold."""
    log = lab.log(joined(numbered(50)))
    lab.run(log)
    lab.client.indices.rollover(alias=lab.connection.alias)
    (lab.state.state_dir / NAME).unlink()
    log.write_bytes(joined(numbered(80)))
    again = lab.run(log).totals
    assert (again.duplicates, again.created) == (50, 30)
    assert lab.numbers() == list(range(80))


def test_a_run_goes_on_where_the_last_one_stopped(lab: Lab) -> None:
    """Only what was appended is sent."""
    log = lab.log(joined(numbered(10)))
    lab.run(log)
    lab.append(numbered(5, start=10))
    assert lab.run(log).totals.read == 5
    assert lab.numbers() == list(range(15))


def test_an_archive_gives_the_ids_of_the_file_that_it_was(lab: Lab) -> None:
    """Read after the plain file, with the state or without it, it creates nothing."""
    log = lab.log(joined(numbered(100)))
    lab.run(log)
    archive = lab.log(gzip.compress(log.read_bytes()), LOG + ".1.gz")
    log.unlink()
    with_state = lab.run(archive).totals
    without = Lab(lab.connection, lab.client, lab.logs, State(lab.logs / "other")).run(archive).totals
    assert with_state.created == without.created == 0
    assert without.duplicates == 100
    assert lab.numbers() == list(range(100))


def test_an_archive_beside_its_file_is_not_indexed_twice(lab: Lab) -> None:
    """In one run over both, each entry is indexed once."""
    log = lab.log(joined(numbered(100)))
    lab.log(gzip.compress(log.read_bytes()), LOG + ".1.gz")
    assert lab.run(lab.logs).totals.created == 100
    assert lab.numbers() == list(range(100))


def test_archives_are_read_to_their_end(lab: Lab) -> None:
    """One with several members too."""
    members = [gzip.compress(joined(numbered(50, start=start))) for start in (0, 50, 100)]
    assert lab.run(lab.log(b"".join(members), LOG + ".gz")).totals.created == 150
    assert lab.numbers() == list(range(150))


def test_a_renamed_or_copied_file_is_the_same_file(lab: Lab) -> None:
    """Neither sends anything again."""
    log = lab.log(joined(numbered(20)))
    lab.run(log)
    renamed = log.rename(lab.logs / (LOG + ".1"))
    assert lab.run(renamed).totals.created == 0
    copied = Path(shutil.copy(renamed, lab.logs / (LOG + ".2")))
    renamed.unlink()
    assert lab.run(copied).totals.created == 0
    assert lab.numbers() == list(range(20))


def test_two_files_that_begin_alike_both_go_in(lab: Lab) -> None:
    """The same first line does not make two logs one; it is one line itself, being the same at the same place."""
    lab.log(joined([b'{"a":1}', b'{"a":2}']), "one-activity.log")
    lab.log(joined([b'{"a":1}', b'{"a":3}']), "two-activity.log")
    lab.run(lab.logs)
    assert sorted(lab.entries()) == [b'{"a":1}', b'{"a":2}', b'{"a":3}']


def test_paths_are_files_globs_and_directories(lab: Lab) -> None:
    """Each file counts once, however often it is named; a directory means its activity logs."""
    deeper = lab.logs / "node [1]"
    deeper.mkdir()
    files = [
        lab.log(joined(numbered(10, start=start)), name)
        for start, name in (
            (0, LOG),
            (10, "query-engine-activity.log"),
            (20, "node [1]/activity.log.1"),
            (30, "other.log"),
        )
    ]
    assert lab.run(files[0], lab.logs, str(lab.logs / "*engine*"), deeper).totals.created == 30
    assert lab.numbers() == list(range(30))


def test_standard_input_is_a_file_too(lab: Lab) -> None:
    """Its entries have the ids of the same file, however its bytes arrive."""
    log = lab.log(joined(numbered(100)))
    lab.run(log)
    (lab.state.state_dir / NAME).unlink()
    with log.open("rb") as file:
        done = lab.command("run", "--once", "-", stdin=file)
    assert done.returncode == 0, done.stderr
    assert "100 lines read: 0 created, 100 were there already" in done.stdout
    with lab.process("run", "--once", "-", stdin=-1) as process:
        process.stdin.write('{"n":100}\n{"n":1')  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
        stdout, stderr = process.communicate("01}\n", timeout=30)
    assert "2 lines read: 2 created" in stdout, stderr
    assert lab.numbers() == list(range(102))


def test_an_empty_file_and_one_of_blank_lines_are_no_trouble(lab: Lab) -> None:
    """There is nothing in them, and that is no failure."""
    lab.log(b"", "a-activity.log")
    lab.log(b"\n\r\n \t\n\n", "b-activity.log")
    report = lab.run(lab.logs)
    assert (report.totals.read, report.totals.blank, report.unreadable) == (4, 4, {})
    assert lab.entries() == []


def test_batches_are_bounded_and_complete(lab: Lab) -> None:
    """With the smallest batches and many senders each entry is indexed once, in the order of offsets."""
    lines = numbered(500)
    report = lab.run(lab.log(joined(lines)), batch_bytes=1000, senders=8)
    assert report.totals.created == 500
    assert lab.entries() == lines
