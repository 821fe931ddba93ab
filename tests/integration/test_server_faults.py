"""The server or a proxy fails in every known way: one copy of each entry."""

import secrets
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.demo.embedded import Embedded
from indexer.elastic.client import connect
from indexer.events import Fault
from indexer.settings import Connection, State
from tests.support.lab import Lab
from tests.support.real_faults.actions import (
    every,
    items,
    lost,
    page,
    reset,
    short_by_one,
    silent,
    status,
    torn,
    truncated,
)
from tests.support.real_faults.laboratory import (
    SMALL,
    FaultyLab,
    behind_proxy,
    entries,
    failures,
    first,
    reported,
    until_read,
)
from tests.support.real_faults.proxy import Action, Answer, CarryOut, Request, carried_out

FAULTS: dict[str, tuple[Action, Fault]] = {
    "429": (status(429), Fault.TOO_MANY_REQUESTS),
    "500": (status(500), Fault.SERVER_ERROR),
    "503": (status(503), Fault.SERVER_ERROR),
    "401": (status(401), Fault.REFUSED),
    "429 for each third item": (items(429, every(3), taken=False), Fault.TOO_MANY_REQUESTS),
    "503 for each third item": (items(503, every(3), taken=False), Fault.SERVER_ERROR),
    "429 for all items": (items(429, every(1), taken=False), Fault.TOO_MANY_REQUESTS),
    "429 for items that are taken": (items(429, every(3), taken=True), Fault.TOO_MANY_REQUESTS),
    "reset before the request": (reset, Fault.NO_ANSWER),
    "reset instead of the answer": (lost(), Fault.NO_ANSWER),
    "reset in mid-answer": (torn, Fault.NO_ANSWER),
    "no answer, and nothing done": (silent, Fault.NO_ANSWER),
    "no answer to what is done": (lost(silently=True), Fault.NO_ANSWER),
    "a page with status 200": (page, Fault.NOT_AN_ANSWER),
    "truncated JSON": (truncated, Fault.NOT_AN_ANSWER),
    "an item too few": (short_by_one, Fault.NOT_AN_ANSWER),
}


@pytest.fixture
def faulty(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyLab]:
    """A laboratory behind a proxy, that waits a second for an answer."""
    with behind_proxy(lab, monkeypatch, request_timeout=1.0) as faulty:
        yield faulty


@pytest.mark.parametrize(("action", "fault"), FAULTS.values(), ids=FAULTS.keys())
def test_requests_are_retried_until_a_fault_ends(faulty: FaultyLab, action: Action, fault: Fault) -> None:
    """A fault of some bulk requests, then of requests of any kind, is reported; one copy of each entry."""
    lines = entries(2000)
    faulty.append(lines[:10])
    with faulty.following(batch_bytes=SMALL) as following:
        until_read(following, 10)
        faulty.proxy.plan(action, action)
        faulty.append(lines[10:1000])
        until_read(following, 1000)
        faulty.proxy.rule = first(4, action)
        faulty.append(lines[1000:])
        until_read(following, 2000)
    assert fault in {told for told, _ in failures(following)}
    assert following.heard.of("delivery_recovered")
    faulty.prove(lines)


@pytest.mark.parametrize(
    "action",
    [status(429), status(503), status(401), reset, page, truncated],
    ids=["429", "503", "401", "reset", "page", "truncated"],
)
def test_the_start_is_retried_until_a_fault_ends(faulty: FaultyLab, action: Action) -> None:
    """A server that fails at the start is retried, and that is reported."""
    lines = entries(10)
    faulty.append(lines)
    faulty.proxy.rule = first(5, action)
    with faulty.following() as following:
        until_read(following, 10)
    assert following.heard.of("waiting")
    faulty.prove(lines)


# ---- real ones


@pytest.mark.parametrize(
    ("block", "fault", "words"),
    [
        ("index.blocks.write", Fault.CLUSTER_STATE, "index write (api)"),
        ("index.blocks.read_only", Fault.CLUSTER_STATE, "index read-only (api)"),
        # What the server does when its disk is nearly full; it answers 429 (measured on 9.1.5).
        ("index.blocks.read_only_allow_delete", Fault.TOO_MANY_REQUESTS, "flood-stage watermark"),
    ],
)
def test_a_read_only_index_is_waited_for(faulty: FaultyLab, block: str, fault: Fault, words: str) -> None:
    """A block on the write index rejects no entry and is reported; after it is lifted all are indexed."""
    lines = entries(1000)
    faulty.append(lines[:100])
    with faulty.following(batch_bytes=SMALL) as following:
        until_read(following, 100)
        faulty.client.indices.put_settings(index=faulty.connection.alias, settings={block: True})
        faulty.append(lines[100:])
        following.until(lambda: len(failures(following)) > 3)
        assert following.heard.totals.read == 100
        faulty.client.indices.put_settings(index=faulty.connection.alias, settings={block: None})
        until_read(following, 1000)
    assert {told for told, _ in failures(following)} == {fault}
    assert reported(following, words)()
    faulty.prove(lines)


