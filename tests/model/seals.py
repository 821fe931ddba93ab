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
from indexer.verify.seal_logs import SealReader, check_logs
from tests.model.audit import Ids
from tests.model.base import WHICH
from tests.model.history import MAYBE, one, step
from tests.model.machine import Machine
from tests.model.stage import EPOCH

ID = 14
"""Bytes of an id in a leaf."""


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
        digests: dict[int, list[tuple[bytes, bytes]]] = defaultdict(list)

        def sink(part: int, ids: bytes, sums: bytes) -> None:
            for row in range(len(ids) // ID):
                lines = ids[row * ID : (row + 1) * ID], sums[row * DIGEST : (row + 1) * DIGEST]
                digests[part].append(lines)

        documents = self.server.documents.get(self.seals_index, {})
        reader = SealReader(sink)
        reader.read(Page([], [it.encode() for it in documents], list(documents.values())))
        keys = read_verifiers([self.key.with_name(self.key.name + PUBLIC)])
        notes = [note for subject in self.subjects for note in subject.notes]
        moment = datetime.fromtimestamp(EPOCH + self.stage.now, UTC)
        problems = check_logs(reader.logs, keys, self.server.alias, notes, moment)
        problems += [f"{log.id}: {it}" for log in reader.logs.values() for it in log.problems]
        # A log that a restored state has left behind cannot be brought back once the index is lost.
        assert (self._lost and self._restored) or not problems, problems
        sealed = {
            line
            for number, part in enumerate(reader.parts)
            if part.number < reader.logs[part.log].signed
            for line in digests[number]
        }
        missing = [
            identity
            for identity, (_, data) in required.items()
            if (bytes.fromhex(identity), digest_of(data)) not in sealed
        ]
        assert (self._lost and self._restored) or not missing, f"not sealed: {missing}"
