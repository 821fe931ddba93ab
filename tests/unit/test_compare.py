"""Any one change of any one key, anywhere in anything that is installed, is seen; what a server writes otherwise is none."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.elastic.server import Server
from indexer.settings import Connection, Indices
from indexer.setup.compare import OF_THE_SERVER, differences
from indexer.setup.plan import Body, Kind, Request, plan

SERVERS = [
    Server(version, lifecycle=version >= (8, 0, 0)) for version in ((7, 17, 28), (8, 19, 16), (9, 5, 0))
]
REQUESTS = [
    request
    for server in SERVERS
    for request in plan(server, Connection(), Indices(warm_after="7d", replicas=1), custom=True)
    if request.kind is not Kind.INDEX
]
KEYS = st.text(st.characters(codec="utf-8", exclude_characters=".[]"), min_size=1, max_size=8)
"""Without the signs by which a path is put together: a server takes `{"a": {"b": 1}}` for `{"a.b": 1}` in settings."""
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)
each_request = pytest.mark.parametrize("request_", REQUESTS, ids=lambda it: f"{it.name}-{it.kind}")


def as_text(value: Any) -> Any:
    """What a server may answer instead: numbers and booleans as text."""
    match value:
        case dict():
            return {key: as_text(each) for key, each in value.items()}
        case list():
            return [as_text(each) for each in value]
        case bool():
            return str(value).lower()
        case int():
            return str(value)
    return value


def nested(settings: Body) -> Body:
    """Settings as a server answers them: `{"index": {"codec": …}}`."""
    made: Body = {}
    for name, value in settings.items():
        *way, last = name.split(".")
        inner = made
        for step in way:
            inner = inner.setdefault(step, {})
        inner[last] = value
    return made


def answered(request: Request) -> Body:
    """A body as a server answers it after it was sent."""
    body = copy.deepcopy(request.body)
    if "settings" in body.get("template", {}):
        body["template"]["settings"] = as_text(nested(body["template"]["settings"]))
    if request.kind is Kind.TEMPLATE:
        body.setdefault("composed_of", [])
    return dict.fromkeys(OF_THE_SERVER, 1795594203680) | body


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each key of each object and each place of each list in a body, with what holds it."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from places(value[key])


def same(one: Any, other: Any) -> bool:
    """A server makes no difference between these values."""
    return bool(as_text(one) == as_text(other))


@each_request
def test_what_a_server_makes_of_it_is_no_difference(request_: Request) -> None:
    """Nested settings, numbers as text, dates, an empty list of components."""
    assert differences(answered(request_), request_.body) == ()


@each_request
@settings(deadline=None)
@given(data=st.data())
def test_a_changed_value_is_seen(request_: Request, data: st.DataObject) -> None:
    """Whatever it was changed to, a null, an object or a list included."""
    held = answered(request_)
    ours = [it for it in places(held) if not (it[0] is held and it[1] not in request_.body)]
    inside, key = data.draw(st.sampled_from(ours))
    new = data.draw(VALUES.filter(lambda it: not same(it, inside[key])))
    inside[key] = new
    assert differences(held, request_.body) != ()


@each_request
@settings(deadline=None)
@given(data=st.data())
def test_a_missing_key_is_seen(request_: Request, data: st.DataObject) -> None:
    """And an entry of a list that is gone."""
    held = answered(request_)
    ours = [it for it in places(held) if not (it[0] is held and it[1] not in request_.body)]
    inside, key = data.draw(st.sampled_from(ours))
    del inside[key]
    assert differences(held, request_.body) != ()


@each_request
@settings(deadline=None)
@given(data=st.data())
def test_an_added_key_is_seen(request_: Request, data: st.DataObject) -> None:
    """In any object of it, the outermost included; there, nothing at all means nothing."""
    held = answered(request_)
    objects = [held, *(inside[key] for inside, key in places(held) if isinstance(inside[key], dict))]
    inside = data.draw(st.sampled_from(objects))
    key = data.draw(KEYS.filter(lambda it: it not in inside and it not in OF_THE_SERVER))
    inside[key] = data.draw(VALUES.filter(lambda it: inside is not held or it not in ([], {})))
    assert differences(held, request_.body) != ()


@each_request
@settings(deadline=None)
@given(data=st.data())
def test_an_added_place_is_seen(request_: Request, data: st.DataObject) -> None:
    """In any list, at any place; and another order."""
    held = answered(request_)
    lists = [
        inside[key]
        for inside, key in places(held)
        if isinstance(inside[key], list) and (inside is not held or key in request_.body)
    ]
    if not lists:
        return
    there = data.draw(st.sampled_from(lists))
    before = copy.deepcopy(there)
    there.insert(data.draw(st.integers(0, len(there))), data.draw(VALUES))
    assert differences(held, request_.body) != ()
    there[:] = data.draw(st.permutations(before))
    assert (differences(held, request_.body) != ()) is (there != before)


@pytest.mark.parametrize(
    "added",
    [
        {"template": {"settings": {"index": {"default_pipeline": "p"}}}},
        {"template": {"settings": {"index": {"number_of_replicas": "3"}}}},
        {"template": {"settings": {"index": {"codec": None}}}},
        {"template": {"mappings": {"properties": {"user": {"type": "text"}}}}},
        {"template": {"aliases": {"mine": {}}}},
        {"data_stream": {"hidden": False, "allow_custom_routing": False}},
        {"allow_auto_create": True},
        {"deprecated": False},
    ],
    ids=str,
)
def test_what_the_index_template_has_of_its_own_is_seen(added: Body) -> None:
    """Ours has neither settings nor mappings, and what an admin puts there takes precedence over our components."""
    ours = next(it for it in REQUESTS if it.kind is Kind.TEMPLATE)
    assert len(differences(answered(ours) | added, ours.body)) >= 1
