"""What is counted of what is told, how old the oldest undelivered byte is, and what makes an indexer unready."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from indexer.events import Broadcast, Fault, LogProgress, Progress, Recognition, Totals
from indexer.monitoring import health, recorder
from indexer.monitoring.health import Problem, assess
from indexer.monitoring.recorder import BOUNDS, KINDS, OTHER, UNREADABLE_FOR, LagTracker, MetricsRecorder
from indexer.monitoring.sealing import Sealing
from indexer.monitoring.snapshot import Fields, InFlight, Repeated


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock."""
    return Clock()


@pytest.fixture
def numbers(clock: Clock) -> MetricsRecorder:
    """Those of an indexer that is connected and has nothing to do."""
    numbers = MetricsRecorder(clock)
    numbers.connected("uuid", "index-000001")
    numbers.heartbeat(progress())
    return numbers


def log(path: str, delivered: int, lag: int, inode: int = 1, *, copy: bool = False) -> LogProgress:
    return LogProgress(path, (1, inode, 7), copy, delivered + lag, delivered, lag)


def progress(*logs: LogProgress, batches: int = 0, oldest: float = 0.0) -> Callable[[], Progress]:
    return lambda: Progress(logs, batches, 100 * batches, oldest, Totals(5, 5))


def problems(numbers: MetricsRecorder) -> list[Problem]:
    return [finding.kind for finding in assess(numbers.snapshot()).problems]


# ---- how far behind


@pytest.mark.parametrize(
    ("looks", "ages"),
    [
        ([(0, 0, 0), (9, 0, 0)], [0, 0]),
        ([(0, 0, 10), (5, 0, 10), (9, 10, 0)], [0, 5, 0]),
        ([(0, 0, 10), (5, 0, 30), (9, 10, 20), (12, 29, 1), (13, 30, 0)], [0, 5, 4, 7, 0]),
        ([(0, 0, 10), (5, 10, 10), (6, 20, 10)], [0, 0, 0]),
        ([(0, 0, 10), (5, 10, 0), (60, 10, 5), (61, 10, 5)], [0, 0, 0, 1]),
        ([(0, 90, 10), (5, 0, 20), (8, 0, 20)], [0, 5, 8]),
    ],
    ids=["nothing", "one part", "two parts", "steady", "idle in between", "less than before"],
)
def test_the_age_of_a_lag_is_that_of_its_oldest_byte(
    looks: Sequence[tuple[float, int, int]], ages: Sequence[float]
) -> None:
    """Each look has a time, what is delivered and what is not; what was found later makes nothing older."""
    it = LagTracker()
    assert [it.update(*each) for each in looks] == ages