@pytest.fixture(scope="module")
def own_server(elasticsearch_version: str) -> Iterator[Embedded]:
    """A server to ill-treat, whose largest request is 1 MB."""
    with Embedded(elasticsearch_version, settings={"http.max_content_length": "1mb"}) as server:
        yield server


@pytest.fixture
def own(own_server: Embedded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyLab]:
    """A laboratory on it."""
    connection = Connection(
        elasticsearch_url=[own_server.url], alias=f"t{secrets.token_hex(6)}-activity", request_timeout=10.0
    )
    (tmp_path / "logs").mkdir()
    with connect(connection) as client:
        lab = Lab(connection, client, tmp_path / "logs", State(tmp_path / "state"))
        lab.install()
        with behind_proxy(lab, monkeypatch) as through:
            yield through


@pytest.fixture
def read_only(own: FaultyLab) -> Iterator[FaultyLab]:
    """With a block that an administrator set on the whole cluster; its requests are answered as a whole."""
    block = "cluster.blocks.read_only"
    own.client.cluster.put_settings(persistent={block: True})
    yield own
    own.client.cluster.put_settings(persistent={block: None})


def test_a_read_only_cluster_is_waited_for(read_only: FaultyLab) -> None:
    """It is no missing privilege, though the status is the same, and no command says that it is."""
    lines = entries(1000)
    read_only.append(lines)
    words = "blocked by: [FORBIDDEN/6/cluster read-only (api)]"
    for command in (["check"], ["template", "install", "--replicas", "2"]):
        done = read_only.command(*command)
        assert (done.returncode, words in done.stdout + done.stderr) == (1, True), done
        assert "template roles" not in done.stdout + done.stderr
    with read_only.following() as following:
        following.until(lambda: len(failures(following)) > 3)
        read_only.client.cluster.put_settings(persistent={"cluster.blocks.read_only": None})
        until_read(following, 1000)
    assert {fault for fault, _ in failures(following)} == {Fault.CLUSTER_STATE}
    assert reported(following, words)()
    read_only.prove(lines)


@pytest.mark.parametrize("length", [1_100_000, 20_000_000], ids=["just over", "far over"])
def test_requests_too_large_for_the_server_are_made_smaller(own: FaultyLab, length: int) -> None:
    """Batches of 30 MB for a server that takes 1 MB: halved until they pass; the entry that never can is kept aside.

    Without the proxy, which would read a request to its end: the server need not.
    """
    direct = Lab(own.real, own.client, own.logs, own.state)
    lines = entries(9000)
    huge = b'{"n":-1,"payload":"%b"}' % (b"x" * length)
    own.append([*lines[:4000], huge, *lines[4000:]])
    with direct.following(batch_bytes=30_000_000, max_line_bytes=30_000_000) as following:
        until_read(following, 9001)
    assert [path.read_bytes() for path in own.state.state_dir.glob("rejected/*.line")] == [huge]
    assert {line.type for line in own.rejected().lines} == {"request_refused"}
    own.prove(lines, rejected=1)


def test_a_server_that_dies_under_load_and_comes_back(own: FaultyLab, own_server: Embedded) -> None:
    """Killed while requests are in flight, restarted on its data while the log grows: one copy of each entry."""
    lines = entries(9000)
    with own.following(batch_bytes=SMALL) as following:
        own.append(lines[:4000])
        following.until(lambda: following.heard.totals.created)
        own_server.kill()
        own.append(lines[4000:6000])
        following.until(lambda: failures(following))
        own_server.restart()
        own.append(lines[6000:])
        until_read(following, 9000)
    assert Fault.NO_ANSWER in {fault for fault, _ in failures(following)}
    own.prove(lines)


# ---- entries that are to blame themselves


def refusing(poison: bytes) -> Action:
    """A server that answers 400 to any request that has this in it."""

    def action(request: Request, carry_out: CarryOut) -> Answer:
        return status(400)(request, carry_out) if poison in request.body else carry_out(request)

    return action


