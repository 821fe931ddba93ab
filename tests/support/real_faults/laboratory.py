"""A laboratory whose indexer reaches the server through the proxy, and the proof that each test ends with."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import pytest

from indexer import run
from indexer.events import Totals
from indexer.settings import Connection, State
from indexer.writing import checkpoint, request
from tests.support.lab import Following, Lab, held, until
from tests.support.real_faults.actions import late
from tests.support.real_faults.proxy import Action, Proxy, Request, Rule, carried_out

SMALL = 20_000
"""Bytes of a batch of about a hundred entries: a few thousand of them make many requests."""
ONE_ROLLOVER = threading.Lock()
"""Of two rollovers at the same time the server would refuse or ignore one."""


def entries(count: int, start: int = 0) -> list[bytes]:
    """So many different entries, spelt so that only their very bytes are equal to them."""
    return [
        b'{"eventDate":"2026-05-11 06:30:00.000", "n":%d,"x" : 1.0,"y":1e5,"z":-0,"s":"\\u00e9\\/"}' % number
        for number in range(start, start + count)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultyLab(Lab):
    """Its `connection` goes through the proxy, its `client` does not."""

    real: Connection
    proxy: Proxy

    def roll_over(self) -> None:
        """Roll the alias over."""
        with ONE_ROLLOVER:
            self.client.indices.rollover(alias=self.connection.alias)

    def behind(self) -> list[str]:
        """The indices behind the alias, oldest first."""
        return sorted(self.client.indices.get_alias(name=self.connection.alias))

    def delete(self, index: str) -> None:
        """Delete an index."""
        self.client.indices.delete(index=index)

    def with_state(self, directory: Path) -> "FaultyLab":
        """The same logs and alias for an indexer with another state directory."""
        return replace(self, state=State(directory))

    def kill_with_requests_in_flight(self, lines: Sequence[bytes]) -> None:
        """Run the command while its log grows, until two requests are carried out and not answered; then SIGKILL."""
        answering = threading.Event()
        carried: list[int] = []

        def hold() -> None:
            carried.append(1)
            answering.wait(30)

        self.append(lines[:100])
        with self.process("run", "--batch-bytes", str(SMALL), self.logs, stderr=DEVNULL) as process:
            until(lambda: self.held().total() == 100)
            self.proxy.plan(carried_out, carried_out, late(hold), late(hold))
            self.append(lines[100:])
            until(lambda: len(carried) == 2)
            process.kill()
            process.wait()
        answering.set()

    def held(self) -> Counter[bytes]:
        """What the alias holds, byte for byte, with the number of copies of each."""
        return held(self.real)

    def prove(
        self, lines: Sequence[bytes], *, rejected: int = 0, blank: int = 0, interrupted: bool = False
    ) -> Totals:
        """Each of these entries is in the alias once, unchanged, and nothing else is; the counters add up.

        Rejected lines are kept with their bytes (verify compares them). After an interrupted run, what is read again
        may be counted again. Returns the counters.
        """
        assert self.held() == Counter(lines)
        found = replace(self, connection=self.real).verify()
        assert found.agrees, found
        assert (found.present, found.rejected) == (len(lines), rejected)
        totals = self.totals()
        assert totals.read == totals.created + totals.duplicates + totals.rejected + totals.blank
        assert totals.created <= len(lines) <= totals.created + totals.duplicates
        assert interrupted or totals.created + totals.duplicates == len(lines)
        assert (totals.rejected, totals.blank) == (rejected, blank)
        return totals

    def totals(self) -> Totals:
        """The counters as the state directory has them."""
        found = checkpoint.read(self.state.state_dir)
        assert found is not None
        return found.totals


@contextmanager
def behind_proxy(lab: Lab, monkeypatch: pytest.MonkeyPatch, **connection: Any) -> Iterator[FaultyLab]:
    """Put the proxy in front of a laboratory's server, and shorten the waits between tries."""
    monkeypatch.setattr(request, "RETRY_WAIT", (0.01, 0.1))
    monkeypatch.setattr(request, "FIX_WAIT", (0.01, 0.1))
    monkeypatch.setattr(run, "PROBE_EVERY", 0.01)
    with Proxy(lab.connection.elasticsearch_url[0]) as proxy:
        through = replace(lab.connection, elasticsearch_url=[proxy.url], **connection)
        yield FaultyLab(through, lab.client, lab.logs, lab.state, real=lab.connection, proxy=proxy)


def first(count: int, action: Action, of: Callable[[Request], bool] = lambda _: True) -> Rule:
    """A rule: `action` for the first `count` requests (that `of` chooses); later ones are carried out."""
    left = iter(range(count))
    return lambda request: action if of(request) and next(left, None) is not None else carried_out


def until_read(following: Following, count: int) -> None:
    """Wait until `count` lines are created, duplicates, rejected or blank."""
    following.until(lambda: following.heard.totals.read >= count)


def failures(following: Following) -> list[tuple[Any, str]]:
    """Each reported failure: its fault and its detail."""
    return [(fault, detail) for fault, detail, _ in following.heard.of("delivery_failed")]


def reported(following: Following, words: str) -> Callable[[], bool]:
    """Whether a failure with these words was reported."""
    return lambda: any(words in detail for _, detail in failures(following))
