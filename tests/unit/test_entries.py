import gzip
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.reading.entries import (
    EXPLANATION,
    ID_LENGTH,
    Entries,
    Reason,
    Rejection,
    entries_of,
    entry_id,
    entry_in,
    offset_of,
)
from indexer.reading.lines import Lines
from tests.unit.conftest import Reader, expected, lines

BOM = b"\xef\xbb\xbf"
OBJECT = b'{"activityType":"VIS","n":1.0}'

HAZARDS: dict[str, tuple[bytes, bytes | Reason | None]] = {
    "an object": (OBJECT, OBJECT),
    "an empty object": (b"{}", b"{}"),
    "CRLF": (OBJECT + b"\r", OBJECT),
    "CR CR LF": (OBJECT + b"\r\r", OBJECT),
    "a CR before a blank stays": (OBJECT + b"\r \r", OBJECT + b"\r "),
    "BOM": (BOM + OBJECT, OBJECT),
    "BOM and CRLF": (BOM + OBJECT + b"\r", OBJECT),
    "2.2 prefix": (b"2015-03-01 10:11:12,123 " + OBJECT, OBJECT),
    "2.2 prefix with a T": (b"2015-03-01T10:11:12.123Z  " + OBJECT, OBJECT),
    "2.2 prefix with a logger": (b"2015-03-01 10:11:12.123 [main] INFO audit - " + OBJECT, OBJECT),
    "2.2 prefix after a BOM": (BOM + b"2015-03-01 10:11:12 " + OBJECT, OBJECT),
    "a date and no object": (b"2015-03-01 10:11:12 ERROR", Reason.NOT_AN_OBJECT),
    "a prefix longer than any": (b"2015-03-01 10:11:12" + b" " * 300 + b"x" + OBJECT, Reason.NOT_AN_OBJECT),
    "leading blanks stay": (b"  \t" + OBJECT, b"  \t" + OBJECT),
    "trailing blanks stay": (OBJECT + b"  ", OBJECT + b"  "),
    "zeros of a copy-truncate": (b"\0" * 5000 + OBJECT, OBJECT),
    "zeros and a 2.2 prefix": (b"\0\0" + b"2015-03-01 10:11:12 " + OBJECT, OBJECT),
    "empty": (b"", None),
    "CR alone": (b"\r", None),
    "blanks": (b" \t \r", None),
    "BOM alone": (BOM, None),
    "zeros alone": (b"\0" * 20, None),
    "stack trace": (b"java.lang.IllegalStateException: {broken}", Reason.NOT_AN_OBJECT),
    "stack frame": (b"\tat com.zoomdata.Audit.log(Audit.java:42)", Reason.NOT_AN_OBJECT),
    "text before the object": (b"audit: " + OBJECT, Reason.NOT_AN_OBJECT),
    "array": (b"[" + OBJECT + b"]", Reason.NOT_AN_OBJECT),
    "comment": (b"/**/" + OBJECT, Reason.NOT_AN_OBJECT),
    "vertical tab before the object": (b"\v" + OBJECT, Reason.NOT_AN_OBJECT),
    "second half of a cut line": (b'sualizationName":"x"}', Reason.NOT_AN_OBJECT),
    "first half of a cut line": (b'{"activityType":"VI', b'{"activityType":"VI'),
    "invalid UTF-8": (b'{"user":"\xff\xfe"}', b'{"user":"\xff\xfe"}'),
    "invalid UTF-8 and no object": (b"\xff\xfe", Reason.NOT_AN_OBJECT),
    "two objects": (OBJECT + OBJECT, OBJECT + OBJECT),
    "text after the object": (OBJECT + b" tail", OBJECT + b" tail"),
    "CR in the middle": (b'{"a":\r1}', b'{"a":\r1}'),
}


