"""What a cluster admin does with `indexer template`, and what else an admin has on the server."""

import json
import os
import pty
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

import pytest
from elasticsearch import Elasticsearch

from indexer.elastic.alias import write_index
from indexer.elastic.server import Feature, inspect_server
from indexer.settings import Connection, Indices
from indexer.setup import templates
from indexer.setup.plan import Request, plan
from indexer.setup.templates import (
    Foreign,
    NewerInstalled,
    NotAccepted,
    Outcome,
    Result,
    calls,
    examine,
    install,
)
from tests.support.lab import Lab

OURS = {"managed_by": "zoomdata-indexer"}


def set_up(lab: Lab, indices: Indices | None = None, **how: bool) -> list[Outcome]:
    return install(lab.cluster, indices, **how)


def with_result(outcomes: list[Outcome], result: Result) -> dict[str, Outcome]:
    return {outcome.what: outcome for outcome in outcomes if outcome.result is result}


def setting(lab: Lab, index: str, name: str) -> str | None:
    answer = lab.client.indices.get_settings(index=index, flat_settings=True)
    value: str | None = answer[index]["settings"].get(f"index.{name}")
    return value


def behind(lab: Lab) -> list[str]:
    return sorted(lab.client.indices.get_alias(name=lab.connection.alias))


def outranking(lab: Lab, template: dict[str, Any], pattern: str = "-*", priority: int = 999) -> str:
    """Another template that matches our indices."""
    name = f"{lab.connection.alias}-another"
    lab.client.indices.put_index_template(
        name=name, index_patterns=[lab.connection.alias + pattern], priority=priority, template=template
    )
    return name


# ---- what would be sent


def test_the_printed_requests_do_what_install_does(bare: Lab) -> None:
    """Sent by plain HTTP to an empty server they leave no difference; then there is nothing more to print."""
    options = ["--shards", "2", "--replicas", "0", "--json"]
    printed = bare.command("template", "install", "--dry-run", *options)
    assert bare.command("template", "diff", *options).returncode == 1
    for call in json.loads(printed.stdout)["requests"]:
        request = HttpRequest(
            bare.connection.elasticsearch_url[0] + call["path"],
            method=call["method"],
            data=json.dumps(call["body"]).encode(),
            headers={"content-type": "application/json"},
        )
        with urlopen(request) as response:
            assert response.status == 200
    same = bare.command("template", "diff", *options)
    assert (same.returncode, json.loads(same.stdout)) == (0, {"deviations": []})
    again = bare.command("template", "install", "--dry-run", "--shards", "2", "--replicas", "0")
    assert (again.returncode, again.stdout) == (0, "")
    assert set(with_result(set_up(bare, Indices(shards=2, replicas=0)), Result.CREATED)) == set()


def test_nothing_is_sent_before_it_is_asked_for(bare: Lab) -> None:
    """A dry run, a comparison and a look leave the server as it was."""
    for command in (["install", "--dry-run"], ["install", "--dry-run", "--rollover"], ["diff"], ["show"]):
        bare.command("template", *command)
    assert bare.client.indices.get(index=f"{bare.connection.alias}*").body == {}
    assert {step.held for step in examine(bare.cluster)} == {None}


# ---- options, and the change of them


def test_a_change_is_said_field_by_field_and_takes_effect_when_wanted(bare: Lab) -> None:
    """An install says what it changes and that the write index is older; --rollover makes a new one, once."""
    alias = bare.connection.alias
    set_up(bare, Indices(shards=2, replicas=0))
    assert setting(bare, f"{alias}-000001", "number_of_shards") == "2"
    assert setting(bare, f"{alias}-000001", "number_of_replicas") == "0"
    assert setting(bare, bare.connection.rejected, "number_of_replicas") == "0"
    different = bare.command("template", "diff", "--json")
    assert different.returncode == 1
    assert "number_of_shards" in different.stdout
    told = bare.command("template", "install")
    assert told.returncode == 0
    assert "index.number_of_shards: 2 → 1" in told.stdout
    assert "index.number_of_replicas: 0 → (none)" in told.stdout
    assert f"outdated   index {alias}-000001" in told.stdout
    (roll,) = calls(bare.cluster, rollover=True)
    assert roll.path == f"/{alias}/_rollover/{alias}-000002"
    assert f"index {alias}-000002" in with_result(set_up(bare, rollover=True), Result.CREATED)
    assert setting(bare, f"{alias}-000002", "number_of_shards") == "1"
    again = set_up(bare, rollover=True)
    assert {it.result for it in again} <= {Result.UNCHANGED, Result.LEFT_OUT}
    assert behind(bare) == [f"{alias}-000001", f"{alias}-000002"]


def test_admins_who_roll_over_at_the_same_time_make_one_new_index(lab: Lab) -> None:
    """All of them succeed; none rolls over what the other has just made."""
    with ThreadPoolExecutor(6) as pool:
        runs = list(pool.map(lambda _: set_up(lab, Indices(shards=2), rollover=True), range(6)))
    assert behind(lab) == [f"{lab.connection.alias}-00000{number}" for number in (1, 2)]
    assert write_index(lab.cluster) == f"{lab.connection.alias}-000002"
    assert all(not with_result(run, Result.OUTDATED) for run in runs)


