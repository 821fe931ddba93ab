"""What any history plays with: a server's logs, a cluster, an indexer, a clock, and what has to hold of them."""

import shutil
import sys
import tempfile
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests import faults
from tests.fakes import FakeElasticsearch, Refusal
from tests.faults import CarryOut, Request, Step
from tests.model.audit import REFUSED, Audit
from tests.model.stage import Stage, oldest_first
from tests.model.subject import LONGEST_LINE, Subject
from tests.model.zoomdata import LOG, Content, Place, Zoomdata

FAULTS: dict[str, Step] = {
    "lost": faults.lost,
    "unreachable": faults.no_connection,
    "429": faults.status(429),
    "503": faults.status(503),
    "413": faults.status(413),
    "page": faults.answer(b"<html>"),
}
AFTER = (0.2, 2.0, 6.0, 2.0, 11.0, 2.0, 61.0, 2.0, 6.0, 2.0)
"""Seconds that pass, one after the other, until all is at rest: longer than anything is waited for."""

AGAIN = st.sampled_from([True, True, False])


class Base(RuleBasedStateMachine):
    """The model, and the indexer beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="model-"))
        self.patch = pytest.MonkeyPatch()
        self.stage = Stage()
        self.server = FakeElasticsearch()
        self.server.bulk_step = self._answer
        self.server.question_step = self._answer_question
        self.server.refuse = self._refuse
        self.zoomdata = Zoomdata(self.directory, self.stage.clock)
        self.audit = Audit(self.zoomdata, self.server, self.directory / "state", LONGEST_LINE)
        self.subject = Subject(self.stage, self.server, self.audit, self.zoomdata.watched, self.patch)
        self.faults: deque[str] = deque()
        self.busy: deque[bool] = deque()
        self.number = 100  # as wide as all that follow
        self.last = b"{}"
        self.halves: dict[Content, bytes] = {}
        self.told_created = 0
        """How many entries the indexer was told of that they are created."""
        self.died = False
        self.forgot = False
        """A checkpoint was lost: which of two files that begin alike was which is known from it alone."""

    def teardown(self) -> None:
        """In the end all is delivered, once."""
        try:
            if sys.exc_info()[0] is None:  # a history that ended well so far
                self.settle()
        finally:
            self.subject.die()
            self.patch.undo()
            shutil.rmtree(self.directory)

    # ---- how the indexer lives and dies

    @precondition(lambda self: not self.subject.runs)
    @rule()
    def start(self) -> None:
        """Start it."""
        self.subject.start()

    @precondition(lambda self: self.subject.runs)
    @rule(again=AGAIN)
    def kill(self, again: bool) -> None:  # noqa: FBT001 - drawn
        """End it where it stands."""
        self.subject.die()
        self.died = True
        if again:
            self.start()

    def _until(self, at: str) -> bool:
        """Let all go on until one of them is there; tell whether one is."""
        return self.stage.run(lambda: any(actor.at == at for actor in self.stage.actors), oldest_first, 50)

    def _catch_up(self) -> None:
        for _ in range(3):
            # A turn of its own, so that it looks at the clock and at the files.
            self.stage.run(lambda: False, oldest_first, 1)
            assert self.stage.run(lambda: self.subject.idle, oldest_first, 3000), "it does not come to rest"

    # ---- how the cluster answers

    def _answer(self, request: Request, carry_out: CarryOut) -> Any:
        self.audit.sending(request)
        self.stage.pause("request")
        answer = FAULTS[self.faults.popleft()](request, carry_out) if self.faults else carry_out()
        self.stage.pause("answer")
        if not request.target.endswith("-rejected"):
            self.told_created += answer.count(b'"status":201')
        return answer

    def _answer_question(self, _request: Request, carry_out: CarryOut) -> Any:
        self.stage.pause("question")
        answer = carry_out()
        self.stage.pause("told")
        return answer

    def _refuse(self, _identity: str, entry: bytes) -> Refusal | None:
        if entry.startswith(REFUSED):
            return Refusal(400, "document_parsing_exception", "failed to parse")
        if entry.startswith(b'{"@timestamp"') and b"unkeepable" in entry:
            return Refusal(400, "strict_dynamic_mapping_exception", "not allowed")
        if self.busy and self.busy.popleft():
            return Refusal(429, "es_rejected_execution_exception", "rejected execution")
        return None

    # ---- which files there are

    @property
    def live(self) -> bool:
        """There is a log being written."""
        return any(place.live and place.path.name == LOG for place in self.zoomdata.places)

    @property
    def copied(self) -> bool:
        """There is a copy of the log being written: what comes next is its truncation."""
        live = {place.content for place in self.zoomdata.places if place.live}
        return any(place.content in live and place.length is not None for place in self.zoomdata.places)

    @property
    def rotated(self) -> list[Place]:
        """The logs that are not written any more."""
        return [place for place in self.zoomdata.places if not place.live and place.whole]

    @property
    def in_sight(self) -> list[Place]:
        """Those of them that lie where the indexer looks."""
        return [place for place in self.rotated if place.path.parent in self.zoomdata.watched]

    @property
    def unfinished(self) -> list[Place]:
        """The archives that are being written."""
        return [place for place in self.zoomdata.places if not place.whole]

    # ---- what has to hold

    @invariant()
    def note_lost(self) -> None:
        """What can be read no more is known."""
        self.zoomdata.note_lost(self.subject.opened)

    @rule()
    def settle(self) -> None:
        """All faults end, time passes, and everything is delivered once."""
        self.faults.clear()
        self.busy.clear()
        for archive in self.unfinished:
            self.zoomdata.finish_packing(archive)
        self.note_lost()
        if not self.subject.runs:
            self.subject.start()
        for seconds in AFTER:
            self._catch_up()
            self.stage.now += seconds
        self._catch_up()
        compared = self.audit.compare()
        assert compared.agrees, compared
        assert not self.server.twice, self.server.twice
        totals = self.subject.totals
        assert totals.read == totals.created + totals.duplicates + totals.rejected + totals.blank
        assert totals.created == self.told_created or (self.died and totals.created < self.told_created)
