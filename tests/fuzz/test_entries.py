"""Lines become entries: none is lost, none is altered, and an id is made of bytes and place alone."""

from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.reading.entries import (
    DEEPEST,
    EXPLANATION,
    SHORTEST_DEEP,
    Reason,
    entries_of,
    entry_id,
    entry_in,
    nested_too_deeply,
)
from indexer.reading.lines import Lines
from tests.fuzz.foreign import corpus, foreign

PIECES = [
    b'"',
    b"\\",
    b'\\"',
    b"{",
    b"}",
    b"[",
    b"]",
    b"/*",
    b"*/",
    b"//",
    b"\r",
    b"\0",
    b"\xef\xbb\xbf",
    b"2015-03-01 10:11 ",
]
LOGS = foreign(
    "lines",
    st.one_of(st.sampled_from(PIECES), st.sampled_from([b"{", b"[", b'{"a":']).map(lambda it: it * 600)),
)
GENERATIONS, OFFSETS = st.integers(0, 2**32 - 1), st.integers(0, 2**47)


@given(LOGS, GENERATIONS, OFFSETS)
def test_each_line_is_one_thing_with_its_own_bytes(data: bytes, generation: int, offset: int) -> None:
    """An entry, a rejection or blank; its id says its file's generation, its offset and its checksum, whatever its neighbours are."""
    lines = data.split(b"\n")
    found = entries_of(Lines(offset, lines, offset + len(data)), generation, "a.log")
    assert found.lines == len(lines)
    ids, entries, rejections = iter(found.ids), iter(found.entries), iter(found.rejections)
    at, blank = offset, 0
    for line in lines:
        identity, entry = entry_id(generation, at, crc32(line)), entry_in(line)
        alone = entries_of(Lines(at, [line], at + len(line)), generation, "another name")
        match entry:
            case None:
                blank += 1
                assert not line.strip(b" \t\r\n\v\f\0\xef\xbb\xbf")
                assert alone.blank == 1
            case bytes():
                assert (next(ids), next(entries)) == (identity, entry)
                assert (alone.ids, alone.entries) == ([identity], [entry])
                assert line.rstrip(b"\r").endswith(entry)
                assert entry.lstrip(b" \t").startswith(b"{")
            case Reason():
                rejection = next(rejections)
                assert (rejection.id, rejection.offset, rejection.kind) == (identity.decode(), at, entry)
                assert line in {rejection.line, rejection.line + b"\r"}
                assert rejection.reason == EXPLANATION[entry]
                assert alone.rejections[0].id == rejection.id
        at += len(line) + 1
    assert blank == found.blank
    assert [*ids, *entries, *rejections] == []


def depth(line: bytes) -> int:
    """How deep a parser gets, byte by byte: brackets in strings and comments are none."""
    deepest = now = at = 0
    while at < len(line):
        two = line[at : at + 2]
        if line[at] == ord('"'):
            at += 1
            while at < len(line) and line[at] != ord('"'):
                at += 2 if line[at] == ord("\\") else 1
        elif two == b"/*":
            at = end + 1 if (end := line.find(b"*/", at + 2)) >= 0 else len(line)
        elif two == b"//":
            at = min(
                (end for end in (line.find(b"\r", at), line.find(b"\n", at)) if end >= 0), default=len(line)
            )
        elif line[at] in b"{[":
            now += 1
            deepest = max(deepest, now)
        elif line[at] in b"}]":
            now -= 1
        at += 1
    return deepest


@given(LOGS)
def test_levels_are_counted_as_a_parser_meets_them(data: bytes) -> None:
    """No line that would end a server is sent, and no other is kept back."""
    for line in data.split(b"\n"):
        brackets = line.count(b"{") + line.count(b"[")
        deep = brackets if b"\0" in line else depth(line)
        assert nested_too_deeply(line) is (len(line) > SHORTEST_DEEP and deep > DEEPEST)


@pytest.mark.parametrize("name", corpus("lines"))
def test_the_corpus_is_read(name: str) -> None:
    """Each file of it."""
    lines = corpus("lines")[name].split(b"\n")
    assert entries_of(Lines(0, lines, 0), 1, name).lines == len(lines)
