"""What the answers of the cluster mean for the indexer. Sends no request."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from indexer.check.results import CheckResult, Topic, fail, not_tried, ok, warn
from indexer.dashboards.activity_types import ON_REQUEST
from indexer.elastic.fields import Fields, Ignored
from indexer.elastic.last_seals import LastSeal
from indexer.elastic.security import User
from indexer.elastic.server import TESTED, Feature, Product, Server, dotted
from indexer.setup import invariants
from indexer.setup.invariants import Severity
from indexer.setup.plan import Body, Kind
from indexer.setup.roles import WRITER
from indexer.setup.templates import Step
from indexer.show import duration
from indexer.writing import answers
from indexer.writing.answers import Answer, Verdict

NEARLY = 0.8
"""The share of the field limit from which on a warning is given."""
SHOWN = 3
"""How many items of a list are named."""
BLOCKED = "cluster_block_exception"


def asked(roles: Mapping[str, Body]) -> Body:
    """All privileges of some roles, as the body of `POST _security/user/_has_privileges`."""
    wanted: dict[str, set[str]] = {}
    for role in roles.values():
        for group in role["indices"]:
            for name in group["names"]:
                wanted.setdefault(name, set()).update(group["privileges"])
    return {
        "cluster": sorted({it for role in roles.values() for it in role["cluster"]}),
        "index": [{"names": [name], "privileges": sorted(privileges)} for name, privileges in wanted.items()],
    }


def lacks(role: Body, answer: Mapping[str, Any]) -> list[str]:
    """The privileges of a role that the user lacks, according to the answer to `asked`."""
    cluster = [name for name in role["cluster"] if not answer["cluster"][name]]
    missing = [f"{', '.join(cluster)} (cluster)"] if cluster else []
    for group in role["indices"]:
        lacking = [
            privilege
            for privilege in group["privileges"]
            if not all(answer["index"][name][privilege] for name in group["names"])
        ]
        if lacking:
            missing.append(f"{', '.join(lacking)} on {', '.join(group['names'])}")
    return missing


def privileges(roles: Mapping[str, Body], alias: str, answer: Mapping[str, Any]) -> CheckResult:
    """Compare the user's privileges with those of `indexer run`."""
    who, writer = f"user {answer['username']!r}", alias + WRITER
    missing = lacks(roles[writer], answer)
    if missing:
        hint = f"Give it the role {writer} (`indexer template roles` prints it)."
        return fail(Topic.PRIVILEGES, f"{who} lacks {'; '.join(missing)}", hint)
    may = [name for name, role in roles.items() if not lacks(role, answer)]
    return ok(Topic.PRIVILEGES, f"{who} has the privileges of {', '.join(may)}")


def roles_held(product: Product, user: User, alias: str) -> CheckResult:
    """What is known of privileges where nobody can ask for them: the names of the user's roles."""
    writer, silent = alias + WRITER, f"{product} does not tell what a user may do"
    if writer in user.roles:
        return ok(
            Topic.PRIVILEGES, f"user {user.name!r} has the role {writer} ({silent}; the write test tries it)"
        )
    return not_tried(
        Topic.PRIVILEGES, f"{silent}; the write test tries it (the role {writer} has what `run` needs)"
    )


def version(server: Server) -> CheckResult:
    """Whether the server's version is supported."""
    oldest, untested = TESTED[server.product]
    if server.version < oldest:
        hint = f"Upgrade it to {dotted(oldest[:2])} or later."
        return fail(Topic.VERSION, f"{server} is older than the supported versions", hint)
    if server.version >= untested:
        hint = "Check for a newer version of this program."
        return warn(Topic.VERSION, f"{server} is newer than the tested versions", hint)
    return ok(Topic.VERSION, f"{server}")


def replicated(server: Server, index: str, replicas: int) -> Iterator[CheckResult]:
    """Whether replicas of an index can lose entries on this server."""
    if replicas and server.has(Feature.DIVERGING_REPLICAS):
        what = f"under load, replicas of {index} can lose entries on {server}"
        yield warn(Topic.INDEX, what, "Upgrade it to 9.5.3 or later (elastic/elasticsearch issue 158212).")


def templates(steps: Sequence[Step]) -> CheckResult:
    """Compare what is installed with what `indexer template install` would install."""
    topic = Topic.TEMPLATE
    if missing := [step.request.what for step in steps if step.held is None]:
        return fail(topic, f"not installed: {_some(missing)}", "Run `indexer template install`.")
    if foreign := [step.request.what for step in steps if not step.replaceable]:
        hint = "Choose another --alias, or replace it with `indexer template install --force`."
        return fail(topic, f"made by somebody else: {_some(foreign)}", hint)
    if newer := [step.request.what for step in steps if step.newer]:
        return warn(topic, f"from a newer version of this program: {_some(newer)}", "Upgrade this program.")
    if drifted := [f"{step.request.what}, {each}" for step in steps for each in step.changes]:
        hint = "`indexer template diff` shows all differences, `indexer template install` fixes them."
        return warn(topic, f"not as shipped: {_some(drifted)}", hint)
    version = max(step.request.body["version"] for step in steps if step.request.kind is Kind.TEMPLATE)
    return ok(topic, f"version {version} is installed, as shipped")


def violations(topic: Topic, found: Iterable[invariants.Violation]) -> Iterator[CheckResult]:
    """What is wrong, or unusual, about an index."""
    for each in found:
        result = fail if each.severity is Severity.BROKEN else warn
        yield result(topic, f"{each.where}: {each.what}", each.hint)


