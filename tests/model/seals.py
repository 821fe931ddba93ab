"""Seals in a history: indexers seal, die while they do, lose the index of their seals, and get old states back.

In the end, all that had to be delivered is in leaves under checkpoints that hold, and no checkpoint that was ever handed
out contradicts the leaves in the index.
"""

import shutil
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

from indexer.seals.keys import PUBLIC, read_verifiers
from indexer.seals.lines import DIGEST, digest_of
from indexer.verify.scan import Page
from indexer.verify.seal_findings import Kind
from indexer.verify.seal_judge import Judge
from indexer.verify.seal_logs import SealReader, check_logs
from tests.model.audit import Ids
from tests.model.base import WHICH
from tests.model.history import MAYBE, one, step
from tests.model.machine import Machine
from tests.model.stage import EPOCH

ID, NUMBER = 14, 4
"""Bytes of an id in a leaf, and of the number of a part or an index."""
Lines = dict[bytes, list[bytes]]


class Sealing(Machine):
    """Everything that may happen, and seals."""

    seals = True

    def __init__(self) -> None:
        super().__init__()
        self._lost = False
        self._restored = False

    @step(6, which=WHICH)
    def seal(self, which: int) -> None:
        """A sealing is due."""
        self.subjects[which].sealing_is_due = True

    @step(4, which=WHICH, steps=one(*range(1, 14)), again=MAYBE)
    def crash_while_sealing(self, which: int, steps: int, again: bool) -> None:  # noqa: FBT001 - drawn
        """One ends after so many steps of a sealing."""
        subject = self.subjects[which]
        subject.sealing_is_due = True
        for _ in range(steps):
            for actor in [it for it in self.stage.actors if it.owner is subject and it.name == "sealer"]:
                if actor.able:
                    actor.step()
        self.stage.check()
        self.crash(which, carried_out=again, again=True)

    @step(1)
    def lose_seals(self) -> None:
        """The index of the seals is deleted; its leaves are in the state directories."""
        self._lost = True
        self.server.documents.pop(self.seals_index, None)

    @step(1, which=WHICH)
    def keep_directory(self, which: int) -> None:
        """Make a backup of a whole state directory."""
        directory = self.subjects[which].state
        if directory.exists() and not self._backup(which).exists():
            shutil.copytree(directory, self._backup(which))

    @step(1, which=WHICH)
    def set_directory_back(self, which: int) -> None:
        """Bring the backup back."""
        backup, subject = self._backup(which), self.subjects[which]
        if backup.exists():
            ran = subject.runs
            self.kill(which)
            shutil.rmtree(subject.state)
            shutil.copytree(backup, subject.state)
            self._restored = True
            if ran:
                self.start(which)

    @property
    def seals_index(self) -> str:
        """Its name."""
        return self.server.cluster.connection.seals

    def _backup(self, which: int) -> Path:
        return self.directory / f"backup-{which}"

    # ---- what has to hold

    def end(self) -> None:
        """All is delivered, once, and sealed."""
        self.settle()
        required = self.required()
        for which, subject in enumerate(self.subjects):
            if not subject.follows:
                self.start(which)
        self.catch_up()
        self.wait(2.0)
        for subject in self.subjects:
            subject.sealing_is_due = True
        self.catch_up()
        self._check_seals(required)

    def _check_seals(self, required: Ids) -> None:
        if self._lost and self._restored:
            return  # a log that a restored state has left behind is gone with its index
        sealed: Lines = defaultdict(list)

        def sink(part: int, ids: bytes, digests: bytes) -> None:
            for row in range(len(ids) // ID):
                digest = digests[row * DIGEST : (row + 1) * DIGEST]
                sealed[ids[row * ID : (row + 1) * ID]].append(digest + part.to_bytes(NUMBER))

        documents = self.server.documents.get(self.seals_index, {})
        reader = SealReader(sink)
        reader.read(Page([], [it.encode() for it in documents], list(documents.values())))
        keys = read_verifiers([self.key.with_name(self.key.name + PUBLIC)])
        notes = [note for subject in self.subjects for note in subject.notes]
        now = datetime.fromtimestamp(EPOCH + self.stage.now, UTC)
        problems = check_logs(reader.logs, keys, self.server.alias, notes, now)
        problems += [f"{log.id}: {it}" for log in reader.logs.values() for it in log.problems]
        assert not problems, problems
        behind = self.server.behind

        def index_of(value: bytes) -> str:
            return behind[int.from_bytes(value[DIGEST:])]

        judge = Judge(reader.logs, reader.parts, behind, index_of, lambda _id: None, now)
        found: Lines = defaultdict(list)
        for index, identity, source in self.server.holdings():
            number = behind.index(index).to_bytes(NUMBER)
            found[bytes.fromhex(identity)].append(digest_of(source) + number)
        kept = {bytes.fromhex(identity): [digest_of(line)] for identity, line in self.audit.kept().items()}
        judge.compare(sealed, found, kept)
        unsealed = {it.id.hex() for it in judge.unknown} & required.keys()
        assert not unsealed, f"not sealed: {unsealed}"
        problems = judge.settle(f"{self.server.alias}-rejected")
        assert self.audit.deleted or not problems, problems
        assert self.audit.deleted or not judge.counts[Kind.MISSING], judge.findings
        assert not judge.counts[Kind.DIFFERENT] + judge.counts[Kind.DOUBLED], judge.findings
