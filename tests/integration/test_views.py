"""Views on a real server: a relation for each activity type, in each index, without a second copy."""

import secrets
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from elasticsearch import AuthorizationException, BadRequestError, Elasticsearch

from indexer.elastic.alias import EXISTING, write_index
from indexer.elastic.client import connect
from indexer.errors import NotInstalled
from indexer.setup import removal
from indexer.setup.plan import Call, views_name
from indexer.setup.requests import send
from indexer.setup.templates import InvariantsViolated, NotAccepted, Result, install, require_invariants
from indexer.setup.view_install import NoViews, Views, add, look
from tests.conftest import delete_all
from tests.support.lab import Lab, until
from tests.support.secured import Secured


def entries(**types: int) -> bytes:
    """A log with so many entries of each type, like no other."""
    log = secrets.token_hex(4)
    line = '{"eventDate":"2026-05-11 06:30:00.000","activityType":%s,"log":"%s","n":%d}\n'
    return "".join(
        line % (orjson.dumps(it).decode(), log, n) for it, count in types.items() for n in range(count)
    ).encode()


def indexed(lab: Lab, **types: int) -> None:
    """Bring such entries into the index."""
    lab.log(entries(**types), f"{secrets.token_hex(4)}-activity.log")
    lab.run()
    lab.client.indices.refresh(index=lab.connection.alias)


def added(lab: Lab) -> Views:
    """`indexer template views`."""
    return add(lab.cluster)


def seen(lab: Lab, view: str) -> Counter[str]:
    """The types that are seen through a view."""
    answer = lab.client.search(index=f"{lab.connection.alias}.{view}", size=1000)
    return Counter(hit["_source"]["activityType"] for hit in answer["hits"]["hits"])


def aliases(lab: Lab) -> dict[str, set[str]]:
    """The views of each index."""
    there = lab.client.indices.get_alias(index=lab.connection.alias)
    others = {lab.connection.alias, *(index + EXISTING for index in there)}
    return {index: set(held["aliases"]) - others for index, held in there.items()}


def test_each_new_index_has_the_views(lab: Lab) -> None:
    """From the first index on, and after a rollover; each shows the entries of its type, wherever they are."""
    indexed(lab, VIS=3, AUTHENTICATION=2)
    lab.client.indices.rollover(alias=lab.connection.alias)
    indexed(lab, VIS=4, USER=1)
    assert seen(lab, "vis") == {"VIS": 7}
    assert seen(lab, "authentication") == {"AUTHENTICATION": 2}
    assert seen(lab, "upload") == {}
    first, second = aliases(lab).values()
    assert first == second
    assert len(first) == 22


def test_nothing_is_written_through_a_view(lab: Lab) -> None:
    """Not even while it stands for a single index; nor is it matched by the template."""
    alias = lab.connection.alias
    with pytest.raises(BadRequestError, match="no write index is defined"):
        lab.client.index(index=f"{alias}.vis", document={"activityType": "USER"})
    simulated = lab.client.indices.simulate_index_template(name=f"{alias}.other")
    assert "aliases" not in simulated.get("template", {})
    assert write_index(lab.cluster) == f"{alias}-000001"


def test_a_type_met_later_gets_its_view_everywhere(lab: Lab) -> None:
    """In all indices at once and in those to come; a second look finds nothing to do."""
    indexed(lab, VIS=1)
    lab.client.indices.rollover(alias=lab.connection.alias)
    indexed(lab, BRAND_NEW=3)
    found = added(lab)
    assert [it.name for it in found.views if it.added] == [f"{lab.connection.alias}.brand_new"]
    assert [call.path.partition("/")[2].partition("/")[0] for call in found.calls] == [
        "_aliases",
        "_component_template",
    ]
    assert seen(lab, "brand_new") == {"BRAND_NEW": 3}
    lab.client.indices.rollover(alias=lab.connection.alias)
    indexed(lab, BRAND_NEW=5)
    assert seen(lab, "brand_new") == {"BRAND_NEW": 8}
    assert [f"{lab.connection.alias}.brand_new" in views for views in aliases(lab).values()] == [True] * 3
    again = added(lab)
    assert again.calls == ()
    assert not any(it.added for it in again.views)