def written(answer: Answer) -> CheckResult:
    """The result of sending an entry that has to be rejected, if nothing else prevents it."""
    topic = Topic.WRITE
    if not answer.items:
        return fail(
            topic, "an entry that is not JSON was accepted", "Report this as a bug, with your mapping."
        )
    item = answer.items[0]
    if answers.judge_item(item).verdict is Verdict.REJECTED:
        return ok(topic, f"{item.index} accepts entries (a test entry that is not JSON was rejected)")
    hint = "Check the cluster's health and its log."
    if item.error_type == BLOCKED:
        hint = "Remove the block (PUT INDEX/_settings); was the disk full?"
    reason = (item.reason or item.error_type).rstrip(";")
    return fail(topic, f"status {item.status}: {reason}", hint)


def lifecycle(mode: str, explained: Mapping[str, Mapping[str, Any]]) -> Iterator[CheckResult]:
    """What index lifecycle management reports about the indices behind the alias."""
    topic = Topic.LIFECYCLE
    stuck = {name: it for name, it in explained.items() if it.get("step") == "ERROR"}
    unmanaged = [name for name, it in explained.items() if not it.get("managed")]
    if mode not in {"RUNNING", ""}:
        yield fail(topic, f"lifecycle management is {mode.lower()}", "Start it: POST _ilm/start.")
    for name, it in stuck.items():
        reason = it.get("step_info", {}).get("reason", "no reason is given")
        what = f"{name} is stuck at {it.get('action')}, {it.get('failed_step')}: {reason}"
        yield fail(topic, what, f"Fix that, then POST {name}/_ilm/retry.")
    if unmanaged:
        hint = "They are not deleted automatically; PUT INDEX/_settings sets index.lifecycle.name."
        yield warn(topic, f"no lifecycle policy manages {_some(unmanaged)}", hint)
    if mode in {"RUNNING", ""} and not stuck and not unmanaged:
        policies = ", ".join(sorted({str(it.get("policy")) for it in explained.values()}))
        yield ok(topic, f"policy {policies} manages {_several(len(explained), 'index', 'indices')}")


def fields(it: Fields) -> CheckResult:
    """How close the write index is to its field limit."""
    topic, count = Topic.FIELDS, f"{it.index} has {it.mapped:,} of at most {it.limit:,} fields"
    hint = "Raise index.mapping.total_fields.limit of the index and in your component template ALIAS@custom."
    if it.mapped < it.limit * NEARLY:
        return ok(topic, count)
    if it.mapped < it.limit:
        return warn(topic, count, hint)
    if it.ignored_beyond:
        return warn(topic, f"{count}: new fields are stored, but not searchable", hint)
    return fail(topic, f"{count}: entries with new fields are rejected", hint)


def ignored(it: Ignored) -> CheckResult:
    """How many entries have unsearchable values, which is common and harmless."""
    if not it.entries:
        return ok(Topic.FIELDS, f"no entry has {it.values} that searches do not find")
    names = ", ".join(f"{name} in {entries:,}" for name, entries in (it.fields or {}).items())
    entries = _several(it.entries, "entry has", "entries have")
    where = f" ({names})" if names else ""
    return ok(Topic.FIELDS, f"{entries} {it.values} that are stored, but not searchable{where}")


def types(found: Mapping[str, int], asked: Collection[str]) -> Iterator[CheckResult]:
    """Which activity types no dashboard and no alert is about; they ask for exact names.

    found   entries by activity type.
    asked   the types that dashboards and alerts ask for.
    """
    topic, same = Topic.TYPES, {it.lower(): it for it in asked}
    unseen = {it: entries for it, entries in found.items() if it not in asked}
    spelled = {it: same[it.lower()] for it in unseen if it.lower() in same}
    other = [it for it in unseen if it not in spelled]
    if spelled:
        found_as = _some([f"{it!r} ({_several(unseen[it], 'entry', 'entries')})" for it in spelled])
        what = f"dashboards and alerts ask for {', '.join(sorted(set(spelled.values())))} and leave out {found_as}"
        hint = (
            "Spell the types in mappings/kibana and mappings/alerts as the log does, and install them again."
        )
        yield warn(topic, what, hint)
    if other:
        what = _some([f"{it!r} ({_several(unseen[it], 'entry', 'entries')})" for it in other])
        hint = "The saved search Everything has the entries; `indexer template views` gives each type a view."
        yield warn(topic, f"no dashboard and no alert is about {what}", hint)
    if not found:
        yield ok(topic, "there are no entries yet")
    elif not unseen:
        missing = sorted(ON_REQUEST - found.keys())
        also = f"; none of {', '.join(missing)}, which Zoomdata does not log by default" if missing else ""
        types_ = _several(len(found), "activity type is", "activity types are")
        yield ok(topic, f"{types_} in the index, and dashboards or alerts are about each{also}")


def seals(found: Sequence[LastSeal], now: datetime) -> Iterator[CheckResult]:
    """How old the newest signed checkpoint of each seal log is. No seals are no fault: sealing is an option."""
    if not found:
        what = "nothing is sealed; to change that: `indexer seal key FILE`, then `indexer run --seal-key-file FILE`"
        yield ok(Topic.SEALS, what)
    for it in found:
        due = f"it is due each {duration(timedelta(seconds=it.every))}"
        age = f"seal log {it.log} was sealed {duration(now - it.sealed)} ago, {due}"
        if it.overdue(now):
            hint = "Start its indexer with --seal-key-file; if it runs, its log says why sealing fails."
            yield warn(Topic.SEALS, age, hint)
        else:
            yield ok(Topic.SEALS, f"{age}; {_several(it.size, 'leaf', 'leaves')}")


def _some(names: Sequence[str]) -> str:
    rest = len(names) - SHOWN
    return "; ".join(names[:SHOWN]) + (f"; and {rest:,} more" if rest > 0 else "")


def _several(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"
