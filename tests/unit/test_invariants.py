"""What is wrong with an index: each defect in a good one is found, and nothing else."""

from typing import Any

import pytest

from indexer.elastic.server import Product, Server
from indexer.settings import Connection
from indexer.setup.invariants import INVARIANTS, EffectiveIndex, violated, violated_lifecycle, winner_of
from indexer.setup.plan import Kind, plan

NEW = Server(version=(9, 1, 5), lifecycle=True)
OLD = Server(version=(7, 17, 28), lifecycle=True)
OPENSEARCH = Server(version=(2, 19, 6), lifecycle=False, product=Product.OPENSEARCH)
ALIAS = Connection().alias


def shipped(server: Server) -> dict[str, Any]:
    """An index with all of our components."""
    made: dict[str, Any] = {"settings": {}, "mappings": {}, "aliases": {}}
    for request in plan(server, Connection()):
        if request.kind is Kind.COMPONENT:
            for part, body in request.body["template"].items():
                made[part] |= body
    return made


def with_setting(name: str, value: object) -> EffectiveIndex:
    body = shipped(NEW)
    body["settings"] |= {name: value}
    return EffectiveIndex.of(body)


def with_mapping(**values: object) -> EffectiveIndex:
    body = shipped(NEW)
    body["mappings"] |= values
    return EffectiveIndex.of(body)


def with_date(**values: object) -> EffectiveIndex:
    body = shipped(NEW)
    body["mappings"]["properties"]["eventDate"] = values
    return EffectiveIndex.of(body)


def without_own_alias() -> EffectiveIndex:
    """An index of OpenSearch that was not made by our template."""
    body = shipped(OPENSEARCH)
    return EffectiveIndex.of(body | {"aliases": {ALIAS: {}}})


DEFECTS = [
    (with_setting("index.default_pipeline", "geo"), "default_pipeline"),
    (with_setting("index.final_pipeline", "geo"), "final_pipeline"),
    (with_setting("index.search.default_pipeline", "hide"), "search.default_pipeline"),
    (with_setting("index.mapping.source.mode", "SYNTHETIC"), "synthetic"),
    (with_setting("index.derived_source.enabled", "true"), "derived"),
    (with_setting("index.mode", "logsdb"), "index.mode"),
    (with_setting("index.mapping.ignore_malformed", "false"), "ignore_malformed"),
    (with_setting("index.mapping.total_fields.ignore_dynamic_beyond_limit", "false"), "beyond_limit"),
    (with_setting("index.translog.durability", "async"), "power failure"),
    (with_setting("index.blocks.write", "true"), "index.blocks"),
    (with_setting("index.blocks.read_only", "true"), "index.blocks"),
    (with_mapping(_source={"enabled": False}), "switched off"),
    (with_mapping(_source={"includes": ["user"]}), "includes"),
    (with_mapping(_source={"excludes": ["request"]}), "excludes"),
    (with_mapping(_source={"mode": "synthetic"}), "synthetic"),
    (with_mapping(dynamic=False), "dynamic"),
    (with_mapping(dynamic="strict"), "dynamic"),
    (with_mapping(dynamic="runtime"), "dynamic"),
    (with_mapping(_routing={"required": True}), "_routing"),
    (with_mapping(subobjects=True), "subobjects"),
    (with_date(type="keyword"), "eventDate"),
    (with_date(type="date"), "eventDate"),
    (with_date(type="date", format="epoch_millis||yyyy-MM-dd HH:mm:ss"), "eventDate"),
]


@pytest.mark.parametrize(
    ("made", "word"), DEFECTS, ids=[f"{number} {it[1]}" for number, it in enumerate(DEFECTS)]
)
def test_a_defect_is_found_and_nothing_else(made: EffectiveIndex, word: str) -> None:
    """One sentence, which names the property."""
    (found,) = violated(made, NEW)
    assert word in found


def test_each_promise_has_a_defect_here() -> None:
    """No promise is kept by whatever there is."""
    broken = {sentence for made, _ in DEFECTS for sentence in violated(made, NEW)}
    broken |= set(violated(without_own_alias(), OPENSEARCH))
    assert broken == {promise.otherwise for promise in INVARIANTS}


def test_an_index_that_could_be_created_anew_outside_the_alias_is_found() -> None:
    """Where no template forbids that, and only there."""
    (found,) = violated(without_own_alias(), OPENSEARCH)
    assert "lacks its own alias" in found
    assert violated(EffectiveIndex.of(shipped(OPENSEARCH)), OPENSEARCH) == []


@pytest.mark.parametrize("server", [NEW, OLD], ids=str)
def test_what_is_shipped_keeps_all_promises(server: Server) -> None:
    """On a server that can do everything, and on one that has neither of two parameters."""
    made = EffectiveIndex.of(shipped(server))
    assert violated(made, server) == []
    assert violated_lifecycle(made, ALIAS) == []


@pytest.mark.parametrize(
    "made",
    [
        with_setting("index.default_pipeline", "_none"),
        with_setting("index.mapping.source.mode", "stored"),
        with_mapping(_source={"enabled": True}),
        with_date(type="date_nanos", format="yyyy-MM-dd HH:mm:ss.SSS"),
        with_mapping(runtime={"hour": {"type": "long"}}),
        with_mapping(properties=shipped(NEW)["mappings"]["properties"] | {"labels": {"type": "flattened"}}),
    ],
    ids=["no pipeline", "stored", "source", "nanoseconds", "runtime field", "flattened field"],
)
def test_what_an_admin_may_add_is_no_defect(made: EffectiveIndex) -> None:
    """A default set explicitly, or a field of their own."""
    assert violated(made, NEW) == []


def test_what_an_index_of_an_old_server_lacks_is_found_once_the_server_is_new() -> None:
    """After an upgrade of the server, the index that was made before it."""
    assert len(violated(EffectiveIndex.of(shipped(OLD)), NEW)) == 2


@pytest.mark.parametrize(
    ("index", "winner"),
    [("a-000001", "ours"), ("a-rejected", "wide"), ("a-9", "wide"), ("a-x1", "high"), ("b", None)],
)
@pytest.mark.parametrize("backwards", [False, True])
def test_the_template_with_the_highest_priority_wins(
    index: str, winner: str | None, *, backwards: bool
) -> None:
    """Of those that match, in whatever order the server names them."""
    held: dict[str, dict[str, Any]] = {
        "wide": {"index_patterns": ["a-*"]},
        "low": {"index_patterns": ["c*", "a-0*"], "priority": 499},
        "ours": {"index_patterns": ["a-0*"], "priority": 500},
        "high": {"index_patterns": ["a-x*", "a-y*"], "priority": 501},
    }
    templates = dict(reversed(held.items())) if backwards else held
    assert winner_of(templates, index) == winner


@pytest.mark.parametrize(
    ("name", "value"),
    [("index.lifecycle.name", None), ("index.lifecycle.rollover_alias", "another")],
)
def test_an_index_that_would_not_roll_over_is_found(name: str, value: str | None) -> None:
    """It has no policy, or would move another alias."""
    assert "does not roll over" in violated_lifecycle(with_setting(name, value), ALIAS)[0]
