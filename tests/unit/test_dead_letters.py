"""Rejected lines: in the index where it takes them, else in files, with their bytes; nothing of them is lost."""

import base64
import errno
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from indexer.errors import Stopped
from indexer.events import Fault
from indexer.reading.entries import Rejection
from indexer.writing.batches import Body
from indexer.writing.dead_letters import LARGEST, REST, TRIES, DeadLetterStore
from indexer.writing.spool import READABLE, DeadLetterFiles
from tests.support import faults
from tests.support.fakes import ALIAS, FakeElasticsearch, Refusal
from tests.support.observed import Heard, Stop, in_files

INDEX = f"{ALIAS}-rejected"
FILE = "/opt/zoomdata/logs/zoomdata-activity.log"
LIMIT = 10_000
AWKWARD = [
    b"no JSON at all",
    b'{"a":1} trailing',
    b"\xff\xfe\0\x80 no UTF-8",
    b'{"\\ud800":1,"\\ud800":2}',
    "{Grüße, 世界}".encode(),
    b"x" * 5000,
]


def rejection(
    number: int, line: bytes = b"text", kind: str = "not_an_object", reason: str = "why"
) -> Rejection:
    return Rejection(f"{number:028x}", FILE, 100 * number, kind, reason, line)


@pytest.fixture
def server() -> FakeElasticsearch:
    """A cluster that takes everything."""
    return FakeElasticsearch()


@pytest.fixture
def stop() -> Stop:
    """Ends a wait that has no end."""
    return Stop(last=50)


@pytest.fixture
def heard() -> Heard:
    """The events."""
    return Heard()


@pytest.fixture
def local(tmp_path: Path) -> DeadLetterFiles:
    """The files of rejected lines."""
    return DeadLetterFiles(tmp_path)


@pytest.fixture
def rejects(server: FakeElasticsearch, local: DeadLetterFiles, heard: Heard, stop: Stop) -> DeadLetterStore:
    """Keeps lines in that cluster, or in those files."""
    return DeadLetterStore(server.client, INDEX, local, LIMIT, heard, stop)


def in_index(server: FakeElasticsearch) -> dict[str, bytes]:
    """The bytes of each line that the index holds."""
    stored = server.documents.get(INDEX, {})
    return {identity: base64.b64decode(orjson.loads(source)["bytes"]) for identity, source in stored.items()}


def lines(some: Sequence[Rejection]) -> dict[str, bytes]:
    return {one.id: one.line for one in some}


# ---- in the index


def test_a_rejected_line_is_kept_with_its_description(
    server: FakeElasticsearch, rejects: DeadLetterStore, heard: Heard
) -> None:
    """The document has file, offset, type, reason, size, a readable beginning and the bytes, under the line's id."""
    rejects.keep([rejection(7, b"no JSON")])
    ((identity, source),) = server.documents[INDEX].items()
    document = orjson.loads(source)
    assert document.pop("@timestamp").endswith("+00:00")
    assert identity == f"{7:028x}"
    assert document == {
        "file": FILE,
        "offset": 700,
        "type": "not_an_object",
        "reason": "why",
        "size": 7,
        "text": "no JSON",
        "bytes": base64.b64encode(b"no JSON").decode(),
    }
    assert heard.told == [("rejected", ("not_an_object", 1))]


def test_any_bytes_are_kept(
    server: FakeElasticsearch, local: DeadLetterFiles, rejects: DeadLetterStore
) -> None:
    """Whatever a line holds comes back byte for byte, and its beginning is text."""
    some = [rejection(n, line) for n, line in enumerate(AWKWARD)]
    rejects.keep(some)
    assert in_index(server) == lines(some)
    assert in_files(local) == {}
    for source in server.documents[INDEX].values():
        assert len(orjson.loads(source)["text"]) <= READABLE


@pytest.mark.parametrize("over", [0, 1])
def test_a_long_line_goes_to_a_file(
    server: FakeElasticsearch, local: DeadLetterFiles, rejects: DeadLetterStore, over: int
) -> None:
    """Its document would take many times its length in memory; its neighbours go to the index."""
    long = rejection(2, b"x" * (LARGEST + over))
    rejects.keep([rejection(1), long, rejection(3)])
    assert in_files(local) == ({long.id: long.line} if over else {})
    assert len(server.documents[INDEX]) == 3 - over


def test_requests_are_bounded(server: FakeElasticsearch, rejects: DeadLetterStore) -> None:
    """No request is larger than the limit, action lines and all."""
    server.largest = LIMIT
    some = [rejection(n, b"x" * (n % 50)) for n in range(200)]
    rejects.keep(some)
    assert in_index(server) == lines(some)
    assert all(request.pairs for request in server.requests), "none was refused for its size"
    assert len(server.requests) < 12


