"""Whatever somebody changes in what is installed is seen by `template diff` and `check`, and put right by `template install`."""

import copy
import json
from collections.abc import Callable
from typing import Any

import elasticsearch
import pytest

from indexer.check import check
from indexer.check.results import Level, Topic
from indexer.elastic.server import Product, inspect_server
from indexer.settings import Indices, LogFiles
from indexer.setup.inventory import compare
from indexer.setup.plan import Body, Kind, Request, plan
from indexer.setup.templates import Outcome, Result, examine, install
from tests.support.lab import Lab

Tamper = Callable[[Body], object]


def template(body: Body) -> Body:
    made: Body = body.setdefault("template", {})
    return made


def part(name: str, **more: Any) -> Tamper:
    """Add to the settings, mappings or aliases."""
    return lambda body: template(body).setdefault(name, {}).update(more)


def empty(name: str) -> Tamper:
    """Take away all settings, or all mappings."""
    return lambda body: template(body).update({name: {}})


def top(**more: Any) -> Tamper:
    """Set keys at the top; None takes one away."""
    return lambda body: body.update(more)


ENTRIES, REJECTED, SEALS = "", "-rejected", "-seals"
TAMPERED: dict[str, tuple[str, Tamper]] = {
    "pipeline": (ENTRIES, part("settings", **{"index.default_pipeline": "x"})),
    "replicas": (ENTRIES, part("settings", **{"index.number_of_replicas": 3})),
    "codec taken back": (ENTRIES, part("settings", **{"index.codec": None})),
    "another field": (ENTRIES, part("mappings", properties={"extra": {"type": "long"}})),
    "another type": (ENTRIES, part("mappings", properties={"user": {"type": "text"}})),
    "strict": (ENTRIES, part("mappings", dynamic="strict")),
    "no source": (ENTRIES, part("mappings", _source={"enabled": False})),
    "an alias": (ENTRIES, part("aliases", mine={})),
    "a filtered alias": (ENTRIES, part("aliases", mine={"filter": {"term": {"user": "x"}}})),
    "nothing": (
        ENTRIES,
        lambda body: template(body).update(settings={}) or template(body).update(aliases={}),
    ),
    "higher": (ENTRIES, top(priority=501)),
    "lower": (ENTRIES, top(priority=1)),
    "no priority": (ENTRIES, lambda body: body.pop("priority")),
    "more patterns": (ENTRIES, lambda body: body["index_patterns"].append("zzz-*")),
    "fewer components": (ENTRIES, lambda body: body["composed_of"].pop(0)),
    "other order": (ENTRIES, lambda body: body["composed_of"].reverse()),
    "auto create": (ENTRIES, top(allow_auto_create=True)),
    "older": (ENTRIES, top(version=0)),
    "no version": (ENTRIES, lambda body: body.pop("version")),
    "description": (ENTRIES, lambda body: body["_meta"].update(description="mine")),
    "more marks": (ENTRIES, lambda body: body["_meta"].update(more=[None, 10**30, 1e300, "ü\u0001"])),
    "no mark": (ENTRIES, lambda body: body.pop("_meta")),
    "another mark": (ENTRIES, lambda body: body["_meta"].update(managed_by="me")),
    "data stream": (ENTRIES, top(data_stream={})),
    "deprecated": (ENTRIES, top(deprecated=True)),
    "deprecated not": (ENTRIES, top(deprecated=False)),
    "nothing ignored": (ENTRIES, top(ignore_missing_component_templates=[])),
    "settings: another": ("-settings", part("settings", **{"index.final_pipeline": "x"})),
    "settings: changed": ("-settings", part("settings", **{"index.refresh_interval": "77s"})),
    "settings: fewer": ("-settings", lambda body: template(body)["settings"].pop("index.codec")),
    "settings: null": ("-settings", part("settings", **{"index.codec": None})),
    "settings: mapped": ("-settings", part("mappings", properties={"extra": {"type": "long"}})),
    "settings: older": ("-settings", top(version=0)),
    "settings: no mark": ("-settings", lambda body: body.pop("_meta")),
    "settings: deprecated": ("-settings", top(deprecated=True)),
    "settings: lifecycle": ("-settings", lambda body: template(body).update(lifecycle={})),
    "mappings: another": ("-mappings", lambda body: template(body)["mappings"].update(dynamic=False)),
    "mappings: fewer": ("-mappings", lambda body: template(body)["mappings"]["properties"].pop("ip")),
    "mappings: templates": (
        "-mappings",
        lambda body: template(body)["mappings"]["dynamic_templates"].reverse(),
    ),
    "mappings: setting": ("-mappings", part("settings", **{"index.number_of_replicas": 2})),
    "views: another": ("-views", part("aliases", mine={})),
    "views: none": ("-views", lambda body: template(body).update(aliases={})),
    "rejected: pipeline": (REJECTED, part("settings", **{"index.default_pipeline": "x"})),
    "rejected: dynamic": (REJECTED, part("mappings", dynamic=True)),
    "rejected: alias": (REJECTED, part("aliases", mine={})),
    "rejected: priority": (REJECTED, top(priority=3)),
    "rejected: components": (REJECTED, lambda body: body.update(composed_of=[])),
    "rejected: auto create": (REJECTED, top(allow_auto_create=True)),
    "seals: pipeline": (SEALS, part("settings", **{"index.default_pipeline": "x"})),
    "seals: dynamic": (SEALS, part("mappings", dynamic=True)),
    "seals: codec": (SEALS, part("settings", **{"index.codec": None})),
    "seals: priority": (SEALS, top(priority=3)),
}
_ALL = {"nothing ignored", "settings: lifecycle"}
_DEPRECATED = {"deprecated", "deprecated not", "settings: deprecated"}
UNKNOWN = {
    (Product.ELASTICSEARCH, 7): _ALL | _DEPRECATED | {"data stream"},
    (Product.ELASTICSEARCH, 8): _ALL | {"data stream"},
    (Product.ELASTICSEARCH, 9): _ALL | {"data stream"},
    (Product.OPENSEARCH, 2): _ALL | _DEPRECATED | {"auto create", "rejected: auto create"},
}
"""What a server of this product and major version refuses, so that nobody can have done it (measured on the tested ones): a
stream of Elasticsearch's wants a timestamp that is a date."""
MEANINGLESS = {"rejected: components"}