def test_an_outage_of_days_takes_no_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often is looked, few samples are kept, and the oldest byte is as old as it is."""
    monkeypatch.setattr(recorder, "MOST_SAMPLES", 20)
    it = LagTracker()
    assert [it.update(second, 0, 10 + second) for second in range(100_000)][-1] == 99_999
    assert len(it._found) <= 20
    for delivered in range(10_000, 100_000, 10_000):
        true = 100_000 - (delivered - 9)
        assert true <= it.update(100_000, delivered, 100_010 - delivered) <= true + 100_000 / 5


def test_a_lag_goes_with_its_log_through_a_rename(numbers: MetricsRecorder, clock: Clock) -> None:
    """Rotated away, a log is as far behind as before; the one under its name begins anew."""
    numbers.heartbeat(progress(log("a.log", 0, 10)))
    clock.now += 60
    numbers.heartbeat(progress(log("a.log.1", 0, 10), log("a.log", 0, 5, inode=2)))
    assert {it.path: it.lag_seconds for it in numbers.snapshot().logs} == {"a.log.1": 60, "a.log": 0}


def test_two_logs_of_one_path_are_one(numbers: MetricsRecorder, clock: Clock) -> None:
    """What was truncated is still in flight beside what is there now: both lags count, under one name."""
    numbers.heartbeat(progress(log("a.log", 0, 100)))
    clock.now += 7
    numbers.heartbeat(progress(log("a.log", 0, 100), log("a.log", 0, 20, inode=2)))
    now = numbers.snapshot()
    assert [(it.path, it.lag, it.lag_seconds) for it in now.logs] == [("a.log", 120, 7)]
    assert (now.lag, now.lag_seconds) == (120, 7)


def test_logs_that_are_gone_are_forgotten(numbers: MetricsRecorder) -> None:
    """The numbers have only logs that the last look has, whatever there was before."""
    for n in range(1000):
        numbers.heartbeat(progress(log(f"{n}.log", 0, 1, inode=n)))
    assert [it.path for it in numbers.snapshot().logs] == ["999.log"]
    assert len(numbers._trackers) == 1


# ---- counting


def test_lines_requests_and_faults_are_counted(numbers: MetricsRecorder, clock: Clock) -> None:
    """Each event adds to its number, and to no other."""
    numbers.batch_acknowledged(Totals(10, 6, 2, 1, 1, 500), 0.2)
    numbers.batch_acknowledged(Totals(3, 3, bytes=70), 0.1)
    numbers.rejected("mapper_parsing_exception", 4)
    numbers.rejected("mapper_parsing_exception", 1)
    numbers.delivery_failed(Fault.NO_ANSWER, "refused", 1.0)
    numbers.delivery_failed(Fault.SERVER_ERROR, "503", 1.0)
    numbers.block_read("a.log", 700)
    numbers.file_found("a.log", Recognition.NEW, 0)
    numbers.file_lost("b.log", 17)
    numbers.checkpoint_failed("/state", "No space left on device")
    numbers.fields_counted(Fields(15, 2000))
    numbers.disk_probed(10**9)
    clock.now += 30
    now = numbers.snapshot()
    assert now.lines == Totals(13, 9, 2, 1, 1, 570)
    assert now.rejected == {"mapper_parsing_exception": 5}
    assert {cause: count for cause, count in now.retries.items() if count} == {
        "no_answer": 1,
        "server_error": 1,
    }
    assert now.retries.keys() == {fault.value for fault in Fault}
    assert {what: count for what, count in now.found.items() if count} == {"new": 1}
    assert (now.read_bytes, now.lost_bytes, now.checkpoint_failures) == (700, 17, 1)
    assert (now.fields, now.free_bytes) == (Fields(15, 2000), 10**9)
    assert (now.uptime, now.acknowledged, now.checkpoint_age) == (30, 30, None)


def test_requests_fall_into_the_buckets_of_a_histogram(numbers: MetricsRecorder) -> None:
    """A request as long as a bound is within it, as Prometheus has it; a longer one than all is beyond them."""
    for seconds in (0.0, 0.005, 0.0051, 60.0, 61.0):
        numbers.answered(seconds)
    latency = numbers.snapshot().latency
    assert dict(enumerate(latency.counts)) == {
        **dict.fromkeys(range(len(BOUNDS) + 1), 0),
        0: 2,
        1: 1,
        len(BOUNDS) - 1: 1,
        len(BOUNDS): 1,
    }
    assert latency.total == pytest.approx(121.0101)


def test_reasons_of_rejection_are_bounded(numbers: MetricsRecorder) -> None:
    """What stands in Elasticsearch's place may invent reasons: beyond some they are one, and none is lost."""
    for n in range(3 * KINDS):
        numbers.rejected(f"reason {n}", 2)
    numbers.rejected("reason 0", 1)
    rejected = numbers.snapshot().rejected
    assert len(rejected) == KINDS + 1
    assert (rejected["reason 0"], rejected[OTHER]) == (3, 4 * KINDS)


def test_an_unreadable_log_counts_while_it_is_told(numbers: MetricsRecorder, clock: Clock) -> None:
    """Until it is found, or nobody complains any more."""
    numbers.file_unreadable("a.log", "Permission denied")
    numbers.file_unreadable("b.log", "Permission denied")
    numbers.file_found("a.log", Recognition.RESUMED, 0)
    assert numbers.snapshot().unreadable == {"b.log": "Permission denied"}
    clock.now += UNREADABLE_FOR
    assert numbers.snapshot().unreadable == {}