def test_a_later_installation_keeps_what_was_met(lab: Lab) -> None:
    """It is no difference either; an alias of another form, which somebody put there, is one."""
    indexed(lab, BRAND_NEW=1)
    added(lab)
    assert lab.command("template", "diff").returncode == 0
    outcomes = install(lab.cluster)
    changed = {it.result for it in outcomes} - {Result.LEFT_OUT}
    assert changed == {Result.UNCHANGED}
    name = views_name(lab.connection.alias)
    there = lab.client.cluster.get_component_template(name=name)["component_templates"][0][
        "component_template"
    ]
    there["template"]["aliases"]["stray"] = {}
    body = {key: there[key] for key in ("template", "version", "_meta")}
    send(lab.client, Call("PUT", f"/_component_template/{name}", body))
    told = lab.command("template", "diff")
    assert told.returncode == 1
    assert "stray" in told.stdout
    assert "brand_new" not in told.stdout
    indexed(lab, NEWER=1)
    added(lab)
    kept = lab.client.cluster.get_component_template(name=name)["component_templates"][0][
        "component_template"
    ]
    assert {"stray", f"{lab.connection.alias}.newer"} <= kept["template"]["aliases"].keys()


def test_a_view_that_was_changed_or_taken_away_is_brought_back(lab: Lab) -> None:
    """In the index as in the template; what else somebody has put there stays."""
    index, alias = f"{lab.connection.alias}-000001", lab.connection.alias
    lab.client.indices.put_alias(index=index, name=f"{alias}.vis", filter={"term": {"status": "x"}})
    lab.client.indices.delete_alias(index=index, name=f"{alias}.user")
    lab.client.indices.put_alias(index=index, name=f"{alias}.mine")
    assert {it.name for it in added(lab).views if it.added} == {f"{alias}.vis", f"{alias}.user"}
    indexed(lab, VIS=2, USER=1)
    assert seen(lab, "vis") == {"VIS": 2}
    assert seen(lab, "mine") == {"VIS": 2, "USER": 1}


def test_types_without_a_possible_name_are_told(lab: Lab) -> None:
    """What no alias may be called, or what differs in case alone, has no view, and the command says so."""
    indexed(lab, **{"A/B": 2, "VIS": 1, "Vis": 3, "": 1})
    found = added(lab)
    assert {it.type: it.entries for it in found.without} == {"A/B": 2, "Vis": 3, "": 1}
    shown = lab.command("template", "views")
    assert shown.returncode == 0, shown.stderr
    assert "Without a view" in shown.stdout
    assert "A/B" in shown.stdout


