"""Errors for people to read: the reason in an error's answer, the privilege that a refusal says is missing.

Elasticsearch's sentence is nearly the same in 7.17.28, 8.19.16 and 9.1.5 (measured):

    action [A] is unauthorized for user [U] with effective roles [R] on indices [I], this action is granted by the index privileges [P]

7.17 leaves out "effective", and often the indices; an API key or a service account stands where the user is.
OpenSearch's security plugin names what is missing, each of which is needed, and never the indices (measured on 2.11.1):

    no permissions for [A, B] and User [name=U, backend_roles=[], requestedTenant=null]
"""

import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import elastic_transport
import elasticsearch
import orjson

_REFUSAL = re.compile(
    r"(?>action \[(?P<action>.+?)\] is unauthorized for ).*?"
    r"(?: on (?:restricted )?indices \[(?P<indices>[^\[\]]*+)\])?"
    r", this action is granted by the (?P<scope>\w++) privileges \[(?P<privileges>[^\[\]]*+)\]"
)
_PLUGIN_REFUSAL = re.compile(r"no permissions for \[(?P<actions>.+?)\] and ")
_OF_THE_CLUSTER = re.compile(
    r"cluster:|indices:admin/(?:index_)?template/|indices:data/(?:write/(?:bulk|reindex)|read/(?:mget|msearch|scroll))$"
)
"""Actions that the plugin looks for among a role's `cluster_permissions` (its source, `PrivilegesEvaluator.isClusterPerm`)."""
MAX_SHOWN = 300
"""How many characters of a reason are shown."""
MAX_KEPT = 10_000
"""How many characters of a reason are kept."""


class InvalidAnswer(elastic_transport.SerializationError):
    """The answer is not from Elasticsearch: too long, or of an unexpected form."""

    def __str__(self) -> str:
        return str(self.message)


FORM_ERRORS = (
    LookupError,
    TypeError,
    AttributeError,
    ValueError,
    OverflowError,
    StopIteration,
    RecursionError,
)
"""What Python raises if an answer has an unexpected form: a missing key, a list instead of an object."""


@contextmanager
def reading_answer() -> Iterator[None]:
    """For code that reads answers. Raises InvalidAnswer if one has an unexpected form."""
    try:
        yield
    except FORM_ERRORS as error:
        raise InvalidAnswer(describe_form_error(error)) from None


def describe_form_error(error: BaseException) -> str:
    """What is wrong with the form of an answer, and where in the code it was noticed."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    what = f"{type(error).__name__} {str(error)[:100]} at {PurePath(where.filename).name}:{where.lineno}"
    return f"its answer is not of the expected form: {what}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A forbidden action, and the privileges that would allow it."""

    action: str
    """Empty where the privileges are named as the actions are."""
    scope: str
    """index or cluster."""
    privileges: tuple[str, ...]
    """Any one of them is enough for the action; without one, all are needed."""
    indices: tuple[str, ...] = ()
    """Where it is needed; empty if the server does not say."""

    def missing(self, where: str = "") -> str:
        """The missing privilege; `where` is used if the server names no indices."""
        several = len(self.privileges) > 1
        names = ", ".join(self.privileges)
        indices = ", ".join(self.indices) or where
        on = f" on {indices}" if self.scope == "index" and indices else ""
        if not self.action:
            return f"the {self.scope} {'permissions' if several else 'permission'} {names} {'are' if several else 'is'} missing{on}"
        what = f"one of the {self.scope} privileges" if several else f"the {self.scope} privilege"
        return f"{what} {names} is missing{on}, for {self.action}"


def read_refusal(reason: str) -> Refusal | None:
    """Parse the reason of a 403; None if it is another sentence."""
    if found := _PLUGIN_REFUSAL.match(reason):
        actions = tuple(found["actions"].split(", "))
        return Refusal("", "cluster" if _OF_THE_CLUSTER.match(actions[0]) else "index", actions)
    found = _REFUSAL.match(reason)
    if found is None:
        return None
    indices = tuple(found["indices"].split(",")) if found["indices"] else ()
    return Refusal(found["action"], found["scope"], tuple(found["privileges"].split(",")), indices)


def describe(reason: str, where: str = "") -> str:
    """A reason of the server, shortened, or the missing privilege if that is the reason."""
    refusal = read_refusal(reason)
    return refusal.missing(where) if refusal else reason[:MAX_SHOWN]


def reason_of(error: elasticsearch.ApiError) -> str:
    """The reason in an error's answer, with its root cause: a parser names each field on the way down to the wrong one."""
    body = error.body
    if isinstance(body, bytes):  # of a client with raw answers
        try:
            body = orjson.loads(body)
        except orjson.JSONDecodeError:
            body = None
    failure = _failure(body) if isinstance(body, dict) else None
    if reasons := causes(failure):
        reason, root = reasons[0], reasons[-1]
        return reason if root in reason else f"{reason} ({root})"
    return str(failure or f"status {error.status_code}")[:MAX_SHOWN]


def _failure(body: Mapping[str, Any]) -> object:
    """What says why: an error, the sentence of the API of OpenSearch's security plugin or of AWS, or what the first shard answered.

    (A refresh that is refused shard by shard, measured on OpenSearch 2.11.1.)
    """
    shards = body.get("_shards")
    failures = shards.get("failures") if isinstance(shards, dict) else None
    first = failures[0] if isinstance(failures, list) and failures else None
    of_shard = first.get("reason") if isinstance(first, dict) else None
    sentence = body.get("message") or body.get("Message")
    return body.get("error") or sentence or body.get("reason") or of_shard


def causes(error: object) -> list[str]:
    """The distinct reasons of an error down to its root cause, most general first."""
    reasons: dict[str, None] = {}
    while isinstance(error, dict):
        if reason := str(error.get("reason") or error.get("type") or "")[:MAX_KEPT]:
            reasons[reason] = None
        error = error.get("caused_by")
    return list(reasons)


def describe_error(error: object) -> str:
    """An error in an answer, of one document or index: its reasons, shortened, or the missing privilege."""
    return describe(": ".join(causes(error)))


def root_cause(error: BaseException) -> BaseException:
    """The innermost of errors that libraries have wrapped."""
    for inner in (error.__cause__, *error.args):
        if isinstance(inner, BaseException):
            return root_cause(inner)
    return error


def summarise(error: elastic_transport.TransportError) -> str:
    """Why there was no answer, without names of Python's classes."""
    inner = root_cause(error)
    text = str(getattr(inner, "reason", None) or inner)
    return re.sub(r"<[^<>]*+>: ?|\(_ssl\.c:\d+\)", "", text).strip() or type(error).__name__