@pytest.mark.parametrize(("line", "entry"), HAZARDS.values(), ids=HAZARDS.keys())
def test_a_line_is_an_entry_or_blank_or_has_a_reason(line: bytes, entry: bytes | Reason | None) -> None:
    """Whatever a reader meets in real files; the judgement is the same among other lines."""
    assert entry_in(line) == entry
    found = entries_of(Lines(40, [b"{}", line, b"{}"], 40 + len(line) + 7), 0xABC, "a.log")
    identity = b"%08x%012x%08x" % (0xABC, 43, zlib.crc32(line))
    middle = found.ids[1:-1], found.entries[1:-1], found.rejections, found.blank
    if entry is None:
        assert middle == ([], [], [], 1)
    elif isinstance(entry, Reason):
        kept = line.removesuffix(b"\r")
        rejection = Rejection(identity.decode(), "a.log", 43, entry, EXPLANATION[entry], kept)
        assert middle == ([], [], [rejection], 0)
    else:
        assert middle == ([identity], [entry], [], 0)
    assert found.lines == 3
    assert found.ids[-1] == entry_id(0xABC, 43 + len(line) + 1, zlib.crc32(b"{}"))


@given(st.binary(max_size=30).filter(lambda line: b"\n" not in line))
def test_no_line_is_lost_and_no_byte_invented(line: bytes) -> None:
    """An entry is the end of its line, from its object or the blanks before it on, without CR."""
    entry = entry_in(line)
    if isinstance(entry, bytes):
        assert line.removesuffix(b"\r").endswith(entry)
        assert entry.lstrip(b" \t").startswith(b"{")
    else:
        assert not line.startswith(b"{")


def test_each_reason_is_explained() -> None:
    """A person who meets a rejected line is told why."""
    assert set(EXPLANATION) == set(Reason)


def test_runs_of_lines_add_up() -> None:
    """What became of two runs of lines is the sum."""
    first = entries_of(Lines(0, [b"{}", b"", b"x"], 6), 1, "a.log")
    second = entries_of(Lines(6, [b"y", b"{1}"], 12), 1, "a.log")
    both = entries_of(Lines(0, [b"{}", b"", b"x", b"y", b"{1}"], 12), 1, "a.log")
    assert first + second == both
    assert both.lines == 5
    assert Entries() + both == both


generations = st.integers(min_value=0, max_value=2**32 - 1)
offsets = st.integers(min_value=0, max_value=2**48 - 1)


@given(generations, offsets, offsets, st.binary(), st.binary())
def test_ids_of_a_file_sort_by_offset(
    generation: int, one: int, other: int, a_line: bytes, another: bytes
) -> None:
    """Of 28 hexadecimal digits, and the offset can be read back."""
    first = entry_id(generation, one, zlib.crc32(a_line)).decode()
    second = entry_id(generation, other, zlib.crc32(another)).decode()
    assert len(first) == ID_LENGTH == 28
    assert set(first) <= set("0123456789abcdef")
    assert offset_of(first) == one
    assert one == other or (first < second) == (one < other)


@given(*[st.tuples(generations, offsets, generations)] * 2)
def test_ids_differ_unless_generation_offset_and_checksum_are_the_same(
    one: tuple[int, int, int], other: tuple[int, int, int]
) -> None:
    """An id stands for these very bytes at that place of that file."""
    assert (entry_id(*one) == entry_id(*other)) == (one == other)


def test_a_file_has_the_same_ids_under_any_name_and_compressed(tmp_path: Path) -> None:
    """A log, its rotated self, its copy elsewhere and its archive are one to whoever has forgotten all."""
    content = lines(0, 300)
    found = []
    for name in ("activity.log", "activity.log.3", "other-activity.log.gz"):
        directory = tmp_path / name
        directory.mkdir()
        (directory / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        reader = Reader(directory, once=True)
        reader.look()
        found.append(reader.delivered)
    assert found == [expected(content)] * 3


def test_a_line_that_would_end_the_server_is_rejected_unsent() -> None:
    """Some 900 levels of nesting overflow the server's stack; brackets in strings or side by side are no levels."""
    deep = b'{"a":' * 501 + b"1" + b"}" * 501
    arrays = b'{"a":' + b"[" * 500 + b"]" * 500 + b"}"
    assert entry_in(deep) is Reason.NESTED_TOO_DEEPLY
    assert entry_in(arrays) is Reason.NESTED_TOO_DEEPLY
    found = entries_of(Lines(0, [deep, b"{}"], len(deep) + 4), 1, "log")
    assert [rejection.kind for rejection in found.rejections] == [Reason.NESTED_TOO_DEEPLY]
    for fine in (
        b'{"a":' * 500 + b"1" + b"}" * 500,
        b'{"a":[' + b"{}," * 2000 + b"1]}",
        b'{"a":"' + b"{" * 2000 + b'\\"{"}',
    ):
        assert entry_in(fine) == fine
