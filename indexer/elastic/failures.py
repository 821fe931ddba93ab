"""What is wrong, in words: an error's answer read for the reason, a refusal for the privilege that is missing.

Elasticsearch's sentence is much the same in 7.17.28, 8.19.16 and 9.1.5 (measured):

    action [A] is unauthorized for user [U] with effective roles [R] on indices [I], this action is granted by the index privileges [P]

7.17 leaves out "effective", and often the indices; an API key or a service account stands where the user is.
"""

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath

import elastic_transport
import elasticsearch
import orjson

_REFUSAL = re.compile(
    r"(?>action \[(?P<action>.+?)\] is unauthorized for ).*?"
    r"(?: on (?:restricted )?indices \[(?P<indices>[^\[\]]*+)\])?"
    r", this action is granted by the (?P<scope>\w++) privileges \[(?P<privileges>[^\[\]]*+)\]"
)
MAX_SHOWN = 300
"""Characters of a reason that are shown."""
MAX_KEPT = 10_000
"""Characters of a reason that are kept."""


class InvalidAnswer(elastic_transport.SerializationError):
    """What came back is no answer of Elasticsearch's: too long, or of another form."""

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
"""What Python raises for an answer of another form than it is read as: a key is missing, a list stands for an object."""


@contextmanager
def reading_answer() -> Iterator[None]:
    """Within it answers are read that should be of a certain form. Raises NotAnAnswer if one is of another."""
    try:
        yield
    except FORM_ERRORS as error:
        raise InvalidAnswer(describe_form_error(error)) from None


def describe_form_error(error: BaseException) -> str:
    """What is wrong with the form of an answer, and where that was seen."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    what = f"{type(error).__name__} {str(error)[:100]} at {PurePath(where.filename).name}:{where.lineno}"
    return f"its answer is not of the expected form: {what}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An action that is not allowed, and what would allow it."""

    action: str
    scope: str
    """index or cluster."""
    privileges: tuple[str, ...]
    """Each of them is enough."""
    indices: tuple[str, ...]
    """Where it is needed, if Elasticsearch says so."""

    def missing(self, where: str = "") -> str:
        """What is missing; `where` stands for indices that Elasticsearch does not name."""
        several = len(self.privileges) > 1
        what = f"one of the {self.scope} privileges" if several else f"the {self.scope} privilege"
        indices = ", ".join(self.indices) or where
        on = f" on {indices}" if self.scope == "index" and indices else ""
        return f"{what} {', '.join(self.privileges)} is missing{on}, for {self.action}"


def read_refusal(reason: str) -> Refusal | None:
    """Read the sentence of a 403; None if it is another."""
    found = _REFUSAL.match(reason)
    if found is None:
        return None
    indices = tuple(found["indices"].split(",")) if found["indices"] else ()
    return Refusal(found["action"], found["scope"], tuple(found["privileges"].split(",")), indices)


def describe(reason: str, where: str = "") -> str:
    """A reason that Elasticsearch gives, as the privilege that is missing if that is it; not too long."""
    refusal = read_refusal(reason)
    return refusal.missing(where) if refusal else reason[:MAX_SHOWN]


def reason_of(error: elasticsearch.ApiError) -> str:
    """The reason in an error's answer, with its root cause: a parser names each field on the way down to the wrong one."""
    body = error.body
    if isinstance(body, bytes):  # of a client that leaves answers as they are
        try:
            body = orjson.loads(body)
        except orjson.JSONDecodeError:
            body = None
    failure = body.get("error") if isinstance(body, dict) else None
    if reasons := causes(failure):
        reason, root = reasons[0], reasons[-1]
        return reason if root in reason else f"{reason} ({root})"
    return str(failure or f"status {error.status_code}")[:MAX_SHOWN]


def causes(error: object) -> list[str]:
    """The reasons of an error down to its first cause, most general first, each told once."""
    reasons: dict[str, None] = {}
    while isinstance(error, dict):
        if reason := str(error.get("reason") or error.get("type") or "")[:MAX_KEPT]:
            reasons[reason] = None
        error = error.get("caused_by")
    return list(reasons)


def root_cause(error: BaseException) -> BaseException:
    """What a library's error was in the beginning: they wrap each other."""
    for inner in (error.__cause__, *error.args):
        if isinstance(inner, BaseException):
            return root_cause(inner)
    return error


def summarise(error: elastic_transport.TransportError) -> str:
    """The reason why there was no answer, without the names of Python's classes."""
    inner = root_cause(error)
    text = str(getattr(inner, "reason", None) or inner)
    return re.sub(r"<[^<>]*+>: ?|\(_ssl\.c:\d+\)", "", text).strip() or type(error).__name__
