"""What any history plays with: log files, a cluster, two indexers, a clock, and what has to hold of them."""

import random
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from indexer.seals.keys import create_key, read_signer
from tests.model.audit import REFUSED, Audit, Ids
from tests.model.disk import Disk, File
from tests.model.history import one, step
from tests.model.stage import PROMPT, Actor, Stage, oldest_first
from tests.model.subject import LONGEST_LINE, Subject, World
from tests.support import faults
from tests.support.fakes import FakeElasticsearch, Refusal
from tests.support.faults import CarryOut, Request, Step

FAULTS: dict[str, Step] = {
    "lost": faults.lost,
    "late": faults.no_connection,
    "unreachable": faults.no_connection,
    "429": faults.status(429),
    "503": faults.status(503),
    "413": lambda request, carry_out: (
        carry_out() if len(request.pairs) < 2 else faults.status(413)(request, carry_out)
    ),
    "413 for one": faults.status(413),
    "page": faults.answer(b"<html>"),
}
AFTER = (2.0, 6.0, 2.0, 11.0, 6.0, 2.0)
"""Seconds that pass, one after the other, until all is at rest: longer than anything is waited for."""
SHUT = PROMPT + 1.0
"""Seconds after which nothing goes to an index that gave way."""
WHICH = one(0, 0, 1)
"""The one indexer, or the other."""


@dataclass(frozen=True, slots=True)
class Late:
    """A request whose sender has given it up, and that is carried out all the same."""

    index: str
    ids: frozenset[str]
    carry_out: Callable[[], object]
    actor: Actor


