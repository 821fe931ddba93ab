"""The offered policy of Index State Management, by what the plugin's own parser takes: no server with the plugin is at hand."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import indexer
from indexer.elastic.server import Product, Server
from indexer.settings import FOREVER, Connection, Indices, Lifecycle
from indexer.settings.indices import MILLISECONDS, milliseconds
from indexer.setup.ism import offer, policy
from indexer.setup.plan import Body, Call, directory, left_out, plan
from indexer.setup.rollover import POLICIES

FILES = directory(Path(indexer.__file__).parent)
ALIAS = Connection().alias
NEW = Server(version=(9, 1, 5), lifecycle=True)
BARE = Server(version=(9, 1, 5), lifecycle=False)
OPENSEARCH = Server(version=(2, 19, 6), lifecycle=False, product=Product.OPENSEARCH)

# ---- what the plugin takes (opensearch-project/index-management, src/main/kotlin/…/indexstatemanagement, branches 2.11 and 2.17,
# which agree; of 2.19 only the number of differing lines was looked at; 3.6 takes more). It refuses every other key. The published OpenAPI of policies (opensearch-api-specification,
# schemas/ism._common.yaml) takes any further key and any condition, so it would find nothing.

Takes = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _span(value: Any) -> bool:
    """`TimeValue.parseTimeValue`."""
    return _text(value) and bool(re.fullmatch(r"\d+(d|h|m|s|ms|micros|nanos)", value))


def _size(value: Any) -> bool:
    """`ByteSizeValue.parseBytesSizeValue`; the action wants more than 0."""
    return _text(value) and bool(re.fullmatch(r"0*[1-9]\d*(b|kb|mb|gb|tb|pb)", value))


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


ROLLOVER = {
    "min_size": _size,
    "min_doc_count": _whole,
    "min_index_age": _span,
    "min_primary_shard_size": _size,
    "copy_alias": _flag,
}
ACTIONS: dict[str, tuple[Mapping[str, Takes], set[str]]] = {
    "rollover": (ROLLOVER, set()),
    "force_merge": ({"max_num_segments": _whole}, {"max_num_segments"}),
    "index_priority": ({"priority": _whole}, {"priority"}),
    "read_only": ({}, set()),
    "delete": ({}, set()),
}
"""Those that are used: keys that are taken, and those without which it is refused (action/*ActionParser.kt)."""
CONDITIONS: Mapping[str, Takes] = {
    "min_index_age": _span,
    "min_rollover_age": _span,
    "min_size": _size,
    "min_doc_count": _whole,
}
"""Exactly one (model/Transition.kt)."""


def parse(body: Body) -> dict[str, Body]:
    """The states by name, if the plugin takes the body of `PUT _plugins/_ism/policies/NAME`; fails as its parser does."""
    assert set(body) == {"policy"}
    held = body["policy"]
    _keys(held, {"description": _text, "default_state": _text}, {"states", "ism_template"}, required=True)
    for template in held["ism_template"]:  # model/ISMTemplate.kt, ISMTemplateService.kt
        _keys(template, {"priority": _whole}, {"index_patterns"}, required=True)
        assert template["priority"] >= 0
        assert template["index_patterns"]
        assert not [it for it in template["index_patterns"] if re.search(r'[#:\\/?"<>| ,]|^_', it)]
    states = {state["name"]: state for state in held["states"]}  # model/Policy.kt, State.kt
    assert len(states) == len(held["states"])
    assert held["default_state"] in states
    for state in held["states"]:
        _state(state, set(states))
    return states


def _state(state: Body, names: set[str]) -> None:
    _keys(state, {"name": _text}, {"actions", "transitions"}, required=True)
    kinds = [_action(action) for action in state["actions"]]
    assert "delete" not in kinds[:-1], "no action after the deletion"
    assert "delete" not in kinds or not state["transitions"]
    for transition in state["transitions"]:
        _keys(transition, {"state_name": _text}, {"conditions"}, required=True)
        assert transition["state_name"] in names
        _keys(transition["conditions"], CONDITIONS, set(), required=False)
        assert len(transition["conditions"]) == 1


def _action(action: Body) -> str:
    (kind,) = action
    takes, required = ACTIONS[kind]
    _keys(action[kind], takes, set(), required=False)
    assert required <= set(action[kind])
    return str(kind)


def _keys(body: Body, values: Mapping[str, Takes], others: set[str], *, required: bool) -> None:
    assert set(body) <= {*values, *others}
    assert not required or set(body) == {*values, *others}
    assert [key for key, value in body.items() if key in values and not values[key](value)] == []


# ---- policies

SPANS = st.builds(
    lambda count, unit: f"{count}{unit}", st.integers(1, 999_999_999), st.sampled_from([*MILLISECONDS])
)
SIZES = st.builds(
    lambda count, unit: f"{count}{unit}",
    st.integers(1, 999_999_999),
    st.sampled_from(["b", "kb", "mb", "gb", "tb", "pb"]),
)


@st.composite
def options(draw: st.DrawFn) -> Indices:
    """Any that the command line takes."""
    retain = draw(st.one_of(st.just(FOREVER), SPANS))
    warm = draw(st.one_of(st.none(), SPANS))
    if warm is not None and retain != FOREVER and milliseconds(warm) >= milliseconds(retain):
        warm = None
    return Indices(draw(SIZES), draw(SPANS), retain, warm_after=warm)


@given(options())
def test_for_all_options_it_does_what_the_lifecycle_policy_does(indices: Indices) -> None:
    """The plugin takes it; limits, priorities, the merge and the ages at which a phase begins are those of Elasticsearch's policy."""
    states = parse(policy(ALIAS, indices))
    phases = plan(NEW, Connection(), indices)[0].body["policy"]["phases"]
    assert list(states) == list(phases)
    assert ages(states) == {name: it["min_age"] for name, it in phases.items() if name != "hot"}
    rollover = {"max_age": "min_index_age", "max_primary_shard_size": "min_primary_shard_size"}
    theirs = {
        "set_priority": ("index_priority", {"priority": "priority"}),
        "forcemerge": ("force_merge", {"max_num_segments": "max_num_segments"}),
        "rollover": ("rollover", rollover),
        "readonly": ("read_only", {}),
    }
    for name in states.keys() - {"delete"}:
        same = {
            theirs[kind][0]: {theirs[kind][1][key]: value for key, value in held.items()}
            for kind, held in phases[name]["actions"].items()
        }
        assert {kind: held for action in states[name]["actions"] for kind, held in action.items()} == same


def ages(states: dict[str, Body]) -> dict[str, str]:
    """How long after its rollover an index enters each state but the first, which follow each other."""
    found = {}
    at = "hot"
    while states[at]["transitions"]:
        (transition,) = states[at]["transitions"]
        at = transition["state_name"]
        assert at not in found
        found[at] = transition["conditions"]["min_rollover_age"]
    assert {"hot", *found} == set(states)
    return found


def test_the_files_are_what_is_offered_by_default() -> None:
    """Putting the file by hand comes to the same; the state to put in for --warm-after is one of its policy's."""
    assert policy(ALIAS, Indices()) == from_file("ism")
    parse(from_file("ism"))
    (warm,) = [
        it for it in policy(ALIAS, Indices(warm_after="7d"))["policy"]["states"] if it["name"] == "warm"
    ]
    assert warm == from_file("ism-warm")


def from_file(name: str) -> Body:
    body: Body = json.loads((FILES / f"{name}.json").read_text(encoding="utf-8"))
    return body


def test_an_index_is_blocked_after_it_was_rolled_over_only() -> None:
    """Actions are done in their order, each once the one before it is: a block on the index that is written to would stop the run."""
    states = parse(policy(ALIAS, Indices()))
    assert [kind for action in states["hot"]["actions"] for kind in action][-2:] == ["rollover", "read_only"]


def test_no_alias_goes_along_to_the_next_index() -> None:
    """The alias of one index alone, <index>-existing, would stand for two: `copy_alias` is left at its default, false."""
    assert "copy_alias" not in json.dumps(from_file("ism"))


@pytest.mark.parametrize(
    "broken",
    [
        lambda held: held["states"][0]["actions"][1]["rollover"].update(max_age="30d"),
        lambda held: held["states"][0]["actions"][1]["rollover"].update(min_primary_shard_size="0gb"),
        lambda held: held["states"][0]["actions"].append({"delete": {}}),
        lambda held: held["states"][1]["transitions"].append({"state_name": "hot", "conditions": {}}),
        lambda held: held["states"][0]["transitions"][0].update(state_name="gone"),
        lambda held: held["states"][0]["transitions"][0]["conditions"].update(min_size="1gb"),
        lambda held: held["states"][0]["transitions"][0]["conditions"].update(min_rollover_age="soon"),
        lambda held: held["states"][1]["actions"].append({"read_only": {}}),
        lambda held: held.update(default_state="cold"),
        lambda held: held.update(_meta={}),
        lambda held: held.pop("description"),
        lambda held: held["ism_template"][0].update(priority="500"),
    ],
)
def test_what_the_plugin_refuses_is_found(broken: Callable[[Body], None]) -> None:
    """Else the other tests would show nothing."""
    body = policy(ALIAS, Indices())
    broken(body["policy"])
    with pytest.raises(AssertionError):
        parse(body)


# ---- the offer


def test_what_is_offered_in_order() -> None:
    """The policy; the setting for later indices, named by the template; setting and policy for those that are there."""
    offered = offer(OPENSEARCH, Connection(alias="audit"), Indices(retain="90d"))
    setting = {"index.plugins.index_state_management.rollover_alias": "audit"}
    template = offered[2]
    assert offered == [
        Call("PUT", "/_plugins/_ism/policies/audit", policy("audit", Indices(retain="90d"))),
        Call("PUT", "/_component_template/audit@custom?create=true", {"template": {"settings": setting}}),
        Call("PUT", "/_index_template/audit", template.body),
        Call("PUT", "/audit-0*/_settings", setting),
        Call("POST", "/_plugins/_ism/add/audit-0*", {"policy_id": "audit"}),
    ]
    assert template in [it.call for it in plan(OPENSEARCH, Connection(alias="audit"), custom=True)]
    assert ALIAS not in json.dumps([it.body for it in offered])


def test_it_is_offered_on_opensearch_where_lifecycle_management_is_wanted() -> None:
    """Elsewhere nothing speaks of it; there, what is left out does."""
    unwanted = Indices(lifecycle=Lifecycle.NONE)
    for server, indices in ((NEW, Indices()), (BARE, Indices()), (OPENSEARCH, unwanted)):
        assert offer(server, Connection(), indices) == []
        assert "index-management" not in json.dumps(left_out(server, indices))
    assert "index-management" in left_out(OPENSEARCH)["lifecycle policy"]


def test_nothing_of_it_is_part_of_the_plan() -> None:
    """A server without the plugin refuses the setting, and would refuse the templates with it."""
    for indices in (Indices(), Indices(warm_after="7d")):
        sent = json.dumps([(it.path, it.body) for it in plan(OPENSEARCH, Connection(), indices)])
        assert not re.search("_ism|index_state_management", sent)


def test_an_index_that_has_the_setting_is_recognised() -> None:
    """`run --rollover` leaves it to the server."""
    assert set(from_file("ism-settings")["template"]["settings"]) <= set(POLICIES)
    assert set(from_file("lifecycle-settings")["template"]["settings"]) & set(POLICIES)
