"""What is offered for OpenSearch's plugin index-management, on a server that does not have it."""

import json
import subprocess
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from indexer.check import check
from indexer.check.results import CheckResult, Level, Topic
from indexer.elastic.alias import write_index
from indexer.elastic.server import Product
from indexer.settings import Indices, LogFiles, RolloverPolicy
from indexer.setup.ism import offer
from indexer.setup.plan import Call
from indexer.setup.rollover import RolloverResult, roll_over, roll_over_if_due
from indexer.setup.templates import calls, examine, install
from tests.support.lab import Lab, joined, numbered

SETTING = "index.plugins.index_state_management.rollover_alias"
KNOWN = "index.priority"
"""A setting that each server knows, in place of the plugin's."""


def send(lab: Lab, call: Call) -> int:
    """As curl would; the status."""
    request = Request(
        lab.connection.elasticsearch_url[0] + call.path,
        method=call.method,
        data=json.dumps(call.body).encode(),
        headers={"content-type": "application/json"},
    )
    try:
        with urlopen(request) as response:
            return int(response.status)
    except HTTPError as error:
        error.close()
        return error.code


@pytest.fixture
def offered(lab: Lab) -> list[Call]:
    """What is offered for a set-up that is there. On Elasticsearch nothing is: the tests of that offer are left out there."""
    if lab.cluster.server.product is not Product.OPENSEARCH:
        pytest.skip(
            "nothing is offered on Elasticsearch, which test_a_dry_run_offers_it_on_opensearch_only shows"
        )
    return offer(lab.cluster.server, lab.connection, Indices())


def test_a_dry_run_offers_it_on_opensearch_only(lab: Lab) -> None:
    """As comments, which a shell does not carry out, or under a key of its own."""
    options = ["template", "install", "--dry-run", "--retain", "90d", "--warm-after", "7d"]
    indices = Indices(retain="90d", warm_after="7d")
    wanted = offer(lab.cluster.server, lab.connection, indices)
    assert bool(wanted) is (lab.cluster.server.product is Product.OPENSEARCH)
    printed = json.loads(lab.command(*options, "--json").stdout)
    given = printed.get("offered", {"note": "never run", "requests": []})
    assert [Call(**it) for it in given["requests"]] == wanted
    assert "never run" in given["note"]
    text = lab.command(*options).stdout
    comments = [line for line in text.splitlines() if line.startswith("#")]
    assert text.count("_ism/policies") == sum("_ism/policies" in line for line in comments) == bool(wanted)
    assert len(comments) == (len(wanted) + 2 if wanted else 0)
    assert "offered" not in json.loads(lab.command("template", "remove", "--dry-run", "--json").stdout)


def test_the_comments_become_the_requests_as_they_say(lab: Lab, offered: list[Call]) -> None:
    """The command in the comment prints lines of which each is one curl with the offered path."""
    text = lab.command("template", "install", "--dry-run").stdout
    (sed,) = [line.split(" | ")[1] for line in text.splitlines() if "sed -n" in line]
    lines = subprocess.run(["sh", "-c", sed], input=text, capture_output=True, text=True, check=True).stdout
    shell = 'ES=http://es; curl() { printf "%s\\n" "$3 $4"; }; ' + lines
    done = subprocess.run(["sh", "-euc", shell, "sh"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{it.method} http://es{it.path}" for it in offered]


def test_a_server_without_the_plugin_refuses_all_of_it(lab: Lab, offered: list[Call]) -> None:
    """Sent there nevertheless, it changes nothing."""
    assert [send(lab, call) for call in offered] == [400] * 5
    assert not any(step.needed for step in examine(lab.cluster))
    assert calls(lab.cluster) == []


def test_what_was_accepted_stays_at_the_next_install(lab: Lab, offered: list[Call]) -> None:
    """Later indices have the setting, existing ones have it, and nothing is left to install. With a setting that the server knows."""
    alias = lab.connection.alias
    known = json.loads(
        json.dumps([it.body for it in offered]).replace(f'"{SETTING}": "{alias}"', f'"{KNOWN}": 7')
    )
    for call, body in list(zip(offered, known, strict=True))[1:4]:
        assert send(lab, Call(call.method, call.path, body)) == 200
    assert calls(lab.cluster, rollover=True) == []
    assert {it.result.value for it in install(lab.cluster)} <= {"unchanged", "left out", "warning"}
    roll_over(lab.cluster, str(write_index(lab.cluster)))
    held = lab.client.indices.get_settings(index=f"{alias}-0*", name=KNOWN, flat_settings=True)
    assert {name: it["settings"][KNOWN] for name, it in held.items()} == {
        f"{alias}-00000{n}": "7" for n in (1, 2)
    }


def test_a_component_template_of_the_admin_is_not_replaced(lab: Lab, offered: list[Call]) -> None:
    """It is refused that one is there."""
    name, own = f"{lab.connection.alias}@custom", {"settings": {"index": {"priority": "3"}}}
    lab.client.cluster.put_component_template(name=name, template=own)
    assert send(lab, Call("PUT", offered[1].path, {"template": {"settings": {KNOWN: 7}}})) == 400
    (held,) = lab.client.cluster.get_component_template(name=name)["component_templates"]
    assert held["component_template"]["template"] == own


def test_indices_that_the_plugin_rolls_over_are_left_to_it(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """`run --rollover` and `template rollover` do nothing there, and `check` knows it.

    The server's answer is given the setting that it does not know.
    """
    alias = lab.connection.alias
    lab.run(lab.log(joined(numbered(2))))
    lab.client.indices.refresh(index=alias)
    due, indices_client = RolloverPolicy(rollover_age="1ms", retain="1ms"), type(lab.client.indices)
    real = indices_client.get_settings

    def managed(indices: Any, **how: Any) -> dict[str, Any]:
        added = {SETTING: alias} if SETTING in how["name"] else {}
        return {index: {"settings": held["settings"] | added} for index, held in real(indices, **how).items()}

    def lifecycle() -> CheckResult:
        found = check(LogFiles([str(lab.logs)]), lab.connection, Indices(), lab.state)
        return next(it for it in found if it.topic is Topic.LIFECYCLE)

    before = lifecycle()
    with monkeypatch.context() as patched:
        patched.setattr(indices_client, "get_settings", managed)
        assert roll_over_if_due(lab.cluster, due) == RolloverResult(managed=alias)
        assert lifecycle().what == f"{alias}-000001 is rolled over by index state management"
    assert before == lifecycle()
    assert before.state is Level.WARNING
    assert write_index(lab.cluster) == f"{alias}-000001"
    assert roll_over_if_due(lab.cluster, due).began == f"{alias}-000002"
