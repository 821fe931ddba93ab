"""What of a batch is in the alias already: which indices are asked, and what their answers mean."""

import pytest

from indexer.errors import AliasIsIndex, NotInstalled
from indexer.writing import replay
from indexer.writing.replay import Backing, Unknown, backing, delivered
from tests.fakes import ALIAS, FakeElasticsearch
from tests.faults import status

URL = "http://somewhere"
ONE, TWO, THREE = (f"{ALIAS}-{n:06}" for n in (1, 2, 3))
BEHIND = Backing(THREE, (ONE, TWO, THREE))


@pytest.fixture
def server() -> FakeElasticsearch:
    """A cluster that has rolled over twice."""
    server = FakeElasticsearch()
    server.rollover()
    server.rollover()
    return server


@pytest.mark.parametrize(
    ("since", "asked"),
    [
        (ONE, [ONE, TWO]),
        (TWO, [TWO]),
        (THREE, []),
        (None, [ONE, TWO]),
        ("deleted-000001", [ONE, TWO]),
        ("", [ONE, TWO]),
    ],
    ids=["first", "second", "the one written", "unknown", "no longer there", "no name"],
)
def test_indices_written_since_are_asked(since: str | None, asked: list[str]) -> None:
    """All but the write index are asked that were written since; all of them, if that index is not known."""
    assert BEHIND.may_hold(since) == asked


def test_an_index_without_a_number_is_always_asked() -> None:
    """An index that an administrator put behind the alias has no place in the order."""
    behind = Backing(THREE, ("restored", ONE, TWO, THREE))
    assert behind.may_hold(TWO) == ["restored", TWO]
    assert Backing("restored", ("restored", ONE, TWO)).may_hold("restored") == [ONE, TWO]


def test_indices_are_in_the_order_of_their_numbers(server: FakeElasticsearch) -> None:
    """The millionth index comes after the others, though its name does not."""
    late = f"{ALIAS}-1000000"
    server.behind.insert(0, late)
    server.write = late
    assert backing(server.client, ALIAS, URL) == Backing(late, (ONE, TWO, THREE, late))


def test_a_single_index_is_written_without_being_marked(server: FakeElasticsearch) -> None:
    """An alias of one index needs no mark for the index that is written; one of several does."""
    server.write = None
    server.behind = [TWO]
    assert backing(server.client, ALIAS, URL) == Backing(TWO, (TWO,))
    server.behind = [ONE, TWO]
    with pytest.raises(NotInstalled, match=ALIAS):
        backing(server.client, ALIAS, URL)


def test_no_alias_is_not_installed(server: FakeElasticsearch) -> None:
    """Without the alias the sentence says what to run, and on which server."""
    server.behind = []
    with pytest.raises(NotInstalled, match=rf"no alias '{ALIAS}' .* on {URL}\. Run"):
        backing(server.client, ALIAS, URL)


def test_an_index_in_the_place_of_the_alias_is_said(server: FakeElasticsearch) -> None:
    """An index that bears the alias's name is not taken for a missing alias."""
    server.behind = []
    server.documents[ALIAS] = {}
    with pytest.raises(AliasIsIndex, match="is an index"):
        backing(server.client, ALIAS, URL)


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
    monkeypatch.setattr(replay, "ASKED_AT_ONCE", 3)
    ids = [b"%d" % n for n in range(7)]
    server.documents[TWO] = {"6": b"{}"}
    assert delivered(server.client, [ONE, TWO], ids) == {b"6"}
    assert [len(question.ids) for question in server.questions] == [3, 3, 1, 3, 3, 1]


def test_an_index_that_is_gone_holds_nothing(server: FakeElasticsearch) -> None:
    """An index deleted between two questions has no copy of anything."""
    del server.documents[ONE]
    server.documents[TWO] = {"a": b"{}"}
    assert delivered(server.client, [ONE, TWO], [b"a", b"b"]) == {b"a"}


def test_an_index_that_does_not_tell_is_not_taken_for_empty(server: FakeElasticsearch) -> None:
    """An index that cannot be asked now, a closed one, leaves the question open."""
    server.question_step = lambda request, _: {
        "docs": [{"_id": identity, "error": {"type": "index_closed_exception"}} for identity in request.ids]
    }
    with pytest.raises(Unknown, match=f"{ONE} does not tell what it holds: index_closed_exception"):
        delivered(server.client, [ONE], [b"a"])


def test_what_the_client_raises_is_raised(server: FakeElasticsearch) -> None:
    """A refusal is for the caller to judge."""
    server.question_step = status(403)
    with pytest.raises(Exception, match="some_exception") as raised:
        backing(server.client, ALIAS, URL)
    assert getattr(raised.value, "status_code", None) == 403
