"""A sender with a cluster in memory to send to."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from indexer.elastic.alias import Backing
from indexer.events import Fault
from indexer.reading.entries import Rejection, entry_id
from indexer.writing.batches import Batch, Body, Pair
from indexer.writing.bulk import Outcome, Sender
from indexer.writing.target import Target
from tests.support.fakes import ALIAS, FakeElasticsearch
from tests.support.observed import Heard, Stop

FILE = "zoomdata-activity.log"
GENERATION = 0xC0FFEE
ONE, TWO, THREE = (f"{ALIAS}-{n:06}" for n in (1, 2, 3))


def pairs(count: int, first: int = 0) -> list[Pair]:
    return [(entry_id(GENERATION, 100 * n, n), b'{"n":%d}' % n) for n in range(first, first + count)]


def stored(some: Iterable[Pair]) -> dict[str, bytes]:
    return {identity.decode(): entry for identity, entry in some}


@dataclass
class Lab:
    """A sender, what it sends to, and what it does meanwhile."""

    server: FakeElasticsearch = field(default_factory=FakeElasticsearch)
    stop: Stop = field(default_factory=lambda: Stop(last=50))
    heard: Heard = field(default_factory=Heard)

    def __post_init__(self) -> None:
        self.target = Target(self.server.cluster, Backing(ONE, (ONE,)), ONE, clock=lambda: self.stop.elapsed)
        self.sender = Sender(self.server.client, self.target, self.heard, self.stop)

    def deliver(
        self, some: Iterable[Pair], *, rejections: Iterable[Rejection] = ()
    ) -> tuple[Outcome, list[Rejection]]:
        """Send some entries as one batch."""
        files = {b"%08x" % GENERATION: FILE}
        return self.sender.deliver(Batch(Body.of(list(some)), list(rejections), ["ticket"], files))

    @property
    def sizes(self) -> list[int]:
        """How many entries each request held, probes left out."""
        return [len(request.pairs) for request in self.server.requests if "update" not in request.operations]

    @property
    def faults(self) -> list[Fault]:
        """The faults that were reported."""
        return [fault for fault, _, _ in self.heard.of("delivery_failed")]


def counts(outcome: Outcome) -> tuple[int, int, int]:
    return outcome.created, outcome.duplicates, len(outcome.refused) + len(outcome.suspects)