# ---- alive and ready


def test_an_indexer_that_waits_is_alive_and_not_ready(clock: Clock) -> None:
    """Before it has looked for logs it says what it waits for, for no lag is known yet; a restart would not help it."""
    numbers = MetricsRecorder(clock)
    assert problems(numbers) == [Problem.STARTING]
    for _ in range(100):
        clock.now += 6
        numbers.waiting("No answer from Elasticsearch.")
    found = assess(numbers.snapshot())
    assert (found.alive, found.ready) == (True, False)
    assert [finding.sentence for finding in found.problems] == ["No answer from Elasticsearch."]
    numbers.connected(None, "index-000001")
    assert problems(numbers) == [Problem.STARTING]
    numbers.heartbeat(progress())
    assert assess(numbers.snapshot()) == health.Health(alive=True, ready=True, problems=())


def test_waiting_for_a_log_is_no_problem(numbers: MetricsRecorder) -> None:
    """What will be logged would be delivered."""
    numbers.waiting("No log file at /logs yet.")
    assert problems(numbers) == []


def test_a_main_loop_that_stands_still_is_not_alive(numbers: MetricsRecorder, clock: Clock) -> None:
    """Whatever other threads tell; with the next heartbeat it is alive again."""
    clock.now += health.ALIVE_WITHIN
    assert assess(numbers.snapshot()).alive
    clock.now += 1
    numbers.answered(0.1)
    numbers.delivery_recovered()
    numbers.delivery_failed(Fault.NO_ANSWER, "a sender tries again", 1.0)
    numbers.waiting("A sender waits for the alias.")
    numbers.batch_acknowledged(Totals(1, 1), 0.1)
    assert not assess(numbers.snapshot()).alive
    assert problems(numbers) == [Problem.HUNG]
    numbers.heartbeat(progress())
    assert assess(numbers.snapshot()).alive


def test_a_main_loop_that_cannot_tell_how_far_it_is_is_alive(numbers: MetricsRecorder, clock: Clock) -> None:
    """It comes round, which is what the probe that restarts it asks."""

    def unknown() -> Progress:
        raise OSError(5, "Input/output error")

    clock.now += 2 * health.ALIVE_WITHIN
    Broadcast(numbers).heartbeat(unknown)
    assert assess(numbers.snapshot()).alive
    assert numbers.snapshot().listener_failures == 1


@pytest.mark.parametrize("fault", Fault)
def test_a_fault_makes_it_unready(numbers: MetricsRecorder, clock: Clock, fault: Fault) -> None:
    """What needs a fix does at once, what may pass by itself after a while; and neither once it is over."""
    numbers.delivery_failed(fault, "status 403: index read-only", 1.0)
    at_once = problems(numbers) == [Problem.DELIVERY]
    assert at_once == (fault in {Fault.CLUSTER_STATE, Fault.REFUSED, Fault.DISK})
    clock.now += health.GRACE + 1
    numbers.delivery_failed(fault, "status 403: index read-only", 1.0)
    (finding,) = assess(numbers.snapshot()).problems
    assert finding.kind is Problem.DELIVERY
    assert finding.sentence == f"Not delivered for 11 s, 2 tries ({fault.value}): status 403: index read-only"
    numbers.delivery_recovered()
    assert problems(numbers) == []
    numbers.delivery_failed(Fault.NO_ANSWER, "reset", 0.1)
    assert problems(numbers) == [], "a new fault begins anew"


def test_a_sender_that_recovers_clears_no_fault_of_another(numbers: MetricsRecorder, clock: Clock) -> None:
    """Senders are threads; their tries of the same fault are counted together, since the first of them."""

    def failed(fault: Fault) -> Callable[[], None]:
        return lambda: numbers.delivery_failed(fault, "reset", 1.0)

    with ThreadPoolExecutor(1) as sender:
        sender.submit(failed(Fault.NO_ANSWER)).result()
        clock.now += 5
        failed(Fault.NO_ANSWER)()
        failed(Fault.DISK)()
        assert numbers.snapshot().faults == (
            Repeated("no_answer", "reset", 5, 2),
            Repeated("disk", "reset", 0, 1),
        )
        numbers.delivery_recovered()
        assert numbers.snapshot().faults == (Repeated("no_answer", "reset", 5, 1),)
        sender.submit(numbers.delivery_recovered).result()
    assert numbers.snapshot().faults == ()