class Base:
    """The model, and the indexers beside it."""

    seals = False
    """They seal what they deliver."""

    def __init__(self) -> None:
        random.seed(0)
        self.directory = Path(tempfile.mkdtemp(prefix="model-"))
        self.patch = pytest.MonkeyPatch()
        self.stage = Stage()
        self.server = FakeElasticsearch()
        self.server.bulk_step = self._answer
        self.server.question_step = self._answer_question
        self.server.refuse = self._refuse
        self.audit = Audit(self.server, LONGEST_LINE)
        self.disk = Disk(self.directory, self.stage.clock, self.audit.note)
        self.key = self.directory / "seal.key"
        if self.seals:
            create_key(self.key)
        signer = read_signer(self.key) if self.seals else None
        world = World(self.stage, self.server, self.audit, self.disk.watched, signer)
        world.prepare(self.patch)
        self.subjects = [Subject(world, self.directory / name) for name in ("state", "another-state")]
        self.faults: deque[str] = deque()
        self.busy: deque[bool] = deque()
        self.silent = 0
        """So many questions are not answered."""
        self.late: list[Late] = []
        self.asked: dict[str, set[Actor]] = {}
        """Who has asked for each line."""
        self._sending: dict[Actor, Late] = {}
        self.rolled_at: dict[str, float] = {}
        """When each index gave way."""
        self.promised: dict[Subject, Ids] = {}
        """What was deleted while an indexer held it open."""

    def end(self) -> None:
        """In the end all is delivered, once."""
        self.settle()

    def close(self) -> None:
        """Clear up."""
        for subject in self.subjects:
            subject.kill()
        self.patch.undo()
        shutil.rmtree(self.directory)

    # ---- how the indexers live and die

    def start(self, which: int = 0, how: str = "follow") -> None:
        """Start an indexer."""
        subject = self.subjects[which]
        if how != "follow":
            self.disk.take_all_for_final()
        if how == "verify":
            subject.repair()
        else:
            subject.start(once=how == "once")

    def kill(self, which: int, *, carried_out: bool = False) -> None:
        """End one where it stands; what it was sending may be carried out all the same."""
        subject = self.subjects[which]
        self._blur(subject)
        if carried_out:
            self.late += [
                late
                for actor in self.stage.actors
                if (late := self.on_the_wire.get(actor)) and actor.owner is subject
            ]
        subject.kill()

    def stop(self, which: int) -> None:
        """Ask one to end."""
        self._blur(self.subjects[which])
        self.subjects[which].stop(oldest_first)

    def _blur(self, subject: Subject) -> None:
        subject.blurred = True
        self.promised.pop(subject, None)

    def until(self, at: str, which: int) -> bool:
        """Let all go on until one of its threads is there; tell whether one is."""
        subject = self.subjects[which]

        def there() -> bool:
            return any(
                actor.at == at and actor.owner is subject for actor in self.stage.actors if not actor.done
            )

        return self.stage.run(there, oldest_first, 50)

    def catch_up(self) -> None:
        """Let them go on until there is nothing more to do."""

        def idle() -> bool:
            return all(subject.idle for subject in self.subjects)

        for _ in range(3):
            # A turn of its own, so that they look at the clock and at the files.
            self.stage.run(lambda: False, oldest_first, 1)
            if self.server.write in self.server.blocked:
                self.stage.run(idle, oldest_first, 100)
            else:
                assert self.stage.run(idle, oldest_first, 30000), "it does not come to rest"

    def wait(self, seconds: float) -> None:
        """Time passes, and they go on."""
        self.stage.elapse(seconds, oldest_first)

    # ---- how the cluster answers

    @property
    def on_the_wire(self) -> dict[Actor, Late]:
        """The requests that have been sent, and not been carried out yet."""
        return {
            actor: late for actor, late in self._sending.items() if not actor.done and actor.at == "request"
        }

    def _answer(self, request: Request, carry_out: CarryOut) -> Any:
        actor = self.stage.current
        assert actor is not None
        subject = self._owner(actor)
        late = Late(request.target, frozenset(dict(request.pairs)), carry_out, actor)
        self._sending[actor] = late
        self.stage.pause("request")
        self._shut(late)
        what = self.faults.popleft() if self.faults else ""
        if what == "late":
            self.late.append(late)
        try:
            answer = FAULTS[what](request, carry_out) if what else carry_out()
        finally:
            self.stage.pause("answer")
        if not request.target.endswith(("-rejected", "-seals")) and subject._pipeline is not None:
            subject.created += answer.count(b'"status":201')
        return answer

    def _answer_question(self, request: Request, carry_out: CarryOut) -> Any:
        self.stage.pause("question")
        actor = self.stage.current
        assert actor is not None
        if self.silent and actor.name != "reader":
            self.silent -= 1
            faults.no_connection(request, carry_out)
        self._arrive_before(actor, request.ids)
        answer = carry_out()
        if request.target == self.server.alias:
            self._owner(actor).looked = self.stage.now
        self.stage.pause("told")
        return answer

    @staticmethod
    def _owner(actor: Actor) -> Subject:
        assert isinstance(actor.owner, Subject)
        return actor.owner

    def _refuse(self, _identity: str, entry: bytes) -> Refusal | None:
        if entry.startswith(REFUSED):
            return Refusal(400, "document_parsing_exception", "failed to parse")
        if entry.startswith(b'{"@timestamp"') and b"unkeepable" in entry:
            return Refusal(400, "strict_dynamic_mapping_exception", "not allowed")
        if self.busy and self.busy.popleft():
            return Refusal(429, "es_rejected_execution_exception", "rejected execution")
        return None

    # ---- what comes late

    def _gave_way(self, index: str) -> bool:
        """It did so long ago: the grace period counts on it that nothing goes there any more.

        It does so where a line is in flight twice: with two indexers, with one that was killed and started again, or with
        one that reads a line again. Who is alone with a line may still send it there, and requests be however late.
        """
        return self.stage.now > self.rolled_at.get(index, float("inf")) + SHUT

    def _arrive_before(self, actor: Actor, ids: Sequence[str]) -> None:
        """Carry out what others have sent of some lines to indices that gave way, before it is asked for."""
        for late in list(self.late):
            if late.actor is not actor and not late.ids.isdisjoint(ids) and self._gave_way(late.index):
                self.carry_out(late)
        for identity in ids:
            self.asked.setdefault(identity, set()).add(actor)

    def _shut(self, late: Late) -> None:
        """Shut an index that gave way to who knows that, and goes on trying with it, if others have asked for the lines.

        What is asked for and sent at one and the same moment, here to the old index and there to the new one, would go
        into both: it is left to who rolls over (`indexer run`, lifecycle management) to shut the old one.
        """
        asked = set().union(*(self.asked.get(identity, set()) for identity in late.ids)) - {late.actor}
        knows = self._owner(late.actor).looked > self.rolled_at.get(late.index, float("inf"))
        if asked and knows and self._gave_way(late.index):
            self.server.blocked.add(late.index)

    def carry_out(self, late: Late) -> None:
        """Carry out a request that its sender has given up."""
        self.late.remove(late)
        late.carry_out()

    # ---- which files there are

    def delete(self, file: File) -> None:
        """Take a file's name away; who holds it open has to read it to its end."""
        self.disk.delete(file)
        for subject in self.subjects:
            if not subject.once and file.inode in subject.opened:
                self.promised.setdefault(subject, {}).update(self.audit.ids(file.data, final=True))

    @property
    def rotated(self) -> list[File]:
        """The logs in sight that are not written any more."""
        return [file for file in self.disk.in_sight if not file.live and file.whole]

    @property
    def unfinished(self) -> list[File]:
        """The archives that are being written."""
        return [file for file in self.disk.files if not file.whole]

    # ---- what has to hold

    @step(1)
    def settle(self) -> None:
        """All faults end, time passes, and everything is delivered once."""
        self.faults.clear()
        self.busy.clear()
        self.silent = 0
        self.server.blocked.discard(str(self.server.write))
        for archive in self.unfinished:
            self.disk.finish_packing(archive)
        if not self.subjects[0].runs or self.subjects[0].once:
            self.catch_up()
            self.start()
        for seconds in AFTER:
            self.catch_up()
            self.wait(seconds)
        self.catch_up()
        for late in list(self.late):
            self.carry_out(late)
        compared = self.audit.compare(self.required())
        assert compared.agrees, compared
        for subject in self.subjects:
            self._add_up(subject)

    def required(self) -> Ids:
        """What has to be delivered."""
        required: Ids = {}
        for file in self.disk.in_sight:
            required |= self.audit.ids(file.data, final=not file.live)
        for ids in self.promised.values():
            required |= ids
        return required

    def _add_up(self, subject: Subject) -> None:
        totals = subject.totals
        assert totals.read == totals.created + totals.duplicates + totals.rejected + totals.blank
        assert subject.blurred or totals.created == subject.created