def test_two_commands_that_roll_over_at_the_same_time_both_succeed(lab: Lab) -> None:
    """As processes of their own."""
    command = ["template", "install", "--replicas", "0", "--rollover"]
    with lab.process(*command) as one, lab.process(*command) as other:
        assert [process.wait(30) for process in (one, other)] == [0, 0]
    assert behind(lab) == [f"{lab.connection.alias}-00000{number}" for number in (1, 2)]


# ---- what somebody else, or a later version, has installed


def test_what_others_have_made_is_not_replaced_unless_forced(bare: Lab) -> None:
    """It is named before anything is sent; it is neither installed nor removed as ours."""
    name = f"{bare.connection.alias}-mappings"
    bare.client.cluster.put_component_template(name=name, template={"mappings": {"dynamic": False}})
    with pytest.raises(Foreign, match=f"component template {name}.*--force"):
        set_up(bare)
    assert not bare.client.cluster.exists_component_template(name=f"{bare.connection.alias}-settings")
    kept = bare.command("template", "remove")
    assert f"kept       component template {name}" in kept.stdout
    shown = json.loads(bare.command("template", "show", "--json").stdout)
    assert {it["name"]: it["state"] for it in shown["things"]}[name] == "foreign"
    assert f"component template {name}" in with_result(set_up(bare, force=True), Result.UPDATED)


def test_a_newer_version_is_not_replaced_unless_forced(lab: Lab) -> None:
    """Both versions are named."""
    name = f"{lab.connection.alias}-settings"
    lab.client.cluster.put_component_template(name=name, template={}, version=77, meta=OURS)
    with pytest.raises(NewerInstalled, match=rf"{name} on .* has version 77, newer than version \d"):
        set_up(lab)
    assert f"component template {name}" in with_result(set_up(lab, force=True), Result.UPDATED)


def test_an_older_version_is_brought_up_to_date(lab: Lab) -> None:
    """And what changes is said."""
    name = f"{lab.connection.alias}-settings"
    settings = {"index.refresh_interval": "1s"}
    lab.client.cluster.put_component_template(
        name=name, template={"settings": settings}, version=0, meta=OURS
    )
    updated = with_result(set_up(lab), Result.UPDATED)
    assert list(updated) == [f"component template {name}"]
    changes = [str(change) for change in updated[f"component template {name}"].changes]
    assert "template.settings.index.refresh_interval: 1s → 5s" in changes
    assert "version: 0 → 1" in changes


def test_a_template_of_the_same_priority_is_a_clear_error(bare: Lab) -> None:
    """Elasticsearch refuses ours; the sentence says which, why, and what to do."""
    name = outranking(bare, {}, priority=500)
    done = bare.command("template", "install")
    assert done.returncode == 1
    assert done.stderr.startswith("indexer: Elasticsearch at ")
    assert f"does not accept the index template {bare.connection.alias}: " in done.stderr
    assert name in done.stderr
    assert "Traceback" not in done.stderr