@pytest.mark.parametrize("batch_bytes", [SMALL, 5_000_000], ids=["many batches", "one batch"])
def test_one_poisoned_entry_among_thousands(faulty: FaultyLab, batch_bytes: int) -> None:
    """The entry that makes its request fail is found; all others are indexed.

    It would spoil the request to the index of rejected lines, too, and so it is kept in the state directory.
    """
    lines = entries(5000)
    poison = b'{"n":-1,"s":"poison"}'
    faulty.append([*lines[:3210], poison, *lines[3210:]])
    faulty.proxy.all_bulks(refusing(b"poison"))
    with faulty.following(batch_bytes=batch_bytes) as following:
        until_read(following, 5001)
    assert [path.read_bytes() for path in faulty.state.state_dir.glob("rejected/*.line")] == [poison]
    faulty.prove(lines, rejected=1)


def failing_at(poison: bytes, code: int = 500) -> Action:
    """A server that takes what a request brings, but for entries that have this in them: at these it fails."""

    def action(request: Request, carry_out: CarryOut) -> Answer:
        chosen = [poison in entry for entry in request.body.splitlines()[1::2]]
        return (
            items(code, chosen.__getitem__, taken=False)(request, carry_out)
            if any(chosen)
            else carry_out(request)
        )

    return action


def paging_at(poison: bytes, code: int, kind: str) -> Action:
    """A proxy that answers requests which have this in them with a page of its own."""

    def action(request: Request, carry_out: CarryOut) -> Answer:
        if poison not in request.body:
            return carry_out(request)
        return Answer(code, {"content-type": kind}, b"<html>Not this</html>")

    return action


@pytest.mark.parametrize("batch_bytes", [SMALL, 5_000_000], ids=["many batches", "one batch"])
@pytest.mark.parametrize(
    "action",
    [
        failing_at(b"poison"),
        paging_at(b"poison", 413, "application/json"),
        paging_at(b"poison", 400, "text/html"),
        paging_at(b"poison", 400, "application/json"),
        paging_at(b"poison", 502, "text/html"),
        paging_at(b"poison", 500, ""),
    ],
    ids=["500", "413 page", "400 page", "400 page as JSON", "502 page", "500 page"],
)
def test_an_entry_that_is_always_refused_is_rejected_alone(
    faulty: FaultyLab, action: Action, batch_bytes: int
) -> None:
    """The others are indexed at once; it is rejected with its bytes, and a replay indexes it after the fault."""
    lines = entries(2000)
    poison = b'{"n":-1,"s":"poison"}'
    faulty.append([*lines[:1210], poison, *lines[1210:]])
    faulty.proxy.all_bulks(action)
    with faulty.following(batch_bytes=batch_bytes) as following:
        until_read(following, 2001)
    faulty.prove(lines, rejected=1)
    faulty.proxy.all_bulks(carried_out)
    assert faulty.command("rejected", "replay").returncode == 0
    assert faulty.held() == Counter([*lines, poison])
    assert faulty.rejected().total == 0


@pytest.mark.parametrize(
    "action",
    [failing_at(b"n"), paging_at(b"", 413, "application/json"), paging_at(b"", 400, "text/html")],
    ids=["500", "413 page", "400 page"],
)
def test_a_fault_of_all_entries_rejects_none(faulty: FaultyLab, action: Action) -> None:
    """It fails many more times than one entry is tried; all are indexed when it ends."""
    lines = entries(200)
    faulty.append(lines[:10])
    with faulty.following(batch_bytes=SMALL) as following:
        until_read(following, 10)
        faulty.proxy.all_bulks(action)
        faulty.append(lines[10:])
        following.until(lambda: len(failures(following)) > 40)
        faulty.proxy.all_bulks(carried_out)
        until_read(following, 200)
    faulty.prove(lines)


@pytest.mark.parametrize("action", [lost(), truncated], ids=["lost", "truncated"])
def test_thousands_refused_around_one_good_entry(faulty: FaultyLab, action: Action) -> None:
    """All refused lines are kept once with their bytes, though answers are lost; the good entry is indexed."""
    refused = [b'{"n":%d,' % number for number in range(3000)]
    good = entries(1)
    faulty.append([*refused[:1000], *good, *refused[1000:]])
    faulty.proxy.plan(action, action, action)
    with faulty.following(batch_bytes=200_000) as following:
        until_read(following, 3001)
    assert faulty.proxy.done
    faulty.prove(good, rejected=3000)
    assert faulty.rejected().total == 3000