def test_a_batch_without_an_answer_makes_it_unready(numbers: MetricsRecorder) -> None:
    """A server that takes a request and says nothing is no fault yet; after some minutes it is a problem."""
    numbers.heartbeat(progress(batches=2, oldest=health.STUCK))
    assert problems(numbers) == []
    numbers.heartbeat(progress(batches=2, oldest=health.STUCK + 1))
    assert problems(numbers) == [Problem.DELIVERY]
    assert numbers.snapshot().in_flight == InFlight(2, 200, health.STUCK + 1)
    numbers.heartbeat(progress())
    assert problems(numbers) == []


def test_a_checkpoint_that_cannot_be_written_makes_it_unready(numbers: MetricsRecorder) -> None:
    """Until one is written."""
    numbers.checkpoint_failed("/state", "No space left on device")
    (finding,) = assess(numbers.snapshot()).problems
    assert finding == health.HealthProblem(
        Problem.CHECKPOINT, "The checkpoint cannot be written to /state: No space left on device."
    )
    numbers.checkpoint_written()
    assert problems(numbers) == []


def test_a_cluster_that_is_gone_is_seen_with_nothing_to_send(numbers: MetricsRecorder) -> None:
    """A look at it is enough."""
    numbers.cluster_probed("No answer from Elasticsearch.")
    assert problems(numbers) == [Problem.CLUSTER]
    numbers.cluster_probed(None)
    assert problems(numbers) == []


def test_what_is_sealed_is_counted(numbers: MetricsRecorder, clock: Clock) -> None:
    """From the moment on at which sealing is on; a success ends the reason of a failure."""
    assert numbers.snapshot().sealing is None
    numbers.sealing(600.0)
    clock.now += 30
    assert numbers.snapshot().sealing == Sealing(600.0, waited=30)
    numbers.sealing_failed("No answer.", 5.0)
    numbers.sealing_failed("Refused.", 5.0)
    assert numbers.snapshot().sealing == Sealing(600.0, waited=30, failures=2, problem="Refused.")
    numbers.sealed(3, 5000, 3, "note")
    numbers.sealed(2, 0, 5, "note")
    clock.now += 7
    wanted = Sealing(600.0, waited=7, age=7, size=5, leaves=5, lines=5000, failures=2)
    assert numbers.snapshot().sealing == wanted


def test_a_signed_checkpoint_that_does_not_come_makes_it_unready(
    numbers: MetricsRecorder, clock: Clock
) -> None:
    """Two intervals and a minute after the start, or after the last one; where sealing is off none is waited for."""
    clock.now += 1_000_000
    numbers.heartbeat(progress())
    assert problems(numbers) == []
    numbers.sealing(600.0)
    for sealed in (False, True):
        if sealed:
            numbers.sealed(1, 0, 1, "note")
            assert problems(numbers) == []
        clock.now += 2 * 600 + 60
        numbers.heartbeat(progress())
        assert problems(numbers) == []
        clock.now += 1
        (finding,) = assess(numbers.snapshot()).problems
        assert finding.kind is Problem.SEAL
        assert finding.sentence == "Nothing was sealed for 1261 s, though it is due each 600 s."
    numbers.sealing_failed("The index x-seals is blocked.", 5.0)
    (finding,) = assess(numbers.snapshot()).problems
    assert finding.sentence.endswith("due each 600 s: The index x-seals is blocked.")


def test_all_problems_are_told(numbers: MetricsRecorder, clock: Clock) -> None:
    """One does not hide another."""
    now = replace(numbers.snapshot(), connected=False, sign_of_life=61.0, checkpoint_problem="Full.")
    assert [finding.kind for finding in assess(now).problems] == [
        Problem.HUNG,
        Problem.STARTING,
        Problem.CHECKPOINT,
    ]
