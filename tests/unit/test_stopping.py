import signal
from collections.abc import Iterator

import pytest

from indexer.cli.common import stop_on_signals

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Whoever listened before listens again afterwards."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("number", SIGNALS, ids=str)
def test_a_signal_in_the_middle_of_a_wait_stops(number: signal.Signals) -> None:
    """The handler runs on top of whatever was going on, be it the wait that holds the event's own lock."""
    stop = stop_on_signals()
    with stop._cond:  # type: ignore[attr-defined]
        signal.raise_signal(number)
    assert stop.wait(10)
