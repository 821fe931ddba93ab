"""Logs that are written, a cluster that fails, two indexers that die and start again: any order of all that."""

from indexer.writing import checkpoint
from tests.model.base import FAULTS, WHICH
from tests.model.history import MAYBE, one, some, step
from tests.model.logs import ANY, Logs
from tests.model.stage import Order, newest_first, oldest_first, one_sender, readers_alone

PASSING = [name for name in FAULTS if name != "413 for one"]
"""Faults for which no entry can be blamed."""
ORDERS = [oldest_first, newest_first, readers_alone, one_sender]
HOW = one("follow", "follow", "once", "verify")


class Machine(Logs):
    """Everything that may happen."""

    def __init__(self) -> None:
        super().__init__()
        self.old_states: list[bytes] = []

    def begin(self) -> None:
        """The indexer is there first."""
        self.start()

    # ---- a cluster that fails, and its administrator

    @step(3, times=one(1, 1, 2), blocked=MAYBE)
    def roll_over(self, times: int = 1, blocked: bool = False) -> None:  # noqa: FBT001, FBT002 - drawn
        """The alias is written to a new index; the old one may take no more entries."""
        for _ in range(times):
            old = str(self.server.write)
            self.rolled_at[old] = self.stage.now
            self.server.rollover()
            if blocked:
                self.server.blocked.add(old)

    @step(2, at=one("request", "answer", "question", "told"), which=WHICH)
    def roll_over_at(self, at: str, which: int) -> None:
        """The same while a request, a question or an answer is under way."""
        if self.until(at, which):
            self.roll_over()

    @step(1, which=ANY)
    def delete_index(self, which: int) -> None:
        """Delete an index that gave way."""
        old = [index for index in self.server.behind if index != self.server.write]
        if old:
            self.audit.delete(old[which % len(old)])

    @step(1, which=ANY)
    def block(self, which: int) -> None:
        """Let an index take no more entries; of the write index, until all faults end."""
        self.server.blocked.add(self.server.behind[which % len(self.server.behind)])

    @step(4, what=some(1, 3, *PASSING))
    def fail(self, what: list[str]) -> None:
        """The next requests go wrong."""
        self.faults.extend(what)

    @step(3, which=ANY)
    def arrive_late(self, which: int = 0) -> None:
        """A request that was given up is carried out."""
        if self.late:
            self.carry_out(self.late[which % len(self.late)])

    @step(1, which=some(1, 10, 0, 1))
    def be_busy(self, which: list[int]) -> None:
        """Some of the next entries are refused for now."""
        self.busy.extend(map(bool, which))

    @step(1, times=one(1, 2, 5))
    def be_silent(self, times: int) -> None:
        """The next questions are not answered."""
        self.silent += times

    # ---- how time passes

    @step(4, order=one(*ORDERS), turns=one(1, 2, 5, 20))
    def go_on(self, order: Order, turns: int) -> None:
        """Let them go on for some steps."""
        self.stage.run(lambda: False, order, turns)

    @step(6, choices=some(1, 12, *range(10)))
    def take_turns(self, choices: list[int]) -> None:
        """Let one after the other do a step."""
        for choice in choices:
            able = self.stage.able()
            if able:
                able[choice % len(able)].step()
                self.stage.check()

    @step(4)
    def do_all(self) -> None:
        """Let them go on until there is nothing more to do."""
        self.catch_up()

    @step(5, order=one(*ORDERS), seconds=one(0.5, 1.5, 3.0, 6.0))
    def pass_time(self, order: Order, seconds: float) -> None:
        """Time passes, and only some go on."""
        self.stage.elapse(seconds, order)

    @step(1)
    def forget(self) -> None:
        """So much time passes that nothing is waited for any more."""
        self.wait(61.0)

    # ---- indexers that die and start again

    @step(4, which=WHICH, how=HOW)
    def begin_to_run(self, which: int, how: str) -> None:
        """Start one."""
        if not self.subjects[which].runs:
            self.start(which, how)

    @step(2, which=WHICH, carried_out=MAYBE, again=MAYBE)
    def crash(self, which: int, carried_out: bool, again: bool) -> None:  # noqa: FBT001 - drawn
        """End one where it stands."""
        if self.subjects[which].runs:
            self.kill(which, carried_out=carried_out)
            if again:
                self.start(which)

    @step(1, which=WHICH, again=MAYBE)
    def terminate(self, which: int, again: bool) -> None:  # noqa: FBT001 - drawn
        """Ask one to end."""
        if self.subjects[which].runs:
            self.stop(which)
            if again:
                self.start(which)

    @step(
        2,
        at=one("request", "answer", "told"),
        which=WHICH,
        killed=MAYBE,
        rollovers=one(0, 1, 2),
        again=MAYBE,
    )
    def end_at(self, at: str, which: int, killed: bool, rollovers: int, again: bool) -> None:  # noqa: FBT001 - drawn
        """One ends while a request or an answer is under way; the alias rolls over before it starts again, or after."""
        if not self.subjects[which].runs:
            return
        self.append()
        if self.until(at, which):
            if killed:
                self.kill(which, carried_out=True)
            else:
                self.stop(which)
            if rollovers:
                self.roll_over(rollovers)
            if again:
                self.start(which)
                self.roll_over_at(at, which)

    # ---- what they remember

    @step(2, which=WHICH)
    def keep_state(self, which: int = 0) -> None:
        """Keep a copy of what one remembers."""
        path = self.subjects[which].state / checkpoint.NAME
        if path.exists():
            self.old_states.append(path.read_bytes())

    @step(2, which=WHICH, old=ANY, killed=MAYBE)
    def set_back(self, which: int, old: int, killed: bool) -> None:  # noqa: FBT001 - drawn
        """One remembers what it, or the other one, remembered a while ago."""
        if self.old_states:
            self._remember(which, self.old_states[old % len(self.old_states)], killed)

    @step(1, which=WHICH, torn=MAYBE, killed=MAYBE)
    def lose_state(self, which: int, torn: bool, killed: bool) -> None:  # noqa: FBT001 - drawn
        """What one remembers is damaged, or gone."""
        path = self.subjects[which].state / checkpoint.NAME
        if path.exists():
            self._remember(which, path.read_bytes()[:-20] if torn else b"", killed)

    def _remember(self, which: int, stored: bytes, killed: bool) -> None:  # noqa: FBT001 - drawn
        subject, ran = self.subjects[which], self.subjects[which].runs
        if ran:
            if killed:
                self.kill(which)
            else:
                self.stop(which)
        subject.blurred = True
        path = subject.state / checkpoint.NAME
        subject.state.mkdir(exist_ok=True)
        if stored:
            path.write_bytes(stored)
        else:
            path.unlink(missing_ok=True)
        if ran:
            self.start(which)