def test_a_line_kept_twice_is_there_once(
    server: FakeElasticsearch, local: DeadLetterFiles, rejects: DeadLetterStore
) -> None:
    """A line that is kept already is not kept twice, in the index or in a file."""
    some = [rejection(n) for n in range(3)]
    rejects.keep(some)
    rejects.keep(some)
    assert in_index(server) == lines(some)
    assert in_files(local) == {}


def test_nothing_to_keep_sends_nothing(
    server: FakeElasticsearch, rejects: DeadLetterStore, heard: Heard
) -> None:
    """Without lines there is neither a request nor an event."""
    rejects.keep([])
    assert (server.requests, heard.told) == ([], [])


def test_lines_are_counted_by_reason(rejects: DeadLetterStore, heard: Heard) -> None:
    """Listeners get the number of lines that were kept, by reason."""
    rejects.keep([rejection(1), rejection(2, kind="document_parsing_exception"), rejection(3)])
    assert sorted(heard.of("rejected")) == [("document_parsing_exception", 1), ("not_an_object", 2)]


# ---- when the index does not take them


def test_lines_are_retried_until_an_outage_ends(
    server: FakeElasticsearch, local: DeadLetterFiles, rejects: DeadLetterStore, heard: Heard
) -> None:
    """While the cluster does not answer, nothing goes to files; afterwards each line is in the index, once."""
    server.bulk_steps.extend(
        [faults.no_connection, faults.lost, faults.status(503), faults.answer(b"<html>")]
    )
    some = [rejection(n) for n in range(4)]
    rejects.keep(some)
    assert (in_index(server), in_files(local)) == (lines(some), {})
    assert len(heard.of("delivery_failed")) == 4
    assert heard.of("delivery_recovered") == [()]


def test_lines_with_429_are_sent_again(
    server: FakeElasticsearch, rejects: DeadLetterStore, stop: Stop
) -> None:
    """Items answered with 429 are sent again, alone."""
    busy = {rejection(1).id}
    server.refuse = lambda identity, _: Refusal(429, "busy", "queue is full") if identity in busy else None
    stop.during = {2: busy.clear}
    some = [rejection(n) for n in range(4)]
    rejects.keep(some)
    assert in_index(server) == lines(some)
    assert [len(request.pairs) for request in server.requests] == [4, 1, 1]


def block(server: FakeElasticsearch) -> None:
    server.blocked.add(INDEX)


def refuse_all(server: FakeElasticsearch) -> None:
    server.refuse = lambda *_: Refusal(400, "strict_dynamic_mapping_exception", "not allowed")


def no_rights(server: FakeElasticsearch) -> None:
    server.bulk_step = faults.status(403)


def bad_request(server: FakeElasticsearch) -> None:
    server.bulk_step = faults.status(400)


def too_small(server: FakeElasticsearch) -> None:
    server.largest = 100


@pytest.mark.parametrize("fault", [block, refuse_all, no_rights, bad_request, too_small])
def test_lines_that_the_index_refuses_go_to_files(
    server: FakeElasticsearch, local: DeadLetterFiles, rejects: DeadLetterStore, heard: Heard, fault: Any
) -> None:
    """Blocked, refused, forbidden or too large: the lines are in files, with all that is known, and nothing waits."""
    fault(server)
    some = [rejection(n, line) for n, line in enumerate(AWKWARD)]
    rejects.keep(some)
    assert (in_index(server), in_files(local)) == ({}, lines(some))
    kept = list(local.list())
    assert [(k.id, k.file, k.offset, k.type, k.reason, k.size, k.where) for k in kept] == [
        (r.id, r.file, r.offset, r.kind, r.reason, len(r.line), "file") for r in some
    ]
    assert heard.told == [("rejected", ("not_an_object", 6))]


def test_only_the_refused_line_goes_to_a_file(
    server: FakeElasticsearch, local: DeadLetterFiles, rejects: DeadLetterStore
) -> None:
    """The index keeps what it takes; only the rest is in files."""
    some = [rejection(n, line) for n, line in enumerate(AWKWARD)]
    server.largest = 4000
    rejects.keep(some)
    assert (in_index(server), in_files(local)) == (lines(some[:-1]), lines(some[-1:]))