def test_rare_types_beyond_a_number_get_no_view(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody's flood of types makes no flood of aliases."""
    monkeypatch.setattr("indexer.setup.view_install.TYPES", 2)
    indexed(lab, ONE=5, TWO=4, THREE=2)
    found = added(lab)
    assert {it.type for it in found.views if it.added} == {"ONE", "TWO"}
    assert found.beyond == 2


def test_a_dry_run_prints_what_would_be_sent_and_sends_nothing(lab: Lab) -> None:
    """One request for all indices, one for the template."""
    indexed(lab, BRAND_NEW=1)
    printed = lab.command("template", "views", "--dry-run", "--json")
    calls = orjson.loads(printed.stdout)["requests"]
    assert [call["path"] for call in calls] == [
        "/_aliases",
        f"/_component_template/{lab.connection.alias}-views",
    ]
    assert f"{lab.connection.alias}.brand_new" not in set().union(*aliases(lab).values())
    for call in calls:
        send(lab.client, Call(call["method"], call["path"], call["body"]))
    assert look(lab.cluster).calls == ()


def test_without_an_installation_a_sentence_says_what_to_do(bare: Lab) -> None:
    """Neither an alias out of nowhere nor one without templates gets views."""
    with pytest.raises(NotInstalled, match="template install"):
        added(bare)
    bare.client.indices.create(index=f"{bare.connection.alias}-000001", aliases={bare.connection.alias: {}})
    with pytest.raises(NoViews, match="template install"):
        added(bare)


def test_an_index_that_bears_the_name_of_a_view_is_told_before_it_stops_a_rollover(lab: Lab) -> None:
    """A view for it is refused and gets into no template; one that is shipped already is a broken promise."""
    alias = lab.connection.alias
    lab.client.indices.create(index=f"{alias}.brand_new")
    indexed(lab, BRAND_NEW=1)
    with pytest.raises(NotAccepted, match=rf"{alias}\.brand_new"):
        added(lab)
    assert lab.command("template", "diff").returncode == 0
    lab.client.indices.rollover(alias=alias)

    lab.client.indices.delete_alias(index=f"{alias}-0*", name=f"{alias}.upload")
    lab.client.indices.create(index=f"{alias}.upload")
    outcomes = install(lab.cluster)
    with pytest.raises(InvariantsViolated, match=rf"{alias}\.upload.*a rollover is rejected"):
        require_invariants(outcomes, lab.connection.alias)
    with pytest.raises(BadRequestError, match="upload"):
        lab.client.indices.rollover(alias=alias)


def test_an_index_from_before_the_views_gets_them(lab: Lab) -> None:
    """The installation says that it has none; the command brings them."""
    index = f"{lab.connection.alias}-000001"
    lab.client.indices.delete_alias(index=index, name=f"{lab.connection.alias}.*")
    assert aliases(lab) == {index: set()}
    (outdated,) = (it for it in install(lab.cluster) if it.result is Result.OUTDATED)
    assert "indexer template views" in outdated.detail
    added(lab)
    assert len(aliases(lab)[index]) == 22


def test_removal_takes_the_views_out_of_the_template_and_leaves_the_data(lab: Lab) -> None:
    """The component is ours to remove; the indices, with their aliases, stay."""
    indexed(lab, VIS=2)
    outcomes = removal.remove(lab.cluster, data=False)
    removed = {it.what for it in outcomes if it.result is Result.REMOVED}
    assert f"component template {views_name(lab.connection.alias)}" in removed
    assert seen(lab, "vis") == {"VIS": 2}


def test_verify_status_and_summary_are_as_without_views(lab: Lab) -> None:
    """Each entry is counted once, and each index once."""
    indexed(lab, VIS=3, USER=2)
    assert lab.command("verify", lab.logs).returncode == 0
    status = orjson.loads(lab.command("status", "--json").stdout)
    assert [it["index"] for it in status["indices"]] == [f"{lab.connection.alias}-000001"]
    assert orjson.loads(lab.command("summary", "--json").stdout)["entries"] == 5


@pytest.fixture
def people(secured: Secured, admin: Elasticsearch, bare: Lab, tmp_path: Path) -> Iterator[dict[str, Lab]]:
    """A laboratory for each of the shipped roles, on the secured server."""
    alias = bare.connection.alias
    roles = secured.people(alias)
    secured.admit("both", roles["setup"], roles["reader"])
    roles["both"] = "both"
    labs = {}
    for task, user in roles.items():
        connection = secured.connection(user, alias, tmp_path / task)
        labs[task] = Lab(connection, connect(connection), bare.logs, bare.state)
    yield labs
    for lab in labs.values():
        lab.client.close()
    delete_all(admin, f"{alias}*")


def test_the_shipped_roles_see_views_and_may_set_them_up(people: dict[str, Lab]) -> None:
    """Setting up takes two of them; the reader and Zoomdata see views, the writer none."""
    people["setup"].install()
    people["writer"].log(entries(VIS=2, BRAND_NEW=1))
    people["writer"].run()
    both = people["both"]
    both.client.indices.refresh(index=both.connection.alias)
    assert any(it.type == "BRAND_NEW" for it in added(both).views)
    for task in ("reader", "zoomdata"):
        assert seen(people[task], "brand_new") == {"BRAND_NEW": 1}
    told = both.command(
        "template",
        "views",
        environment={
            "INDEXER_USERNAME": str(people["setup"].connection.username),
            "INDEXER_PASSWORD_FILE": str(people["setup"].connection.password_file),
            "INDEXER_CA_CERTS": str(people["setup"].connection.ca_certs),
        },
    )
    assert told.returncode == 1
    assert "index privileges read" in told.stderr


def test_a_role_on_a_view_alone_shows_its_type_alone(
    secured: Secured, people: dict[str, Lab], tmp_path: Path
) -> None:
    """Neither the other entries nor the indices behind it can be read."""
    people["setup"].install()
    people["writer"].log(entries(VIS=2, USER=1))
    people["writer"].run()
    people["both"].client.indices.refresh(index=people["both"].connection.alias)
    alias = people["setup"].connection.alias
    secured.define(visuals={"indices": [{"names": [f"{alias}.vis"], "privileges": ["read"]}]})
    secured.admit("looker", "visuals")
    with connect(secured.connection("looker", alias, tmp_path / "looker")) as client:
        lenient = client.options(ignore_status=403)  # until the server has read its file of roles again
        until(lambda: lenient.search(index=f"{alias}.vis").meta.status == 200)
        hits = client.search(index=f"{alias}.vis")["hits"]["hits"]
        assert [hit["_source"]["activityType"] for hit in hits] == ["VIS", "VIS"]
        for other in (alias, f"{alias}-000001", f"{alias}.user"):
            with pytest.raises(AuthorizationException):
                client.search(index=other)