def test_a_component_that_the_server_cannot_read_is_a_clear_error(
    bare: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing after it is sent, and the next run goes on where this one stopped."""

    def misspelt(*given: Any, **how: Any) -> list[Request]:
        requests = plan(*given, **how)
        requests[1].body["template"]["mappings"]["properties"]["user"]["type"] = "keywrod"
        return requests

    with monkeypatch.context() as patched:
        patched.setattr(templates, "plan", misspelt)
        with pytest.raises(
            NotAccepted, match=r"component template .*-mappings: .*keywrod.*run the command again"
        ):
            set_up(bare)
    assert not bare.client.indices.exists(index=f"{bare.connection.alias}-000001")
    assert list(with_result(set_up(bare), Result.UNCHANGED)) == [
        f"component template {bare.connection.alias}-settings"
    ]


# ---- show


def test_what_is_installed_is_shown_as_the_server_holds_it(lab: Lab) -> None:
    """Each thing with its state and whole body, and the write index."""
    lab.client.indices.rollover(alias=lab.connection.alias)
    shown = json.loads(lab.command("template", "show", "--json").stdout)
    assert shown["write_index"] == f"{lab.connection.alias}-000002"
    assert {it["state"] for it in shown["things"]} == {"installed"}
    bodies = {(it["kind"], it["name"]): it["body"] for it in shown["things"]}
    assert bodies["index template", lab.connection.alias]["priority"] == 500
    plain = lab.command("template", "show").stdout
    assert f"{lab.connection.alias}-000002" in plain
    assert "index.codec" in plain


# ---- remove


def test_removing_takes_what_was_installed_and_leaves_the_entries(lab: Lab) -> None:
    """A second time there is nothing to do; install brings it back."""
    lab.run(lab.log(b'{"user":"x"}\n'))
    printed = lab.command("template", "remove", "--dry-run").stdout
    own_aliases = inspect_server(lab.client).has(Feature.AUTO_CREATION)
    assert printed.count("-X DELETE") == 6 + own_aliases
    assert lab.command("template", "remove").returncode == 0
    assert lab.entries() == [b'{"user":"x"}']
    assert {it.held for it in steps(lab) if "template" in it.request.kind} == {None}
    assert "removed" not in lab.command("template", "remove").stdout
    assert with_result(set_up(lab), Result.CREATED)
    assert {it.result for it in set_up(lab)} <= {Result.UNCHANGED, Result.LEFT_OUT}


def steps(lab: Lab) -> list[templates.Step]:
    return examine(lab.cluster)


def test_data_is_deleted_only_for_somebody_who_types_the_alias(lab: Lab) -> None:
    """Nothing at all is removed otherwise; an index that is not ours stays, behind the alias or not."""
    alias, client = lab.connection.alias, lab.client
    client.indices.rollover(alias=alias)
    client.indices.create(index=f"{alias}-restored", aliases={alias: {}})
    client.indices.create(index=f"{alias}-000009")
    delete = ["template", "remove", "--delete-data"]
    for wrong in ([], ["--confirm", "another"], ["--confirm", ""]):
        assert lab.command(*delete, *wrong).returncode == 2
    assert len(client.indices.get(index=f"{alias}*")) == 6
    assert not [step for step in steps(lab) if step.needed]
    done = lab.command(*delete, "--confirm", alias)
    assert done.returncode == 0
    assert sorted(client.indices.get(index=f"{alias}*")) == [f"{alias}-000009", f"{alias}-restored"]
    assert f"kept       index {alias}-restored" in done.stdout
    assert f"removed    index {alias}-seals" in done.stdout


def test_what_somebody_else_made_under_our_names_is_named_and_kept(bare: Lab) -> None:
    """Rejected lines, seals and the first index; what a later install makes beside them is ours, and goes."""
    alias, client = bare.connection.alias, bare.client
    theirs = [f"{alias}-000001", bare.connection.rejected, bare.connection.seals]
    client.indices.create(index=theirs[0], aliases={alias: {"is_write_index": True}})
    for index in theirs[1:]:
        client.indices.create(index=index)
    delete = ["template", "remove", "--delete-data", "--confirm", alias]
    assert bare.command("template", "install", "--force", "--rollover").returncode == 0
    assert f"{alias}-000002" in client.indices.get(index=f"{alias}-*")
    done = bare.command(*delete)
    assert done.returncode == 0
    assert sorted(client.indices.get(index=f"{alias}*")) == theirs
    assert all(f"kept       index {it}: not created by our templates" in done.stdout for it in theirs)


def test_indices_of_0_1_are_known_without_a_mark(lab: Lab, client: Elasticsearch) -> None:
    """They are deleted as ours: nothing but the mark is taken from their mappings."""
    alias = lab.connection.alias
    for index in (f"{alias}-000001", lab.connection.rejected):
        client.indices.put_mapping(index=index, body={"_meta": {}})
        assert not client.indices.get_mapping(index=index)[index]["mappings"].get("_meta")
    assert lab.command("template", "remove", "--delete-data", "--confirm", alias).returncode == 0
    assert client.indices.get(index=f"{alias}*").body == {}


def test_the_alias_can_be_typed(lab: Lab) -> None:
    """On a terminal the command asks for it."""
    ours, theirs = pty.openpty()
    with lab.process("template", "remove", "--delete-data", stdin=theirs) as process:
        os.close(theirs)
        os.write(ours, f"{lab.connection.alias}\n".encode())
        stdout, _ = process.communicate(timeout=30)
    os.close(ours)
    assert "All entries and seals will be deleted" in stdout
    assert process.returncode == 0
    assert lab.client.indices.get(index=f"{lab.connection.alias}*").body == {}


def test_a_component_that_another_template_uses_stays(lab: Lab, client: Elasticsearch) -> None:
    """Elasticsearch refuses to delete it, and the outcome says why; the rest goes."""
    name = f"{lab.connection.alias}-another"
    part = f"{lab.connection.alias}-mappings"
    client.indices.put_index_template(name=name, index_patterns=[f"x{name}"], composed_of=[part])
    done = lab.command("template", "remove")
    assert done.returncode == 0
    assert f"kept       component template {part}: still in use" in done.stdout
    assert f"removed    component template {lab.connection.alias}-settings" in done.stdout


def test_the_alias_of_an_installation_is_its_own(lab: Lab) -> None:
    """Removing one installation leaves another, with a name that begins alike, as it was."""
    other = Lab(
        Connection(elasticsearch_url=lab.connection.elasticsearch_url, alias=f"{lab.connection.alias}-b"),
        lab.client,
        lab.logs,
        lab.state,
    )
    other.install()
    lab.command("template", "remove", "--delete-data", "--confirm", lab.connection.alias)
    assert not [step for step in steps(other) if step.needed]
