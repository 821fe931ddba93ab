"""What the answers of a cluster mean for the indexer. Asks nobody."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from indexer.check.findings import Finding, Topic, fail, ok, warn
from indexer.elastic.fields import Fields, Ignored
from indexer.elastic.server import NEXT, OLDEST, Feature, Server
from indexer.setup import invariants
from indexer.setup.invariants import Severity
from indexer.setup.plan import Body, Kind
from indexer.setup.roles import WRITER
from indexer.setup.templates import Step
from indexer.writing import answers
from indexer.writing.answers import Answer, Verdict

NEARLY = 0.8
"""Of the limit of fields."""
SHOWN = 3
"""So many of a list are named."""
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
    """What of a role a user has not, going by the answer to `asked`."""
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


def privileges(roles: Mapping[str, Body], alias: str, answer: Mapping[str, Any]) -> Finding:
    """Hold what a user may do against what `indexer run` needs."""
    who, writer = f"user {answer['username']!r}", alias + WRITER
    missing = lacks(roles[writer], answer)
    if missing:
        hint = f"Give it the role {writer} (`indexer template roles` prints it)."
        return fail(Topic.PRIVILEGES, f"{who} lacks {'; '.join(missing)}", hint)
    may = [name for name, role in roles.items() if not lacks(role, answer)]
    return ok(Topic.PRIVILEGES, f"{who} may do all that is asked of {', '.join(may)}")


def version(server: Server) -> Finding:
    """Tell whether the server's version is one of ours."""
    if server.version < OLDEST:
        hint = "Upgrade it to 7.17 or later."
        return fail(Topic.VERSION, f"Elasticsearch {server} is older than any that is supported", hint)
    if server.version >= NEXT:
        hint = "Look for a newer version of this program."
        return warn(Topic.VERSION, f"Elasticsearch {server} is newer than any that was tried", hint)
    return ok(Topic.VERSION, f"Elasticsearch {server}")


def replicated(server: Server, index: str, replicas: int) -> Iterator[Finding]:
    """Tell whether this server can leave the replicas of an index without entries."""
    if replicas and server.has(Feature.DIVERGING_REPLICAS):
        what = f"under load, Elasticsearch {server} can leave the replicas of {index} without some of its entries"
        yield warn(Topic.INDEX, what, "Upgrade it to 9.5.3 or later (elastic/elasticsearch issue 158212).")


def templates(steps: Sequence[Step]) -> Finding:
    """What is installed, against what `indexer template install` would install."""
    topic = Topic.TEMPLATE
    if missing := [step.request.what for step in steps if step.held is None]:
        return fail(topic, f"not installed: {_some(missing)}", "Run `indexer template install`.")
    if foreign := [step.request.what for step in steps if not step.replaceable]:
        hint = "Choose another --alias, or replace it with `indexer template install --force`."
        return fail(topic, f"made by somebody else: {_some(foreign)}", hint)
    if newer := [step.request.what for step in steps if step.newer]:
        return warn(topic, f"from a newer version of this program: {_some(newer)}", "Upgrade this program.")
    if drifted := [f"{step.request.what}, {each}" for step in steps for each in step.changes]:
        hint = "`indexer template diff` shows all of it, `indexer template install` mends it."
        return warn(topic, f"not as shipped: {_some(drifted)}", hint)
    version = max(step.request.body["version"] for step in steps if step.request.kind is Kind.TEMPLATE)
    return ok(topic, f"version {version} is installed, as shipped")


def violations(topic: Topic, found: Iterable[invariants.Violation]) -> Iterator[Finding]:
    """What is wrong, or odd, about an index."""
    for each in found:
        tell = fail if each.severity is Severity.BROKEN else warn
        yield tell(topic, f"{each.where}: {each.what}", each.hint)


def written(answer: Answer) -> Finding:
    """What became of an entry that has to be refused, once nothing else stands in its way."""
    topic = Topic.WRITE
    if not answer.items:
        return fail(topic, "an entry that is no JSON was taken", "Report this as a bug, with your mapping.")
    item = answer.items[0]
    if answers.judge_item(item).verdict is Verdict.REJECTED:
        return ok(topic, f"{item.index} takes entries (it was sent one that it has to refuse, and did)")
    hint = "Look at the cluster's health and its log."
    if item.error_type == BLOCKED:
        hint = "Remove the block (PUT INDEX/_settings); was the disk full?"
    reason = (item.reason or item.error_type).rstrip(";")
    return fail(topic, f"status {item.status}: {reason}", hint)


def lifecycle(mode: str, explained: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """What index lifecycle management says of the indices behind the alias."""
    topic = Topic.LIFECYCLE
    stuck = {name: it for name, it in explained.items() if it.get("step") == "ERROR"}
    unmanaged = [name for name, it in explained.items() if not it.get("managed")]
    if mode not in {"RUNNING", ""}:
        yield fail(topic, f"lifecycle management is {mode.lower()}", "Start it: POST _ilm/start.")
    for name, it in stuck.items():
        reason = it.get("step_info", {}).get("reason", "it does not say why")
        what = f"{name} is stuck at {it.get('action')}, {it.get('failed_step')}: {reason}"
        yield fail(topic, what, f"Mend that, then POST {name}/_ilm/retry.")
    if unmanaged:
        hint = "Its entries stay until somebody deletes them; PUT INDEX/_settings sets index.lifecycle.name."
        yield warn(topic, f"no policy looks after {_some(unmanaged)}", hint)
    if mode in {"RUNNING", ""} and not stuck and not unmanaged:
        policies = ", ".join(sorted({str(it.get("policy")) for it in explained.values()}))
        yield ok(topic, f"policy {policies} looks after {_several(len(explained), 'index', 'indices')}")


def fields(it: Fields) -> Finding:
    """How near the write index is to its limit of fields."""
    topic, told = Topic.FIELDS, f"{it.index} has {it.mapped:,} fields of {it.limit:,} that it may have"
    hint = "Raise index.mapping.total_fields.limit of the index, and in the component template of your own."
    if it.mapped < it.limit * NEARLY:
        return ok(topic, told)
    if it.mapped < it.limit:
        return warn(topic, told, hint)
    if it.ignored_beyond:
        return warn(topic, f"{told}: what is in new ones is kept, and not found", hint)
    return fail(topic, f"{told}: entries with new ones are rejected", hint)


def ignored(it: Ignored) -> Finding:
    """How many entries have values that no search finds: usual, and harmless."""
    if not it.entries:
        return ok(Topic.FIELDS, "each value of each entry is found by searches")
    named = ", ".join(f"{name} in {entries:,}" for name, entries in (it.fields or {}).items())
    entries = _several(it.entries, "entry has", "entries have")
    where = f" ({named})" if named else ""
    return ok(Topic.FIELDS, f"{entries} values that are kept, and that searches do not find{where}")


def _some(names: Sequence[str]) -> str:
    rest = len(names) - SHOWN
    return "; ".join(names[:SHOWN]) + (f"; and {rest:,} more" if rest > 0 else "")


def _several(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"
