"""What else is on the server must not change what an index of entries is like, and what an admin adds survives."""

from typing import Any

import pytest
from elasticsearch import BadRequestError

from indexer.elastic.alias import write_index
from indexer.elastic.server import TESTED, Product, Versions, inspect_server
from indexer.setup.invariants import Severity, Violation, of_next, of_write_index
from indexer.setup.templates import InvariantsViolated, Result, examine, require_invariants
from tests.integration.test_templates_admin import OURS, outranking, set_up, setting, with_result
from tests.support.lab import Lab


def violations(lab: Lab) -> list[Violation]:
    """What is wrong with the next index and with the write index."""
    return [*of_next(lab.cluster), *of_write_index(lab.cluster)]


@pytest.mark.parametrize("first", ["ours first", "theirs first"])
def test_an_admin_s_own_component_is_part_of_the_template(bare: Lab, first: str) -> None:
    """It wins over ours, is no difference, and survives an upgrade; on old servers another install takes it up."""
    alias, client = bare.connection.alias, bare.client
    has_runtime_fields = inspect_server(client).product is Product.ELASTICSEARCH
    runtime = {"runtime": {"day": {"type": "keyword"}}} if has_runtime_fields else {}
    if first == "ours first":
        set_up(bare)
    client.cluster.put_component_template(
        name=f"{alias}@custom",
        template={
            "settings": {"index.refresh_interval": "33s"},
            "mappings": {"properties": {"team": {"type": "keyword", "ignore_above": 5}}} | runtime,
        },
    )
    set_up(bare, rollover=True)
    client.cluster.put_component_template(name=f"{alias}-mappings", template={}, version=0, meta=OURS)
    set_up(bare, rollover=True)
    writing = write_index(bare.cluster)
    assert writing is not None
    mapping = client.indices.get_mapping(index=writing)[writing]["mappings"]
    assert mapping["properties"]["team"] == {"type": "keyword", "ignore_above": 5}
    assert mapping["properties"]["ip"] == {"type": "ip"}
    assert mapping.get("runtime", {}) == runtime.get("runtime", {})
    assert setting(bare, writing, "refresh_interval") == "33s"
    assert not [step for step in examine(bare.cluster) if step.needed]
    assert violations(bare) == []
    kept = bare.command("template", "remove")
    assert f"kept       component template {alias}@custom: not installed by this program" in kept.stdout


def test_a_template_that_takes_the_place_of_ours_stops_the_installation(bare: Lab) -> None:
    """It is named, the command fails, and no index is made without our mapping."""
    name = outranking(bare, {"settings": {"index.default_pipeline": "geo"}})
    done = bare.command("template", "install")
    assert done.returncode == 1
    assert (
        f"broken     index template {bare.connection.alias}: the index template {name} has a higher"
        in done.stdout
    )
    for beside in (bare.connection.rejected, bare.connection.seals):
        assert f"index template {beside}: the index template {name}" in done.stderr
    assert bare.client.indices.get(index=f"{bare.connection.alias}*").body == {}


