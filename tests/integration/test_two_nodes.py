"""Several Zoomdata nodes: an indexer beside each one, or one over the volume that they share."""

from dataclasses import replace
from pathlib import Path

import pytest

from indexer.settings import State
from tests.support.lab import LOG, Lab, joined, numbered


@pytest.fixture
def nodes(lab: Lab, tmp_path: Path) -> tuple[Lab, Lab]:
    """Two nodes: each has its own logs and its own state, both the same alias."""
    labs = [
        replace(lab, logs=tmp_path / name, state=State(tmp_path / f"{name} state")) for name in ("a", "b")
    ]
    for node in labs:
        node.logs.mkdir()
    return labs[0], labs[1]


def test_an_indexer_beside_each_node(nodes: tuple[Lab, Lab]) -> None:
    """Both follow logs of the same name, growing and rotating at the same time: every line of both is there, once."""
    one, two = nodes
    lines = (numbered(1000), numbered(1000, start=1000))
    with one.following() as first, two.following() as second:
        for start in (0, 500):
            for node, own in zip(nodes, lines, strict=True):
                log = node.logs / LOG
                if start:
                    log.rename(node.logs / f"{LOG}.1")
                log.write_bytes(joined(own[start : start + 500]))
            first.until_created(start + 500)
            second.until_created(start + 500)
    assert sorted(one.entries()) == sorted(lines[0] + lines[1])
    assert (first.heard.totals.duplicates, second.heard.totals.duplicates) == (0, 0)


def test_from_one_each_to_one_for_all(nodes: tuple[Lab, Lab]) -> None:
    """One indexer over both directories, with a state of its own, finds all that the two had sent, and goes on."""
    for start, node in zip((0, 500), nodes, strict=True):
        node.log(joined(numbered(500, start)))
        node.run()
    shared = replace(nodes[0], state=State(nodes[0].logs.with_name("shared state")))
    again = shared.run(*(node.logs for node in nodes)).totals
    assert (again.created, again.duplicates) == (0, 1000)
    nodes[1].log(joined(numbered(600, 500)))
    assert shared.run(*(node.logs for node in nodes)).totals.created == 100
    assert shared.numbers() == list(range(1100))


def test_logs_that_begin_alike(nodes: tuple[Lab, Lab]) -> None:
    """The same line at the same place of two logs that begin with the same line is one line."""
    _begin_alike(nodes)
    assert nodes[0].run().totals.created == 8
    apart = nodes[1].run().totals
    assert (apart.created, apart.duplicates) == (5, 3)


def test_logs_that_begin_alike_under_one_indexer(nodes: tuple[Lab, Lab]) -> None:
    """One indexer over both comes to the same: an id knows of nothing but the bytes and their place."""
    _begin_alike(nodes)
    together = nodes[0].run(*(node.logs for node in nodes)).totals
    assert (together.created, together.duplicates) == (13, 3)


def _begin_alike(nodes: tuple[Lab, Lab]) -> None:
    for start, node in zip((10, 20), nodes, strict=True):
        node.log(joined(numbered(3) + numbered(5, start)))
