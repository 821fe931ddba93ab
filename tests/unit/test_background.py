"""Work beside the delivery goes on whatever it raises, until it is stopped."""

import threading

import pytest

from indexer.errors import NoSuchLog
from indexer.polling import repeat
from tests.support.observed import Stop


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (NoSuchLog(path="x"), "No log file at x. Give a file"),
        (KeyError("nodes"), "Unexpected: KeyError: 'nodes'."),
        (StopIteration(), "Unexpected: StopIteration: ."),
        (RecursionError("deep"), "Unexpected: RecursionError: deep."),
        (MemoryError(), "Unexpected: MemoryError: ."),
    ],
    ids=lambda each: type(each).__name__,
)
def test_an_error_is_told_and_the_work_goes_on(error: Exception, sentence: str) -> None:
    """Each time; and the wait between is the same as without."""
    stop, told, calls = Stop(last=5), list[str](), 0

    def work() -> None:
        nonlocal calls
        calls += 1
        if calls != 3:
            raise error

    thread = repeat("work", work, 7.0, told.append, stop)
    thread.start()
    thread.join(30)
    assert (calls, stop.waits, thread.daemon) == (5, [7.0] * 5, True)
    assert len(told) == 4
    assert all(each.startswith(sentence) for each in told)


def test_a_stop_before_the_first_call_is_kept() -> None:
    """Nothing is done then."""
    stop = threading.Event()
    stop.set()
    thread = repeat("work", lambda: pytest.fail("it was called"), 0.0, pytest.fail, stop)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
