"""Which index is written: what is behind the alias, when a new write index is used, what the indices hold."""

import re

import pytest

from indexer.elastic.alias import Backing, backing
from indexer.errors import AliasIsIndex, NotInstalled, NoWriteIndex
from indexer.writing import target as target_module
from indexer.writing.target import GRACE, LOOK_EVERY, IndexUnavailable, Target, delivered
from tests.support.fakes import ALIAS, FakeElasticsearch
from tests.support.faults import no_connection, status

ONE, TWO, THREE = (f"{ALIAS}-{n:06}" for n in (1, 2, 3))


@pytest.fixture
def server() -> FakeElasticsearch:
    """A cluster that has rolled over twice."""
    server = FakeElasticsearch()
    server.rollover()
    server.rollover()
    return server


def test_indices_are_in_the_order_of_their_numbers(server: FakeElasticsearch) -> None:
    """The millionth index comes after the others, though its name does not."""
    late = f"{ALIAS}-1000000"
    server.behind.insert(0, late)
    server.write = late
    assert backing(server.cluster) == Backing(late, (ONE, TWO, THREE, late))


def test_a_single_index_is_written_without_being_marked(server: FakeElasticsearch) -> None:
    """An alias of one index needs no mark for the index that is written; one of several does."""
    server.write = None
    server.behind = [TWO]
    assert backing(server.cluster) == Backing(TWO, (TWO,))
    server.behind = [ONE, TWO]
    with pytest.raises(NoWriteIndex, match=f"{ALIAS}.* among {ONE}, {TWO}. Set is_write_index"):
        backing(server.cluster)


def test_a_single_index_that_is_marked_as_not_written_is_no_write_index(server: FakeElasticsearch) -> None:
    """Elasticsearch refuses to write through such an alias."""
    server.behind, server.write = [TWO], ONE
    with pytest.raises(NoWriteIndex):
        backing(server.cluster)


def test_no_alias_is_not_installed(server: FakeElasticsearch) -> None:
    """Without the alias the sentence says what to run, and on which server."""
    server.behind = []
    with pytest.raises(NotInstalled, match=rf"no alias '{ALIAS}' on {server.cluster.url}\. Run"):
        backing(server.cluster)


def test_an_index_in_the_place_of_the_alias_is_said(server: FakeElasticsearch) -> None:
    """An index that bears the alias's name is not taken for a missing alias."""
    server.behind = []
    server.documents[ALIAS] = {}
    with pytest.raises(AliasIsIndex, match="is an index"):
        backing(server.cluster)


def test_what_indices_hold_is_found(server: FakeElasticsearch) -> None:
    """The ids that any of the asked indices holds are known, no others."""
    server.documents[ONE] = {"a": b"{}"}
    server.documents[TWO] = {"b": b"{}"}
    server.documents[THREE] = {"c": b"{}"}
    assert delivered(server.client, [ONE, TWO], [b"a", b"b", b"c", b"d"]) == {b"a", b"b"}
    assert delivered(server.client, [], [b"a"]) == set()


