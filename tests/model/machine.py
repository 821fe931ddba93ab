"""A server that writes, a cluster that fails, an indexer that dies and starts again: any order of all that."""

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from indexer.writing import checkpoint
from tests.model.base import AGAIN, FAULTS
from tests.model.logs import Logs
from tests.model.stage import Order, newest_first, oldest_first, one_sender, reader_alone
from tests.model.zoomdata import LOG

ORDERS = [oldest_first, newest_first, reader_alone, one_sender]


class Machine(Logs):
    """Everything that may happen."""

    @initialize(runs=st.booleans())
    def begin(self, runs: bool) -> None:  # noqa: FBT001 - drawn
        """The indexer may be there first."""
        if runs:
            self.start()

    # ---- a cluster that fails

    @rule(times=st.sampled_from([1, 1, 2]))
    def roll_over(self, times: int) -> None:
        """The alias is written to a new index."""
        for _ in range(times):
            self.server.rollover()

    @precondition(lambda self: self.subject.runs)
    @rule(at=st.sampled_from(["request", "answer", "told"]))
    def roll_over_at(self, at: str) -> None:
        """The same while a request or its answer, or the answer to a question, is under way."""
        if self._until(at):
            self.server.rollover()

    @rule(what=st.lists(st.sampled_from(list(FAULTS)), min_size=1, max_size=3))
    def fail(self, what: list[str]) -> None:
        """The next requests go wrong."""
        self.faults.extend(what)

    @rule(which=st.lists(st.booleans(), min_size=1, max_size=10))
    def be_busy(self, which: list[bool]) -> None:
        """Some of the next entries are refused for now."""
        self.busy.extend(which)

    # ---- an indexer that dies and starts again

    @precondition(lambda self: self.subject.runs)
    @rule(order=st.sampled_from(ORDERS), turns=st.sampled_from([1, 2, 5, 20]))
    def go_on(self, order: Order, turns: int) -> None:
        """Let it go on for some steps."""
        self.stage.run(lambda: False, order, turns)

    @precondition(lambda self: self.subject.runs)
    @rule()
    def catch_up(self) -> None:
        """Let it go on until there is nothing more to do."""
        self._catch_up()

    @rule(seconds=st.sampled_from([0.5, 1.5, 6.0, 61.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.stage.now += seconds

    @precondition(lambda self: self.subject.runs)
    @rule(
        at=st.sampled_from(["request", "answer", "told"]),
        killed=st.booleans(),
        rollovers=st.sampled_from([0, 1, 2]),
        again=AGAIN,
    )
    def end_at(self, at: str, killed: bool, rollovers: int, again: bool) -> None:  # noqa: FBT001 - drawn
        """It ends while a request or an answer is under way; the alias rolls over before it starts again, or after."""
        self.append(LOG, ["entry"])
        if self._until(at):
            if killed:
                self.kill(again=False)
            else:
                self.stop(reader_alone, again=False)
            self.roll_over(rollovers)
            if again:
                self.start()
                self.roll_over_at(at)

    @precondition(lambda self: self.subject.runs)
    @rule(order=st.sampled_from([oldest_first, newest_first, reader_alone]), again=AGAIN)
    def stop(self, order: Order, again: bool) -> None:  # noqa: FBT001 - drawn
        """Ask it to end."""
        self.subject.stop(order)
        self.died = True
        if again:
            self.start()

    @precondition(lambda self: not self.subject.runs and self.no_two_alike)
    @rule(torn=st.booleans())
    def lose_checkpoint(self, torn: bool) -> None:  # noqa: FBT001 - drawn
        """What it remembers is damaged, or gone."""
        path = self.audit.state / checkpoint.NAME
        if path.exists():
            path.write_bytes(path.read_bytes()[:-20]) if torn else path.unlink()
            self.forgot = True

    @property
    def no_two_alike(self) -> bool:
        """No two files begin alike: which of them was which is known from the checkpoint alone."""
        first = [bytes(content.data).split(b"\n")[0] for content in self.zoomdata.contents if content.data]
        return len(first) == len(set(first))