def test_a_line_is_retried_until_the_disk_has_room(
    server: FakeElasticsearch,
    local: DeadLetterFiles,
    rejects: DeadLetterStore,
    heard: Heard,
    stop: Stop,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With neither index nor disk to keep a line, it is tried again and again; its batch is not acknowledged."""
    block(server)
    real = DeadLetterFiles.keep
    calls = iter(range(100))

    def keep(self: DeadLetterFiles, line: Rejection) -> None:
        if next(calls) < 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(self, line)

    monkeypatch.setattr(DeadLetterFiles, "keep", keep)
    rejects.keep([rejection(1)])
    assert in_files(local) == lines([rejection(1)])
    assert [fault for fault, _, _ in heard.of("delivery_failed")] == [Fault.DISK] * 3
    assert heard.told[-2:] == [("delivery_recovered", ()), ("rejected", ("not_an_object", 1))]


def test_a_stop_ends_the_wait(
    server: FakeElasticsearch, rejects: DeadLetterStore, stop: Stop, heard: Heard
) -> None:
    """Stopped before a line is kept, it raises."""
    server.bulk_step = faults.no_connection
    stop.last = 2
    with pytest.raises(Stopped):
        rejects.keep([rejection(1)])
    assert heard.of("rejected") == []


def test_no_document_contains_a_line_feed(server: FakeElasticsearch, rejects: DeadLetterStore) -> None:
    """No document has a line feed in it, whatever its line held, so that a refused body can be split."""
    server.bulk_steps.append(faults.status(413))
    some = [rejection(n, line, reason="two\nlines") for n, line in enumerate(AWKWARD[:4])]
    rejects.keep(some)
    assert in_index(server) == lines(some)
    assert all(
        Body.of([(b"1", entry)]).pairs() == [(b"1", entry)] for r in server.requests for _, entry in r.pairs
    )


# ---- when only the index of rejected lines is not well


def not_well(server: FakeElasticsearch, code: int) -> None:
    """Each of its items is refused like this; the alias takes entries."""
    server.refuse = lambda *_: Refusal(code, "some_exception", "not now")


@pytest.mark.parametrize("code", [429, 500, 503])
@pytest.mark.parametrize("whole", [False, True], ids=["items", "requests"])
def test_lines_go_to_files_while_their_index_fails_and_the_alias_works(
    server: FakeElasticsearch, local: DeadLetterFiles, heard: Heard, stop: Stop, *, code: int, whole: bool
) -> None:
    """Red, full or busy while the alias takes entries: after some tries the lines are in files, and the next at once."""
    if whole:
        server.bulk_step = faults.status(code)
    else:
        not_well(server, code)
    rejects = DeadLetterStore(server.client, INDEX, local, LIMIT, heard, stop, takes=lambda: True)
    some = [rejection(n, line) for n, line in enumerate(AWKWARD)]
    rejects.keep(some)
    assert (in_index(server), in_files(local)) == ({}, lines(some))
    assert len(server.requests) == len(heard.of("delivery_failed")) + 1 == TRIES
    assert heard.told[-2:] == [("delivery_recovered", ()), ("rejected", ("not_an_object", 6))]
    rejects.keep([rejection(100)])
    assert len(server.requests) == TRIES, "it is left alone for a while"
    assert in_files(local) == lines([*some, rejection(100)])


def test_a_failed_index_is_tried_again_later(
    server: FakeElasticsearch,
    local: DeadLetterFiles,
    heard: Heard,
    stop: Stop,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a rest it gets lines again."""
    not_well(server, 503)
    rejects = DeadLetterStore(server.client, INDEX, local, LIMIT, heard, stop, takes=lambda: True)
    rejects.keep([rejection(1)])
    server.refuse = lambda *_: None
    later = time.monotonic() + REST + 60
    monkeypatch.setattr(time, "monotonic", lambda: later)
    rejects.keep([rejection(2)])
    assert (in_index(server), in_files(local)) == (lines([rejection(2)]), lines([rejection(1)]))


@pytest.mark.parametrize("code", [429, 500, 503])
def test_lines_wait_while_the_alias_fails_too(
    server: FakeElasticsearch, local: DeadLetterFiles, heard: Heard, stop: Stop, code: int
) -> None:
    """Lines wait while the alias takes no entries either."""
    not_well(server, code)
    stop.during = {20: lambda: setattr(server, "refuse", lambda *_: None)}
    rejects = DeadLetterStore(server.client, INDEX, local, LIMIT, heard, stop, takes=lambda: False)
    rejects.keep([rejection(1)])
    assert (in_index(server), in_files(local)) == (lines([rejection(1)]), {})


def test_lines_that_a_proxy_refuses_go_to_files(
    server: FakeElasticsearch, local: DeadLetterFiles, rejects: DeadLetterStore
) -> None:
    """Lines whose request a proxy refuses go to files, the others to the index."""

    def step(request: faults.Request, carry_out: faults.CarryOut) -> object:
        if rejection(2).id in dict(request.pairs):
            raise faults.page(400)
        return carry_out()

    server.bulk_step = step
    some = [rejection(n) for n in range(4)]
    rejects.keep(some)
    assert in_files(local) == lines(some[2:3])
    assert in_index(server) == lines([*some[:2], *some[3:]])