def test_many_ids_are_asked_in_several_requests(
    server: FakeElasticsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each id is asked once of each index, at most so many in one request."""
    monkeypatch.setattr(target_module, "ASKED_AT_ONCE", 3)
    ids = [b"%d" % n for n in range(7)]
    server.documents[TWO] = {"6": b"{}"}
    assert delivered(server.client, [ONE, TWO], ids) == {b"6"}
    assert [len(question.ids) for question in server.questions] == [3, 3, 3, 3, 1, 1]


def test_an_index_that_is_gone_holds_nothing(server: FakeElasticsearch) -> None:
    """An index deleted between two questions has no copy of anything."""
    del server.documents[ONE]
    server.documents[TWO] = {"a": b"{}"}
    assert delivered(server.client, [ONE, TWO], [b"a", b"b"]) == {b"a"}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ({"type": "index_closed_exception"}, "index_closed_exception"),
        ({"type": "index_closed_exception", "reason": "closed"}, "closed"),
        (
            {
                "type": "security_exception",
                "reason": "no permissions for [indices:data/read/mget[shard]] and User [name=u]",
            },
            "the index permission indices:data/read/mget[shard] is missing",
        ),
    ],
)
def test_an_index_that_does_not_tell_is_not_taken_for_empty(
    server: FakeElasticsearch, error: dict[str, str], words: str
) -> None:
    """An index that cannot be asked now, a closed one or one that the user may not read, leaves the question open."""
    server.question_step = lambda request, _: {"docs": [{"error": error} for _ in request.ids]}
    with pytest.raises(IndexUnavailable, match=re.escape(f"cannot search {ONE}: {words}")):
        delivered(server.client, [ONE], [b"a"])


def test_what_the_client_raises_is_raised(server: FakeElasticsearch) -> None:
    """A refusal is for the caller to judge."""
    server.question_step = status(403)
    with pytest.raises(Exception, match="some_exception") as raised:
        backing(server.cluster)
    assert getattr(raised.value, "status_code", None) == 403


# ---- which index is written


class Timed:
    """A target with a clock that a test sets."""

    def __init__(self, server: FakeElasticsearch, known: str | None) -> None:
        self.now = 1000.0
        behind = backing(server.cluster)
        server.questions.clear()
        self.target = Target(server.cluster, behind, known, clock=lambda: self.now)


def test_the_alias_is_looked_at_once_a_second(server: FakeElasticsearch) -> None:
    """However many batches there are."""
    timed = Timed(server, THREE)
    for _ in range(100):
        assert timed.target.look() == Backing(THREE, (ONE, TWO, THREE))
        timed.now += LOOK_EVERY / 10
    assert 9 <= len(server.questions) <= 10


def test_the_alias_is_looked_at_again_when_the_last_look_is_out_of_date(server: FakeElasticsearch) -> None:
    """An index that takes nothing any more is no reason to wait a second."""
    timed = Timed(server, THREE)
    timed.target.look()
    server.rollover()
    assert timed.target.look().write == THREE
    timed.target.look_again()
    assert timed.target.look().write == f"{ALIAS}-000004"


def test_a_look_that_fails_is_no_look(server: FakeElasticsearch) -> None:
    """The next one asks again, and what was known before is not taken for the answer."""
    timed = Timed(server, THREE)
    timed.now += LOOK_EVERY
    server.question_steps.append(no_connection)
    with pytest.raises(Exception, match="Connection error"):
        timed.target.look()
    server.rollover()
    assert timed.target.look().write == f"{ALIAS}-000004"


def test_a_new_write_index_is_used_after_a_while(server: FakeElasticsearch) -> None:
    """Seconds are counted from when it was noticed; until then no line is known to be new to it."""
    timed = Timed(server, THREE)
    assert (timed.target.unsettled(), timed.target.settled) == (0.0, THREE)
    server.rollover()
    timed.now += LOOK_EVERY
    timed.target.look()
    assert (timed.target.unsettled(), timed.target.settled) == (GRACE, None)
    timed.now += GRACE - 0.5
    timed.target.look()
    assert (timed.target.unsettled(), timed.target.settled) == (0.5, None)
    timed.now += 0.5
    assert (timed.target.unsettled(), timed.target.settled) == (0.0, f"{ALIAS}-000004")


def test_rollovers_in_a_row_are_each_waited_for(server: FakeElasticsearch) -> None:
    """The last one counts."""
    timed = Timed(server, THREE)
    for _ in range(3):
        server.rollover()
        timed.now += GRACE - 1
        timed.target.look()
        assert timed.target.unsettled() == GRACE


@pytest.mark.parametrize(
    ("behind", "known", "seconds"),
    [
        ([ONE, TWO], TWO, 0.0),
        ([ONE, TWO], ONE, GRACE),
        ([ONE, TWO], "deleted-000001", GRACE),
        ([ONE, TWO], None, GRACE),
        ([TWO], None, 0.0),
        ([TWO], ONE, 0.0),
    ],
    ids=["known", "rolled over since", "deleted since", "lost state", "first run", "all others deleted"],
)
def test_a_start_waits_for_a_write_index_that_may_be_new(
    server: FakeElasticsearch, behind: list[str], known: str | None, seconds: float
) -> None:
    """Nobody knows how long ago it began, unless the state speaks of it; where it is the only one, it does not matter."""
    server.behind, server.write = behind, behind[-1]
    assert Timed(server, known).target.unsettled() == seconds
