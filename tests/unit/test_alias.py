"""The name that an index is written by: its own, or an alias of its own where no template forbids auto-creation."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from indexer.elastic.alias import EXISTING, Address, Backing, backing, indices_of
from indexer.writing.target import GRACE
from tests.support import faults
from tests.support.fakes import ALIAS, FakeElasticsearch
from tests.support.sending import Lab, pairs, stored

ONE, TWO = f"{ALIAS}-000001", f"{ALIAS}-000002"


@pytest.fixture
def server() -> FakeElasticsearch:
    """A cluster that has rolled over once."""
    server = FakeElasticsearch()
    server.rollover()
    return server


def test_an_index_without_an_alias_of_its_own_is_written_by_its_name(server: FakeElasticsearch) -> None:
    """Its template forbids that it is created anew."""
    assert backing(server.cluster) == Backing(TWO, (ONE, TWO))
    assert backing(server.cluster).address(TWO) == Address(TWO)


def test_an_index_with_an_alias_of_its_own_is_written_by_that(server: FakeElasticsearch) -> None:
    """And it has to be an alias then: as long as the index lives, it is one."""
    server.own = {TWO}
    behind = backing(server.cluster)
    assert behind == Backing(TWO, (ONE, TWO), frozenset({TWO}))
    assert [behind.address(it) for it in (ONE, TWO)] == [Address(ONE), Address(TWO + EXISTING, is_alias=True)]


def test_both_are_looked_up_at_once(server: FakeElasticsearch) -> None:
    """A look each second costs one request."""
    server.own = {ONE, TWO}
    marked = {"is_write_index": True}
    assert indices_of(server.cluster) == {
        ONE: {ALIAS: {"is_write_index": False}, ONE + EXISTING: marked},
        TWO: {ALIAS: marked, TWO + EXISTING: marked},
    }
    assert len(server.questions) == 1


@pytest.mark.parametrize("behind", [[], [ONE]])
def test_an_index_that_only_has_an_alias_of_its_own_is_not_behind_the_alias(
    server: FakeElasticsearch, behind: Sequence[str]
) -> None:
    """Somebody took it out of the alias; it is not written any more."""
    server.behind, server.own = list(behind), {TWO}
    assert list(indices_of(server.cluster)) == behind


@pytest.mark.parametrize(
    "aliases",
    [{f"{ALIAS}-000003{EXISTING}": {}}, {TWO: {}}, {f"{TWO}{EXISTING}-too": {}}],
    ids=["of another index", "of its name", "longer"],
)
def test_another_alias_is_not_its_own(server: FakeElasticsearch, aliases: Mapping[str, Any]) -> None:
    """Only the name that the template gives is deleted with the index and leads to no other."""
    server.more_aliases = {TWO: aliases}
    assert backing(server.cluster).address(TWO) == Address(TWO)


def test_a_rollover_changes_the_address(server: FakeElasticsearch) -> None:
    """What was installed by an older version has no alias of its own; what the new template creates has one."""
    server.rollover()
    three = f"{ALIAS}-000003"
    server.own = {three}
    behind = backing(server.cluster)
    assert behind.address(TWO) == Address(TWO)
    assert behind.address(three) == Address(three + EXISTING, is_alias=True)


def test_an_index_deleted_just_before_it_is_written_is_not_created_anew() -> None:
    """Also if another sender has looked at the alias since, and sees neither the index nor its own alias."""
    lab = Lab()
    lab.server.rollover()
    lab.server.own = {ONE, TWO}
    lab.stop.elapsed += 2 * GRACE
    lab.target.look()
    lab.stop.elapsed += 2 * GRACE

    def delete() -> None:
        if TWO in lab.server.documents:
            del lab.server.documents[TWO]
            lab.server.behind, lab.server.write = [ONE], ONE
            lab.server.own = {ONE}
            lab.target.look_again()
            lab.target.look()

    lab.server.question_steps.extend([faults.carried_out, faults.then(faults.carried_out, delete)])
    outcome, _ = lab.deliver(pairs(3))
    assert lab.server.documents == {ONE: stored(pairs(3))}
    assert [request.target for request in lab.server.requests] == [TWO + EXISTING, ONE]
    assert outcome.created == 3
