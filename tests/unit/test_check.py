"""`indexer check`: the order of its steps, and what answers mean."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from indexer import check
from indexer.check import Step, judgements
from indexer.check.cluster import CheckContext
from indexer.check.results import CheckResult, Level, Topic, fail, ok
from indexer.elastic.fields import COUNTED_VALUES, Fields, Ignored
from indexer.elastic.last_seals import LastSeal
from indexer.elastic.security import User
from indexer.elastic.server import Product, Server
from indexer.errors import NotInstalled, Refused
from indexer.settings import Connection
from indexer.setup.compare import differences
from indexer.setup.plan import Kind, Request, plan
from indexer.setup.roles import roles
from indexer.setup.templates import Step as Installed
from indexer.writing.answers import Answer, Item

ALIAS = Connection().alias
SERVER = Server((9, 1, 5), lifecycle=True)


class Steps:
    """Steps that find what they are told to, and remember which of them were tried."""

    def __init__(self) -> None:
        self.tried: list[Topic] = []

    def finds(
        self,
        topic: Topic,
        *found: CheckResult | Exception,
        needs: tuple[Topic, ...] = (),
        of_run: bool = False,
    ) -> Step:
        """A step that finds this; an exception is raised."""

        def look(_: CheckContext) -> Iterator[CheckResult]:
            self.tried.append(topic)
            for each in found:
                if isinstance(each, Exception):
                    raise each
                yield each

        return Step(topic, look, needs, of_run)


def in_order(*steps: Step) -> list[tuple[Topic, Level]]:
    context: Any = type("Looking", (), {"connection": Connection()})()
    return [(it.topic, it.state) for it in check._in_order(steps, context)]


def test_a_step_is_not_tried_once_what_it_needs_failed() -> None:
    """Nor is what needs that one; the others are."""
    steps = Steps()
    found = in_order(
        steps.finds(Topic.CONNECTION, fail(Topic.CONNECTION, "no answer", "start it")),
        steps.finds(Topic.VERSION, ok(Topic.VERSION, "9"), needs=(Topic.CONNECTION,)),
        steps.finds(Topic.TEMPLATE, ok(Topic.TEMPLATE, "1"), needs=(Topic.VERSION,)),
        steps.finds(Topic.STATE, ok(Topic.STATE, "there")),
    )
    assert found == [
        (Topic.CONNECTION, Level.FAILED),
        (Topic.VERSION, Level.NOT_TRIED),
        (Topic.TEMPLATE, Level.NOT_TRIED),
        (Topic.STATE, Level.OK),
    ]
    assert steps.tried == [Topic.CONNECTION, Topic.STATE]


def test_an_error_in_a_step_is_what_it_finds() -> None:
    """With its sentence and its hint, after what was found before. A refusal means that nobody could look, or that `run` cannot work."""
    steps = Steps()
    missing = NotInstalled(alias="{a}", url="http://es")
    refused = Refused(product="Elasticsearch", url="http://es", who="user 'u'", reason="r")
    steps_found = (
        steps.finds(Topic.FIELDS, ok(Topic.FIELDS, "some"), refused),
        steps.finds(Topic.ALIAS, missing),
        steps.finds(Topic.WRITE, refused, of_run=True),
    )
    context: Any = type("Looking", (), {"connection": Connection()})()
    first, second, third, fourth = check._in_order(steps_found, context)
    assert (first.state, second.state, third.state) == (Level.OK, Level.NOT_TRIED, Level.FAILED)
    assert "user 'u'" in second.what
    assert f"{third.what} {third.cure}" == str(missing)
    assert (fourth.state, f"{fourth.what} {fourth.cure}") == (Level.FAILED, str(refused))


def test_each_step_comes_after_those_that_it_needs() -> None:
    """So that there is an answer to go on from; topics come in the order of their enumeration."""
    topics = [step.topic for step in check.STEPS]
    assert [*topics, Topic.LOGS, Topic.STATE] == list(Topic)
    for number, step in enumerate(check.STEPS):
        assert set(step.needs) <= set(topics[:number])


def answered(missing: str = "", on: str = "") -> dict[str, Any]:
    """What a server answers to who may do everything but one thing."""
    asked = judgements.asked(roles(ALIAS))
    return {
        "username": "u",
        "cluster": {name: name != missing or on != "" for name in asked["cluster"]},
        "index": {
            name: {it: (it, name) != (missing, on) for it in group["privileges"]}
            for group in asked["index"]
            for name in group["names"]
        },
    }


def test_who_may_do_what_the_writer_may_is_fine() -> None:
    """The sentence tells which other roles are covered."""
    finding = judgements.privileges(roles(ALIAS), ALIAS, answered())
    assert finding.state is Level.OK
    assert all(name in finding.what for name in roles(ALIAS))
    without = judgements.privileges(roles(ALIAS), ALIAS, answered("read", ALIAS))
    assert without.state is Level.OK
    assert f"{ALIAS}-writer" in without.what
    assert f"{ALIAS}-reader" not in without.what


@pytest.mark.parametrize(
    ("held", "state"),
    [((f"{ALIAS}-writer", "other"), Level.OK), (("other",), Level.NOT_TRIED), ((), Level.NOT_TRIED)],
)
def test_where_privileges_are_not_told_the_name_of_the_role_is_all_that_is_known(
    held: tuple[str, ...], state: Level
) -> None:
    """The sentence says that, and what tries them."""
    finding = judgements.roles_held(Product.OPENSEARCH, User("u", held), ALIAS)
    assert finding.state is state
    assert "OpenSearch does not tell what a user may do; the write test tries it" in finding.what
    assert f"{ALIAS}-writer" in finding.what


@pytest.mark.parametrize(
    ("privilege", "on"),
    [
        ("monitor", ""),
        ("read_ilm", ""),
        ("create_doc", ALIAS),
        ("create_doc", f"{ALIAS}-0*"),
        ("create_doc", f"{ALIAS}-rejected"),
        ("create_doc", f"{ALIAS}-seals"),
        ("read", f"{ALIAS}-seals"),
        ("indices:monitor/stats*", f"{ALIAS}-rejected"),
        ("view_index_metadata", ALIAS),
        ("indices:data/read/mget*", f"{ALIAS}-0*"),
    ],
)
def test_a_privilege_that_is_missing_is_named(privilege: str, on: str) -> None:
    """With where it is missing, and the role that has it."""
    finding = judgements.privileges(roles(ALIAS), ALIAS, answered(privilege, on))
    assert finding.state is Level.FAILED
    assert privilege in finding.what
    assert (on or "cluster") in finding.what
    assert f"{ALIAS}-writer" in finding.cure


@pytest.mark.parametrize(
    ("version", "state"),
    [
        ((7, 16, 3), Level.FAILED),
        ((7, 17, 0), Level.OK),
        ((9, 99, 0), Level.OK),
        ((10, 0, 0), Level.WARNING),
    ],
)
def test_versions_from_7_17_to_9_are_supported(version: tuple[int, int, int], state: Level) -> None:
    """Older ones are not; newer ones nobody has tried."""
    assert judgements.version(Server(version, lifecycle=True)).state is state


@pytest.mark.parametrize(
    ("version", "replicas", "warned"),
    [
        ((9, 4, 9), 1, False),
        ((9, 5, 0), 0, False),
        ((9, 5, 0), 1, True),
        ((9, 5, 1), 3, True),
        ((9, 5, 2), 1, True),
        ((9, 5, 3), 1, False),
        ((9, 6, 0), 1, False),
        ((10, 0, 0), 1, False),
    ],
)
def test_replicas_that_can_diverge_are_a_warning(
    version: tuple[int, int, int],
    replicas: int,
    warned: bool,  # noqa: FBT001
) -> None:
    """With the version to upgrade to; an index without replicas has none that could."""
    found = list(judgements.replicated(Server(version, lifecycle=True), "i-000001", replicas))
    assert [it.state for it in found] == [Level.WARNING] * warned
    assert all("i-000001" in it.what and "9.5.3" in it.cure for it in found)


def installed(change: dict[str, Any] | None = None, *, missing: bool = False) -> list[Installed]:
    """All that is to be installed, as it should be but for the index template."""
    return [
        Installed(it, None if missing and _is_template(it) else body, differences(body, it.body))
        for it in plan(SERVER, Connection())
        if it.kind is not Kind.INDEX
        for body in [it.body | (change or {})]
    ]


def _is_template(request: Request) -> bool:
    return (request.kind, request.name) == (Kind.TEMPLATE, ALIAS)


def test_what_is_installed_is_fine_missing_foreign_or_newer() -> None:
    """Missing or made by somebody else is wrong; a newer one works."""
    assert judgements.templates(installed()).state is Level.OK
    missing = judgements.templates(installed(missing=True))
    assert (missing.state, missing.cure) == (Level.FAILED, "Run `indexer template install`.")
    assert f"index template {ALIAS}" in missing.what
    foreign = judgements.templates(installed({"_meta": None, "policy": {}, "priority": 1}))
    assert (foreign.state, "somebody else" in foreign.what) == (Level.FAILED, True)
    newer = judgements.templates(installed({"version": 99}))
    assert (newer.state, "newer" in newer.what) == (Level.WARNING, True)
    unmarked = judgements.templates(installed({"_meta": None}))
    assert (unmarked.state, "_meta" in unmarked.what) == (Level.WARNING, True)


@pytest.mark.parametrize(
    ("item", "state", "cure"),
    [
        (Item(400, "i-000001", "document_parsing_exception", "failed to parse"), Level.OK, ""),
        (Item(400, "i-000001", "mapper_parsing_exception", "failed to parse"), Level.OK, ""),
        (Item(403, "i", "cluster_block_exception", "index [i] blocked by: [x];"), Level.FAILED, "block"),
        (Item(429, "i", "cluster_block_exception", "disk usage exceeded"), Level.FAILED, "disk"),
        (Item(403, "i", "security_exception", "unauthorized"), Level.FAILED, "health"),
        (Item(400, "i", "illegal_argument_exception", "no write index is defined"), Level.FAILED, "health"),
        (Item(400, "i", "index_closed_exception", "closed"), Level.FAILED, "health"),
        (Item(503, "i", "unavailable_shards_exception", "primary"), Level.FAILED, "health"),
    ],
)
def test_only_a_refusal_of_the_entry_itself_passes_the_write_test(
    item: Item, state: Level, cure: str
) -> None:
    """Whatever refuses it before would refuse any other entry."""
    finding = judgements.written(Answer(None, [item]))
    assert finding.state is state
    assert cure in finding.cure


def test_an_index_that_takes_what_is_no_json_is_wrong() -> None:
    """Nothing is known that does so; it would have to be looked at."""
    assert judgements.written(Answer("i-000001")).state is Level.FAILED


@pytest.mark.parametrize(
    ("mapped", "ignored_beyond", "state"),
    [
        (79, True, Level.OK),
        (80, True, Level.WARNING),
        (99, False, Level.WARNING),
        (100, True, Level.WARNING),
        (100, False, Level.FAILED),
    ],
)
def test_fields_near_the_limit_are_said(mapped: int, ignored_beyond: bool, state: Level) -> None:  # noqa: FBT001
    """At the limit entries are rejected, unless the index ignores what is beyond."""
    finding = judgements.fields(Fields("i", mapped, 100, ignored_beyond))
    assert finding.state is state
    assert f"{mapped} of at most 100 fields" in finding.what


MALFORMED = COUNTED_VALUES[Product.OPENSEARCH]


def test_ignored_values_are_counted_and_named_where_the_server_can() -> None:
    """They are no fault: the entry is there as it was."""
    assert "2,000 entries have malformed values" in judgements.ignored(Ignored(2000, None, MALFORMED)).what
    told = judgements.ignored(Ignored(1, {"ip": 1}, "values"))
    assert (told.state, "ip in 1" in told.what) == (Level.OK, True)
    assert judgements.ignored(Ignored(0, {}, "values")).state is Level.OK
    none = judgements.ignored(Ignored(0, None, MALFORMED))
    assert (none.state, "no entry has malformed values" in none.what) == (Level.OK, True)


NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "state"),
    [(-5, Level.OK), (0, Level.OK), (1260, Level.OK), (1261, Level.WARNING), (10**8, Level.WARNING)],
)
def test_seals_are_overdue_after_two_intervals_and_a_minute(seconds: int, state: Level) -> None:
    """The age is said next to the interval; nothing is wrong with entries, so it is a warning."""
    seal = LastSeal("0123456789abcdef", NOW - timedelta(seconds=seconds), 600, 1234)
    (finding,) = judgements.seals([seal], NOW)
    assert finding.state is state
    assert "0123456789abcdef" in finding.what
    assert "10 min 0 s" in finding.what


def test_seals_of_each_log_are_judged_apart() -> None:
    """One that is sealed does not hide another that is not; none at all is no fault."""
    fresh, old = (LastSeal(log, NOW - timedelta(hours=age), 600, 1) for log, age in (("a", 0), ("b", 2)))
    assert [it.state for it in judgements.seals([fresh, old], NOW)] == [Level.OK, Level.WARNING]
    (none,) = judgements.seals([], NOW)
    assert (none.state, "indexer seal key FILE" in none.what) == (Level.OK, True)


ASKED = frozenset({"AUTHENTICATION", "VIS", "UPLOAD", "RAW_DATA_EXPORT", "RAW_DATA_EXPORT_CSV"})


def test_types_that_dashboards_and_alerts_are_about_are_fine() -> None:
    """Those that Zoomdata does not log by default are named while there are none; an empty index is fine."""
    (some,) = judgements.types({"VIS": 1, "UPLOAD": 1}, ASKED)
    assert some.state is Level.OK
    assert "none of RAW_DATA_EXPORT, RAW_DATA_EXPORT_CSV, which" in some.what
    (each,) = judgements.types(dict.fromkeys(ASKED, 1), ASKED)
    assert (each.state, "none of" in each.what) == (Level.OK, False)
    (none,) = judgements.types({}, ASKED)
    assert (none.state, none.what) == (Level.OK, "there are no entries yet")


def test_types_that_nothing_shows_are_a_warning() -> None:
    """One that differs in case only, with the name that is asked for; and one that nothing is about."""
    spelled, other = judgements.types({"VIS": 5, "authentication": 1200, "DASHBOARD_SHARE": 1}, ASKED)
    assert {spelled.state, other.state} == {Level.WARNING}
    assert spelled.what == (
        "dashboards and alerts ask for AUTHENTICATION and leave out 'authentication' (1,200 entries)"
    )
    assert other.what == "no dashboard and no alert is about 'DASHBOARD_SHARE' (1 entry)"


MANAGED = {"managed": True, "policy": "p", "step": "check-rollover-ready"}
STUCK = {
    "managed": True,
    "policy": "p",
    "action": "rollover",
    "step": "ERROR",
    "failed_step": "check-rollover-ready",
    "step_info": {"reason": "index.lifecycle.rollover_alias does not point to it"},
}


@pytest.mark.parametrize(
    ("mode", "explained", "states"),
    [
        ("RUNNING", {"a-000001": MANAGED}, [Level.OK]),
        ("", {"a-000001": MANAGED}, [Level.OK]),
        ("STOPPED", {"a-000001": MANAGED}, [Level.FAILED]),
        ("RUNNING", {"a-000001": STUCK, "a-000002": MANAGED}, [Level.FAILED]),
        ("RUNNING", {"a-000001": {"managed": False}, "a-000002": STUCK}, [Level.FAILED, Level.WARNING]),
    ],
)
def test_lifecycle_that_stands_still_is_said(
    mode: str, explained: dict[str, Any], states: list[Level]
) -> None:
    """Stopped for all, stuck for one, or not looking after one."""
    found = list(judgements.lifecycle(mode, explained))
    assert [it.state for it in found] == states
    if STUCK in explained.values():
        assert "does not point to it" in found[0].what
        assert "_ilm/retry" in found[0].cure