@pytest.mark.parametrize(
    ("custom", "word"),
    [
        ({"settings": {"index.default_pipeline": "geo"}}, "default_pipeline"),
        ({"mappings": {"_source": {"excludes": ["request"]}}}, "_source.excludes"),
        ({"settings": {"index.mapping.ignore_malformed": False}}, "ignore_malformed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_promise_that_a_component_breaks_stops_the_installation(
    bare: Lab, custom: dict[str, Any], word: str
) -> None:
    """The simulated index shows it before any index is made; what to look at is named."""
    bare.client.cluster.put_component_template(name=f"{bare.connection.alias}@custom", template=custom)
    outcomes = set_up(bare)
    (broken,) = with_result(outcomes, Result.BROKEN).values()
    assert word in broken.detail
    assert f"{bare.connection.alias}@custom" in broken.detail
    assert f"{bare.connection.alias}-000001" in broken.what
    with pytest.raises(InvariantsViolated, match=word):
        require_invariants(outcomes, bare.connection.alias)
    assert write_index(bare.cluster) is None


SEARCH_PIPELINES: Versions = {Product.OPENSEARCH: TESTED[Product.OPENSEARCH]}


def test_searches_that_a_component_changes_stop_the_installation(bare: Lab) -> None:
    """OpenSearch alone has search pipelines; it takes the name of one that does not exist, and refuses each search then."""
    custom = f"{bare.connection.alias}@custom"
    hiding = {"settings": {"index.search.default_pipeline": "hide"}}
    try:
        bare.client.cluster.put_component_template(name=custom, template=hiding)
    except BadRequestError:
        assert not inspect_server(bare.client).among(SEARCH_PIPELINES)
    else:
        (broken,) = with_result(set_up(bare), Result.BROKEN).values()
        assert "search.default_pipeline" in broken.detail


def test_a_template_with_our_alias_in_it_is_a_broken_promise(bare: Lab) -> None:
    """Elasticsearch would refuse the next rollover."""
    alias = bare.connection.alias
    bare.client.cluster.put_component_template(name=f"{alias}@custom", template={"aliases": {alias: {}}})
    (broken,) = with_result(set_up(bare), Result.BROKEN).values()
    assert "a rollover is rejected" in broken.detail


def test_a_source_that_is_rebuilt_is_a_broken_promise(bare: Lab) -> None:
    """Synthetic source does not give entries back as they were. Where the server lacks it, it is not accepted at all."""
    synthetic: dict[str, Any] = {"mappings": {"_source": {"mode": "synthetic"}}}
    if inspect_server(bare.client).version >= (8, 17, 0):
        synthetic = {"settings": {"index.mapping.source.mode": "synthetic"}}
    custom = f"{bare.connection.alias}@custom"
    try:
        bare.client.cluster.put_component_template(name=custom, template=synthetic)
    except BadRequestError:
        assert inspect_server(bare.client).version < (8, 4, 0)
    else:
        assert any("synthetic" in it.detail for it in with_result(set_up(bare), Result.BROKEN).values())


@pytest.mark.filterwarnings("ignore::elasticsearch.ElasticsearchWarning")
def test_a_harmless_neighbour_is_a_warning(bare: Lab) -> None:
    """Templates of lower priority and legacy ones have no effect; they are named, and all is made."""
    legacy = f"{bare.connection.alias}-legacy"
    bare.client.indices.put_template(name=legacy, index_patterns=[f"{bare.connection.alias}-*"])
    try:
        name = outranking(bare, {"mappings": {"dynamic": False}}, "-0*", priority=499)
        warned = [it.detail for it in set_up(bare) if it.result is Result.WARNING]
        assert [f"the template {other} matches" in " ".join(warned) for other in (name, legacy)] == [
            True,
            True,
        ]
        found = violations(bare)
        assert {it.severity for it in found} == {Severity.WARNING}
        assert write_index(bare.cluster) is not None
    finally:
        bare.client.indices.delete_template(name=legacy)


def test_a_write_index_that_was_made_otherwise_is_found_and_replaced(bare: Lab) -> None:
    """An index made before the template breaks promises until a new one takes its place."""
    first = f"{bare.connection.alias}-000001"
    bare.client.indices.create(
        index=first,
        aliases={bare.connection.alias: {"is_write_index": True}},
        mappings={"properties": {"eventDate": {"type": "keyword"}}},
    )
    outcomes = set_up(bare)
    broken = [it for it in outcomes if it.result is Result.BROKEN]
    assert {it.what for it in broken} == {f"the write index {first}"}
    assert any("eventDate" in it.detail and "--rollover" in it.detail for it in broken)
    assert f"index {first}" in with_result(outcomes, Result.OUTDATED)
    require_invariants(set_up(bare, rollover=True), bare.connection.alias)
    assert violations(bare) == []
