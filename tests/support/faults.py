"""What may happen to a request to the fake Elasticsearch: carried out, refused, answered by something else, or lost.

A `Step` gets the request and a function that carries it out. It may change the cluster, raise what the real client raises,
or give an answer of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from elastic_transport import ApiResponseMeta, ConnectionTimeout, HttpHeaders, NodeConfig
from elastic_transport import ConnectionError as NoConnection
from elasticsearch import ApiError
from elasticsearch.exceptions import HTTP_EXCEPTIONS


@dataclass(frozen=True, slots=True)
class Request:
    """A request to the fake."""

    target: str
    """Alias or index."""
    pairs: Sequence[tuple[str, bytes]] = ()
    """Of a bulk request: the ids with their entries."""
    operations: Sequence[str] = ()
    ids: Sequence[str] = ()
    """Of a lookup: the ids."""


CarryOut = Callable[[], Any]
Step = Callable[[Request, CarryOut], Any]


def carried_out(_request: Request, carry_out: CarryOut) -> Any:
    """Carry the request out."""
    return carry_out()


def no_connection(_request: Request, _carry_out: CarryOut) -> NoReturn:
    """The connection is refused."""
    raise NoConnection("Connection refused")


def lost(_request: Request, carry_out: CarryOut) -> NoReturn:
    """The request is carried out, and its answer is lost."""
    carry_out()
    raise ConnectionTimeout("Connection timed out")


def status(code: int, kind: str = "some_exception", reason: str = "for some reason") -> Step:
    """Answer the request as a whole with a status."""

    def step(_request: Request, _carry_out: CarryOut) -> NoReturn:
        refused(code, kind, reason)

    return step


def page(code: int) -> ApiError:
    """What the client raises for a proxy's page: its body is text."""
    meta = ApiResponseMeta(code, "1.1", HttpHeaders(), 0.0, NodeConfig("http", "fake", 9200))
    return HTTP_EXCEPTIONS.get(code, ApiError)("refused", meta, "<html>refused</html>")


def raised(error: Exception) -> Step:
    """Raise this error."""

    def step(_request: Request, _carry_out: CarryOut) -> NoReturn:
        raise error

    return step


def answer(body: bytes) -> Step:
    """Answer with status 200 and these bytes."""

    def step(_request: Request, _carry_out: CarryOut) -> bytes:
        return body

    return step


def then(step: Step, change: Callable[[], object]) -> Step:
    """Do this step, then change the cluster before the client gets the answer."""

    def both(request: Request, carry_out: CarryOut) -> Any:
        try:
            return step(request, carry_out)
        finally:
            change()

    return both


def refused(code: int, kind: str, reason: str) -> NoReturn:
    """Raise what the client raises for such a status."""
    meta = ApiResponseMeta(code, "1.1", HttpHeaders(), 0.0, NodeConfig("http", "fake", 9200))
    body = {"error": {"type": kind, "reason": reason, "root_cause": []}, "status": code}
    raise HTTP_EXCEPTIONS.get(code, ApiError)(kind, meta, body)