def request_for(lab: Lab, end: str) -> Request:
    name = lab.connection.alias + end
    requests = plan(inspect_server(lab.client), lab.connection)
    return next(it for it in requests if it.name == name and it.kind in {Kind.COMPONENT, Kind.TEMPLATE})


def tampered(lab: Lab, request: Request, tamper: Tamper) -> None:
    body = copy.deepcopy(request.body)
    tamper(body)
    headers = {"accept": "application/json", "content-type": "application/json"}
    lab.client.perform_request("PUT", request.path, headers=headers, body=json.dumps(body))


def changes(lab: Lab) -> list[str]:
    """What `template diff` says differs."""
    steps = examine(lab.cluster)
    return [it.what for it in compare(steps).deviations]


def templates_checked(lab: Lab) -> tuple[Level, str]:
    """What `check` says of the templates first."""
    found = check(LogFiles([str(lab.logs)]), lab.connection, Indices(), lab.state)
    return next((it.state, it.what) for it in found if it.topic is Topic.TEMPLATE)


def installed(lab: Lab) -> list[Outcome]:
    return install(lab.cluster)


@pytest.mark.parametrize("name", TAMPERED)
def test_what_was_tampered_with_is_seen_and_put_right(lab: Lab, name: str) -> None:
    """By the field; nothing else is sent, and a second look finds nothing."""
    end, tamper = TAMPERED[name]
    request = request_for(lab, end)
    server = inspect_server(lab.client)
    refused = name in UNKNOWN[server.product, server.version[0]]
    try:
        tampered(lab, request, tamper)
    except elasticsearch.BadRequestError:
        assert refused
        return
    assert not refused
    expected = [] if name in MEANINGLESS else [request.what]
    assert changes(lab) == expected
    state, what = templates_checked(lab)
    assert (state is Level.OK) is (not expected), what
    outcomes = installed(lab)
    assert [it.what for it in outcomes if it.result is Result.UPDATED] == expected
    assert not [it for it in outcomes if it.result is Result.BROKEN]
    assert changes(lab) == []
    assert templates_checked(lab)[0] is Level.OK


def test_the_command_says_each_field_and_puts_it_right(lab: Lab) -> None:
    """`diff` fails until `install` has been there; `install` prints what it changed."""
    request = request_for(lab, ENTRIES)
    tampered(lab, request, TAMPERED["pipeline"][1])
    told = lab.command("template", "diff", "--json")
    assert told.returncode == 1
    (deviation,) = json.loads(told.stdout)["deviations"]
    path = "template.settings.index.default_pipeline"
    assert deviation["what"] == request.what
    assert deviation["differences"] == [{"path": path, "installed": "x", "shipped": None}]
    assert path in lab.command("check", lab.logs).stdout
    done = lab.command("template", "install")
    assert done.returncode == 0, done.stderr
    assert f"{path}: x → (none)" in done.stdout
    assert lab.command("template", "diff").returncode == 0


def test_everything_tampered_with_at_once_is_put_right(lab: Lab) -> None:
    """Though each part, put right alone, contradicts the others: the sort order names fields that the mappings lack."""
    template_request = request_for(lab, ENTRIES)
    for end, key in (("-settings", "settings"), ("-mappings", "mappings")):
        tampered(lab, request_for(lab, end), empty(key))
    tampered(lab, template_request, part("mappings", properties={"eventDate": {"type": "text"}}))
    assert len(changes(lab)) == 3
    outcomes = install(lab.cluster)
    assert len([it for it in outcomes if it.result is Result.UPDATED]) == 3
    assert changes(lab) == []


def test_what_an_admin_adds_in_their_own_component_stays_and_takes_part(lab: Lab) -> None:
    """That is the way to change something: no difference, and the next index has it."""
    custom = f"{lab.connection.alias}@custom"
    settings = {
        "index.refresh_interval": "33s",
        "index.number_of_replicas": 2,
        "index.auto_expand_replicas": False,
    }
    lab.client.cluster.put_component_template(name=custom, template={"settings": settings})
    installed(lab)
    assert changes(lab) == []
    assert templates_checked(lab)[0] is Level.OK
    tampered(lab, request_for(lab, "-settings"), TAMPERED["settings: changed"][1])
    installed(lab)
    assert changes(lab) == []
    index = lab.client.indices.rollover(alias=lab.connection.alias)["new_index"]
    told = lab.client.indices.get_settings(index=index, flat_settings=True)[index]["settings"]
    assert (told["index.refresh_interval"], told["index.number_of_replicas"]) == ("33s", "2")
