"""What the proxy may do to a request."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from tests.support.real_faults.proxy import Action, Answer, CarryOut, Request, Reset, Silence

PAGE = b"<!DOCTYPE html><html><body><h1>Please log in</h1></body></html>"


def reset(request: Request, carry_out: CarryOut) -> Answer:
    """The request is lost."""
    raise Reset


def silent(request: Request, carry_out: CarryOut) -> Answer:
    """The request is lost; the connection stays open without an answer."""
    raise Silence


def torn(request: Request, carry_out: CarryOut) -> Answer:
    """Carried out; the connection is reset in the middle of the answer."""
    raise Reset(carry_out(request))


def truncated(request: Request, carry_out: CarryOut) -> Answer:
    """Carried out; the answer is a sound HTTP answer, and its JSON stops in the middle."""
    answer = carry_out(request)
    return replace(answer, body=answer.body[: len(answer.body) // 2])


def short_by_one(request: Request, carry_out: CarryOut) -> Answer:
    """Carried out; the answer tells nothing of the last item."""
    answer = carry_out(request)
    told = json.loads(answer.body)
    return replace(answer, body=_compact(told | {"items": told["items"][:-1]}))


def page(request: Request, carry_out: CarryOut) -> Answer:
    """The HTML page of a proxy, with status 200."""
    return Answer(200, {"content-type": "text/html"}, PAGE)


def status(code: int) -> Action:
    """Not carried out, and answered with this status."""
    body = _compact({"error": {"type": "made_up_exception", "reason": "made up by a test"}, "status": code})
    return lambda _request, _carry_out: Answer(code, {"content-type": "application/json"}, body)


def nothing() -> None:
    """Happens."""


def lost(meanwhile: Callable[[], object] = nothing, *, silently: bool = False) -> Action:
    """Carried out; `meanwhile` happens; then, instead of an answer, there is a reset or nothing at all."""

    def action(request: Request, carry_out: CarryOut) -> Answer:
        carry_out(request)
        meanwhile()
        raise Silence if silently else Reset

    return action


def late(until: Callable[[], object]) -> Action:
    """Carried out, and answered when `until` has returned."""

    def action(request: Request, carry_out: CarryOut) -> Answer:
        answer = carry_out(request)
        until()
        return answer

    return action


def every(step: int) -> Callable[[int], bool]:
    """Choose each `step`-th item."""
    return lambda number: number % step == 0


def items(code: int, chosen: Callable[[int], bool], *, taken: bool) -> Action:
    """The chosen ones of a bulk request's items, by position, are answered with this status.

    `taken`: the server takes them all the same, as it may when it loses a race with its own timeout.
    """

    def action(request: Request, carry_out: CarryOut) -> Answer:
        pairs = list(_pairs(request.body))
        sent = [taken or not chosen(number) for number in range(len(pairs))]
        body = b"".join(pair for pair, goes in zip(pairs, sent, strict=True) if goes)
        harmless = b'{"update":{"_id":"probe"}}\n{"doc":{}}\n'  # a bulk request must not be empty
        answer = carry_out(replace(request, body=body or harmless))
        told: Iterator[Any] = iter(json.loads(answer.body)["items"] if body else ())
        results = [next(told) if goes else None for goes in sent]
        shown = [_refused(code) if chosen(n) else result for n, result in enumerate(results)]
        return replace(answer, body=_compact({"errors": True, "items": shown}))

    return action


def _refused(code: int) -> dict[str, Any]:
    error = {"type": "made_up_exception", "reason": "made up by a test"}
    return {"create": {"_index": "of-a-test", "status": code, "error": error}}


def _pairs(body: bytes) -> Iterator[bytes]:
    """Each action line with its entry."""
    lines = body.splitlines(keepends=True)
    yield from (action + entry for action, entry in zip(lines[::2], lines[1::2], strict=True))


def _compact(document: object) -> bytes:
    """As Elasticsearch spells it."""
    return json.dumps(document, separators=(",", ":")).encode()
