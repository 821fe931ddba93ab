"""What a reader meets in real files: each line is indexed unchanged, or rejected with its reason and its bytes."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto

import pytest

from indexer.demo.profiles import Profile
from indexer.demo.sample import entries
from indexer.elastic.server import Versions, inspect_server
from indexer.writing.spool import DeadLetterFiles
from tests.support.lab import Lab, joined, numbered
from tests.support.taken import BLANK_NAMES, METADATA, MIXED_ARRAYS, OBJECTS, VALUES


class Fate(Enum):
    """What becomes of a line."""

    INDEXED = auto()
    REFUSED = auto()
    """By the server."""
    UNREAD = auto()
    """The reader takes it for no entry."""
    LOST = auto()


@dataclass(frozen=True, slots=True)
class Hazard:
    """Some lines of a log, and what becomes of the last of them."""

    lines: tuple[bytes, ...]
    fate: Fate | Versions
    """`Versions`: indexed by these servers, refused by others."""
    stored: bytes
    """What is indexed, or kept."""


def hazard(*lines: str | bytes, fate: Fate | Versions = Fate.INDEXED, stored: str | None = None) -> Hazard:
    """Spell one; `stored` is only given where it is not the line itself."""
    raw = tuple(line.encode() if isinstance(line, str) else line for line in lines)
    return Hazard(raw, fate, stored.encode() if stored else raw[-1])


READING = {
    "CRLF": hazard('{"h":1}\r', stored='{"h":1}'),
    "a byte order mark": hazard(b'\xef\xbb\xbf{"h":2}', stored='{"h":2}'),
    "a date in front, as 2.2 wrote it": hazard('2015-03-01 10:00:00,123 {"h":3}', stored='{"h":3}'),
    "zeros in front, as a copy-truncate leaves them": hazard(b'\0\0\0\0{"h":4}', stored='{"h":4}'),
    "a stack trace": hazard("java.lang.NullPointerException: null", fate=Fate.UNREAD),
    "a line of a stack trace": hazard("\tat com.zoomdata.Main.run(Main.java:1)", fate=Fate.UNREAD),
    "a scalar": hazard("42", fate=Fate.UNREAD),
    "an array": hazard('[{"h":5}]', fate=Fate.UNREAD),
    "a string": hazard('"{}"', fate=Fate.UNREAD),
    "a comment": hazard('/*x*/{"h":6}', fate=Fate.UNREAD),
    "gzip": hazard(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", fate=Fate.UNREAD),
    "UTF-16": hazard('{"h":7}'.encode("utf-16-le")),
    "invalid UTF-8": hazard(b'{"h":"\xff\xfe"}', fate=Fate.REFUSED),
    "a NUL inside": hazard(b'{"h":"\0"}', fate=Fate.REFUSED),
    "the first half of a line": hazard('{"activityType":"VIS","user":"an', fate=Fate.REFUSED),
    "the second half of a line": hazard('na","status":"OPENED"}', fate=Fate.UNREAD),
    "two objects": hazard('{"h":8}{"h":9}', fate=Fate.REFUSED),
    "text behind": hazard('{"h":10} and more', fate=Fate.REFUSED),
    "looks like a bulk action": hazard('{"create":{"_id":"x"}}'),
    "looks like another bulk action": hazard('{"delete":{"_index":"other","_id":"x"}}'),
    "not JSON": hazard("{h:11}", fate=Fate.REFUSED),
    "not a number": hazard('{"h":NaN}', fate=Fate.REFUSED),
    "`source` a string, then an object": hazard(
        '{"source":"a"}', '{"source":{"id":"b","name":"c"}}', fate=OBJECTS
    ),
    "`timeline` an object, then a string": hazard(
        '{"timeline":{"TOPOLOGY.CREATED":1}}', '{"timeline":"x"}', fate=VALUES
    ),
    "`responseCode` a number, then text": hazard('{"responseCode":200}', '{"responseCode":"n/a"}'),
    "`ip` unknown": hazard('{"ip":"unknown"}'),
    "`ip` a list": hazard('{"ip":["10.0.0.1","2001:db8::1"]}'),
    "`ip` with a zone": hazard('{"ip":"fe80::1%eth0"}'),
    "`eventDate` unreadable": hazard('{"eventDate":"yesterday"}'),
    "names in any script": hazard(
        '{"user":"Ωμέγα","userFullName":"山田太郎","userGroups":["пользователи","مستخدم"]}'
    ),
    "an unknown type": hazard('{"activityType":"TELEPORT","beam":{"to":[1,2]}}'),
}
MAPPING = {
    "a string, then an object": hazard('{"m1":"x"}', '{"m1":{"b":1}}', fate=OBJECTS),
    "an object, then a string": hazard('{"m2":{"b":1}}', '{"m2":"x"}', fate=VALUES),
    "a number, then an object": hazard('{"m3":1}', '{"m3":{"b":1}}', fate=OBJECTS),
    "an array with an object": hazard('{"m4":"x"}', '{"m4":["x",{"b":1}]}', fate=OBJECTS),
    "two dots": hazard('{"m5..b":1}', fate=VALUES),
    "a dot alone": hazard('{".":1}', fate=VALUES),
    "a number, then text": hazard('{"m6":1}', '{"m6":"n/a"}'),
    "2^70": hazard('{"m7":1180591620717411303424}'),
    "1e400": hazard('{"m8":1e400}'),
    "70,000 characters": hazard('{"m9":"' + "y" * 70_000 + '"}'),
    "an empty field name": hazard('{"":1}', fate=Fate.REFUSED),
    "a blank field name": hazard('{" ":1}', fate=BLANK_NAMES),
    "the same key twice": hazard('{"m10":1,"m10":2}', fate=Fate.REFUSED),
    "`_id` as a field": hazard('{"_id":"x"}', fate=METADATA),
    "`_source` as a field": hazard('{"_source":"x"}', fate=METADATA),
    "an array of mixed types": hazard('{"m11":[1,"x"]}', fate=MIXED_ARRAYS),
    "nested 50 levels": hazard('{"m13":' * 50 + "1" + "}" * 50, fate=VALUES),
    "nested over 1,000 levels": hazard('{"m12":' * 1100 + "1" + "}" * 1100, fate=Fate.REFUSED),
}


@pytest.mark.parametrize("hazards", [READING, MAPPING], ids=["reading", "mapping"])
def test_each_hazard_is_indexed_unchanged_or_rejected(lab: Lab, hazards: dict[str, Hazard]) -> None:
    """Nothing crashes, no neighbour is lost, and the counters add up."""
    server = inspect_server(lab.client)
    neighbours = [b'{"neighbour":%d}' % number for number in range(len(hazards))]
    lines = [
        line
        for one, neighbour in zip(hazards.values(), neighbours, strict=True)
        for line in (*one.lines, neighbour)
    ]
    totals = lab.run(lab.log(joined(lines))).totals
    stored, rejected = lab.entries(), lab.rejected_bytes()

    def found(one: Hazard) -> Fate:
        if one.stored in rejected:
            return Fate.UNREAD if rejected[one.stored] == "not_an_object" else Fate.REFUSED
        return Fate.INDEXED if one.stored in stored else Fate.LOST

    def expected(one: Hazard) -> Fate:
        if isinstance(one.fate, Fate):
            return one.fate
        return Fate.INDEXED if server.among(one.fate) else Fate.REFUSED

    assert {name: found(one) for name, one in hazards.items()} == {
        name: expected(one) for name, one in hazards.items()
    }
    assert [entry for entry in stored if b"neighbour" in entry] == neighbours
    assert all(line.reason for line in lab.rejected().lines)
    assert totals.read == totals.created + totals.rejected == len(lines)
    assert (totals.created, totals.rejected) == (len(stored), len(rejected))


def test_every_activity_type_is_indexed_unchanged(lab: Lab) -> None:
    """The sample has all that are documented; none is refused."""
    lines = list(entries(1000, end=datetime(2026, 5, 11, tzinfo=UTC), profile=Profile.ZOOMDATA_2))
    assert lab.run(lab.log(joined(lines))).totals.created == 1000
    assert lab.entries() == lines


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r\r\n", b"\r\r\r\n"])
def test_a_line_end_is_no_part_of_an_entry(lab: Lab, end: bytes) -> None:
    """Servers differ in what they do with a CR that ends an entry: none is sent."""
    lines = numbered(5)
    lab.log(b"".join(line + end for line in lines))
    assert lab.command("run", "--once", lab.logs).returncode == 0
    assert lab.entries() == lines
    verified = lab.command("verify", lab.logs)
    assert verified.returncode == 0, verified.stdout


def test_blank_lines_are_counted_and_otherwise_nothing(lab: Lab) -> None:
    """With whatever blanks in them, between entries of either line end."""
    totals = lab.run(lab.log(b'\n\r\n{"a":1}\r\n \t \n{"a":2}\n\0\0\n\xef\xbb\xbf\n')).totals
    assert (totals.read, totals.created, totals.blank) == (7, 2, 5)
    assert lab.entries() == [b'{"a":1}', b'{"a":2}']


def test_an_entry_that_no_request_can_hold_holds_nothing_back(lab: Lab) -> None:
    """A server of 512 MB always refuses the request: the entry is rejected with its bytes, the others are indexed."""
    huge = b'{"activityType":"VIS","payload":"' + b"x" * 60_000_000 + b'"}'
    lines = [*numbered(1), huge, *numbered(1, start=1)]
    lab.log(joined(lines))
    totals = lab.run(max_line_bytes=100_000_000).totals
    assert (totals.created, totals.rejected) == (2, 1)
    assert lab.entries() == [lines[0], lines[2]]
    (kept,) = lab.rejected().lines
    assert (kept.type, kept.where) == ("request_refused", "file")
    assert DeadLetterFiles(lab.state.state_dir).line(kept.id) == huge


@pytest.mark.parametrize("batch_bytes", [5_000_000, 30_000_000], ids=["alone", "in one batch"])
@pytest.mark.parametrize("size", [10_000_000, 11_000_000, 13_000_000, 17_000_000])
def test_an_entry_larger_than_the_server_can_ever_take_holds_nothing_back(
    lab: Lab, elasticsearch_version: str, size: int, batch_bytes: int
) -> None:
    """From 9.1 on a server of 512 MB always answers 429 to 10.7 MB and more (measured): rejected. Older ones take it."""
    huge = b'{"activityType":"VIS","payload":"' + b"x" * size + b'"}'
    lines = [*numbered(1), huge, *numbered(1, start=1)]
    lab.log(joined(lines))
    totals = lab.run(batch_bytes=batch_bytes, max_line_bytes=100_000_000).totals
    if elasticsearch_version < "9" or size < 10_700_000:
        assert lab.entries() == lines
        return
    assert (totals.created, totals.rejected) == (2, 1)
    assert lab.entries() == [lines[0], lines[2]]
    (kept,) = lab.rejected().lines
    assert (kept.type, kept.where) == ("es_rejected_execution_exception", "file")
    assert DeadLetterFiles(lab.state.state_dir).line(kept.id) == huge


def test_new_fields_of_two_types_at_once_reject_no_entry(lab: Lab) -> None:
    """Requests in flight together, each with the first values of a field: of the other type, and taken all the same."""
    lines = [
        b'{"n":%d,"field%d":%b}' % (number, number // 40, (b"1", b'"one"')[number // 10 % 2])
        for number in range(3200)
    ]
    report = lab.run(lab.log(joined(lines)), batch_bytes=len(joined(lines[:10])), senders=8)
    assert (report.totals.created, report.totals.rejected) == (len(lines), 0)
    assert lab.numbers() == list(range(len(lines)))
